"""Questions with gold answers and the evidence a federation gave for them; the unseen half is dropped while loading."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from fedrag.core.answer import Evidence, EvidencePassage
from fedrag.core.config import Config
from fedrag.core.errors import InputError
from fedrag.core.plugins import describe
from fedrag.core.question import OptionLetter, OptionText, Question, Text
from fedrag.core.wire import NodeId, Wire

SEEN: Final = frozenset("02468ace")
YES_NO_MAYBE: Final[dict[OptionLetter, OptionText]] = {"A": "yes", "B": "no", "C": "maybe"}
C = TypeVar("C", bound=BaseModel)


class Gold(Config):
    """A passage that answers, by where it stands."""

    node: NodeId
    document: str
    section: str

    def is_in(self, passage: EvidencePassage) -> bool:
        """Nodes name documents relative to a collection's folder, gold files relative to the hospital's."""
        citation = passage.passage.citation
        if self.node in passage.also_held_by and citation.section == self.section:
            return True
        names = (citation.document_id, citation.document_name)
        return (
            passage.node == self.node
            and citation.section == self.section
            and any(self.document == name or self.document.endswith(f"/{name}") for name in names)
        )


class Example(Config):
    """One line of a question file; other fields are for other readers."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: str
    format: Literal["choice", "yes_no_maybe", "free_text"]
    text: Text
    options: dict[OptionLetter, OptionText] = Field(default_factory=dict)
    answer: str
    answerable: bool
    key_facts: tuple[Annotated[tuple[str, ...], Field(min_length=1)], ...] = ()
    """Each fact in one or more wordings."""
    gold: tuple[Gold, ...] = ()


class Found(Wire):
    """One line of an evidence file: what the federation had released for a question."""

    id: str
    evidence: Evidence


@dataclass(frozen=True, slots=True)
class Case:
    """`held` says whether a gold passage is among the evidence; without one the question cannot be answered from it."""

    example: Example
    question: Question
    evidence: Evidence
    held: bool


def as_question(example: Example) -> Question:
    """A closed question without options of its own is asked with yes, no and maybe as its options."""
    closed = example.format == "yes_no_maybe" and not example.options
    return Question(text=example.text, options=YES_NO_MAYBE if closed else example.options)


def seen(question_id: str) -> bool:
    """Whether a question may be used for building: half of them, by the first hex digit of SHA-256 of the id."""
    return hashlib.sha256(question_id.encode()).hexdigest()[0] in SEEN


def load(questions: Path, evidence: Path) -> tuple[Case, ...]:
    """Cases of the seen half in order of their id. Raises InputError naming file and line, never content."""
    found = {
        str(line["id"]): _parsed(Found, line, evidence, at) for at, line in _lines(evidence) if seen(str(line["id"]))
    }
    cases = []
    for example in load_examples(questions):
        if example.id in found:
            released = found[example.id].evidence
            held = any(gold.is_in(passage) for gold in example.gold for passage in released.passages)
            cases.append(Case(example, as_question(example), released, held))
    return tuple(cases)


def load_examples(questions: Path) -> tuple[Example, ...]:
    """The seen half of a folder of question files, in order of the id. Raises InputError."""
    examples = [
        _parsed(Example, line, path, at)
        for path in sorted(questions.glob("*.jsonl"))
        for at, line in _lines(path)
        if seen(str(line["id"]))
    ]
    return tuple(sorted(examples, key=lambda one: one.id))


def without_gold(case: Case) -> Case | None:
    """The same question where the documents that answer it are missing; None where nothing is left."""
    documents = {(gold.node, gold.section) for gold in case.example.gold}
    kept = [one for one in case.evidence.passages if (one.node, one.passage.citation.section) not in documents]
    if not kept:
        return None
    renumbered = tuple(one.model_copy(update={"number": number}) for number, one in enumerate(kept, start=1))
    evidence = case.evidence.model_copy(update={"passages": renumbered, "conflicts": ()})
    return Case(case.example, case.question, evidence, held=False)


def _lines(path: Path) -> Iterator[tuple[int, dict[str, object]]]:
    for at, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        try:
            value = json.loads(line)
        except ValueError:
            raise InputError(f"{path}, line {at}: not JSON") from None
        if not isinstance(value, dict) or "id" not in value:
            raise InputError(f"{path}, line {at}: no id")
        yield at, value


def _parsed(kind: type[C], line: dict[str, object], path: Path, at: int) -> C:
    try:
        return kind.model_validate(line)
    except ValidationError as error:
        raise InputError(f"{path}, line {at}: {describe(error)}") from None
