"""Isolated and FERA with chains of thought of hospitals' own: every message, every weight, with scripted hospitals and
a scripted model at the coordinator."""

import asyncio
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest

from fedrag.core.answer import Evidence
from fedrag.core.deadline import Deadline
from fedrag.core.exchange import Citation, Receipt
from fedrag.core.question import Question
from fedrag.core.traces import Said, Told, Trace, TraceStep
from fedrag.encoders import ENCODERS
from reasoner.backends import BACKENDS, Surroundings
from reasoner.hospital_chains import chain_of, weighed
from reasoner.stated_uncertainty import StatedUncertainty
from reasoner.vote_model import VoteModel, feature_names

QUESTION = Question(text="What do adults take?", options={"A": "2 mg", "B": "5 mg"})
TEXTS = {"a": "Adults take 5 mg daily."}
NOTHING = Evidence(passages=(), source_weights={}, few_sources=True, method="comparable")


def trace(
    node: str, choice: str | None, text: str = "Our guideline says so.", turn: int = 1, **changes: object
) -> Trace:
    receipt = Receipt(node=node, request_id="a" * 32, head="0" * 64, released_at=datetime.now(UTC), signature="")
    said = {"choice": choice, "answer": f"So {choice}", "steps": (TraceStep(text=text, citations=(1,)),)}
    return Trace.model_validate(
        {"node": node, "request_id": "a" * 32, "round": turn, "receipt": receipt, **(said if choice else {}), **changes}
    )


@dataclass
class Hospitals:
    """What each says, by turn; the last for ever. Keeps what it was told."""

    said: Mapping[str, tuple[Trace | None, ...]]
    told: list[tuple[int, dict[str, Told]]] = field(default_factory=list)

    @property
    def nodes(self) -> tuple[str, ...]:
        return tuple(sorted(self.said))

    async def ask(self, told: Mapping[str, Told], turn: int, deadline: Deadline) -> Mapping[str, Trace]:
        self.told.append((turn, dict(told)))
        asked = len(self.told) - 1
        given = {node: self.said[node][min(asked, len(self.said[node]) - 1)] for node in told}
        return {node: one for node, one in given.items() if one is not None}


async def reason(server, evidence, hospitals, question: Question = QUESTION, strategy: str = "isolated", **settings):
    surroundings = Surroundings(ENCODERS.build("hashing"), {}, lambda count: b"\xab" * count)
    chosen = {"name": strategy, "settings": {"chains": "hospitals", **settings}}
    reasoner = BACKENDS.build("openai", {"base_url": server.url, "model": "tiny", "strategy": chosen})(surroundings)
    assert reasoner.hears
    try:
        return await reasoner.reason_with(question, evidence, hospitals, Deadline.after_ms(20_000))
    finally:
        await reasoner.aclose()


def reply(choice: str | None, *numbers: int, answer: str = "So", confidence: float = 0.8) -> str:
    steps = [{"text": f"Passage {number} says so.", "citations": [number], "uncertainty": 0.1} for number in numbers]
    marks = "".join(f"[{number}]" for number in numbers)
    said = {"steps": steps, "answer": f"{answer} {marks}", "choice": choice, "confidence": confidence}
    return json.dumps(said | {"insufficient": False})


class Script:
    """The coordinator's model, by what it is asked."""

    def __init__(self, completion, **replies: str) -> None:
        self.completion, self.replies = completion, replies
        self.seen: list[tuple[str, str]] = []

    def __call__(self, body):
        system, said = body["messages"][0]["content"], body["messages"][-1]["content"]
        if "summarise" in system:
            stage = "summary"
        elif "No passages are shown to you" in said:
            stage = "synthesis"
        else:
            stage = "critique" if "<<YOUR ANSWER" in said else "label"
        self.seen.append((stage, said))
        return self.completion(self.replies.get(stage, json.dumps({"summary": "They read 5 mg."})))

    def stages(self) -> list[str]:
        return sorted(stage for stage, _ in self.seen)


async def test_hospitals_alone_vote_and_the_model_is_not_asked(model_server, model_completion) -> None:
    """Two of three say B, all worth the same: confidence 2/3 of .5; no passage, no call."""
    model_server.script = [Script(model_completion)]
    hospitals = Hospitals({"x": (trace("x", "B"),), "y": (trace("y", "A"),), "z": (trace("z", "B"),)})
    made = await reason(model_server, NOTHING, hospitals)
    assert model_server.asked == []
    assert (made.choice, made.votes) == ("B", {})
    assert made.confidence == pytest.approx(2 / 3 * 0.5)
    assert hospitals.told == [(1, {"x": Told(), "y": Told(), "z": Told()})]
    assert [(one.node, one.choice, one.at_hospital) for one in made.chains] == [
        ("x", "B", True),
        ("y", "A", True),
        ("z", "B", True),
    ]
    assert "hospitals_alike" in made.report.signals


async def test_beside_chains_made_here(model_server, model_completion, evidence) -> None:
    """Source a released a passage and is asked here; x reasons itself, and weighs as much as the mean of the others."""
    script = Script(model_completion, label=reply("B", 1))
    model_server.script = [script]
    made = await reason(model_server, evidence(*TEXTS.items()), Hospitals({"x": (trace("x", "B"),)}))
    assert script.stages() == ["label"]
    assert {one.node: one.at_hospital for one in made.chains} == {"a": False, "x": True}
    assert made.choice == "B"


async def test_a_hospital_that_reasons_itself_is_not_asked_here_too(model_server, model_completion, evidence) -> None:
    """Its passages were fetched beside: its own chain counts, and cites them by the numbers they have in the answer."""
    made_here = Script(model_completion, label=reply("A", 1))
    model_server.script = [made_here]
    released = evidence(*TEXTS.items())
    cited = released.passages[0].passage.citation
    hospitals = Hospitals({"a": (trace("a", "B", cited=(cited,)),)})
    made = await reason(model_server, released, hospitals, chains="both")
    assert made_here.seen == []
    assert made.choice == "B"
    assert made.steps[0].citations == (1,)


async def test_silent_hospitals_and_a_silent_model(model_server, model_completion, evidence) -> None:
    """Nobody answers at all: the extractive answer is given, and says why."""
    model_server.script = [Script(model_completion, label="not JSON")]
    made = await reason(model_server, evidence(*TEXTS.items()), Hospitals({"x": (None,)}))
    assert made.report.fallback == "model_unparsable"
    assert made.report.backend == "extractive"


async def test_calibrated_uncertainty_decides_whom_to_believe(model_server, model_completion, tmp_path) -> None:
    """x says 0.1 and has been right .2 of the time when it did; y says 2.0 and has been right .9: y's choice wins."""
    file = tmp_path / "vote.json"
    stated = {
        "x": StatedUncertainty(judged=300, steps=((0.0, 0.2),)),
        "y": StatedUncertainty(judged=300, steps=((0.0, 0.9),)),
    }
    hospitals = Hospitals({"x": (trace("x", "A", uncertainty=0.1),), "y": (trace("y", "B", uncertainty=2.0),)})
    evidence = weighed(NOTHING, ("x", "y"))
    chains = [chain_of(hospitals.said[node][0], QUESTION, evidence, stated) for node in ("x", "y")]
    assert [one.confidence for one in chains] == [0.2, 0.9]
    width = len(feature_names(("x", "y")))
    vote = VoteModel(sources=("x", "y"), coefficients=(0.0,) * width, judged=300, stated=stated)
    file.write_text(vote.model_dump_json())
    model_server.script = [Script(model_completion, synthesis="unreadable")]
    made = await reason(model_server, NOTHING, hospitals, strategy="fera", vote_model=str(file), rounds=1)
    assert made.choice == "B"
    assert made.confidence == pytest.approx(0.5 * 0.9)
    assert "calibrated_uncertainty" in made.report.signals


async def test_a_round_of_fera_with_hospitals(model_server, model_completion) -> None:
    """Disagreement: labels at the hospitals, two summaries, critique of each by the coordinator's model, one synthesis.
    Hospitals hear nothing of each other."""
    script = Script(
        model_completion, critique=reply(None).replace("null", '"B"'), synthesis=reply(None).replace("null", '"B"')
    )
    model_server.script = [script]
    hospitals = Hospitals({"x": (trace("x", "B"),), "y": (trace("y", "A"),)})
    made = await reason(model_server, NOTHING, hospitals, strategy="fera", rounds=1)
    assert script.stages() == ["critique", "critique", "summary", "summary", "synthesis"]
    assert [turn for turn, _ in hospitals.told] == [1]
    assert made.choice == "B"
    shown = [said for stage, said in script.seen if stage == "synthesis"]
    assert "Hospital x, weight 0.50, answer B" in shown[0]


async def test_a_later_round_tells_hospitals_the_choice_alone(model_server, model_completion) -> None:
    """Round 2 asks again with the answer so far: a letter, and no word of any hospital."""
    script = Script(
        model_completion, critique="unreadable", synthesis=reply(None, answer="SECRET").replace("null", '"B"')
    )
    model_server.script = [script]
    hospitals = Hospitals({"x": (trace("x", "B"),), "y": (trace("y", "A"),)})
    await reason(model_server, NOTHING, hospitals, strategy="fera", rounds=2)
    assert [turn for turn, _ in hospitals.told] == [1, 3]
    assert hospitals.told[1][1] == {"x": Told(so_far=Said(choice="B")), "y": Told(so_far=Said(choice="B"))}


async def test_hospitals_that_may_hear_others_criticise_themselves(model_server, model_completion) -> None:
    """Critique goes to the hospitals, each with its own chain and the summaries of the other group; y is convinced, so
    they agree and no second round follows."""
    script = Script(model_completion, synthesis=reply(None).replace("null", '"B"'))
    model_server.script = [script]
    hospitals = Hospitals({"x": (trace("x", "B"),), "y": (trace("y", "A"), trace("y", "B", turn=2))})
    made = await reason(model_server, NOTHING, hospitals, strategy="fera", rounds=5, tell_hospitals=True)
    assert [turn for turn, _ in hospitals.told] == [1, 2]
    critique = hospitals.told[1][1]
    assert critique["y"].own == Said(choice="A", answer="So A", trace="Our guideline says so.\nSo A")
    assert critique["y"].others == ("They read 5 mg.",)
    assert made.choice == "B"
    assert {one.choice for one in made.chains} == {"B"}


async def test_a_hospital_that_does_not_answer_to_critique_keeps_its_answer(model_server, model_completion) -> None:
    script = Script(model_completion, synthesis="unreadable")
    model_server.script = [script]
    hospitals = Hospitals({"x": (trace("x", "B"), None), "y": (trace("y", "A"), None), "z": (trace("z", "B"), None)})
    made = await reason(model_server, NOTHING, hospitals, strategy="fera", rounds=1, tell_hospitals=True)
    assert {one.node: one.choice for one in made.chains} == {"x": "B", "y": "A", "z": "B"}


def test_weights_of_hospitals_without_passages() -> None:
    """The mean of the others, never above max(1/3, 1/n), summing to 1; by hand for weights .6 and .4 and one more:
    claims .6, .4, .5 → .4, .267, .333, cut at 1/3."""
    there = NOTHING.model_copy(update={"source_weights": {"a": 0.6, "b": 0.4}})
    made = weighed(there, ("x",)).source_weights
    assert sum(made.values()) == pytest.approx(1.0)
    assert made == pytest.approx({"a": 1 / 3, "b": 1 / 3, "x": 1 / 3})
    assert weighed(NOTHING, ("x", "y")).source_weights == {"x": 0.5, "y": 0.5}


@pytest.mark.parametrize("choice", ["C", "b", None])
def test_only_options_are_choices(choice) -> None:
    made = chain_of(trace("x", choice), QUESTION, NOTHING, {})
    assert (made.answered, made.said.choice, made.confidence) == (False, None, 0.0)


def test_marks_of_the_hospitals_own_numbers_are_taken_out() -> None:
    """[1] there is not [1] here."""
    made = chain_of(trace("x", "B", "Passage [1] says 5 mg [2].", answer="Five [1]"), QUESTION, NOTHING, {})
    assert made.checked.steps[0].text == "Passage says 5 mg."
    assert made.checked.answer == "Five"
    assert made.checked.steps[0].citations == ()


def test_a_citation_of_another_hospitals_passage_does_not_count(evidence) -> None:
    """x cites a document of a: nothing of x is in the evidence."""
    released = evidence(*TEXTS.items())
    stolen: Citation = released.passages[0].passage.citation
    made = chain_of(trace("x", "B", cited=(stolen,)), QUESTION, released, {})
    assert made.checked.steps[0].citations == ()


def test_a_liar_without_judged_answers_weighs_what_all_do() -> None:
    """Uncertainty 0 buys nothing until judged answers say what it means; raw FERA weights would give it nearly all."""
    liar = chain_of(trace("x", "A", uncertainty=0.0), QUESTION, NOTHING, {})
    honest = chain_of(trace("y", "B", uncertainty=3.0), QUESTION, NOTHING, {})
    assert liar.confidence == honest.confidence
    assert math.exp(0) / (math.exp(0) + math.exp(-3)) > 0.95


def test_waiting_for_hospitals_leaves_time_for_the_rest(model_server, model_completion) -> None:
    """The deadline that hospitals get is a part of what is left."""
    seen: list[float] = []

    class Slow(Hospitals):
        async def ask(self, told, turn, deadline):
            seen.append(deadline.remaining_ms())
            return await super().ask(told, turn, deadline)

    async def once() -> None:
        surroundings = Surroundings(ENCODERS.build("hashing"), {}, lambda count: b"\xab" * count)
        reasoner = BACKENDS.build("traces", {})(surroundings)
        await reasoner.reason_with(QUESTION, NOTHING, Slow({"x": (trace("x", "B"),)}), Deadline.after_ms(10_000))

    asyncio.run(once())
    assert 0 < seen[0] <= 7_000
