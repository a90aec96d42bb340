"""Fit the heads that read a study's wording:

python -m reasoner.training.fit_findings --questions QUESTIONS --corpus CORPUS

The files are PubMedQA's as `fedrag data fetch pubmedqa` leaves them (one object per line: question with `answer` and
`gold_doc_id`; document with `doc_id` and `text`, the abstract without its conclusion). The same input gives the same
file. The figures under "cross_validated" are of questions left out of the fit, five folds.
"""

import argparse
import hashlib
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from reasoner.findings import FILE, FINDING_FEATURES, FindingHeads, decide, finding_features
from reasoner.heads import Head
from reasoner.training.maximum_posterior import Array, Decision, fit
from reasoner.verdict import VERDICTS

FOLDS: Final = 5
DEVIATION: Final = 0.1
"""Of the prior of a coefficient, per standard deviation of its feature."""
INTERCEPT_DEVIATION: Final = 3.0


@dataclass(frozen=True, slots=True)
class Study:
    """A question, its article and the right verdict."""

    id: str
    text: str
    answer: str


def fit_findings(studies: Sequence[Study]) -> FindingHeads:
    """Softmax regression against yes, with a Gaussian prior about the same verdict for every article."""
    values = np.array([finding_features(one.text) for one in studies]).reshape(len(studies), len(FINDING_FEATURES))
    scale = np.maximum(values.std(axis=0), 1e-3) if len(studies) else np.ones(len(FINDING_FEATURES))
    rows = np.column_stack((values, np.ones(len(studies))))
    zero = np.zeros(rows.shape[1])
    decisions = [
        Decision(
            np.array([[*zero, *zero], [*row, *zero], [*zero, *row]]),
            VERDICTS.index(one.answer),
        )
        for row, one in zip(rows, studies, strict=True)
    ]
    deviation = np.array([*(DEVIATION / scale), INTERCEPT_DEVIATION] * 2)
    theta = fit(decisions, np.zeros(len(deviation)), deviation)
    no, maybe = np.split(theta, 2)
    return FindingHeads(fitted={}, no=_head(no), maybe=_head(maybe), coverage=len(studies))


def fold_of(study_id: str) -> int:
    return int(hashlib.sha256(study_id.encode()).hexdigest()[:8], 16) % FOLDS


def left_out(studies: Sequence[Study]) -> list[bool]:
    """Whether each is decided rightly by heads that were fitted on the other folds."""
    answers = {word: word for word in VERDICTS}
    heads = {
        fold: fit_findings([one for one in studies if fold_of(one.id) != fold])
        for fold in {fold_of(one.id) for one in studies}
    }
    return [decide(one.text, answers, heads[fold_of(one.id)]).word == one.answer for one in studies]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m reasoner.training.fit_findings", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--questions", type=Path, required=True)
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--output", type=Path, default=Path(__file__).parents[1] / FILE)
    chosen = parser.parse_args(arguments)
    texts = {one["doc_id"]: one["text"] for one in _lines(chosen.corpus)}
    studies = [Study(one["query_id"], texts[one["gold_doc_id"]], one["answer"]) for one in _lines(chosen.questions)]
    figures = {
        "questions": len(studies),
        "right": sum(left_out(studies)),
        "right_if_always_yes": sum(one.answer == "yes" for one in studies),
    }
    about: dict[str, object] = {
        "by": "python -m reasoner.training.fit_findings",
        "data": "PubMedQA, the half that may be looked at (MIT licence; Jin et al., EMNLP-IJCNLP 2019)",
        "questions_sha256": hashlib.sha256(chosen.questions.read_bytes()).hexdigest(),
        "cross_validated": figures,
    }
    heads = fit_findings(studies).model_copy(update={"fitted": about})
    chosen.output.write_text(heads.model_dump_json(indent=1) + "\n", encoding="utf-8")
    sys.stdout.write(json.dumps(figures, indent=1) + "\n")
    return 0


def _head(theta: Array) -> Head:
    *coefficients, intercept = (round(float(value), 4) for value in theta)
    return Head(features=FINDING_FEATURES, coefficients=tuple(coefficients), intercept=intercept)


def _lines(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


if __name__ == "__main__":
    sys.exit(main())
