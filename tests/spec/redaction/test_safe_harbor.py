"""The eighteen kinds of identifiers of 45 CFR 164.514(b)(2)(i): each has a recogniser, and a line in the documents."""

import re
from pathlib import Path

import pytest

from fedrag.redaction import PatternRedactor
from fedrag.redaction.patterns import RECOGNISERS

DOCUMENT = Path(__file__).parents[3] / "docs" / "redaction.md"

KINDS = {
    "A": ("Names", ["Seen with Marguerite today.", "hi , fernando . how are you ?", "KOWALSKI, ADAM was admitted."]),
    "B": (
        "Geographic subdivisions smaller than a state",
        ["Lives at 48 Larkspur Hill Road, Duluth, MN 55802.", "P.O. Box 4471 is hers.", "Apt. 16B, postcode SW1A 2AA."],
    ),
    "C": (
        "All elements of dates but the year, ages over 89",
        ["Admitted 03/14/2024.", "Fell on the 21st of October.", "Encounter 2019-03-02: cough.", "A 94-year-old."],
    ),
    "D": ("Telephone numbers", ["Call (212) 555-0142.", "mobile: 07700 900 123"]),
    "E": ("Fax numbers", ["fax 617 555 0199", "Fax: +44 20 7946 0321"]),
    "F": ("E-mail addresses", ["write to m.oduya@example.org"]),
    "G": ("Social security numbers", ["SSN 512-44-9071", "social security number 512449071"]),
    "H": ("Medical record numbers", ["MRN 00482915", "medical record number is KX-20931"]),
    "I": ("Health plan beneficiary numbers", ["Medicare #AB-987654", "member ID 88123-77"]),
    "J": ("Account numbers", ["account no. 88213-4410", "DE89 3704 0044 0532 0130 00", "4539 1488 0343 6467"]),
    "K": (
        "Certificate and licence numbers",
        ["licence S99942380", "certificate no. 1002938", "passport X45815551X"],
    ),
    "L": ("Vehicle identifiers, serial numbers and plates", ["VIN 1HGCM82633A004352", "license plate 7ABC123"]),
    "M": (
        "Device identifiers and serial numbers",
        ["pacemaker serial number PX-99213", "(01)00884838049321(17)251231(10)A213B1", "00:1B:44:11:3A:B7"],
    ),
    "N": ("Web addresses", ["https://portal.example.org/p?id=3", "www.example.org/lund"]),
    "O": ("IP addresses", ["192.168.14.7", "2001:db8::7f1"]),
    "P": ("Biometric identifiers", ["fingerprint template 88213-AA", "voiceprint ID 771204"]),
    "Q": ("Full-face photographs", ["IMG_20240305_lund.jpg", "see scans/face-12.png"]),
    "R": ("Any other unique number or code", ["123e4567-e89b-12d3-a456-426614174000", "case #JH-998877"]),
}
"""Letter in the rule → what it names, and texts of nothing but identifiers, their labels and plain words."""

PLAIN = """
a account admitted and apt at box call case certificate cough encounter fax fell fingerprint hers hi how is licence
license lives medical medicare member mobile mrn no number o of old on or p pacemaker passport plate postcode record
security see seen serial social ssn template the to today vin voiceprint was with write year you are she id
"""
CASES = [(letter, text) for letter, (_, texts) in KINDS.items() for text in texts]


@pytest.mark.parametrize(("letter", "text"), CASES)
def test_every_kind_is_taken_out(letter: str, text: str) -> None:
    """Of each example only plain words and the tag are left: no digit, and no other word."""
    redacted, counts = PatternRedactor().redact(text)
    assert counts
    left = re.sub(r"\[[A-Z_]+\]", " ", redacted)
    assert not re.search(r"\d", left), redacted
    assert set(re.findall(r"[^\W\d_]+", left.lower())) <= set(PLAIN.split()), redacted


def test_every_kind_and_tag_has_a_line_in_the_document() -> None:
    """The table of docs/redaction.md names the eighteen by their letter, and every tag that there is."""
    text = DOCUMENT.read_text(encoding="utf-8")
    for letter, (name, _) in KINDS.items():
        assert re.search(rf"^\| \({letter}\) {re.escape(name)} \|", text, re.MULTILINE), letter
    for category in {one.category for one in RECOGNISERS}:
        assert f"`[{category}]`" in text
