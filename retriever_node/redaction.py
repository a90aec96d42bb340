"""What is done to a passage before it may leave a collection that redacts.

known identifiers of the very patients → detector → known identifiers, looked for again
"""

import hashlib
import hmac
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from functools import cache, lru_cache
from importlib.resources import files
from pathlib import PurePosixPath
from typing import Final

from fedrag.redaction import Detector, pattern_detector, version_of
from retriever_node.config import CollectionConfig
from retriever_node.documents import Passage
from retriever_node.patients import Identity, KnownIdentifiers
from retriever_node.sources import one_line
from retriever_node.store import RedactedForm

_KINDS: Final = ("name", "date", "address", "contact", "identifier")
"""What `KnownIdentifiers` puts in place of what it takes out."""

_DIGIT: Final = re.compile(r"\d")
_LETTER: Final = re.compile(r"[^\W\d_]")
_MAXIMUM_NAME: Final = 500
_MAXIMUM_VERSION: Final = 100


@dataclass(frozen=True, slots=True)
class Redaction:
    """A detector, and around it the removal of what is known to name the patients."""

    detector: Detector

    @property
    def version(self) -> str:
        """Equal where the same passage gets the same form: another rule is another version."""
        return f"{self.detector.name}-{self.detector.version}-{_own_version()}"

    def form(self, passage: Passage, known: Sequence[str], key: bytes) -> RedactedForm | None:
        """None where a known identifier is left. Ids and file names are whatever somebody called a file, often after a
        person: the id becomes a keyed digest, the name of a file is shown nowhere."""
        digest = hmac.new(key, f"{passage.collection}\n{passage.document_id}".encode(), hashlib.sha256).hexdigest()[:32]
        name, title = _names(passage)
        name, title, section, version, text = (
            self.detector.redactor.redact(self._removed(known, words))[0]
            for words in (name or f"document {digest[:8]}", title, passage.section, passage.version, passage.text)
        )
        form = RedactedForm(
            redaction=self.version,
            document_id=digest,
            document_name=name[:_MAXIMUM_NAME],
            title=title[:_MAXIMUM_NAME],
            section=section[:_MAXIMUM_NAME],
            version=version[:_MAXIMUM_VERSION],
            text=text,
        )
        return None if self.leaves(form, known) else form

    def leaves(self, form: RedactedForm, known: Sequence[str]) -> bool:
        """Whether anything known to name the patients is in a form."""
        words = (form.document_name, form.title, form.section, form.version, form.text)
        return any(self._removed(known, one) != one for one in words)

    def counted(self, form: RedactedForm) -> Counter[str]:
        """How often each category is marked in the text."""
        return Counter(mark[1:-1] for mark in _marks(self.detector.categories).findall(form.text))

    def _removed(self, known: Sequence[str], text: str) -> str:
        """Without what is known, but for what stands there as a mark already: somebody may be called Date."""
        if not known:
            return text
        parts = _marks(self.detector.categories).split(text)
        people = _known(tuple(known))
        return "".join(part if number % 2 else people.removed(part) for number, part in enumerate(parts))


def redaction_of(collection: CollectionConfig) -> Redaction | None:
    """None for a collection that is released as it is."""
    return Redaction(pattern_detector()) if collection.redacts else None


def _names(passage: Passage) -> tuple[str, str]:
    """Name and title as far as they are not those of the file: readers take its name where a document has none."""
    file = PurePosixPath(passage.document_id)
    title = "" if passage.title in (one_line(file.name), one_line(file.stem)) else passage.title
    return (title if passage.document_name == one_line(file.name) else passage.document_name), title


@cache
def _own_version() -> str:
    here = files(__package__)
    return version_of([here / "redaction.py", here / "patients.py"])


@cache
def _marks(categories: frozenset[str]) -> re.Pattern[str]:
    return re.compile(rf"(\[(?:{'|'.join(sorted({*categories, *_KINDS}))})\])")


@lru_cache(maxsize=1024)
def _known(strings: tuple[str, ...]) -> KnownIdentifiers:
    """The kinds are not kept beside the strings, but show in them: a person's name is stated in both orders, and is
    then looked for part by part as well. What is stated once may be a town: it is looked for whole."""
    names: list[str] = []
    dates: list[date] = []
    addresses: list[str] = []
    telecoms: list[str] = []
    numbers: list[str] = []
    in_both_orders = _in_both_orders(strings)
    for one in strings:
        if one in in_both_orders:
            names.append(one)
        elif (day := _day(one)) is not None:
            dates.append(day)
        elif "@" in one or ":" in one:
            telecoms.append(one)
        elif _DIGIT.search(one) and not (" " in one and _LETTER.search(one)):
            numbers.append(one)
        else:
            addresses.append(one)
    return KnownIdentifiers(
        [Identity("", tuple(names), tuple(dates), tuple(addresses), tuple(telecoms), tuple(numbers))]
    )


def _day(one: str) -> date | None:
    try:
        return date.fromisoformat(one) if one.count("-") == 2 else None
    except ValueError:
        return None


def _in_both_orders(strings: Sequence[str]) -> set[str]:
    """ "Lund, Ada" and "Ada Lund"."""
    turned = {one: " ".join(one.split(", ", 1)[::-1]) for one in strings if ", " in one}
    return {one for name, other in turned.items() if other in strings for one in (name, other)}
