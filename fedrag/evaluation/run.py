"""One evaluation run: where its data lies, how much of it, where results go, and how progress is told."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TypeVar

from fedrag.core.errors import ConfigError, InputError

T = TypeVar("T")
Progress = Callable[[str], AbstractContextManager[Callable[[int, int], None]]]


class Half(StrEnum):
    """Questions are split by the first hex digit of sha256(id): even is seen, odd is not looked at while building."""

    SEEN = "seen"
    UNSEEN = "unseen"
    ALL = "all"


@dataclass(frozen=True, slots=True)
class Run:
    data: Path | None
    limit: int | None
    half: Half
    output: Path
    progress: Progress
    command: str

    def folder(self, suite: str) -> Path:
        place = self.output / suite
        place.mkdir(parents=True, exist_ok=True)
        return place

    def package(self, name: str) -> Path:
        """The folder of one data package. Raises ConfigError(no_data), InputError(missing_folder)."""
        if self.data is None:
            raise ConfigError("this suite needs data: set FEDRAG_DATA to the folder of the packages", code="no_data")
        if not (self.data / name).is_dir():
            raise InputError(f"no data package {name} in {self.data}", code="missing_folder")
        return self.data / name

    def tracked(self, items: list[T], what: str) -> Iterator[T]:
        """The items, at most `limit` of them, with a progress bar."""
        chosen = items[: self.limit]
        with self.progress(what) as told:
            told(0, len(chosen))
            for done, item in enumerate(chosen, start=1):
                yield item
                told(done, len(chosen))
