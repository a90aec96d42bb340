"""A running coordinator learns whom to ask, reads what is wanted, and keeps to the asker's limits."""

import hashlib

import httpx2
import pytest

from fedrag.api.app import create_app
from fedrag.core.answer import Answer

KEY = "key-of-dr-a"
DOSE = "Warfarin bleeding is reversed with vitamin K 10 mg."
TEXTS = {
    "heart": f"# D\n\n## Reversal\n{DOSE}\n",
    "skin": "# D\n\n## Eczema\nEczema is treated with emollients twice a day.\n",
    "lung": "# D\n\n## Asthma\nAsthma attacks are treated with salbutamol.\n",
}


@pytest.fixture
async def opened(workshop, tmp_path):
    """A coordinator with `mixture`, and a client of it."""
    remotes = [workshop.hospital(node, {"d.md": text}).remote for node, text in TEXTS.items()]
    keys = [{"name": "a", "sha256": hashlib.sha256(KEY.encode()).hexdigest()}]
    coordinator = workshop.coordinator(*remotes, api_keys=keys, routing={"name": "mixture"})
    app = create_app(coordinator, tmp_path / "feedback.sqlite")
    async with app.router.lifespan_context(app):
        transport = httpx2.ASGITransport(app=app, raise_app_exceptions=False)
        headers = {"authorization": f"Bearer {KEY}"}
        async with httpx2.AsyncClient(transport=transport, base_url="http://api", headers=headers) as client:
            yield coordinator, client


async def put(client, text="How is warfarin bleeding reversed?", **more) -> Answer:
    response = await client.post("/v1/ask", json={"question": {"text": text}, **more})
    assert response.status_code == 200
    return Answer.model_validate_json(response.content)


async def test_answers_and_verdicts_are_learned_from(opened, monkeypatch) -> None:
    """Every answered question is put down with who was cited, and a verdict on it."""
    coordinator, client = opened
    heard = []
    monkeypatch.setattr(coordinator.experience, "_put_down", heard.append)
    answer = await put(client)
    assert answer.routing.policy == "mixture"
    await client.post(f"/v1/answers/{answer.id}/feedback", json={"answer_id": answer.id, "helpful_citations": [1]})
    observed, verdict = heard
    assert (observed.answer, observed.asker, observed.useful["heart"]) == (answer.id, "a", 1.0)
    assert set(observed.useful) == {one.node for one in answer.coverage if one.status == "answered"}
    assert (verdict.answer, verdict.useful["heart"]) == (answer.id, 1.0)


async def test_the_next_question_is_routed_by_what_was_learned(opened) -> None:
    """The policy that a question meets is the newest."""
    coordinator, _ = opened
    before = coordinator.federation().routing["mixture"]
    assert before is coordinator.experience.policy()
    coordinator.experience._policy = newer = before.informed_by(None)
    assert coordinator.federation().routing["mixture"] is newer


async def test_an_askers_limit_of_hospitals_is_kept_and_what_was_read_is_said(opened) -> None:
    """One hospital is asked at most; the routing tells what the question was taken for, or what it was said to be."""
    _, client = opened
    one = await put(client, maximum_nodes=1, routing="broadcast")
    assert one.budget.nodes_asked == 1
    assert one.routing.intent == "fact"
    views = await put(client, intent="viewpoints")
    assert views.routing.intent == "viewpoints"
    assert views.budget.nodes_asked == 3
    assert "said to be about different views" in views.routing.why
    many = await put(client, "How many of our patients with warfarin bleeding were admitted last year?")
    assert many.routing.intent == "population"
