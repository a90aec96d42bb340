"""The parts that a coordinator's configuration names, put together."""

import asyncio
import os
import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, cast

from aggregator.methods import MERGE_METHODS
from aggregator.weights import NO_OUTCOMES
from fedrag.circuit import CircuitBreaker
from fedrag.config import CoordinatorConfig
from fedrag.conversation import Conversing
from fedrag.core.answer import Reliability
from fedrag.core.config import PluginConfig
from fedrag.core.protocols import Node
from fedrag.core.wire import NodeId
from fedrag.descriptions import DescriptionWatch
from fedrag.encoders import ENCODERS
from fedrag.encoders.remembering import Remembering
from fedrag.enrolment import EnrolmentDesk
from fedrag.experience import RouterExperience
from fedrag.home import CoordinatorHome, open_certificate, open_config, open_desk, open_issuer
from fedrag.http.client import RemoteNode, http_client
from fedrag.http.replicas import ReplicatedNode, RetryBudget
from fedrag.http.signing import Signer
from fedrag.http.tls import LiveCertificate, client_context
from fedrag.http.tokens import DevelopmentIssuer
from fedrag.kept_drift import DriftStore
from fedrag.kept_statistics import StatisticsFile
from fedrag.kept_trust import TrustStore
from fedrag.live_members import Connection, LiveMembers
from fedrag.members import Member, MemberRegistry
from fedrag.pipeline import Federation
from fedrag.populations import Census
from fedrag.receipts import ReceiptStore
from fedrag.redaction import PatternRedactor
from fedrag.statistics import StatisticsWatch
from fedrag.trust import TrustBook
from fedrag.vote_watch import VoteWatch
from reasoner.backends import BACKENDS, Surroundings
from reasoner.generative import Generative
from reasoner.question_model import QuestionModel
from reasoner.vote_model import configured
from router.policies import ROUTING_POLICIES
from router.policies.mixture import MixtureRouting

LEARNING: Final = "mixture"
"""The routing policy that learns."""


@dataclass(frozen=True, slots=True)
class Coordinator:
    """Everything that serves questions.

    `nodes`: the hospitals of this moment; `desk`: where they join; `statistics`: what they count together, None where
    they are not to; `certificate`: what we show them; `budget`: what may be asked of them twice; `experience`: what
    was learned of whom to ask; `receipts`: where what they signed is kept; `census`: counts patients;
    `trust`: how far descriptions are believed, None: wholly; `watch`: whether the sources of a fitted vote answer as
    when they were judged, None where none is used; `conversing`: what surrounds the hop.
    """

    config: CoordinatorConfig
    parts: Federation
    nodes: Callable[[], Mapping[NodeId, Node]]
    descriptions: DescriptionWatch
    desk: EnrolmentDesk | None
    statistics: StatisticsWatch | None
    certificate: LiveCertificate | None
    budget: RetryBudget
    experience: RouterExperience
    receipts: ReceiptStore | None
    census: Census
    trust: TrustBook | None
    watch: VoteWatch | None
    conversing: Conversing
    closing: tuple[Callable[[], Awaitable[None]], ...]

    def federation(self, reliability: Mapping[NodeId, Reliability] = NO_OUTCOMES) -> Federation:
        """The parts that a question meets which sets out now, and what was learned of the hospitals until now."""
        routing = {**self.parts.routing, LEARNING: self.experience.policy()}
        return replace(
            self.parts,
            nodes=self.nodes(),
            catalogue=self.descriptions.catalogue(),
            routing=self.trust.around(routing) if self.trust is not None else routing,
            reliability=reliability,
        )

    async def aclose(self) -> None:
        if self.trust is not None:
            await asyncio.to_thread(self.trust.close)
        if self.watch is not None:
            await asyncio.to_thread(self.watch.close)
        for close in self.closing:
            await close()


def assemble(home: CoordinatorHome) -> Coordinator:
    """Raises ConfigError for what the operator has to put right first."""
    config = open_config(home)
    signer, certificate = Signer.load(home.signing_key), open_certificate(home, config)
    registry, budget = MemberRegistry(home.members), RetryBudget()
    receipts = ReceiptStore(home.receipts, config.receipts.keep_days)

    def connection(member: Member) -> Connection:
        client = http_client(tls=client_context(member.authority, certificate)) if member.authority else http_client()
        replicas = [
            RemoteNode(
                id=member.id,
                url=url.rstrip("/"),
                public_key=member.public_key,
                coordinator=config.coordinator,
                signer=signer,
                client=client,
                keep=receipts.keep,
            )
            for url in member.urls
        ]
        return Connection(ReplicatedNode(replicas, budget), client)

    members = LiveMembers(registry, connection)
    return connect(
        config,
        members.nodes,
        open_issuer(home, config),
        desk=open_desk(home, config, registry),
        certificate=certificate,
        budget=budget,
        kept=home.statistics,
        learned=home.experience,
        receipts=receipts,
        trusted=TrustStore(home.trust) if config.trust.enabled else None,
        drifting=home.drift,
        closing=(members.aclose, receipts.aclose),
    )


def connect(
    config: CoordinatorConfig,
    nodes: Callable[[], Mapping[NodeId, Node]],
    issuer: DevelopmentIssuer | None,
    *,
    desk: EnrolmentDesk | None = None,
    certificate: LiveCertificate | None = None,
    budget: RetryBudget | None = None,
    kept: Path | None = None,
    learned: Path | None = None,
    receipts: ReceiptStore | None = None,
    trusted: TrustStore | None = None,
    drifting: Path | None = None,
    closing: tuple[Callable[[], Awaitable[None]], ...] = (),
) -> Coordinator:
    """The parts that a configuration names, put together around these hospitals. `kept`: where common statistics are
    kept over a restart; `learned`: where what was learned of whom to ask is; `trusted`: where what is known of their
    descriptions is, None: they are believed; `drifting`: where it is kept who no longer answers as when it was judged,
    None: nobody looks."""
    encoder = Remembering(ENCODERS.build(config.encoder.name, config.encoder.settings), queries=0)
    vote = configured(config.reasoner.settings) if drifting is not None else None
    watch = VoteWatch(vote, DriftStore(drifting), secrets.token_bytes(32)) if vote and drifting else None
    reasoner = BACKENDS.build(config.reasoner.name, config.reasoner.settings)(
        Surroundings(encoder, os.environ, secrets.token_bytes, watch.left_out if watch else frozenset)
    )
    reads = QuestionModel(reasoner.parts.model, reasoner.parts.fence) if isinstance(reasoner, Generative) else None
    breaker = CircuitBreaker()
    descriptions = DescriptionWatch(nodes, breaker)
    statistics = (
        StatisticsWatch(nodes, descriptions.catalogue, StatisticsFile(kept), config.statistics.every_h * 3600)
        if config.statistics.share
        else None
    )
    chosen = {name: PluginConfig(name=name) for name in ROUTING_POLICIES.names} | {config.routing.name: config.routing}
    routing = {name: ROUTING_POLICIES.build(name, plugin.settings) for name, plugin in chosen.items()}
    parts = Federation(
        coordinator=config.coordinator,
        redactor=PatternRedactor(),
        encoder=encoder,
        nodes=nodes(),
        catalogue=descriptions.catalogue(),
        routing=routing,
        merging=MERGE_METHODS.build(config.merging.name, config.merging.settings),
        reasoner=reasoner,
        processor=reasoner.processor,
        issuer=issuer,
        breaker=breaker,
        disclosure=config.query_disclosure,
        release_mode=config.release_mode,
        check_claims=config.check_claims,
        reliability=NO_OUTCOMES,
    )
    experience = RouterExperience(
        cast(MixtureRouting, routing[LEARNING]),
        encoder,
        descriptions.catalogue,
        nodes,
        learned,
        learning=config.learning.enabled,
    )
    closing = (reasoner.aclose, *closing)
    budget = budget or RetryBudget()
    census = Census(nodes, issuer.token if issuer else None)
    trust = TrustBook(trusted, encoder, descriptions.catalogue) if trusted is not None else None
    return Coordinator(
        config=config,
        parts=parts,
        nodes=nodes,
        descriptions=descriptions,
        desk=desk,
        statistics=statistics,
        certificate=certificate,
        budget=budget,
        experience=experience,
        receipts=receipts,
        census=census,
        trust=trust,
        watch=watch,
        conversing=Conversing.of(config.budgets, reads),
        closing=closing,
    )
