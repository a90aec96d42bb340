"""Whom the `mixture` policy asks. Two dimensions do: a query along x, collections along x or y."""

from dataclasses import replace

import numpy as np
import pytest

from fedrag.core.protocols import RoutingLimits
from router.learning import Learned
from router.policies import ROUTING_POLICIES

QUERY, ACROSS = np.array([[1, 0, 0], [0, 1, 0]], dtype=np.float32)
NEAR, FAR = [0.8, 0, 0], [0.1, 0.6, 0]
LIMITS = RoutingLimits(maximum_nodes=100, passages=10)


def policy(**settings):
    """Not asking everybody where prototypes lie alike, which a test of its own is about."""
    return ROUTING_POLICIES.build("mixture", {"exploration": 0, "telling": 0, **settings})


def route(made, collections, ours, query=QUERY, limits=LIMITS):
    return made.route(query, ours, collections, limits)


def taught(made, collections, ours, useful, times=30, query=QUERY):
    cells = np.concatenate([np.eye(3), np.eye(3) + 0.1 * np.roll(np.eye(3), 1, axis=0)]).astype(np.float32)
    learned = Learned.beginning(ours, cells, np.ones(6))
    for _ in range(times):
        learned = learned.after(made.outcome(query, ours, collections, useful))
    return learned


def test_the_fewest_that_hold_what_helps_are_asked(describe, ours):
    """One of ten holds what the question is like."""
    collections = [describe("h0", (NEAR, 100, 0.05))]
    collections += [describe(f"h{at}", (FAR, 100, 0.05)) for at in range(1, 10)]
    decision = route(policy(), collections, ours)
    assert decision.selected == ("h0",)
    assert decision.ranking[0].probability > 0.97
    assert decision.why.startswith("1 of 10 hospitals are asked: the fewest that promise 98%")


def test_the_fewest_that_cover_the_share_are_asked(describe, ours):
    """Shares 60, 30, 9 and 1 of a hundred: 85 % needs two, 95 % three, 99.5 % all four."""
    masses = {"a": 60, "b": 30, "c": 9, "d": 1}
    collections = [describe(node, (NEAR, 10 * mass, 0.05)) for node, mass in masses.items()]
    for coverage, nodes in ((0.85, 2), (0.95, 3), (0.995, 4)):
        assert route(policy(coverage=coverage, background=0), collections, ours).selected == tuple(masses)[:nodes]


def test_experience_overrules_a_description(describe, ours):
    """Both promise the same; one has never helped. A hospital that came since starts as everybody does on average."""
    collections = [describe("a", (NEAR, 100, 0.05)), describe("b", (NEAR, 100, 0.05))]
    learned = taught(policy(), collections, ours, {"a": 0.0, "b": 1.0})
    wise = policy().informed_by(learned)
    assert route(wise, collections, ours).selected == ("b",)
    newcomer = [*collections, describe("c", (NEAR, 100, 0.05))]
    decision = route(wise, newcomer, ours)
    assert [one.node for one in decision.ranking] == ["b", "c", "a"]
    assert decision.selected == ("b", "c")
    assert "30 answers in which one helped" in decision.why


def test_experience_under_another_encoder_is_not_used(describe, ours):
    """Its cells mean something else."""
    collections = [describe("a", (NEAR, 100, 0.05)), describe("b", (NEAR, 100, 0.05))]
    learned = Learned.beginning("another", np.eye(3, dtype=np.float32), np.ones(3))
    learned = learned.after(policy().outcome(QUERY, ours, collections, {"a": 0.0, "b": 1.0}))
    plain, wise = (route(one, collections, ours) for one in (policy(), policy().informed_by(learned)))
    assert plain.ranking == wise.ranking


def test_a_hospital_described_in_words_is_raised_by_words_like_the_question(describe, ours):
    """Another encoder, no prototypes: the prior, and of two the one whose text lies nearer to the question first."""
    words = {"hearts": np.array([0.8, 0.6, 0], np.float32), "skin": np.array([0, 1, 0], np.float32)}
    collections = [
        describe(node, passages=9, encoder="theirs").model_copy(update={"text": text})
        for node, text in (("dermatology", "skin"), ("cardiology", "hearts"))
    ]
    plain = route(policy(), collections, ours)
    assert [one.probability for one in plain.ranking] == pytest.approx([0.3, 0.3])
    worded = route(policy().informed_by(None, words), collections, ours)
    assert [one.node for one in worded.ranking] == ["cardiology", "dermatology"]
    assert worded.ranking[0].probability > 0.3 > worded.ranking[1].probability
    assert route(policy().informed_by(None, words), collections, ours, query=ACROSS).ranking[0].node == "dermatology"


def test_a_hospital_that_cannot_be_compared_learns_its_place(describe, ours):
    """Nothing but outcomes tells what it holds, and that is enough."""
    collections = [describe("known", (NEAR, 100, 0.05)), describe("words", passages=9)]
    learned = taught(policy(), collections, ours, {"known": 0.0, "words": 1.0}, query=QUERY)
    learned_more = learned
    for _ in range(30):
        learned_more = learned_more.after(policy().outcome(ACROSS, ours, collections, {"known": 0.0, "words": 0.0}))
    wise = policy().informed_by(learned_more)
    assert route(wise, collections, ours).ranking[0].node == "words"
    across = {one.node: one.probability for one in route(wise, collections, ours, query=ACROSS).ranking}
    assert across["words"] < 0.1


def test_exploration_asks_who_was_asked_least_at_its_rate(describe, ours):
    """Of 2,000 questions a tenth explore, never beyond the cap, and it is the hospital nobody knows."""
    collections = [
        describe("good", (NEAR, 500, 0.05)),
        describe("new", (FAR, 5, 0.05)),
        describe("old", (FAR, 5, 0.05)),
    ]
    learned = taught(policy(), collections, ours, {"good": 1.0, "old": 0.0})
    curious = policy(exploration=0.1, coverage=0.8).informed_by(learned)
    random = np.random.default_rng(0)
    extra = []
    for _ in range(2000):
        query = np.append([1.0], random.normal(scale=0.01, size=2)).astype(np.float32)
        query /= np.linalg.norm(query)
        asked = route(curious, collections, ours, query=query).selected
        extra += [node for node in asked if node != "good"]
        assert route(curious, collections, ours, query=query, limits=RoutingLimits(1, 10)).selected == ("good",)
    assert set(extra) == {"new"}
    assert 150 < len(extra) < 250


def test_the_cap_is_hard_and_said(describe, ours):
    """The best seven of thirty, in order."""
    collections = [describe(f"h{at:02}", (FAR, 50 + at, 0.1)) for at in range(30)]
    decision = route(policy(), collections, ours, limits=RoutingLimits(7, 10))
    assert decision.selected == tuple(f"h{at}" for at in range(29, 22, -1))
    assert "as many as the cap allows of" in decision.why


def test_a_large_federation_is_told_of_the_first_few(describe, ours):
    """200 hospitals, 64 ranked; the scores go on where those of all of them do."""
    collections = [describe(f"h{at:03}", (NEAR, 1 + at, 0.05)) for at in range(200)]
    few = route(policy(coverage=0.1), collections, ours)
    everyone = route(policy(coverage=0.1, told=200), collections, ours)
    assert (len(few.ranking), len(everyone.ranking)) == (64, 200)
    assert few.ranking == everyone.ranking[:64]
    assert few.selected == everyone.selected


def test_outcomes_are_of_those_asked_and_promise_what_the_description_does(describe, ours):
    """Not what was already corrected: a correction must not correct itself."""
    collections = [describe("a", (NEAR, 100, 0.05)), describe("b", (NEAR, 100, 0.05)), describe("c", (FAR, 9, 0.05))]
    learned = taught(policy(), collections, ours, {"a": 0.0, "b": 1.0})
    outcome = policy().informed_by(learned).outcome(QUERY, ours, collections, {"a": 1.0, "left": 1.0})
    assert outcome.expected == pytest.approx({"a": 0.49 + 0.02 / 3}, rel=0.01)
    assert outcome.useful == {"a": 1.0}


def test_where_descriptions_tell_nothing_near_the_question_everyone_is_asked(describe, ours):
    """Four hospitals alike along x, large and small; two others that have a place of their own. Only a question along
    x is put to all."""
    collections = [describe(f"x{at}", (NEAR, 10 + 300 * (at == 0), 0.05)) for at in range(4)]
    collections += [describe("y", ([0, 0.9, 0], 50, 0.05)), describe("z", ([0, 0, 0.9], 50, 0.05))]
    along, across = (route(policy(telling=0.33), collections, ours, query=query) for query in (QUERY, ACROSS))
    assert len(along.selected) == 6
    assert "hardly tell them apart" in along.why
    assert across.selected == ("y",)
    assert len(route(policy(telling=0), collections, ours).selected) < 6


def test_a_target_of_the_question_takes_the_place_of_the_policys_own(describe, ours):
    """Shares 60, 30, 9 and 1; the fewest that reach the target, but no fewer than asked for, under the cap."""
    masses = {"a": 60, "b": 30, "c": 9, "d": 1}
    collections = [describe(node, (NEAR, 10 * mass, 0.05)) for node, mass in masses.items()]
    made = policy(coverage=0.95, background=0)
    for limits, nodes in (
        (RoutingLimits(9, 10, target=0.5), 1),
        (RoutingLimits(9, 10, target=0.999), 4),
        (RoutingLimits(9, 10, target=0.5, minimum_nodes=3), 3),
        (RoutingLimits(2, 10, target=0.999, minimum_nodes=3), 2),
    ):
        assert len(route(made, collections, ours, limits=limits).selected) == nodes


def test_who_wants_more_passages_asks_further_away(describe, ours):
    """The second hospital is some way off: left out for one passage, asked for fifty."""
    collections = [describe("near", ([0.9, 0, 0], 100, 0.05)), describe("off", ([0.7, 0.2, 0], 100, 0.05))]
    made = policy(coverage=0.9, background=0)
    asked = [len(route(made, collections, ours, limits=RoutingLimits(9, passages)).selected) for passages in (1, 50)]
    assert asked == [1, 2]


def test_padding_asks_as_many_whatever_the_question_and_the_same_for_the_same_one(describe, ours):
    """One of twenty is worth asking; five are asked, who else being drawn anew for another question, never the one that
    holds nothing, and never above the cap."""
    collections = [describe("h00", (NEAR, 100, 0.05)), describe("empty", passages=0)]
    collections += [describe(f"h{at:02}", (FAR, 100, 0.05)) for at in range(1, 20)]
    random, drawn = np.random.default_rng(0), set()
    for _ in range(40):
        query = np.append([1.0], random.normal(scale=0.01, size=2)).astype(np.float32)
        query /= np.linalg.norm(query)
        first, again = (route(policy(padded=5), collections, ours, query=query) for _ in range(2))
        assert first.selected == again.selected
        assert len(first.selected) == 5
        assert "h00" in first.selected
        drawn |= set(first.selected)
        assert len(route(policy(padded=5), collections, ours, query=query, limits=RoutingLimits(3, 10)).selected) == 3
    assert len(drawn) > 15
    assert "empty" not in drawn


def test_what_is_derived_again_is_what_would_be_derived_from_nothing(describe, ours):
    """One hospital of thirty describes itself anew, one leaves, one comes: the policy that knew the others decides as
    one that never did."""
    random = np.random.default_rng(1)

    def described(at, version):
        means = random.normal(size=(3, 3))
        return describe(
            f"h{at:02}", *[((0.8 * one / np.linalg.norm(one)).tolist(), 20, 0.05) for one in means], version=version
        )

    before = [described(at, 1) for at in range(30)]
    after = [*before[1:7], described(7, 2), *before[8:], described(30, 1)]
    old = policy()
    route(old, before, ours)
    for _ in range(5):
        query = random.normal(size=3)
        query = (query / np.linalg.norm(query)).astype(np.float32)
        assert route(old, after, ours, query=query) == route(policy(), after, ours, query=query)


def test_a_line_over_the_cells_is_learned_of_those_that_cannot_be_compared_alone(describe, ours):
    """And moves their probability towards what it says."""
    collections = [describe("known", (NEAR, 100, 0.05)), describe("words", passages=9, encoder="theirs")]
    learned = taught(policy(), collections, ours, {"known": 1.0, "words": 0.0})
    assert learned.regressions.nodes == ("words",)
    wise = {one.node: one.probability for one in route(policy().informed_by(learned), collections, ours).ranking}
    plain = replace(learned, regressions=None)
    counts = {one.node: one.probability for one in route(policy().informed_by(plain), collections, ours).ranking}
    assert wise["known"] == counts["known"]
    assert wise["words"] < counts["words"]
