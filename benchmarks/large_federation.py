"""Federations of real processes that hold tens of thousands of passages: stores are written, not read from folders.

Reading and cutting 100,000 files would take longer than what is measured. Passages are therefore put into the nodes'
stores by `PassageStore.put`, a hundred to a document, with the vectors that the product's own hashing encoder makes of
their text; calibration follows, as in an ingest. From there on everything is the product: index, policy, signatures.
"""

import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Final

from topical_texts import passages

from fedrag import local_federation
from fedrag.config import CoordinatorConfig, Limits
from fedrag.core.config import PluginConfig, ServeConfig, Tls, load_toml, write_toml
from fedrag.core.protocols import Encoder
from fedrag.core.wire import ReleaseClass
from fedrag.encoders import ENCODERS
from fedrag.http.signing import Signer
from fedrag.http.tls import root_certificate
from fedrag.local_federation import LocalFederation
from fedrag.members import Member
from retriever_node.assemble import open_store
from retriever_node.config import CollectionConfig, LockoutConfig, NodeConfig, QuotaConfig
from retriever_node.documents import Document, PassageDraft, Section, content_sha256
from retriever_node.home import NodeHome, open_config
from retriever_node.ingest import calibrate
from retriever_node.passages import ALL_FIELDS
from retriever_node.redacted import redact_collection
from retriever_node.redaction import redaction_of

DIMENSION: Final = 384
ENCODER: Final = PluginConfig(name="hashing", settings={"dimension": DIMENSION})
COLLECTION: Final = "guidelines"
COORDINATOR: Final = "benchmark"
PER_DOCUMENT: Final = 100
_UNLIMITED: Final = QuotaConfig(passages_per_asker_per_day=10**9, passages_per_coordinator_per_day=10**9)
_TREATMENT: Final = """version = 1

[[rules]]
name = "treatment"
classes = ["patient", "protocol"]
identified = true
roles = ["clinician"]
purposes = ["treatment"]
release = "redacted"
quota = { per_asker_per_day = 1000000, per_asker_per_30_days = 1000000, share_per_30_days = 1.0 }
"""
_PATIENCE_S: Final = 300.0
"""For nodes to start: several build graphs over tens of thousands of vectors at once."""


def encoder() -> Encoder:
    return ENCODERS.build(ENCODER.name, ENCODER.settings)


def texts_of(number: int, size: int) -> list[str]:
    """The passages of hospital `number`."""
    return passages(size, seed=number)


def node_config(number: int, folder: Path) -> NodeConfig:
    collection = CollectionConfig(id=COLLECTION, folder=folder, release_class=ReleaseClass.PUBLIC)
    return NodeConfig(
        node=f"hospital-{number}",
        name=f"Hospital {number}",
        encoder=ENCODER,
        collections=(collection,),
        quota=_UNLIMITED,
    )


def large_federation(folder: Path, hospitals: int) -> LocalFederation:
    """Homes only; `fill` puts passages into them."""
    local_federation._START_S = _PATIENCE_S  # type: ignore[misc]  # a benchmark's nodes are larger than a demo's
    coordinator = CoordinatorConfig(
        coordinator=COORDINATOR,
        encoder=ENCODER,
        limits=Limits(deadline_ms=30_000),
        routing=PluginConfig(name="broadcast"),
    )
    federation = LocalFederation(folder, [node_config(number, folder) for number in range(hospitals)], coordinator)
    federation.create()
    return federation


def home_of(federation: LocalFederation, number: int) -> NodeHome:
    return NodeHome(federation.folder / "nodes" / f"hospital-{number}")


def protect(home: NodeHome, release_class: ReleaseClass) -> None:
    """Every control there is for this class: the collection is redacted, and clinicians who treat may have its redacted
    passages. Quotas and, for records of patients, lockout count, and are far away. To be called before `fill`."""
    config = open_config(home)
    records = tuple(
        one.model_copy(update={"release_class": release_class, "redact": True}) for one in config.collections
    )
    lockout = LockoutConfig(near_duplicates=1_000_000, questions=20_000)
    write_toml(home.config, config.model_copy(update={"collections": records, "lockout": lockout}))
    home.policy.write_text(_TREATMENT, encoding="utf-8")


def fill(homes: Sequence[NodeHome], size: int, workers: int = 2) -> None:
    """`size` passages into each home's store: those of `texts_of`; where they are records, a patient to each hundred,
    known by name, number and date of birth."""
    with ProcessPoolExecutor(workers) as pool:
        list(pool.map(_fill, [home.folder for home in homes], range(len(homes)), [size] * len(homes)))


def _fill(folder: Path, number: int, size: int) -> None:
    made = encoder()
    store = open_store(NodeHome(folder), made)
    texts = texts_of(number, size)
    (collection,) = open_config(NodeHome(folder)).collections
    redaction = redaction_of(collection)
    for first in range(0, size, PER_DOCUMENT):
        some = texts[first : first + PER_DOCUMENT]
        document, drafts = _document(f"guideline-{number}-{first // PER_DOCUMENT}", some)
        if redaction is not None:
            patient = f"{number:03}{first:07}"
            known = (f"Agda Vennerholm{patient}", patient, "1951-03-11")
            document = replace(document, patients=(f"patient-{patient}",), identifiers=known)
        store.put(document, drafts, made.encode_passages(some))
    store.checkpoint()
    calibrate(COLLECTION, store, made, ALL_FIELDS)
    if redaction is not None:
        redact_collection(store, COLLECTION, redaction, processes=1)
    store.close()


def _document(name: str, texts: Sequence[str]) -> tuple[Document, list[PassageDraft]]:
    """Each text a section and a passage of its own."""
    sections, drafts, start = [], [], 0
    for place, text in enumerate(texts):
        sections.append(Section(f"Section {place}", text, start))
        drafts.append(PassageDraft(name, f"Section {place}", start, start + len(text), text))
        start += len(text) + 1
    digest = content_sha256(name, name, "1", date(2026, 1, 1), tuple(sections))
    document = Document(COLLECTION, name, name, name, "1", date(2026, 1, 1), tuple(sections), digest, f"{name}.md")
    return document, drafts


def start(federation: LocalFederation, *, tls: bool) -> None:
    """All processes; with `tls` every connection to a hospital is TLS 1.3 with certificates on both sides."""
    homes = [home_of(federation, number) for number in range(len(federation.hospitals))]
    for home in homes:
        _serve_with(home, Tls.OWN if tls else Tls.NONE, federation.home.root if tls else None)
    members = federation.start_nodes()
    if tls:
        members = tuple(_trusted(member, home) for member, home in zip(members, homes, strict=True))
    federation.start_coordinator(members)


def _serve_with(home: NodeHome, tls: Tls, authority: Path | None) -> None:
    config = load_toml(home.config, NodeConfig)
    pinned = tuple(one.model_copy(update={"authority": authority}) for one in config.coordinators)
    serve = ServeConfig(tls=tls, names=("127.0.0.1",) if tls is Tls.OWN else ())
    write_toml(home.config, config.model_copy(update={"coordinators": pinned, "serve": serve}))


def _trusted(member: Member, home: NodeHome) -> Member:
    root = root_certificate(Signer.load(home.signing_key), member.id, time.time())
    return member.model_copy(update={"authority": root})
