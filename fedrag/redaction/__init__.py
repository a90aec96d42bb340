"""Taking identifiers out of text."""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from fedrag.redaction.context import A_BIRTH_LABEL
from fedrag.redaction.patterns import RECOGNISERS, PatternRedactor, identifiers

__all__ = ["Detector", "PatternRedactor", "pattern_detector", "stands_after_birth", "version_of"]

Found = tuple[tuple[int, int], str]
"""Start and end of an identifier, and its category."""


@dataclass(frozen=True, slots=True)
class Detector:
    """What finds identifiers, in order and none overlapping, and which one it is: the same name and version find the
    same in a text. `categories`: all that there are."""

    name: str
    version: str
    categories: frozenset[str]
    find: Callable[[str], Sequence[Found]]


@cache
def pattern_detector() -> Detector:
    """The patterns and the name model of this package. Any change of one of its files is another version."""
    rules = [one for one in files(__name__).iterdir() if one.name.endswith((".py", ".npz"))]
    categories = frozenset(one.category for one in RECOGNISERS)
    return Detector("patterns", version_of(rules), categories, identifiers)


def stands_after_birth(text: str, start: int) -> bool:
    """Whether what begins at `start` is said to be a day of birth."""
    return A_BIRTH_LABEL.holds(text, start)


def version_of(sources: Iterable[Path | Traversable]) -> str:
    """A digest of these files' names and bytes. What is made by rules is made anew when it changes, which nobody can
    forget; that a comment changes it too costs some computing."""
    digest = hashlib.sha256()
    for source in sorted(sources, key=lambda one: one.name):
        content = source.read_bytes()
        digest.update(f"{source.name}\n{len(content)}\n".encode() + content)
    return digest.hexdigest()[:16]
