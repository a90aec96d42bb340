"""Population questions at the coordinator: a masked sum of noisy counts, and what it says with which doubt.

The coordinator sees one sum over all hospitals, noise of every one of them included. The more hospitals, the more noise
in all; none of it can be taken out again, whoever shares what they know.
"""

import asyncio
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

import numpy as np
import structlog

from fedrag.core.errors import ProtocolError, Unavailable
from fedrag.core.exchange import NodeOutcome, NodeStatus
from fedrag.core.identity import Asker
from fedrag.core.populations import (
    COUNT_KEY,
    COUNT_MASK,
    COUNT_SEEDS,
    COUNT_SURVIVORS,
    MAXIMUM_PATIENTS,
    UNITS,
    CountEntry,
    CountKeys,
    CountRound,
    Estimate,
    PopulationAnswer,
    PopulationQuestion,
)
from fedrag.core.protocols import Node
from fedrag.core.wire import NodeId, RequestId, new_request_id
from fedrag.masked_round import Answers, Rest, WentAway, ask_each, masked_sum, require_enough, sound
from fedrag.population_grammar import say

STEP_MS: Final = 15_000
_Z: Final = 1.96
"""Of a normal distribution, 0.95 lie within so many standard deviations."""
_STEPS: Final = 1000
_DIGITS: Final = 3
_TWICE: Final = "A patient known to two hospitals is counted at both."
_LEFT_OUT: Final = (
    "So many questions were answered before that patients who were asked about most may be left out at {} of {} "
    "hospitals: the true numbers may be higher."
)
_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Counted:
    """`cells`: noisy numbers of patients over `entries`' hospitals."""

    cells: tuple[float, ...]
    entries: Mapping[NodeId, CountEntry]
    outcomes: Mapping[NodeId, NodeOutcome]


@dataclass(slots=True)
class Census:
    """Puts one question at a time.

    Args:
        nodes: the hospitals of this moment.
        token: vouches for an asker towards a hospital; None where nobody does.
    """

    nodes: Callable[[], Mapping[NodeId, Node]]
    token: Callable[[Asker, NodeId], str] | None
    step_ms: float = STEP_MS
    _one: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def count(self, question: PopulationQuestion, asker: Asker, request_id: RequestId) -> PopulationAnswer:
        """An answer without a number where fewer than three hospitals count together, or some have to wait for others.

        Raises ProtocolError (`bad_round`, `implausible_count`).
        """
        there = dict(self.nodes())
        everyone = sorted(there)
        outcomes: dict[NodeId, NodeOutcome] = {}
        async with self._one:
            while True:
                try:
                    counted = await self._round(there, question, asker)
                    break
                except _NoSumError as error:
                    return _without(request_id, question, error, {**error.outcomes, **outcomes})
                except WentAway as error:
                    there = {node: called for node, called in there.items() if node not in error.hospitals}
                    outcomes.update((node, _dropped_out(node)) for node in error.hospitals)
        outcomes = {**counted.outcomes, **outcomes}
        _log.info("counted", hospitals=len(counted.entries), cells=len(counted.cells))
        return answer(request_id, question, counted, tuple(outcomes[node] for node in everyone))

    async def _round(self, nodes: Mapping[NodeId, Node], question: PopulationQuestion, asker: Asker) -> Counted:
        round_id = new_request_id()

        def begin(node: NodeId) -> CountRound:
            return CountRound(round=round_id, question=question, token=self.token(asker, node) if self.token else None)

        begun = await ask_each(nodes, COUNT_KEY, begin, self.step_ms)
        try:
            return await self._sum(nodes, question, round_id, begun)
        except Unavailable as error:
            raise _NoSumError(error.message, begun.outcomes) from None

    async def _sum(
        self,
        nodes: Mapping[NodeId, Node],
        question: PopulationQuestion,
        round_id: RequestId,
        begun: Answers[CountEntry],
    ) -> Counted:
        entries = sound(begun.values, nodes)
        require_enough(entries)
        keys = {node: entry.key for node, entry in entries.items()}
        to_mask = CountKeys(round=round_id, keys=keys, identities={node: nodes[node].public_key for node in keys})
        rest = Rest(COUNT_MASK, COUNT_SURVIVORS, COUNT_SEEDS, waiting=_WAIT)
        total = await masked_sum(nodes, rest, to_mask, keys, question.cells, self.step_ms)
        quarters = total.values.view(np.int64)
        if int(np.abs(quarters).max()) > UNITS * MAXIMUM_PATIENTS * len(total.hospitals):
            raise ProtocolError("the sum cannot be: a hospital did not keep to the protocol", code="implausible_count")
        lost = {node: _dropped_out(node) for node in begun.values.keys() - set(total.hospitals)}
        return Counted(
            cells=tuple(float(one) / UNITS for one in quarters),
            entries={node: entries[node] for node in total.hospitals},
            outcomes={**begun.outcomes, **lost},
        )


_WAIT: Final = frozenset({"joiners_wait"})


class _NoSumError(Exception):
    """Nothing was added up, and what became of everyone."""

    def __init__(self, why: str, outcomes: Mapping[NodeId, NodeOutcome]) -> None:
        super().__init__(why)
        self.why, self.outcomes = why, outcomes


def _without(
    request_id: RequestId, question: PopulationQuestion, error: _NoSumError, outcomes: Mapping[NodeId, NodeOutcome]
) -> PopulationAnswer:
    """Nothing was told: it costs nothing."""
    return PopulationAnswer(
        id=request_id,
        question=question,
        understood=say(question),
        patients=None,
        with_also=None,
        share=None,
        hospitals=0,
        floor=0,
        epsilon=0,
        delta=0,
        complete=False,
        not_counted=error.why,
        coverage=tuple(outcomes[node] for node in sorted(outcomes)),
        notices=(),
        answered_at=datetime.now(UTC),
    )


def answer(
    request_id: RequestId, question: PopulationQuestion, counted: Counted, coverage: tuple[NodeOutcome, ...]
) -> PopulationAnswer:
    """What the noisy numbers say."""
    entries = tuple(counted.entries.values())
    sigma = math.sqrt(sum(entry.sigma**2 for entry in entries))
    hidden = sum(entry.floor - 1 for entry in entries)
    incomplete = sum(not entry.complete for entry in entries)
    patients, with_also, share = estimates(counted.cells, sigma, hidden)
    return PopulationAnswer(
        id=request_id,
        question=question,
        understood=say(question),
        patients=patients,
        with_also=with_also,
        share=share,
        hospitals=len(entries),
        floor=max(entry.floor for entry in entries),
        epsilon=max(entry.epsilon for entry in entries),
        delta=max(entry.delta for entry in entries),
        complete=not incomplete,
        coverage=coverage,
        notices=(_TWICE, *((_LEFT_OUT.format(incomplete, len(entries)),) if incomplete else ())),
        answered_at=datetime.now(UTC),
    )


def estimates(cells: Sequence[float], sigma: float, hidden: int) -> tuple[Estimate, Estimate | None, Estimate | None]:
    """Patients, those with what was also asked, and their share.

    `cells`: patients; or those with what was also asked and those without. Each with noise of standard deviation
    `sigma`, and each up to `hidden` lower than it is because of floors.
    """
    patients = _patients(sum(cells), sigma * math.sqrt(len(cells)), hidden * len(cells))
    if len(cells) == 1:
        return patients, None, None
    with_also = _patients(cells[0], sigma, hidden)
    return patients, with_also, _share(cells[0], cells[1], sigma, hidden) if patients.low > 0 else None


def _patients(noisy: float, sigma: float, hidden: int) -> Estimate:
    """Whole patients, none below zero; the interval is widened to whole ones."""
    return Estimate(
        value=float(max(round(noisy), 0)),
        low=float(max(math.floor(noisy - _Z * sigma), 0)),
        high=float(max(math.ceil(noisy + _Z * sigma) + hidden, 0)),
        hidden=hidden,
    )


def _share(a: float, b: float, sigma: float, hidden: int) -> Estimate:
    """A / (A + B) by Fieller's theorem: r may be it where (1 − r)a − rb is within the noise of zero. The ends allow for
    `hidden` patients more of the one or of the other."""
    r = np.linspace(0, 1, _STEPS + 1)
    doubt = _Z * sigma * np.hypot(r, 1 - r)
    low = r[(1 - r) * a - r * (b + hidden) <= doubt].min(initial=1.0)
    high = r[(1 - r) * (a + hidden) - r * b >= -doubt].max(initial=0.0)
    value = min(max(a / (a + b), 0.0), 1.0) if a + b > 0 else 0.0
    low, value, high = (round(one, _DIGITS) for one in (min(float(low), value), value, max(float(high), value)))
    return Estimate(value=value, low=low, high=high)


def _dropped_out(node: NodeId) -> NodeOutcome:
    return NodeOutcome(node=node, status=NodeStatus.FAILED, code="dropped_out")
