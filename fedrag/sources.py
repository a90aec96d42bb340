"""Hospitals that reason themselves, asked for one question: who they are, what they answered, what it cost."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from fedrag.circuit import CircuitBreaker
from fedrag.core.deadline import Deadline
from fedrag.core.errors import Unavailable
from fedrag.core.protocols import Node, ReasoningNode, Reply
from fedrag.core.purse import Cost
from fedrag.core.traces import Told, Trace, TraceRequest
from fedrag.core.wire import NodeId
from fedrag.fanout import Gathered, ask_all


@dataclass(frozen=True, slots=True)
class AskedSources:
    """`request` makes what one hospital is asked, the turn-th time; `rounds` is what came of each."""

    hospitals: Mapping[NodeId, Node]
    request: Callable[[NodeId, Told, int, Deadline], TraceRequest]
    breaker: CircuitBreaker
    rounds: list[Gathered[Trace]] = field(default_factory=list)

    @property
    def nodes(self) -> tuple[NodeId, ...]:
        return tuple(sorted(self.hospitals))

    async def ask(self, told: Mapping[NodeId, Told], turn: int, deadline: Deadline) -> Mapping[NodeId, Trace]:
        async def call(node: Node) -> Reply[Trace]:
            if not isinstance(node, ReasoningNode):
                raise Unavailable("this hospital makes no chain of thought", code="no_reasoner")
            return await node.trace(self.request(node.id, told[node.id], turn, deadline), deadline)

        asked = [self.hospitals[node] for node in self.nodes if node in told]
        if deadline.purse is not None:
            asked = asked[: deadline.purse.take_up_to(Cost.PASSAGES, len(asked))]
        gathered = await ask_all(asked, call, deadline, self.breaker)
        self.rounds.append(gathered)
        return gathered.values

    @property
    def traces(self) -> tuple[Trace, ...]:
        """All that came, in whatever round."""
        return tuple(trace for one in self.rounds for _, trace in sorted(one.values.items()))
