"""What lies in a coordinator's folder: `coordinator.toml`, its keys, its certificate, its members."""

import time
from dataclasses import dataclass
from pathlib import Path

from fedrag.config import CoordinatorConfig
from fedrag.core.config import load_toml, write_toml
from fedrag.core.wire import NodeId
from fedrag.enrolment import EnrolmentDesk
from fedrag.http.signing import Signer
from fedrag.http.tls import LiveCertificate, leaf_certificate, own_names, root_certificate
from fedrag.http.tokens import DevelopmentIssuer
from fedrag.members import MemberRegistry


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
    def statistics(self) -> Path:
        return self.folder / "statistics.json"

    @property
    def feedback(self) -> Path:
        return self.folder / "feedback.sqlite"

    @property
    def experience(self) -> Path:
        return self.folder / "experience.json"

    @property
    def trust(self) -> Path:
        return self.folder / "trust.sqlite"

    @property
    def drift(self) -> Path:
        return self.folder / "drift.sqlite"

    @property
    def receipts(self) -> Path:
        return self.folder / "receipts.sqlite"


def create_coordinator(home: CoordinatorHome, config: CoordinatorConfig) -> tuple[Signer, Signer]:
    """Write a new coordinator's configuration and make its keys: its own, and its development issuer's."""
    coordinator, issuer = Signer.generate(), Signer.generate()
    home.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    coordinator.save(home.signing_key)
    issuer.save(home.issuer_key)
    home.root.write_text(root_certificate(coordinator, config.coordinator, time.time()))
    write_toml(home.config, config)
    return coordinator, issuer


def open_config(home: CoordinatorHome) -> CoordinatorConfig:
    return load_toml(home.config, CoordinatorConfig)


def issuer_name(coordinator: NodeId) -> str:
    return f"{coordinator}-development-issuer"


def open_certificate(home: CoordinatorHome, config: CoordinatorConfig) -> LiveCertificate:
    """What the coordinator shows to hospitals, whose own TLS asks for it."""
    signer, names = Signer.load(home.signing_key), own_names(config.serve)

    def make(now_s: float) -> bytes:
        return leaf_certificate(signer, config.coordinator, names, now_s, client=True)

    return LiveCertificate(home.certificate, make=make, names=names)


def open_desk(home: CoordinatorHome, config: CoordinatorConfig, registry: MemberRegistry) -> EnrolmentDesk:
    """Where hospitals join."""
    issuer = open_issuer(home, config)
    return EnrolmentDesk(
        registry=registry,
        coordinator=config.coordinator,
        signer=Signer.load(home.signing_key),
        issuers={} if issuer is None else {issuer.name: issuer.signer.public_key},
    )


def open_issuer(home: CoordinatorHome, config: CoordinatorConfig) -> DevelopmentIssuer | None:
    if not home.issuer_key.exists():
        return None
    key = Signer.load(home.issuer_key)
    return DevelopmentIssuer(issuer_name(config.coordinator), key, secret=key.derived_secret("pseudonyms"))
