"""What a record says is found by a plain question; whom it is about is in nothing that leaves."""

import io
import time

import pytest
import structlog
from health_records import (
    IDENTIFIERS,
    attached,
    bundle,
    clinical_document,
    concept,
    of_visit,
    structured,
    words_found,
    written,
)
from typer.testing import CliRunner

from fedrag.core.deadline import Deadline
from fedrag.core.exchange import OfferRequest
from fedrag.core.question import PassageFilter
from fedrag.core.wire import ReleaseClass, new_request_id
from retriever_node.cli import app

BUNDLE = written(
    bundle(
        of_visit("Condition", code=concept("Atrial fibrillation"), note=[{"text": "Brakspear feels well."}]),
        of_visit("MedicationRequest", status="active", medicationCodeableConcept=concept("Warfarin 5 MG Oral Tablet")),
        of_visit(
            "DocumentReference", content=[{"attachment": attached("Quillon of Wexcombe, born 11/23/1951, has gout.")}]
        ),
    )
)
SUMMARY = clinical_document(
    structured(
        "<section><title>Problems</title><text><item>Bronchial asthma, Q. Brakspear</item></text></section>",
        "<section><title>Medications</title><text><table><tr><th>Drug</th><th>Dose</th></tr>"
        "<tr><td>Salbutamol inhaler</td><td>two puffs</td></tr></table></text></section>",
    )
)
LEAFLETS = {f"leaflet-{n}.md": f"# Leaflet {n}\n\nWash hands with soap for {n} minutes." for n in range(9)}
ASKED = {
    "Does the patient have atrial fibrillation?": "Atrial fibrillation",
    "Does the patient have gout?": "has gout",
    "Does the patient have bronchial asthma?": "Bronchial asthma",
    "Is the patient taking warfarin?": "Warfarin 5 MG Oral Tablet",
    "Is the patient taking salbutamol?": "Salbutamol inhaler",
}
"""Question → what the passage that answers it says."""


@pytest.fixture
def clinic(workshop):
    """Records under a class that no owner would choose for them, so that everything that can leave does."""
    files = {"Brakspear.json": BUNDLE.decode(), "MRN-88123.xml": SUMMARY.decode(), **LEAFLETS}
    return workshop.hospital("clinic", files, ReleaseClass.PUBLIC)


@pytest.fixture
def logged():
    """Everything the structured log would write, at every level."""
    stream = io.StringIO()
    structlog.configure(
        processors=[structlog.processors.JSONRenderer()],
        wrapper_class=structlog.make_filtering_bound_logger(0),
        logger_factory=structlog.PrintLoggerFactory(stream),
        cache_logger_on_first_use=False,
    )
    yield stream
    structlog.reset_defaults()


@pytest.mark.parametrize(("question", "said"), ASKED.items())
def test_the_owner_finds_what_the_record_says(clinic, question, said):
    """`fedrag-node search` prints a passage with the statement, among leaflets, and no name."""
    shown = CliRunner().invoke(app, ["search", "--home", str(clinic.home.folder), "-k", "3", question])
    assert shown.exit_code == 0
    assert said in " ".join(shown.output.split())
    assert words_found(IDENTIFIERS, shown.output) == []


async def test_no_identifier_in_offers_log_metrics_or_description(clinic, logged):
    """Every statement is asked for over HTTP: offers come, with no word that names the patient, and none elsewhere."""
    told = [clinic.node.describe().model_dump_json()]
    for question in ASKED:
        request = OfferRequest(
            request_id=new_request_id(),
            coordinator="test-coordinator",
            node="clinic",
            vector=None,
            comparable_with=clinic.node.encoder.identity.comparable_with,
            text=question,
            k=10,
            filter=PassageFilter(release_classes=tuple(ReleaseClass)),
            deadline_ms=5_000,
        )
        reply = (await clinic.remote.offers(request, Deadline(time.monotonic() + 5))).value
        assert len(reply.offers) == 10
        told.append(reply.model_dump_json(exclude={"offers": {"__all__": {"handle", "sketch"}}}))
    metrics = (await clinic.remote.client.get("http://clinic/metrics")).text
    assert 'fedrag_node_requests_total{code="ok",route="/v1/offers"} 5.0' in metrics
    assert "/v1/offers" in logged.getvalue()
    for place in (*told, metrics, logged.getvalue()):
        assert words_found(IDENTIFIERS, place) == []


def test_the_probe_would_see_a_name(clinic):
    """The identifiers are found where they are, in the files: what passes above does not pass for want of looking."""
    assert {"Brakspear", "Quillon", "Wexcombe", "MRN-88123", "14 Cobblers Yard"} <= set(
        words_found(IDENTIFIERS, f"{BUNDLE.decode()}\n{SUMMARY.decode()}")
    )
    texts = "\n".join(passage.text for passage in clinic.node.store.passages(list(range(100))))
    assert words_found(IDENTIFIERS, texts) == []
    assert "[name]" in texts
