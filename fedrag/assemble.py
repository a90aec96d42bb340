"""A coordinator from its home folder: `coordinator.toml`, its keys, its members."""

import os
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from aggregator.methods import MERGE_METHODS
from fedrag.config import CoordinatorConfig
from fedrag.core.config import PluginConfig, load_toml, write_toml
from fedrag.core.protocols import Encoder, Node
from fedrag.core.wire import NodeId
from fedrag.descriptions import DescriptionWatch
from fedrag.encoders import ENCODERS
from fedrag.enrolment import EnrolmentDesk
from fedrag.fanout import CircuitBreaker
from fedrag.http.client import RemoteNode, http_client
from fedrag.http.signing import Signer
from fedrag.http.tls import LiveCertificate, client_context, leaf_certificate, root_certificate
from fedrag.http.tokens import DevelopmentIssuer
from fedrag.live_members import Connection, LiveMembers
from fedrag.members import Member, MemberRegistry
from fedrag.pipeline import Federation
from fedrag.redaction import PatternRedactor
from reasoner.backends import BACKENDS, Surroundings
from router.policies import ROUTING_POLICIES


@dataclass(frozen=True, slots=True)
class CoordinatorHome:
    """Where a coordinator keeps its configuration and keys."""

    folder: Path

    @property
    def config(self) -> Path:
        return self.folder / "coordinator.toml"

    @property
    def signing_key(self) -> Path:
        return self.folder / "coordinator.key"

    @property
    def issuer_key(self) -> Path:
        return self.folder / "development-issuer.key"

    @property
    def certificate(self) -> Path:
        return self.folder / "tls.pem"

    @property
    def root(self) -> Path:
        return self.folder / "root.crt"

    @property
    def members(self) -> Path:
        return self.folder / "members.sqlite"

    @property
    def feedback(self) -> Path:
        return self.folder / "feedback.sqlite"


def create_coordinator(home: CoordinatorHome, config: CoordinatorConfig) -> tuple[Signer, Signer]:
    """Write a new coordinator's configuration and make its keys: its own, and its development issuer's."""
    coordinator, issuer = Signer.generate(), Signer.generate()
    home.folder.mkdir(parents=True, exist_ok=True)
    coordinator.save(home.signing_key)
    issuer.save(home.issuer_key)
    home.root.write_text(root_certificate(coordinator, config.coordinator, time.time()))
    write_toml(home.config, config)
    return coordinator, issuer


@dataclass(frozen=True, slots=True)
class Coordinator:
    """Everything that serves questions.

    `nodes`: the hospitals of this moment; `desk`: where they join; `certificate`: what we show them.
    """

    config: CoordinatorConfig
    parts: Federation
    nodes: Callable[[], Mapping[NodeId, Node]]
    descriptions: DescriptionWatch
    desk: EnrolmentDesk | None
    certificate: LiveCertificate | None
    closing: tuple[Callable[[], Awaitable[None]], ...]

    def federation(self) -> Federation:
        """The parts that a question meets which sets out now."""
        return replace(self.parts, nodes=self.nodes(), catalogue=self.descriptions.catalogue())

    async def aclose(self) -> None:
        for close in self.closing:
            await close()


def open_config(home: CoordinatorHome) -> CoordinatorConfig:
    return load_toml(home.config, CoordinatorConfig)


def issuer_name(coordinator: NodeId) -> str:
    return f"{coordinator}-development-issuer"


def open_certificate(home: CoordinatorHome, config: CoordinatorConfig) -> LiveCertificate:
    """What the coordinator shows to hospitals, whose own TLS asks for it."""
    signer, names = Signer.load(home.signing_key), (*config.serve.names, "localhost", "127.0.0.1")

    def make(now_s: float) -> bytes:
        return leaf_certificate(signer, config.coordinator, names, now_s, client=True)

    return LiveCertificate(home.certificate, make=make)


def open_desk(home: CoordinatorHome, config: CoordinatorConfig, registry: MemberRegistry) -> EnrolmentDesk:
    """Where hospitals join."""
    issuer = _open_issuer(home, config)
    return EnrolmentDesk(
        registry=registry,
        coordinator=config.coordinator,
        signer=Signer.load(home.signing_key),
        issuers={} if issuer is None else {issuer.name: issuer.signer.public_key},
    )


def assemble(home: CoordinatorHome) -> Coordinator:
    """Raises ConfigError for what the operator has to put right first."""
    config = open_config(home)
    signer, certificate = Signer.load(home.signing_key), open_certificate(home, config)
    registry = MemberRegistry(home.members)

    def connection(member: Member) -> Connection:
        client = http_client(tls=client_context(member.authority, certificate)) if member.authority else http_client()
        return Connection(
            RemoteNode(
                id=member.id,
                url=member.urls[0].rstrip("/"),
                public_key=member.public_key,
                coordinator=config.coordinator,
                signer=signer,
                client=client,
            ),
            client,
        )

    members = LiveMembers(registry, connection)
    return connect(
        config,
        members.nodes,
        _open_issuer(home, config),
        desk=open_desk(home, config, registry),
        certificate=certificate,
        closing=(members.aclose,),
    )


def connect(
    config: CoordinatorConfig,
    nodes: Callable[[], Mapping[NodeId, Node]],
    issuer: DevelopmentIssuer | None,
    *,
    desk: EnrolmentDesk | None = None,
    certificate: LiveCertificate | None = None,
    closing: tuple[Callable[[], Awaitable[None]], ...] = (),
) -> Coordinator:
    """The parts that a configuration names, put together around these hospitals."""
    encoder: Encoder = ENCODERS.build(config.encoder.name, config.encoder.settings)
    reasoner = BACKENDS.build(config.reasoner.name, config.reasoner.settings)(
        Surroundings(encoder, os.environ, secrets.token_bytes)
    )
    breaker = CircuitBreaker()
    descriptions = DescriptionWatch(nodes, breaker)
    chosen = {name: PluginConfig(name=name) for name in ROUTING_POLICIES.names} | {config.routing.name: config.routing}
    parts = Federation(
        coordinator=config.coordinator,
        redactor=PatternRedactor(),
        encoder=encoder,
        nodes=nodes(),
        catalogue=descriptions.catalogue(),
        routing={name: ROUTING_POLICIES.build(name, plugin.settings) for name, plugin in chosen.items()},
        merging=MERGE_METHODS.build(config.merging.name, config.merging.settings),
        reasoner=reasoner,
        processor=reasoner.processor,
        issuer=issuer,
        breaker=breaker,
        disclosure=config.query_disclosure,
    )
    return Coordinator(config, parts, nodes, descriptions, desk, certificate, (reasoner.aclose, *closing))


def _open_issuer(home: CoordinatorHome, config: CoordinatorConfig) -> DevelopmentIssuer | None:
    if not home.issuer_key.exists():
        return None
    key = Signer.load(home.issuer_key)
    return DevelopmentIssuer(issuer_name(config.coordinator), key, secret=key.derived_secret("pseudonyms"))
