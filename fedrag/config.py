"""`coordinator.toml`: what the operator of a federation decides."""

from pathlib import Path
from typing import Annotated

from pydantic import Field, model_validator

from fedrag.core.answer import QueryDisclosure
from fedrag.core.config import Config, PluginConfig
from fedrag.core.identity import Purpose, Role
from fedrag.core.wire import Base64, Name, NodeId, Sha256


class NodeEntry(Config):
    """A hospital of the federation: where it is, and the key its answers must verify with."""

    id: NodeId
    url: Annotated[str, Field(pattern=r"^https?://[^\s/]+(/[^\s]*)?$")]
    public_key: Base64


class ApiKey(Config):
    """Who may ask. Only the key's hash is kept."""

    name: Name
    sha256: Sha256
    role: Role = Role.CLINICIAN
    purpose: Purpose = Purpose.UNSTATED


class Limits(Config):
    """`passages` of evidence per answer; each asked hospital makes `offers_per_passage` as many offers, so that folded
    near-duplicates leave enough."""

    passages: Annotated[int, Field(ge=1, le=50)] = 12
    offers_per_passage: Annotated[int, Field(ge=1, le=4)] = 2
    maximum_nodes: Annotated[int, Field(ge=1, le=1000)] = 50
    deadline_ms: Annotated[int, Field(ge=100, le=600_000)] = 10_000


class ServeConfig(Config):
    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65_535)] = 8800
    tls_certificate: Path | None = None
    tls_key: Path | None = None


class CoordinatorConfig(Config):
    coordinator: NodeId
    encoder: PluginConfig = PluginConfig(name="minilm")
    routing: PluginConfig = PluginConfig(name="prototypes")
    merging: PluginConfig = PluginConfig(name="comparable")
    reasoner: PluginConfig = PluginConfig(name="extractive")
    query_disclosure: QueryDisclosure = QueryDisclosure.TEXT
    limits: Limits = Limits()
    nodes: tuple[NodeEntry, ...] = ()
    api_keys: tuple[ApiKey, ...] = ()
    serve: ServeConfig = ServeConfig()

    @model_validator(mode="after")
    def _unique(self) -> "CoordinatorConfig":
        for what, ids in (("nodes", [n.id for n in self.nodes]), ("api_keys", [k.name for k in self.api_keys])):
            if len(set(ids)) != len(ids):
                raise ValueError(f"{what} with the same id")
        return self
