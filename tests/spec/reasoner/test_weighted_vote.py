"""Several sources' own answers become one: FERA's weights, calibrated weights, answer sets with an error rate."""

import math

import numpy as np
import pytest

from reasoner.answer_sets import answer_set, threshold
from reasoner.source_answer import SourceAnswer, admissions
from reasoner.training.fit_votes import Judged, fit_votes, whole
from reasoner.vote_model import VoteModel, feature_names, features
from reasoner.weighted_vote import fera_weights, weighted_vote

OPTIONS = {"A": "one", "B": "two", "C": "three"}


def test_weights_are_the_published_softmax() -> None:
    """w_i = exp(-u_i / τ) / Σ exp(-u_j / τ), written out by hand; a source without an answer has none."""
    said = {"x": SourceAnswer("A", uncertainty=0.1), "y": SourceAnswer("B", uncertainty=0.9), "z": SourceAnswer(None)}
    total = math.exp(-0.1 / 0.5) + math.exp(-0.9 / 0.5)
    assert fera_weights(said, 0.5) == pytest.approx({"x": math.exp(-0.2) / total, "y": math.exp(-1.8) / total})


def test_equal_weights_are_majority_vote() -> None:
    """Where somebody states no uncertainty every source counts the same, and the most frequent choice wins."""
    said = {"x": SourceAnswer("A", uncertainty=0.0), "y": SourceAnswer("B"), "z": SourceAnswer("B")}
    share = weighted_vote(said, fera_weights(said, 1.0), OPTIONS)
    assert share == pytest.approx({"A": 1 / 3, "B": 2 / 3, "C": 0.0})


def test_nobody_chose() -> None:
    """Without a choice there is no weight, and no option is preferred by any rule."""
    said = {"x": SourceAnswer(None), "y": SourceAnswer("Z")}
    assert weighted_vote({"x": SourceAnswer(None)}, {}, OPTIONS) == {"A": 0.0, "B": 0.0, "C": 0.0}
    assert weighted_vote(said, fera_weights(said, 1.0), OPTIONS) == {"A": 0.0, "B": 0.0, "C": 0.0}
    model = VoteModel(sources=("x",), coefficients=(2.0, 0.0, 0.0), judged=1)
    assert model.probabilities({}, OPTIONS) == pytest.approx({"A": 1 / 3, "B": 1 / 3, "C": 1 / 3})
    assert model.probabilities({}, {}) == {}


@pytest.mark.parametrize(
    ("trace", "gaps"),
    [
        ("The documents do not mention the dose, so it remains unclear.", 2),
        ("None of the options is supported; there is insufficient evidence.", 2),
        ("It doesn't directly address children.", 1),
        ("Aspirin is not given with warfarin here.", 1),
        ("The potassium is above 6.5, which needs an ECG at once.", 0),
        ("", 0),
    ],
)
def test_a_chain_of_thought_admits_gaps(trace: str, gaps: int) -> None:
    """What says that something is missing, is not given or is unclear counts, once for each place."""
    assert admissions(trace) == gaps
    assert SourceAnswer.of("A", trace).gaps == gaps


def test_features_are_in_the_order_of_their_names() -> None:
    """Two sources that both chose B, one of them with a gap: read off by name."""
    said = {"x": SourceAnswer("B", uncertainty=0.25), "y": SourceAnswer.of("B", "No evidence was found.")}
    names, rows = feature_names(("x", "y")), features(("x", "y"), said, ["A", "B"])
    assert dict(zip(names, rows[1], strict=True)) == {
        "x": 1.0,
        "y": 1.0,
        "x and y": 1.0,
        "x admits a gap": 0.0,
        "y admits a gap": 1.0,
        "x's uncertainty": 0.25,
        "y's uncertainty": 0.0,
    }
    assert not rows[0].any()


def _asked(number: int, reliable: float, seed: int = 5) -> list[Judged]:
    """One source that is right in `reliable` of the cases, two copies of one source that is right in half of them."""
    chance, cases = np.random.default_rng(seed), []
    for _ in range(number):
        right = str(chance.choice(list("ABC")))
        wrong = [letter for letter in "ABC" if letter != right]
        good = right if chance.random() < reliable else str(chance.choice(wrong))
        poor = right if chance.random() < 0.5 else str(chance.choice(wrong))
        cases.append(
            Judged(
                {"good": SourceAnswer(good), "copy1": SourceAnswer(poor), "copy2": SourceAnswer(poor)}, OPTIONS, right
            )
        )
    return cases


def test_two_copies_do_not_outvote_a_better_source() -> None:
    """A majority follows the copies and is right in half of the cases; the calibrated vote is right as often as the
    best source, and its probability is what it comes true with."""
    learned, asked = _asked(600, 0.8), _asked(2000, 0.8, seed=6)
    model = fit_votes(("good", "copy1", "copy2"), learned)
    given = [model.probabilities(one.answers, one.options) for one in asked]
    right = [max(made, key=lambda option: made[option]) == one.right for made, one in zip(given, asked, strict=True)]
    majority = [one.answers["copy1"].choice == one.right for one in asked]
    assert np.mean(majority) < 0.55
    assert np.mean(right) > 0.78
    stated = [max(made.values()) for made in given]
    assert abs(np.mean(stated) - np.mean(right)) < 0.03


def test_a_liar_that_is_sure_of_itself_is_found_out() -> None:
    """It says uncertainty zero and is always wrong: FERA's weights follow it, the calibrated vote loses nothing."""
    honest, chance = _asked(800, 0.7), np.random.default_rng(9)
    lying = []
    for one in honest:
        said = {name: SourceAnswer(heard.choice, uncertainty=1.0) for name, heard in one.answers.items()}
        wrong = str(chance.choice([letter for letter in "ABC" if letter != one.right]))
        lying.append(Judged(said | {"liar": SourceAnswer(wrong, uncertainty=0.0)}, OPTIONS, one.right))
    followed = [weighted_vote(one.answers, fera_weights(one.answers, 0.2), OPTIONS)[one.right] > 0.5 for one in lying]
    model = fit_votes(("good", "copy1", "copy2", "liar"), lying[:400])
    alone = fit_votes(("good", "copy1", "copy2"), honest[:400])

    def accuracy(made: VoteModel, cases: list[Judged]) -> float:
        chosen = [made.probabilities(one.answers, one.options) for one in cases]
        return float(np.mean([max(p, key=lambda o: p[o]) == one.right for p, one in zip(chosen, cases, strict=True)]))

    assert np.mean(followed) < 0.1
    assert accuracy(model, lying[400:]) >= accuracy(alone, honest[400:]) - 0.01


def test_before_anything_was_judged_nothing_is_believed() -> None:
    """With no judged question every option is as likely as the others, whoever says what."""
    model = fit_votes(("x",), [])
    assert model.judged == 0
    assert model.probabilities({"x": SourceAnswer("A")}, OPTIONS) == pytest.approx(dict.fromkeys(OPTIONS, 1 / 3))


def test_answer_sets_miss_as_often_as_they_say() -> None:
    """Split conformal: over many draws of calibration and question, misses are at most the stated error, and not much
    less where probabilities differ."""
    chance = np.random.default_rng(3)
    missed = []
    for _ in range(400):
        drawn = chance.beta(4, 2, size=201)
        missed.append(float(drawn[200] < threshold(drawn[:200].tolist(), 0.2)))
    assert 0.13 < np.mean(missed) <= 0.25


def test_answer_sets_promise_nothing_without_calibration() -> None:
    """Too few judged questions for the error asked: every option belongs. The likeliest always does."""
    assert threshold([0.9, 0.8], 0.1) == 0.0
    assert answer_set({"A": 0.2, "B": 0.5, "C": 0.3}, 0.0) == ("B", "C", "A")
    assert answer_set({"A": 0.2, "B": 0.5, "C": 0.3}, 0.9) == ("B",)
    assert answer_set({"A": 0.2, "B": 0.5, "C": 0.3}, 0.3) == ("B", "C")


def test_without_a_source_the_vote_is_one_fitted_without_it() -> None:
    """Who was not heard is not silent: the same as a vote that never knew it, and as sure as it is right. Counted as
    silence it would be too little sure."""
    learned = _asked(600, 0.8)
    model = whole(fit_votes(("good", "copy1", "copy2"), learned), learned)
    apart = fit_votes(("copy1", "copy2"), learned)
    copies = [{name: heard for name, heard in one.answers.items() if name != "good"} for one in learned]
    given = [model.probabilities(said, OPTIONS) for said in copies]
    for made, said in zip(given[:50], copies, strict=False):
        assert made == pytest.approx(apart.probabilities(said, OPTIONS))
    right = np.mean([one.answers["copy1"].choice == one.right for one in learned])
    silent = [max(model.probabilities(said | {"good": SourceAnswer(None)}, OPTIONS).values()) for said in copies]
    assert np.mean([max(made.values()) for made in given]) == pytest.approx(right, abs=0.01)
    assert abs(np.mean(silent) - right) > 0.03


def test_how_often_each_agreed_is_counted() -> None:
    """The copies agree always; each of three sources chose in each of 300 questions; where the copies lead, the good
    source agrees as often as it does."""
    learned = _asked(300, 0.8)
    model = whole(fit_votes(("good", "copy1", "copy2"), learned), learned)
    agreed = sum(one.answers["good"].choice == one.answers["copy1"].choice for one in learned)
    totals = {name: tuple(map(sum, zip(*of, strict=True))) for name, of in model.usual.items()}
    assert totals["good"] == (agreed, 300)
    assert all(of == 300 for _, of in totals.values())


def test_of_nine_sources_one_may_be_missing() -> None:
    """Eight are few enough for pairs to be looked at, nine are not."""
    names = tuple("abcdefghi")
    chance = np.random.default_rng(4)
    cases = [
        Judged({name: SourceAnswer(str(chance.choice(list("ABC")))) for name in names}, OPTIONS, "A") for _ in range(30)
    ]
    model = whole(fit_votes(names, cases), cases)
    said = {name: SourceAnswer("A") for name in names[1:]}
    assert len(model.fewer) == 9
    assert model.probabilities(said, OPTIONS) == fit_votes(names[1:], cases).probabilities(said, OPTIONS)
