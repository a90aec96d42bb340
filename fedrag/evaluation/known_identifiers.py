"""Is anything left of what a record says about its patient? Ingested as a hospital does, searched by other means.

The identifiers are read from the files here, and searched here, by code that the redaction has no part in.
"""

import base64
import gzip
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Final
from xml.etree import ElementTree as ET

from fedrag.encoders.hashing import Hashing
from fedrag.redaction import pattern_detector
from retriever_node.ingest import ingest
from retriever_node.redaction import Redaction
from retriever_node.store import PassageStore
from retriever_node.store.forms import RedactedForm

_CCDA: Final = "{urn:hl7-org:v3}"
_ROLE: Final = f"{_CCDA}patientRole"
_TELECOM: Final = f"{_ROLE}/{_CCDA}telecom"
_WORDS: Final = (
    *(f"{_ROLE}/{_CCDA}patient/{_CCDA}name/{_CCDA}{part}" for part in ("given", "family")),
    *(f"{_ROLE}/{_CCDA}addr/{_CCDA}{part}" for part in ("streetAddressLine", "city", "postalCode")),
)
"""Where the header states the patient's own names and address."""
_NAME: Final = re.compile(r"[^\W\d_]{2,}")
_VISITS: Final = 4


@dataclass(frozen=True, slots=True)
class Known:
    """What a record says of its patient, as one string each: words, and days in ISO 8601."""

    words: frozenset[str]
    days: frozenset[date]

    def found(self, text: str) -> int:
        """How many of them stand in a text, however written."""
        return sum(bool(pattern.search(text)) for pattern in self.patterns())

    def patterns(self) -> Iterator[re.Pattern[str]]:
        for words in sorted(self.words):
            digits = re.sub(r"\D", "", words)
            if len(digits) >= 6 and not re.search(r"[^\W\d_]", words):
                form = r"[\s().\-/+]{0,3}".join(digits)
            else:
                form = r"[\s,]+".join(map(re.escape, words.split()))
            yield re.compile(rf"(?<![^\W_]){form}(?![^\W_])", re.IGNORECASE)
        for day in sorted(self.days):
            yield re.compile("|".join(map(re.escape, _written(day))), re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Leaks:
    """`forms` could leave, `withheld` could not. `before`: identifiers found in the files; `leaks`: in the forms."""

    patients: int = 0
    identifiers: int = 0
    forms: int = 0
    withheld: int = 0
    before: int = 0
    leaks: int = 0

    def __add__(self, other: "Leaks") -> "Leaks":
        return Leaks(
            self.patients + other.patients,
            self.identifiers + other.identifiers,
            self.forms + other.forms,
            self.withheld + other.withheld,
            self.before + other.before,
            self.leaks + other.leaks,
        )


def leaks_of_files(folder: Path, scratch: Path, *, surrogates: bool) -> Leaks:
    """Of FHIR bundles and C-CDA documents, each about one patient."""
    total = Leaks()
    for path in sorted(one for one in folder.iterdir() if one.is_file()):
        raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        known = _of_bundle(json.loads(raw)) if ".json" in path.name else _of_document(raw)
        name = path.name.removesuffix(".gz")
        total += _leaks({name: raw}, known, raw.decode(), scratch, surrogates=surrogates)
    return total


def leaks_of_synthetic_patients(path: Path, scratch: Path, *, surrogates: bool, most: int | None = None) -> Leaks:
    """Of patients whose identifiers are known: a bundle for each, with a note that spells out every one in several
    ways."""
    total = Leaks()
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for _, line in zip(range(most or 1_000_000), lines, strict=False):
            one = json.loads(line)
            note = _note(one["identifiers"])
            raw = json.dumps(_bundle(one, note)).encode()
            total += _leaks(
                {"one.json": raw}, _of_identifiers(one["identifiers"]), note, scratch, surrogates=surrogates
            )
    return total


def _leaks(files: Mapping[str, bytes], known: Known, text: str, scratch: Path, *, surrogates: bool) -> Leaks:
    place = scratch / "records"
    place.mkdir(exist_ok=True)
    for old in place.iterdir():
        old.unlink()
    for name, raw in files.items():
        (place / name).write_bytes(raw)
    encoder = Hashing(16, 256)
    plain = Redaction(pattern_detector())
    redaction = Redaction(pattern_detector(), "numbered", "shifted") if surrogates else plain
    database = scratch / "records.sqlite"
    with closing(PassageStore.open(database, encoder.identity)) as store:
        report = ingest(place, "records", store, encoder, redaction=redaction)
        ids = store.vectors("records")[0].tolist()
        forms = list(store.redacted(ids, redaction.version).values())
    for left in scratch.glob("records.sqlite*"):
        left.unlink()
    return Leaks(
        patients=1,
        identifiers=len(known.words) + len(known.days),
        forms=len(forms),
        withheld=report.redaction.withheld if report.redaction else 0,
        before=known.found(text),
        leaks=sum(known.found(one) for form in forms for one in _texts(form)),
    )


def _texts(form: RedactedForm) -> tuple[str, ...]:
    return form.document_id, form.document_name, form.title, form.section, form.version, form.text


def _of_bundle(bundle: Mapping[str, Any]) -> Known:
    """Everything that the Patient resource says but race, gender and language, which name nobody."""
    resources = [entry["resource"] for entry in bundle["entry"]]
    patient = next(one for one in resources if one["resourceType"] == "Patient")
    names = [str(part) for name in patient["name"] for part in (*name.get("given", ()), name.get("family", ""))]
    words = [str(one["value"]) for one in (*patient.get("identifier", ()), *patient.get("telecom", ()))]
    for address in patient.get("address", ()):
        words += [*address.get("line", ()), address.get("city", ""), address.get("postalCode", "")]
    days = (patient.get(name, "")[:10] for name in ("birthDate", "deceasedDateTime"))
    return _known((*names, *words, str(patient["id"])), days)


def _of_document(raw: bytes) -> Known:
    """Names, ids, addresses, telecoms and day of birth in the document's recordTarget."""
    target = ET.fromstring(raw).find(f"{_CCDA}recordTarget")  # noqa: S314 - published sample documents
    if target is None:
        return _known((), ())
    role = target.find(_ROLE)
    words = [part.get("extension") or "" for part in role.findall(f"{_CCDA}id")] if role is not None else []
    words += [re.sub(r"^\w+:", "", part.get("value") or "") for part in target.findall(_TELECOM)]
    for place in _WORDS:
        words += ["".join(part.itertext()).strip() for part in target.findall(place)]
    born = [part.get("value") or "" for part in target.iter(f"{_CCDA}birthTime")]
    return _known(words, (f"{day[:4]}-{day[4:6]}-{day[6:8]}" for day in born))


def _of_identifiers(given: Mapping[str, str]) -> Known:
    days = {"birth_date", "death_date"}
    return _known((value for name, value in given.items() if name not in days), (given.get(name, "") for name in days))


def _known(words: Iterable[str], days: Iterable[str]) -> Known:
    """Numbers of fewer than four characters are no identifiers by themselves, nor are initials."""
    kept = (one.strip() for one in words)
    return Known(
        frozenset(one for one in kept if len(one) > 3 or _NAME.fullmatch(one)),
        frozenset(date.fromisoformat(one) for one in days if re.fullmatch(r"\d{4}-\d\d-\d\d", one)),
    )


def _written(day: date) -> tuple[str, ...]:
    month = f"{day:%B}"
    return (
        *(f"{day:{form}}" for form in ("%Y-%m-%d", "%Y%m%d", "%m/%d/%Y", "%d/%m/%Y", "%d.%m.%Y", "%m/%d/%y")),
        *(f"{day.month}/{day.day}/{day.year}", f"{day.day}.{day.month}.{day.year}"),
        *(f"{name} {day.day}, {day.year}" for name in (month, month[:3])),
        *(f"{day.day} {name} {day.year}" for name in (month, month[:3])),
    )


def _note(given: Mapping[str, str]) -> str:
    born = date.fromisoformat(given["birth_date"])
    phone, first, last = given["phone"].split("-"), given["given_name"], given["family_name"]
    paragraphs = (
        f"""{last.upper()}, {first.upper()}, born {born:%B} {born.day}, {born.year}, lives at {given["street"]} in \
{given["city"]} {given.get("postal_code", "")}. {first} is here for review; {last} feels well.""",
        f"""Phone ({phone[0]}) {phone[1]} {phone[2]}, SSN {given["ssn"].replace("-", " ")}, also {given["ssn"]}. \
Record {given["medical_record_number"]}. Licence {given.get("drivers_license", "none")}, passport \
{given.get("passport", "none")}. Seen first on {born:%m/%d/%Y}, the day of birth ({born:%d.%m.%Y}).""",
        f"""Plan: continue treatment. mrs {last.lower()} and {first.lower()} agree; copy to {first[0]}. {last}. \
Died: {given.get("death_date", "no")}. Next visit 2021-05-14, then June 3, 2021.""",
    )
    return "\n\n".join(paragraphs)


def _bundle(one: Mapping[str, Any], note: str) -> dict[str, object]:
    given, patient = one["identifiers"], one["patient_id"]
    subject = {"reference": f"Patient/{patient}"}
    resource: dict[str, object] = {
        "resourceType": "Patient",
        "id": patient,
        "identifier": [
            {"type": {"coding": [{"code": "MR"}]}, "value": given["medical_record_number"]},
            *({"value": given[name]} for name in ("ssn", "drivers_license", "passport") if name in given),
        ],
        "name": [{"given": [given["given_name"]], "family": given["family_name"]}],
        "birthDate": given["birth_date"],
        "telecom": [{"value": given["phone"]}],
        "address": [
            {"line": [given["street"]], "city": given["city"], "postalCode": given.get("postal_code", "")},
        ],
    }
    if "death_date" in given:
        resource["deceasedDateTime"] = given["death_date"]
    visits = [
        {
            "resourceType": "Encounter",
            "id": visit["encounter_id"],
            "subject": subject,
            "type": [{"text": visit["type"]}],
            "period": {"start": visit["date"]},
            "serviceProvider": {"display": visit["organization"]},
        }
        for visit in one["encounters"][:_VISITS]
    ]
    written = {
        "resourceType": "DocumentReference",
        "id": "note",
        "subject": subject,
        "description": f"Note about {given['given_name']} {given['family_name']}",
        "content": [{"attachment": {"contentType": "text/plain", "data": base64.b64encode(note.encode()).decode()}}],
    }
    return {"resourceType": "Bundle", "entry": [{"resource": part} for part in (resource, *visits, written)]}
