"""`node.toml`: what a hospital decides about its node."""

from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import Field, model_validator

from fedrag.core.config import Config, PluginConfig, ServeConfig
from fedrag.core.exchange import MAXIMUM_AWAITED
from fedrag.core.wire import Base64, Name, NodeId, ReleaseClass

DEFAULT_PORT: Final = 8801


NameStyle = Literal["tag", "numbered"]
"""`[NAME]` for everybody, or `[NAME-QXD]`, the same for one person in one document."""
DateStyle = Literal["tag", "shifted"]
"""`[DATE]`, or the day so many days earlier as all dates of this patient are moved."""


class RedactConfig(Config):
    """What stands in place of an identifier: docs/redaction.md."""

    names: NameStyle = "tag"
    dates: DateStyle = "tag"


class CollectionConfig(Config):
    """One folder of documents. What may leave of it is decided in `policy.toml`."""

    id: NodeId
    folder: Path
    release_class: ReleaseClass
    text: str = ""
    """What the owner tells a router about it, where it has too few passages for prototypes."""
    reader: dict[str, object] = Field(default_factory=dict)
    """How the folder is read: docs/ingest.md."""
    redact: bool | RedactConfig | None = None
    """Whether only redacted text leaves: docs/redaction.md. By default for class `patient`, which cannot do without."""

    @property
    def redacts(self) -> bool:
        return self.release_class is ReleaseClass.PATIENT if self.redact is None else self.redact is not False

    @model_validator(mode="before")
    @classmethod
    def _policy_has_moved(cls, values: object) -> object:
        if isinstance(values, dict) and "policy" in values:
            raise ValueError("take out policy: rules of release are in policy.toml now (fedrag-node policy init)")
        return values

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


class ReviewConfig(Config):
    """What waits for a person of the hospital before it leaves: docs/review.md."""

    expires_h: Annotated[float, Field(ge=1, le=720, allow_inf_nan=False)] = 72
    """When nobody has decided by then, nothing leaves; what was approved can be fetched until then."""
    passages: Annotated[int, Field(ge=1, le=MAXIMUM_AWAITED)] = 3
    """Shown to the reviewer for one question, at most."""
    probability: Annotated[float, Field(ge=0, le=1)] = 0.05
    """Of relevance, at least. One in three of the examples' questions that a hospital can answer reaches it, and one in
    four of the others (minilm; small collections are cautious)."""
    per_asker_per_day: Annotated[int, Field(ge=1)] = 5
    per_coordinator_per_day: Annotated[int, Field(ge=1)] = 100
    keep_days: Annotated[int, Field(ge=1, le=3650)] = 90
    """For how long what was asked and decided is kept; the audit log keeps that it was."""


class LockoutConfig(Config):
    """What an asker may ask `patient` collections within 30 days before somebody has to look at it: docs/lockout.md."""

    near_duplicates: Annotated[int, Field(ge=1)] = 7
    """Of one question, in other words."""
    questions: Annotated[int, Field(ge=1, le=20_000)] = 2_000
    """Different ones of one collection."""


class CountsConfig(Config):
    """What noisy counts may tell about one patient: docs/population-counts.md. `policy.toml` says who may have them."""

    question_epsilon: Annotated[float, Field(gt=0, le=10, allow_inf_nan=False)] = 0.5
    """Of one question: the noise is made to it."""
    patient_epsilon: Annotated[float, Field(gt=0, le=100, allow_inf_nan=False)] = 8.0
    """Of all questions together; who has reached it is in no count any more."""
    delta: Annotated[float, Field(gt=0, le=1e-3)] = 1e-6
    questions_per_asker_per_day: Annotated[int, Field(ge=1)] = 50

    @model_validator(mode="after")
    def _at_least_one(self) -> "CountsConfig":
        if self.patient_epsilon < self.question_epsilon:
            raise ValueError("patient_epsilon is below question_epsilon: nobody could be counted once")
        return self


Variant = Literal["fera", "gt", "q", "free"]
"""`fera`: demonstrations whole, refined by the answer so far; `gt`: as they are, and nothing of other sources is looked
at; `q`: answers alone, and answers alone leave; `free`: questions alone."""


class TracesConfig(Config):
    """Reasoning at the source: docs/reasoning-at-the-source.md. `policy.toml` says of what chains of thought may leave.

    `passages`: read for one question, at most, 0: none; `at_once`: questions that the model is asked at a time.
    """

    reasoner: PluginConfig
    passages: Annotated[int, Field(ge=0, le=20)] = 5
    at_once: Annotated[int, Field(ge=1, le=64)] = 4
    variant: Variant = "fera"
    demonstrations_class: ReleaseClass = ReleaseClass.PROTOCOL
    """Of the demonstrations; those of class `patient` are redacted when they are taken in."""


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
    review: ReviewConfig = ReviewConfig()
    lockout: LockoutConfig = LockoutConfig()
    counts: CountsConfig = CountsConfig()
    traces: TracesConfig | None = None
    """None: no chain of thought is made here."""
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
