"""Who a record is about: stable keys that stay here, and the strings that must be in no text that leaves."""

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

from retriever_node.documents import Document
from retriever_node.facts import Fact, distinct
from retriever_node.outline import laid_out
from retriever_node.sources import SourceFile, document

_MINIMUM_NUMBER: Final = 4
"""Characters of a record number: a shorter one would be found in doses and ages."""

_TITLES: Final = frozenset("mr mrs ms miss dr prof jr sr ii iii iv".split())  # noqa: SIM905 - as one reads them
_MONTHS: Final = (
    "January February March April May June July August September October November December".split()  # noqa: SIM905
)
_LETTER: Final = r"[^\W\d_]"
_TWICE: Final = re.compile(r"\[name\](?:[\s,.]+(?:[^\W\d_]\.?\s+)?\[name\])+")


@dataclass(frozen=True, slots=True)
class Identity:
    """One person as a record names them. `key` is stable over files; names are whole or in parts, telecoms and numbers
    as written, dates are those of birth and death."""

    key: str
    names: tuple[str, ...] = ()
    dates: tuple[date, ...] = ()
    addresses: tuple[str, ...] = ()
    telecoms: tuple[str, ...] = ()
    numbers: tuple[str, ...] = ()


class KnownIdentifiers:
    """Takes the identifiers of these people out of a text and says of which kind each was: `[name]`, `[date]`,
    `[address]`, `[contact]`, `[identifier]`.

    Found are whole words, whatever their case, names also part by part, dates and numbers however they are written. Not
    found are misspelt or shortened names, and anything the record does not state in its structured part: that is the
    task of a redaction policy. `others` are people whose names may be in these records, a mother's in her child's: they
    are taken out too, but the records are not theirs.
    """

    def __init__(self, identities: Sequence[Identity], others: Sequence[Identity] = ()) -> None:
        self.patients = tuple(dict.fromkeys(one.key for one in identities if one.key))
        self.dates = frozenset(day for one in (*identities, *others) for day in one.dates)
        self.identifiers = tuple(dict.fromkeys(words for _, words in _stated(identities)))
        forms: dict[str, list[str]] = {}
        for kind, words in dict.fromkeys(_stated((*identities, *others))):
            forms.setdefault(kind, []).extend(_FORMS[kind](words))
        self._patterns = tuple(
            (re.compile(_either(forms[kind], _BESIDE[kind]), re.IGNORECASE), f"[{kind}]")
            for kind in _FORMS
            if any(forms.get(kind, ()))
        )

    def removed(self, text: str) -> str:
        text = unicodedata.normalize("NFC", text)
        for pattern, mark in self._patterns:
            text = pattern.sub(mark, text)
        return _TWICE.sub("[name]", text)


def patient_document(
    source: SourceFile,
    collection: str,
    known: KnownIdentifiers,
    *,
    document_id: str,
    title: str,
    effective_date: date | None,
    parts: Iterable[tuple[str, str]],
    version: str = "",
    encounter: str = "",
    facts: Iterable[Fact] = (),
) -> Document:
    """A document about people, from (heading, text): the only place where one is made, so that nothing goes round the
    removal. `document_id` is opaque (`SourceFile.opaque_id`); the file's name, which often is the person's, is shown
    nowhere."""
    title = known.removed(title)
    return document(
        source,
        collection,
        document_id=document_id,
        name=title,
        title=title,
        version=known.removed(version),
        effective_date=None if effective_date in known.dates else effective_date,
        sections=laid_out((known.removed(heading), known.removed(text)) for heading, text in parts),
        patients=known.patients,
        encounter=encounter,
        identifiers=known.identifiers,
        facts=distinct(facts) if len(known.patients) == 1 else (),
    )


def _stated(identities: Iterable[Identity]) -> Iterator[tuple[str, str]]:
    """(kind, string) of everything that is long enough to be looked for."""
    for one in identities:
        yield from (("name", name) for name in one.names if len(name.strip()) > 1)
        yield from (("date", day.isoformat()) for day in sorted(one.dates))
        yield from (("address", line) for line in one.addresses if len(line.strip()) > 1)
        yield from (("contact", telecom) for telecom in one.telecoms if len(telecom.strip()) > 1)
        numbers = (number.strip() for number in (*one.numbers, *_key(one)))
        yield from (("identifier", number) for number in numbers if len(number) >= _MINIMUM_NUMBER)


def _key(identity: Identity) -> tuple[str, ...]:
    """Unless it is a word, as in samples: that would be found in every sentence."""
    return (identity.key,) if re.search(r"\d", identity.key) else ()


def _either(forms: Iterable[str], beside: str) -> str:
    """A pattern for any of them, the longest first, where nothing of class `beside` touches it."""
    longest = sorted(dict.fromkeys(form for form in forms if form), key=lambda form: (-len(form), form))
    return f"(?<!{beside})(?:{'|'.join(longest)})(?!{beside})" if longest else ""


def _phrases(words: str) -> Iterator[str]:
    yield _phrase(words)


def _phrase(words: str) -> str:
    words = unicodedata.normalize("NFC", words)
    return r"[\s,]+".join(re.escape(word) for word in re.split(r"[\s,]+", words.strip()) if word)


def _name_parts(name: str) -> Iterator[str]:
    """The whole name, and each part of it by itself unless it is an initial, a title or a small word as in `de la`;
    also without accents."""
    name = unicodedata.normalize("NFC", name)
    plain = "".join(one for one in unicodedata.normalize("NFKD", name) if not unicodedata.combining(one))
    if plain != name:
        yield from _name_parts(plain)
    yield _phrase(name)
    parts = [part for part in re.split(r"[\s,.\-]+", name) if part]
    for part in parts:
        small = len(parts) > 1 and part.islower() and len(part) <= 3
        if len(part) > 1 and not small and part.lower() not in _TITLES:
            yield re.escape(part)


def _numbers(written: str) -> Iterator[str]:
    """A number of six digits or more is the same however its digits are set apart, and with or without the country."""
    written = re.sub(r"^(?:tel|fax|mailto|sms):", "", written.strip(), flags=re.IGNORECASE)
    digits = re.sub(r"\D", "", written)
    if len(digits) < 6 or re.search(r"[^\d\s().+/\-]", written):
        yield _phrase(written)
        return
    if len(digits) == 11 and digits.startswith("1"):
        digits = digits[1:]
    yield r"(?:\+?1[\s.\-]?)?\(?" + r"[\s().\-/]{0,3}".join(digits)


def _date_forms(iso: str) -> Iterator[str]:
    """ISO, with figures in both orders, with the month's name."""
    day = date.fromisoformat(iso)
    month, number = f"0?{day.month}", f"0?{day.day}"
    year = f"(?:{day.year // 100})?{day.year % 100:02}"
    name = _MONTHS[day.month - 1]
    word = f"{name[:3]}(?:{name[3:]}|\\.)?" if name[3:] else name
    yield f"{day:%Y}[-/.]?{day:%m}[-/.]?{day:%d}"
    for first, second in ((month, number), (number, month)):
        yield f"{first}[-/.]{second}[-/.]{year}"
    yield rf"{word}\s+{number}(?:st|nd|rd|th)?,?\s+{day.year}"
    yield rf"{number}(?:st|nd|rd|th|\.)?\s+{word},?\s+{day.year}"


_FORMS: Final[Mapping[str, Callable[[str], Iterator[str]]]] = {
    "address": _phrases,
    "date": _date_forms,
    "contact": _numbers,
    "identifier": _numbers,
    "name": _name_parts,
}
"""Kind of identifier → the patterns by which one is found, in the order in which they are looked for."""

_BESIDE: Final = {"address": r"\w", "date": r"[^\W_]", "contact": r"[^\W_]", "identifier": r"[^\W_]", "name": _LETTER}
"""What must not touch it: a name may stand beside a figure, a number may not."""
