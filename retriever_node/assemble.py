"""A node from its home folder: `node.toml`, its keys, its passages, its memory."""

import hashlib
import json
import os
import secrets
import ssl
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from fedrag.core.config import PluginConfig, load_toml, write_toml
from fedrag.core.errors import ConfigError
from fedrag.core.protocols import Encoder
from fedrag.encoders import ENCODERS
from fedrag.http.serving import is_loopback, live_certificate, require_safe
from fedrag.http.signing import Signer
from fedrag.http.tls import LiveCertificate, leaf_certificate, server_context
from retriever_node.collection import Collection
from retriever_node.config import CollectionConfig, NodeConfig
from retriever_node.description import describe_collection
from retriever_node.gate import Gate
from retriever_node.handles import HandleSealer
from retriever_node.indexes import INDEXES
from retriever_node.node import RetrieverNode, ServedCollection
from retriever_node.release import DEFAULT_POLICY, RELEASE_POLICIES
from retriever_node.state import NodeState
from retriever_node.store import PassageStore

_SEAL_KEY_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class NodeHome:
    """Where one node keeps everything it has."""

    folder: Path

    @property
    def config(self) -> Path:
        return self.folder / "node.toml"

    @property
    def signing_key(self) -> Path:
        return self.folder / "node.key"

    @property
    def sealing_key(self) -> Path:
        return self.folder / "handles.key"

    @property
    def certificate(self) -> Path:
        return self.folder / "tls.pem"

    @property
    def coordinators(self) -> Path:
        """Their roots for TLS, as enrolment learned them."""
        return self.folder / "coordinators"

    @property
    def passages(self) -> Path:
        return self.folder / "passages.sqlite"

    @property
    def state(self) -> Path:
        return self.folder / "state.sqlite"


def create_node(home: NodeHome, config: NodeConfig) -> Signer:
    """Write a new node's configuration and make its keys, here, readable by their owner only.

    Raises ConfigError(node_exists): a node is made once.
    """
    if home.config.exists() or home.signing_key.exists():
        raise ConfigError(f"{home.folder} already holds a node", code="node_exists")
    home.folder.mkdir(parents=True, exist_ok=True)
    signer = Signer.generate()
    signer.save(home.signing_key)
    descriptor = os.open(home.sealing_key, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(secrets.token_bytes(_SEAL_KEY_BYTES))
    write_toml(home.config, config)
    return signer


def open_config(home: NodeHome) -> NodeConfig:
    return load_toml(home.config, NodeConfig)


def open_encoder(config: NodeConfig) -> Encoder:
    return ENCODERS.build(config.encoder.name, config.encoder.settings)


def open_store(home: NodeHome, encoder: Encoder) -> PassageStore:
    return PassageStore.open(home.passages, encoder.identity)


def assemble(home: NodeHome) -> RetrieverNode:
    """Everything a node needs to serve. Raises ConfigError for what its owner has to put right first."""
    config = open_config(home)
    encoder = open_encoder(config)
    store = open_store(home, encoder)
    state = NodeState(home.state)
    return RetrieverNode(
        id=config.node,
        name=config.name,
        signer=Signer.load(home.signing_key),
        gate=Gate(
            node=config.node,
            coordinators={coordinator.id: coordinator.public_key for coordinator in config.coordinators},
            issuers={issuer.name: issuer.public_key for issuer in config.issuers},
            state=state,
        ),
        sealer=HandleSealer(home.sealing_key.read_bytes()),
        state=state,
        store=store,
        quota=config.quota,
        collections={
            served.id: served for served in (_serve(config, one, store, encoder) for one in config.collections)
        },
        encoder=encoder,
        clock=time.time,
    )


def require_safe_serving(config: NodeConfig, host: str) -> None:
    """Off loopback a node starts only with TLS and a pinned coordinator. Raises ConfigError(unsafe_serving)."""
    require_safe(config.serve, host)
    if not config.coordinators and not is_loopback(host):
        raise ConfigError(f"{host} is not loopback: enrol with a coordinator first", code="unsafe_serving")


def open_certificate(home: NodeHome, config: NodeConfig) -> LiveCertificate | None:
    """What the node shows to its callers; None where TLS does not begin here."""
    signer, names = Signer.load(home.signing_key), (*config.serve.names, "localhost", "127.0.0.1")

    def make(now_s: float) -> bytes:
        return leaf_certificate(signer, config.node, names, now_s, client=False)

    return live_certificate(config.serve, home.certificate, make)


def listening_tls(config: NodeConfig, certificate: LiveCertificate | None) -> ssl.SSLContext | None:
    """Callers must show a certificate of a pinned coordinator, where it gave its root when the node enrolled."""
    if certificate is None:
        return None
    roots = [one.authority for one in config.coordinators if one.authority is not None]
    try:
        return server_context(certificate, [root.read_text(encoding="utf-8") for root in roots])
    except OSError:
        raise ConfigError("a coordinator's root certificate is missing: enrol again", code="bad_authority") from None


def _serve(config: NodeConfig, one: CollectionConfig, store: PassageStore, encoder: Encoder) -> ServedCollection:
    chosen = one.policy or PluginConfig(name=DEFAULT_POLICY[one.release_class])
    policy = RELEASE_POLICIES.build(chosen.name, chosen.settings)
    if one.release_class not in policy.release_classes:
        raise ConfigError(
            f"collection {one.id}: policy {chosen.name!r} is not for class {one.release_class}", code="policy_class"
        )
    decided = json.dumps([one.release_class, chosen.model_dump(mode="json")], sort_keys=True)
    collection = Collection.open(store, one.id, lambda: INDEXES.build(config.index.name, config.index.settings))
    return ServedCollection(
        collection=collection,
        release_class=one.release_class,
        policy=policy,
        policy_version=_digest(decided),
        description=lambda: describe_collection(config.node, collection, one, encoder.identity),
    )


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
