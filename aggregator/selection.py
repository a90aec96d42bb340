"""From a ranking of offers to its winners: what all merge methods have in common."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Annotated, Final

import numpy as np
from pydantic import Field

from aggregator.near_duplicates import PART, fold
from fedrag.core.config import Config
from fedrag.core.protocols import NodeOffer, Winner
from fedrag.core.sketch import Counts, counts_of, resemblance

Turn = Callable[[NodeOffer], tuple[int, str, int, str]]

CONSIDERED: Final = 100
"""How many of the best offers diversity may reorder."""


class Selection(Config):
    """Settings of every merge method."""

    near_duplicates: bool = True
    """Fold near-identical passages into the best of them."""
    resemblance: Annotated[float, Field(ge=0.5, le=1, allow_inf_nan=False)] = PART
    """How large a part of the other a passage with equal facts must be to be one with it."""
    diversity: Annotated[float, Field(ge=0, le=CONSIDERED, allow_inf_nan=False)] = 0.0
    """How many places a passage would be set back that resembles a better one completely; 0: none."""
    per_node_maximum: Annotated[int, Field(ge=1)] | None = None
    """How many winners one hospital may have; None: as many as it earns."""


def select(
    ranking: Iterable[NodeOffer], offers: Sequence[NodeOffer], k: int, settings: Selection
) -> tuple[Winner, ...]:
    """The first k of the `ranking` of these offers, as the settings want it. A lazy ranking is followed no further than
    needed."""
    if settings.diversity:
        ranking = diversified(ranking, settings.diversity)
    minimum = settings.resemblance if settings.near_duplicates else None
    return fold(ranking, offers, k, settings.per_node_maximum, minimum)


def best_first(offers: Sequence[NodeOffer], values: Sequence[float], turn: Turn) -> Iterator[NodeOffer]:
    """By falling value; equal values by `turn`, which is asked only about offers that are reached."""
    falling = -np.array(values)
    order = np.argsort(falling, kind="stable")
    borders = np.flatnonzero(np.diff(falling[order])) + 1
    places, at = order.tolist(), 0
    for end in (*borders.tolist(), len(places)):
        if end - at == 1:
            yield offers[places[at]]
        else:
            yield from sorted((offers[place] for place in places[at:end]), key=turn)
        at = end


def diversified(ranking: Iterable[NodeOffer], places: float) -> Iterator[NodeOffer]:
    """Maximal marginal relevance (Carbonell and Goldstein 1998), relevance being the place in the ranking.

    Next is always the offer with the least place + `places` x its largest resemblance to one that came before, of the
    first CONSIDERED; ties by place. Behind them the ranking goes on as it was. Resemblance is estimated from sketches,
    so offers without one, and those whose keys differ, resemble nothing.
    """
    rest = iter(ranking)
    first = [(one, _counts(one)) for one in islice(rest, CONSIDERED)]
    costs = [float(place) for place in range(len(first))]
    left = list(range(len(first)))
    while left:
        best = min(left, key=lambda place: (costs[place], place))
        left.remove(best)
        yield first[best][0]
        for place in left:
            costs[place] = max(costs[place], place + places * _alike(*first[best], *first[place]))
    yield from rest


def _counts(offered: NodeOffer) -> Counts | None:
    return counts_of(offered.offer.sketch) if offered.offer.sketch else None


def _alike(one: NodeOffer, mine: Counts | None, other: NodeOffer, theirs: Counts | None) -> float:
    comparable = one.offer.sketch and other.offer.sketch and one.offer.sketch.key_id == other.offer.sketch.key_id
    return resemblance(mine, theirs) if comparable and mine is not None and theirs is not None else 0.0
