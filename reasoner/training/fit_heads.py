"""Fit the heads of the extractive reasoner: `python -m reasoner.training.fit_heads --questions DIR --evidence FILE`.

DIR holds question files (examples/questions), FILE one JSON object per line: {"id": ..., "evidence": Evidence}, as a
federation released it for that question. Only the seen half is read (`cases.seen`). The same input gives the same file.

Every figure under "cross_validated" is of questions left out of the fit, five folds. Confidence heads and the
abstention threshold are fitted on those left-out predictions.
"""

import argparse
import hashlib
import json
import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from fedrag.core.protocols import Encoder
from fedrag.encoders import ENCODERS
from reasoner.answerability import ANSWERABLE_FEATURES, answerable_features
from reasoner.backends.extractive import SHOWN_CONFLICTS, Settings
from reasoner.conclusion import CONFIDENCE_FEATURES, Conclusion, conclude
from reasoner.confidence import MODEL_FEATURES
from reasoner.heads import FILE, Confidences, Head, Heads, logit
from reasoner.options import OPTION_FEATURES, option_features
from reasoner.statements import SUPPORT_FEATURES, Reading, read, weighed
from reasoner.training.cases import Case, load, without_gold
from reasoner.training.maximum_posterior import Array, Decision, fit, yes_or_no
from reasoner.verdict import LEANING_FEATURES, UNDECIDED_FEATURES, VERDICTS, asked_for, verdict_features

FOLDS: Final = 5
WANTED_ABSTENTION: Final = 0.8


@dataclass(frozen=True, slots=True)
class Prior:
    """What a head is drawn towards: mean and standard deviation per feature, then of the intercept."""

    mean: tuple[float, ...]
    deviation: tuple[float, ...]


SUPPORT_PRIOR: Final = Prior((5.0, 0.7, 2.0, 0.5, 1.0, 0.5, -6.0), (5.0, 0.7, 2.0, 0.5, 1.0, 1.0, 4.0))
OPTION_PRIOR: Final = Prior((2.0, 1.0, 3.0, 3.0, 0.0), (1.0, 1.0, 2.0, 2.0, 1e-6))
VERDICT_PRIOR: Final = Prior((1.5, 0.0, 2.5, 1.0, 0.5, -1.0), (1.0, 0.5, 1.0, 0.7, 0.7, 1.0))
"""lean and its intercept; conflict, opposition, hedged and their intercept."""
ANSWERABLE_PRIOR: Final = Prior((3.0, 3.0, 2.0, 1.0, -1.0, -1.0), (3.0, 3.0, 2.0, 2.0, 1.0, 4.0))
CONFIDENCE_PRIOR: Final = Prior((0.6, 0.6, -0.3), (0.4, 0.4, 1.0))
MODEL_HEAD: Final = Head(features=MODEL_FEATURES, coefficients=(0.5, 0.4, 0.8, -0.7), intercept=-0.3)
"""Not fitted: no language model was at hand. A deliberate shrinkage of what models claim, who claim too much."""


@dataclass(frozen=True, slots=True)
class Read:
    """A case whose sentences have been encoded."""

    case: Case
    reading: Reading


def support_examples(items: Sequence[Read]) -> list[Decision]:
    """A sentence of a gold passage that holds a key fact is one the answer needs."""
    examples = []
    for item in items:
        example = item.case.example
        if not item.case.held:
            continue
        gold = {p.number for p in item.case.evidence.passages if any(one.is_in(p) for one in example.gold)}
        for one in item.reading.statements:
            needed = one.citation in gold and any(holds(one.text, fact) for fact in example.key_facts)
            examples.append(yes_or_no(one.features, needed))
    return examples


def option_examples(items: Sequence[Read]) -> list[Decision]:
    examples = []
    for item in items:
        example = item.case.example
        if example.format == "choice" and item.case.held and asked_for(item.case.question) is None:
            letters = sorted(example.options)
            rows = option_features([example.options[letter] for letter in letters], item.reading)
            examples.append(Decision(np.array([[*row, 1.0] for row in rows]), letters.index(example.answer)))
    return examples


def verdict_examples(items: Sequence[Read]) -> list[Decision]:
    examples = []
    for item in items:
        if item.case.example.format == "yes_no_maybe" and item.case.held:
            (lean,), undecided = verdict_features(item.case.question.text, item.reading, item.case.evidence.conflicts)
            nothing = [0.0] * (len(undecided) + 1)
            rows = [[lean, 1.0, *nothing], [-lean, -1.0, *nothing], [0.0, 0.0, *undecided, 1.0]]
            examples.append(Decision(np.array(rows), VERDICTS.index(item.case.example.answer)))
    return examples


def answerable_examples(items: Sequence[Read]) -> list[Decision]:
    """Evidence without a gold passage cannot answer, whether the question has none or the search missed it."""
    return [yes_or_no(answerable_features(one.reading, one.case.evidence), one.case.held) for one in items]


def fit_heads(items: Sequence[Read], absent: Sequence[Read]) -> Heads:
    """All heads but the confidences, which stay at their prior; `absent` are cases whose gold was taken away."""
    support = _head(SUPPORT_FEATURES, support_examples(items), SUPPORT_PRIOR)
    items = [Read(one.case, weighed(one.reading, support)) for one in items]
    verdict = tuple(fit(verdict_examples(items), *_arrays(VERDICT_PRIOR)))
    prior = _named(CONFIDENCE_FEATURES, CONFIDENCE_PRIOR.mean)
    return Heads(
        fitted={},
        support=support,
        option=_head(OPTION_FEATURES, option_examples(items), OPTION_PRIOR),
        leaning=_named(LEANING_FEATURES, verdict[:2]),
        undecided=_named(UNDECIDED_FEATURES, verdict[2:]),
        answerable=_head(ANSWERABLE_FEATURES, answerable_examples([*items, *absent]), ANSWERABLE_PRIOR),
        answerable_threshold=0.0,
        confidence=Confidences(choice=prior, verdict=prior, text=prior, model=MODEL_HEAD),
    )


@dataclass(frozen=True, slots=True)
class LeftOut:
    """What heads that never saw a question conclude about it."""

    case: Case
    conclusion: Conclusion
    right: bool


def left_out(items: Sequence[Read], absent: Sequence[Read]) -> list[LeftOut]:
    results = []
    for fold in range(FOLDS):
        heads = fit_heads(_without(items, fold), _without(absent, fold))
        for item in items:
            if _fold(item) == fold:
                made = concluded(item, heads)
                results.append(LeftOut(item.case, made, is_right(item.case, made)))
    return sorted(results, key=lambda one: one.case.example.id)


def concluded(item: Read, heads: Heads) -> Conclusion:
    reading = weighed(item.reading, heads.support)
    settings = Settings()
    return conclude(
        item.case.question, item.case.evidence, reading, heads, quotes=settings.quotes, share=settings.share
    )


def is_right(case: Case, made: Conclusion) -> bool:
    """Choice or verdict as in the gold answer; for free text a gold passage is quoted and every key fact stands in one
    of the quotes shown. Questions without an answer are never answered rightly."""
    example = case.example
    if not example.answerable:
        return False
    if example.format == "choice":
        return bool(made.options) and made.options[0].letter == example.answer
    if example.format == "yes_no_maybe":
        return made.verdict is not None and made.verdict.word == example.answer
    passages = {one.number: one for one in case.evidence.passages}
    cited = any(gold.is_in(passages[one.citation]) for gold in example.gold for one in made.quotes)
    shown = [quote.text for one in made.conflicts[:SHOWN_CONFLICTS] for quote in (one.first, one.second)]
    quoted = [*(one.text for one in made.quotes), *shown]
    return cited and all(any(holds(text, fact) for text in quoted) for fact in example.key_facts)


def holds(text: str, fact: Sequence[str]) -> bool:
    """Whether one of the wordings of a key fact stands in the text."""
    return any(wording.casefold() in text.casefold() for wording in fact)


def with_confidence(heads: Heads, results: Sequence[LeftOut]) -> Heads:
    """The confidence heads and the abstention threshold, from what was left out."""

    def head(kind: str) -> Head:
        examples = [
            yes_or_no((one.conclusion.decision, logit(one.conclusion.answerable)), one.right)
            for one in results
            if one.case.example.answerable and one.case.example.format == kind
        ]
        return _head(CONFIDENCE_FEATURES, examples, CONFIDENCE_PRIOR)

    confidence = Confidences(
        choice=head("choice"), verdict=head("yes_no_maybe"), text=head("free_text"), model=MODEL_HEAD
    )
    return heads.model_copy(update={"confidence": confidence, "answerable_threshold": threshold(results)})


def threshold(results: Sequence[LeftOut]) -> float:
    """The lowest at which WANTED_ABSTENTION of the left-out unanswerable questions are declined."""
    unanswerable = sorted(one.conclusion.answerable for one in results if not one.case.example.answerable)
    at = math.ceil(WANTED_ABSTENTION * len(unanswerable)) - 1
    return math.ceil(unanswerable[at] * 1000 + 1) / 1000


def report(results: Sequence[LeftOut], limit: float) -> dict[str, object]:
    """Left-out figures; `right` counts what a reader would get, abstentions as wrong."""
    figures: dict[str, object] = {}
    for kind in ("choice", "yes_no_maybe", "free_text"):
        of_kind = [one for one in results if one.case.example.answerable and one.case.example.format == kind]
        figures[kind] = {
            "questions": len(of_kind),
            "gold_in_evidence": sum(one.case.held for one in of_kind),
            "right_if_never_abstaining": sum(one.right for one in of_kind),
            "right": sum(one.right and one.conclusion.answerable >= limit for one in of_kind),
            "declined": sum(one.conclusion.answerable < limit for one in of_kind),
            "best_constant": _most_common([one.case.example.answer for one in of_kind]) if kind != "free_text" else 0,
        }
    unanswerable = [one for one in results if not one.case.example.answerable]
    declined = sum(one.conclusion.answerable < limit for one in unanswerable)
    return figures | {"unanswerable": {"questions": len(unanswerable), "declined": declined}}


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m reasoner.training.fit_heads", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--questions", type=Path, required=True, help="folder of question files (*.jsonl)")
    parser.add_argument("--evidence", type=Path, required=True, help='lines of {"id": …, "evidence": …}')
    parser.add_argument("--encoder", default="minilm", choices=ENCODERS.names)
    parser.add_argument("--output", type=Path, default=Path(__file__).parents[1] / FILE)
    chosen = parser.parse_args(arguments)
    cases = load(chosen.questions, chosen.evidence)
    encoder = ENCODERS.build(chosen.encoder)
    heads, figures = fitted(cases, encoder)
    about: dict[str, object] = {
        "by": "python -m reasoner.training.fit_heads",
        "data": "questions of the examples, half by hash of the id, with the evidence a federation released for them",
        "questions": len(cases),
        "evidence_sha256": hashlib.sha256(chosen.evidence.read_bytes()).hexdigest(),
        "encoder": encoder.identity.name,
        "model_head": "not fitted, chosen by hand: no language model was at hand",
        "cross_validated": figures,
    }
    heads = heads.model_copy(update={"fitted": about})
    chosen.output.write_text(heads.model_dump_json(indent=1) + "\n", encoding="utf-8")
    sys.stdout.write(json.dumps(figures, indent=1) + "\n")
    return 0


def fitted(cases: Sequence[Case], encoder: Encoder) -> tuple[Heads, dict[str, object]]:
    """The heads, and how they do on what each fold left out."""
    items = _read(cases, encoder)
    absent = _read([bare for case in cases if case.held and (bare := without_gold(case))], encoder)
    results = left_out(items, absent)
    heads = with_confidence(fit_heads(items, absent), results)
    return heads, report(results, heads.answerable_threshold)


def _read(cases: Sequence[Case], encoder: Encoder) -> list[Read]:
    start = _named(SUPPORT_FEATURES, SUPPORT_PRIOR.mean)
    made = [Read(case, read(case.question, case.evidence, encoder, start)) for case in cases]
    return [one for one in made if one.reading.statements]


def _without(items: Sequence[Read], fold: int) -> list[Read]:
    return [one for one in items if _fold(one) != fold]


def _fold(one: Read) -> int:
    return hashlib.sha256(f"fold {one.case.example.id}".encode()).digest()[0] % FOLDS


def _most_common(answers: Sequence[str]) -> int:
    return max((answers.count(one) for one in set(answers)), default=0)


def _head(names: tuple[str, ...], examples: Sequence[Decision], prior: Prior) -> Head:
    return _named(names, tuple(fit(examples, *_arrays(prior))))


def _named(names: tuple[str, ...], theta: Sequence[float]) -> Head:
    *coefficients, intercept = (round(float(value), 4) for value in theta)
    return Head(features=names, coefficients=tuple(coefficients), intercept=intercept)


def _arrays(prior: Prior) -> tuple[Array, Array]:
    return np.array(prior.mean), np.array(prior.deviation)


if __name__ == "__main__":
    sys.exit(main())
