"""Redacted forms: what they hide, when they are made anew, and that none outlives its passage, patient or version."""

import json
import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from health_records import IDENTIFIERS, bundle, concept, data, of_visit, words_found, written
from pydantic import ValidationError
from typer.testing import CliRunner

from fedrag.core.wire import ReleaseClass
from fedrag.encoders import ENCODERS
from fedrag.redaction import Detector, PatternRedactor, pattern_detector, version_of
from retriever_node.cli import app
from retriever_node.config import CollectionConfig
from retriever_node.documents import Document, Passage, PassageDraft
from retriever_node.ingest import ingest
from retriever_node.redacted import CategoryCount, RedactionReport, redact_collection, releasable
from retriever_node.redaction import Redaction, redaction_of
from retriever_node.salvage import salvage
from retriever_node.store import PassageStore
from retriever_node.store.forms import RedactedForm
from retriever_node.store.soundness import Problem
from retriever_node.surrogates import Surrogates

REDACTION = Redaction(pattern_detector())
KNOWN_ALONE = Redaction(Detector("finds nothing", "1", frozenset(), lambda _text: ()))
KEY = b"k" * 32
KNOWN = ("Ada Lund", "Lund, Ada", "1951-11-30", "Fall River", "14 Cobblers Yard", "555-302-9944", "MRN-88123")
PASSAGE = Passage(1, "c", "x", "Note", "Note", "Plan", "2", date(2024, 5, 3), 0, 9, "Rest.")


def other_version() -> Redaction:
    return Redaction(replace(pattern_detector(), version="0" * 16))


def put(store: PassageStore, encoder, name: str, *texts: str, patient: str = "", known: tuple[str, ...] = ()) -> None:
    document = Document("c", name, f"{name}.md", "T", "1", None, (), "ab" * 32, "f.md", (patient,) * bool(patient))
    drafts = [PassageDraft("T", "S", 100 * n, 100 * n + len(text), text) for n, text in enumerate(texts)]
    store.put(replace(document, identifiers=known), drafts, encoder.encode_passages(texts))


def forms(store: PassageStore, redaction: Redaction = REDACTION) -> dict[int, str]:
    return {number: form.text for number, form in store.redacted(range(1, 100_000), redaction.version).items()}


def changed(store: Path, statement: str) -> None:
    with closing(sqlite3.connect(store)) as database, database:
        database.execute(statement)


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        ("Dr. Ingrid Halvorsen saw her on 3 May 2024.", "[NAME] saw her on [DATE]."),
        ("LUND was born on November 30, 1951.", "[name] was born on [date]."),
        ("She calls from (555) 302 9944.", "She calls from [identifier]."),
        ("Fall risk at the river; lives in Fall River.", "Fall risk at the river; lives in [address]."),
        ("Lives at 14  cobblers yard, MRN-88123.", "Lives at [address], [identifier]."),
        ("eGFR of 25, warfarin 5 mg daily.", "eGFR of 25, warfarin 5 mg daily."),
    ],
)
def test_what_a_form_says_for_a_text(text: str, redacted: str) -> None:
    """Patterns and what is known of the very patient, however it is written; of a town's name no single word goes."""
    form = REDACTION.form(replace(PASSAGE, text=text), KNOWN, KEY)
    assert form is not None
    assert form.text == redacted


def test_everything_a_citation_says_in_words_is_redacted() -> None:
    """Title, name, section and version are texts; the id is a keyed digest, the same for the same document."""
    note = replace(
        PASSAGE, document_id="lund-ada.pdf", document_name="Letter to Ada Lund", title="Ada Lund, 3 May 2024",
        section="Seen by Dr. Halvorsen", version="signed by Lund",
    )  # fmt: skip
    form = REDACTION.form(note, KNOWN, KEY)
    assert form is not None
    assert (form.document_name, form.title) == ("Letter to [name]", "[name], [DATE]")
    assert (form.section, form.version) == ("Seen by [NAME]", "signed by [name]")
    assert len(form.document_id) == 32
    assert REDACTION.form(replace(note, text="Other."), KNOWN, KEY).document_id == form.document_id
    assert REDACTION.form(note, KNOWN, b"o" * 32).document_id != form.document_id


@pytest.mark.parametrize(
    ("title", "shown"), [("Lund Ada 1951", ("document ", "")), ("Discharge letter", ("Discharge letter",) * 2)]
)
def test_the_name_of_a_file_is_not_shown(title: str, shown: tuple[str, str]) -> None:
    """Files are named after patients: the name is in no field, nor is a title that was taken from it."""
    file = replace(PASSAGE, document_id="notes/Lund  Ada 1951.pdf", document_name="Lund Ada 1951.pdf", title=title)
    form = REDACTION.form(file, (), KEY)
    assert form is not None
    assert form.document_name.startswith(shown[0])
    assert form.title == shown[1]
    assert words_found(("Lund", "Ada", "1951", "notes"), form.dumped()) == []


def test_marks_are_no_names() -> None:
    """Of a patient called Ann Date the passages are released; her name is not, the mark for dates stays whole."""
    known = ("Ann Date", "Date, Ann")
    form = REDACTION.form(replace(PASSAGE, text="Ann Date, seen 3 May 2024. [date] Mrs. Date rests."), known, KEY)
    assert form is not None
    assert form.text == "[name], seen [DATE]. [date] Mrs. [name] rests."


def test_a_form_that_still_names_the_patient_is_none(monkeypatch) -> None:
    """What stands in place of an identifier is looked at again: a date that would become the day of birth, or a tag
    that spells a name."""
    told = replace(PASSAGE, text="Seen on 3 May 2024.")
    monkeypatch.setattr(Surrogates, "of", lambda *_: "November 30, 1951")
    assert REDACTION.form(told, KNOWN, KEY) is None
    assert REDACTION.form(told, (), KEY).text == "Seen on November 30, 1951."
    monkeypatch.setattr(Surrogates, "of", lambda *_: "Lund")
    assert REDACTION.form(told, KNOWN, KEY) is None


def test_a_detector_that_fails_costs_the_passage_it_fails_on(folder, store, encoder) -> None:
    """Withheld and counted once; the others have their forms, and the next run tries it again."""

    def fails(text: str) -> tuple[()]:
        if "odd" in text:
            raise ValueError(text)
        return ()

    failing = Redaction(Detector("fails", "1", frozenset(), fails))
    put(store, encoder, "a", "one", "odd", "three")
    assert redact_collection(store, "c", failing) == RedactionReport(2, 1)
    assert forms(store, failing) == {1: "one", 3: "three"}
    assert redact_collection(store, "c", failing) == RedactionReport(0, 1)
    root = folder({f"{n}.md": f"# T\n\n{'odd' if n == 3 else 'even'} {n}" for n in range(40)})
    assert ingest(root, "d", store, encoder, redaction=failing).redaction == RedactionReport(39, 1)


def test_another_rule_is_another_version(tmp_path: Path) -> None:
    """One byte of a file of rules, or its name, changes the version; reading them in another order does not."""
    first, second = tmp_path / "a.py", tmp_path / "b.py"
    first.write_bytes(b"x = 1\n")
    second.write_bytes(b"y = 2\n")
    version = version_of([first, second])
    assert version_of([second, first]) == version
    second.write_bytes(b"y = 3\n")
    assert version_of([first, second]) != version
    assert version_of([second.rename(tmp_path / "c.py"), first]) != version
    assert REDACTION.version != other_version().version
    assert REDACTION.version.startswith("patterns-")


def test_an_interrupted_run_is_taken_up_where_it_ended(store, encoder, monkeypatch) -> None:
    """600 passages in batches; the process is stopped in the third transaction. What is on disk stays, the next run
    makes the rest, and all is as a run without interruption makes it."""
    texts = [f"Seen by Mr. Lund number {n} on {1 + n % 28} May 2024." for n in range(600)]
    put(store, encoder, "a", *texts)
    whole, calls = PassageStore.put_redacted, iter(range(99))

    def fails(self, made):
        if next(calls) == 2:
            raise MemoryError
        whole(self, made)

    monkeypatch.setattr(PassageStore, "put_redacted", fails)
    with pytest.raises(MemoryError):
        redact_collection(store, "c", REDACTION)
    assert len(forms(store)) == 512
    told: list[tuple[int, int]] = []
    report = redact_collection(store, "c", REDACTION, progress=lambda *done: told.append(done))
    assert (report.redacted, told) == (88, [(88, 88)])
    assert forms(store) == {number: PatternRedactor().redact(texts[number - 1])[0] for number in range(1, 601)}
    assert redact_collection(store, "c", REDACTION) == RedactionReport()


def test_all_processors_make_the_same(store, encoder) -> None:
    """Shared out among processes or not: the same forms, the same numbers."""
    texts = [f"Patient Ada Lund, call {n} on {1 + n % 28} May 2024." for n in range(700)]
    put(store, encoder, "a", *texts, patient="p", known=KNOWN)
    report = redact_collection(store, "c", REDACTION, processes=2)
    shared = forms(store)
    store.forget_redacted("c")
    assert redact_collection(store, "c", REDACTION, processes=1) == report
    assert report == RedactionReport(700, 0, (CategoryCount("DATE", 700), CategoryCount("name", 700)))
    assert forms(store) == shared
    assert len(shared) == 700


def test_a_new_version_leaves_nothing_of_the_old_one(store, encoder) -> None:
    """While it is made there are forms of both, each found under its own version; afterwards of the new one alone."""
    put(store, encoder, "a", *(f"Mr. Lund {n}" for n in range(300)))
    redact_collection(store, "c", other_version())
    for batch in (range(1, 201), range(201, 301)):
        made = [(one.passage_id, (), REDACTION.form(one, (), KEY)) for one in store.passages(batch)]
        store.put_redacted(made)
        assert len(forms(store)) == batch[-1]
        assert len(forms(store, other_version())) == 300 - batch[-1]


def test_a_form_goes_with_its_passage(store, encoder, tmp_path: Path) -> None:
    """From the table in the same transaction, from the disk with the next checkpoint, whichever way a passage goes."""
    marks = [b"zqdigest%d" % n for n in range(3)]
    for n in range(3):
        put(store, encoder, f"d{n}", "text")
        form = RedactedForm(REDACTION.version, "d", "n", "t", "s", "v", marks[n].decode())
        store.put_redacted([(n + 1, (), form)])
    assert list(forms(store)) == [1, 2, 3]
    store.checkpoint()
    assert all(mark in (tmp_path / "node" / "passages.sqlite").read_bytes() for mark in marks)
    store.forget("c", "d0")
    put(store, encoder, "d1", "text anew")
    store.forget_redacted("other")
    assert list(forms(store)) == [3]
    store.forget_redacted("c")
    store.checkpoint()
    assert not [mark for mark in marks for path in (tmp_path / "node").iterdir() if mark in path.read_bytes()]


def test_whoever_is_known_better_is_redacted_anew(store, encoder) -> None:
    """Another document of the patient states one more name: no form made without it is left, those of others are."""
    put(store, encoder, "a", "Lund and Fennimore rest.", patient="p", known=KNOWN)
    put(store, encoder, "b", "Fennimore rests.", patient="q", known=("Quill",))
    redact_collection(store, "c", KNOWN_ALONE)
    assert forms(store, KNOWN_ALONE) == {1: "[name] and Fennimore rest.", 2: "Fennimore rests."}
    put(store, encoder, "e", "Later.", patient="p", known=("Ada Fennimore", "Fennimore, Ada"))
    assert forms(store, KNOWN_ALONE) == {2: "Fennimore rests."}
    assert redact_collection(store, "c", KNOWN_ALONE).redacted == 2
    assert forms(store, KNOWN_ALONE) == {1: "[name] and [name] rest.", 2: "Fennimore rests.", 3: "Later."}


def test_a_form_made_with_less_than_is_known_is_not_kept(store, encoder) -> None:
    """Another process has learned a name, or forgotten the passage, between reading and writing."""
    put(store, encoder, "a", "Fennimore rests.", patient="p", known=KNOWN)
    (passage,) = store.passages([1])
    before = store.known([1])[1]
    form = REDACTION.form(passage, before, KEY)
    put(store, encoder, "b", "x", patient="p", known=("Fennimore",))
    store.put_redacted([(1, before, form), (77, (), form)])
    assert forms(store) == {}
    store.put_redacted([(1, store.known([1])[1], form)])
    assert list(forms(store)) == [1]


def test_a_form_that_was_altered_is_none(store, encoder, tmp_path: Path) -> None:
    """A changed letter, or the form of another passage: not found, reported by check, taken out by mend, made anew."""
    for name in "abc":
        put(store, encoder, name, f"Mr. Lund {name}")
    redact_collection(store, "c", REDACTION)
    before = forms(store)
    file = tmp_path / "node" / "passages.sqlite"
    changed(file, "UPDATE redacted SET form = replace(form, '[NAME]', 'Mr. Lund') WHERE passage_id = 1")
    changed(file, "UPDATE redacted SET form = (SELECT form FROM redacted WHERE passage_id = 3) WHERE passage_id = 2")
    assert list(forms(store)) == [3]
    assert store.check() == (Problem("altered_redaction", 2),)
    assert store.mend() == ((), 0, 2)
    assert store.check() == ()
    assert redact_collection(store, "c", REDACTION).redacted == 2
    assert forms(store) == before


def test_what_becomes_of_forms_in_a_backup_and_of_a_damaged_store(node, tmp_path: Path) -> None:
    """A backup has them, to the byte; what is saved of a damaged store has none, and the next ingest makes the same."""
    _, options = node
    run, backup = CliRunner(), str(tmp_path / "backup")
    assert run.invoke(app, ["ingest", *options]).exit_code == 0
    assert run.invoke(app, ["backup", *options, "--output", backup]).exit_code == 0
    assert run.invoke(app, ["restore", "--home", str(tmp_path / "again"), "--from", backup]).exit_code == 0
    places = [tmp_path / name / "passages.sqlite" for name in ("home", "again")]
    first, second = (_form_rows(place) for place in places)
    assert len(first) == 2
    assert second == first
    identity = ENCODERS.build("hashing").identity
    with closing(PassageStore.open(tmp_path / "salvaged.sqlite", identity)) as saved:
        assert salvage(places[0], saved) == 1
        assert saved.count_unredacted("records", REDACTION.version) == 2
        redact_collection(saved, "records", REDACTION)
    assert [row[1:] for row in _form_rows(tmp_path / "salvaged.sqlite")] == [row[1:] for row in first]


def _form_rows(store: Path) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(store)) as opened:
        return opened.execute("SELECT passage_id, redaction, form FROM redacted ORDER BY passage_id").fetchall()


def test_a_store_of_format_four_is_brought_up_to_date(store, encoder, tmp_path: Path) -> None:
    """It has no forms until they are made; a document that was damaged before is still found damaged afterwards."""
    put(store, encoder, "a", "Mr. Lund")
    put(store, encoder, "b", "Mr. Berg")
    store.close()
    file = tmp_path / "node" / "passages.sqlite"
    for statement in (
        "DROP TRIGGER patient_known_better",
        "DROP TABLE redacted",
        "DROP TABLE facts_of_documents",
        "DROP TABLE facts",
        "UPDATE passages SET text = 'Mr. Bergh' WHERE passage_id = 2",
        "PRAGMA user_version = 4",
    ):
        changed(file, statement)
    with closing(PassageStore.open(file, encoder.identity)) as again:
        assert again.count_unredacted("c", REDACTION.version) == 2
        assert again.check() == (Problem("altered_document", 1),)
        assert redact_collection(again, "c", REDACTION).redacted == 2
        assert forms(again)[1] == "[NAME]"


@pytest.mark.parametrize(
    ("release_class", "redact", "redacts"),
    [
        ("patient", None, True), ("patient", True, True),
        ("protocol", None, False), ("protocol", True, True), ("protocol", False, False),
        ("public", None, False), ("public", True, True),
    ],
)  # fmt: skip
def test_which_collections_redact(release_class: str, redact: bool | None, redacts: bool) -> None:
    """Those of patients always, others where their owner says so."""
    config = CollectionConfig(id="c", folder=Path(), release_class=ReleaseClass(release_class), redact=redact)
    assert config.redacts is redacts
    assert (redaction_of(config) is not None) is redacts


def test_patients_cannot_be_left_unredacted() -> None:
    """It is an error of the configuration, not a choice."""
    with pytest.raises(ValidationError, match="always redacted"):
        CollectionConfig(id="c", folder=Path(), release_class=ReleaseClass.PATIENT, redact=False)


def test_a_date_is_in_no_citation_of_a_redacted_collection(store, encoder) -> None:
    """`releasable` gives a passage back as it is or as its form says, never half of each."""
    put(store, encoder, "a", "Mr. Lund")
    (passage,) = store.passages([1])
    dated = replace(passage, effective_date=date(2024, 5, 3))
    assert releasable([dated], {"c": None}, store) == {1: dated}
    assert releasable([dated], {"c": REDACTION}, store) == {}
    redact_collection(store, "c", REDACTION)
    (shown,) = releasable([dated], {"c": REDACTION}, store, recheck=True).values()
    assert (shown.text, shown.effective_date, shown.passage_id) == ("[NAME]", None, 1)
    with pytest.raises(KeyError):
        releasable([dated], {}, store)


def test_ingest_redacts_what_it_stores(folder, store, encoder) -> None:
    """New and changed documents, in time for a running node; nothing twice; without redaction no form is left."""
    root = folder({f"{n:02}.md": f"# T\n\nMr. Lund, seen 3 May 2024, visit {n}." for n in range(70)})
    report = ingest(root, "c", store, encoder, redaction=REDACTION).redaction
    assert report == RedactionReport(70, 0, (CategoryCount("DATE", 70), CategoryCount("NAME", 70)))
    folder({"00.md": "# T\n\nMr. Berg."})
    assert ingest(root, "c", store, encoder, redaction=REDACTION).redaction.redacted == 1
    assert sorted(forms(store).values())[-2:] == ["[NAME], seen [DATE], visit 9.", "[NAME]."]
    assert ingest(root, "c", store, encoder, redaction=REDACTION).redaction == RedactionReport()
    assert ingest(root, "c", store, encoder, redaction=other_version()).redaction.redacted == 70
    assert ingest(root, "c", store, encoder).redaction is None
    assert forms(store, other_version()) == forms(store) == {}


def test_a_running_node_has_forms_before_an_ingest_ends(folder, store, encoder) -> None:
    """Of the first 32 documents when the 33rd is stored: a long ingest does not take a collection away for hours."""
    root = folder({f"{n:02}.md": f"# T\n\nMr. Lund {n}." for n in range(40)})
    seen = {}
    ingest(root, "c", store, encoder, redaction=REDACTION, progress=lambda d, _t: seen.setdefault(d, len(forms(store))))
    assert (seen[32], seen[33]) == (0, 32)
    assert len(forms(store)) == 40


@pytest.fixture
def node(tmp_path: Path) -> tuple[Path, list[str]]:
    folder = tmp_path / "records"
    folder.mkdir()
    (folder / "Brakspear.json").write_bytes(
        written(bundle(of_visit("Condition", code=concept("Angina"), note=[{"text": "Brakspear saw Dr. Halvorsen."}])))
    )
    options = ["--home", str(tmp_path / "home")]
    made = CliRunner().invoke(
        app, ["init", *options, "--id", "north", "--folder", f"{folder}=patient", "--encoder", "hashing"]
    )
    assert made.exit_code == 0, made.output
    return folder, options


def test_an_ingest_says_what_it_redacted_in_numbers(node) -> None:
    """Passages and categories; no word of a text, in words and in JSON."""
    _, options = node
    done = CliRunner().invoke(app, ["ingest", *options])
    assert done.exit_code == 0
    assert "  redacted 2 passages, withheld 0; identifiers in their texts: DATE 1, NAME 1, name 1\n" in done.output
    assert words_found((*IDENTIFIERS, "Halvorsen"), done.output) == []
    again = json.loads(CliRunner().invoke(app, ["ingest", *options, "--json"]).stdout)["records"]
    assert again["redaction"] == {"redacted": 0, "withheld": 0, "found": []}
    assert again["compacted"] is True
    lines = [json.loads(line) for line in CliRunner().invoke(app, ["audit", *options]).stdout.splitlines()]
    noted = [line["figures"] for line in lines if line["kind"] == "redaction"]
    assert noted[0] == {"redacted": 2, "withheld": 0, "found DATE": 1, "found NAME": 1, "found name": 1}
    assert noted[1] == {"redacted": 0, "withheld": 0}


def test_a_later_collection_tells_more_about_a_patient_of_an_earlier_one(tmp_path: Path) -> None:
    """One ingest of both: no passage of the first lacks its form at the end, and none shows the name."""
    notes = {"first": "Zwingenberger rests.", "second": "Seen."}
    for name, note in notes.items():
        record = bundle(of_visit("Condition", code=concept("Angina"), note=[{"text": note}]))
        if name == "second":
            also = {"given": ["Otto"], "family": "Zwingenberger"}
            patient = record["entry"][0]["resource"]
            record["entry"][0]["resource"] = {**patient, "name": [*patient["name"], also]}
        (tmp_path / name).mkdir()
        (tmp_path / name / "record.json").write_bytes(written(record))
    options = ["--home", str(tmp_path / "home")]
    folders = [part for name in notes for part in ("--folder", f"{tmp_path / name}=patient")]
    assert CliRunner().invoke(app, ["init", *options, "--id", "n", *folders, "--encoder", "hashing"]).exit_code == 0
    done = CliRunner().invoke(app, ["ingest", *options])
    assert done.output.count("redacted 2 passages, withheld 0") == 1
    assert done.output.count("redacted 4 passages, withheld 0") == 1
    made = [str(form) for _, _, form in _form_rows(tmp_path / "home" / "passages.sqlite")]
    assert len(made) == 4
    assert any("[name] rests" in form for form in made)
    assert words_found(("Zwingenberger",), "\n".join(made)) == []


def test_check_says_what_is_not_offered(node, monkeypatch) -> None:
    """After an upgrade with other rules: how many passages lack a form, until the next ingest; nothing is damaged."""
    _, options = node
    CliRunner().invoke(app, ["ingest", *options])
    monkeypatch.setattr("retriever_node.redaction.pattern_detector", lambda: other_version().detector)
    for told in (True, False):
        done = CliRunner().invoke(app, ["check", *options])
        assert (done.exit_code, "records: 2 passages are not offered" in done.output) == (0, told)
        CliRunner().invoke(app, ["ingest", *options])


def test_an_ingest_says_when_deleted_text_may_be_left(node, tmp_path: Path, monkeypatch) -> None:
    """Another process reads while it ends: said in a sentence, the exit code is what it was; the next ingest is done
    with it."""
    folder, options = node
    monkeypatch.setattr("retriever_node.store.opening._BUSY_MS", 10)
    CliRunner().invoke(app, ["ingest", *options])
    with closing(sqlite3.connect(tmp_path / "home" / "passages.sqlite", isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM passages").fetchall()
        (folder / "Brakspear.json").unlink()
        done = CliRunner().invoke(app, ["ingest", *options])
        assert (done.exit_code, "Deleted text may still be in the store's log" in done.output) == (0, True)
        reader.execute("COMMIT")
    done = CliRunner().invoke(app, ["ingest", *options])
    assert (done.exit_code, "Deleted text" in done.output) == (0, False)


@pytest.mark.parametrize(("package", "patients"), [("fhir_r4", 12), ("ccda", 3)])
def test_real_records_are_redacted_whole(store, encoder, package: str, patients: int) -> None:
    """Every passage of the real bundles and documents gets a form, and none of them names its patient."""
    report = ingest(data("health_formats", package), "c", store, encoder, redaction=REDACTION).redaction
    ids = [int(one) for one in store.vectors("c")[0]]
    assert (report.redacted, report.withheld) == (len(ids), 0)
    made, provenance = store.redacted(ids, REDACTION.version), store.provenance(ids)
    assert len({key for one in provenance.values() for key in one.patients}) == patients
    for number, form in made.items():
        known = [name for key in provenance[number].patients for name in store.identifiers(key)]
        assert words_found(tuple(known), form.dumped()) == []
