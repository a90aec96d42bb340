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
    serve: ServeConfig = ServeConfig()

    @model_validator(mode="after")
    def _unique(self) -> "NodeConfig":
        for what, ids in (
            ("collections", [collection.id for collection in self.collections]),
            ("coordinators", [coordinator.id for coordinator in self.coordinators]),
            ("issuers", [issuer.name for issuer in self.issuers]),
        ):
            if len(set(ids)) != len(ids):
                raise ValueError(f"{what} with the same id")
        return self
