"""Metrics of answers and of their confidence, against values computed by hand."""

import pytest

from fedrag.evaluation.metrics.aurc import aurc, coverage_at, risk_coverage, selective_accuracy
from fedrag.evaluation.metrics.auroc import auroc
from fedrag.evaluation.metrics.bootstrap import holm, paired_difference
from fedrag.evaluation.metrics.brier import brier
from fedrag.evaluation.metrics.citations import citation_precision, citation_recall
from fedrag.evaluation.metrics.ece import ece, reliability
from fedrag.evaluation.metrics.faithfulness import faithfulness, statements, supported
from fedrag.evaluation.metrics.gain_share import gain_share
from fedrag.evaluation.metrics.outcomes import Outcome
from fedrag.evaluation.metrics.recall import recall
from fedrag.evaluation.metrics.strict_accuracy import coverage, strict_accuracy

RIGHT_9, WRONG_8 = Outcome(answered=True, correct=True, confidence=0.9), Outcome(True, False, 0.8)
RIGHT_6, UNANSWERED = Outcome(True, True, 0.6), Outcome(False, False, 0.2)
FOUR = (RIGHT_9, WRONG_8, RIGHT_6, UNANSWERED)


def test_what_was_not_answered_is_wrong_and_counts() -> None:
    """Two of four are right though three were answered; leaving the fourth out would give two of three."""
    assert strict_accuracy(FOUR) == 0.5
    assert coverage(FOUR) == 0.75
    with pytest.raises(ValueError, match="cannot be right"):
        Outcome(answered=False, correct=True, confidence=0.5)


def test_ece_is_the_mean_gap_of_confidence_and_accuracy_over_bins() -> None:
    """Each of the four stands alone in its bin: |1 - .9|, |0 - .8|, |1 - .6|, |0 - .2|, mean 0.375."""
    assert ece(FOUR) == pytest.approx((0.1 + 0.8 + 0.4 + 0.2) / 4)
    assert [one.accuracy for one in reliability(FOUR)] == [0.0, 1.0, 0.0, 1.0]


def test_ece_within_a_bin_nets_out() -> None:
    """One bin with confidences .70 and .78, one right: |.5 - .74|; a confidence of 1 belongs to the last bin."""
    pair = (Outcome(True, True, 0.70), Outcome(True, False, 0.78))
    assert ece(pair) == pytest.approx(0.24)
    assert ece((Outcome(True, True, 1.0),)) == 0.0


def test_brier_is_the_mean_squared_error() -> None:
    """(.01 + .64 + .16 + .04) / 4."""
    assert brier(FOUR) == pytest.approx(0.2125)


def test_auroc_counts_pairs_and_half_of_the_ties() -> None:
    """Right .9 and .6 against wrong .8 and .2: three of four pairs are in order; a tie is half a pair."""
    assert auroc(FOUR) == pytest.approx(0.75)
    assert auroc((Outcome(True, True, 0.5), Outcome(True, False, 0.5))) == 0.5
    assert auroc((RIGHT_9, RIGHT_6)) == 0.5


def test_risk_coverage_withholds_the_least_confident_first() -> None:
    """Risks 0/1, 1/2, 1/3, 2/4; their mean is the AURC."""
    assert [risk for _, risk in risk_coverage(FOUR)] == pytest.approx([0, 1 / 2, 1 / 3, 1 / 2])
    assert aurc(FOUR) == pytest.approx((0 + 1 / 2 + 1 / 3 + 1 / 2) / 4)
    assert selective_accuracy(FOUR, 0.25) == 1.0
    assert selective_accuracy(FOUR, 0.75) == pytest.approx(2 / 3)
    assert coverage_at(FOUR, 0.66) == 0.75
    assert coverage_at(FOUR[1:2], 0.5) == 0.0


def test_risk_among_equally_confident_answers_is_the_expected_one() -> None:
    """Whatever the order of a right and a wrong answer with equal confidence: risk 1/2 at both coverages."""
    tied = (Outcome(True, True, 0.5), Outcome(True, False, 0.5))
    assert aurc(tied) == aurc(tied[::-1]) == 0.5


def test_no_question_is_no_success() -> None:
    """Nothing measured is never the best value."""
    assert strict_accuracy(()) == coverage(()) == selective_accuracy((), 0.5) == 0.0
    assert aurc(()) == 1.0


def test_a_paired_difference_has_an_interval_of_the_questions() -> None:
    """A constant difference has no spread; one that is often +1 and sometimes -1 has the textbook interval."""
    assert str(paired_difference([1.0] * 9, [0.5] * 9, seed=1)) == "+0.500 [+0.500, +0.500]"
    mixed = paired_difference([1.0] * 60 + [0.0] * 40, [0.0] * 60 + [1.0] * 40, seed=1)
    half_width = 1.96 * (1 - 0.2**2) ** 0.5 / 10
    assert mixed.mean == pytest.approx(0.2)
    assert mixed.low == pytest.approx(0.2 - half_width, abs=0.03)
    assert mixed.high == pytest.approx(0.2 + half_width, abs=0.03)
    assert 0.01 < mixed.p < 0.1
    assert paired_difference([0.3, 0.4], [0.3, 0.4], seed=1).p == 1.0


def test_holm_multiplies_and_never_falls() -> None:
    """Smallest times three, next times two, at least as large as the one before; never above 1."""
    assert holm([0.04, 0.01, 0.03]) == pytest.approx((0.06, 0.03, 0.06))
    assert holm([0.9, 0.8]) == (1.0, 1.0)


def test_citations_are_precise_and_complete_apart() -> None:
    """One of two cited is gold, one of three gold is cited; nothing cited scores 0 in both."""
    assert citation_precision({"a", "x"}, {"a", "b", "c"}) == 0.5
    assert citation_recall({"a", "x"}, {"a", "b", "c"}) == pytest.approx(1 / 3)
    assert citation_precision(set(), {"a"}) == citation_recall(set(), {"a"}) == 0.0


@pytest.mark.parametrize(
    ("sentence", "cited", "expected"),
    [
        ("Give warfarin 5 mg daily.", "Adults: give warfarin, 5 mg daily, with food.", True),
        ("Give warfarin 15 mg daily.", "Adults: give warfarin, 5 mg daily, with food.", False),
        ("Do not give warfarin daily.", "Give warfarin daily.", False),
        ("Aspirin reduces fever quickly.", "Warfarin is monitored weekly.", False),
        ("Give warfarin daily.", "", False),
    ],
)
def test_a_sentence_is_supported_by_what_it_cites(sentence: str, cited: str, expected: bool) -> None:
    """A number of its own, a negation of its own, words of its own or no citation: not supported."""
    assert supported(sentence, cited) is expected


def test_statements_carry_the_citations_behind_them() -> None:
    """The choice states nothing, a quote is what is stated, and a sentence without a citation has none."""
    text = "B. Heparin\nGive 5 mg [1]. Stop it [2][3].\nSays “keep warm” [4]\nThat is all."
    assert statements(text) == [
        ("Give 5 mg", (1,)),
        ("Stop it", (2, 3)),
        ("keep warm", (4,)),
        ("That is all.", ()),
    ]
    assert statements("Yes.") == []


def test_faithfulness_counts_sentences() -> None:
    """One of two; an answer without sentences has none that is supported."""
    assert faithfulness([("Give warfarin.", "Give warfarin."), ("Stop aspirin.", "")]) == 0.5
    assert faithfulness([]) == 0.0


def test_recall_counts_relevant_documents_among_the_first() -> None:
    """One of two relevant documents within two, both within three; grade 0 is not relevant."""
    grades = {"a": 1, "b": 2, "c": 0}
    assert recall(["c", "a", "b"], grades, 2) == 0.5
    assert recall(["c", "a", "b"], grades, 3) == 1.0
    assert recall([], grades, 3) == 0.0
    assert recall(["c"], {"c": 0}, 3) == 0.0


def test_gain_share_compares_with_the_best_choice() -> None:
    """Chosen 3 + 0 of a best 5 + 3."""
    assert gain_share(["b", "c"], {"a": 5, "b": 3, "c": 0}, 2) == pytest.approx(3 / 8)
    assert gain_share([], {"a": 5}, 2) == 0.0
