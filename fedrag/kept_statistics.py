"""The federation's common statistics in the coordinator's folder."""

import os
from pathlib import Path

from pydantic import AwareDatetime, Field, ValidationError

from fedrag.core.statistics import SharedStatistics
from fedrag.core.wire import NodeId, Wire


class KeptStatistics(Wire):
    """An epoch, when it was made, and which hospitals have it since when."""

    shared: SharedStatistics
    made_at: AwareDatetime
    adopted: dict[NodeId, AwareDatetime] = Field(default_factory=dict)


class StatisticsFile:
    """Written whole or not at all. One that is missing or damaged is none: hospitals keep what they have, and count
    again when it is due. `path` None: in memory alone."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._seen: object = None
        self._kept: KeptStatistics | None = None

    def read(self) -> KeptStatistics | None:
        """What is there now, whoever wrote it."""
        if self._path is None:
            return self._kept
        try:
            there = self._path.stat()
            seen = (there.st_ino, there.st_mtime_ns, there.st_size)
            if seen != self._seen:
                self._kept = _parsed(self._path.read_bytes())
                self._seen = seen
        except FileNotFoundError:
            self._kept, self._seen = None, None
        return self._kept

    def write(self, kept: KeptStatistics) -> None:
        if self._path is None:
            self._kept = kept
            return
        fresh = self._path.with_suffix(".new")
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(kept.model_dump_json())
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self._path)


def _parsed(raw: bytes) -> KeptStatistics | None:
    try:
        kept = KeptStatistics.model_validate_json(raw)
    except ValidationError:
        return None
    return kept if kept.shared.numbers() is not None else None
