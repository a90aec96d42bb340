"""C-CDA: the narrative as it was signed, section by section, without what the header says of the person."""

import re
import xml.etree.ElementTree as ET
from datetime import date

import pytest
from health_records import IDENTIFIERS, attached, clinical_document, data, structured, words_found

from retriever_node.clinical_document import header
from retriever_node.documents import Document, Unreadable
from retriever_node.markup import parse_xml
from retriever_node.readers import read_folder


def read(root) -> list[Document | Unreadable]:
    return list(read_folder(root, "c", key=b"secret"))


def one(root) -> Document:
    (found,) = read(root)
    assert isinstance(found, Document), found
    return found


def section(title: str, text: str, *inner: str) -> str:
    inside = "".join(f"<component>{one}</component>" for one in inner)
    return f"<section><title>{title}</title><text>{text}</text>{inside}</section>"


MEDICATIONS = """<table><thead><tr><th>Medication:</th><th>Directions</th></tr></thead><tbody>
<tr><td><content ID="m1">Atenolol 25 <sub>MG</sub></content></td><td>1 every 12 hours</td></tr>
<tr><td>Proventil</td><td/></tr></tbody></table>"""


def test_sections_paragraphs_lists_and_tables(folder):
    """Nested sections have both headings, rows the header of each cell, items a mark; coded entries are not text."""
    body = structured(
        section("Medications", MEDICATIONS),
        section(
            "Hospital course",
            "Stable.<list><caption>Problems</caption><item>Angina</item><item>Gout<br/>left toe</item></list>",
            section("Findings", "<paragraph>Clear lungs.</paragraph><renderMultiMedia>X</renderMultiMedia>"),
        ),
        "<section><title>Empty</title><text/><entry><act><code displayName='CODED'/></act></entry></section>",
    )
    made = one(folder({"Brakspear.xml": clinical_document(body)}))
    assert made.title == made.name == "Discharge summary 2019-03-05"
    assert (made.version, made.effective_date) == ("2", date(2019, 3, 5))
    assert (made.patients, made.encounter) == (("MRN-88123",), "1.2.5:enc-555")
    assert [(part.heading, part.text) for part in made.sections] == [
        ("Medications", "- Medication: Atenolol 25 MG; Directions: 1 every 12 hours\n- Medication: Proventil"),
        ("Hospital course", "Stable.\n\nProblems\n\n- Angina\n- Gout\nleft toe"),
        ("Hospital course / Findings", "Clear lungs."),
    ]
    assert "CODED" not in repr(made)


def test_what_is_coded_and_not_said_follows_the_narrative(folder):
    """Names whose words the narrative lacks, each once; neither what it says in other order or case, nor what is coded
    as absent or of a relative, nor the kind of a statement; identifiers of the patient are taken out of them too."""

    def problem(name: str, negated: str = "false") -> str:
        return f"""<entry><act negationInd="{negated}"><code displayName="Concern"/>
          <entryRelationship typeCode="SUBJ"><observation><code displayName="Diagnosis"/><value displayName="{name}"/>
          <entryRelationship typeCode="REFR"><observation><value displayName="Active"/></observation>
          </entryRelationship></observation></entryRelationship></act></entry>"""

    medicine = """<entry><substanceAdministration><consumable><manufacturedProduct><manufacturedMaterial>
      <code displayName="albuterol 0.09 MG [Proventil]"/></manufacturedMaterial></manufacturedProduct></consumable>
      </substanceAdministration></entry>"""
    allergy = """<entry><observation negationInd="true"><participant><participantRole><playingEntity>
      <code displayName="Penicillin"/></playingEntity></participantRole></participant></observation></entry>"""
    relative = """<entry><organizer><component><observation><value displayName="Breast cancer"/></observation>
      </component></organizer></entry>"""
    procedure = '<entry><procedure><code displayName="Appendectomy"/></procedure></entry>'
    entries = "".join(
        (
            problem("Mixed asthma"),
            problem("Mixed asthma"),
            problem("chronic PAIN"),
            problem("Gout", "true"),
            problem("Croup", "1"),
            medicine,
            relative,
        )
    )
    body = structured(
        f"<section><title>Problems</title><text>Pain, chronic. Asthma.</text>{entries}</section>",
        f"<section><title>Other</title><text/>{allergy}{procedure}{problem('Brakspear syndrome')}</section>",
    )
    problems, other = one(folder({"d.xml": clinical_document(body)})).sections
    assert problems.text == "Pain, chronic. Asthma.\n\nCoded besides: Mixed asthma; albuterol 0.09 MG [Proventil]."
    assert other.text == "Coded besides: Appendectomy; [name] syndrome."


def test_no_identifier_of_the_patient_in_anything_that_could_leave(folder):
    """The canaries are all identifiers of the header, its ids and the file's name."""
    said = (
        "Brakspear, Quillon J of 14 Cobblers Yard, Wexcombe 04422, born Nov 23, 1951 (11/23/1951), SSN 999-31-7755,"
        " MRN-88123, (555) 302-9944, q.brakspear@example.org, daughter Ottoline Fennimore"
    )
    body = structured(section(f"Seen: {said}", f"<paragraph>{said}</paragraph><list><item>{said}</item></list>"))
    made = one(folder({"MRN-88123_Brakspear.xml": clinical_document(body, title=f"Summary of {said}")}))
    leaving = [
        made.document_id,
        made.name,
        made.title,
        made.version,
        *(f"{p.heading}\n{p.text}" for p in made.sections),
    ]
    assert words_found((*IDENTIFIERS, "Nov 23, 1951"), "\n".join(leaving)) == []
    assert made.sections[0].text.startswith("[name] of [address], [address] [address], born [date] ([date]), SSN")
    assert {"MRN-88123", "1951-11-23", "Ottoline Fennimore"} <= set(made.identifiers)


def test_the_header_names_no_clinician_and_no_clinic(folder):
    """Only the person and those around them are identifiers; the clinic's name and address stay readable."""
    around = (
        "<author><assignedAuthor><assignedPerson><name>Dr Henry Seven</name></assignedPerson></assignedAuthor></author>"
        "<informant><relatedEntity><relatedPerson><name>Frank</name></relatedPerson></relatedEntity></informant>"
    )
    body = structured(section("Plan", "Dr Seven of Harbour Clinic told Frank to rest."))
    made = one(folder({"a.xml": clinical_document(body, more=around)}))
    assert made.sections[0].text == "Dr Seven of Harbour Clinic told [name] to rest."


@pytest.mark.parametrize(
    ("ids", "expected"),
    [
        ('<id root="2.16.840.1.113883.4.1" extension="999"/>', "999"),
        (
            '<id nullFlavor="UNK"/><id root="6a1c2d3e-0000-4000-8000-000000000001"/>',
            "6a1c2d3e-0000-4000-8000-000000000001",
        ),
        ("", "Ann Lee 19700101"),
    ],
)
def test_the_patients_key_falls_back(ids, expected):
    """Record number, else a UUID, else the social security number, else name and birth."""
    document = (
        f'<ClinicalDocument xmlns="urn:hl7-org:v3"><recordTarget><patientRole>{ids}<patient><name>Ann Lee</name>'
        '<birthTime value="19700101"/></patient></patientRole></recordTarget></ClinicalDocument>'
    )
    assert [who.key for who in header(parse_xml(document.encode())).people if who.key] == [expected]


def test_a_document_that_wraps_another_format(folder):
    """Text inside is read, also as base64; a picture is not, and that is said."""
    plain = "<nonXMLBody><text mediaType='text/plain'>Seen Brakspear. Well.</text></nonXMLBody>"
    packed = attached("Seen Brakspear. Well.")["data"]
    base64 = f"<nonXMLBody><text mediaType='text/plain' representation='B64'>{packed}</text></nonXMLBody>"
    image = f"<nonXMLBody><text mediaType='image/png' representation='B64'>{packed}</text></nonXMLBody>"
    root = folder({f"{n}.xml": clinical_document(body) for n, body in enumerate((plain, base64, image))})
    assert [item.code if isinstance(item, Unreadable) else item.sections[0].text for item in read(root)] == [
        "Seen [name]. Well.",
        "Seen [name]. Well.",
        "unsupported_attachment",
    ]


LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (f'<!DOCTYPE x [<!ENTITY l0 "ha">{LAUGHS}]><ClinicalDocument>&l9;</ClinicalDocument>', "document_type"),
        (
            '<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><ClinicalDocument>&e;</ClinicalDocument>',
            "document_type",
        ),
        ('<!DOCTYPE x SYSTEM "http://127.0.0.1:9/x.dtd"><ClinicalDocument/>', "document_type"),
        ('<!DOCTYPE x [<!ENTITY % p SYSTEM "file:///etc/passwd">%p;]><x/>', "document_type"),
        ("<a>" * 5000 + "</a>" * 5000, "too_deep"),
        ("<a>&undefined;</a>", "bad_xml"),
        ("<ClinicalDocument", "bad_xml"),
        ('<?xml version="1.0" encoding="klingon"?><a/>', "bad_xml"),
        ("", "empty"),
        ("<note>not clinical</note>", "unknown_format"),
        ('<Bundle xmlns="http://hl7.org/fhir"/>', "unknown_format"),
        ("<ClinicalDocument/>", "unknown_format"),
        ('<ClinicalDocument xmlns="urn:hl7-org:v3"/>', "empty"),
    ],
)
def test_hostile_and_foreign_xml_is_refused_before_it_is_acted_on(folder, content, code):
    """Entities are never declared, so none expands and none is fetched; each kind of file has its code."""
    (item,) = read(folder({"a.xml": content}))
    assert isinstance(item, Unreadable)
    assert item.code == code
    assert "root:" not in item.reason


def test_an_external_entity_brings_nothing_in(folder, tmp_path):
    """A clinical document that is sound otherwise: neither its text nor the reason holds what the entity points to."""
    canary = tmp_path / "canary.txt"
    canary.write_text("CANARY-77")
    sound = clinical_document(structured(section("Plan", "Rest. &leak;"))).decode()
    hostile = sound.replace(
        "<ClinicalDocument", f'<!DOCTYPE x [<!ENTITY leak SYSTEM "{canary.as_uri()}">]><ClinicalDocument'
    )
    items = read(folder({"a.xml": hostile, "b.xml": sound.replace("&leak;", "")}))
    assert [type(item) for item in items] == [Unreadable, Document]
    assert "CANARY" not in repr(items)


REAL = {
    "CCD_CCD.XML": ("Proventil 0.09 MG/ACTUAT inhalant solution", "Penicillin", "Pneumonia", "Former smoker"),
    "Discharge_Summary_Discharge_Summary.xml": ("Appendicitis", "Codeine"),
    "Progress_Note_Progress_Note.xml": ("Recurrent GI bleed of unknown etiology", "Atenolol 25 MG Oral Tablet"),
    "Operative_Note_Operative_Note.xml": ("appendectomy",),
    "Care_Plan_Care_Plan.xml": ("Pulse oximetry", "Current every day smoker"),
    "Diagnostic_Imaging_Report_Diagnostic_Imaging_Report.xml": ("Round density in left superior hilus",),
}


def test_real_documents_keep_their_words_and_lose_their_people():
    """Every word of every narrative is in the text unless it names the patient; nobody of the header's circle is."""
    folder = data("health_formats", "ccda")
    made = {item.source: item for item in read(folder) if isinstance(item, Document)}
    assert made.keys() == REAL.keys()
    for name, phrases in REAL.items():
        root = ET.parse(folder / name).getroot()  # noqa: S314 - a published sample
        text = "\n".join(f"{part.heading}\n{part.text}" for part in made[name].sections)
        for phrase in phrases:
            assert phrase.casefold() in text.casefold(), (name, phrase)
        space = "{urn:hl7-org:v3}"
        target = root.find(f"{space}recordTarget/{space}patientRole")
        clinic = target.find(f"{space}providerOrganization")
        if clinic is not None:
            target.remove(clinic)
        tags = ("given", "family", "streetAddressLine", "city", "postalCode")
        named = {"".join(one.itertext()).strip() for tag in tags for one in target.iter(space + tag)}
        named |= {one.get("extension") for one in target.iter(f"{space}id") if one.get("extension")}
        leaving = "\n".join((made[name].document_id, made[name].title, made[name].name, text))
        assert words_found(tuple(filter(None, named)), leaving) == []
        assert len(made[name].patients) == 1
        words = set(re.findall(r"[A-Za-z]{4,}", text))
        for narrative in root.iterfind(f".//{space}section/{space}text"):
            for column in narrative.iter(f"{space}th"):  # the header of a column without any value is not said
                column.clear()
            said = set(re.findall(r"[A-Za-z]{4,}", " ".join(narrative.itertext())))
            assert {word for word in said - words if not words_found((word,), " ".join(named))} == set(), name
