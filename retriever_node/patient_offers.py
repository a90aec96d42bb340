"""What is told of `patient` collections before anything is released: so many offers of one size and one probability,
whatever was found.

An offer is a statement about patients, and obeys the floor like a count does. Its probability is that of the best
passage of the *floor-th* patient, in quarters: whether one patient's record is there moves it no further than to the
next patient's. Behind the handles are passages of one patient, the one whose records fit best, at most as many as there
are places; the other handles are decoys, which open to nothing.
"""

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from fedrag.core.protocols import Reranker
from retriever_node.handles import Recipient
from retriever_node.lockout import Asked, AskedOf, Lockout
from retriever_node.policy import Grant
from retriever_node.redacted import releasable
from retriever_node.search import Found, Query, read, search
from retriever_node.served import ServedCollection
from retriever_node.state import NodeState
from retriever_node.store import PassageStore
from retriever_node.store.people import Provenance

PLACES: Final = 3
"""Offers of patient collections in one request, always so many; fewer only where fewer offers were asked for."""
DEPTH: Final = 64
"""Passages looked at for the floor-th patient, and for more of the best one."""
NO_PASSAGE: Final = 0
"""What a decoy names: no passage has this id."""
_QUARTERS: Final = 4
_LOOKED_AT: Final = 16
"""Of these the first that has a form in which it could leave is the best."""


@dataclass(frozen=True, slots=True)
class Granted:
    """A collection of class `patient` that may be offered to this asker; `version` of the policy for it."""

    served: ServedCollection
    grant: Grant
    version: str

    @property
    def asked_of(self) -> AskedOf:
        return AskedOf(self.served.id, self.served.collection.generation, self.version)


@dataclass(frozen=True, slots=True)
class PatientOffers:
    """`passages`: what is offered, best first; None is a decoy. All have this probability."""

    granted: tuple[Granted, ...]
    asked: Asked
    passages: tuple[Found | None, ...]
    probability: float
    looked_at: tuple[Found, ...]
    """Those offered and others: as many whatever was found, so that work on them takes as long."""

    def count(self, connection: sqlite3.Connection, lockout: Lockout, recipient: Recipient) -> bool:
        """Puts the question on record; True where its asker is locked: then none of this is told."""
        ids = [one.passage.passage_id for one in self.passages if one is not None]
        counted = [
            lockout.count(connection, recipient.asker, one.asked_of, self.asked, recipient.request_id, ids)
            for one in self.granted
        ]
        return any(counted)


def places(offers: int, *, beside_others: bool) -> int:
    """How many of so many offers are those of patient collections; at most half of them where others answer too."""
    return min(PLACES, offers // 2 if beside_others else offers)


def patient_offers(
    granted: Sequence[Granted],
    asked: Asked,
    recipient: Recipient,
    count: int,
    store: PassageStore,
    state: NodeState,
    lockout: Lockout,
    reranker: Reranker | None,
) -> PatientOffers:
    """An identical question finds what it found before, while generation and policy are what they were."""
    query = Query(asked.vector, asked.text, asked.wanted)
    found = search([one.served.collection for one in granted], query, DEPTH, store)
    people = store.provenance([one.passage.passage_id for one in found])
    probability = told_probability(found, people, max(one.grant.floor for one in granted))
    if reranker is not None and asked.text:
        found = (*read(found[: reranker.candidates], asked.text, reranker), *found[reranker.candidates :])

    def ready(some: Sequence[Found]) -> list[Found]:
        """As they could be released."""
        redactions = {one.served.id: one.served.redaction for one in granted}
        shown = releasable([one.passage for one in some], redactions, store)
        return [replace(one, passage=shown[one.passage.passage_id]) for one in some if one.passage.passage_id in shown]

    with state.reading() as connection:
        before = [lockout.recall(connection, recipient.asker, one.asked_of, asked) for one in granted]
    best = ready(found[:_LOOKED_AT])[:1]
    named = {one.passage.passage_id for one in best}
    first = next((at for at, one in enumerate(found) if one.passage.passage_id in named), len(found))
    wanted = _again(found, before) or of_one_patient(found[first:], people)
    looked_at = ready([*wanted, *(one for one in found if one not in wanted)][: 2 * count])  # always as many: as long
    chosen = [one for one in looked_at if one.passage.passage_id in {other.passage.passage_id for other in wanted}]
    passages = (*chosen[:count], *([None] * max(0, count - len(chosen))))
    return PatientOffers(tuple(granted), asked, passages, probability, tuple(looked_at))


def of_one_patient(found: Sequence[Found], people: Mapping[int, Provenance]) -> list[Found]:
    """Those of the patient whose passage is the first; of a document about nobody known, those of the document."""

    def whose(one: Found) -> tuple[str, ...]:
        provenance = people.get(one.passage.passage_id)
        known = provenance.patients if provenance else ()
        return known or (one.collection, one.passage.document_id)

    return [one for one in found if whose(one) == whose(found[0])]


def told_probability(found: Sequence[Found], people: Mapping[int, Provenance], floor: int) -> float:
    """The middle of the quarter in which the probability of the floor-th best patient lies; of the lowest one where
    fewer were found. All passages of nobody known are one patient's."""
    best: dict[str, float] = {}
    for one in found:
        provenance = people.get(one.passage.passage_id)
        for patient in (provenance.patients if provenance else ()) or ("",):
            best[patient] = max(best.get(patient, 0.0), one.probability)
    ordered = sorted(best.values(), reverse=True)
    probability = ordered[floor - 1] if len(ordered) >= floor else 0.0
    return (min(int(probability * _QUARTERS), _QUARTERS - 1) + 0.5) / _QUARTERS


def _again(found: Sequence[Found], before: Sequence[tuple[int, ...] | None]) -> list[Found]:
    """What an identical question found before, of all these collections; nothing where any of them has changed."""
    if not before or any(one != before[0] for one in before) or before[0] is None:
        return []
    there = {one.passage.passage_id: one for one in found}
    return [there[passage_id] for passage_id in before[0] if passage_id in there]
