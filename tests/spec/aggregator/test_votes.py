"""The vote and its certificate. Oracle: every lie of every set of liars that a grid of claims allows, tried out."""

from itertools import combinations, product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aggregator.votes import certify, tally, withstands
from aggregator.weights import source_weights
from fedrag.core.answer import Evidence, Reliability

SILENT = object()
BOASTS = (0.0, 1e-6, 0.02, 0.1, 0.3, 1.0, 3.0, 10.0, 1e9)
"""Claims a liar may make, beside silence."""


def winner(claims, votes):
    """None where two choices have the same weight."""
    totals = sorted(tally(source_weights(claims), votes).items(), key=lambda item: -item[1])
    if not totals or (len(totals) > 1 and totals[0][1] - totals[1][1] <= 1e-9):
        return None
    return totals[0][0]


def can_be_changed(claims, votes, choice, liars):
    """Whether some set of that many sources, each silent or with some claim and vote, makes another choice win, or
    none."""
    rivals = [*sorted({vote for vote in votes.values() if vote not in (None, choice)}), "never said"]
    for false in combinations(sorted(claims), liars):
        honest = {node: claim for node, claim in claims.items() if node not in false}
        for said in product([SILENT, *product(BOASTS, rivals)], repeat=liars):
            told = {node: what for node, what in zip(false, said, strict=True) if what is not SILENT}
            all_claims = honest | {node: claim for node, (claim, _) in told.items()}
            all_votes = {node: votes.get(node) for node in honest} | {node: vote for node, (_, vote) in told.items()}
            if winner(all_claims, all_votes) != choice:
                return True
    return False


elections = st.lists(
    st.tuples(
        st.sampled_from([0.0, 0.01, 0.2, 0.5, 1.0, 1.3, 2.0, 7.0]) | st.floats(0.001, 12),
        st.sampled_from(["A", "A", "A", "B", "C", None]),
    ),
    min_size=1,
    max_size=7,
)


def named(election):
    claims = {f"h{at}": claim for at, (claim, _) in enumerate(election)}
    return claims, {f"h{at}": vote for at, (_, vote) in enumerate(election)}


@settings(max_examples=300, deadline=None)
@given(election=elections)
def test_no_lie_of_one_source_changes_a_certified_choice(election):
    """And where one is not withstood, some lie does change it: the rule gives nothing away."""
    claims, votes = named(election)
    choice = winner(claims, votes)
    if choice is None:
        return
    assert can_be_changed(claims, votes, choice, 1) is (withstands(claims, votes, choice) < 1)


@settings(max_examples=25, deadline=None)
@given(election=elections.filter(lambda made: 3 <= len(made) <= 5))
def test_two_liars_can_always_change_a_choice(election):
    """They may hold two thirds of the weight, so nothing withstands them, and the certificate never says so."""
    claims, votes = named(election)
    choice = winner(claims, votes)
    if choice is None:
        return
    assert withstands(claims, votes, choice) <= 1
    assert can_be_changed(claims, votes, choice, 2)


@pytest.mark.parametrize(
    ("claims", "votes", "expected"),
    [
        ("1 ", "A", 0),
        ("1 1", "AA", 0),  # one liar holds half
        ("1 1 1", "AAA", 1),  # 2/3 against 1/3
        ("1 1 1", "AAB", 0),
        ("1 1 1 1", "AAAA", 1),
        ("1 1 1 1 1", "AAAAB", 0),  # 1/2 - 1/6 is no more than 1/3: a tie at best
        ("1 1 1 1 1 1", "AAAAAB", 1),  # 8/15 - 2/15 = 2/5
        ("9 1 1 1", "AAA-", 1),  # without the first, A keeps 4/9, the liar has 1/3, the rest abstains
        ("9 1 1 2", "AAA-", 0),  # 1/3 against 1/3
    ],
)
def test_hand_computed_certificates(claims, votes, expected):
    """By pencil; a dash abstains."""
    numbers = {f"h{at}": float(claim) for at, claim in enumerate(claims.split())}
    said = {f"h{at}": None if vote == "-" else vote for at, vote in enumerate(votes)}
    assert withstands(numbers, said, "A") == expected


def test_the_capped_weights_alone_do_not_tell():
    """Two elections with the same weights, one certified: what a source claims beyond the cap decides how much of its
    weight a liar takes from it, and how much from the others."""
    votes = {"a": "A", "b": "A", "c": "A", "d": None, "e": "A", "f": "A"}
    loud, modest = ({**dict.fromkeys("abcef", 1.0), "d": claim} for claim in (1000.0, 2.5))
    assert source_weights(loud) == pytest.approx(source_weights(modest))
    # Without a, and with a liar's third: d keeps 1/3 of 2/3, or gives way to 2.5 / 6.5 of it.
    assert (withstands(loud, votes, "A"), withstands(modest, votes, "A")) == (0, 1)


@pytest.fixture
def evidence(passage):
    def make(**claims: tuple[float, ...]) -> Evidence:
        stated = [(node, claim) for node, given in claims.items() for claim in given]
        passages = tuple(
            passage(number, node, "Text.").model_copy(update={"probability": claim})
            for number, (node, claim) in enumerate(stated, start=1)
        )
        sums = {node: sum(given) for node, given in claims.items()}
        return Evidence(passages=passages, source_weights=source_weights(sums), few_sources=False, method="m")

    return make


def test_the_certificate_tells_vote_weights_and_agreement(evidence):
    """Four of equal weight for A, one silent in between; the answer says B."""
    made = certify(evidence(a=(0.4, 0.4), b=(0.8,), c=(0.8,), d=(0.8,), e=(0.8,)), dict.fromkeys("abcd", "A"), "B")
    assert made is not None
    assert (made.choice, made.agrees, made.withstands) == ("A", False, 1)
    assert made.votes == {"a": "A", "b": "A", "c": "A", "d": "A", "e": None}
    assert made.weights == pytest.approx({"A": 0.8})
    assert made.explanation == (
        "Read one by one, the hospitals choose A with 0.80 of their weight; no single hospital could have changed that "
        "by anything said, while the others' passages stay as they are; the answer is another: B."
    )


def test_a_choice_that_one_hospital_could_change_is_told_as_such(evidence):
    """Two against one, and the answer is the same."""
    made = certify(evidence(a=(0.5,), b=(0.5,), c=(0.5,)), {"a": "yes", "b": "yes", "c": "no"}, "yes")
    assert made is not None
    assert (made.agrees, made.withstands) == (True, 0)
    assert "one hospital could have changed that; the answer is the same." in made.explanation


@pytest.mark.parametrize("votes", [{}, {"a": None, "b": None}, {"a": "A", "b": "B"}], ids=["none", "silent", "tie"])
def test_where_votes_decide_nothing_there_is_no_certificate(evidence, votes):
    """Without votes, with empty ones, and when the best two are equal."""
    assert certify(evidence(a=(0.5,), b=(0.5,)), votes, "A") is None


def test_learned_reliability_counts_in_the_certificate_as_in_the_weights(evidence):
    """a abstains. At its claim a liar's third leaves 1/6 each to c and d; at a quarter of it 0.48 together."""
    plain, votes = evidence(a=(0.9,), b=(0.3,), c=(0.3,), d=(0.3,)), dict.fromkeys("bcd", "B")
    distrusted = {"a": Reliability(mean=0.125, outcomes=40)}
    weights = source_weights({"a": 0.9, "b": 0.3, "c": 0.3, "d": 0.3}, distrusted)
    weighed = plain.model_copy(update={"reliability": distrusted, "source_weights": weights})
    before, after = certify(plain, votes, "B"), certify(weighed, votes, "B")
    assert (before.withstands, after.withstands) == (0, 1)
    assert after.weights["B"] == pytest.approx(0.9 / (0.9 + 0.9 / 4))
