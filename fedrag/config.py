"""`coordinator.toml`: what the operator of a federation decides."""

from typing import Annotated, Final, Literal

from pydantic import Field, model_validator

from fedrag.core.answer import QueryDisclosure
from fedrag.core.config import Config, PluginConfig, ServeConfig
from fedrag.core.exchange import ReleaseMode
from fedrag.core.identity import Project, Purpose, Role
from fedrag.core.purse import Cap, Caps
from fedrag.core.question import MAXIMUM_SUB_QUESTIONS
from fedrag.core.wire import Name, NodeId, Sha256

DEFAULT_PORT: Final = 8800


class ApiKey(Config):
    """Who may ask. Only the key's hash is kept."""

    name: Name
    sha256: Sha256
    role: Role = Role.CLINICIAN
    purpose: Purpose = Purpose.UNSTATED
    project: Project | None = None


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


class AwaitingConfig(Config):
    """Answers that hospitals' staff may add to, in memory alone: how many, for how long, and how often a hospital is
    asked about one of them at most."""

    maximum: Annotated[int, Field(ge=1, le=100_000)] = 500
    keep_h: Annotated[float, Field(gt=0, le=720, allow_inf_nan=False)] = 72
    every_s: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 5


class ReceiptsConfig(Config):
    """For how long hospitals' receipts are kept, to hold their audit logs against; the newest of each for ever."""

    keep_days: Annotated[int, Field(ge=1, le=3650)] = 90


class LearningConfig(Config):
    """Whether whom to ask is learned from answers and verdicts, for the routing policy `mixture`."""

    enabled: bool = True


class TrustConfig(Config):
    """Whether descriptions count only as far as they were seen to be true: a probe about every `audit_every_s` to a
    hospital in audit, `probes_per_day` to any other."""

    enabled: bool = True
    audit_every_s: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 2.0
    probes_per_day: Annotated[float, Field(gt=0, le=86_400, allow_inf_nan=False)] = 24.0


class QuestionCaps(Caps):
    tokens: Cap | None = 200_000
    written: Cap | None = 16_000
    calls: Cap | None = 100
    ms: Cap | None = 600_000
    passages: Cap | None = 200
    hospitals: Cap | None = 2_000


class ConversationCaps(Caps):
    tokens: Cap | None = 2_000_000
    written: Cap | None = 160_000
    calls: Cap | None = 1_000
    ms: Cap | None = 3_600_000
    passages: Cap | None = 1_000
    hospitals: Cap | None = 20_000


class BudgetsConfig(Config):
    """Hard caps on a question and on a conversation, and how the tokens of a question are shared out over its
    sub-questions, of which there are `sub_questions` at most, for who wants any; 1: nobody gets any. `reading`: who
    makes follow-ups stand alone and takes questions apart, rules or the reasoner's language model, a call more for
    each."""

    question: QuestionCaps = QuestionCaps()
    conversation: ConversationCaps = ConversationCaps()
    policy: PluginConfig = PluginConfig(name="static")
    sub_questions: Annotated[int, Field(ge=1, le=MAXIMUM_SUB_QUESTIONS)] = 4
    reading: Literal["rules", "model"] = "rules"


class CoordinatorConfig(Config):
    coordinator: NodeId
    encoder: PluginConfig = PluginConfig(name="minilm")
    routing: PluginConfig = PluginConfig(name="mixture")
    merging: PluginConfig = PluginConfig(name="comparable")
    reasoner: PluginConfig = PluginConfig(name="extractive")
    query_disclosure: QueryDisclosure = QueryDisclosure.TEXT
    release_mode: ReleaseMode = ReleaseMode.OFFERS
    check_claims: bool = True
    """Encode what was released, and leave out a hospital that had claimed a higher similarity than its text has."""
    limits: Limits = Limits()
    budgets: BudgetsConfig = BudgetsConfig()
    feedback: FeedbackConfig = FeedbackConfig()
    learning: LearningConfig = LearningConfig()
    trust: TrustConfig = TrustConfig()
    receipts: ReceiptsConfig = ReceiptsConfig()
    awaiting: AwaitingConfig = AwaitingConfig()
    statistics: StatisticsConfig = StatisticsConfig()
    api_keys: tuple[ApiKey, ...] = ()
    serve: ServeConfig = ServeConfig()

    @model_validator(mode="after")
    def _unique(self) -> "CoordinatorConfig":
        names = [key.name for key in self.api_keys]
        if len(set(names)) != len(names):
            raise ValueError("api_keys with the same name")
        return self
