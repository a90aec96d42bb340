"""FERA's rounds against a scripted server on a real port: every message, every weight, every way to end."""

import json
import math
import re

import numpy as np
import pytest

from fedrag.core.deadline import Deadline
from fedrag.core.question import Question
from fedrag.encoders import ENCODERS
from reasoner.backends import BACKENDS, Surroundings
from reasoner.demonstrations import Demonstration, chosen, nearest
from reasoner.source_answer import SourceAnswer
from reasoner.strategies.fera import Settings, build, capped
from reasoner.weighted_vote import fera_weights

QUESTION = Question(text="What do adults take?", options={"A": "2 mg", "B": "5 mg"})
TEXTS = {"a": "Adults take 5 mg daily.", "b": "Adults take 2 mg daily.", "c": "5 mg for adults."}


async def ask(server, evidence, question: Question = QUESTION, deadline_ms: float = 20_000, **settings: object):
    surroundings = Surroundings(ENCODERS.build("hashing"), {}, lambda count: b"\xab" * count)
    chosen_one = {"base_url": server.url, "model": "tiny", "strategy": {"name": "fera", "settings": settings}}
    reasoner = BACKENDS.build("openai", chosen_one)(surroundings)
    try:
        return await reasoner.reason(question, evidence, Deadline.after_ms(deadline_ms))
    finally:
        await reasoner.aclose()


@pytest.fixture
def released(evidence):
    return evidence(*TEXTS.items())


def reply(choice: str | None, *numbers: int, confidence: float = 0.8, answer: str = "So") -> str:
    steps = [{"text": f"Passage {number} says so.", "citations": [number], "uncertainty": 0.1} for number in numbers]
    marks = "".join(f"[{number}]" for number in numbers)
    written = {"steps": steps, "answer": f"{answer} {marks}", "choice": choice, "confidence": confidence}
    return json.dumps(written | {"insufficient": False})


class Script:
    """Answers by what is asked: a source's first reply, its reply to critique, a summary, the synthesis."""

    def __init__(self, model_completion, *, first, critique=None, synthesis=None, summary="They read 5 mg.") -> None:
        self.completion, self.summary = model_completion, summary
        self.first, self.critique, self.synthesis = first, critique or first, synthesis
        self.seen: list[tuple[str, str]] = []

    def __call__(self, body):
        system, said = body["messages"][0]["content"], body["messages"][-1]["content"]
        if "summarise" in system:
            self.seen.append(("summary", said))
            return self.completion(json.dumps({"summary": self.summary}))
        if "No passages are shown to you" in said:
            self.seen.append(("synthesis", said))
            return self.completion(self.synthesis(said) if callable(self.synthesis) else self.synthesis)
        (node,) = [name for name, text in TEXTS.items() if text in said]
        stage = "critique" if "<<YOUR ANSWER" in said else "label"
        self.seen.append((f"{stage} {node}", said))
        return self.completion((self.critique if stage == "critique" else self.first)[node])

    def stages(self) -> list[str]:
        return [stage.split()[0] for stage, _ in self.seen]


DISAGREE = {"a": reply("B", 1), "b": reply("A", 2), "c": reply("B", 3)}


async def test_a_round_asks_what_the_algorithm_asks(model_server, released, model_completion) -> None:
    """Three labels, one summary of each of the two groups, three critiques, one synthesis: L + groups + L + 1 calls."""
    script = Script(model_completion, first=DISAGREE, synthesis=reply("B", 1, 3))
    model_server.script = [script]
    made = await ask(model_server, released, rounds=1)
    assert sorted(script.stages()) == sorted(["label"] * 3 + ["summary"] * 2 + ["critique"] * 3 + ["synthesis"])
    assert (made.choice, made.report.strategy) == ("B", "fera")
    assert made.report.completion_tokens == 9 * 20
    assert [step.citations for step in made.steps] == [(1,), (3,)]
    assert made.votes == {"a": "B", "b": "A", "c": "B"}


async def test_what_each_is_shown(model_server, released, model_completion) -> None:
    """A source sees its own passages and the summaries of the other groups only; the synthesis sees chains with weights
    and no passage."""
    script = Script(model_completion, first=DISAGREE, synthesis=reply("B", 1), summary="SUMMARY OF A GROUP")
    model_server.script = [script]
    await ask(model_server, released, rounds=1)
    shown = dict(script.seen)
    for node in TEXTS:
        others = [text for other, text in TEXTS.items() if other != node]
        assert not any(text in shown[f"critique {node}"] for text in others)
        assert shown[f"critique {node}"].count("SUMMARY OF A GROUP") == 1
    assert not any(text in shown["synthesis"] for text in TEXTS.values())
    assert re.findall(r"Hospital (\w), weight 0\.33, answer (\w)", shown["synthesis"]) == [
        ("a", "B"),
        ("b", "A"),
        ("c", "B"),
    ]
    assert shown["synthesis"].count("Passage 2 says so. [2]") == 1


async def test_agreement_ends_it_at_once(model_server, released, model_completion) -> None:
    """All three say B: no summary, no critique, no synthesis, whatever the number of rounds."""
    script = Script(model_completion, first={node: reply("B", at) for at, node in enumerate(TEXTS, 1)})
    model_server.script = [script]
    made = await ask(model_server, released, rounds=6)
    assert script.stages() == ["label"] * 3
    assert made.choice == "B"


async def test_critique_can_change_an_answer(model_server, released, model_completion) -> None:
    """b is convinced: its vote and the agreement are those after critique, and no second round follows."""
    critique = DISAGREE | {"b": reply("B", 2)}
    script = Script(model_completion, first=DISAGREE, critique=critique, synthesis=reply("B", 1, 2, 3))
    model_server.script = [script]
    made = await ask(model_server, released, rounds=4)
    assert script.stages().count("synthesis") == 1
    assert made.votes == {"a": "B", "b": "B", "c": "B"}


async def test_the_next_round_is_shown_the_answer_so_far(model_server, released, model_completion) -> None:
    """With lasting disagreement every round labels again; the second sees the first's synthesis, and an answer that did
    not change ends it."""
    script = Script(model_completion, first=DISAGREE, synthesis=reply("B", 1, answer="Five it is"))
    model_server.script = [script]
    await ask(model_server, released, rounds=6)
    labels = [said for stage, said in script.seen if stage.startswith("label")]
    assert len(labels) == 6
    assert not any("Five it is" in said for said in labels[:3])
    assert all("Five it is" in said for said in labels[3:])


@pytest.mark.parametrize(
    "synthesis",
    [
        reply("A", 1).replace('"A"', '"Z"'),
        reply("B", 99),
        reply("B"),
        "not JSON at all",
    ],
    ids=["an answer nobody gave", "a citation nobody made", "no citation", "unreadable"],
)
async def test_a_synthesis_that_rests_on_nothing_is_not_used(
    model_server, released, model_completion, synthesis
) -> None:
    """The vote of the sources stands instead, with their own citations."""
    script = Script(model_completion, first=DISAGREE, synthesis=synthesis)
    model_server.script = [script]
    made = await ask(model_server, released, rounds=1)
    assert made.choice == "B"
    assert {number for step in made.steps for number in step.citations} == {1, 2, 3}


async def test_no_citation_is_ever_forged(model_server, released, model_completion) -> None:
    """A source that cites another's passage, or one that does not exist, cites nothing; the synthesis cannot bring it
    back."""
    forging = {"a": reply("B", 1, 2, 77), "b": reply("A", 2), "c": reply("B", 3)}
    script = Script(model_completion, first=forging, synthesis=reply("B", 1, 77))
    model_server.script = [script]
    made = await ask(model_server, released, rounds=1)
    assert {number for step in made.steps for number in step.citations} == {1}
    assert "77" not in made.text
    assert made.report.citations_dropped > 0


async def test_time_ends_it_with_the_best_answer_so_far(model_server, released, model_completion) -> None:
    """The second round's labels hang: the first round's synthesis is the answer, and says that it was cut short."""

    def then_hang(said: str) -> str:
        model_server.delay_s = 5.0
        return reply("B", 1)

    model_server.script = [Script(model_completion, first=DISAGREE, synthesis=then_hang)]
    made = await ask(model_server, released, rounds=3, deadline_ms=3000)
    assert made.choice == "B"
    assert made.report.cut_short
    assert made.report.fallback == ""


async def test_failing_after_the_labels_leaves_the_vote(
    model_server, released, model_completion, model_refusal
) -> None:
    """The server breaks down at the summaries: what the sources said is enough to vote."""
    script = Script(model_completion, first=DISAGREE)

    def broken(body):
        if "summarise" in body["messages"][0]["content"]:
            return model_refusal("out of order", 500)
        return script(body)

    model_server.script = [broken]
    made = await ask(model_server, released, rounds=1)
    assert (made.choice, made.report.fallback) == ("B", "")


def test_weights_are_capped_and_sum_to_one() -> None:
    """What is cut from the surest goes to the others in proportion; with two sources half each is the least cap."""
    assert capped({"a": 0.7, "b": 0.2, "c": 0.05, "d": 0.05}, 1 / 3) == pytest.approx(
        {"a": 1 / 3, "b": 1 / 3, "c": 1 / 6, "d": 1 / 6}
    )
    assert capped({"a": 0.9, "b": 0.1}, 1 / 3) == pytest.approx({"a": 0.5, "b": 0.5})
    assert capped({"a": 1.0}, 1 / 3) == {"a": 1.0}
    assert capped({"a": 0.25, "b": 0.25, "c": 0.25, "d": 0.25}, 1 / 3) == pytest.approx(dict.fromkeys("abcd", 0.25))


def test_the_worked_example_of_the_paper_needs_more_than_a_temperature() -> None:
    """u = .08, .82, .88 are said to give .56, .24, .20: no τ does, the nearest misses by more than a percent."""
    said = {"a": SourceAnswer("x", uncertainty=0.08), "b": SourceAnswer("y", uncertainty=0.82)}
    said["c"] = SourceAnswer("z", uncertainty=0.88)
    wanted = np.array([0.56, 0.24, 0.20])
    missed = [
        np.abs(np.array([*fera_weights(said, tau).values()]) - wanted).max() for tau in np.linspace(0.2, 3.0, 281)
    ]
    assert min(missed) > 0.01


def test_a_liar_without_doubt_gets_no_more_than_the_cap() -> None:
    """Raw FERA weights give nearly everything to who says uncertainty zero; ours are capped, and of probabilities."""
    said = {"liar": SourceAnswer("A", uncertainty=0.0)}
    said |= {name: SourceAnswer("B", uncertainty=2.0) for name in ("x", "y", "z")}
    raw = fera_weights(said, 0.5)
    assert raw["liar"] == pytest.approx(1 / (1 + 3 * math.exp(-4)))
    assert raw["liar"] > 0.9
    assert max(capped(raw, build(Settings()).settings.cap).values()) <= 1 / 3 + 1e-12


def test_demonstrations_are_near_and_different() -> None:
    """Two copies of the nearest example and one less near: with λ the copy is passed over, without it is taken.
    Checked against every subset of two."""
    query = np.array([1.0, 0.0], dtype=np.float32)
    angles = np.radians([10.0, 10.0, -35.0])
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)

    def value(rows: tuple[int, int], redundancy: float) -> float:
        return float((vectors[list(rows)] @ query).mean() - redundancy * vectors[rows[0]] @ vectors[rows[1]])

    for redundancy, expected in ((0.0, {0, 1}), (0.5, {0, 2})):
        best = max([(0, 1), (0, 2), (1, 2)], key=lambda rows: value(rows, redundancy))
        assert set(chosen(query, vectors, 2, redundancy)) == expected == set(best)
    examples = [Demonstration("aspirin dose", "because", "5 mg"), Demonstration("skin rash", "seen", "cream")]
    encoder = ENCODERS.build("hashing")
    assert nearest("dose of aspirin", examples, encoder, 1) == (examples[0],)
    assert nearest("dose", [], encoder, 3) == ()
