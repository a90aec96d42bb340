"""Metrics against values computed by hand."""

import math

import pytest

from fedrag.evaluation.metrics.key_facts import key_fact_recall
from fedrag.evaluation.metrics.ndcg import judged, ndcg
from fedrag.evaluation.metrics.word_overlap import word_overlap

GRADES = {"a": 3, "b": 2, "c": 0}
IDEAL = 3 + 2 / math.log2(3)


@pytest.mark.parametrize(
    ("ranking", "expected"),
    [
        (["a", "b"], 1.0),
        (["b", "a"], (2 + 3 / math.log2(3)) / IDEAL),
        (["x", "c", "a"], (3 / math.log2(4)) / IDEAL),
        ([], 0.0),
        ([f"x{place}" for place in range(10)] + ["a"], 0.0),
    ],
)
def test_ndcg_matches_its_definition(ranking: list[str], expected: float) -> None:
    """Gain is the grade, the discount log2(rank + 1), unjudged is zero, and nothing counts beyond k."""
    assert ndcg(ranking, GRADES, 10) == pytest.approx(expected)


def test_a_document_ranks_once() -> None:
    """A ranking that names a document twice would hide how far down the others are."""
    with pytest.raises(ValueError, match="twice"):
        ndcg(["a", "a"], GRADES, 10)


def test_a_question_without_relevant_documents_scores_zero() -> None:
    """It counts in the mean rather than being left out."""
    assert ndcg(["c"], {"c": 0}, 10) == 0.0


def test_judged_counts_judged_documents_whatever_their_grade() -> None:
    """Two of the first four are in the pool; a short ranking does not help."""
    assert judged(["a", "x", "c", "y"], GRADES, 4) == 0.5
    assert judged(["a"], GRADES, 4) == 0.25


@pytest.mark.parametrize(
    ("text", "facts", "expected"),
    [
        ("Give 5 mg twice daily.", [["5 mg"], ["twice daily", "bd"]], 1.0),
        ("Give 15 mg twice daily.", [["5 mg"], ["twice daily"]], 0.5),
        ("Give 2.5 mg.", [["5 mg"]], 0.0),
        ("Give 0.9 % saline", [["0.9"]], 1.0),
        ("INR of 1.50", [["1.5"]], 0.0),
        ("Low-molecular-weight  heparin", [["low molecular weight heparin"]], 1.0),
        ("", [["x"]], 0.0),
        ("anything", [], 0.0),
    ],
)
def test_key_facts_are_found_whole(text: str, facts: list[list[str]], expected: float) -> None:
    """A number inside a longer number is another number; case, spacing and hyphens do not matter."""
    assert key_fact_recall(text, facts) == pytest.approx(expected)


def test_overlap_counts_content_words_once() -> None:
    """Of {dose, warfarin}, one stands in the passage; stop words do not count."""
    assert word_overlap("What is the dose of the warfarin?", "Warfarin is given daily") == 0.5
