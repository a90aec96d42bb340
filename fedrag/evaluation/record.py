"""What each question brought forth, one JSON line at a time: an interrupted run goes on where it stopped."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self, TextIO


class Record(Mapping[str, dict[str, object]]):
    """Results by question id. The first line of the file holds the identity it was made with; a file of another
    identity, or none, is replaced. A last line that was cut off in the middle is dropped."""

    def __init__(self, results: dict[str, dict[str, object]], file: TextIO) -> None:
        self._results = results
        self._file = file

    @classmethod
    def open(cls, path: Path, identity: str) -> Self:
        head = json.dumps({"identity": identity})
        lines = path.read_text(encoding="utf-8").split("\n")[:-1] if path.exists() else []
        kept = lines[1:] if lines and lines[0] == head else []
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join([head, *kept]) + "\n", encoding="utf-8")
        results = {line["id"]: line["result"] for line in map(json.loads, kept)}
        return cls(results, path.open("a", encoding="utf-8"))

    def put(self, question: str, result: Mapping[str, object]) -> None:
        """Written before it returns."""
        line = json.dumps({"id": question, "result": result}, ensure_ascii=False)
        self._file.write(line + "\n")
        self._file.flush()
        self._results[question] = json.loads(line)["result"]

    def __getitem__(self, question: str) -> dict[str, object]:
        return self._results[question]

    def __iter__(self) -> Iterator[str]:
        return iter(self._results)

    def __len__(self) -> int:
        return len(self._results)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
