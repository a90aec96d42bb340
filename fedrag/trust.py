"""What the coordinator knows of its hospitals' descriptions while it runs, and how routing gets to know it."""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Final

import numpy as np
import structlog

from aggregator.claims import TOLERANCE, whole
from fedrag.core.collection import CollectionDescription
from fedrag.core.exchange import WORDS, NodeStatus
from fedrag.core.protocols import Encoder, RoutingPolicy
from fedrag.core.wire import NodeId, ReleaseClass
from fedrag.kept_trust import Link, TrustStore
from fedrag.pipeline import Answered
from router.believed import claims_of
from router.catalogue import Catalogue
from router.evidence import Trial
from router.record import Record, Standing
from router.trust import Sighting, Trust, sighting
from router.trusted import Trusted

SAVED_EVERY_S: Final = 30.0
HALF_LIFE_DAYS: Final = 60.0
"""After which what was seen counts half: so slowly is forgiven, and forgotten."""
WAITING: Final = 1_000
TITLES: Final = 500
_BROKEN: Final = frozenset({Link.FORK, Link.ROLLBACK, Link.RESTORED})
_TRIALS: Final = {Trial.PROBE: "probes", Trial.OTHERS: "probes of others", Trial.QUESTION: "questions"}
_log = structlog.get_logger()


class TrustBook:
    """`observe` takes no time; all else is done by one task (`settle`). What routing is given changes only when some
    description counts for more or less than before."""

    def __init__(
        self,
        store: TrustStore,
        encoder: Encoder,
        catalogue: Callable[[], Catalogue],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._store, self._encoder, self._catalogue, self._clock = store, encoder, catalogue, clock
        self._means, self._dimension = encoder.identity.comparable_with, encoder.identity.dimension
        self._lock = threading.Lock()
        self._heard: deque[tuple[Answered, NodeId | None]] = deque(maxlen=WAITING)
        self._titles: deque[tuple[NodeId, str]] = deque(maxlen=TITLES)
        kept = store.records(self._dimension)
        self._vouched = {node: vouched for node, (_, vouched) in kept.items()}
        self._trust = Trust({node: record for node, (record, _) in kept.items()})
        self._given = self._trust
        self._followed: Catalogue | None = None
        self._linked: dict[tuple[NodeId, NodeId], CollectionDescription] = {}
        self._declared = store.declared()
        self._unsaved: set[NodeId] = set()
        self._saved_s = self._faded_s = clock()
        self._wrapped: dict[str, tuple[RoutingPolicy, Trusted]] = {}

    @property
    def trust(self) -> Trust:
        return self._trust

    def titles(self, node: NodeId) -> tuple[str, ...]:
        """Of public documents that other hospitals released."""
        return tuple(dict.fromkeys(title for owner, title in self._titles if owner != node))

    def around(self, policies: Mapping[str, RoutingPolicy]) -> dict[str, RoutingPolicy]:
        """The policies, by what is known now."""
        self.follow()
        made: dict[str, RoutingPolicy] = {}
        for name, policy in policies.items():
            before = self._wrapped.get(name)
            if before is None:
                now = Trusted(policy, self._given)
            else:
                now = before[1].trusting(self._given)
                now = now if before[0] is policy and now is before[1] else now.around(policy)
            self._wrapped[name] = policy, now
            made[name] = now
        return made

    def observe(self, answered: Answered, *, about: NodeId | None = None) -> None:
        """`about`: whom it was a probe of."""
        if (answered.asked is not None and answered.asked.hop.filter is None) or about is not None:
            self._heard.append((answered, about))

    def follow(self) -> None:
        """Take note of descriptions that changed."""
        catalogue = self._catalogue()
        if catalogue is not self._followed:
            with self._lock:
                if catalogue is not self._followed:
                    self._follow(catalogue)
                    self._followed = catalogue

    def settle(self) -> None:
        """Work off what was observed; keep it now and then."""
        declared = self._store.declared()
        if declared != self._declared:
            self._declared, self._followed = declared, None
        self.follow()
        with self._lock:
            now_s, trust = self._clock(), self._trust
            while self._heard:
                answered, about = self._heard.popleft()
                seen = seen_in(answered, self._encoder)
                trust = trust.after(seen, about=about)
                self._unsaved |= seen.found.keys() & trust.records.keys()
                self._titles.extend(_public_titles(answered))
            if now_s - self._faded_s > 3600:
                trust = trust.faded(0.5 ** ((now_s - self._faded_s) / (HALF_LIFE_DAYS * 86_400)))
                self._faded_s, self._unsaved = now_s, set(trust.records)
            self._publish(trust)
            if self._unsaved and now_s - self._saved_s > SAVED_EVERY_S:
                self._save()

    def close(self) -> None:
        with self._lock:
            self._save()
            self._store.close()

    def _follow(self, catalogue: Catalogue) -> None:
        collections, stale = catalogue.collections(), catalogue.stale
        said = [one for one in collections if one.node not in stale]
        said += [one for described in stale.values() for one in described.collections]
        broken = {one.node for one in said if self._link(one) in _BROKEN}
        declared, claims = self._store.declared(), claims_of(collections, self._means, self._dimension)
        new = {node for node, one in declared.items() if one.vouched > self._vouched.get(node, 0)} & claims.keys()
        kept = {
            node: replace(record, proved=record.proved.of(np.zeros(len(record.proved.masses), dtype=np.bool_)))
            if node in broken
            else record
            for node, record in self._trust.records.items()
        }
        trust = Trust(kept, {node: one.organisation for node, one in declared.items()}).described(claims)
        records = dict(trust.records)
        for node in broken & claims.keys():
            records[node] = replace(Record.beginning(claims[node]), denied=records[node].denied)
        for node in new:
            records[node], self._vouched[node] = Record.beginning(claims[node], vouched=True), declared[node].vouched
        self._unsaved |= claims.keys()
        self._publish(replace(trust, records=records))

    def _link(self, described: CollectionDescription) -> Link:
        name = (described.node, described.collection)
        if self._linked.get(name) is described:
            return Link.SAME
        link, self._linked[name] = self._store.follow(described), described
        if link in _BROKEN or link is Link.GAP:
            _log.warning("description_out_of_order", node=described.node, link=str(link), version=described.version)
        return link

    def _publish(self, trust: Trust) -> None:
        self._trust = trust
        if not trust.counts_as(self._given):
            self._given = trust

    def _save(self) -> None:
        records = self._trust.records
        self._store.put({node: (records[node], self._vouched.get(node, 0)) for node in self._unsaved & records.keys()})
        self._unsaved, self._saved_s = set(), self._clock()


def seen_in(answered: Answered, encoder: Encoder) -> Sighting:
    """What an answer showed of every hospital that made offers: the similarity of what it released of the winners, by
    its text, or a little less than it had claimed where that is more and passed; and the best its offers admit of.

    A hospital that only announces, or publishes nothing that could be compared and released nothing, showed nothing.
    """
    asked = answered.asked
    if asked is None:
        return Sighting(np.zeros(0, dtype=np.float32), {}, {})
    mine, query = encoder.identity.comparable_with, asked.query
    failed = {one.node for one in answered.answer.coverage if one.status is not NodeStatus.ANSWERED}
    boasted = answered.collected.unproven
    texts = {
        (release.node, passage.handle): passage
        for release in answered.collected.releases
        for passage in release.passages
    }
    winners = [one for one in answered.collected.winners if (one.node, one.offer.handle) in texts]
    shown: dict[NodeId, list[float]] = {
        node: [] for node in asked.offered.values if node not in failed or node in boasted
    }
    if winners:
        passages = [whole(texts[one.node, one.offer.handle]) for one in winners]
        for winner, cosine in zip(winners, encoder.encode_passages(passages) @ query, strict=True):
            said = winner.offer.similarity
            claimed = said.value - TOLERANCE if said is not None and said.comparable_with == mine else -1.0
            for node in (winner.node, *winner.also_held_by):
                if node in shown:
                    shown[node].append(max(float(cosine), claimed))
    seen = sighting(query, {node: np.array(values) for node, values in shown.items()})
    best: dict[NodeId, float] = {}
    for node in shown:
        said_of = [one.similarity for one in asked.offered.values[node].offers if one.similarity is not None]
        if said_of and all(
            one.comparable_with == mine or one.comparable_with.startswith(f"{mine}+") for one in said_of
        ):
            best[node] = max(
                one.value if one.comparable_with == mine else min(1.0, one.value * (1 + WORDS)) for one in said_of
            )
    return replace(seen, best=best)


def _public_titles(answered: Answered) -> Iterable[tuple[NodeId, str]]:
    return [
        (release.node, passage.citation.title)
        for release in answered.collected.releases
        for passage in release.passages
        if passage.release_class is ReleaseClass.PUBLIC and passage.citation.title
    ]


def standing_lines(trust: Trust) -> tuple[tuple[NodeId, str, str], ...]:
    """(hospital, standing, why) of each, in order of its id."""
    return tuple((node, str(trust.standing(node)), why(trust, node)) for node in sorted(trust.records))


def why(trust: Trust, node: NodeId) -> str:
    record = trust.records[node]
    claimed, counted = float(record.claims.masses.sum()), float(record.counted().sum())
    parts = [f"{counted:.0f} of {claimed:.0f} described passages count" if claimed else "describes itself in words"]
    for trial, sums in record.sums.items():
        found, of = float(sums.found.sum()), float(sums.claimed.sum())
        if of > 0:
            parts.append(f"{_TRIALS[trial]}: found {found:.1f} of {of:.1f} claimed")
    if record.denied > 0:
        parts.append(f"offers contradicted its description {record.denied:.1f} times")
    if record.vouched:
        parts.append("vouched for")
    if trust.standing(node) is Standing.DISTRUSTED and record.standing is not Standing.DISTRUSTED:
        parts.append("another hospital of its organisation is distrusted")
    return "; ".join(parts)
