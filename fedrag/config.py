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


class StatisticsConfig(Config):
    """Statistics of terms that hospitals share: `share` False makes none."""

    share: bool = True
    every_h: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 24


class FeedbackConfig(Config):
    """For how long an answer can be judged, how many answers at most, and after how long an outcome counts half; inf:
    it counts for ever."""

    keep_days: Annotated[int, Field(ge=1, le=3650)] = 30
    maximum_answers: Annotated[int, Field(ge=1, le=1_000_000)] = 20_000
    half_life_days: Annotated[float, Field(gt=0, allow_inf_nan=True)] = 180.0


class CoordinatorConfig(Config):
    coordinator: NodeId
    encoder: PluginConfig = PluginConfig(name="minilm")
    routing: PluginConfig = PluginConfig(name="prototypes")
    merging: PluginConfig = PluginConfig(name="comparable")
    reasoner: PluginConfig = PluginConfig(name="extractive")
    query_disclosure: QueryDisclosure = QueryDisclosure.TEXT
    release_mode: ReleaseMode = ReleaseMode.OFFERS
    check_claims: bool = True
    """Encode what was released, and leave out a hospital that had claimed a higher similarity than its text has."""
    limits: Limits = Limits()
    feedback: FeedbackConfig = FeedbackConfig()
    statistics: StatisticsConfig = StatisticsConfig()
    api_keys: tuple[ApiKey, ...] = ()
    serve: ServeConfig = ServeConfig()

    @model_validator(mode="after")
    def _unique(self) -> "CoordinatorConfig":
        names = [key.name for key in self.api_keys]
        if len(set(names)) != len(names):
            raise ValueError("api_keys with the same name")
        return self
