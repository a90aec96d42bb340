"""The suite `phi`: its counts by hand, and that its searches see what is there."""

import gzip
import json
from contextlib import contextmanager
from pathlib import Path

import pytest
from health_records import clinical_document, structured

from fedrag.evaluation import run_suite
from fedrag.evaluation.baselines.identifier_patterns import CAPITALS, DATES_AND_NUMBERS, finder
from fedrag.evaluation.identifiers import Marked, MarkedText, Terms, removal, terms_kept
from fedrag.evaluation.known_identifiers import (
    leaks_of_files,
    leaks_of_synthetic_patients,
)
from fedrag.evaluation.run import Half, Run
from retriever_node.redaction import Redaction


@contextmanager
def silent(what: str):
    yield lambda done, total: None


def finds(*words: str):
    """A detector that finds these words."""
    return lambda text: [(text.index(word), text.index(word) + len(word)) for word in words if word in text]


TEXTS = (
    MarkedText("1", "1", "Ada Lund, MRN 77, gout.", (Marked("NAME", 0, 8), Marked("MRN", 14, 16))),
    MarkedText("2", "2", "Lund in Spain.", (Marked("NAME", 0, 4), Marked("COUNTRY", 8, 13, counts=False))),
    MarkedText("3", "3", "Parkinson disease?", (), look_alike=True),
    MarkedText("4", "4", "A rose?", (), look_alike=True),
)


def test_removal_is_counted_as_it_is_defined() -> None:
    """By hand: the first name alone is half a person and counts as none; a country does not count; a look-alike that
    is touched anywhere is touched."""
    made = removal(TEXTS, finds("Ada", "77", "Spain", "rose"))
    assert (made.removed, made.identifiers) == (1, 3)
    assert (made.characters_removed, made.characters) == (5, 13)
    assert (made.without_leak, made.with_identifiers) == (0, 2)
    assert (made.untouched, made.look_alikes) == (1, 2)
    assert made.by_kind == {"COUNTRY": (1, 1), "MRN": (1, 1), "NAME": (0, 2)}
    whole = removal(TEXTS, finds("Ada Lund", "77", "Lund"))
    assert (whole.recall, whole.without_leak, whole.untouched) == (1.0, 2, 2)
    assert removal(TEXTS, lambda _: ()).recall == 0


def test_terms_outside_identifiers_are_kept_whole_or_not_at_all() -> None:
    """By hand: the longest term at a place, as whole words in any case; inside an identifier it does not count."""
    terms = Terms(["gout", "Parkinson disease", "disease", "ada lund"])
    text = "Ada Lund has GOUT and Parkinson disease, goutish."
    assert [text[slice(*span)] for span in terms.places(text)] == ["Ada Lund", "GOUT", "Parkinson disease"]
    marked = MarkedText("1", "1", text, (Marked("NAME", 0, 8),))
    made = terms_kept([marked], terms, finds("Ada Lund", "Parkinson"))
    assert (made.kept, made.terms) == (1, 2)


def test_the_sixteen_expressions_find_what_anybody_would_and_no_more() -> None:
    """Numbers and dates by the ten; a titled name by the six; they take a disease for a name, which is their price."""
    numbers, all_of_them = finder(*DATES_AND_NUMBERS), finder(*DATES_AND_NUMBERS, *CAPITALS)
    text = "Mr. Lund, MRN 00482915, seen 3 May 2024, has Parkinson Disease."
    assert {text[slice(*span)] for span in numbers(text)} == {"3 May 2024", "May 2024", "MRN 00482915"}
    assert {"Mr. Lund", "Parkinson Disease"} <= {text[slice(*span)] for span in all_of_them(text)}
    assert len(DATES_AND_NUMBERS) + len(CAPITALS) == 16


PATIENT = {
    "patient_id": "p-1",
    "identifiers": {
        "medical_record_number": "e925b0f3-8006-43f6-aa31-94bd215e55e7", "ssn": "999-22-1962", "given_name": "Abdul",
        "family_name": "Koepp", "birth_date": "1956-08-03", "phone": "555-978-4581", "street": "313 Lockman Row",
        "city": "Peabody", "postal_code": "01940",
    },
    "encounters": [{"encounter_id": "e-1", "date": "1991-06-07", "type": "Check up", "organization": "North Shore"}],
}  # fmt: skip


@pytest.mark.parametrize("surrogates", [False, True])
def test_leaks_are_searched_for_and_seen(tmp_path: Path, monkeypatch, surrogates: bool) -> None:
    """Every identifier of a made patient is in the file and none in what could leave; with the redaction switched off
    all are found there, so that the zero means something."""
    records = tmp_path / "patients.jsonl.gz"
    with gzip.open(records, "wt", encoding="utf-8") as file:
        file.write(json.dumps(PATIENT) + "\n")
    header = clinical_document(structured("<section><title>Problems</title><text>Gout of Quillon.</text></section>"))
    (tmp_path / "ccda").mkdir()
    (tmp_path / "ccda" / "one.xml").write_bytes(header)
    made = leaks_of_synthetic_patients(records, tmp_path, surrogates=surrogates)
    assert (made.patients, made.identifiers, made.before, made.leaks, made.withheld) == (1, 9, 9, 0, 0)
    assert made.forms > 1
    document = leaks_of_files(tmp_path / "ccda", tmp_path, surrogates=surrogates)
    assert document.before == document.identifiers > 7
    assert document.leaks == 0
    monkeypatch.setattr(Redaction, "_replaced", lambda _self, text, _surrogates: text)
    monkeypatch.setattr("retriever_node.patients.KnownIdentifiers.removed", lambda _self, text: text)
    assert leaks_of_synthetic_patients(records, tmp_path, surrogates=surrogates).leaks >= 9


def lines(path: Path, *records: dict) -> None:
    path.parent.mkdir(exist_ok=True)
    text = "".join(json.dumps(record) + "\n" for record in records)
    if path.suffix == ".gz":
        with gzip.open(path, "wt", encoding="utf-8") as file:
            file.write(text)
    else:
        path.write_text(text, encoding="utf-8")


def test_the_suite_prints_every_table(tmp_path: Path) -> None:
    """Made packages of a few texts: every detector has a row or says that it is not installed, published figures stand
    beside ours, and packages that are not there are not run."""
    text, place = "Mrs. Halvorsen takes warfarin.", {"value": "Halvorsen", "start": 5, "end": 14}
    named = {"type": "NAME", **place}
    query = {"id": "a", "text": text, "phi": [named], "hard_negative": False}
    other = {"id": "b", "text": "Is warfarin safe?", "phi": [], "hard_negative": True}
    lines(tmp_path / "asq_phi" / "queries_dev.jsonl", query, other)
    lines(tmp_path / "presidio_synth" / "sentences_dev.jsonl", {**query, "template_id": 1})
    lines(tmp_path / "meddocan" / "documents_dev.jsonl.gz", query)
    known = {"kind": "patient_family_name", "value": "Halvorsen", "in_note": [[5, 14]], "in_dialogue": []}
    note = {"doc_id": "n", "note": text, "dialogue": "hello", "known_identifiers": [known]}
    lines(tmp_path / "clinical_notes" / "encounters_dev.jsonl", note)
    lines(
        tmp_path / "medquad_liveqa" / "corpus.jsonl.gz",
        {"doc_id": "m", "focus": "warfarin", "question": "What is warfarin?", "answer": "A drug."},
    )
    lines(tmp_path / "pubmedqa" / "corpus_dev.jsonl", {"doc_id": "d", "text": "Warfarin.", "mesh": ["Warfarin"]})
    run = Run(
        data=tmp_path, limit=None, half=Half.ALL, output=tmp_path / "runs", progress=silent, command="test"
    )  # fmt: skip
    tables = {table.title: table for table in run_suite("phi", run).findings.tables}
    rows = {str(row[0]): row for row in tables["asq_phi: what is removed"].rows}
    assert rows["fedrag"][1:5] == (1.0, 1.0, 1.0, 1.0)
    assert rows["nothing removed"][1:5] == (0.0, 0.0, 0.0, 1.0)
    assert rows["published, all 1,051: GPT-4o, which wrote the queries"][1] == 1.0
    assert {"Presidio, blank pipeline", "Philter lite", "16 expressions"} <= rows.keys()
    assert {row[0]: row[2] for row in tables["Clinical terms kept"].rows}["asq_phi"] == 1.0
    assert {row[1] for row in tables["Identifiers known from structure"].rows} == {"not run"}
    assert tables["clinical_notes: removed, per kind"].rows[0][0] == "note: patient_family_name"
