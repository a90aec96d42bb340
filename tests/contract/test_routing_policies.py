"""The contract of `RoutingPolicy`, over every plug-in."""

from datetime import UTC, datetime

import numpy as np
import pytest

from fedrag.core.collection import CollectionDescription, EncoderIdentity, Prototype
from fedrag.core.errors import ConfigError
from fedrag.core.protocols import RoutingLimits
from fedrag.core.wire import ReleaseClass, encode_vector
from router.learning import Learned, Outcome
from router.policies import ROUTING_POLICIES

DIMENSION = 16
ENCODERS = tuple(
    EncoderIdentity(
        name=name,
        weights_sha256=digit * 64,
        precision="fp32",
        dimension=DIMENSION,
        maximum_tokens=64,
        languages=("en",),
    )
    for name, digit in (("ours", "a"), ("theirs", "b"))
)


TAUGHT = "mixture, taught"


@pytest.fixture(params=(*ROUTING_POLICIES.names, TAUGHT))
def policy(request):
    return taught() if request.param == TAUGHT else ROUTING_POLICIES.build(request.param)


def taught():
    """The policy that learns, after two hundred outcomes that have nothing to do with what anybody describes."""
    made, random = ROUTING_POLICIES.build("mixture"), np.random.default_rng(0)
    learned = Learned.beginning(ENCODERS[0].comparable_with, np.eye(DIMENSION, dtype=np.float32), np.ones(DIMENSION))
    for at in range(200):
        nodes = [f"n{node:03}" for node in random.choice(40, size=5, replace=False)]
        useful = {node: float(random.random() < 0.3) for node in nodes}
        learned = learned.after(Outcome(query(at), dict.fromkeys(nodes, 0.2), useful))
    return made.informed_by(learned)


def unit(vector: np.ndarray) -> np.ndarray:
    return (vector / np.linalg.norm(vector)).astype(np.float32)


def federation(nodes: int, seed: int) -> list[CollectionDescription]:
    """Random collections, some empty, some without prototypes, some under another encoder."""
    generator = np.random.default_rng(seed)
    collections = []
    for at in range(nodes):
        prototypes = tuple(
            Prototype(
                vector=encode_vector(0.7 * unit(generator.normal(size=DIMENSION))),
                mass=int(generator.integers(1, 60)),
                spread=float(generator.uniform(0, 0.3)),
            )
            for _ in range(generator.integers(0, 5))
        )
        collections.append(
            CollectionDescription(
                node=f"n{at:03}",
                collection="all",
                version=1,
                encoder=ENCODERS[int(generator.random() < 0.2)],
                release_class=ReleaseClass.PUBLIC,
                passages=sum(prototype.mass for prototype in prototypes)
                if prototypes
                else int(generator.integers(0, 2)),
                prototypes=prototypes,
                described_at=datetime(2026, 1, 1, tzinfo=UTC),
            )
        )
    return collections


def query(seed: int) -> np.ndarray:
    return unit(np.random.default_rng(1000 + seed).normal(size=DIMENSION))


@pytest.mark.parametrize("seed", range(20))
def test_a_decision_ranks_everyone_once_and_keeps_the_cap(policy, seed):
    """Every node in the ranking once, scores never rising, the selection a part of it in its order."""
    collections = federation(1 + 3 * seed, seed)
    cap = 1 + seed % 7
    decision = policy.route(query(seed), ENCODERS[0].comparable_with, collections, RoutingLimits(cap, 10))
    ranked = [one.node for one in decision.ranking]
    scores = [one.score for one in decision.ranking]
    assert sorted(ranked) == [one.node for one in collections]
    assert scores == sorted(scores, reverse=True)
    assert len(decision.selected) <= cap
    assert list(decision.selected) == [node for node in ranked if node in decision.selected]
    assert decision.selected
    assert decision.why.endswith(".")


@pytest.mark.parametrize("seed", range(5))
def test_the_order_in_which_collections_arrive_does_not_matter(policy, seed):
    """Shuffled input, equal decision."""
    collections = federation(25, seed)
    shuffled = [collections[at] for at in np.random.default_rng(seed).permutation(len(collections))]
    limits = RoutingLimits(6, 10)
    expected = policy.route(query(seed), ENCODERS[0].comparable_with, collections, limits)
    assert policy.route(query(seed), ENCODERS[0].comparable_with, shuffled, limits) == expected


def test_an_empty_catalogue_is_an_empty_decision_that_says_so(policy):
    """Nobody to ask is not an error."""
    decision = policy.route(query(0), ENCODERS[0].comparable_with, [], RoutingLimits(10, 10))
    assert (decision.ranking, decision.selected) == ((), ())
    assert decision.why == "No hospital has described a collection."


def test_a_decision_names_its_policy(policy, request):
    """The name in the configuration is the name in the answer."""
    decision = policy.route(query(0), ENCODERS[0].comparable_with, [], RoutingLimits(10, 10))
    assert decision.policy in ROUTING_POLICIES.names
    assert type(ROUTING_POLICIES.build(decision.policy)) is type(policy)


@pytest.mark.parametrize(
    ("name", "settings"),
    [("psychic", {}), ("prototypes", {"coverge": 0.9}), ("mixture", {"width": 0}), ("broadcast", {"x": 1})],
)
def test_an_unknown_policy_or_setting_fails_loudly(name, settings):
    """Nothing misspelt is ignored."""
    with pytest.raises(ConfigError):
        ROUTING_POLICIES.build(name, settings)


def test_broadcast_asks_everyone_in_the_order_of_names_whatever_they_claim():
    """The first by name under a cap, and the same for every question."""
    policy = ROUTING_POLICIES.build("broadcast")
    collections = federation(9, 3)
    everyone = policy.route(query(1), ENCODERS[0].comparable_with, collections, RoutingLimits(9, 10))
    assert everyone.selected == tuple(f"n{at:03}" for at in range(9))
    capped = [
        policy.route(query(at), ENCODERS[0].comparable_with, collections, RoutingLimits(4, 10)) for at in range(5)
    ]
    assert {one.selected for one in capped} == {("n000", "n001", "n002", "n003")}
    assert "4 of 9" in capped[0].why
