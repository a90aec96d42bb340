"""One round of a masked sum, driven: keys → masked vectors → one set of survivors, signed by all → seeds → the sum.

A hospital that fails before it has masked is left out; one whose masked vector does not arrive is a drop-out, which the
others' seeds make up for; one that fails after that ends the round, and the next one does without it.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

import structlog

from fedrag.core.deadline import Deadline
from fedrag.core.errors import IdentityError, Unavailable
from fedrag.core.exchange import NodeOutcome
from fedrag.core.masked_sums import MaskedVector, RoundKey, Seeds, Survivors, decode_numbers
from fedrag.core.protocols import Node, Reply
from fedrag.core.statistics import A, Agreed, Agreement, Q, Step, SurvivorsToSign
from fedrag.core.wire import NodeId, RequestId
from fedrag.fanout import attempt
from fedrag.http.signing import verify
from fedrag.privacy.masked_sums import MINIMUM, SIGNED_AS, Sum, digest, unmask, usable

_log = structlog.get_logger()


class WentAway(Exception):
    """Hospitals that had masked, and did not answer any more."""

    def __init__(self, hospitals: frozenset[NodeId]) -> None:
        super().__init__(f"{len(hospitals)} survivors went away")
        self.hospitals = hospitals


class Entry(Protocol):
    """What a hospital says that takes part."""

    @property
    def round(self) -> RequestId: ...

    @property
    def key(self) -> RoundKey: ...


E = TypeVar("E", bound=Entry)


@dataclass(frozen=True, slots=True)
class Rest(Generic[Q]):
    """The steps after the first. `waiting`: codes of refusals that a round is not to go on without."""

    mask: Step[Q, MaskedVector]
    survivors: Step[SurvivorsToSign, Agreement]
    seeds: Step[Agreed, Seeds]
    waiting: frozenset[str]


@dataclass(frozen=True, slots=True)
class Answers(Generic[A]):
    """What came back in time, and what became of everyone."""

    values: dict[NodeId, A]
    outcomes: dict[NodeId, NodeOutcome]

    def require_none_waits(self, waiting: frozenset[str]) -> None:
        """A sum of those alone who need not wait would take the place of a larger one."""
        if found := {outcome.code for outcome in self.outcomes.values() if outcome.code} & waiting:
            raise Unavailable(f"hospitals wait: {', '.join(sorted(found))}", code="no_sum")


async def ask_each(
    nodes: Mapping[NodeId, Node], step: Step[Q, A], request: Callable[[NodeId], Q], step_ms: float
) -> Answers[A]:
    deadline = Deadline.after_ms(step_ms)

    async def take_part(node: Node) -> Reply[A]:
        return await node.take_part(step, request(node.id), deadline)

    results = await asyncio.gather(*(attempt(node, take_part, deadline) for node in nodes.values()))
    for _, outcome in results:
        if outcome.code is not None:
            _log.info("step_declined", node=outcome.node, path=step.path, code=outcome.code)
    values = {outcome.node: reply.value for reply, outcome in results if reply is not None}
    return Answers(values, {outcome.node: outcome for _, outcome in results})


async def masked_sum(
    nodes: Mapping[NodeId, Node],
    rest: Rest[Q],
    to_mask: Q,
    keys: Mapping[NodeId, RoundKey],
    length: int,
    step_ms: float,
) -> Sum:
    """The sum of `length` numbers over those of `keys` that keep up.

    Raises WentAway, Unavailable (`no_sum`), ProtocolError (`bad_round`).
    """
    round_id = to_mask.round
    masked = {
        node: one
        for node, one in (await ask_each(_of(nodes, keys), rest.mask, lambda _: to_mask, step_ms)).values.items()
        if one.keys_sha256 == digest(keys) and _holds(one, length)
    }
    require_enough(masked)
    survivors = tuple(sorted(masked))
    to_sign = SurvivorsToSign(round=round_id, survivors=survivors)
    signed = await ask_each(_of(nodes, survivors), rest.survivors, lambda _: to_sign, step_ms)
    signed.require_none_waits(rest.waiting)
    words = {node: one for node, one in signed.values.items() if _signed(one, masked[node], survivors, nodes[node])}
    _require_all(survivors, words)
    sealed = words[survivors[0]].sealed
    signatures = {node: word.signature for node, word in words.items()}

    def agreed(node: NodeId) -> Agreed:
        return Agreed(round=round_id, signatures=signatures, sealed=sealed.get(node))

    seeds = await ask_each(_of(nodes, survivors), rest.seeds, agreed, step_ms)
    _require_all(survivors, seeds.values)
    return await asyncio.to_thread(unmask, masked, seeds.values)


def sound(entries: Mapping[NodeId, E], nodes: Mapping[NodeId, Node]) -> dict[NodeId, E]:
    """Without those whose key would make the others refuse."""
    found: dict[NodeId, E] = {}
    for node, entry in entries.items():
        key = entry.key
        try:
            verify(nodes[node].public_key, SIGNED_AS, key.signed(), key.signature)
        except IdentityError:
            continue
        if (key.node, key.round) == (node, entry.round) and usable(key):
            found[node] = entry
    return found


def require_enough(hospitals: Mapping[NodeId, object]) -> None:
    """Raises Unavailable (`no_sum`) where a sum would tell what two hospitals counted."""
    if len(hospitals) < MINIMUM:
        raise Unavailable(f"{len(hospitals)} hospitals can count together; {MINIMUM} are needed", code="no_sum")


def _of(nodes: Mapping[NodeId, Node], some: Sequence[NodeId] | Mapping[NodeId, object]) -> dict[NodeId, Node]:
    return {node: nodes[node] for node in some}


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


def _require_all(survivors: tuple[NodeId, ...], answered: Mapping[NodeId, object]) -> None:
    if gone := frozenset(survivors) - answered.keys():
        raise WentAway(gone)
