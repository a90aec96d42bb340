"""What comes back: evidence, an answer that cites it, and what each hospital gave away for it."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Final

from pydantic import AwareDatetime, Field

from fedrag.core.collection import RoutingDecision
from fedrag.core.exchange import NodeOutcome, ReleasedPassage, ReleaseMode, Similarity
from fedrag.core.purse import Caps, Spent
from fedrag.core.question import Question, Text
from fedrag.core.wire import NUMBER, Code, Count, Finite, Milliseconds, Name, NodeId, Probability, RequestId, Wire

INTENDED_USE: Final = "Not a medical device. Decision support for professionals; check the cited sources."
NO_FORMAL_BOUND: Final = "no formal bound: text released"

CitationNumber = Annotated[int, Field(ge=1), NUMBER]
"""1-based position in `Evidence.passages`: what `[1]` in an answer points at."""


class EvidencePassage(Wire):
    """A released passage after merging. `probability` and `similarity` are those of its offer; `also_held_by` names
    hospitals whose near-identical passage was folded into this one without its text leaving them."""

    number: CitationNumber
    node: NodeId
    passage: ReleasedPassage
    probability: Probability
    similarity: Similarity | None = None
    weight: Probability
    """The weight of its source, `Evidence.source_weights[node]`."""
    also_held_by: tuple[NodeId, ...] = ()


class Quote(Wire):
    citation: CitationNumber
    text: str


class ConflictKind(StrEnum):
    NUMBERS = "numbers"
    """The same quantity with different values."""
    NEGATION = "negation"
    """One says do, the other do not."""
    RECOMMENDATION = "recommendation"
    """Different medicines or procedures, each to be used first."""
    SUPERSEDED = "superseded"
    """An earlier and a later edition of one document that differ."""


class Conflict(Wire):
    """Two passages that cannot both be followed; shown with both quotes, never reconciled silently.

    Each quote's citation names hospital, document, version and date of its side.
    """

    kind: ConflictKind
    first: Quote
    second: Quote
    newer: CitationNumber | None = None
    """The side whose document took effect later, where both say when. Later does not mean right."""
    relevance: Probability = 1.0
    """How near the quotes are to the question: mean cosine similarity, negative ones as 0; 1 where no question was
    given."""


class Reliability(Wire):
    """How often what a source contributed has proved right: the mean of its Beta posterior, from this many judged
    answers."""

    mean: Probability
    outcomes: Count


class Evidence(Wire):
    """Passages best first, neighbouring ones of one document together and in its order, and how far each source is
    trusted.

    `source_weights` sum to 1 over the hospitals that contribute, each at most max(1/3, 1/n) for n of them; with n < 4
    that cap bounds little, and `few_sources` says so.
    """

    passages: tuple[EvidencePassage, ...]
    source_weights: dict[NodeId, Probability]
    few_sources: bool
    reliability: dict[NodeId, Reliability] = Field(default_factory=dict)
    """Of every hospital that contributes, as it went into its weight."""
    conflicts: tuple[Conflict, ...] = ()
    method: Name


class ReasoningStep(Wire):
    """One step of the chain of thought; `uncertainty` in [0, 1], 0 is certain. `support`: the probability that what it
    cites bears it out; None where nobody checked. `unsupported`: it is too small, and readers are told so."""

    text: str
    citations: tuple[CitationNumber, ...]
    uncertainty: Probability
    support: Probability | None = None
    unsupported: bool = False


class AbstentionCode(StrEnum):
    NO_NODE_ANSWERED = "no_node_answered"
    NO_EVIDENCE = "no_evidence"
    EVIDENCE_INSUFFICIENT = "evidence_insufficient"
    LANGUAGE_NOT_COVERED = "language_not_covered"
    BUDGET_SPENT = "budget_spent"


class Abstention(Wire):
    """Why no answer is given; `explanation` is for people and holds no passage text."""

    code: AbstentionCode
    explanation: str


class ReasonerReport(Wire):
    """Who reasoned, and what had to be put right. `fallback` names why the configured model did not answer itself;
    `cut_short`: whether time or a budget ended it, and this is the best answer until then; `instructions_found`:
    sentences of passages that address the reader instead of telling anything, and were left out. `signals`: what its
    confidence was made of."""

    backend: Name
    model: Name
    strategy: Name
    signals: tuple[Code, ...] = ()
    fallback: str = ""
    cut_short: bool = False
    instructions_found: Count = 0
    citations_dropped: Count = 0
    passages_trimmed: Count = 0
    retries: Count = 0
    prompt_tokens: Count = 0
    completion_tokens: Count = 0
    thinking_tokens: Count = 0


class SourceChain(Wire):
    """What one source answered by itself: `choice` an option's letter, or yes, no, maybe; None where it chose nothing.

    `uncertainty` is its own claim; `confidence` what was made of it; `gaps`: how often it admits that something is
    missing. `weight`: what its word counted in the vote, all together 1 at most; None where it chose nothing, or a
    fitted vote decided, which has no such weights. `at_hospital`: the hospital's own model reasoned, and over what it
    did not have to release. `answer`, `steps`: its words, as far as they were released; for people to read. `counted`
    is false of a source that stopped agreeing with the others as it did when it was judged, and has no say.
    """

    node: NodeId
    choice: Name | None
    uncertainty: Annotated[Finite, Field(ge=0)] | None = None
    gaps: Count = 0
    confidence: Probability | None = None
    weight: Probability | None = None
    at_hospital: bool = False
    answer: str = ""
    steps: tuple[ReasoningStep, ...] = ()
    counted: bool = True


class AnswerSet(Wire):
    """Choices, likeliest first, that miss the right one in at most a share `error` of questions (conformal prediction):
    on average over questions like the `judged` ones that it was calibrated on, not of each one."""

    choices: Annotated[tuple[Name, ...], Field(min_length=1)]
    error: Annotated[Finite, Field(gt=0, lt=1)]
    judged: Count


class Certificate(Wire):
    """What the hospitals choose when the passages of each are read alone and they vote with their weights, or when
    their own models' chains of thought vote, and how many liars that choice withstands.

    No `withstands` of them could have changed `choice`, whatever they had said or claimed and had they been silent, as
    long as what the others said stays as it is. `agrees`: whether the answer's own choice is the same.
    """

    choice: Name
    agrees: bool
    withstands: Count
    votes: dict[NodeId, str | None]
    weights: dict[str, Probability]
    """Choice → weight of the hospitals that would choose it. The rest of 1 belongs to those that choose nothing. Of a
    vote that was fitted on judged questions: the probability that it is right."""
    explanation: str
    """The same in a sentence, for people."""


class Reasoning(Wire):
    """What a reasoner makes of a question and its evidence.

    `confidence` is the calibrated probability that the answer is correct. `text` is empty when it abstains. `votes` is
    what each hospital's passages alone would choose (an option's letter; yes, no or maybe), None where they would
    choose nothing; empty where the reasoner does not ask them one by one. They take no part in the answer.
    """

    text: str
    choice: str | None
    confidence: Probability
    abstained: Abstention | None
    steps: tuple[ReasoningStep, ...]
    report: ReasonerReport
    votes: dict[NodeId, str | None] = Field(default_factory=dict)
    chains: tuple[SourceChain, ...] = ()
    """One of each source, where they were asked apart."""
    answer_set: AnswerSet | None = None
    """None where no judged questions say what a choice is worth."""
    certificate: Certificate | None = None
    """Of the vote that decided; None where there are `votes` to make one of, or none decided."""


class NodeDisclosure(Wire):
    """What one hospital gave away for this answer. `epsilon` only where a mechanism has one."""

    node: NodeId
    passages: Count
    text_bytes: Count
    patients: Count
    traces: Count = 0
    """Chains of thought of its own; their text is among the bytes."""
    epsilon: Annotated[Finite, Field(ge=0)] | None = None
    bound: str = NO_FORMAL_BOUND


class QueryDisclosure(StrEnum):
    """How much of the question the asked hospitals see. A vector is as sensitive as its text."""

    TEXT = "text"
    VECTOR = "vector"


class DisclosureAccount(Wire):
    """Where `release_mode` is `direct`, text may have left a hospital that is not among the evidence: it counts too."""

    question_shown_to: tuple[NodeId, ...]
    question_shown_as: QueryDisclosure
    release_mode: ReleaseMode = ReleaseMode.OFFERS
    hospitals: tuple[NodeDisclosure, ...]


class RedactionCount(Wire):
    """How often a kind of identifier was taken out of the question before anything else saw it."""

    category: Name
    count: Annotated[int, Field(ge=1), NUMBER]


class Notice(Wire):
    """Something the reader should know; `code` is stable, `message` is for people."""

    code: Code
    message: str


class BudgetUsed(Wire):
    """What the answer cost. `spent` is counted where it is spent, against the `caps` on this question."""

    nodes_asked: Count
    messages: Count
    bytes_received: Count
    model_tokens: Count
    spent: Spent = Spent()
    caps: Caps = Caps()


class StageTiming(Wire):
    stage: Name
    elapsed_ms: Milliseconds


class Awaiting(Wire):
    """A hospital whose staff looks at the question before anything of it leaves. `until`: by when that is over, match
    or not; the answer is then as it is."""

    node: NodeId
    until: AwareDatetime


class Completion(Wire):
    """How an answer came to be given again: hospitals released more, and merging and reasoning began anew.

    `before`: the outcomes that the first answer had, of hospitals whose outcome is another now.
    """

    first_answered_at: datetime
    released: tuple[NodeId, ...]
    before: tuple[NodeOutcome, ...]


class Rewriting(Wire):
    """How a follow-up became the question that stands in the answer: `asked` is what the asker wrote, redacted; `by`:
    `rules`, or the model's name."""

    asked: Text
    by: Name


class AnswerPart(Wire):
    """A sub-question, routed on its own, and what came of it. Citations are numbers of the whole answer's passages;
    `id`: by which it can be fetched alone; `allotted`: tokens that the model was to write for it at most, None: no
    other cap than the question's; `cut_short`: a cap ended it."""

    id: RequestId
    question: Text
    text: str
    confidence: Probability
    abstained: Abstention | None
    asked_of: tuple[NodeId, ...]
    citations: tuple[CitationNumber, ...]
    allotted: Count | None = None
    spent: Spent = Spent()
    cut_short: bool = False


class Answer(Wire):
    id: RequestId
    question: Question
    text: str
    choice: str | None
    confidence: Probability
    abstained: Abstention | None
    steps: tuple[ReasoningStep, ...]
    evidence: Evidence
    certificate: Certificate | None = None
    """None where no votes decide."""
    coverage: tuple[NodeOutcome, ...]
    routing: RoutingDecision
    disclosure: DisclosureAccount
    redactions: tuple[RedactionCount, ...]
    reasoner: ReasonerReport
    chains: tuple[SourceChain, ...] = ()
    answer_set: AnswerSet | None = None
    budget: BudgetUsed
    timings: tuple[StageTiming, ...]
    notices: tuple[Notice, ...]
    answered_at: datetime
    awaiting: tuple[Awaiting, ...] = ()
    """Hospitals that may still release something: `GET /v1/answers/{id}` completes the answer then."""
    completed: Completion | None = None
    """None for an answer as it was first given."""
    conversation: RequestId | None = None
    """To be named by a follow-up: the id of the first answer of the conversation."""
    rewritten: Rewriting | None = None
    """None for a question that was asked as it stands."""
    parts: tuple[AnswerPart, ...] = ()
    """What the question was taken apart into; empty for a question answered in one."""
    intended_use: str = INTENDED_USE


class Feedback(Wire):
    """`POST /v1/answers/{id}/feedback`: how an answer turned out, which source weights learn from. What is left out
    says nothing; where citations are named as helpful, the others that the answer cites were not."""

    answer_id: RequestId
    correct: bool | None = None
    useful: bool | None = None
    harmful: bool = False
    helpful_citations: tuple[CitationNumber, ...] = ()
