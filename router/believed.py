"""Descriptions as a routing policy is to see them: with what of them counts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from fedrag.core.collection import CollectionDescription
from fedrag.core.wire import NodeId
from router.density import Density, Doubles, Positions
from router.expectation import stack
from router.record import Record, Standing
from router.trust import Trust


@dataclass(frozen=True, slots=True)
class Shown:
    """A hospital's descriptions as `given` and as the policy is `shown` them. `counting`: what of its `claims` counts,
    None where it is not believed."""

    given: tuple[CollectionDescription, ...]
    claims: Density
    standing: Standing
    counting: Density | None
    words: bool
    shown: tuple[CollectionDescription, ...]


@dataclass(frozen=True, slots=True)
class Believed:
    """All hospitals under one trust. `waiting`: what those in audit claim, `whose` of `waited` each mean is; `dumb`:
    those of them that claim nothing comparable; `last`: who comes after all others."""

    given: tuple[CollectionDescription, ...]
    collections: tuple[CollectionDescription, ...]
    hospitals: Mapping[NodeId, Shown]
    waiting: Density
    whose: Positions
    waited: tuple[NodeId, ...]
    dumb: tuple[NodeId, ...]
    last: frozenset[NodeId]


def claims_of(
    collections: Sequence[CollectionDescription],
    comparable_with: str,
    dimension: int,
) -> dict[NodeId, Density]:
    """What each hospital claims that can be compared, clamped as routing policies do."""
    return {node: _claims(own, comparable_with, dimension) for node, own in _by_hospital(collections).items()}


def believe(
    collections: tuple[CollectionDescription, ...],
    trust: Trust,
    comparable_with: str,
    dimension: int,
    before: Believed | None = None,
) -> Believed:
    """Every description with the prototypes and passages that count. One that counts for nothing has no passages: to a
    policy it is a hospital without documents. `before`: what was made of these, or others, earlier."""
    given = _by_hospital(collections)
    standing = trust.standings(given)
    hospitals: dict[NodeId, Shown] = {}
    for node, own in given.items():
        known = before.hospitals.get(node) if before is not None else None
        if known is not None and known.given != own:
            known = None
        claims = known.claims if known is not None else _claims(own, comparable_with, dimension)
        hospitals[node] = _show(own, claims, standing[node], trust.records.get(node), known, comparable_with)
    waited = tuple(node for node, one in hospitals.items() if one.standing is Standing.AUDIT and len(one.claims.masses))
    waiting = [hospitals[node].claims for node in waited]
    return Believed(
        given=collections,
        collections=tuple(described for one in hospitals.values() for described in one.shown),
        hospitals=hospitals,
        waiting=Density(
            np.concatenate([np.zeros((0, dimension), dtype=np.float32), *(one.vectors for one in waiting)]),
            np.concatenate([np.zeros(0), *(one.masses for one in waiting)]),
        ),
        whose=np.repeat(np.arange(len(waited)), [len(one.masses) for one in waiting]),
        waited=waited,
        dumb=tuple(
            node for node, one in hospitals.items() if one.standing is Standing.AUDIT and not len(one.claims.masses)
        ),
        last=frozenset(node for node, one in hospitals.items() if one.standing is not Standing.BELIEVED),
    )


def _by_hospital(collections: Sequence[CollectionDescription]) -> dict[NodeId, tuple[CollectionDescription, ...]]:
    """In the order in which routing policies stack them."""
    made: dict[NodeId, list[CollectionDescription]] = {}
    for one in sorted(collections, key=lambda one: (one.node, one.collection)):
        made.setdefault(one.node, []).append(one)
    return {node: tuple(own) for node, own in made.items()}


def _claims(own: tuple[CollectionDescription, ...], comparable_with: str, dimension: int) -> Density:
    stacked = stack(own, comparable_with, dimension)
    return Density(stacked.vectors, stacked.masses.astype(np.float64))


def _show(
    own: tuple[CollectionDescription, ...],
    claims: Density,
    standing: Standing,
    record: Record | None,
    known: Shown | None,
    comparable_with: str,
) -> Shown:
    if record is None or standing is not Standing.BELIEVED or not record.claims.same(claims):
        if known is not None and known.counting is None:
            return known if known.standing is standing else replace(known, standing=standing)
        nothing = tuple(one.model_copy(update={"passages": 0, "prototypes": ()}) for one in own)
        return Shown(own, claims, standing, None, words=False, shown=nothing)
    counting = Density(claims.vectors, record.counted())
    if (
        known is not None
        and known.counting is not None
        and known.counting.same(counting)
        and known.words == record.words
    ):
        return known
    made, at = [], 0
    for one in own:
        number = len(one.prototypes) if _compared(one, comparable_with, claims.vectors.shape[1]) else 0
        if number:
            made.append(_counting(one, counting.masses[at : at + number]))
        else:
            made.append(one if record.words else one.model_copy(update={"passages": 0, "prototypes": ()}))
        at += number
    return Shown(own, claims, standing, counting, words=record.words, shown=tuple(made))


def _compared(one: CollectionDescription, comparable_with: str, dimension: int) -> bool:
    same = one.encoder.comparable_with == comparable_with
    return same and bool(one.prototypes) and one.encoder.dimension == dimension


def _counting(one: CollectionDescription, masses: Doubles) -> CollectionDescription:
    whole = np.rint(masses).astype(np.int64)
    if [prototype.mass for prototype in one.prototypes] == whole.tolist():
        return one
    kept = tuple(
        prototype.model_copy(update={"mass": int(mass)})
        for prototype, mass in zip(one.prototypes, whole, strict=True)
        if mass > 0
    )
    return one.model_copy(update={"prototypes": kept, "passages": min(one.passages, int(whole.sum()))})
