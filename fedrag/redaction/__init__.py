"""Taking identifiers out of text."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from fedrag.core.protocols import Redactor
from fedrag.redaction.patterns import RECOGNISERS, PatternRedactor

__all__ = ["Detector", "PatternRedactor", "pattern_detector", "version_of"]


@dataclass(frozen=True, slots=True)
class Detector:
    """A redactor, and which one it is: the same name and version redact the same text alike. `categories`: those it
    puts in place of what it finds, `[CATEGORY]`."""

    name: str
    version: str
    categories: frozenset[str]
    redactor: Redactor


@cache
def pattern_detector() -> Detector:
    """The patterns of this package. Any change of one of its files is another version."""
    rules = [one for one in files(__name__).iterdir() if one.name.endswith(".py")]
    categories = frozenset(one.category for one in RECOGNISERS)
    return Detector("patterns", version_of(rules), categories, PatternRedactor())


def version_of(sources: Iterable[Path | Traversable]) -> str:
    """A digest of these files' names and bytes. What is made by rules is made anew when it changes, which nobody can
    forget; that a comment changes it too costs some computing."""
    digest = hashlib.sha256()
    for source in sorted(sources, key=lambda one: one.name):
        content = source.read_bytes()
        digest.update(f"{source.name}\n{len(content)}\n".encode() + content)
    return digest.hexdigest()[:16]
