"""What lies in a node's folder: `node.toml`, its keys, its certificate, its passages, its memory."""

import os
import secrets
import ssl
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from fedrag.core.config import load_toml, write_toml
from fedrag.core.errors import ConfigError
from fedrag.http.signing import Signer
from fedrag.http.tls import (
    LiveCertificate,
    leaf_certificate,
    live_certificate,
    own_names,
    root_certificate,
    server_context,
)
from retriever_node.config import NodeConfig
from retriever_node.policy.written import CAUTIOUS

_SEAL_KEY_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class NodeHome:
    """Where one node keeps everything it has."""

    folder: Path

    @property
    def config(self) -> Path:
        return self.folder / "node.toml"

    @property
    def policy(self) -> Path:
        """What may leave, and to whom."""
        return self.folder / "policy.toml"

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
    def indexes(self) -> Path:
        """Built indexes, one folder per collection; they can always be thrown away."""
        return self.folder / "indexes"

    @property
    def readings(self) -> Path:
        """What was read of each collection's files, one file per collection; they can always be thrown away."""
        return self.folder / "readings"

    @property
    def demonstrations(self) -> Path:
        """The hospital's own worked examples, as its model may be shown them."""
        return self.folder / "demonstrations.json"

    @property
    def state(self) -> Path:
        return self.folder / "state.sqlite"


def create_node(home: NodeHome, config: NodeConfig) -> Signer:
    """Write a new node's configuration and its cautious policy and make its keys, here, readable by their owner only.

    Raises ConfigError(node_exists): a node is made once.
    """
    if home.config.exists() or home.signing_key.exists():
        raise ConfigError(f"{home.folder} already holds a node", code="node_exists")
    home.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    signer = Signer.generate()
    signer.save(home.signing_key)
    descriptor = os.open(home.sealing_key, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(secrets.token_bytes(_SEAL_KEY_BYTES))
    write_policy(home)
    write_toml(home.config, config)
    return signer


def write_policy(home: NodeHome) -> bool:
    """The policy that every node begins with; False where there is one already, which is left alone."""
    try:
        with home.policy.open("x", encoding="utf-8") as file:
            file.write(CAUTIOUS)
    except FileExistsError:
        return False
    return True


def open_config(home: NodeHome) -> NodeConfig:
    return load_toml(home.config, NodeConfig)


def open_certificate(home: NodeHome, config: NodeConfig) -> LiveCertificate | None:
    """What the node shows to its callers; None where TLS does not begin here."""
    signer, names = Signer.load(home.signing_key), own_names(config.serve)

    def make(now_s: float) -> bytes:
        return leaf_certificate(signer, config.node, names, now_s, client=False)

    return live_certificate(config.serve, home.certificate, make, names)


def listening_tls(home: NodeHome, config: NodeConfig, certificate: LiveCertificate | None) -> ssl.SSLContext | None:
    """Callers must show a certificate of a pinned coordinator, where it gave its root when the node enrolled, or one
    that the node itself made for the hospital's own tools."""
    if certificate is None:
        return None
    roots = [one.authority for one in config.coordinators if one.authority is not None]
    own = [own_root(home, config)] if roots else []
    try:
        return server_context(certificate, [*(root.read_text(encoding="utf-8") for root in roots), *own])
    except OSError:
        raise ConfigError("a coordinator's root certificate is missing: enrol again", code="bad_authority") from None


def own_root(home: NodeHome, config: NodeConfig) -> str:
    """The node's own root certificate, PEM."""
    return root_certificate(Signer.load(home.signing_key), config.node, time.time())


def tool_certificate(home: NodeHome, config: NodeConfig, days: int) -> bytes:
    """A client certificate, with its key, for a tool of the hospital's own that reads health and metrics, PEM. It opens
    the handshake and nothing else: every other route wants a coordinator's signature."""
    return leaf_certificate(
        Signer.load(home.signing_key), config.node, ("localhost",), time.time(), client=True, days=days
    )
