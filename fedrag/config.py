"""`coordinator.toml`: what the operator of a federation decides."""

from typing import Annotated, Final

from pydantic import Field, model_validator

from fedrag.core.answer import QueryDisclosure
from fedrag.core.config import Config, PluginConfig, ServeConfig
from fedrag.core.exchange import ReleaseMode
from fedrag.core.identity import Purpose, Role
from fedrag.core.wire import Name, NodeId, Sha256

DEFAULT_PORT: Final = 8800


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


class CoordinatorConfig(Config):
    coordinator: NodeId
    encoder: PluginConfig = PluginConfig(name="minilm")
    routing: PluginConfig = PluginConfig(name="prototypes")
    merging: PluginConfig = PluginConfig(name="comparable")
    reasoner: PluginConfig = PluginConfig(name="extractive")
    query_disclosure: QueryDisclosure = QueryDisclosure.TEXT
    release_mode: ReleaseMode = ReleaseMode.OFFERS
    limits: Limits = Limits()
    api_keys: tuple[ApiKey, ...] = ()
    serve: ServeConfig = ServeConfig()

    @model_validator(mode="after")
    def _unique(self) -> "CoordinatorConfig":
        names = [key.name for key in self.api_keys]
        if len(set(names)) != len(names):
            raise ValueError("api_keys with the same name")
        return self
