"""A hospital that holds records of made patients under a releasing policy, and askers that put questions to it.

The product's own node, called in process. Its days pass when `Days` is told so; its policy is the rule for purpose
`treatment` that every new node is shipped with as an example, or that rule with some of its controls taken away.
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from shutil import copytree
from tempfile import TemporaryDirectory
from typing import Final

from fedrag.core.config import PluginConfig
from fedrag.core.deadline import Deadline
from fedrag.core.exchange import OfferRequest, Offers, Processor, ProcessorPlace, Release, ReleaseRequest
from fedrag.core.identity import Asker, Purpose, Role
from fedrag.core.protocols import Encoder
from fedrag.core.question import PassageFilter
from fedrag.core.wire import ReleaseClass, new_request_id
from fedrag.evaluation.made_records import HasBundle, write_bundles
from fedrag.http.signing import Signer
from fedrag.http.tokens import DevelopmentIssuer
from retriever_node.assemble import assemble, open_store
from retriever_node.config import CollectionConfig, IssuerConfig, LockoutConfig, NodeConfig
from retriever_node.config import CoordinatorConfig as PinnedCoordinator
from retriever_node.home import NodeHome, create_node
from retriever_node.ingest import ingest
from retriever_node.node import RetrieverNode
from retriever_node.policy.written import CAUTIOUS
from retriever_node.redaction import redaction_of

COORDINATOR: Final = "evaluation"
NODE: Final = "records-hospital"
COLLECTION: Final = "records"
DAY_S: Final = 86_400
OFFERS: Final = 15
_BEGINNING_S: Final = 1_800_000_000.0
_ISSUER: Final = "hospital-staff"
_PATIENCE_MS: Final = 600_000
_EXAMPLE: Final = re.compile(r"# \[\[rules\]\]\n(?:# .*\n)+")
_QUOTA: Final = re.compile(r"quota = \{.*\}\n")


@dataclass(slots=True)
class Days:
    """A clock that stands still until somebody moves it on; Unix seconds."""

    now_s: float

    def __call__(self) -> float:
        return self.now_s

    def pass_by(self, days: float) -> None:
        self.now_s += days * DAY_S


@dataclass(frozen=True, slots=True)
class Controls:
    """What holds askers back: the quota of the rule, None as it is shipped, and the lockout."""

    name: str
    quota: str | None
    lockout: LockoutConfig
    other_rules: str = ""

    @property
    def policy(self) -> str:
        rule = shipped_rule("treatment")
        held_back = rule if self.quota is None else _QUOTA.sub(f"quota = {{ {self.quota} }}\n", rule)
        return f"version = 1\n\n{held_back}\n{self.other_rules}"


_NO_LOCKOUT: Final = LockoutConfig(near_duplicates=1_000_000, questions=20_000)
SHIPPED: Final = Controls("as shipped", None, LockoutConfig())
DAYS_ALONE: Final = Controls("quota per day alone", "per_asker_per_day = 20, share_per_30_days = 1.0", _NO_LOCKOUT)
NONE: Final = Controls("none", "share_per_30_days = 1.0", _NO_LOCKOUT)


def shipped_rule(name: str) -> str:
    """The example of this name in the policy file that a new node is given, without its comment signs."""
    for block in _EXAMPLE.findall(CAUTIOUS):
        rule = re.sub(r"^# ?", "", block, flags=re.MULTILINE)
        if f'name = "{name}"' in rule:
            return rule
    raise LookupError(name)


def clinician(name: str, project: str | None = None) -> Asker:
    return Asker(name=name, role=Role.CLINICIAN, purpose=Purpose.TREATMENT, project=project)


EVERY_CLASS: Final = PassageFilter(release_classes=tuple(ReleaseClass))
"""Records are found by who names their class."""


@dataclass(frozen=True, slots=True)
class RecordsHospital:
    node: RetrieverNode
    issuer: DevelopmentIssuer
    days: Days
    passages: int

    def ask(self, asker: Asker, text: str, wanted: PassageFilter | None = EVERY_CLASS) -> Offers:
        """Raises Refused."""
        request = OfferRequest(
            request_id=new_request_id(),
            coordinator=COORDINATOR,
            node=NODE,
            vector=None,
            comparable_with=self.node.encoder.identity.comparable_with,
            text=text,
            k=OFFERS,
            filter=wanted,
            deadline_ms=_PATIENCE_MS,
            token=self.issuer.token(asker, NODE),
        )
        return self.node.offers(request, Deadline.after_ms(_PATIENCE_MS))

    def take(self, asker: Asker, offers: Offers, most: int = OFFERS) -> Release:
        """The text of what was offered, the first so many. Raises Refused."""
        request = ReleaseRequest(
            request_id=offers.request_id,
            coordinator=COORDINATOR,
            node=NODE,
            handles=tuple(offer.handle for offer in offers.offers[:most]),
            processor=Processor(model="local-model", place=ProcessorPlace.TRUST_DOMAIN),
            deadline_ms=_PATIENCE_MS,
            token=self.issuer.token(asker, NODE),
        )
        return self.node.release(request, Deadline.after_ms(_PATIENCE_MS))


@dataclass(frozen=True, slots=True)
class Ingested:
    """A node's folder with its records read, redacted and indexed, from which hospitals are made."""

    home: NodeHome
    encoder: Encoder
    issuer: DevelopmentIssuer
    coordinator: Signer

    @classmethod
    def of(
        cls, folder: Path, records: Sequence[HasBundle], plugin: str, encoder: Encoder, guidance: Path | None = None
    ) -> "Ingested":
        """`encoder` is what the `plugin` makes; it may remember. `guidance`: a folder of class `protocol` beside."""
        source, home = folder / "documents", NodeHome(folder / "home")
        write_bundles(records, source)
        coordinator = Signer.generate()
        issuer = DevelopmentIssuer(_ISSUER, Signer.generate(), secret=b"evaluation")
        held = CollectionConfig(id=COLLECTION, folder=source, release_class=ReleaseClass.PATIENT)
        beside = (
            [CollectionConfig(id="guidance", folder=guidance, release_class=ReleaseClass.PROTOCOL)] if guidance else []
        )
        config = NodeConfig(
            node=NODE,
            name="Records",
            encoder=PluginConfig(name=plugin),
            index=PluginConfig(name="faiss_flat"),
            collections=(held, *beside),
            coordinators=(PinnedCoordinator(id=COORDINATOR, public_key=coordinator.public_key),),
            issuers=(IssuerConfig(name=_ISSUER, public_key=issuer.signer.public_key),),
        )
        create_node(home, config)
        store = open_store(home, encoder)
        for one in config.collections:
            ingest(one.folder, one.id, store, encoder, redaction=redaction_of(one))
        store.close()
        return cls(home, encoder, issuer, coordinator)

    @contextmanager
    def serving(self, controls: Controls) -> Iterator[RecordsHospital]:
        """A hospital of its own, with nothing asked of it yet."""
        with TemporaryDirectory() as folder:
            home = NodeHome(Path(folder) / "home")
            copytree(self.home.folder, home.folder)
            home.policy.write_text(controls.policy, encoding="utf-8")
            node, days = assemble(home), Days(_BEGINNING_S)
            lockout = replace(node.lockout, clock=days, limits=controls.lockout)
            living = replace(node, encoder=self.encoder, clock=days, ledger_clock=days, lockout=lockout)
            try:
                yield RecordsHospital(living, self.issuer, days, len(node.collections[COLLECTION].collection))
            finally:
                node.store.close()
                node.state.close()
