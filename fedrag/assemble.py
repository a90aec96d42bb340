"""A coordinator from its home folder: `coordinator.toml` and its keys."""

import os
import secrets
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx2

from aggregator.methods import MERGE_METHODS
from fedrag.config import CoordinatorConfig
from fedrag.core.config import PluginConfig, load_toml, write_toml
from fedrag.core.protocols import Encoder, Node
from fedrag.core.wire import NodeId
from fedrag.descriptions import DescriptionWatch
from fedrag.encoders import ENCODERS
from fedrag.fanout import CircuitBreaker
from fedrag.http.client import RemoteNode, http_client
from fedrag.http.signing import Signer
from fedrag.http.tokens import DevelopmentIssuer
from fedrag.pipeline import Federation
from fedrag.redaction import PatternRedactor
from reasoner.backends import BACKENDS, Backend, Surroundings
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
    def feedback(self) -> Path:
        return self.folder / "feedback.sqlite"


def create_coordinator(home: CoordinatorHome, config: CoordinatorConfig) -> tuple[Signer, Signer]:
    """Write a new coordinator's configuration and make its keys: its own, and its development issuer's."""
    coordinator, issuer = Signer.generate(), Signer.generate()
    home.folder.mkdir(parents=True, exist_ok=True)
    coordinator.save(home.signing_key)
    issuer.save(home.issuer_key)
    write_toml(home.config, config)
    return coordinator, issuer


@dataclass(frozen=True, slots=True)
class Coordinator:
    """Everything that serves questions."""

    config: CoordinatorConfig
    federation: Federation
    descriptions: DescriptionWatch
    reasoner: Backend
    client: httpx2.AsyncClient

    async def aclose(self) -> None:
        await self.reasoner.aclose()
        await self.client.aclose()


def open_config(home: CoordinatorHome) -> CoordinatorConfig:
    return load_toml(home.config, CoordinatorConfig)


def issuer_name(coordinator: NodeId) -> str:
    return f"{coordinator}-development-issuer"


def assemble(home: CoordinatorHome, tls: ssl.SSLContext | None = None) -> Coordinator:
    """Raises ConfigError for what the operator has to put right first."""
    config = open_config(home)
    signer = Signer.load(home.signing_key)
    client = http_client(tls=tls)
    nodes = {
        entry.id: RemoteNode(
            id=entry.id,
            url=entry.url.rstrip("/"),
            public_key=entry.public_key,
            coordinator=config.coordinator,
            signer=signer,
            client=client,
        )
        for entry in config.nodes
    }
    issuer = None
    if home.issuer_key.exists():
        key = Signer.load(home.issuer_key)
        issuer = DevelopmentIssuer(issuer_name(config.coordinator), key, secret=key.derived_secret("pseudonyms"))
    return connect(config, nodes, client, issuer)


def connect(
    config: CoordinatorConfig,
    nodes: Mapping[NodeId, Node],
    client: httpx2.AsyncClient,
    issuer: DevelopmentIssuer | None,
) -> Coordinator:
    """The parts that a configuration names, put together around these hospitals."""
    encoder: Encoder = ENCODERS.build(config.encoder.name, config.encoder.settings)
    reasoner = BACKENDS.build(config.reasoner.name, config.reasoner.settings)(
        Surroundings(encoder, os.environ, secrets.token_bytes)
    )
    descriptions = DescriptionWatch(nodes)
    chosen = {name: PluginConfig(name=name) for name in ROUTING_POLICIES.names} | {config.routing.name: config.routing}
    federation = Federation(
        coordinator=config.coordinator,
        redactor=PatternRedactor(),
        encoder=encoder,
        nodes=nodes,
        catalogue=descriptions.catalogue,
        routing={name: ROUTING_POLICIES.build(name, plugin.settings) for name, plugin in chosen.items()},
        merging=MERGE_METHODS.build(config.merging.name, config.merging.settings),
        reasoner=reasoner,
        processor=reasoner.processor,
        issuer=issuer,
        breaker=CircuitBreaker(),
        disclosure=config.query_disclosure,
    )
    return Coordinator(config, federation, descriptions, reasoner, client)
