"""A hospital's own worked examples: what its model is shown before a question. They stay here; no answer holds one."""

import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Final

from pydantic import Field, TypeAdapter, ValidationError

from fedrag.core.config import Config
from fedrag.core.errors import InputError, IntegrityError
from fedrag.core.plugins import describe
from fedrag.core.traces import Demonstration
from fedrag.core.wire import ReleaseClass
from retriever_node.documents import Passage
from retriever_node.redaction import Redaction
from retriever_node.sources import attempted

MAXIMUM: Final = 10_000
MAXIMUM_CHARACTERS: Final = 20_000


class Written(Config):
    """One line of the file: JSON Lines."""

    question: str = Field(min_length=1, max_length=4000)
    trace: str = Field(default="", max_length=MAXIMUM_CHARACTERS)
    answer: str = Field(default="", max_length=4000)


@dataclass(frozen=True, slots=True)
class TakenIn:
    """How many are kept, and how many were withheld because they could not be redacted."""

    kept: int
    withheld: int


_KEPT: Final = TypeAdapter(tuple[Demonstration, ...])


def take_in(source: Path, kept: Path, release_class: ReleaseClass, redaction: Redaction, key: bytes) -> TakenIn:
    """Read a file of demonstrations in place of those there are; of class `patient` only their redacted forms are kept.

    Raises InputError(bad_demonstration), with the line: then those there are stay.
    """
    read = list(_read(source))
    shown = [_form(one, redaction, key) if release_class is ReleaseClass.PATIENT else one for one in read]
    made = [one for one in shown if one is not None]
    written = kept.with_suffix(".new")
    descriptor = os.open(written, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump([asdict(one) for one in made], file)
        file.flush()
        os.fsync(file.fileno())
    written.replace(kept)
    return TakenIn(len(made), len(read) - len(made))


def load(kept: Path) -> tuple[Demonstration, ...]:
    """Empty where there are none. Raises IntegrityError(bad_demonstrations)."""
    if not kept.exists():
        return ()
    try:
        return _KEPT.validate_json(kept.read_bytes())
    except (OSError, ValidationError):
        raise IntegrityError(
            f"{kept} cannot be read; ingest the demonstrations again", code="bad_demonstrations"
        ) from None


def _read(source: Path) -> Iterator[Demonstration]:
    try:
        lines = source.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError):
        raise InputError(f"{source} cannot be read", code="bad_demonstration") from None
    numbered = [(number, line) for number, line in enumerate(lines, start=1) if line.strip()]
    if len(numbered) > MAXIMUM:
        raise InputError(f"more than {MAXIMUM} demonstrations", code="bad_demonstration")
    for number, line in numbered:
        try:
            one = Written.model_validate_json(line)
        except ValidationError as error:
            raise InputError(f"{source}, line {number}: {describe(error)}", code="bad_demonstration") from None
        yield Demonstration(one.question, one.trace, one.answer)


def _form(one: Demonstration, redaction: Redaction, key: bytes) -> Demonstration | None:
    """None where one of its parts has no form."""
    parts = [_redacted(text, redaction, key) for text in (one.question, one.trace, one.answer)]
    question, trace, answer = parts
    return None if question is None or trace is None or answer is None else Demonstration(question, trace, answer)


def _redacted(text: str, redaction: Redaction, key: bytes) -> str | None:
    if not text:
        return text
    passage = Passage(0, "demonstrations", "demonstration", "demonstration", "", "", "", None, 0, len(text), text)
    form = attempted(partial(redaction.form, passage, (), key))
    return None if form is None else form.text
