"""Whether what a record says is found by a plain question, and whether anything that leaves names a patient.

The FHIR bundles and C-CDA documents of the data packages are ingested as a hospital would, with the shipped encoder;
so are the condensed Synthea patients, written out as bundles. What each file codes as a condition or a medication is
asked for as a clinician would ask: "Does the patient have X?", "Is the patient taking X?". The search is that of
`fedrag-node search`, by words and vectors. Found means that one of the first k passages says X, word for word, as coded
or as the narrative that the code points to words it. What a C-CDA has in its codes alone, with other words in the
narrative that was signed, is asked for and counted apart.

Asked are the whole node, and a node for each file alone. Then the node is served as a process of its own, all of it
under class `public`, which no owner of records would choose, and asked the same over HTTP: every identifier of
every patient is looked for in each offer, in the log, the metrics and the description. Needs FEDRAG_DATA.
"""

import argparse
import asyncio
import gzip
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final
from xml.etree import ElementTree as ET

from calibration_error import Cached
from reporting import Figure, Table, circumstances, goals

from fedrag.config import CoordinatorConfig
from fedrag.core.config import PluginConfig
from fedrag.core.deadline import Deadline
from fedrag.core.exchange import OfferRequest
from fedrag.core.identity import Asker, Purpose
from fedrag.core.protocols import Encoder
from fedrag.core.question import PassageFilter
from fedrag.core.wire import ReleaseClass, encode_vector, new_request_id
from fedrag.encoders import ENCODERS
from fedrag.evaluation.vectors import CachedVectors
from fedrag.home import open_config, open_issuer
from fedrag.http.client import RemoteNode, http_client
from fedrag.http.signing import Signer
from fedrag.local_federation import LocalFederation
from fedrag.terminal import progress
from retriever_node.assemble import open_store
from retriever_node.collection import Collection
from retriever_node.config import CollectionConfig, NodeConfig, QuotaConfig
from retriever_node.home import NodeHome
from retriever_node.indexes import INDEXES
from retriever_node.ingest import ingest
from retriever_node.store import PassageStore
from retriever_node.terms import terms_of

DEPTHS: Final = (5, 10)
NODE: Final = "hospital-0"
COORDINATOR: Final = "benchmark"
CONDITION: Final = "Does the patient have {}?"
MEDICATION: Final = "Is the patient taking {}?"
HL7: Final = {"v": "urn:hl7-org:v3"}
_V3: Final = "{urn:hl7-org:v3}"
_PROBLEM: Final = "2.16.840.1.113883.10.20.22.4.4"
_MEDICATION: Final = "2.16.840.1.113883.10.20.22.4.16"
_TAG: Final = re.compile(r"\s*\((?:disorder|finding|situation|morphologic abnormality|procedure)\)$")


@dataclass(frozen=True)
class Statement:
    """What a file says. `words`: the ways in which its text may say it. `told`: whether the narrative of a C-CDA says
    it at all, and not its coded entries alone."""

    format: str
    file: str
    question: str
    kind: str
    words: tuple[str, ...]
    told: bool = True


@dataclass(frozen=True)
class Record:
    """One file of a patient, and the strings that name the patient."""

    format: str
    name: str
    content: bytes
    statements: tuple[Statement, ...]
    identifiers: tuple[str, ...]


def fhir_record(form: str, name: str, bundle: Mapping[str, Any]) -> Record:
    """Read here a second time, in a few lines that share nothing with the product's reader."""
    resources = [one["resource"] for one in bundle["entry"]]
    statements, identifiers = [], []
    for one in resources:
        code = one.get("code") if one["resourceType"] == "Condition" else one.get("medicationCodeableConcept")
        if one["resourceType"] in ("Condition", "MedicationRequest") and code:
            words = _TAG.sub("", code.get("text") or code["coding"][0]["display"])
            asked = CONDITION if one["resourceType"] == "Condition" else MEDICATION
            kind = "condition" if asked is CONDITION else "medication"
            statements.append(Statement(form, name, asked.format(words), kind, (words,)))
        if one["resourceType"] == "Patient":
            identifiers += [one["id"], one.get("birthDate", "")]
            identifiers += [each["value"] for each in one.get("identifier", ())]
            identifiers += [each["value"] for each in one.get("telecom", ())]
            for each in one.get("name", ()):
                identifiers += [each.get("family", ""), *each.get("given", ())]
            for each in one.get("address", ()):
                identifiers += [*each.get("line", ()), each.get("city", ""), each.get("postalCode", "")]
            for each in one.get("extension", ()):
                identifiers.append(each.get("valueString", ""))
    return Record(form, name, json.dumps(bundle).encode(), _unique(statements), _long_enough(identifiers))


def ccda_record(name: str, content: bytes) -> Record:
    root = ET.fromstring(content)  # noqa: S314 - files of our own data packages
    narrative = {one.get("ID"): " ".join("".join(one.itertext()).split()) for one in root.iter() if one.get("ID")}
    texts = [one for part in root.iter(f"{_V3}section") for one in part.findall("v:text", HL7)]
    whole = " ".join(" ".join(one.itertext()) for one in texts)
    statements = []
    for entry in root.iter():
        templates = {one.get("root") for one in entry.findall("v:templateId", HL7)}
        if _PROBLEM in templates and entry.get("negationInd") != "true":
            code, asked, kind = entry.find("v:value", HL7), CONDITION, "condition"
        elif _MEDICATION in templates:
            code, asked, kind = entry.find(".//v:manufacturedMaterial/v:code", HL7), MEDICATION, "medication"
        else:
            continue
        if code is None or not code.get("displayName"):
            continue
        coded = _TAG.sub("", str(code.get("displayName")))
        pointers = [*entry.findall("v:text/v:reference", HL7), *code.findall("v:originalText/v:reference", HL7)]
        told = [narrative.get(str(one.get("value")).removeprefix("#"), "") for one in pointers]
        words = (coded, *filter(None, told))
        statements.append(Statement("C-CDA", name, asked.format(coded), kind, words, told=says(whole, words)))
    return Record("C-CDA", name, content, _unique(statements), _long_enough(_people(root)))


def _people(root: ET.Element) -> Iterator[str]:
    for role in root.iterfind("v:recordTarget/v:patientRole", HL7):
        yield from (str(one.get("extension") or "") for one in role.findall("v:id", HL7))
        for path in ("v:addr/v:streetAddressLine", "v:addr/v:city", "v:addr/v:postalCode"):
            yield from (one.text or "" for one in role.iterfind(path, HL7))
        yield from (re.sub(r"^\w+:", "", str(one.get("value") or "")) for one in role.findall("v:telecom", HL7))
        for name in role.iterfind("v:patient/v:name", HL7):
            yield from (one.text or "" for one in name if one.tag in (f"{_V3}given", f"{_V3}family"))
        for birth in role.iterfind("v:patient/v:birthTime", HL7):
            yield str(birth.get("value") or "")[:8]


def synthea_bundle(patient: Mapping[str, Any]) -> dict[str, object]:
    """A condensed patient as the bundle that a hospital would export."""
    known: dict[str, str] = patient["identifiers"]
    own = str(patient["patient_id"])
    who = {"reference": f"Patient/{own}"}
    named = ("medical_record_number", "ssn", "drivers_license", "passport")
    resources: list[dict[str, object]] = [
        {
            "resourceType": "Patient",
            "id": own,
            "identifier": [{"value": known[one]} for one in named if known.get(one)],
            "name": [{"family": known["family_name"], "given": [known["given_name"]]}],
            "birthDate": known["birth_date"],
            "telecom": [{"value": known["phone"]}],
            "address": [{"line": [known["street"]], "city": known["city"], "postalCode": known.get("postal_code", "")}],
        }
    ]
    for visit in patient["encounters"]:
        number, day = visit["encounter_id"], visit["date"]
        of_visit = {"subject": who, "encounter": {"reference": f"Encounter/{number}"}}
        resources.append(
            {
                "resourceType": "Encounter",
                "id": number,
                "status": "finished",
                "class": {"code": visit["class"]},
                "type": [{"text": visit["type"]}],
                "subject": who,
                "period": {"start": day},
            }
        )
        for kind, field, code, when in (
            ("Condition", "conditions", "code", "onsetDateTime"),
            ("MedicationRequest", "medications", "medicationCodeableConcept", "authoredOn"),
            ("Procedure", "procedures", "code", "performedDateTime"),
        ):
            for place, words in enumerate(visit.get(field, ())):
                one = {"resourceType": kind, "id": f"{number}-{field}-{place}", code: {"text": words}, when: day}
                resources.append({**one, "status": "active", **of_visit})
    return {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": one} for one in resources]}


def _unique(statements: Iterable[Statement]) -> tuple[Statement, ...]:
    return tuple(dict.fromkeys(statements))


def _long_enough(identifiers: Iterable[str]) -> tuple[str, ...]:
    """Two characters are in every text; and a code's `null` names nobody."""
    return tuple(dict.fromkeys(one.strip() for one in identifiers if len(one.strip()) > 2))


def read(data: Path, patients: int) -> list[Record]:
    formats = data / "health_formats"
    records = [
        fhir_record("FHIR", path.name[:-3], json.loads(gzip.decompress(path.read_bytes())))
        for path in sorted((formats / "fhir_r4").iterdir())
    ]
    records += [ccda_record(path.name, path.read_bytes()) for path in sorted((formats / "ccda").iterdir())]
    known = {record.name for record in records}
    with gzip.open(data / "synthea_fhir" / "patients_dev.jsonl.gz", "rt", encoding="utf-8") as lines:
        others = (one for one in map(json.loads, lines) if f"{one['patient_id']}.json" not in known)
        for one, _ in zip(others, range(patients), strict=False):
            records.append(fhir_record("Synthea", f"{one['patient_id']}.json", synthea_bundle(one)))
    return records


def write(records: Sequence[Record], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for one in records:
        (folder / one.name).write_bytes(one.content)


def says(text: str, words: Sequence[str]) -> bool:
    """Any of the phrases, whole, whatever its case and white space."""
    plain = " ".join(text.split()).casefold()
    return any(
        re.search(rf"(?<!\w){re.escape(' '.join(one.split()).casefold())}(?!\w)", plain) is not None for one in words
    )


class Searched:
    """Local search over collections, as `fedrag-node search` does it."""

    def __init__(self, store: PassageStore, encoder: Encoder, collections: Sequence[Collection]) -> None:
        self._store, self._encoder, self._collections = store, encoder, collections

    def texts(self, question: str, k: int) -> list[str]:
        """Best first."""
        query, words = self._encoder.encode_queries([question])[0], terms_of(question)
        hits = [hit for one in self._collections for hit in one.search(query, k, words)]
        hits.sort(key=lambda hit: -hit.similarity)
        found = self._store.passages([hit.passage_id for hit in hits[:k]])
        return [one.text for one in found]

    def depth(self, statement: Statement, k: int) -> int | None:
        """The place, from 1, at which it is found."""
        places = enumerate(self.texts(statement.question, k), start=1)
        return next((place for place, text in places if says(text, statement.words)), None)


def opened(store: PassageStore, name: str) -> Collection:
    return Collection.open(store, name, lambda: INDEXES.build("faiss_hnsw"), words=True)


Depths = dict[Statement, int | None]


def asked(searched: Searched, statements: Iterable[Statement]) -> Depths:
    return {one: searched.depth(one, max(DEPTHS)) for one in statements}


def whole_node(records: Sequence[Record], home: NodeHome, config: NodeConfig, encoder: Encoder) -> Depths:
    """Each question once for each format: the records of a hospital say the same of many patients."""
    store = open_store(home, encoder)
    with progress("ingesting the node") as told:
        for done, one in enumerate(config.collections):
            told(done, len(config.collections))
            ingest(one.folder, one.id, store, encoder)
        told(len(config.collections), len(config.collections))
    searched = Searched(store, encoder, [opened(store, one.id) for one in config.collections])
    words: dict[tuple[str, str, str], list[Statement]] = {}
    for statement in (one for record in records for one in record.statements):
        words.setdefault((statement.format, statement.question, statement.kind), []).append(statement)
    distinct = [
        replace(
            said[0],
            file="",
            words=tuple(dict.fromkeys(word for one in said for word in one.words)),
            told=any(one.told for one in said),
        )
        for said in words.values()
    ]
    found = asked(searched, distinct)
    store.close()
    return found


def each_alone(records: Sequence[Record], folder: Path, encoder: Encoder) -> Depths:
    """Every statement of every file, in a node that holds this file only: its own statistics, no other's passages."""
    store = PassageStore.open(folder / "alone.sqlite", encoder.identity)
    found: Depths = {}
    with progress("each file alone") as told:
        for done, one in enumerate(records):
            told(done, len(records))
            write([one], folder / "alone" / str(done))
            ingest(folder / "alone" / str(done), f"file-{done}", store, encoder)
            found |= asked(Searched(store, encoder, [opened(store, f"file-{done}")]), one.statements)
        told(len(records), len(records))
    store.close()
    return found


def table(title: str, found: Depths) -> Table:
    rows: list[tuple[str | int, ...]] = []
    for form in sorted({one.format for one in found}):
        for kind, told in (("condition", True), ("medication", True), ("condition", False), ("medication", False)):
            asked_for = f"{kind}{'' if told else ', in codes alone'}"
            places = [place for one, place in found.items() if (one.format, one.kind, one.told) == (form, kind, told)]
            if places:
                counts = [sum(place is not None and place <= k for place in places) for k in DEPTHS]
                rows.append(
                    (form, asked_for, len(places), *(f"{count} ({count / len(places):.1%})" for count in counts))
                )
    return Table(title, ("format", "asked for", "questions", *(f"found, k={k}" for k in DEPTHS)), tuple(rows))


def missed(found: Depths) -> Table:
    rows = tuple(
        (one.format, one.kind if one.told else f"{one.kind}, in codes alone", one.question)
        for one, place in found.items()
        if place is None
    )
    return Table(f"Not found among the first {max(DEPTHS)}", ("format", "asked for", "question"), rows[:40])


def named_in(identifiers: Iterable[str], text: str) -> set[str]:
    """Those that stand in it as whole words, whatever the case."""
    plain = text.casefold()
    return {
        one
        for one in identifiers
        if one.casefold() in plain
        and re.search(rf"(?<![^\W_]){re.escape(one.casefold())}(?![^\W_])", plain) is not None
    }


@dataclass(frozen=True)
class Served:
    """What a node told: its offers, log lines, metrics, description, and the searches it answered."""

    offers: str
    log: str
    metrics: str
    description: str
    asked: int
    offered: int


async def offers_of(federation: LocalFederation, questions: Sequence[str], encoder: Encoder) -> Served:
    """Everything is asked of a node process over HTTP."""
    (member,) = federation.start_nodes()
    issuer = open_issuer(federation.home, open_config(federation.home))
    if issuer is None:
        raise SystemExit("the federation has no issuer of asker tokens")
    client = http_client()
    signer = Signer.load(federation.home.signing_key)
    remote = RemoteNode(NODE, member.urls[0], member.public_key, COORDINATOR, signer, client)
    told: list[str] = []
    offered = 0
    with progress("asking the node process") as done:
        for number, question in enumerate(questions):
            done(number, len(questions))
            request = OfferRequest(
                request_id=new_request_id(),
                coordinator=COORDINATOR,
                node=NODE,
                vector=encode_vector(encoder.encode_queries([question])[0]),
                comparable_with=encoder.identity.comparable_with,
                text=question,
                k=max(DEPTHS),
                filter=PassageFilter(release_classes=tuple(ReleaseClass)),
                deadline_ms=10_000,
                token=issuer.token(Asker(name="clinician", purpose=Purpose.TREATMENT), NODE),
            )
            reply = (await remote.offers(request, Deadline.after_ms(10_000))).value
            offered += len(reply.offers)
            told.append(reply.model_dump_json(exclude={"offers": {"__all__": {"handle", "sketch"}}}))
            told += [one.model_dump_json(include={"sketch"}) for one in reply.offers]
        done(len(questions), len(questions))
    described = (await remote.describe(Deadline.after_ms(10_000))).value.model_dump_json()
    metrics = (await client.get(f"{member.urls[0]}/metrics")).text
    await client.aclose()
    log = (federation.folder / f"{NODE}.log").read_text(encoding="utf-8")
    return Served("\n".join(told), log, metrics, described, len(questions), offered)


def printed(home: NodeHome) -> str:
    """What `fedrag-node describe` prints."""
    command = [sys.executable, "-m", "retriever_node", "describe", "--home", str(home.folder)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def federation_of(folder: Path, collections: Mapping[str, Path]) -> LocalFederation:
    config = NodeConfig(
        node=NODE,
        name="Hospital 0",
        collections=tuple(
            CollectionConfig(id=name, folder=place, release_class=ReleaseClass.PUBLIC)
            for name, place in collections.items()
        ),
        quota=QuotaConfig(passages_per_asker_per_day=10**9, passages_per_coordinator_per_day=10**9),
    )
    coordinator = CoordinatorConfig(coordinator=COORDINATOR, routing=PluginConfig(name="broadcast"))
    federation = LocalFederation(folder, [config], coordinator)
    federation.create()
    return federation


def leaks(records: Sequence[Record], served: Served, description: str, home: NodeHome) -> Table:
    everyone = {one for record in records for one in record.identifiers}
    rows = []
    for name, text in (
        (f"{served.offered:,} offers of {served.asked:,} questions", served.offers),
        ("log of the node process", served.log),
        ("metrics", served.metrics),
        ("description, over HTTP", served.description),
        ("description, `fedrag-node describe`", description),
    ):
        rows.append((name, len(text), len(named_in(everyone, text))))
    rows.append(own_texts(records, home))
    return Table(
        "Identifiers of patients in what leaves",
        ("where", "characters", "identifiers found"),
        tuple(rows),
        note=f"{len(everyone):,} identifiers of {len(records):,} files: names, birth dates, numbers, addresses, "
        "telephone numbers. The last row is what a policy could release: each passage and its citation against the "
        "identifiers of its own patient.",
    )


def own_texts(records: Sequence[Record], home: NodeHome) -> tuple[str, int, int]:
    """Passages are matched to files by provenance: the patient's number is one of the file's identifiers."""
    store = PassageStore.open(home.passages, ENCODERS.build("minilm").identity)
    named: dict[str, set[str]] = {}
    for record in records:
        for one in record.identifiers:
            named.setdefault(one, set()).update(record.identifiers)
    size, found = 0, 0
    for collection in store.collections():
        ids = [int(one) for one in store.vectors(collection)[0]]
        kept = store.provenance(ids)
        for passage in store.passages(ids):
            text = f"{passage.text}\n{passage.citation().model_dump_json(exclude={'document_id', 'locator'})}"
            own = {one for patient in kept[passage.passage_id].patients for one in named.get(patient, ())}
            size += len(text)
            found += len(named_in(own, text))
    store.close()
    return "passages and citations", size, found


@contextmanager
def quietly(_: str) -> Iterator[Callable[[int, int], None]]:
    """Vectors are made a few at a time: a bar for each would be all that is seen."""
    yield lambda *_: None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--patients", type=int, default=60, help="Synthea patients beside the files")
    parser.add_argument("--cache", type=Path, help="where vectors are kept; without it they are made each time")
    chosen = parser.parse_args()
    if not os.environ.get("FEDRAG_DATA"):
        parser.error("needs FEDRAG_DATA, the folder of the data packages")
    with TemporaryDirectory() as folder:
        place = Path(folder)
        plain = ENCODERS.build("minilm")
        encoder = Cached(plain, CachedVectors(chosen.cache or place / "vectors", plain, quietly))
        records = read(Path(os.environ["FEDRAG_DATA"]), chosen.patients)
        folders = {}
        for form in sorted({one.format for one in records}):
            folders[form.lower()] = place / "documents" / form.lower()
            write([one for one in records if one.format == form], folders[form.lower()])
        federation = federation_of(place / "federation", folders)
        home = NodeHome(federation.folder / "nodes" / NODE)
        found = whole_node(records, home, federation.hospitals[0], encoder)
        alone = each_alone([one for one in records if one.format != "Synthea"], place, encoder)
        description = printed(home)
        with federation:
            served = asyncio.run(offers_of(federation, [one.question for one in found], encoder))
        told = leaks(records, served, description, home)
    told_of = [place for one, place in found.items() if one.told]
    shares = {k: sum(place is not None and place <= k for place in told_of) / len(told_of) for k in DEPTHS}
    figures = [
        Figure("found", f"conditions and medications found by a plain question, k={k}", f"{share:.4f}", "1", share == 1)
        for k, share in shares.items()
    ]
    named = sum(int(row[2]) for row in told.rows[:-1])
    figures.append(Figure("leaks", "identifiers in offers, log, metrics, description", str(named), "0", named == 0))
    tables = [
        table("The whole node, each question once", found),
        table("Each file alone, every statement", alone),
        *([missed(found)] if None in found.values() else []),
        *([missed(alone)] if None in alone.values() else []),
        told,
    ]
    print("\n".join([goals(figures).as_markdown(), *(one.as_markdown() for one in tables), circumstances()]))


if __name__ == "__main__":
    main()
