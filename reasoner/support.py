"""Whether what a step says is borne out by what it cites: supported, contradicted, or not said there at all.

    the sentence of the cited passages that is most like the step → likeness, shared words, quantities, direction →
    softmax over three verdicts

A small head, not a reader: it knows the same words and numbers when it sees them, and a change of direction.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib.resources import files
from typing import Annotated, Final, Self

import numpy as np
from pydantic import Field, ValidationError, model_validator

from fedrag.core.answer import Evidence, Reasoning, ReasoningStep
from fedrag.core.config import Config
from fedrag.core.errors import IntegrityError
from fedrag.core.plugins import describe
from fedrag.core.protocols import Encoder
from fedrag.core.wire import FloatMatrix, FloatVector
from reasoner.citations import check_text
from reasoner.heads import softmax
from reasoner.quantities import quantities, shared
from reasoner.sentences import spans
from reasoner.stance import direction
from reasoner.words import overlap, stems, words

FILE: Final = "support.json"
MAXIMUM_SENTENCES: Final = 48
"""Sentences of cited passages that are encoded for one answer: about half a second on one processor core."""
FEATURES: Final = (
    "similarity",
    "second",
    "overlap",
    "overlap_all",
    "quantities",
    "quantities_missing",
    "direction",
    "turned",
    "turned_and_alike",
)
_RISES: Final = re.compile(
    r"\b(?:increas\w*|higher|rais\w+|elevat\w+|more|greater|improv\w+|promot\w+|enhanc\w+|activat\w+|induc\w+|upregulat\w+"
    r"|better|gain\w*|longer|stimulat\w+|up)\b",
    re.IGNORECASE,
)
_FALLS: Final = re.compile(
    r"\b(?:decreas\w*|lower\w*|reduc\w+|less|fewer|declin\w+|inhibit\w+|suppress\w+|impair\w+|downregulat\w+|worse\w*|loss"
    r"|shorter|prevent\w*|block\w*|attenuat\w+|diminish\w+|fail\w*|lack\w*|absen\w+|down)\b",
    re.IGNORECASE,
)


class Bearing(StrEnum):
    SUPPORTED = "supported"
    CONTRADICTED = "contradicted"
    NOT_SAID = "not said"


BEARINGS: Final = tuple(Bearing)
Row = tuple[Annotated[float, Field(allow_inf_nan=False)], ...]


class SupportHead(Config):
    """P(bearing) = softmax(coefficients · features + intercept), a row for each of BEARINGS, the intercept last.
    `threshold`: P(supported) below which a step is marked. `encoder`: whose similarities it was fitted on, as encoders
    name what they are comparable with; others mean something else."""

    features: tuple[str, ...] = FEATURES
    coefficients: tuple[Row, ...]
    threshold: Annotated[float, Field(ge=0, le=1)]
    encoder: str
    fitted: dict[str, object] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _complete(self) -> Self:
        rows = {len(row) for row in self.coefficients}
        if len(self.coefficients) != len(BEARINGS) or rows != {len(self.features) + 1}:
            raise ValueError("a row for each bearing, a coefficient for each feature and one more")
        return self

    def probabilities(self, values: Sequence[float]) -> dict[Bearing, float]:
        logits = np.array(self.coefficients) @ np.array([*values, 1.0])
        return dict(zip(BEARINGS, softmax(logits.tolist()), strict=True))


@cache
def load() -> SupportHead:
    """The head shipped with the package. Raises IntegrityError when the file is not what it should be."""
    try:
        return SupportHead.model_validate_json(files("reasoner").joinpath(FILE).read_text(encoding="utf-8"))
    except ValidationError as error:
        raise IntegrityError(f"{FILE}: {describe(error)}") from None


@dataclass(frozen=True, slots=True)
class Passages:
    """The sentences of what is cited, each with its vector: (sentences, dimension)."""

    sentences: tuple[str, ...]
    vectors: FloatMatrix


def features(claim: str, vector: FloatVector, cited: Passages) -> tuple[float, ...]:
    """In the order of FEATURES; `cited` holds a sentence. Likeness and overlap are those of the nearest sentence, of
    the second nearest, and of all; quantities of the claim are sought in all."""
    similarities = cited.vectors @ vector
    order = np.argsort(-similarities)
    best = cited.sentences[int(order[0])]
    likeness = float(similarities[order[0]])
    wanted, numbers = frozenset(stems(claim)), quantities(claim)
    every = " ".join(cited.sentences)
    found = shared(numbers, quantities(every))
    turned = float(_turns(claim, best))
    return (
        likeness,
        float(similarities[order[1]]) if len(order) > 1 else likeness,
        overlap(wanted, stems(best)),
        overlap(wanted, stems(every)),
        found if numbers else 0.5,
        float(bool(numbers)) * (1 - found),
        float(direction(claim) == direction(best)),
        turned,
        turned * likeness,
    )


def _turns(claim: str, sentence: str) -> bool:
    """Whether one speaks of a rise or says yes where the other speaks of a fall or says no, but not both."""
    one = bool(_RISES.search(claim)) - bool(_FALLS.search(claim))
    other = bool(_RISES.search(sentence)) - bool(_FALLS.search(sentence))
    return (one * other < 0) != (direction(claim) != direction(sentence))


def judged(reasoning: Reasoning, evidence: Evidence, encoder: Encoder, head: SupportHead | None = None) -> Reasoning:
    """The same reasoning; each step that cites carries the probability that it is borne out, and one that is probably
    not is `unsupported`. What a step quotes word for word is borne out. With another encoder than the head's nothing is
    checked."""
    chosen = head or load()
    if encoder.identity.comparable_with != chosen.encoder:
        return reasoning
    texts = {one.number: one.passage.text for one in evidence.passages}
    sentences = {number: _sentences(texts[number]) for number in _cited(reasoning) if number in texts}
    kept = list(dict.fromkeys(one for some in sentences.values() for one in some))[:MAXIMUM_SENTENCES]
    if not kept:
        return reasoning
    claims = [check_text(step.text, ()).text.strip() or "." for step in reasoning.steps]
    made = encoder.encode_passages([*claims, *kept])
    vector_of = dict(zip(kept, made[len(claims) :], strict=True))

    def marked(step: ReasoningStep, claim: str, vector: FloatVector) -> ReasoningStep:
        there = [one for number in step.citations for one in sentences.get(number, ()) if one in vector_of]
        if not there:
            return step
        passages = Passages(tuple(there), np.stack([vector_of[one] for one in there]))
        support = 1.0 if _word_for_word(claim, step, texts) else _support(chosen, claim, vector, passages)
        return step.model_copy(update={"support": support, "unsupported": support < chosen.threshold})

    steps = [
        marked(step, claim, vector)
        for step, claim, vector in zip(reasoning.steps, claims, made[: len(claims)], strict=True)
    ]
    return reasoning.model_copy(update={"steps": tuple(steps)})


def _support(head: SupportHead, claim: str, vector: FloatVector, cited: Passages) -> float:
    return head.probabilities(features(claim, vector, cited))[Bearing.SUPPORTED]


def _word_for_word(claim: str, step: ReasoningStep, texts: dict[int, str]) -> bool:
    said = " ".join(words(claim))
    return bool(said) and any(said in " ".join(words(texts[number])) for number in step.citations if number in texts)


def _cited(reasoning: Reasoning) -> list[int]:
    return list(dict.fromkeys(number for step in reasoning.steps for number in step.citations))


def _sentences(text: str) -> tuple[str, ...]:
    return tuple(text[span.start : span.end] for span in spans(text))
