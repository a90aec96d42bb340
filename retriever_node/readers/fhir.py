"""FHIR R4, bundles and NDJSON: one document per encounter, its resources as lines by kind, oldest first."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from fedrag.core.config import Config
from fedrag.core.errors import InputError
from retriever_node.documents import Document, Unreadable
from retriever_node.facts import Fact
from retriever_node.fhir.attachments import notes_of
from retriever_node.fhir.bundles import Index, resources_of, tail
from retriever_node.fhir.datatypes import Resource, as_date, coded_only, concept, day, first_day, part, string
from retriever_node.fhir.facts import facts_of, facts_of_person
from retriever_node.fhir.identity import identity
from retriever_node.fhir.resources import HEADINGS, KINDS, Record, encounter_class, heading, said
from retriever_node.patients import KnownIdentifiers, patient_document
from retriever_node.sources import Reader, SourceFile

_SHARED: Final = re.compile(r"(?:^|[^a-z])(?:patient|relatedperson|encounter|medication)s?(?:[^a-z]|$)")
_WITH_NOTES: Final = ("DocumentReference", "DiagnosticReport", "Composition")
_WITHDRAWN: Final = frozenset({"entered-in-error", "superseded"})
_FAMILY: Final = 20
"""Patients in one file up to which each one's names are taken out of the documents of all."""

_PROBLEMS: Final = {
    "no_patient": "resources that name no patient",
    "unknown_patient": "resources read without their free text: their Patient resource is not here",
    "external_attachment": "notes that are kept elsewhere",
    "unsupported_attachment": "notes of a type that is not read",
    "bad_attachment": "notes that are not what they say",
}

Lines = dict[str, list[tuple[str, str]]]
"""Heading → (date, line)."""


class Settings(Config):
    """None."""


class Fhir:
    """What a bundle or an NDJSON file says about each patient, encounter by encounter; what belongs to no encounter is
    a document of its own.

    A bulk export has a file per type of resource: the patients and encounters of the other NDJSON files in the folder
    are known to each. Of a patient whose Patient resource is in none of them only codes, numbers and dates are read:
    free text may name someone whose name is not known.
    """

    def __init__(self) -> None:
        self._shared: dict[Path, tuple[Resource, ...]] = {}

    def read(self, source: SourceFile, collection: str) -> Iterator[Document | Unreadable]:
        try:
            resources, problems = resources_of(source)
        except InputError as error:
            yield source.unreadable(error.code, error.message)
            return
        yield from problems
        if not resources:
            return
        found = _Reading(Index([*self._beside(source), *resources]))
        for resource in resources:
            found.add(resource)
        yield from found.unreadable(source)
        documents = list(found.documents(source, collection))
        if not documents and not found.problems:
            yield source.unreadable("empty", "nothing about a patient")
        yield from documents

    def beside(self, source: SourceFile) -> tuple[Path, ...]:
        if ".ndjson" not in source.path.name.lower():
            return ()
        paths = sorted(source.path.parent.glob("*.ndjson*"))
        shared = (path for path in paths if _SHARED.search(path.name.lower().partition(".ndjson")[0]))
        return tuple(path for path in shared if path.is_file() and not path.is_symlink())

    def _beside(self, source: SourceFile) -> tuple[Resource, ...]:
        if ".ndjson" not in source.path.name.lower():
            return ()
        folder = source.path.parent
        if folder not in self._shared:
            found: list[Resource] = []
            for path in self.beside(source):
                try:
                    found.extend(resources_of(SourceFile(path.name, path))[0])
                except InputError:  # reported when its own turn comes
                    continue
            self._shared[folder] = tuple(found)
        return self._shared[folder]


def build(settings: Settings) -> Reader:  # noqa: ARG001 - every plug-in is built from its settings
    return Fhir()


@dataclass(slots=True)
class _Person:
    known: KnownIdentifiers
    record: Record
    free_text: bool
    itself: tuple[Fact, ...]
    facts: dict[str, list[Fact]] = field(default_factory=dict)
    lines: dict[str, Lines] = field(default_factory=dict)
    notes: dict[str, list[tuple[str, str]]] = field(default_factory=dict)


class _Reading:
    """Lines and notes by patient and encounter; problems are counted, not listed one by one."""

    def __init__(self, index: Index) -> None:
        self.problems: Counter[str] = Counter()
        self._index = index
        self._people: dict[str, _Person] = {}
        patients = index.patients if len(index.patients) <= _FAMILY else ()
        self._others = tuple(identity(one) for one in patients)

    def add(self, resource: Resource) -> None:
        kind = string(resource.get("resourceType"))
        if kind not in KINDS and kind not in _WITH_NOTES:
            return
        person = self._person(part(resource, "subject") or part(resource, "patient"))
        if person is None:
            self.problems["no_patient"] += 1
            return
        encounter = self._encounter(resource)
        if not person.free_text:
            resource, before = part(coded_only(resource)), resource
            self.problems["unknown_patient"] += resource != before
        if kind in KINDS and (line := said(resource, person.record)):
            lines = person.lines.setdefault(encounter, {})
            lines.setdefault(heading(resource), []).append((first_day(resource, KINDS[kind].dates), line))
            person.facts.setdefault(encounter, []).extend(facts_of(resource, person.record))
        if _WITHDRAWN.isdisjoint((string(resource.get("status")), string(resource.get("docStatus")))):
            self._add_notes(resource, person, encounter)

    def _add_notes(self, resource: Resource, person: _Person, encounter: str) -> None:
        for title, opened in notes_of(resource, self._index):
            try:
                text = opened()
            except InputError as error:
                self.problems[error.code] += 1
                continue
            if text:
                person.notes.setdefault(encounter, []).append((title, text))

    def unreadable(self, source: SourceFile) -> Iterator[Unreadable]:
        for code, count in sorted((+self.problems).items()):
            yield source.unreadable(code, f"{count} {_PROBLEMS.get(code, 'notes that cannot be read')}")

    def documents(self, source: SourceFile, collection: str) -> Iterator[Document]:
        for patient, person in self._people.items():
            keys = dict.fromkeys((*person.lines, *person.notes))
            starts = {key: self._start(key, person.lines.get(key, {})) if key else "" for key in keys}
            for key in sorted(keys, key=lambda key: (not key, starts[key], key)):  # what is outside encounters is last
                lines, notes = person.lines.get(key, {}), person.notes.get(key, [])
                headings = sorted(lines, key=HEADINGS.index)
                visit = person.record.index(f"Encounter/{key}")
                yield patient_document(
                    source,
                    collection,
                    person.known,
                    document_id=source.opaque_id("fhir", source.name, patient, key),
                    title=_visit_title(visit, starts[key]) if key else _record_title(headings, notes),
                    effective_date=as_date(starts[key]),
                    parts=[*((name, _listed(lines[name])) for name in headings), *notes],
                    encounter=key,
                    facts=(*person.itself, *person.facts.get(key, ())),
                )

    def _start(self, encounter: str, lines: Lines) -> str:
        said_days = (when for group in lines.values() for when, _ in group if when)
        return day(self._index(f"Encounter/{encounter}").get("period")) or min(said_days, default="")

    def _encounter(self, resource: Resource) -> str:
        """The id of the visit a resource belongs to, empty outside visits."""
        if resource.get("resourceType") == "Encounter":
            return string(resource.get("id"))
        context = part(resource, "context")
        reference = part(resource, "encounter") or part(context, "encounter") or context
        target = string(reference.get("reference"))
        found = self._index(target)
        if found and found.get("resourceType") != "Encounter":  # a context may also be an episode of care
            return ""
        return string(found.get("id")) or _own(target)

    def _person(self, reference: Resource) -> _Person | None:
        target = string(reference.get("reference"))
        patient = self._index(target)
        kind = string(patient.get("resourceType")) or tail(target).rpartition("/")[0] or "Patient"
        if kind != "Patient":  # a group, a device, a place
            return None
        key = string(patient.get("id")) or _own(target)
        if not key:
            return None
        if key not in self._people:
            who = identity(patient, self._index.relatives.get(key, ()), key)
            display = tuple(filter(None, [string(reference.get("display"))]))
            known = KnownIdentifiers([replace(who, names=(*who.names, *display))], self._others)
            index = self._index if patient else lambda target: part(coded_only(self._index(target)))
            itself = facts_of_person(patient)
            self._people[key] = _Person(known, Record(index), free_text=bool(patient), itself=itself)
        return self._people[key]


def _visit_title(visit: Resource, start: str) -> str:
    when = f"Encounter {start}".rstrip()
    what = concept(visit.get("type")) or encounter_class(visit)
    return f"{when}: {what}" if what else when


def _record_title(headings: Sequence[str], notes: Sequence[tuple[str, str]]) -> str:
    return f"Health record: {', '.join((*headings, *(('Notes',) if notes else ())))}"


def _own(reference: str) -> str:
    """The id at the end of a reference."""
    return tail(reference).rpartition("/")[2].removeprefix("urn:uuid:")


def _listed(lines: list[tuple[str, str]]) -> str:
    """Oldest first, what has no date last; what is said twice is said once."""
    ordered = sorted(lines, key=lambda line: (not line[0], line[0]))
    return "\n".join(dict.fromkeys(f"- {when} {words}" if when else f"- {words}" for when, words in ordered))
