"""What names a patient is taken out of a text, however it is written; what only looks like it stays."""

from datetime import date

import pytest

from retriever_node.patients import Identity, KnownIdentifiers, patient_document
from retriever_node.sources import SourceFile

WHO = Identity(
    key="MRN-0042",
    names=("Zébulon Q. Vanterpool", "Vanterpool, Zébulon Q."),
    dates=(date(1956, 8, 3),),
    addresses=("313 Lockman Row", "Peabody", "01940"),
    telecoms=("tel:+1(555)978-4581", "zeb@example.org"),
    numbers=("999-22-1962", "7"),
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Zébulon Vanterpool coughs", "[name] coughs"),
        ("VANTERPOOL, Zébulon Q. coughs", "[name] coughs"),
        ("mr vanterpool's cough", "mr [name]'s cough"),
        ("Zebulon or Ze\u0301bulon coughs", "[name] or [name] coughs"),
        ("Vanterpool521 coughs", "[name]521 coughs"),
        ("born 1956-08-03", "born [date]"),
        ("born 8/3/56, or 03.08.1956", "born [date], or [date]"),
        ("born August 3rd, 1956 or 3 Aug. 1956", "born [date] or [date]"),
        ("DOB 19560803", "DOB [date]"),
        ("lives at 313  lockman row, PEABODY 01940", "lives at [address], [address] [address]"),
        ("call 555.978.4581 or (555) 978-4581 or +1 5559784581", "call [contact] or [contact] or [contact]"),
        ("write ZEB@example.org", "write [contact]"),
        ("SSN 999221962, 999 22 1962", "SSN [identifier], [identifier]"),
        ("record mrn-0042", "record [identifier]"),
    ],
)
def test_identifiers_are_replaced_by_their_kind(text, expected):
    """Expected texts by hand."""
    assert KnownIdentifiers([WHO]).removed(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "Vanterpoolian sign",
        "dose 7 mg",
        "vitamin Q deficiency",
        "on 1956-08-04",
        "on 2003-08-03",
        "value 1019400",
        "5559784581234",
        "MRN-00421",
    ],
)
def test_what_only_contains_an_identifier_stays(text):
    """Whole words and whole numbers only; initials and numbers of three characters are not looked for."""
    assert KnownIdentifiers([WHO]).removed(text) == text


def test_names_with_small_words_and_titles(folder):
    """`de la` and `Dr.` are words of every text; the other parts of the name are found."""
    known = KnownIdentifiers([Identity("x", names=("Dr. Maria de la Cruz-Lopez",))])
    assert known.removed("dr. lopez saw la Cruz, de novo MARIA") == "dr. [name] saw la [name], de novo [name]"


def test_a_document_about_a_patient_holds_no_identifier_anywhere(tmp_path):
    """Title, headings, texts, version and date are cleaned in one place; provenance keeps what was found out."""
    source = SourceFile("Vanterpool_Zebulon.json", tmp_path / "Vanterpool_Zebulon.json", b"secret")
    made = patient_document(
        source,
        "c",
        KnownIdentifiers([WHO]),
        document_id=source.opaque_id("test", "MRN-0042"),
        title="Birth of Vanterpool 1956-08-03",
        effective_date=date(1956, 8, 3),
        parts=[("Note for Vanterpool", "He lives in Peabody.\n\nHe is well."), ("", "")],
        version="of Vanterpool",
        encounter="visit 1",
    )
    assert (made.title, made.name, made.version) == ("Birth of [name] [date]",) * 2 + ("of [name]",)
    assert made.effective_date is None
    (section,) = made.sections
    assert (section.heading, section.text) == ("Note for [name]", "He lives in [address].\n\nHe is well.")
    assert (made.patients, made.encounter) == (("MRN-0042",), "visit 1")
    assert {"999-22-1962", "1956-08-03", "Peabody"} <= set(made.identifiers)


def test_opaque_ids_depend_on_key_and_every_part():
    """The same at each reading; another key, another part or another cut between parts is another id."""
    source = SourceFile("a", None, b"secret")  # type: ignore[arg-type]
    ids = [
        source.opaque_id("12", "3"),
        source.opaque_id("1", "23"),
        source.opaque_id("123"),
        SourceFile("a", None, b"other").opaque_id("12", "3"),  # type: ignore[arg-type]
    ]
    assert len(set(ids)) == 4
    assert source.opaque_id("12", "3") == ids[0]
    assert not any(one == "123" for one in ids)
