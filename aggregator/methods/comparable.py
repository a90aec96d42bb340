"""Raw similarity where it can be compared; between encoders, log odds of relevance on one level for each question."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from heapq import merge
from itertools import groupby
from typing import ClassVar, Final

import numpy as np
import numpy.typing as npt

from aggregator.selection import Selection, best_first, select
from fedrag.core.protocols import NodeOffer, Winner

LEVELLED: Final = 2 / 3
"""How much of the difference between two encoders' levels is taken to be the encoders' and not the hospitals'. nDCG@10
of MedQuAD and SciFact is flat from 1/2 to 4/5, for two hospitals and for nine."""
FIRST: Final = 10
"""Of each hospital's offers so many tell its level; all of them are placed."""
_MARGIN: Final = 1e-9
"""Probabilities are kept so far from 0 and 1: log odds are finite."""
_WITHOUT: Final = ""
"""The group of offers without a similarity: only their probabilities can be compared. Other groups begin with "="."""

Doubles = npt.NDArray[np.float64]


class Settings(Selection):
    pass


@dataclass(frozen=True, slots=True)
class Comparable:
    """Groups of offers with one `comparable_with` are ranked inside by similarity s and among each other by

        a · (s − s̄) + ℓ̄ · (1 − LEVELLED)

    where ℓ = ln(p / (1 − p)) of an offer's calibrated probability p. Of the first offers of each hospital the means of
    s and ℓ are taken, and s̄ and ℓ̄ are the means of these over the group's hospitals. a is the slope that the hospitals
    of the group have in common: the least-squares fit of ℓ to s with an intercept for every hospital (analysis of
    covariance), at least 0; where every hospital offers one passage, the fit to all of them.

    A hospital calibrates on questions of its own making, which errs by a constant that differs between hospitals;
    pooling a group's hospitals removes most of that. And a question that one encoder finds words for lifts all its
    similarities: ℓ̄ is its level, and LEVELLED of it is taken away. What is left tells how far an offer stands out from
    what this question finds under this encoder, in units that all encoders share.

    With one group the result is the order by raw similarity. Offers without a similarity stand between the others by
    ℓ, less LEVELLED of the mean level of all other hospitals.

    Ties: equal similarities by node, then rank; offers without similarity and with equal probability by rank, then
    node; equal places of two groups by group. The handle comes last of all.
    """

    settings: Settings

    name: ClassVar[str] = "comparable"

    def merge(self, offers: Sequence[NodeOffer], k: int) -> tuple[Winner, ...]:
        return select(rank(offers), offers, k, self.settings)


def rank(offers: Sequence[NodeOffer]) -> Iterator[NodeOffer]:
    """The order of `Comparable`, best first, brought about as far as it is asked for."""
    groups: dict[str, tuple[list[NodeOffer], list[float]]] = {}
    current: str | None = None
    for offered in offers:
        similarity = offered.offer.similarity
        means = None if similarity is None else similarity.comparable_with
        if means != current or not groups:
            members, values = groups.setdefault(_WITHOUT if means is None else f"={means}", ([], []))
            current = means
        members.append(offered)
        values.append(offered.offer.probability if similarity is None else similarity.value)
    if len(groups) == 1:  # placed among no others: there is no scale to share
        return best_first(*next(iter(groups.values())), _turn)
    ordered = {name: list(best_first(*group, _turn)) for name, group in sorted(groups.items())}
    placed = merge(*(_placed(name, places, ordered[name]) for name, places in places_of(ordered).items()))
    return (offered for *_, offered in placed)


def places_of(groups: Mapping[str, Sequence[NodeOffer]]) -> dict[str, Doubles]:
    """Of every group, its offers best first, their places on the scale that all groups share; never rising."""
    lines = {name: _line(group) for name, group in groups.items() if name != _WITHOUT}
    hospitals = sum(line.hospitals for line in lines.values())
    common = sum(line.level * line.hospitals for line in lines.values()) / hospitals if hospitals else 0.0
    places = {}
    for name, group in groups.items():
        values = np.array([_value(one) for one in group])
        if name == _WITHOUT:
            places[name] = np.array([_log_odds(one) for one in group]) - LEVELLED * common
        else:
            line = lines[name]
            places[name] = line.slope * (values - line.similarity) + (1 - LEVELLED) * line.level
    return places


@dataclass(frozen=True, slots=True)
class _Line:
    """What a group's hospitals say together: rise of log odds with similarity, and the means of both."""

    slope: float
    similarity: float
    level: float
    hospitals: int


def _line(group: Sequence[NodeOffer]) -> _Line:
    told = [
        np.array([(_value(one), _log_odds(one)) for one in list(of_node)[:FIRST]])
        for _, of_node in groupby(sorted(group, key=_node), key=_node)
    ]
    means = np.array([of_node.mean(axis=0) for of_node in told])
    similarity, level = means.mean(axis=0)
    apart = np.concatenate([of_node - mean for of_node, mean in zip(told, means, strict=True)])
    if not apart[:, 0].any():  # one offer each: only between hospitals does similarity differ
        apart = means - means.mean(axis=0)
    similarities, odds = apart.T
    spread = float(similarities @ similarities)
    slope = max(0.0, float(similarities @ odds) / spread) if spread > 0 else 0.0
    return _Line(slope, float(similarity), float(level), len(told))


def _placed(name: str, places: Doubles, offers: Iterable[NodeOffer]) -> Iterator[tuple[float, str, int, NodeOffer]]:
    """A group in its order, each offer behind its place among other groups; no two places are equal."""
    for at, (place, offered) in enumerate(zip(places.tolist(), offers, strict=True)):
        yield -place, name, at, offered


def _node(offered: NodeOffer) -> str:
    return offered.node


def _value(offered: NodeOffer) -> float:
    similarity = offered.offer.similarity
    return offered.offer.probability if similarity is None else similarity.value


def _log_odds(offered: NodeOffer) -> float:
    probability = min(max(offered.offer.probability, _MARGIN), 1 - _MARGIN)
    return math.log(probability / (1 - probability))


def _turn(offered: NodeOffer) -> tuple[int, str, int, str]:
    """Who comes first of offers with equal similarities, or without one and with equal probabilities."""
    offer = offered.offer
    return (0 if offer.similarity else offer.rank, offered.node, offer.rank, offer.handle)


def build(settings: Settings) -> Comparable:
    return Comparable(settings)
