"""`node.toml`: what a hospital decides about its node."""

from pathlib import Path
from typing import Annotated, Final

from pydantic import Field, model_validator

from fedrag.core.config import Config, PluginConfig, ServeConfig
from fedrag.core.wire import Base64, Name, NodeId, ReleaseClass

DEFAULT_PORT: Final = 8801


class CollectionConfig(Config):
    """One folder of documents. `policy` defaults to the cautious one for its class: `patient` is denied."""

    id: NodeId
    folder: Path
    release_class: ReleaseClass
    policy: PluginConfig | None = None
    text: str = ""
    """What the owner tells a router about it, where it has too few passages for prototypes."""
    reader: dict[str, object] = Field(default_factory=dict)
    """How the folder is read: docs/ingest.md."""
    redact: bool | None = None
    """Whether only redacted text leaves: docs/redaction.md. By default for class `patient`, which cannot do without."""

    @property
    def redacts(self) -> bool:
        return self.release_class is ReleaseClass.PATIENT if self.redact is None else self.redact

    @model_validator(mode="after")
    def _patients_are_redacted(self) -> "CollectionConfig":
        if self.release_class is ReleaseClass.PATIENT and not self.redacts:
            raise ValueError("a collection of class patient is always redacted")
        return self


class IssuerConfig(Config):
    """An organisation whose asker tokens this node believes. `told_by`: the coordinator that named it at enrolment; no
    other can put another key in its place."""

    name: Name
    public_key: Base64
    told_by: NodeId | None = None


class CoordinatorConfig(Config):
    """A coordinator this node answers to, known by its pinned key. `authority`: PEM file; where it is given, callers
    must show a certificate that it signed."""

    id: NodeId
    public_key: Base64
    authority: Path | None = None


class QuotaConfig(Config):
    """How much text may leave. Askers without a token share their coordinator's quota."""

    passages_per_request: Annotated[int, Field(ge=1, le=50)] = 20
    passages_per_asker_per_day: Annotated[int, Field(ge=1)] = 2_000
    passages_per_coordinator_per_day: Annotated[int, Field(ge=1)] = 20_000


class HospitalConfig(Config):
    """A hospital known by its pinned key."""

    id: NodeId
    public_key: Base64


class StatisticsConfig(Config):
    """Statistics of terms in common with other hospitals (docs/decisions/0005-common-statistics.md)."""

    share: bool = True
    """Add up counts of `public` and `protocol` collections with other hospitals'; False: score words with its own."""
    terms: Path | None = None
    """Text file whose words are counted, the same at every hospital; by default those of the encoder's tokeniser."""
    interval_h: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 24
    hospitals: tuple[HospitalConfig, ...] = ()
    """Takes part only together with these; empty: with those that the coordinator names."""


class NodeConfig(Config):
    node: NodeId
    name: Name
    encoder: PluginConfig = PluginConfig(name="minilm")
    index: PluginConfig = PluginConfig(name="faiss_hnsw")
    words: bool = True
    """Search by words and vectors where the question is shown as text; False: by vectors alone."""
    reranker: PluginConfig | None = None
    """Reads the best of what was found, where the question is shown as text."""
    collections: tuple[CollectionConfig, ...] = ()
    coordinators: tuple[CoordinatorConfig, ...] = ()
    issuers: tuple[IssuerConfig, ...] = ()
    quota: QuotaConfig = QuotaConfig()
    statistics: StatisticsConfig = StatisticsConfig()
    serve: ServeConfig = ServeConfig()

    @model_validator(mode="after")
    def _unique(self) -> "NodeConfig":
        for what, ids in (
            ("collections", [collection.id for collection in self.collections]),
            ("coordinators", [coordinator.id for coordinator in self.coordinators]),
            ("issuers", [issuer.name for issuer in self.issuers]),
            ("statistics.hospitals", [hospital.id for hospital in self.statistics.hospitals]),
        ):
            if len(set(ids)) != len(ids):
                raise ValueError(f"{what} with the same id")
        return self
