"""Where in a TOML text each key stands."""

import tomllib
from collections.abc import Iterator
from typing import Any

Path = tuple[str | int, ...]


def lines(text: str) -> dict[Path, int]:
    """Path of a table or key → its line, from 1; items of an array of tables are counted from 0.

    `text` is whole TOML. A statement is the fewest lines that are TOML by themselves: what spans several lines, an
    array or a string, is none before its end.
    """
    found: dict[Path, int] = {}
    counted: dict[Path, int] = {}
    table: Path = ()
    for number, statement in _statements(text):
        parsed = tomllib.loads(statement)
        if statement.lstrip().startswith("["):
            table = _table(parsed, counted)
            found.setdefault(table, number)
        else:
            for path in _paths(parsed):
                found.setdefault(table + path, number)
    return found


def line_of(path: Path, found: dict[Path, int]) -> int:
    """The line of a key, or of what holds it; 1 where nothing of it is written."""
    return next((found[path[:end]] for end in range(len(path), 0, -1) if path[:end] in found), 1)


def _statements(text: str) -> Iterator[tuple[int, str]]:
    begun, parts = 1, ""
    for number, line in enumerate(text.split("\n"), start=1):
        if not parts:
            begun = number
        parts += line + "\n"
        try:
            tomllib.loads(parts)
        except tomllib.TOMLDecodeError:
            continue
        if parts.strip() and not parts.lstrip().startswith("#"):
            yield begun, parts
        parts = ""


def _table(parsed: dict[str, Any], counted: dict[Path, int]) -> Path:
    path: Path = ()
    inside: Any = parsed
    while inside:
        ((key, inside),) = inside.items()
        path += (key,)
        if isinstance(inside, list):
            counted[path] = counted.get(path, -1) + 1
            inside = inside[0]
        if path in counted:
            path += (counted[path],)
    return path


def _paths(parsed: dict[str, Any]) -> Iterator[Path]:
    for key, value in parsed.items():
        yield (key,)
        if isinstance(value, dict):
            yield from ((key, *rest) for rest in _paths(value))
