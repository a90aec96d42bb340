"""Your own questions, put to your own federation: `fedrag evaluate --questions my.jsonl --url https://…`.

The file's format is in docs/evaluation.md. Nothing is learned from it and nothing of it leaves this machine but the
questions themselves.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

from pydantic import Field, ValidationError

from fedrag.client import Client
from fedrag.core.config import Config
from fedrag.core.errors import ConfigError, InputError
from fedrag.core.plugins import describe
from fedrag.core.question import AskRequest, OptionLetter, OptionText, Question, Text
from fedrag.evaluation.answer_tables import confidence_pictures, confidence_table
from fedrag.evaluation.answers import (
    Judgement,
    Place,
    Reply,
    answer_pictures,
    ask,
    cited,
    free_text_table,
    place,
    price_table,
)
from fedrag.evaluation.judge import judged_table
from fedrag.evaluation.metrics.key_facts import key_fact_recall
from fedrag.evaluation.report import Cell, Findings, Table, mean
from fedrag.evaluation.run import Run

SUITE: Final = "own"
_RULE: Final = (
    "right: where it cannot be answered, an abstention; with options, the right letter; else every key fact in the text"
    " and, where passages are given, one of them cited. A question with none of these is asked, priced and checked for"
    " support only."
)


class Settings(Config):
    pass


class GoldPassage(Config):
    """`document` is the name of its file; an empty section is any of it."""

    node: str
    document: str
    section: str = ""


class OwnQuestion(Config):
    """One line of the file."""

    id: Annotated[str, Field(min_length=1, max_length=200)]
    text: Text
    options: dict[OptionLetter, OptionText] = Field(default_factory=dict)
    answer: str | None = None
    answerable: bool = True
    key_facts: tuple[tuple[str, ...], ...] = ()
    passages: tuple[GoldPassage, ...] = ()

    @property
    def request(self) -> AskRequest:
        return AskRequest(question=Question(text=self.text, options=self.options))

    @property
    def scorable(self) -> bool:
        return not self.answerable or (self.answer is not None if self.options else bool(self.key_facts))


@dataclass(frozen=True, slots=True)
class Own:
    def inputs(self, run: Run) -> tuple[Path, ...]:
        if run.service is None or run.service.questions is None:
            raise ConfigError("your own questions need --questions and --url", code="bad_option")
        if not run.service.questions.is_file():
            raise InputError(f"{run.service.questions} is not a file", code="missing_folder")
        return (run.service.questions,)

    def evaluate(self, run: Run) -> Findings:
        (path,) = self.inputs(run)
        service = run.running()
        questions = load(path)
        with Client(service.url, service.key, authority=service.authority) as client:
            replies = ask(SUITE, questions, run, client)
        asked = [one for one in questions if one.id in replies]
        judged = [judgement(one, replies[one.id]) for one in asked]
        scored = [made for one, made in zip(asked, judged, strict=True) if one.scorable]
        outcomes = {
            "answerable questions": [
                made.outcome for one, made in zip(asked, judged, strict=True) if one.scorable and one.answerable
            ]
        }
        groups = {"answerable": [m for q, m in zip(asked, judged, strict=True) if q.answerable]}
        return Findings(
            tables=(
                _accuracy(asked, judged),
                free_text_table(groups),
                *judged_table(SUITE, groups, run),
                *([confidence_table(outcomes)] if scored else []),
                price_table(replies.values()),
            ),
            pictures=(*(confidence_pictures(outcomes) if scored else ()), *answer_pictures(replies.values())),
            notes=(_RULE,),
        )


def load(path: Path) -> tuple[OwnQuestion, ...]:
    """Raises InputError(bad_questions) naming the line and the field, never what stands there."""
    questions: list[OwnQuestion] = []
    for number, line in enumerate(path.read_text(encoding="utf-8").split("\n"), start=1):
        if not line.strip():
            continue
        try:
            questions.append(OwnQuestion.model_validate(json.loads(line)))
        except ValidationError as error:
            raise InputError(f"{path.name}, line {number}: {describe(error)}", code="bad_questions") from None
        except ValueError:
            raise InputError(f"{path.name}, line {number}: not JSON", code="bad_questions") from None
    if len({one.id for one in questions}) != len(questions):
        raise InputError(f"{path.name}: an id occurs twice", code="bad_questions")
    return tuple(questions)


def judgement(question: OwnQuestion, reply: Reply) -> Judgement:
    found = cited(reply.answer) if reply.answer else frozenset()
    gold = frozenset(_met(one, found) for one in question.passages)
    return Judgement(reply, right(question, reply, bool(gold & found)), gold, question.key_facts)


def right(question: OwnQuestion, reply: Reply, cites_gold: bool) -> bool:
    """The one rule of this suite; see the report's notes."""
    answer = reply.answer
    if answer is None:
        return False
    if not question.answerable or answer.abstained is not None:
        return not question.answerable and answer.abstained is not None
    if question.options:
        return answer.choice is not None and answer.choice == question.answer
    complete = bool(question.key_facts) and key_fact_recall(answer.text, question.key_facts) == 1
    return complete and (cites_gold or not question.passages)


def build(settings: Settings) -> Own:  # noqa: ARG001 - has none
    return Own()


def _met(gold: GoldPassage, found: frozenset[Place]) -> Place:
    """The gold passage as a place; one without a section is met by any cited section of its document."""
    wanted = place(gold.node, gold.document, gold.section)
    same = sorted(one for one in found if one[:2] == wanted[:2])
    return same[0] if same and not gold.section else wanted


def _accuracy(asked: Sequence[OwnQuestion], judged: Sequence[Judgement]) -> Table:
    pairs = list(zip(asked, judged, strict=True))
    groups = {
        "all with a right answer": [pair for pair in pairs if pair[0].scorable],
        "options": [pair for pair in pairs if pair[0].scorable and pair[0].answerable and pair[0].options],
        "free text": [pair for pair in pairs if pair[0].scorable and pair[0].answerable and not pair[0].options],
        "not answerable": [pair for pair in pairs if not pair[0].answerable],
        "without a right answer": [pair for pair in pairs if not pair[0].scorable],
    }
    rows: list[tuple[Cell, ...]] = [
        (
            name,
            len(held),
            "no gold" if name == "without a right answer" else mean([float(made.correct) for _, made in held]),
            mean([float(made.outcome.answered) for _, made in held]),
        )
        for name, held in groups.items()
        if held
    ]
    return Table("Share answered right", ("questions", "number", "right", "answered"), tuple(rows))
