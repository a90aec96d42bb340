"""`fedrag calibrate`: what hospitals' answers have been worth, from judged questions to the file a strategy reads."""

import json
from pathlib import Path
from typing import Annotated

from pydantic import Field, ValidationError

from fedrag import terminal
from fedrag.core.config import Config
from fedrag.core.errors import InputError
from fedrag.core.plugins import describe
from fedrag.feedback import FeedbackStore
from fedrag.home import CoordinatorHome, open_config
from reasoner.answer_sets import SetRule
from reasoner.source_answer import SourceAnswer
from reasoner.training.calibrate import SMALLEST, Case, Verdict, Worth, calibrate, worth
from reasoner.training.fit_votes import Judged
from reasoner.vote_model import VoteModel


class Said(Config):
    """What one source answered. `gaps`: how often its trace admits that something is missing; counted where not
    given."""

    choice: str | None
    uncertainty: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    trace: str = ""
    gaps: Annotated[int, Field(ge=0)] | None = None

    @property
    def answer(self) -> SourceAnswer:
        made = SourceAnswer.of(self.choice, self.trace, self.uncertainty)
        return made if self.gaps is None else SourceAnswer(self.choice, self.trace, self.uncertainty, self.gaps)


class Line(Config):
    """One judged question. `right` is the option that is right."""

    id: str = ""
    options: tuple[str, ...]
    right: str
    answers: dict[str, Said]

    @property
    def case(self) -> Judged:
        return Judged({source: one.answer for source, one in self.answers.items()}, self.options, self.right)


def run_calibrate(judged: Path | None, home: Path | None, output: Path, error: float, *, as_json: bool) -> None:
    """Raises InputError: `bad_option`, `bad_judged_file`, `too_few_judged`."""
    if (judged is None) == (home is None):
        raise InputError("give --judged FILE or --home FOLDER", code="bad_option")
    cases = _of_file(judged) if judged is not None else _of_feedback(home or Path())
    if len(cases) < SMALLEST:
        raise InputError(f"{len(cases)} judged questions; at least {SMALLEST} are needed", code="too_few_judged")
    found = worth(cases)
    sets = SetRule.calibrated(found.given, error) if found.given else None
    model = calibrate(cases).model_copy(update={"sets": sets})
    written = output.with_name(output.name + ".new")
    written.write_text(model.model_dump_json(indent=1), encoding="utf-8")
    written.replace(output)
    _tell(model, found, output, as_json=as_json)


def _of_file(path: Path) -> list[Case]:
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError):
        raise InputError(f"{path} cannot be read", code="bad_judged_file") from None
    cases: list[Case] = []
    for number, line in enumerate(lines, start=1):
        if line.strip():
            try:
                cases.append(Line.model_validate_json(line).case)
            except ValidationError as error:
                raise InputError(f"{path}, line {number}: {describe(error)}", code="bad_judged_file") from None
    return cases


def _of_feedback(home: Path) -> list[Case]:
    """What askers said of answers in which sources were asked apart."""
    place = CoordinatorHome(home)
    config = open_config(place)
    if not place.feedback.exists():
        return []
    store = FeedbackStore(place.feedback, config.feedback)
    try:
        told = store.judged()
    finally:
        store.close()
    return [
        Verdict(
            {node: SourceAnswer(one.choice, "", one.uncertainty, one.gaps) for node, one in skeleton.chains.items()},
            skeleton.choice,
            verdict.right,
        )
        for skeleton, verdict in told
        if skeleton.choice is not None and verdict.right is not None and skeleton.chains
    ]


def _tell(model: VoteModel, found: Worth, output: Path, *, as_json: bool) -> None:
    figures = {
        "judged": found.judged,
        "sources": list(model.sources),
        "stated": {node: [one.method, one.judged] for node, one in model.stated.items()},
        "accuracy": found.accuracy,
        "best_source": found.best,
        "best_accuracy": found.best_accuracy,
        "sets": model.sets.model_dump() if model.sets else None,
    }
    if as_json:
        terminal.out.print(json.dumps(figures), markup=False, soft_wrap=True)
        return
    terminal.out.print(f"{output}: {found.judged} judged questions, sources {', '.join(model.sources)}", markup=False)
    if found.accuracy is not None and found.best_accuracy is not None:
        terminal.out.print(
            f"on questions it was not fitted on the vote is right {found.accuracy:.3f} of the time; "
            f"{found.best} alone {found.best_accuracy:.3f}",
            markup=False,
            soft_wrap=True,
        )
    if model.sets is not None:
        terminal.out.print(
            f"answer sets: options of probability {model.sets.at_least:.3f} or more, to miss the right one in at most "
            f"{model.sets.error:.0%} of questions",
            markup=False,
            soft_wrap=True,
        )
    for node, one in model.stated.items():
        terminal.out.print(f"{node}: stated uncertainty calibrated ({one.method}, {one.judged} answers)", markup=False)
    terminal.out.print('to use it: vote_model = "…" in the settings of the strategy', markup=False, soft_wrap=True)
