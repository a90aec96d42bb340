"""How many patients are behind what was released: distinct people, and never fewer than there are.

Oracle: two records of one person, one of another, and a letter about nobody known; counted by hand.
"""

import json
import time

import pytest
from health_records import bundle, concept, of_visit, written

from fedrag.core.deadline import Deadline
from fedrag.core.exchange import OfferRequest, Processor, ProcessorPlace, ReleaseRequest
from fedrag.core.identity import Asker, Purpose
from fedrag.core.question import PassageFilter
from fedrag.core.wire import ReleaseClass
from retriever_node import audit
from retriever_node.giving import patients_behind
from retriever_node.ingest import ingest

TREATING = (
    'version = 1\n[[rules]]\nname = "treating"\nclasses = ["patient"]\npurposes = ["treatment"]\nrelease = "redacted"\n'
    "quota = { share_per_30_days = 1.0 }\n"
)


def record(*medicines: str) -> bytes:
    return written(
        bundle(
            *(
                of_visit("MedicationRequest", status="active", medicationCodeableConcept=concept(medicine))
                for medicine in medicines
            )
        )
    )


def about_another(made: bytes) -> str:
    for one, other in ((b"pat-777", b"pat-888"), (b"MRN-88123", b"MRN-99234"), (b"999-31-7755", b"999-31-8866")):
        made = made.replace(one, other)
    return made.replace(b"S7712345", b"S8823456").decode()


@pytest.fixture
def clinic(workshop):
    files = {
        "a.json": record("Warfarin 5 MG Oral Tablet").decode(),
        "b.json": record("Warfarin 3 MG Oral Tablet").decode(),
        "c.json": about_another(record("Warfarin 1 MG Oral Tablet")),
        "letter.md": "# Letter\n\n## Warfarin\n\nThe patient takes warfarin daily.\n",
    }
    made = workshop.hospital("clinic", files, ReleaseClass.PATIENT, TREATING)
    (served,) = made.node.collections.values()
    source = workshop.folder / "clinic" / "documents"
    ingest(source, "documents", made.node.store, made.node.encoder, redaction=served.redaction)
    made.node.refresh()
    return made


def ids(node) -> list[int]:
    return [int(one) for one in node.store.vectors("documents")[0]]


def test_people_are_counted_once_and_unknown_ones_by_document(clinic) -> None:
    """Three people at most are behind all of it, however many passages there are; of public text nobody is."""
    node = clinic.node
    passages = node.store.passages(ids(node))
    assert (len({one.document_id for one in passages}), len(passages)) == (4, 7)
    assert patients_behind(passages, node.collections, node.store) == 3
    whose = node.store.provenance(ids(node))
    one_person = [one for one in passages if whose.get(one.passage_id) == whose[passages[0].passage_id]]
    assert len(one_person) > 1
    assert patients_behind(one_person, node.collections, node.store) == 1
    assert patients_behind([], node.collections, node.store) == 0


def test_a_release_says_how_many_people_are_behind_it(workshop, clinic) -> None:
    """As the passages' own records have it."""
    node = clinic.node
    token = workshop.issuer.token(Asker(name="dr", purpose=Purpose.TREATMENT), "clinic")
    asked = {"request_id": "a" * 32, "coordinator": "test-coordinator", "node": "clinic", "token": token}
    offers = node.offers(
        OfferRequest(
            **asked,
            vector=None,
            text="warfarin tablet",
            k=20,
            comparable_with="",
            deadline_ms=5_000,
            filter=PassageFilter(release_classes=tuple(ReleaseClass)),
        ),
        Deadline(time.monotonic() + 5),
    ).offers
    release = node.release(
        ReleaseRequest(
            **asked, handles=tuple(offer.handle for offer in offers), deadline_ms=5_000,
            processor=Processor(model="m", place=ProcessorPlace.TRUST_DOMAIN),
        ),
        Deadline(time.monotonic() + 5),
    )  # fmt: skip
    assert release.passages
    with node.state.transaction() as connection:
        (line,) = [json.loads(one) for one in audit.lines(connection) if json.loads(one)["kind"] == "release"]
    whose = node.store.provenance(line["passages"])
    people = {whose[one].patients if one in whose and whose[one].patients else one for one in line["passages"]}
    assert release.patients == len(people) >= 1
    assert set(line["rules"]) == {"treating"}


def test_public_text_has_no_patients_behind_it(workshop, clinic) -> None:
    """Whatever is known of its documents."""
    from dataclasses import replace

    (served,) = clinic.node.collections.values()
    public = replace(clinic.node, collections={served.id: replace(served, release_class=ReleaseClass.PUBLIC)})
    assert patients_behind(public.store.passages(ids(public)), public.collections, public.store) == 0
