"""What a trace of one question shows: its stages, each hospital's part below the right stage, and not a word of
text."""

import itertools

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.id_generator import IdGenerator

from fedrag import tracing
from fedrag.core.errors import Refused

QUESTION = "How is zqxquestion warfarin bleeding reversed?"
STAGES = ["redact", "encode", "route", "offers", "releases", "evidence", "reason"]


class Counting(IdGenerator):
    """Ids in order; the library's own come from the global random generator."""

    def __init__(self) -> None:
        self._ids = itertools.count(1)

    def generate_span_id(self) -> int:
        return next(self._ids)

    def generate_trace_id(self) -> int:
        return next(self._ids)


@pytest.fixture(scope="module")
def exporter():
    """The library allows one provider per process."""
    made, provider = InMemorySpanExporter(), TracerProvider(id_generator=Counting())
    provider.add_span_processor(SimpleSpanProcessor(made))
    trace.set_tracer_provider(provider)
    yield made
    provider.shutdown()


@pytest.fixture
def spans(exporter):
    exporter.clear()
    return exporter.get_finished_spans


def test_a_question_is_one_tree_across_hospitals(workshop, put_question, spans) -> None:
    """Stages at the top; a call of each hospital below offers, its own work below the call; releases of the winners."""
    documents = {"d.md": "# D\n\n## S\nWarfarin bleeding is reversed with zqxcanary vitamin K.\n"}
    hospitals = [
        workshop.hospital(name, documents | {f"{name}.md": f"# {name}\n\n## S\n{name}.\n"}) for name in ("a", "b")
    ]
    coordinator = workshop.coordinator(*(one.remote for one in hospitals))
    put_question(coordinator, QUESTION)
    found = {one.context.span_id: one for one in spans()}
    above = {one.name: set() for one in found.values()}
    for one in found.values():
        if one.parent is not None:
            above[one.name].add(found[one.parent.span_id].name)
    assert set(STAGES) == {name.removeprefix("stage ") for name in above if name.startswith("stage ")}
    assert (above["node offers"], above["node release"]) == ({"stage offers"}, {"stage releases"})
    assert above["node request"] == {"node offers", "node release", "node describe"}
    asked = [one.attributes["fedrag.node"] for one in found.values() if one.name == "node offers"]
    assert sorted(asked) == ["a", "b"]
    served = {one.attributes["fedrag.route"] for one in found.values() if one.name == "node request"}
    assert served == {"/v1/description", "/v1/offers", "/v1/releases"}


def test_no_span_holds_text(workshop, put_question, spans) -> None:
    """Names, attributes, events and statuses: neither the question nor a passage."""
    hospital = workshop.hospital("a", {"d.md": "# D\n\n## S\nWarfarin bleeding: zqxcanary vitamin K.\n"})
    answer = put_question(workshop.coordinator(hospital.remote), QUESTION)
    assert "zqxcanary" in answer.evidence.passages[0].passage.text
    told = "".join(one.to_json() for one in spans())
    assert told
    assert "zqx" not in told


def test_an_error_leaves_its_code_and_no_text(spans) -> None:
    """Ours its code, another its type."""
    for error in (Refused("zqxsecret", code="not_allowed"), KeyError("zqxsecret")):
        with pytest.raises(type(error)), tracing.span("x", node="n"):
            raise error
    assert [one.attributes["error.type"] for one in spans()] == ["not_allowed", "KeyError"]
    assert "zqxsecret" not in "".join(one.to_json() for one in spans())


def test_without_an_endpoint_nothing_is_configured(monkeypatch) -> None:
    """No library is loaded and no provider set."""
    for name in tracing.ENDPOINT_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    before = trace.get_tracer_provider()
    tracing.configure("fedrag-node", "n")
    assert trace.get_tracer_provider() is before
