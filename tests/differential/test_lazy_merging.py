"""Winners found by sorting no more than needed are those of sorting everything. Oracle: everything sorted, each offer
held against each winner in turn."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from aggregator.methods import MERGE_METHODS
from aggregator.methods.comparable import places_of
from fedrag.core.exchange import Offer, Similarity
from fedrag.core.protocols import NodeOffer, Winner
from fedrag.core.sketch import part_of, sketch_of

SKETCHES = [
    sketch_of(text, key, name)
    for topic in range(12)
    for text in (
        f"wash hands before touching wound number {topic} of any patient on this ward",
        f"wash hands before touching wound number {topic} of any patient on this ward, and nurses carry gloves",
    )
    for key, name in ((b"", ""), (b"a key", "epoch-1"))
]


def comparable(offers: Sequence[NodeOffer]) -> list[NodeOffer]:
    """Every group sorted and placed, then all sorted."""
    groups: dict[str, list[NodeOffer]] = {}
    for one in offers:
        groups.setdefault(f"={one.offer.similarity.comparable_with}" if one.offer.similarity else "", []).append(one)
    if len(groups) == 1:
        return sorted(offers, key=_within_group)
    ordered = {name: sorted(group, key=_within_group) for name, group in sorted(groups.items())}
    placed = []
    for name, places in places_of(ordered).items():
        placed += [(-place, name, at, one) for at, (place, one) in enumerate(zip(places, ordered[name], strict=True))]
    return [one for *_, one in sorted(placed, key=lambda item: item[:3])]


def _within_group(one: NodeOffer) -> tuple[float, float, str, int, str]:
    offer = one.offer
    if offer.similarity:
        return -offer.similarity.value, 0, one.node, offer.rank, offer.handle
    return -offer.probability, offer.rank, one.node, offer.rank, offer.handle


def probabilistic(offers: Sequence[NodeOffer]) -> list[NodeOffer]:
    return sorted(
        offers, key=lambda one: (-one.routed * one.offer.probability, one.offer.rank, one.node, one.offer.handle)
    )


ORDERS = {"comparable": comparable, "probabilistic": probabilistic}


def winners(ranking: Sequence[NodeOffer], k: int, maximum: int | None, minimum: float | None) -> tuple[Winner, ...]:
    """Each offer of the ranking, to the last, against all winners so far."""
    chosen: list[Winner] = []
    seen = set()
    for one in ranking:
        if (one.node, one.offer.handle) in seen:
            continue
        seen.add((one.node, one.offer.handle))
        twin = next((at for at, other in enumerate(chosen) if _one(one, other, minimum)), None)
        if twin is not None:
            holders = {*chosen[twin].also_held_by, one.node} - {chosen[twin].node}
            chosen[twin] = replace(chosen[twin], also_held_by=tuple(sorted(holders)))
        elif len(chosen) < k and (maximum is None or sum(other.node == one.node for other in chosen) < maximum):
            chosen.append(Winner(one.node, one.offer))
    return tuple(chosen)


def _one(one: NodeOffer, other: Winner, minimum: float | None) -> bool:
    mine, theirs = one.offer.sketch, other.offer.sketch
    return minimum is not None and mine is not None and theirs is not None and part_of(mine, theirs) >= minimum


def offers(nodes: int, each: int, encoders: Sequence[str | None], seed: int) -> list[NodeOffer]:
    """Coarse values, so that there are ties; copies, handles offered twice, sketches of two keys and none."""
    random = np.random.default_rng(seed)
    made = []
    for node in range(nodes):
        routed = int(random.integers(1, 9)) / 8
        for rank in range(1, each + 1):
            encoder = encoders[random.integers(len(encoders))]
            similarity = int(random.integers(-8, 33)) / 32
            offer = Offer(
                handle=f"{node:032}{rank:032}",
                rank=rank,
                probability=int(random.integers(33)) / 32,
                similarity=Similarity(value=similarity, comparable_with=encoder) if encoder is not None else None,
                sketch=SKETCHES[random.integers(len(SKETCHES))] if random.random() < 0.8 else None,
            )
            made.append(NodeOffer(f"n{node:03}", offer, routed))
            if random.random() < 0.05:
                made.append(NodeOffer(f"n{node:03}", offer.model_copy(update={"rank": rank + 1}), routed))
    return [made[at] for at in random.permutation(len(made))]


@pytest.mark.parametrize("name", ORDERS)
@pytest.mark.parametrize("encoders", [("e",), ("e", None), ("e", "f", "", None), (None,)])
@pytest.mark.parametrize("seed", range(4))
def test_the_winners_are_those_of_sorting_everything(name, encoders, seed):
    """For every k up to all offers, with and without folding and a maximum per hospital; holders to the last offer."""
    made = offers(14, 6, encoders, seed)
    ranking = ORDERS[name](made)
    for settings in (
        {},
        {"near_duplicates": False},
        {"per_node_maximum": 2},
        {"resemblance": 0.95, "per_node_maximum": 1},
    ):
        method = MERGE_METHODS.build(name, settings)
        minimum = settings.get("resemblance", 0.6) if settings.get("near_duplicates", True) else None
        for k in (0, 1, 2, 5, 10, 30, len(made)):
            assert method.merge(made, k) == winners(ranking, k, settings.get("per_node_maximum"), minimum)
