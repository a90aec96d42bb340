"""Common statistics of terms: hospitals count together, so that scores of words mean the same everywhere.

    round       keys → masked counts → one set of survivors, signed by all → seeds → their sum, and nothing else
    epoch       that sum; brought to every hospital that scores words with something else

A hospital that fails before it has masked is left out; one whose masked counts do not arrive is a drop-out, which the
others' seeds make up for; one that fails after that ends the round, and the next one does without it.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, Generic

import structlog

from fedrag.core.deadline import Deadline
from fedrag.core.errors import FedragError, IdentityError, ProtocolError, Unavailable
from fedrag.core.masked_sums import MaskedVector, Survivors, decode_numbers
from fedrag.core.protocols import Node, Reply
from fedrag.core.statistics import (
    COUNTS,
    EPOCH,
    KEY,
    MASK,
    SEEDS,
    SURVIVORS,
    A,
    Agreed,
    Agreement,
    Entry,
    Keys,
    Q,
    Round,
    SharedStatistics,
    Step,
    SurvivorsToSign,
)
from fedrag.core.wire import NodeId, RequestId, new_request_id
from fedrag.fanout import attempt
from fedrag.http.signing import verify
from fedrag.kept_statistics import KeptStatistics, StatisticsFile
from fedrag.privacy.masked_sums import MINIMUM, SIGNED_AS, digest, unmask, usable
from router.catalogue import Catalogue

STEP_MS: Final = 15_000
PATIENCE_S: Final = 60.0
"""How long the first round waits for members that have not described themselves: who misses it joins in threes."""
AGAIN_S: Final = 600.0
"""A hospital that did not begin to use what it was told is told again."""
_WAIT: Final = {"too_soon", "joiners_wait"}
_TICK_S: Final = 2.0
_LONGEST_PAUSE_S: Final = 3600.0
_log = structlog.get_logger()


class _WentAway(Exception):
    """Hospitals that had masked, and did not answer any more."""

    def __init__(self, hospitals: frozenset[NodeId]) -> None:
        super().__init__(f"{len(hospitals)} survivors went away")
        self.hospitals = hospitals


async def run_round(nodes: Mapping[NodeId, Node], step_ms: float = STEP_MS) -> SharedStatistics:
    """The sum over all hospitals that take part and keep up, of those the most that count the same terms.

    Raises Unavailable (`no_sum`); ProtocolError (`bad_round`, `implausible_statistics`) where what they sent makes no
    sum.
    """
    there = dict(nodes)
    while True:
        try:
            return await _round(there, new_request_id(), step_ms)
        except _WentAway as error:
            there = {node: called for node, called in there.items() if node not in error.hospitals}


async def _round(nodes: Mapping[NodeId, Node], round_id: RequestId, step_ms: float) -> SharedStatistics:
    begun = await _ask(nodes, KEY, lambda _: Round(round=round_id), step_ms)
    begun.require_none_waits()
    entries = _alike(_sound(begun.values, nodes))
    _require_enough(entries)
    terms_sha256, terms = next((entry.terms_sha256, entry.terms) for entry in entries.values())
    keys = {node: entry.key for node, entry in entries.items()}
    identities = {node: nodes[node].public_key for node in keys}
    to_mask = Keys(round=round_id, terms_sha256=terms_sha256, keys=keys, identities=identities)
    masked = {
        node: one
        for node, one in (await _ask(_of(nodes, keys), MASK, lambda _: to_mask, step_ms)).values.items()
        if one.keys_sha256 == digest(keys) and _holds(one, COUNTS + terms)
    }
    _require_enough(masked)
    survivors = tuple(sorted(masked))
    to_sign = SurvivorsToSign(round=round_id, survivors=survivors)
    signed = await _ask(_of(nodes, survivors), SURVIVORS, lambda _: to_sign, step_ms)
    signed.require_none_waits()
    words = {node: one for node, one in signed.values.items() if _signed(one, masked[node], survivors, nodes[node])}
    _require_all(survivors, words)
    sealed = words[survivors[0]].sealed
    signatures = {node: word.signature for node, word in words.items()}

    def agreed(node: NodeId) -> Agreed:
        return Agreed(round=round_id, signatures=signatures, sealed=sealed.get(node))

    seeds = await _ask(_of(nodes, survivors), SEEDS, agreed, step_ms)
    _require_all(survivors, seeds.values)
    total = await asyncio.to_thread(unmask, masked, seeds.values)
    shared = SharedStatistics.of(round_id, terms_sha256, survivors, total.values)
    if shared.numbers() is None:
        raise ProtocolError("the sum cannot be: a hospital did not keep to the protocol", code="implausible_statistics")
    return shared


@dataclass(slots=True)
class StatisticsWatch:
    """Keeps the federation's epoch: a round when there is none, when it is old, and when three have joined.

    Args:
        nodes: the hospitals of this moment.
        catalogue: what they say they search with.
        file: where the epoch is kept.
        every_s: how old an epoch becomes.
        clock: Unix time.
        monotonic: what pauses are measured by.
    """

    nodes: Callable[[], Mapping[NodeId, Node]]
    catalogue: Callable[[], Catalogue]
    file: StatisticsFile
    every_s: float
    clock: Callable[[], float] = time.time
    monotonic: Callable[[], float] = time.monotonic
    looked: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once it has looked for the first time."""
    _began_s: float | None = None
    _tried: frozenset[NodeId] = frozenset()
    _not_before_s: float = 0.0
    _pause_s: float = _TICK_S
    _told: dict[NodeId, tuple[str, float]] = field(default_factory=dict)

    async def run(self) -> None:
        """Looks every few seconds until cancelled."""
        while True:
            try:
                await self.look()
            except Exception as error:  # noqa: BLE001 - it is looked again; questions do not depend on it
                _log.error("statistics_watch_failed", error=type(error).__name__)
            self.looked.set()
            await asyncio.sleep(_TICK_S)

    def in_use(self) -> tuple[int, int]:
        """How many hospitals search with the epoch, of how many that search for words; none of none without one."""
        kept = self.file.read()
        if kept is None:
            return 0, 0
        there = self._counting().keys()
        return sum(self._epochs(node) == {kept.shared.epoch} for node in there), len(there)

    async def look(self) -> None:
        """A round where one is due; then whoever searches with something else is told the epoch."""
        if self._due():
            try:
                await self.renew()
            except FedragError as error:
                _log.info("no_common_statistics", code=error.code)
        await self.tell()

    async def renew(self) -> KeptStatistics:
        """A round now. Raises what `run_round` raises."""
        nodes = self._counting()
        self._tried = frozenset(nodes)
        self._not_before_s = self.monotonic() + self._pause_s
        self._pause_s = min(2 * self._pause_s, _LONGEST_PAUSE_S)
        shared = await run_round(nodes)
        kept = KeptStatistics(shared=shared, made_at=datetime.fromtimestamp(self.clock(), UTC))
        self.file.write(kept)
        self._pause_s = _TICK_S
        self._told.clear()
        _log.info("common_statistics", epoch=shared.epoch, hospitals=len(shared.hospitals))
        return kept

    def _counting(self) -> dict[NodeId, Node]:
        """Hospitals that search for words."""
        return {node: called for node, called in self.nodes().items() if self._epochs(node)}

    def _epochs(self, node: NodeId) -> set[str]:
        """Of all its collections that are searched for words."""
        if (described := self.catalogue().descriptions.get(node)) is None:
            return set()
        return {one.term_statistics_epoch for one in described.collections if one.term_statistics_epoch}

    def _due(self) -> bool:
        now_s = self.monotonic()
        self._began_s = now_s if self._began_s is None else self._began_s
        there, kept = frozenset(self._counting()), self.file.read()
        if len(there) < MINIMUM or (now_s < self._not_before_s and there == self._tried):
            return False
        if kept is None:
            expected = self.nodes().keys() - self.catalogue().descriptions.keys()
            return not expected or now_s - self._began_s > PATIENCE_S
        joined = there - set(kept.shared.hospitals)
        return len(joined) >= MINIMUM or self.clock() - kept.made_at.timestamp() >= self.every_s

    async def tell(self) -> None:
        """Brings the epoch to every hospital that searches with something else, and was not told it just now."""
        kept = self.file.read()
        if kept is None:
            return
        epoch, now_s = kept.shared.epoch, self.monotonic()
        others = {
            node: called
            for node, called in self._counting().items()
            if self._epochs(node) != {epoch}
            and (self._told.get(node, ("", 0.0))[0] != epoch or now_s - self._told[node][1] > AGAIN_S)
        }
        if not others:
            return
        self._told.update(dict.fromkeys(others, (epoch, now_s)))
        adopted = await _ask(others, EPOCH, lambda _: kept.shared, STEP_MS)
        at = datetime.fromtimestamp(self.clock(), UTC)
        new = {node: at for node, one in adopted.values.items() if one.epoch == epoch}
        self.file.write(kept.model_copy(update={"adopted": {**kept.adopted, **new}}))


@dataclass(frozen=True, slots=True)
class _Answers(Generic[A]):
    """What came back in time; `declined`: codes of the refusals and failures."""

    values: dict[NodeId, A]
    declined: frozenset[str]

    def require_none_waits(self) -> None:
        """A sum of those alone who need not wait would take the place of a larger one."""
        if waiting := self.declined & _WAIT:
            raise Unavailable(f"hospitals wait: {', '.join(sorted(waiting))}", code="no_sum")


async def _ask(
    nodes: Mapping[NodeId, Node], step: Step[Q, A], request: Callable[[NodeId], Q], step_ms: float
) -> _Answers[A]:
    deadline = Deadline.after_ms(step_ms)

    async def take_part(node: Node) -> Reply[A]:
        return await node.take_part(step, request(node.id), deadline)

    results = await asyncio.gather(*(attempt(node, take_part, deadline) for node in nodes.values()))
    codes = {outcome.node: outcome.code for _, outcome in results if outcome.code is not None}
    for node, code in codes.items():
        _log.info("statistics_declined", node=node, step=step.name, code=code)
    values = {outcome.node: reply.value for reply, outcome in results if reply is not None}
    return _Answers(values, frozenset(codes.values()))


def _of(nodes: Mapping[NodeId, Node], some: Sequence[NodeId] | Mapping[NodeId, object]) -> dict[NodeId, Node]:
    return {node: nodes[node] for node in some}


def _sound(entries: Mapping[NodeId, Entry], nodes: Mapping[NodeId, Node]) -> dict[NodeId, Entry]:
    """Without those whose key would make the others refuse."""
    found: dict[NodeId, Entry] = {}
    for node, entry in entries.items():
        key = entry.key
        try:
            verify(nodes[node].public_key, SIGNED_AS, key.signed(), key.signature)
        except IdentityError:
            continue
        if (key.node, key.round) == (node, entry.round) and usable(key):
            found[node] = entry
    return found


def _alike(entries: Mapping[NodeId, Entry]) -> dict[NodeId, Entry]:
    """Those of the terms that most hospitals count."""
    lists = Counter((entry.terms_sha256, entry.terms) for entry in entries.values())
    most = max(sorted(lists), key=lambda one: lists[one], default=None)
    return {node: entry for node, entry in entries.items() if (entry.terms_sha256, entry.terms) == most}


def _holds(masked: MaskedVector, length: int) -> bool:
    try:
        return len(decode_numbers(masked.values)) == masked.length == length
    except ValueError:
        return False


def _signed(word: Agreement, masked: MaskedVector, survivors: tuple[NodeId, ...], node: Node) -> bool:
    told = Survivors(
        node=word.node,
        round=word.round,
        keys_sha256=masked.keys_sha256,
        survivors=survivors,
        signature=word.signature,
    )
    try:
        verify(node.public_key, SIGNED_AS, told.signed(), told.signature)
    except IdentityError:
        return False
    return word.keys_sha256 == masked.keys_sha256


def _require_enough(hospitals: Mapping[NodeId, object]) -> None:
    if len(hospitals) < MINIMUM:
        raise Unavailable(f"{len(hospitals)} hospitals can count together; {MINIMUM} are needed", code="no_sum")


def _require_all(survivors: tuple[NodeId, ...], answered: Mapping[NodeId, object]) -> None:
    if gone := frozenset(survivors) - answered.keys():
        raise _WentAway(gone)
