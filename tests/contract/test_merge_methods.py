"""The contract of `MergeMethod`, over every plug-in."""

import numpy as np
import pytest

from aggregator.methods import MERGE_METHODS
from fedrag.core.errors import ConfigError
from fedrag.core.exchange import Offer, Similarity
from fedrag.core.protocols import NodeOffer
from fedrag.core.sketch import sketch_of

SETTINGS = ({}, {"diversity": 4, "per_node_maximum": 3})


@pytest.fixture(params=[(name, settings) for name in MERGE_METHODS.names for settings in SETTINGS], ids=str)
def method(request):
    return MERGE_METHODS.build(*request.param)


def offers(nodes: int, each: int, seed: int) -> list[NodeOffer]:
    """Random offers of three encoders and none, coarse so that there are ties, some of them copies of each other."""
    random = np.random.default_rng(seed)
    made = []
    for at in range(nodes):
        encoder = ("x", "y", "z", None)[random.integers(4)]
        routed = round(float(random.random()), 1)
        for rank in range(1, each + 1):
            topic = int(random.integers(30))
            made.append(
                NodeOffer(
                    f"n{at:02}",
                    Offer(
                        handle=f"{at:032}{rank:032}",
                        rank=rank,
                        probability=round(float(random.random()), 1),
                        similarity=Similarity(value=round(float(random.random()), 1), comparable_with=encoder)
                        if encoder
                        else None,
                        sketch=sketch_of(f"passage number {topic} of the common leaflet about topic {topic}")
                        if encoder
                        else None,
                    ),
                    routed,
                )
            )
    return made


@pytest.mark.parametrize("seed", range(10))
def test_the_order_in_which_offers_arrive_does_not_matter(method, seed):
    """Any permutation of the same offers has the same winners in the same order."""
    made = offers(8, 6, seed)
    order = np.random.default_rng(seed).permutation(len(made))
    assert method.merge(made, 10) == method.merge([made[at] for at in order], 10)


@pytest.mark.parametrize("seed", range(5))
def test_winners_are_offers_that_were_made_each_once_and_at_most_k(method, seed):
    """For every k, and fewer winners are the beginning of more."""
    made = offers(6, 5, seed)
    known = {(one.node, one.offer.handle) for one in made}
    longest = [(one.node, one.offer.handle) for one in method.merge(made, 1000)]
    assert len(longest) == len(set(longest))
    assert set(longest) <= known
    for k in range(len(longest) + 1):
        assert [(one.node, one.offer.handle) for one in method.merge(made, k)] == longest[:k]


@pytest.mark.parametrize("seed", range(5))
def test_no_hospital_holds_its_own_passage_also(method, seed):
    """`also_held_by` names other hospitals that made an offer, in order, each once."""
    made = offers(6, 5, seed)
    for winner in method.merge(made, 10):
        assert list(winner.also_held_by) == sorted({*winner.also_held_by} - {winner.node})
        assert {*winner.also_held_by} <= {one.node for one in made}


@pytest.mark.parametrize("name", MERGE_METHODS.names)
def test_a_method_knows_the_name_it_is_configured_by(name):
    """The evidence states it."""
    assert MERGE_METHODS.build(name).name == name


def test_no_offers_no_winners(method):
    """Nobody offered anything."""
    assert method.merge([], 10) == ()


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("magic", {}),
        ("comparable", {"per_node_maximum": 0}),
        ("comparable", {"resemblence": 0.9}),
        ("comparable", {"resemblance": 0.1}),
        ("comparable", {"diversity": -1}),
        ("comparable", {"routing_weight": 1}),
        ("probabilistic", {"routing_weight": -1}),
        ("probabilistic", {"routing_weight": float("inf")}),
    ],
)
def test_an_unknown_method_or_setting_fails_loudly(name, settings):
    """Nothing misspelt or out of range is ignored."""
    with pytest.raises(ConfigError):
        MERGE_METHODS.build(name, settings)
