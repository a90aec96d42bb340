"""Common statistics of terms: hospitals count together, so that scores of words mean the same everywhere.

round       keys → masked counts → one set of survivors, signed by all → seeds → their sum, and nothing else
epoch       that sum; brought to every hospital that scores words with something else
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

import structlog

from fedrag.core.errors import FedragError, ProtocolError
from fedrag.core.protocols import Node
from fedrag.core.statistics import COUNTS, EPOCH, KEY, MASK, SEEDS, SURVIVORS, Entry, Keys, Round, SharedStatistics
from fedrag.core.wire import NodeId, RequestId, new_request_id
from fedrag.kept_statistics import KeptStatistics, StatisticsFile
from fedrag.masked_round import Rest, WentAway, ask_each, masked_sum, require_enough, sound
from fedrag.privacy.masked_sums import MINIMUM
from router.catalogue import Catalogue

STEP_MS: Final = 15_000
PATIENCE_S: Final = 60.0
"""How long the first round waits for members that have not described themselves: who misses it joins in threes."""
AGAIN_S: Final = 600.0
"""A hospital that did not begin to use what it was told is told again."""
_WAIT: Final = frozenset({"too_soon", "joiners_wait"})
_TICK_S: Final = 2.0
_LONGEST_PAUSE_S: Final = 3600.0
_log = structlog.get_logger()


async def run_round(nodes: Mapping[NodeId, Node], step_ms: float = STEP_MS) -> SharedStatistics:
    """The sum over all hospitals that take part and keep up, of those the most that count the same terms.

    Raises Unavailable (`no_sum`); ProtocolError (`bad_round`, `implausible_statistics`) where what they sent makes no
    sum.
    """
    there = dict(nodes)
    while True:
        try:
            return await _round(there, new_request_id(), step_ms)
        except WentAway as error:
            there = {node: called for node, called in there.items() if node not in error.hospitals}


async def _round(nodes: Mapping[NodeId, Node], round_id: RequestId, step_ms: float) -> SharedStatistics:
    begun = await ask_each(nodes, KEY, lambda _: Round(round=round_id), step_ms)
    begun.require_none_waits(_WAIT)
    entries = _alike(sound(begun.values, nodes))
    require_enough(entries)
    terms_sha256, terms = next((entry.terms_sha256, entry.terms) for entry in entries.values())
    keys = {node: entry.key for node, entry in entries.items()}
    identities = {node: nodes[node].public_key for node in keys}
    to_mask = Keys(round=round_id, terms_sha256=terms_sha256, keys=keys, identities=identities)
    rest = Rest(MASK, SURVIVORS, SEEDS, waiting=_WAIT)
    total = await masked_sum(nodes, rest, to_mask, keys, COUNTS + terms, step_ms)
    shared = SharedStatistics.of(round_id, terms_sha256, total.hospitals, total.values)
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
        adopted = await ask_each(others, EPOCH, lambda _: kept.shared, STEP_MS)
        at = datetime.fromtimestamp(self.clock(), UTC)
        new = {node: at for node, one in adopted.values.items() if one.epoch == epoch}
        self.file.write(kept.model_copy(update={"adopted": {**kept.adopted, **new}}))


def _alike(entries: Mapping[NodeId, Entry]) -> dict[NodeId, Entry]:
    """Those of the terms that most hospitals count."""
    lists = Counter((entry.terms_sha256, entry.terms) for entry in entries.values())
    most = max(sorted(lists), key=lambda one: lists[one], default=None)
    return {node: entry for node, entry in entries.items() if (entry.terms_sha256, entry.terms) == most}
