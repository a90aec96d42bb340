"""Closed questions about studies: which articles count as one, what is counted in them, what is learned of that."""

import math

import pytest

from fedrag.core.question import Question
from fedrag.encoders import ENCODERS
from reasoner.conclusion import conclude
from reasoner.findings import FINDING_FEATURES, FindingHeads, article, decide, finding_features, load, reports_a_study
from reasoner.heads import Head
from reasoner.heads import load as load_heads
from reasoner.statements import read
from reasoner.training.fit_findings import DEVIATION, Study, fit_findings, left_out

NULL = (
    "We studied 120 consecutive patients in a randomised trial. Age was recorded. Outcome was measured at one year. "
    "There was no significant difference between the groups. Survival was similar (p = 0.64)."
)
POSITIVE = (
    "We studied 120 consecutive patients in a randomised trial. Age was recorded. Outcome was measured at one year. "
    "Survival was significantly higher with treatment (p < 0.01). It improved in both sexes."
)
GUIDANCE = "Give apixaban 5 mg twice daily. Stop it 48 hours before surgery. Ask the haematologist if unsure."


def test_a_study_is_told_from_guidance() -> None:
    """By what it tells, findings or directions; and what is short is no article."""
    assert reports_a_study(NULL)
    assert reports_a_study(POSITIVE)
    assert not reports_a_study(GUIDANCE * 3)
    assert not reports_a_study("We studied 120 patients in a randomised trial. Survival was higher.")


def test_wordings_are_counted_per_sentence() -> None:
    """Five sentences, the later part is the last two: counted by hand."""
    found = dict(zip(FINDING_FEATURES, finding_features(NULL), strict=True))
    assert found["null"] == pytest.approx(3 / 5)  # no significant difference; similar; p = 0.64
    assert found["null later"] == pytest.approx(3 / 2)
    assert found["negated later"] == pytest.approx(1 / 2)
    assert found["directed"] == 0
    found = dict(zip(FINDING_FEATURES, finding_features(POSITIVE), strict=True))
    assert found["directed later"] == pytest.approx(2 / 2)  # higher; improved
    assert found["null"] == 0
    assert finding_features("") == (0.0,) * len(FINDING_FEATURES)


def test_the_shipped_heads_go_with_the_wording() -> None:
    """Null findings make no likelier than positive ones do; fewer answers are open, fewer are given."""
    words = {word: word for word in ("yes", "no", "maybe")}
    assert decide(POSITIVE, words, load()).word == "yes"
    assert decide(NULL, {"yes": "A", "no": "B"}, load()).choice == "B"
    assert load().coverage == 500


def test_probabilities_are_the_softmax_of_the_logits() -> None:
    """Two features by hand, the others weightless; without maybe among the answers it takes no share."""
    weights = {"null": 2.0, "directed": -1.0}
    head = Head(features=FINDING_FEATURES, coefficients=tuple(weights.get(one, 0.0) for one in FINDING_FEATURES))
    never = Head(features=FINDING_FEATURES, coefficients=(0.0,) * len(FINDING_FEATURES), intercept=-30.0)
    made = decide(NULL, {"yes": "A", "no": "B"}, FindingHeads(fitted={}, no=head, maybe=never))
    assert made.word == "no"
    assert made.probability == pytest.approx(1 / (1 + math.exp(-2.0 * 3 / 5)))


def test_the_article_is_the_best_passage_s_document_in_its_order(evidence) -> None:
    """Passages of other documents of the same hospital, and of other hospitals, are not part of it."""
    released = evidence(("a", "Second part."), ("b", "Elsewhere."), ("a", "First part."), ("a", "Other document."))

    def cited(number: int, document: str, start: int):
        one = released.passages[number - 1]
        citation = one.passage.citation.model_copy(update={"document_id": document, "locator": f"char={start},99"})
        return one.model_copy(update={"passage": one.passage.model_copy(update={"citation": citation})})

    passages = (cited(1, "d1", 50), released.passages[1], cited(3, "d1", 0), cited(4, "d2", 0))
    assert article(released.model_copy(update={"passages": passages})) == "First part.\n\nSecond part."


def test_a_closed_question_about_a_study_is_decided_by_it(evidence) -> None:
    """And guidance by its direction, as before."""
    encoder, heads = ENCODERS.build("hashing"), load_heads()
    question = Question(text="Does treatment improve survival?")

    def concluded(text: str):
        released = evidence(("a", text))
        return conclude(
            question, released, read(question, released, encoder, heads.support), heads, quotes=2, share=0.2
        )

    made = concluded(NULL)
    expected = decide(NULL, {word: word for word in ("yes", "no", "maybe")}, load())
    assert made.verdict == expected
    assert made.confidence == expected.probability
    guided = concluded(GUIDANCE)
    assert guided.verdict is not None
    assert guided.confidence != guided.verdict.probability


def test_what_is_fitted_is_found_again() -> None:
    """Articles whose wording tells the answer: left out of the fit, all are decided rightly; with answers that have
    nothing to do with the wording, no more than always saying yes."""
    told = [Study(f"s{at}", NULL if at % 2 else POSITIVE, "no" if at % 2 else "yes") for at in range(60)]
    assert all(left_out(told))
    untold = [Study(f"s{at}", NULL if at % 2 else POSITIVE, "no" if at % 3 == 0 else "yes") for at in range(60)]
    assert sum(left_out(untold)) <= 40 + 3


def test_without_studies_every_answer_is_as_likely() -> None:
    """Nothing fitted, nothing preferred."""
    heads = fit_findings([])
    assert DEVIATION > 0
    assert (heads.no.intercept, heads.maybe.intercept, heads.coverage) == (0.0, 0.0, 0)
