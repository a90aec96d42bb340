"""What is asked."""

import re
from enum import StrEnum
from typing import Annotated, Final

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints, model_validator

from fedrag.core.purse import Caps
from fedrag.core.wire import NUMBER, Day, Name, NodeId, ReleaseClass, RequestId, Wire

MAXIMUM_QUESTION_CHARACTERS: Final = 4000
MAXIMUM_REASON_CHARACTERS: Final = 500
MAXIMUM_OPTIONS: Final = 26
MAXIMUM_SUB_QUESTIONS: Final = 8
MAXIMUM_TURNS: Final = 20
_CONTROL_CHARACTERS: Final = r"\x00-\x08\x0b\x0c\x0e-\x1f\x7f"
_CONTROL = re.compile(rf"[{_CONTROL_CHARACTERS}\ud800-\udfff]")
_PLAIN: Final = f"[^{_CONTROL_CHARACTERS}]*"
_DESCRIBED: Final = {"pattern": f"^{_PLAIN}[^\\s\\x85{_CONTROL_CHARACTERS}]{_PLAIN}$"}
"""What the JSON schema tells of `_plain_text` and of leading and trailing spaces that do not count."""


def _plain_text(text: str) -> str:
    if _CONTROL.search(text):
        raise ValueError("text holds control characters")
    return text


def _at_most(characters: int) -> BeforeValidator:
    """Counted as sent, with the spaces at the ends: last in its annotation, so that it is asked first."""

    def check(text: object) -> object:
        if isinstance(text, str) and len(text) > characters:
            raise ValueError(f"text is longer than {characters} characters")
        return text

    return BeforeValidator(check)


Text = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=MAXIMUM_QUESTION_CHARACTERS),
    AfterValidator(_plain_text),
    Field(json_schema_extra=_DESCRIBED),
    _at_most(MAXIMUM_QUESTION_CHARACTERS),
]
OptionLetter = Annotated[str, StringConstraints(pattern=r"^[A-Z]$")]
OptionText = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=1000),
    AfterValidator(_plain_text),
    Field(json_schema_extra=_DESCRIBED),
    _at_most(1000),
]
Reason = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=MAXIMUM_REASON_CHARACTERS),
    AfterValidator(_plain_text),
    Field(json_schema_extra=_DESCRIBED),
    _at_most(MAXIMUM_REASON_CHARACTERS),
]
"""Why a question is asked, in the asker's words: what a hospital's reviewer reads."""
LanguageTag = Annotated[str, StringConstraints(pattern=r"^[a-z]{2,3}(-[A-Za-z0-9]{2,8})*$")]


class Turn(Wire):
    """One earlier exchange of the same conversation."""

    question: Text
    answer: Annotated[
        str,
        StringConstraints(max_length=MAXIMUM_QUESTION_CHARACTERS),
        AfterValidator(_plain_text),
        Field(json_schema_extra={"pattern": f"^{_PLAIN}$"}),
    ]


class Question(Wire):
    """A clinician's question. Redacted before anything else touches it.

    `options` is empty for an open question; `language` is a BCP 47 tag, None when the asker did not say.
    """

    text: Text
    options: Annotated[
        dict[OptionLetter, OptionText],
        Field(max_length=MAXIMUM_OPTIONS, json_schema_extra={"additionalProperties": False}),
    ] = Field(default_factory=dict)
    turns: Annotated[tuple[Turn, ...], Field(max_length=MAXIMUM_TURNS)] = ()
    language: LanguageTag | None = None


class PassageFilter(Wire):
    """Which passages may be found at all, by what is known of their documents; both days count.

    A document without a date passes no limit of dates. Hospitals search among what passes: the filter takes nothing
    out of a result that was found without it.
    """

    release_classes: Annotated[tuple[ReleaseClass, ...], Field(min_length=1, max_length=3)] | None = None
    effective_from: Day | None = None
    effective_until: Day | None = None

    @model_validator(mode="after")
    def _in_order(self) -> "PassageFilter":
        if self.effective_from and self.effective_until and self.effective_from > self.effective_until:
            raise ValueError("effective_from is later than effective_until")
        return self


class Intent(StrEnum):
    """What an asker wants to know, which decides how many hospitals are asked, and which."""

    FACT = "fact"
    """One answer, which few hospitals can give."""
    VIEWPOINTS = "viewpoints"
    """What different hospitals say, and whether they agree."""
    POPULATION = "population"
    """How many patients: hospitals that count."""


class AskRequest(Wire):
    """The body of `POST /v1/ask`: a question, and how it may be answered (None: the federation's default)."""

    question: Question
    passages: Annotated[int, Field(ge=1, le=50), NUMBER] | None = None
    deadline_ms: Annotated[int, Field(ge=100, le=600_000), NUMBER] | None = None
    routing: Name | None = None
    nodes: Annotated[tuple[NodeId, ...], Field(min_length=1, max_length=1000)] | None = None
    """Ask only among these hospitals."""
    intent: Intent | None = None
    """What is wanted; None: it is read from the question."""
    maximum_nodes: Annotated[int, Field(ge=1, le=1000), NUMBER] | None = None
    """Ask no more hospitals than this; never more than the federation's own limit."""
    search_options: bool = True
    """Whether the options' words are searched for too, or the question's alone."""
    filter: PassageFilter | None = None
    reason: Reason | None = None
    """Why it is asked; redacted like the question. Hospitals that review before they release show it to who reviews."""
    sub_questions: Annotated[int, Field(ge=1, le=MAXIMUM_SUB_QUESTIONS), NUMBER] | None = None
    """Take the question apart into this many at most, where it is several; None: not at all. Never more than the
    federation does."""
    budget: Caps | None = None
    """Spend no more than this; never more than the federation allows."""
    conversation: RequestId | None = None
    """The id of the answer that this conversation began with: what is spent on it counts together. What was said in it
    travels in `question.turns`, and is kept by nobody but the asker."""
