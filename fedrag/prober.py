"""Asking hospitals, as anybody would, what they say they know.

A probe is a question like another: it takes the whole way of one, by an asker of a rotating pool, and no hospital is
told. Only no reasoner reads what comes of it. A hospital with records of patients is asked with a filter that leaves
these out, by which it may know a probe.
"""

import asyncio
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from random import Random, SystemRandom
from typing import Final

import numpy as np
import structlog

from fedrag import probes
from fedrag.account import no_node_answered
from fedrag.config import CoordinatorConfig
from fedrag.conversation import put
from fedrag.core.answer import Evidence, Reasoning
from fedrag.core.collection import CollectionDescription, RankedNode, RoutingDecision
from fedrag.core.deadline import Deadline
from fedrag.core.identity import Asker
from fedrag.core.protocols import RoutingLimits, RoutingPolicy
from fedrag.core.question import AskRequest, PassageFilter, Question
from fedrag.core.wire import FloatMatrix, FloatVector, NodeId, ReleaseClass, new_request_id
from fedrag.pipeline import Federation
from fedrag.trust import TrustBook
from router.record import Standing

POOL: Final = 24
"""Askers; one of them is replaced by another now and then."""
TICK_S: Final = 0.5
DAY_S: Final = 86_400.0
_log = structlog.get_logger()


class Prober:
    """`random`: what nobody must foresee."""

    def __init__(
        self,
        book: TrustBook,
        federation: Callable[[], Federation],
        config: CoordinatorConfig,
        chance: Random | None = None,
    ) -> None:
        self._book, self._federation, self._config = book, federation, config
        self._random = chance or SystemRandom()
        self._askers = [self._asker() for _ in range(POOL)]
        self._due: dict[NodeId, float] = {}
        self._used: dict[NodeId, set[str]] = {}
        self._left: dict[NodeId, int] = {}
        self._topics: FloatMatrix | None = None

    async def run(self) -> None:
        """Settle what was seen and probe who is due, until cancelled."""
        clock = asyncio.get_running_loop().time
        while True:
            try:
                await asyncio.to_thread(self._book.settle)
                for node in self._whom(clock()):
                    await self.probe(node)
            except Exception as error:  # noqa: BLE001 - questions are answered without probes, too
                _log.error("probing_failed", error=type(error).__name__)
            await asyncio.sleep(TICK_S)

    async def probe(self, node: NodeId) -> None:
        """One question about what this hospital claims, to whom it would go and to this hospital."""
        parts = self._federation()
        if node not in parts.nodes:
            return
        text = await asyncio.to_thread(self._question, node)
        policy = self._config.routing.name
        parts = replace(
            parts, reasoner=_Silent(), routing={**parts.routing, policy: _Besides(parts.routing[policy], node)}
        )
        held = {one.release_class for one in parts.catalogue.collections() if one.node == node}
        kept = tuple(sorted(held - {ReleaseClass.PATIENT}))
        if not kept:
            return
        request = AskRequest(
            question=Question(text=text),
            filter=PassageFilter(release_classes=kept) if ReleaseClass.PATIENT in held else None,
        )
        asker = self._random.choice(self._askers)
        answered = await put(request, new_request_id(), asker, self._config.limits, policy, parts)
        self._book.observe(answered, about=node)
        self._askers[self._random.randrange(POOL)] = self._asker() if self._random.random() < 1 / POOL else asker

    def _whom(self, now_s: float) -> list[NodeId]:
        """Who is due. Hospitals in audit every `audit_every_s` until each of their prototypes had its probes, others
        `probes_per_day` times a day; at random times."""
        settings, trust, due = self._config.trust, self._book.trust, []
        for node, record in trust.records.items():
            if not len(record.claims.masses):
                continue
            auditing = trust.standing(node) is Standing.AUDIT
            left = self._left.setdefault(
                node, max(probes.PER_HOSPITAL, probes.PER_PROTOTYPE * len(record.claims.masses)) if auditing else 0
            )
            pause_s = settings.audit_every_s if auditing and left > 0 else DAY_S / settings.probes_per_day
            if node not in self._due:
                self._due[node] = now_s + self._random.expovariate(1 / pause_s)
            elif self._due[node] <= now_s or (left > 0 and auditing and self._due[node] - now_s > 60 * pause_s):
                self._due[node] = now_s + self._random.expovariate(1 / pause_s)
                self._left[node] = max(0, left - 1)
                due.append(node)
            if not auditing:
                self._left.pop(node, None)
        return due

    def _question(self, node: NodeId) -> str:
        encoder = self._federation().encoder
        if self._topics is None:
            self._topics = encoder.encode_queries(probes.topics())
        record = self._book.trust.records[node]
        titles = tuple(map(probes.question_about, self._book.titles(node)))
        pool = np.concatenate((self._topics, encoder.encode_passages(titles))) if titles else self._topics
        used = self._used.setdefault(node, set())
        texts = (*(self._way(topic) for topic in probes.topics()), *titles)
        taken = {row for row, text in enumerate((*probes.topics(), *titles)) if text in used}
        if len(taken) > len(pool) // 2:
            used.clear()
        (row,) = probes.about(record, pool, taken, 1)
        used.add((*probes.topics(), *titles)[row])
        return texts[row]

    def _way(self, topic: str) -> str:
        return self._random.choice(probes.WAYS).format(topic)

    def _asker(self) -> Asker:
        """Somebody with the role and purpose of one who may ask here."""
        name = f"asker-{secrets.token_hex(4)}"
        if not self._config.api_keys:
            return Asker(name=name)
        like = self._random.choice(self._config.api_keys)
        return Asker(name=name, role=like.role, purpose=like.purpose, project=like.project)


@dataclass(frozen=True, slots=True)
class _Silent:
    async def reason(self, question: Question, evidence: Evidence, deadline: Deadline) -> Reasoning:  # noqa: ARG002
        return no_node_answered()


@dataclass(frozen=True, slots=True)
class _Besides:
    """A routing policy, and one hospital besides."""

    policy: RoutingPolicy
    node: NodeId

    def route(
        self,
        query: FloatVector,
        comparable_with: str,
        collections: Sequence[CollectionDescription],
        limits: RoutingLimits,
    ) -> RoutingDecision:
        decision = self.policy.route(query, comparable_with, collections, limits)
        if self.node in decision.selected or self.node not in {one.node for one in collections}:
            return decision
        told = {one.node for one in decision.ranking}
        more = () if self.node in told else (RankedNode(node=self.node, score=0.0, probability=0.05),)
        selected = (*decision.selected[: max(1, limits.maximum_nodes - 1)], self.node)
        return decision.model_copy(update={"ranking": (*decision.ranking, *more), "selected": selected})
