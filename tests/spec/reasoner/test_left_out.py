"""A source that has no say at present is heard, shown, and decides nothing, whichever strategy votes."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest

from fedrag.core.answer import Evidence, Reasoning
from fedrag.core.deadline import Deadline
from fedrag.core.exchange import Receipt
from fedrag.core.question import Question
from fedrag.core.traces import Told, Trace, TraceStep
from fedrag.encoders import ENCODERS
from reasoner.backends import BACKENDS, Surroundings
from reasoner.training.fit_votes import fit_votes

QUESTION = Question(text="What do adults take?", options={"A": "2 mg", "B": "5 mg"})
OPEN = Question(text="What do adults take?")
NOTHING = Evidence(passages=(), source_weights={}, few_sources=True, method="comparable")
SAID = {"east": "B", "north": "A", "west": "A"}


@dataclass(frozen=True)
class Hospitals:
    said: Mapping[str, str | None]

    @property
    def nodes(self) -> tuple[str, ...]:
        return tuple(sorted(self.said))

    async def ask(self, told: Mapping[str, Told], turn: int, deadline: Deadline) -> Mapping[str, Trace]:
        return {node: self.trace(node, turn) for node in told}

    def trace(self, node: str, turn: int) -> Trace:
        receipt = Receipt(node=node, request_id="a" * 32, head="0" * 64, released_at=datetime.now(UTC), signature="")
        choice = self.said[node]
        words = {"answer": f"It is {choice}", "steps": (TraceStep(text="Our guideline says so."),)} if choice else {}
        return Trace.model_validate(
            {"node": node, "request_id": "a" * 32, "round": turn, "choice": choice, "receipt": receipt, **words}
        )


async def reason(
    name: str, question: Question, left_out: frozenset[str], said: Mapping[str, str | None] = SAID, **settings: object
) -> Reasoning:
    """By hospitals alone: the model's server is nowhere."""
    surroundings = Surroundings(ENCODERS.build("hashing"), {}, lambda count: b"\xab" * count, lambda: left_out)
    if name == "traces":
        reasoner = BACKENDS.build("traces", settings)(surroundings)
    else:
        strategy = {"name": name, "settings": {"chains": "hospitals", **settings}}
        chosen = {"base_url": "http://127.0.0.1:9/v1", "model": "m", "strategy": strategy}
        reasoner = BACKENDS.build("openai", chosen)(surroundings)
    try:
        return await reasoner.reason_with(question, NOTHING, Hospitals(said), Deadline.after_ms(20_000))
    finally:
        await reasoner.aclose()


@pytest.mark.parametrize("question", [QUESTION, OPEN])
@pytest.mark.parametrize("name", ["traces", "isolated", "fera"])
async def test_two_without_a_say_do_not_outvote_one(name: str, question: Question) -> None:
    """Two of three say A and are left out: the answer is B's, with nothing of theirs in it; they stand in the list."""
    made = await reason(name, question, frozenset({"north", "west"}))
    assert (made.choice or made.text.rsplit(" ", 1)[-1]) == "B"
    assert all(step.text.startswith("east: ") for step in made.steps)
    assert {one.node: one.counted for one in made.chains} == {"east": True, "north": False, "west": False}
    if question.options:
        assert {one.node: one.choice for one in made.chains} == SAID


@pytest.mark.parametrize("name", ["traces", "isolated"])
async def test_a_fitted_vote_is_one_without_it(name: str, tmp_path) -> None:
    """A vote fitted without north and west stands beside the whole one: its probability is the answer's. Who was heard
    and chose nothing is silent instead."""
    whole = fit_votes(("east", "north", "west"), []).model_copy(update={"coefficients": (1.0, *(0.0,) * 11)})
    east = fit_votes(("east",), []).model_copy(update={"coefficients": (2.0, 0.0, 0.0)})
    file = tmp_path / "vote.json"
    file.write_text(whole.model_copy(update={"fewer": (east,)}).model_dump_json())
    settings = {"vote_model": str(file)} | ({"weights": "calibrated"} if name == "traces" else {})
    made = await reason(name, QUESTION, frozenset({"north", "west"}), **settings)
    assert made.confidence == pytest.approx(0.880797, abs=1e-6)  # 1 / (1 + e⁻²)
    assert made.certificate is not None
    assert (made.certificate.votes, made.certificate.withstands) == ({"east": "B"}, 0)
    silent = await reason(name, QUESTION, frozenset(), {**SAID, "north": None, "west": None}, **settings)
    assert silent.confidence == pytest.approx(0.731059, abs=1e-6)  # 1 / (1 + e⁻¹)


async def test_nobody_is_left() -> None:
    """Those who speak have no say: no answer is made of what they said."""
    made = await reason("isolated", QUESTION, frozenset(SAID))
    assert made.choice is None
    assert made.abstained is not None


async def test_stated_weights_have_no_certificate() -> None:
    """FERA's: what a source says of itself has no bound. Where all are worth the same there is one."""
    assert (await reason("traces", QUESTION, frozenset(), weights="fera")).certificate is None
    equal = (await reason("traces", QUESTION, frozenset(), dict.fromkeys(SAID, "A"))).certificate
    assert equal is not None
    assert (equal.choice, equal.withstands) == ("A", 1)
