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
from retriever_node.config import CollectionConfig, DateStyle, NameStyle, RedactConfig
from retriever_node.documents import Passage
from retriever_node.patients import Identity, KnownIdentifiers
from retriever_node.sources import one_line
from retriever_node.store.forms import RedactedForm
from retriever_node.surrogates import Surrogates

_KINDS: Final = ("name", "date", "address", "contact", "identifier")
"""What `KnownIdentifiers` puts in place of what it takes out."""

_DIGIT: Final = re.compile(r"\d")
_LETTER: Final = re.compile(r"[^\W\d_]")
_MAXIMUM_NAME: Final = 500
_MAXIMUM_VERSION: Final = 100


@dataclass(frozen=True, slots=True)
class Redaction:
    """A detector, and around it the removal of what is known to name the patients. `names`, `dates`: what stands in
    place of what the detector finds."""

    detector: Detector
    names: NameStyle = "tag"
    dates: DateStyle = "tag"

    @property
    def version(self) -> str:
        """Equal where the same passage gets the same form: another rule or setting is another version."""
        chosen = "".join(f"-{one}" for one in (self.names, self.dates) if one != "tag")
        return f"{self.detector.name}-{self.detector.version}-{_own_version()}{chosen}"

    def form(
        self, passage: Passage, known: Sequence[str], key: bytes, patients: Sequence[str] = ()
    ) -> RedactedForm | None:
        """None where a known identifier is left. Ids and file names are whatever somebody called a file, often after a
        person: the id becomes a keyed digest, the name of a file is shown nowhere. `patients`: whom it is about."""
        digest = hmac.new(key, f"{passage.collection}\n{passage.document_id}".encode(), hashlib.sha256).hexdigest()[:32]
        surrogates = Surrogates(
            names=self.names,
            dates=self.dates,
            key=key,
            document=digest,
            patient=patients[0] if len(patients) == 1 else "",
            never=frozenset(day for one in known if (day := _day(one))),
        )
        name, title = _names(passage)
        name, title, section, version, text = (
            self._replaced(self._removed(known, words), surrogates)
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
        marks = _marks(self.detector.categories).findall(form.text)
        return Counter(mark[1:-1].partition("-")[0] for mark in marks)

    def _replaced(self, text: str, surrogates: Surrogates) -> str:
        parts, end = [], 0
        for (start, stop), category in self.detector.find(text):
            parts += [text[end:start], surrogates.of(category, text, start, stop)]
            end = stop
        return "".join([*parts, text[end:]])

    def _removed(self, known: Sequence[str], text: str) -> str:
        """Without what is known, but for what stands there as a mark already: somebody may be called Date."""
        if not known:
            return text
        parts = _marks(self.detector.categories).split(text)
        people = _known(tuple(known))
        return "".join(part if number % 2 else people.removed(part) for number, part in enumerate(parts))


def redaction_of(collection: CollectionConfig) -> Redaction | None:
    """None for a collection that is released as it is."""
    chosen = collection.redact
    if not collection.redacts:
        return None
    if isinstance(chosen, RedactConfig):
        return Redaction(pattern_detector(), chosen.names, chosen.dates)
    return Redaction(pattern_detector())


def _names(passage: Passage) -> tuple[str, str]:
    """Name and title as far as they are not those of the file: readers take its name where a document has none."""
    file = PurePosixPath(passage.document_id)
    title = "" if passage.title in (one_line(file.name), one_line(file.stem)) else passage.title
    return (title if passage.document_name == one_line(file.name) else passage.document_name), title


@cache
def _own_version() -> str:
    here = files(__package__)
    return version_of([here / name for name in ("redaction.py", "patients.py", "surrogates.py")])


@cache
def _marks(categories: frozenset[str]) -> re.Pattern[str]:
    return re.compile(rf"(\[(?:{'|'.join(sorted({*categories, *_KINDS}))})(?:-[A-Z]{{3}})?\])")


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
