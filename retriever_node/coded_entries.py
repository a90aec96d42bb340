"""Coded entries of a C-CDA section: what they name that its narrative does not say in these words."""

import re
from collections.abc import Iterator
from typing import Final
from xml.etree.ElementTree import Element

from retriever_node.clinical_document import NAMESPACES

_WORD: Final = re.compile(r"[^\W_]+")
_STATEMENTS: Final = (
    "v3:act/v3:entryRelationship[@typeCode='SUBJ']/v3:observation",
    "v3:observation",
    "v3:substanceAdministration",
    "v3:procedure",
)
"""Not what an organizer holds: a value without its test says nothing, and a relative's disease is not the patient's."""

_NAMES: Final = (
    "v3:value",
    "v3:consumable/v3:manufacturedProduct/v3:manufacturedMaterial/v3:code",
    "v3:participant/v3:participantRole/v3:playingEntity/v3:code",
)
_OF_ITSELF: Final = frozenset({"{urn:hl7-org:v3}procedure"})
"""Statements that are named by their own code; an observation's code says what kind of statement it is."""


def unsaid(section: Element, narrative: str) -> tuple[str, ...]:
    """Names of problems, medicines, allergens and procedures, each once, in order, of which the narrative lacks a word.
    What is stated not to be so (`negationInd`) is left out: a name by itself cannot say so."""
    said = {word.casefold() for word in _WORD.findall(narrative)}
    names = dict.fromkeys(name for entry in section.iterfind("v3:entry", NAMESPACES) for name in _names(entry))
    return tuple(name for name in names if not {word.casefold() for word in _WORD.findall(name)} <= said)


def _denied(statement: Element) -> bool:
    return statement.get("negationInd") in ("true", "1")


def _names(entry: Element) -> Iterator[str]:
    for path in _STATEMENTS:
        for statement in entry.iterfind(path, NAMESPACES):
            if any(_denied(one) for one in (statement, *entry.iterfind("v3:act", NAMESPACES))):
                continue
            own = [statement.find("v3:code", NAMESPACES)] if statement.tag in _OF_ITSELF else []
            for code in (*own, *(found for place in _NAMES for found in statement.iterfind(place, NAMESPACES))):
                name = " ".join((code.get("displayName") or "").split()) if code is not None else ""
                if name:
                    yield name
