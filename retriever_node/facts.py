"""Facts: what stands coded in a record about its patient. They are counted, never shown; `docs/population-counts.md`
states how a question's concept finds them."""

import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from fedrag.core.populations import OLDEST, AgeBand, Concept, ConceptKind, Sex

SEX: Final = "sex"
BORN: Final = "born"
"""Kinds of a fact besides those of ConceptKind; a year of birth is a code of four digits."""

_MAXIMUM: Final = 300
_SYSTEMS: Final = {
    "http://snomed.info/sct": "snomed",
    "2.16.840.1.113883.6.96": "snomed",
    "http://www.nlm.nih.gov/research/umls/rxnorm": "rxnorm",
    "2.16.840.1.113883.6.88": "rxnorm",
    "http://loinc.org": "loinc",
    "2.16.840.1.113883.6.1": "loinc",
    "http://hl7.org/fhir/sid/icd-10-cm": "icd10cm",
    "2.16.840.1.113883.6.90": "icd10cm",
    "http://hl7.org/fhir/sid/icd-9-cm": "icd9cm",
    "2.16.840.1.113883.6.103": "icd9cm",
    "http://hl7.org/fhir/sid/cvx": "cvx",
    "2.16.840.1.113883.12.292": "cvx",
    "http://www.ama-assn.org/go/cpt": "cpt",
    "2.16.840.1.113883.6.12": "cpt",
}
"""Addresses and object identifiers of code systems → the short names of `Concept.system`."""

_SEXES: Final = {"f": Sex.FEMALE, "female": Sex.FEMALE, "m": Sex.MALE, "male": Sex.MALE}
_WORD: Final = re.compile(r"[^\W_]+")
_TAG: Final = re.compile(r"\s*\((?:disorder|finding|procedure|situation|substance|product|event|regime/therapy)\)\s*$")
"""The semantic tag at the end of a SNOMED CT name."""


@dataclass(frozen=True, slots=True)
class Fact:
    """`system` by its short name where it has one; a label by itself has neither system nor code."""

    kind: str
    system: str = ""
    code: str = ""
    label: str = ""

    @classmethod
    def coded(cls, kind: str, system: str, code: str, label: str) -> "Fact":
        name = system.strip().removeprefix("urn:oid:")
        known = _SYSTEMS.get(name.casefold(), name)
        return cls(kind, known[:_MAXIMUM], code.strip()[:_MAXIMUM], " ".join(label.split())[:_MAXIMUM])


def of_person(sex: str, born: str) -> tuple[Fact, ...]:
    """Of an administrative sex or gender as written, and a birth date that begins with its year."""
    known = _SEXES.get(sex.strip().casefold(), Sex.OTHER if sex.strip() else None)
    year = born[:4]
    return (
        *((Fact(SEX, code=known.value),) if known else ()),
        *((Fact(BORN, code=year),) if len(year) == 4 and year.isascii() and year.isdecimal() else ()),
    )


def distinct(facts: Iterable[Fact]) -> tuple[Fact, ...]:
    """Each once, in order; without those that say nothing."""
    return tuple(sorted({one for one in facts if one.code or one.label}, key=_order))


def states(fact: Fact, concept: Concept) -> bool:
    """Whether the fact is of the concept.

    A code is equal, whatever its case, in the system that is named. A label is equal word by word, whatever case,
    accents and punctuation, without the tag at the end of a SNOMED CT name; of a medicine, every word of the label
    asked for is in the fact's, which also states dose and form.
    """
    if fact.kind != concept.kind and (concept.kind is not None or fact.kind not in _KINDS):
        return False
    if concept.code is not None:
        same = fact.code.casefold() == concept.code.casefold()
        return same and concept.system in (None, fact.system)
    asked, found = words(concept.label or ""), words(fact.label)
    if not asked or not found:
        return False
    return asked == found or (fact.kind == ConceptKind.MEDICATION and set(asked) <= set(found))


def in_band(fact: Fact, band: AgeBand, year: int) -> bool:
    """Whether who was born in that year reaches an age of this band in `year`; 90 stands for everyone older."""
    return fact.kind == BORN and band.at_least <= min(max(year - int(fact.code), 0), OLDEST) <= band.at_most


@lru_cache(maxsize=65_536)
def words(label: str) -> tuple[str, ...]:
    """Of a label, as labels are compared."""
    plain = unicodedata.normalize("NFKD", label.casefold())
    plain = "".join(one for one in plain if not unicodedata.combining(one))
    return tuple(_WORD.findall(_TAG.sub("", plain)))


_KINDS: Final = frozenset(ConceptKind)


def _order(fact: Fact) -> tuple[str, str, str, str]:
    return (fact.kind, fact.system, fact.code, fact.label)


def codings(kind: str, found: Iterable[tuple[str, str, str]], text: str = "") -> Iterator[Fact]:
    """Of (system, code, display) of one coded concept, and of its text where that says something else."""
    said: set[tuple[str, ...]] = set()
    for system, code, display in found:
        if code or display:
            said.add(words(display))
            yield Fact.coded(kind, system, code, display)
    if text and words(text) not in said:
        yield Fact.coded(kind, "", "", text)
