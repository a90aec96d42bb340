"""De-identification: how much of what names a person goes, what of the clinic stays, what is left of known patients.

Marked texts of four data sets, each with its own idea of what is marked; a score of one says little of another. The
detector is the one that redacts questions and passages. Its rules were written, and its name model fitted, on the half
that is seen.
"""

import gzip
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from fedrag.core.config import Config
from fedrag.evaluation.baselines import stock_detectors
from fedrag.evaluation.baselines.identifier_patterns import CAPITALS, DATES_AND_NUMBERS, finder
from fedrag.evaluation.identifiers import (
    COLUMNS,
    Finder,
    Marked,
    MarkedText,
    Removal,
    Span,
    Terms,
    kinds_table,
    removal,
    share,
    terms_kept,
)
from fedrag.evaluation.known_identifiers import Leaks, leaks_of_files, leaks_of_synthetic_patients
from fedrag.evaluation.report import NOT_RUN, Cell, Findings, Table
from fedrag.evaluation.run import Half, Run, half_of, records
from fedrag.redaction import pattern_detector

NOT_INSTALLED: Final = "not installed"
OURS: Final = "fedrag"
_NO_IDENTIFIERS: Final = frozenset(
    {
        *("ORGANIZATION", "NRP", "TITLE", "AGE", "GPE"),
        *("SEXO_SUJETO_ASISTENCIA", "PAIS", "EDAD_SUJETO_ASISTENCIA", "PROFESION"),
    }
)
"""Kinds that HIPAA's Safe Harbor does not name, or not as they are marked: sex, country, profession, organisation,
nationality, title, ages under 90 (those of 90 and more count). GPE is countries and towns under one name."""
_PATIENTS: Final = "patients_dev.jsonl.gz"
_TEXT_LIMIT: Final = 1_500
"""Characters of a clinical document in which terms are looked for."""

Published = tuple[str, float, float]
PUBLISHED: Final[Mapping[str, tuple[Published, ...]]] = {
    "asq_phi": (
        ("published, all 1,051: a commercial service, threshold 0.0", 0.986, 0.100),
        ("published, all 1,051: a commercial service, threshold 0.8", 0.881, 0.132),
        ("published, all 1,051: GPT-4o, which wrote the queries", 1.000, 0.032),
        ("published, all 1,051: Presidio 2.2.360 with a language model", 0.779, 0.078),
    )
}


class Settings(Config):
    pass


@dataclass(frozen=True, slots=True)
class Phi:
    def inputs(self, run: Run) -> tuple[Path, ...]:
        needed = [
            run.package(package) / file
            for package, file in (
                ("asq_phi", "queries_dev.jsonl"),
                ("presidio_synth", "sentences_dev.jsonl"),
                ("meddocan", "documents_dev.jsonl.gz"),
                ("clinical_notes", "encounters_dev.jsonl"),
                ("medquad_liveqa", "corpus.jsonl.gz"),
                ("pubmedqa", "corpus_dev.jsonl"),
            )
        ]
        assumed = Path(run.data or "")
        known = [path for path in (assumed / "synthea_fhir", assumed / "health_formats") if path.is_dir()]
        return (*needed, *known)

    def evaluate(self, run: Run) -> Findings:
        asq, presidio, meddocan, notes, medquad, pubmedqa, *known = self.inputs(run)
        sets = {
            "asq_phi": list(_chosen(_asq(asq), run)),
            "presidio_synth": list(_chosen(_presidio(presidio), run)),
            "clinical_notes": list(_chosen(_notes(notes), run)),
            "meddocan": list(_chosen(_meddocan(meddocan), run)),
        }
        tables: list[Table] = []
        with TemporaryDirectory() as scratch:
            found = {name: _removals(texts, run, Path(scratch), name) for name, texts in sets.items()}
            tables += [_set_table(name, made) for name, made in found.items()]
            tables += [_terms_table(sets, medquad, pubmedqa, run), _known_table(known, Path(scratch))]
        tables += [
            kinds_table(
                f"{name}: removed, per kind", {system: one for system, one in made.items() if one}, _NO_IDENTIFIERS, ""
            )
            for name, made in found.items()
        ]
        return Findings(tuple(tables), notes=_NOTES)


_NOTES: Final = (
    """An identifier is removed when none of its letters and digits is left; texts without a leak are those in which \
that holds for all. Kinds that are no identifiers under HIPAA's Safe Harbor are in the tables per kind alone.""",
    """asq_phi: one language model wrote all queries. presidio_synth: general sentences from templates, with addresses \
of many countries. meddocan is Spanish, and the patterns are English: what happens is printed, not promised. \
clinical_notes: names of the metadata alone are marked; dialogues are spoken words, often in lower case.""",
    """Philter lite removes whatever it does not know; its tagger is replaced by one that calls every word a noun.""",
)


def _removals(texts: Sequence[MarkedText], run: Run, scratch: Path, name: str) -> dict[str, Removal | None]:
    """By detector; None for one that is not installed."""
    finders: dict[str, Finder | None] = {
        "nothing removed": lambda _: (),
        "10 expressions for dates and numbers": finder(*DATES_AND_NUMBERS),
        "16 expressions": finder(*DATES_AND_NUMBERS, *CAPITALS),
        "Presidio, blank pipeline": stock_detectors.presidio(scratch) if name != "meddocan" else None,
        "Philter lite": stock_detectors.philter() if name != "meddocan" else None,
        OURS: ours,
    }
    return {
        system: removal(run.tracked(texts, f"{name}, {system}"), find) if find else None
        for system, find in finders.items()
    }


def ours(text: str) -> list[Span]:
    return [span for span, _ in pattern_detector().find(text)]


def _set_table(name: str, found: Mapping[str, Removal | None]) -> Table:
    rows: list[tuple[Cell, ...]] = [
        one.row(system) if one else (system, *(NOT_INSTALLED,) * (len(COLUMNS) - 1)) for system, one in found.items()
    ]
    rows += [(what, recall, "", "", untouched, "") for what, recall, untouched in PUBLISHED.get(name, ())]
    return Table(f"{name}: what is removed", COLUMNS, tuple(rows))


def _terms_table(sets: Mapping[str, Sequence[MarkedText]], medquad: Path, pubmedqa: Path, run: Run) -> Table:
    foci, headings = _gzipped(medquad), records(pubmedqa)
    terms = Terms([*(str(one["focus"]) for one in foci), *(term for one in headings for term in one["mesh"])])
    by_focus = {str(one["focus"]): one for one in foci if one["answer"]}
    documents = {
        "medquad_liveqa, one document per condition": _documents(by_focus.values(), "doc_id", ("question", "answer")),
        "pubmedqa, abstracts": _documents(headings, "doc_id", ("text",)),
    }
    rows: list[tuple[Cell, ...]] = []
    everything = {**{name: list(_chosen(one, run)) for name, one in documents.items()}, **sets}
    for name, texts in everything.items():
        if name == "meddocan":
            continue
        made = {system: terms_kept(run.tracked(texts, f"terms, {name}"), terms, find) for system, find in _TERM_FINDERS}
        rows.append((name, next(iter(made.values())).terms, *(share(one.kept, one.terms) for one in made.values())))
    return Table(
        "Clinical terms kept",
        ("texts", "occurrences outside identifiers", *(system for system, _ in _TERM_FINDERS)),
        tuple(rows),
        note="Terms: conditions MedQuAD is about and MeSH headings of PubMedQA, wherever they stand as whole words.",
    )


_TERM_FINDERS: Final[tuple[tuple[str, Finder], ...]] = (
    (OURS, ours),
    ("16 expressions", finder(*DATES_AND_NUMBERS, *CAPITALS)),
)


def _known_table(known: Sequence[Path], scratch: Path) -> Table:
    """Every text that could leave, searched for everything that the structured part says of its patient."""
    there = {path.name: path for path in known}
    health, synthea = there.get("health_formats"), there.get("synthea_fhir")
    rows: list[tuple[Cell, ...]] = []
    for style, surrogates in (("tags", False), ("numbered names, shifted dates", True)):
        found: dict[str, Leaks | None] = {
            "FHIR bundles": leaks_of_files(health / "fhir_r4", scratch, surrogates=surrogates) if health else None,
            "C-CDA documents": leaks_of_files(health / "ccda", scratch, surrogates=surrogates) if health else None,
            "bundles with a note that spells out every identifier": (
                leaks_of_synthetic_patients(synthea / _PATIENTS, scratch, surrogates=surrogates) if synthea else None
            ),
        }
        for what, one in found.items():
            counted: tuple[Cell, ...] = (
                (one.patients, one.identifiers, one.forms, one.withheld, one.before, one.leaks)
                if one
                else (NOT_RUN,) * 6
            )
            rows.append((f"{what}, {style}", *counted))
    return Table(
        "Identifiers known from structure",
        ("records", "patients", "identifiers", "forms", "withheld", "found in the files", "found in what could leave"),
        tuple(rows),
        note="Ingested as a hospital does, then every text of every redacted form is searched for every identifier of "
        "every patient, numbers and dates however they are written. Found in the files: the search would see them.",
    )


def _chosen(texts: Iterator[MarkedText], run: Run) -> Iterator[MarkedText]:
    return (one for one in texts if run.half in (Half.ALL, half_of(one.group)))


def _asq(path: Path) -> Iterator[MarkedText]:
    for one in records(path):
        yield MarkedText(one["id"], one["id"], one["text"], _marked(one["phi"]), look_alike=one["hard_negative"])


def _presidio(path: Path) -> Iterator[MarkedText]:
    for one in records(path):
        yield MarkedText(
            one["id"], str(one["template_id"]), one["text"], _marked(one["phi"]), look_alike=not one["phi"]
        )


def _meddocan(path: Path) -> Iterator[MarkedText]:
    for one in _gzipped(path):
        yield MarkedText(one["id"], one["id"], one["text"], _marked(one["phi"]))


def _notes(path: Path) -> Iterator[MarkedText]:
    for one in records(path):
        for part in ("note", "dialogue"):
            marked = tuple(
                Marked(f"{part}: {known['kind']}", start, end)
                for known in one["known_identifiers"]
                for start, end in known[f"in_{part}"]
            )
            yield MarkedText(f"{one['doc_id']} {part}", one["doc_id"], one[part], marked)


def _marked(identifiers: Sequence[Mapping[str, Any]]) -> tuple[Marked, ...]:
    """One that is not in its text as written cannot be left in it."""
    return tuple(
        Marked(one["type"], one["start"], one["end"], _counts(one)) for one in identifiers if one["start"] is not None
    )


def _counts(identifier: Mapping[str, Any]) -> bool:
    if identifier["type"] in ("AGE", "EDAD_SUJETO_ASISTENCIA"):
        years = "".join(filter(str.isdigit, identifier["value"]))
        return years.isdecimal() and 90 <= int(years) < 130
    return identifier["type"] not in _NO_IDENTIFIERS


def _documents(rows: Iterable[Mapping[str, Any]], name: str, fields: Sequence[str]) -> Iterator[MarkedText]:
    for one in rows:
        text = "\n".join(str(one[field]) for field in fields)[:_TEXT_LIMIT]
        yield MarkedText(str(one[name]), str(one[name]), text, ())


def _gzipped(path: Path) -> list[dict[str, Any]]:
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def build(settings: Settings) -> Phi:  # noqa: ARG001 - has none
    return Phi()
