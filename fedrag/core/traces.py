"""Reasoning at the source, on the wire: what a hospital's own model makes of a question and its own passages.

A chain of thought is text about what a hospital holds: it leaves by the same rules as that, charged and audited.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Final

from pydantic import Field, StringConstraints

from fedrag.core.exchange import Citation, Processor, Receipt, ReleasedPassage
from fedrag.core.identity import CompactToken
from fedrag.core.question import PassageFilter, Question, Text
from fedrag.core.wire import (
    NUMBER,
    Code,
    Count,
    Finite,
    Milliseconds,
    NodeId,
    Probability,
    RequestId,
    Wire,
)

MAXIMUM_ROUNDS: Final = 20
"""Times that one hospital is asked about one question: for its answer, and for its answer to critique."""
MAXIMUM_STEPS: Final = 40
MAXIMUM_OTHERS: Final = 25
Choice = Annotated[str, StringConstraints(pattern=r"^[A-Za-z]{1,10}$")]
"""An option's letter; yes, no or maybe of a closed question."""
Words = Annotated[str, StringConstraints(max_length=8000)]
Uncertainty = Annotated[Finite, Field(ge=0)]
"""Lower is surer, on the scale of who states it; mean token entropy in nats, say."""


class Said(Wire):
    """An answer until now, and how it was come by; `trace` is empty where only the answer is told."""

    choice: Choice | None = None
    answer: Words = ""
    trace: Words = ""


class TraceRequest(Wire):
    """`POST /v1/traces`: reason about this question here. `processor` is who is going to read the chain of thought.

    From the second time on: `so_far` is what all sources together answered, `own` what this one did, `others` how those
    who answered otherwise came to it, in short. A node keeps nothing of one round for the next.
    """

    request_id: RequestId
    coordinator: NodeId
    node: NodeId
    question: Question
    search: Text | None = None
    """What to search for, where it is not the question alone: its options as well, say."""
    round: Annotated[int, Field(ge=1, le=MAXIMUM_ROUNDS), NUMBER] = 1
    so_far: Said | None = None
    own: Said | None = None
    others: Annotated[
        tuple[Annotated[str, StringConstraints(max_length=2000)], ...], Field(max_length=MAXIMUM_OTHERS)
    ] = ()
    filter: PassageFilter | None = None
    processor: Processor
    deadline_ms: Milliseconds
    token: CompactToken | None = None


class TraceStep(Wire):
    """One step of a chain of thought; `citations` are 1-based positions in `Trace.cited`."""

    text: Annotated[str, StringConstraints(max_length=8000)]
    citations: Annotated[tuple[Annotated[int, Field(ge=1, le=50), NUMBER], ...], Field(max_length=50)] = ()
    uncertainty: Probability = 0.5


class Trace(Wire):
    """What a hospital answers by itself. Without `choice` and `answer` it answers nothing, for whatever reason.

    `uncertainty` is its own claim, None where it has none; `signals` are what it was made of, by name. `cited`: the
    passages read, where the policy lets them be cited. `passages`, `patients`: what was read for it, as charged.
    """

    node: NodeId
    request_id: RequestId
    round: Annotated[int, Field(ge=1, le=MAXIMUM_ROUNDS), NUMBER]
    choice: Choice | None = None
    answer: Words = ""
    steps: Annotated[tuple[TraceStep, ...], Field(max_length=MAXIMUM_STEPS)] = ()
    cited: Annotated[tuple[Citation, ...], Field(max_length=50)] = ()
    uncertainty: Uncertainty | None = None
    signals: Annotated[dict[Code, Finite], Field(max_length=20)] = Field(default_factory=dict)
    passages: Count = 0
    patients: Count = 0
    receipt: Receipt

    @property
    def text_bytes(self) -> int:
        """Of what it says."""
        return len("".join((self.answer, *(step.text for step in self.steps))).encode())


@dataclass(frozen=True, slots=True)
class Demonstration:
    """A question, how it was reasoned about, and the answer; trace and answer may be empty."""

    question: str
    trace: str = ""
    answer: str = ""

    @property
    def text(self) -> str:
        return "\n".join(part for part in (self.question, self.trace, self.answer) if part)


@dataclass(frozen=True, slots=True)
class LocalTask:
    """What a hospital's own model is given: `passages` as they may leave, best first, with their probabilities of
    relevance; `demonstrations` of the hospital's own, as far as the asker may profit from them."""

    node: NodeId
    question: Question
    passages: tuple[ReleasedPassage, ...] = ()
    probabilities: tuple[float, ...] = ()
    demonstrations: tuple[Demonstration, ...] = ()
    so_far: Said | None = None
    own: Said | None = None
    others: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LocalTrace:
    """What it made of it; `citations` of the steps are 1-based positions in the task's passages. `shown`: positions of
    the demonstrations that it was shown."""

    choice: str | None
    answer: str = ""
    steps: tuple[TraceStep, ...] = ()
    uncertainty: float | None = None
    signals: Mapping[str, float] = field(default_factory=dict)
    shown: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Told:
    """What one hospital is told besides the question."""

    so_far: Said | None = None
    own: Said | None = None
    others: tuple[str, ...] = ()
