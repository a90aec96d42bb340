"""From what a model wrote to a reply we can check: one JSON object found, every field doubted."""

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from reasoner.dialect import mapping

MAXIMUM_STEPS: Final = 40
MAXIMUM_ATTEMPTS: Final = 200
MAXIMUM_STEP_CHARACTERS: Final = 4000
_SMALLEST_PERCENTAGE: Final = 2
"""From here on a confidence is read as one of a hundred; what lies between 1 and 2 means nothing."""
_TRAILING_COMMA: Final = re.compile(r",\s*([}\]])")
_LETTER: Final = re.compile(r"^\W*(?:option\s+)?([A-Z])(?:\W|$)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Thought:
    """One step as the model wrote it; citations not yet checked."""

    text: str
    citations: tuple[int, ...]
    uncertainty: float | None


@dataclass(frozen=True, slots=True)
class Reply:
    """A parsed reply. Numbers are None where the model gave none that lies in [0, 1]."""

    thoughts: tuple[Thought, ...]
    answer: str
    choice: str | None
    confidence: float | None
    insufficient: bool


def parse(text: str, options: Mapping[str, str]) -> Reply | None:
    """The last JSON object in `text` that has an answer, steps or a choice in it; None when there is none."""
    found = [value for value in _objects(text) if value.keys() & {"answer", "steps", "choice", "insufficient"}]
    if not found:
        return None
    reply = found[-1]
    choice = _choice(reply.get("choice"), options)
    answer = _text(reply.get("answer"))
    insufficient = reply.get("insufficient") is True
    if not insufficient and ((options and choice is None) or not (answer or choice)):
        choice = _choice(answer, options)
        if choice is None:
            return None
    steps = reply.get("steps")
    thoughts = tuple(_thought(step) for step in (steps if isinstance(steps, list) else [])[:MAXIMUM_STEPS])
    return Reply(
        thoughts=tuple(thought for thought in thoughts if thought.text),
        answer=answer,
        choice=choice,
        confidence=_fraction(reply.get("confidence")),
        insufficient=insufficient,
    )


def field_of(text: str, name: str) -> str:
    """The words of this field in the last JSON object that has it; empty when there is none."""
    found = [_text(value[name]) for value in _objects(text) if name in value]
    return found[-1] if found else ""


def _objects(text: str) -> Iterator[dict[str, object]]:
    """JSON objects in order of appearance, outermost only; trailing commas are forgiven. What begins with ever so many
    braces is given up after MAXIMUM_ATTEMPTS."""
    text = _TRAILING_COMMA.sub(r"\1", text)
    decoder, position = json.JSONDecoder(strict=False), 0
    for _ in range(MAXIMUM_ATTEMPTS):
        start = text.find("{", position)
        if start < 0:
            return
        try:
            value, position = decoder.raw_decode(text, start)
        except (ValueError, RecursionError):
            position = start + 1
            continue
        yield value


def _thought(step: object) -> Thought:
    if isinstance(step, str):
        return Thought(step.strip()[:MAXIMUM_STEP_CHARACTERS], (), None)
    fields = mapping(step)
    listed = fields.get("citations")
    numbers = (_integer(value) for value in (listed if isinstance(listed, list) else [listed]))
    return Thought(
        text=_text(fields.get("text"))[:MAXIMUM_STEP_CHARACTERS],
        citations=tuple(number for number in numbers if number is not None),
        uncertainty=_fraction(fields.get("uncertainty")),
    )


def _choice(value: object, options: Mapping[str, str]) -> str | None:
    """A letter, "B. …", or an option's own words."""
    written = _text(value)
    for letter, option in options.items():
        if written.casefold() in (letter.casefold(), option.casefold()):
            return letter
    match = _LETTER.match(written)
    letter = match.group(1).upper() if match and (written[:1].isupper() or len(written) < 4) else ""
    return letter if letter in options else None


def _fraction(value: object) -> float | None:
    """A number in [0, 1]; 85 and "85 %" mean 0.85; NaN and the rest mean nothing."""
    if isinstance(value, str):
        try:
            value = float(value.strip().rstrip("%").strip())
        except ValueError:
            return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    if _SMALLEST_PERCENTAGE <= value <= 100:
        value /= 100
    return float(value) if 0 <= value <= 1 else None


def _integer(value: object) -> int | None:
    """3, 3.0, "3" and "[3]" all cite passage 3."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    if isinstance(value, float) and value.is_integer():
        return int(value)
    match = re.fullmatch(r"\s*\[?(\d{1,6})\]?\s*", value) if isinstance(value, str) else None
    return int(match.group(1)) if match else None


def _text(value: object) -> str:
    return value.strip() if isinstance(value, str) else ""
