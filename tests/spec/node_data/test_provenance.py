"""Whose records: kept in the store, deleted with the last document, in nothing that could leave."""

import dataclasses
import sqlite3

import pytest
from health_records import (
    IDENTIFIERS,
    bundle,
    clinical_document,
    concept,
    data,
    of_visit,
    structured,
    words_found,
    written,
)
from typer.testing import CliRunner

from fedrag.core.exchange import Citation
from retriever_node.calibration import Calibration, Calibrations
from retriever_node.cli import app
from retriever_node.documents import Document, PassageDraft
from retriever_node.ingest import ingest
from retriever_node.store import PassageStore
from retriever_node.store.people import Provenance
from retriever_node.store.schema import FORMAT

BUNDLE = written(bundle(of_visit("Condition", code=concept("Angina"), note=[{"text": "Brakspear feels well."}])))
SUMMARY = clinical_document(
    structured("<section><title>Plan</title><text>Quillon Brakspear of Wexcombe rests.</text></section>")
)


def passages(store: PassageStore):
    return store.passages([int(one) for one in store.vectors("c")[0]])


def test_patients_and_visits_are_kept_and_no_citation_has_them(folder, store, encoder):
    """From files to store: provenance by passage, identifiers by patient, citations with neither."""
    root = folder({"Brakspear.json": BUNDLE, "MRN-88123.xml": SUMMARY, "leaflet.md": "Rest helps."})
    assert ingest(root, "c", store, encoder).unreadable == ()
    found = passages(store)
    by_title = {one.title: one for one in found}
    kept = store.provenance([one.passage_id for one in found])
    assert kept[by_title["leaflet"].passage_id] == Provenance((), "")
    assert kept[by_title["Discharge summary 2019-03-05"].passage_id] == Provenance(("MRN-88123",), "1.2.5:enc-555")
    assert kept[by_title["Encounter 2019-03-02: General examination"].passage_id] == Provenance(
        ("MRN-88123",), "enc-555"
    )
    assert {"999-31-7755", "Quillon J Brakspear", "Ottoline Fennimore"} <= set(store.identifiers("MRN-88123"))
    for one in found:
        assert words_found(IDENTIFIERS, f"{one.text}\n{one.citation().model_dump_json()}") == []
    assert not {"patients", "encounter", "identifiers", "source"} & {
        *Citation.model_fields,
        *(field.name for field in dataclasses.fields(found[0])),
    }


def test_ids_of_patients_documents_are_the_stores_own(folder, store, encoder, tmp_path):
    """The same file has the same id at each reading of one node, and another id at another node."""
    root = folder({"Brakspear.json": BUNDLE})
    ingest(root, "c", store, encoder)
    first = {one.document_id for one in passages(store)}
    assert ingest(root, "c", store, encoder).unchanged == 1
    with_other_key = PassageStore.open(tmp_path / "other" / "passages.sqlite", encoder.identity)
    ingest(root, "c", with_other_key, encoder)
    assert len(first) == 1
    assert first.isdisjoint(one.document_id for one in passages(with_other_key))
    again = PassageStore.open(tmp_path / "other" / "passages.sqlite", encoder.identity)
    assert again.document_key == with_other_key.document_key != store.document_key
    assert len(again.document_key) == 32
    with_other_key.close()
    again.close()


def test_a_patient_is_forgotten_with_their_last_document(folder, store, encoder, tmp_path):
    """Identifiers go when nothing is left that they are needed for, and their bytes go from the disk."""
    root = folder({"a.json": BUNDLE, "b.xml": SUMMARY})
    ingest(root, "c", store, encoder)
    folder({"b.xml": None})
    ingest(root, "c", store, encoder)
    assert store.identifiers("MRN-88123")
    folder({"a.json": None})
    ingest(root, "c", store, encoder)
    assert store.identifiers("MRN-88123") == ()
    left = b"".join(path.read_bytes() for path in (tmp_path / "node").iterdir())
    assert not [one for one in (b"Brakspear", b"MRN-88123", b"Wexcombe", b"999-31-7755") if one in left]


def test_a_visit_that_is_taken_out_of_a_file_is_forgotten(folder, store, encoder):
    """Also when the file has notes that cannot be read: the rest of it was read, and the visit is not there."""
    elsewhere = of_visit("DocumentReference", content=[{"attachment": {"url": "https://example.org/1"}}])
    second = {"resourceType": "Encounter", "id": "enc-2", "subject": {"reference": "Patient/pat-777"}}
    root = folder({"a.json": written(bundle(elsewhere, second))})
    assert [one.code for one in ingest(root, "c", store, encoder).unreadable] == ["external_attachment"]
    assert store.counts("c").documents == 2
    folder({"a.json": written(bundle(elsewhere))})
    assert ingest(root, "c", store, encoder).deleted == 1
    assert {one.encounter for one in store.provenance([1, 2, 3, 4]).values()} == {"enc-555"}


def test_new_identifiers_are_a_change(folder, store, encoder):
    """The texts are the same, but what has to be known about the patient is not."""
    root = folder({"a.json": BUNDLE})
    ingest(root, "c", store, encoder)
    folder({"a.json": BUNDLE.replace(b"999-31-7755", b"999-31-0000")})
    assert ingest(root, "c", store, encoder).changed == 1
    assert "999-31-0000" in store.identifiers("MRN-88123")
    assert "999-31-7755" not in store.identifiers("MRN-88123")


def test_a_store_of_the_first_format_is_brought_up_to_date(tmp_path, encoder):
    """What it holds is still there, it learns to keep provenance, and opening it again changes nothing."""
    path = tmp_path / "node" / "passages.sqlite"
    store = PassageStore.open(path, encoder.identity)
    draft = PassageDraft("T", "S", 0, 4, "text")
    old = Document("c", "old", "old.md", "T", "", None, (), "0" * 64, "old.md")
    store.put(old, [draft], encoder.encode_passages(["text"]))
    store.close()
    database = sqlite3.connect(path)
    for statement in (
        "DROP TRIGGER patient_without_documents",
        "DROP TRIGGER patient_known_better",
        "DROP TABLE redacted",
        "DROP TABLE facts_of_documents",
        "DROP TABLE facts",
        "DROP TABLE patients_of_documents",
        "DROP TABLE patients",
        "ALTER TABLE documents DROP COLUMN encounter",
        "ALTER TABLE documents DROP COLUMN rows_sha256",
        "DELETE FROM settings WHERE name = 'document_key'",
        "INSERT INTO calibrations VALUES ('c', 1, 5.0, -2.0, 6.0, -3.0)",
        "ALTER TABLE calibrations DROP COLUMN both_slope",
        "ALTER TABLE calibrations DROP COLUMN both_intercept",
        "PRAGMA user_version = 1",
    ):
        database.execute(statement)
    database.commit()
    database.close()
    for _ in range(2):
        store = PassageStore.open(path, encoder.identity)
        assert next(one.text for one in passages(store)) == "text"
        assert store.provenance([1]) == {1: Provenance((), "")}
        assert store.calibrations("c") == (-1, Calibrations(Calibration(5.0, -2.0)))
        key = store.document_key
        assert len(key) == 32
        new = dataclasses.replace(old, document_id="new", patients=("p2", "p1"), encounter="e", identifiers=("Ann",))
        store.put(new, [draft], encoder.encode_passages(["text"]))
        (number,) = (one.passage_id for one in passages(store) if one.document_id == "new")
        assert store.provenance([number]) == {number: Provenance(("p1", "p2"), "e")}
        assert store.identifiers("p2") == ("Ann",)
        assert store.check() == ()
        store.close()
    (written_format,) = sqlite3.connect(path).execute("PRAGMA user_version").fetchone()
    assert written_format == FORMAT == 6


def test_health_records_by_the_command_line(tmp_path):
    """A node's whole ingest of sound and broken records: each bad file with its reason, a summary, exit code 9; and
    a search finds the statements without the names."""
    folder = tmp_path / "records"
    folder.mkdir()
    (folder / "Brakspear_1.json").write_bytes(BUNDLE)
    (folder / "summary.xml").write_bytes(SUMMARY)
    (folder / "broken.json").write_bytes(BUNDLE[:-9])
    home = str(tmp_path / "home")
    options = ["--home", home]
    run = CliRunner()
    made = run.invoke(app, ["init", *options, "--id", "north", "--folder", f"{folder}=patient", "--encoder", "hashing"])
    assert made.exit_code == 0, made.output
    done = run.invoke(app, ["ingest", *options])
    assert done.exit_code == 9
    assert "documents +2 ~0 =0 -0; unreadable 1" in done.output
    assert "broken.json: bad_json: not JSON" in done.output
    found = run.invoke(app, ["search", *options, "angina"])
    assert "- Angina; [name] feels well." in found.output
    assert words_found(IDENTIFIERS, found.output) == []
    assert run.invoke(app, ["check", *options]).exit_code == 0


@pytest.mark.parametrize(("package", "patients"), [("fhir_r4", 12), ("ccda", 3)])
def test_real_records_leave_nothing_of_their_patients(store, encoder, package, patients):
    """All real bundles and documents through ingest: no identifier in any passage or citation, patients counted."""
    assert ingest(data("health_formats", package), "c", store, encoder).unreadable == ()
    found = passages(store)
    kept = store.provenance([one.passage_id for one in found])
    assert len({key for one in kept.values() for key in one.patients}) == patients
    for one in found:
        known = [name for key in kept[one.passage_id].patients for name in store.identifiers(key)]
        assert len(known) > 5
        assert words_found(tuple(known), f"{one.text}\n{one.citation().model_dump_json()}") == []
