"""What stands in place of an identifier: consistent where it helps, telling nobody what stood there."""

import re
from dataclasses import replace
from datetime import date, timedelta

import pytest
from health_records import attached, bundle, of_visit, words_found, written
from pydantic import ValidationError

from fedrag.redaction import pattern_detector
from retriever_node.config import CollectionConfig, RedactConfig
from retriever_node.documents import Passage
from retriever_node.ingest import ingest
from retriever_node.redaction import Redaction, redaction_of

KEY = b"k" * 32
CHOSEN = Redaction(pattern_detector(), "numbered", "shifted")
NOTE = Passage(1, "c", "x", "Note", "Note", "Plan", "2", None, 0, 9, "Rest.")
KNOWN = ("Ada Lund", "Lund, Ada", "1951-11-30")
DATES = re.compile(r"\d{4}-\d\d-\d\d")


def text_of(text: str, *patients: str, document: str = "x", key: bytes = KEY, known: tuple[str, ...] = ()) -> str:
    form = CHOSEN.form(replace(NOTE, text=text, document_id=document), known, key, patients)
    assert form is not None
    return form.text


def days_in(text: str) -> list[date]:
    return [date.fromisoformat(one) for one in DATES.findall(text)]


def test_a_person_has_one_tag_in_a_document_and_another_elsewhere() -> None:
    """Written in three ways: one tag of three letters. Another person, document or key has another."""
    text = (
        "Mrs. Ingrid Halvorsen came. Dr. Okonkwo saw Ingrid Halvorsen; Mrs. Halvorsen left with Dr. Okonkwo's letter."
    )
    told = text_of(text)
    tags = re.findall(r"\[NAME-([A-Z]{3})\]", told)
    assert len(tags) == 5
    assert tags[0] == tags[2] == tags[3]
    assert tags[1] == tags[4] != tags[0]
    assert not set(tags) & set(re.findall(r"\[NAME-([A-Z]{3})\]", text_of(text, document="y")))
    assert not set(tags) & set(re.findall(r"\[NAME-([A-Z]{3})\]", text_of(text, key=b"o" * 32)))
    assert "Halvorsen" not in told


@pytest.mark.parametrize(
    ("written", "day"),
    [
        ("2019-03-02", "{d:%Y-%m-%d}"),
        ("2019/3/2", "{d:%Y/%m/%d}"),
        ("03/22/2019", "{e:%m/%d/%Y}"),
        ("22.3.2019", "{e:%d.%m.%Y}"),
        ("March 2nd, 2019", "{d:%B} {d.day}, {d:%Y}"),
        ("2 Mar 2019", "{d.day} {d:%B} {d:%Y}"),
    ],
)
def test_a_date_is_moved_and_keeps_its_form(written: str, day: str) -> None:
    """Whatever the form, by the same number of days, which are between one and 364, into the past."""
    first = days_in(text_of("Seen on 2019-03-02 again.", "p"))[0]
    moved = date(2019, 3, 2) - first
    assert timedelta(days=1) <= moved <= timedelta(days=364)
    expected = day.format(d=date(2019, 3, 2) - moved, e=date(2019, 3, 22) - moved)
    assert text_of(f"Seen on {written} again.", "p") == f"Seen on {expected} again."


@pytest.mark.parametrize("written", ["03/04/2019", "May 2019", "the 3rd of May", "3/22/19", "31.12.0001", "2019-02-30"])
def test_what_is_no_whole_date_or_can_be_read_in_two_ways_is_taken_out(written: str) -> None:
    """A wrong order of day and month would break intervals and look right."""
    assert re.fullmatch(
        r"Seen on (the )?(\[DATE\]|31\.12\.0001|2019-02-30) again\.", text_of(f"Seen on {written} again.", "p")
    )


def test_intervals_are_kept_in_all_documents_of_a_patient_and_tell_nothing_of_another() -> None:
    """The same shift in every document; patients have their own, two hundred of them far more than a hundred."""
    first, second = days_in(text_of("From 2019-03-02 to 2019-04-11.", "p"))
    assert second - first == timedelta(days=40)
    assert days_in(text_of("On 2019-03-02.", "p", document="other")) == [first]
    shifts = {days_in(text_of("On 2019-03-02.", f"p{number}"))[0] for number in range(200)}
    assert len(shifts) > 100
    assert days_in(text_of("On 2019-03-02.", "p", key=b"o" * 32)) != [first]


@pytest.mark.parametrize("patients", [(), ("p", "q")])
def test_dates_of_nobody_and_of_several_are_taken_out(patients: tuple[str, ...]) -> None:
    """Only where one patient is known can the shift be theirs."""
    assert text_of("On 2019-03-02.", *patients) == "On [DATE]."


def test_a_day_of_birth_is_never_shifted_nor_does_another_date_become_it() -> None:
    """What is said to be one goes whatever it is; a date that would fall on the known one goes too, so that it is not
    withheld for ever."""
    assert text_of("Born 2019-03-02, seen 2019-03-02.", "p").startswith("Born [DATE], seen 201")
    moved = days_in(text_of("On 2019-03-02.", "p"))[0]
    assert text_of("On 2019-03-02, then 2019-03-03.", "p", known=(moved.isoformat(),)) == (
        f"On [DATE], then {moved + timedelta(days=1)}."
    )
    assert text_of("She was born on November 30, 1951.", "p", known=KNOWN) == "She was born on [date]."


def test_marks_are_counted_and_kept_as_before() -> None:
    """A tag with letters is counted as its category, and a patient called Name does not break one."""
    form = CHOSEN.form(replace(NOTE, text="Mr. Name saw Mr. Berg."), ("Ann Name", "Name, Ann"), KEY)
    assert form is not None
    assert re.fullmatch(r"Mr. \[name\] saw \[NAME-[A-Z]{3}\]\.", form.text)
    assert CHOSEN.counted(form) == {"name": 1, "NAME": 1}


@pytest.mark.parametrize(
    ("written", "names", "dates"),
    [(True, "tag", "tag"), ({"names": "numbered"}, "numbered", "tag"), ({"dates": "shifted"}, "tag", "shifted")],
)
def test_an_owner_chooses_for_a_collection(written: object, names: str, dates: str) -> None:
    """`redact = true` as before, or a table; another choice is another version, and all forms are made anew."""
    table = {"id": "c", "folder": "f", "release_class": "protocol"}
    made = redaction_of(CollectionConfig.model_validate({**table, "redact": written}))
    plain = redaction_of(CollectionConfig.model_validate({**table, "redact": True}))
    assert made is not None
    assert plain is not None
    assert (made.names, made.dates) == (names, dates)
    assert (made.version == plain.version) == (written is True)
    assert redaction_of(CollectionConfig.model_validate({**table, "redact": False})) is None
    with pytest.raises(ValidationError):
        CollectionConfig.model_validate({**table, "redact": {"names": "real"}})
    assert CollectionConfig.model_validate({**table, "release_class": "patient", "redact": {}}).redact == RedactConfig()


def test_a_record_is_ingested_with_its_patients_shift(folder, store, encoder) -> None:
    """Visit and note are moved by the same number of days, and no identifier of the record is left."""
    note = attached("Quillon fell on 2019-03-12. Born 11/23/1951.")
    root = folder({"a.json": written(bundle(of_visit("DocumentReference", content=[{"attachment": note}]))).decode()})
    ingest(root, "c", store, encoder, redaction=CHOSEN)
    forms = store.redacted(range(1, 99), CHOSEN.version).values()
    words = "\n".join(f"{form.title}\n{form.section}\n{form.text}" for form in forms)
    days = {"visit": date(2019, 3, 2), "fall": date(2019, 3, 12)}
    assert "2019-03-02" not in words
    found = days_in(words)
    assert any(later - earlier == days["fall"] - days["visit"] for earlier in found for later in found)
    assert words_found(("Quillon", "1951-11-23", "11/23/1951", "2019-03-12"), words) == []
