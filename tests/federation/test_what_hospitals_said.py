"""Hospitals' own chains of thought in the answer: their words, what each counted, and what the vote leaves possible."""

import math
from dataclasses import dataclass

import pytest

from fedrag.core.deadline import Deadline
from fedrag.core.question import Question
from fedrag.core.traces import LocalTask, LocalTrace, TraceStep
from reasoner.answer_sets import SetRule
from reasoner.vote_model import VoteModel, feature_names
from retriever_node.config import TracesConfig

TEXT = "# Dosing\n\nAdults with asthma take 5 mg of cortisol daily.\n"
QUESTION = Question(text="What do adults with asthma take?", options={"A": "2 mg", "B": "5 mg"})
TRACES = TracesConfig.model_validate({"reasoner": {"name": "recorded"}})
TRACE_ONLY = 'version = 1\n\n[[rules]]\nname = "thoughts"\nclasses = ["protocol"]\nrelease = "trace"\n'
SAID = {"east": ("B", 0.1), "north": ("A", 1.0), "west": ("B", 2.0)}


@dataclass(frozen=True)
class Saying:
    """A hospital's model that says this, whatever it reads."""

    choice: str | None
    uncertainty: float

    def trace(self, task: LocalTask, deadline: Deadline) -> LocalTrace:
        deadline.require()
        if self.choice is None:
            return LocalTrace(None)
        steps = (TraceStep(text=f"{task.node} gives 5 mg", citations=(), uncertainty=0.25),)
        return LocalTrace(self.choice, f"{task.node} says {self.choice}", steps, self.uncertainty)

    def close(self) -> None:
        return


@pytest.fixture
def asked(workshop, put_question):
    """The answer of such hospitals under these settings of the vote."""

    def ask(said: dict[str, tuple[str | None, float]], **settings: object):
        remotes = [
            workshop.hospital(
                node, {"d.md": TEXT}, policy=TRACE_ONLY, traces=TRACES, reasoner=Saying(choice, unsure)
            ).remote
            for node, (choice, unsure) in said.items()
        ]
        coordinator = workshop.coordinator(*remotes, reasoner={"name": "traces", "settings": settings})
        return put_question(coordinator, QUESTION.text, "en", question=QUESTION.model_dump(), deadline_ms=30_000)

    return ask


def test_each_hospital_s_words_stand_beside_its_choice(asked) -> None:
    """Of those that agree with the answer and of the one that does not; one that says nothing has none, and no
    weight."""
    answer = asked({**SAID, "west": (None, 0.0)})
    told = {one.node: (one.answer, [(step.text, step.uncertainty) for step in one.steps]) for one in answer.chains}
    assert told == {
        "east": ("east says B", [("east gives 5 mg", 0.25)]),
        "north": ("north says A", [("north gives 5 mg", 0.25)]),
        "west": ("", []),
    }
    assert {one.node: one.weight for one in answer.chains} == {"east": 0.5, "north": 0.5, "west": None}
    assert answer.answer_set is None


def test_weights_are_those_of_the_vote(asked) -> None:
    """FERA's, by hand: w = softmax(-u) over .1, 1 and 2; the confidence is the sum of those that chose the answer."""
    answer = asked(SAID, weights="fera")
    raw = {node: math.exp(-unsure) for node, (_, unsure) in SAID.items()}
    expected = {node: value / sum(raw.values()) for node, value in raw.items()}
    assert {one.node: one.weight for one in answer.chains} == pytest.approx(expected)
    assert answer.confidence == pytest.approx(expected["east"] + expected["west"])


@pytest.mark.parametrize(("at_least", "left"), [(0.3, ("B",)), (0.25, ("B", "A"))])
def test_a_fitted_vote_says_what_it_leaves_possible(asked, tmp_path, at_least: float, left: tuple[str, ...]) -> None:
    """A word counts 1 for everyone, so P(B) = e² / (e² + e) = .731 and P(A) = .269; it has no shares to tell."""
    sources = tuple(SAID)
    ones = [1.0] * len(sources) + [0.0] * (len(feature_names(sources)) - len(sources))
    rule = SetRule(error=0.1, at_least=at_least, judged=40)
    model = VoteModel(sources=sources, coefficients=tuple(ones), judged=50, sets=rule)
    (tmp_path / "vote.json").write_text(model.model_dump_json())
    answer = asked(SAID, weights="calibrated", vote_model=str(tmp_path / "vote.json"))
    assert (answer.choice, answer.confidence) == ("B", pytest.approx(math.e / (math.e + 1)))
    assert answer.answer_set is not None
    assert (answer.answer_set.choices, answer.answer_set.error, answer.answer_set.judged) == (left, 0.1, 40)
    assert {one.weight for one in answer.chains} == {None}
