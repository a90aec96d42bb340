"""One evaluation run: where its data lies, how much of it, where results go, and how progress is told."""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol, TypeVar

from fedrag.core.errors import ConfigError, InputError
from fedrag.core.protocols import Encoder
from fedrag.evaluation.model_server import ModelServer
from fedrag.evaluation.record import Record
from fedrag.evaluation.vectors import CachedVectors


class HasId(Protocol):
    @property
    def id(self) -> str: ...


T = TypeVar("T")
Q = TypeVar("Q", bound=HasId)
Progress = Callable[[str], AbstractContextManager[Callable[[int, int], None]]]


class Half(StrEnum):
    """Questions are split by the first hex digit of sha256(id): even is seen, odd is not looked at while building."""

    SEEN = "seen"
    UNSEEN = "unseen"
    ALL = "all"


def half_of(question_id: str) -> Half:
    return Half.SEEN if int(hashlib.sha256(question_id.encode()).hexdigest()[0], 16) % 2 == 0 else Half.UNSEEN


@dataclass(frozen=True, slots=True)
class Service:
    """A federation that is running already, and the file of one's own questions for it, if that is what is asked.
    `central`: the address of another whose only hospital holds everything, for comparison."""

    url: str
    key: str
    authority: Path | None = None
    questions: Path | None = None
    central: str | None = None


@dataclass(frozen=True, slots=True)
class Tally:
    """What a run made itself, and what it found made by earlier ones: vectors, questions."""

    made: Counter[str] = field(default_factory=Counter)
    kept: Counter[str] = field(default_factory=Counter)

    def __str__(self) -> str:
        counted = (f"{self.made[what]:,} and {self.kept[what]:,} {what}" for what in sorted({*self.made, *self.kept}))
        return ", ".join(counted) or "nothing"


@dataclass(frozen=True, slots=True)
class Run:
    """`nodes` and `split` say how documents are laid out over hospitals (`fedrag.evaluation.splits`); None is the data
    set's own. `model` answers without retrieval, `judge` judges support, where they are given. `identity` is what a
    record must have been made with to be continued."""

    data: Path | None
    limit: int | None
    half: Half
    output: Path
    progress: Progress
    command: str
    seed: int = 0
    nodes: int | None = None
    split: str | None = None
    service: Service | None = None
    model: ModelServer | None = None
    judge: ModelServer | None = None
    identity: str = ""
    tally: Tally = field(default_factory=Tally, compare=False)

    def folder(self, suite: str) -> Path:
        place = self.output / suite
        place.mkdir(parents=True, exist_ok=True)
        return place

    def package(self, name: str) -> Path:
        """The folder of one data package. Raises ConfigError(no_data), InputError(missing_folder)."""
        if self.data is None:
            raise ConfigError(
                "this suite needs data: set FEDRAG_DATA to a folder and get it with `fedrag data fetch`", code="no_data"
            )
        if not (self.data / name).is_dir():
            raise InputError(f"no {name} in {self.data}; get it with: fedrag data fetch {name}", code="missing_folder")
        return self.data / name

    def running(self) -> Service:
        """Raises ConfigError(bad_option) where no running federation was named."""
        if self.service is None:
            raise ConfigError("this suite is put to a federation that is running: --url", code="bad_option")
        return self.service

    def tracked(self, items: Sequence[T], what: str) -> Iterator[T]:
        """The items, at most `limit` of them, with a progress bar."""
        chosen = items[: self.limit]
        with self.progress(what) as told:
            told(0, len(chosen))
            for done, item in enumerate(chosen, start=1):
                yield item
                told(done, len(chosen))

    def recorded(
        self, suite: str, questions: Sequence[Q], what: str, measure: Callable[[Q], Mapping[str, object]]
    ) -> dict[str, dict[str, object]]:
        """What `measure` made of each question, at most `limit` of them, in their order; read from the record where it
        is there, written to it as soon as it is made. Values are as JSON gives them back."""
        chosen = questions[: self.limit]
        with Record.open(self.folder(suite) / f"record-{self.digest(what)[:16]}.jsonl", self.identity) as record:
            missing = [question for question in chosen if question.id not in record]
            self.tally.made["questions"] += len(missing)
            self.tally.kept["questions"] += len(chosen) - len(missing)
            for question in self.tracked(missing, what) if missing else ():
                record.put(question.id, measure(question))
            return {question.id: record[question.id] for question in chosen}

    def vectors(self, encoder: Encoder) -> CachedVectors:
        return CachedVectors(self.output / "cache", encoder, self.progress, self.tally.made, self.tally.kept)

    def digest(self, what: str) -> str:
        """Of the options that lay out and choose what is measured; `limit` only says how much of it."""
        options = [what, self.half, self.seed, self.nodes, self.split, self.service.url if self.service else None]
        return hashlib.sha256(json.dumps(options).encode()).hexdigest()


def records(path: Path) -> list[dict[str, Any]]:
    """A JSON Lines file. Only a line feed ends a line: texts may hold other separators."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line.strip()]
