"""From a collection that redacts only the redacted form leaves; without one of the present version nothing does.

Oracle: strings planted in text, title, section, file name and date of a document, in every byte that the node answers.
"""

import re
import sqlite3
import time
from contextlib import closing
from dataclasses import replace

import pytest

from fedrag.core.deadline import Deadline
from fedrag.core.errors import FedragError, Refused
from fedrag.core.exchange import NodeStatus, OfferRequest, Offers, Processor, ProcessorPlace, Release, ReleaseRequest
from fedrag.core.sketch import sketch_of
from fedrag.redaction import pattern_detector
from retriever_node.assemble import assemble
from retriever_node.ingest import ingest
from retriever_node.node import RetrieverNode
from retriever_node.redaction import Redaction
from retriever_node.service import create_app
from retriever_node.store import PassageStore

LETTER = """---
title: "Letter about Mr. Vennerholm"
version: "of Dr. Quistgaard"
effective: 2024-05-03
---

## Seen by Dr. Quistgaard

Mr. Vennerholm takes warfarin since 11 Mar 2023; call 555-302-9944.
"""
REDACTED = "[NAME] takes warfarin since [DATE]; call [PHONE]."
PLANTED = ("Vennerholm", "Quistgaard", "2024-05-03", "11 Mar 2023", "555-302-9944", "brimstone")
QUESTION = "Does the patient take warfarin?"


@pytest.fixture
def node(workshop) -> RetrieverNode:
    """One letter in a `protocol` collection whose owner wants it redacted."""
    made = workshop.hospital("heart", {"brimstone.md": LETTER})
    made.node.store.close()
    made.node.state.close()
    workshop.opened.clear()
    text = made.home.config.read_text(encoding="utf-8")
    made.home.config.write_text(text.replace('release_class = "protocol"', 'release_class = "protocol"\nredact = true'))
    again = assemble(made.home)
    workshop.opened.append(again)
    (served,) = again.collections.values()
    ingest(workshop.folder / "heart" / "documents", "documents", again.store, again.encoder, redaction=served.redaction)
    return again


def offered(node: RetrieverNode) -> Offers:
    request = OfferRequest(
        request_id="a" * 32, coordinator="test-coordinator", node="heart", vector=None, text=QUESTION, k=5,
        comparable_with=node.encoder.identity.comparable_with, deadline_ms=5_000,
    )  # fmt: skip
    return node.offers(request, Deadline(time.monotonic() + 5))


def released(node: RetrieverNode, offers: Offers) -> Release:
    request = ReleaseRequest(
        request_id="a" * 32, coordinator="test-coordinator", node="heart", deadline_ms=5_000,
        handles=tuple(offer.handle for offer in offers.offers),
        processor=Processor(model="m", place=ProcessorPlace.TRUST_DOMAIN),
    )  # fmt: skip
    return node.release(request, Deadline(time.monotonic() + 5))


def seen(*told: object) -> list[str]:
    text = "\n".join(str(one) for one in told)
    return [one for one in PLANTED if re.search(re.escape(one), text, re.IGNORECASE)]


def test_only_the_redacted_form_leaves(node: RetrieverNode) -> None:
    """Text and citation are those of the form; the sketch is of the text that is released."""
    offers = offered(node)
    (offer,) = offers.offers
    assert offer.sketch == sketch_of(REDACTED)
    release = released(node, offers)
    (passage,) = release.passages
    assert passage.text == REDACTED
    assert (passage.citation.title, passage.citation.section) == ("Letter about [NAME]", "Seen by [NAME]")
    assert (passage.citation.version, passage.citation.effective_date) == ("of [NAME]", None)
    assert passage.citation.document_name == passage.citation.title
    assert seen(offers.model_dump_json(), release.model_dump_json()) == []


def test_the_answer_of_a_whole_federation_has_the_form_alone(workshop, node: RetrieverNode, put_question) -> None:
    """Over the wire, through merge and reasoning: what was planted is in no field of the answer."""
    remote = workshop.remote("heart", node.signer, create_app(node))
    answer = put_question(workshop.coordinator(remote), QUESTION)
    assert [one.passage.text for one in answer.evidence.passages] == [REDACTED]
    assert seen(answer.model_dump_json()) == []


def _without_forms(node: RetrieverNode) -> RetrieverNode:
    node.store.forget_redacted("documents")
    return node


def _of_another_version(node: RetrieverNode) -> RetrieverNode:
    """The detector has changed since the last ingest."""
    (served,) = node.collections.values()
    changed = Redaction(replace(pattern_detector(), version="0" * 16))
    return replace(node, collections={served.id: replace(served, redaction=changed)})


def _altered(node: RetrieverNode) -> RetrieverNode:
    """Somebody wrote the original into the form's place."""
    (path,) = (row[2] for row in node.store._database.connection.execute("PRAGMA database_list") if row[1] == "main")
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("UPDATE redacted SET form = replace(form, '[NAME]', 'Mr. Vennerholm')")
    return node


@pytest.mark.parametrize("broken", [_without_forms, _of_another_version, _altered])
def test_without_a_form_there_is_nothing_to_offer_or_release(node: RetrieverNode, broken) -> None:
    """Neither is a passage without one offered, nor released by a handle from the time when it had one."""
    before = offered(node)
    assert len(before.offers) == 1
    after = broken(node)
    offers = offered(after)
    assert offers.offers == ()
    if broken is _of_another_version:  # which is a part of what is sealed into a handle
        with pytest.raises(Refused, match="policy changed"):
            released(after, before)
        return
    release = released(after, before)
    assert release.passages == ()
    assert seen(offers.model_dump_json(), release.model_dump_json()) == []


@pytest.mark.parametrize("part", ["redacted", "known"])
def test_an_error_while_a_form_is_read_is_a_denial(
    workshop, node: RetrieverNode, put_question, monkeypatch, part: str
) -> None:
    """No offer without the forms, no release without the identifiers they are looked through for; over the wire neither
    text nor the error's words."""
    before = offered(node)

    def broken(*_arguments: object) -> None:
        raise RuntimeError("Mr. Vennerholm")

    monkeypatch.setattr(PassageStore, part, broken)
    if part == "redacted":
        with pytest.raises(RuntimeError):
            offered(node)
    with pytest.raises(RuntimeError):
        released(node, before)
    answer = put_question(workshop.coordinator(workshop.remote("heart", node.signer, create_app(node))), QUESTION)
    assert answer.evidence.passages == ()
    assert answer.coverage[0].status is NodeStatus.FAILED
    assert seen(answer.model_dump_json()) == []


def test_a_form_that_names_its_patient_is_not_released(node: RetrieverNode, monkeypatch) -> None:
    """Looked through once more at the last moment: whatever was known too late stays."""
    before = offered(node)
    (number,) = node.store.vectors("documents")[0].tolist()
    monkeypatch.setattr(PassageStore, "known", lambda _store, _ids: {number: ("Elsewhere",)})
    assert len(released(node, before).passages) == 1
    monkeypatch.setattr(PassageStore, "known", lambda _store, _ids: {number: ("warfarin",)})
    assert released(node, before).passages == ()


def test_handles_from_before_the_owner_chose_redaction_are_void(workshop) -> None:
    """The redaction's version is a part of the policy version that is sealed into a handle. Until then all that was
    planted left: what passes above does not pass for want of looking."""
    made = workshop.hospital("heart", {"brimstone.md": LETTER})
    offers = offered(made.node)
    assert seen(released(made.node, offers).model_dump_json()) == list(PLANTED)
    text = made.home.config.read_text(encoding="utf-8")
    made.home.config.write_text(text.replace('release_class = "protocol"', 'release_class = "protocol"\nredact = true'))
    again = assemble(made.home)
    workshop.opened.append(again)
    with pytest.raises(FedragError):
        released(again, offers)
