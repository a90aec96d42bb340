"""The question-answering API: keys, bad input, answers kept for their asker."""

import hashlib
import json
from contextlib import asynccontextmanager

import httpx2
import pytest

from fedrag.api.app import create_app
from fedrag.core.answer import Answer

KEY, OTHER_KEY = "key-of-dr-a", "key-of-dr-b"


def api_keys() -> list[dict[str, str]]:
    return [
        {"name": name, "sha256": hashlib.sha256(key.encode()).hexdigest()}
        for name, key in (("a", KEY), ("b", OTHER_KEY))
    ]


@pytest.fixture
def api(workshop, tmp_path):
    """Opens the API as an asker's client; `async with api() as client`."""
    hospital = workshop.hospital(
        "heart", {"d.md": "# D\n\n## Reversal\nWarfarin bleeding is reversed with vitamin K 10 mg.\n"}
    )

    @asynccontextmanager
    async def opened(key: str = KEY):
        coordinator = workshop.coordinator(hospital.remote, api_keys=api_keys())
        app = create_app(coordinator, tmp_path / "feedback.sqlite")
        async with app.router.lifespan_context(app):
            transport = httpx2.ASGITransport(app=app, raise_app_exceptions=False)
            headers = {"authorization": f"Bearer {key}"} if key else {}
            async with httpx2.AsyncClient(transport=transport, base_url="http://api", headers=headers) as client:
                yield client

    return opened


def body(text: str = "How is warfarin bleeding reversed?", **more) -> dict:
    return {"question": {"text": text}, **more}


async def test_a_question_is_answered_with_all_its_parts(api) -> None:
    """The response is an Answer, whole, and says that it is no medical device."""
    async with api() as client:
        response = await client.post("/v1/ask", json=body())
    assert response.status_code == 200
    answer = Answer.model_validate_json(response.content)
    assert answer.evidence.passages[0].node == "heart"
    assert "Not a medical device" in answer.intended_use
    assert [timing.stage for timing in answer.timings] == [
        "redact",
        "encode",
        "route",
        "offers",
        "releases",
        "evidence",
        "reason",
    ]


@pytest.mark.parametrize(("key", "code"), [("", "missing_key"), ("wrong", "unknown_key")])
async def test_without_a_known_key_nothing_is_answered(api, key, code) -> None:
    """Every route under /v1 wants one; health does not."""
    async with api(key) as client:
        for method, path in (("POST", "/v1/ask"), ("GET", "/v1/nodes"), ("GET", f"/v1/answers/{'0' * 32}")):
            response = await client.request(method, path, json=body() if method == "POST" else None)
            assert (response.status_code, response.json()["code"]) == (401, code)
        assert (await client.get("/health")).status_code == 200


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"\xff\xfe{}",
        json.dumps(body("")).encode(),
        json.dumps(body("   ")).encode(),
        json.dumps(body("x" * 4_001)).encode(),
        json.dumps(body("a\x00b")).encode(),
        json.dumps(body(unknown=1)).encode(),
        json.dumps({"question": {"text": "x", "options": {chr(0x4E00 + n): "o" for n in range(1000)}}}).encode(),
        json.dumps({"question": {"text": "x", "options": {"AA": "o"}}}).encode(),
        json.dumps(body(passages=0)).encode(),
        json.dumps(body(deadline_ms=1)).encode(),
        b'{"question": {"text": "x"}, "deadline_ms": NaN}',
        json.dumps(body(routing="nowhere")).encode(),
        json.dumps(body(nodes=["nobody"])).encode(),
        json.dumps(body(nodes=[])).encode(),
    ],
    ids=[
        "empty body",
        "broken JSON",
        "not UTF-8",
        "empty text",
        "blank text",
        "4,001 characters",
        "control character",
        "unknown field",
        "1,000 options",
        "option AA",
        "no passages",
        "1 ms",
        "NaN",
        "unknown routing",
        "unknown hospital",
        "no hospitals",
    ],
)
async def test_bad_input_is_a_problem_document(api, content) -> None:
    """400, a code, and not a word of the question."""
    async with api() as client:
        response = await client.post("/v1/ask", content=content, headers={"content-type": "application/json"})
    assert response.status_code == 400
    assert response.headers["content-type"] == "application/problem+json"
    told = response.json()
    assert told["code"] in ("bad_input", "unknown_routing", "unknown_node")
    assert "xxxx" not in response.text


async def test_a_large_body_is_refused(api) -> None:
    """413 before it is parsed."""
    async with api() as client:
        response = await client.post("/v1/ask", content=b" " * (300 * 1024))
    assert (response.status_code, response.json()["code"]) == (413, "too_large")


async def test_an_unknown_route_is_a_problem_document(api) -> None:
    """Also errors that the framework raises keep to the one format."""
    async with api() as client:
        missing, wrong = await client.get("/v2/ask"), await client.get("/v1/ask")
    assert (missing.status_code, missing.json()["code"]) == (404, "not_found")
    assert (wrong.status_code, wrong.json()["code"]) == (405, "method_not_allowed")


async def test_an_answer_can_be_fetched_by_its_asker_only(api) -> None:
    """For anybody else it does not exist."""
    async with api() as client:
        answer = (await client.post("/v1/ask", json=body())).json()
        again = await client.get(f"/v1/answers/{answer['id']}")
        assert again.json() == answer
        stranger = await client.get(f"/v1/answers/{answer['id']}", headers={"authorization": f"Bearer {OTHER_KEY}"})
        assert (stranger.status_code, stranger.json()["code"]) == (404, "not_found")


async def test_nodes_lists_hospitals_and_what_they_say_they_hold(api) -> None:
    """By their own names, with class and size."""
    async with api() as client:
        (node,) = (await client.get("/v1/nodes")).json()
    assert (node["node"], node["name"], node["described"]) == ("heart", "Heart", True)
    assert [(one["release_class"], one["passages"]) for one in node["collections"]] == [("protocol", 1)]


async def test_the_documentation_loads_nothing_from_elsewhere(api) -> None:
    """OpenAPI with examples, and its viewer from this server."""
    async with api() as client:
        page = (await client.get("/docs")).text
        schema = (await client.get("/openapi.json")).json()
    assert "https://" not in page
    assert "http://" not in page
    assert "examples" in json.dumps(schema["paths"]["/v1/ask"])


async def test_metrics_count_answers_without_content(api) -> None:
    """Outcomes by code and hospital; no word of a question."""
    async with api() as client:
        await client.post("/v1/ask", json=body("warfarin zqxquestionword"))
        metrics = (await client.get("/metrics")).text
    assert "fedrag_answers_total" in metrics
    assert 'fedrag_node_outcomes_total{node="heart",status="answered"} 1.0' in metrics
    assert "zqxquestionword" not in metrics
