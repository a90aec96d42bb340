"""One chain per source and a weighted vote, against a scripted server on a real port."""

import json

import pytest

from fedrag.core.answer import AbstentionCode
from fedrag.core.deadline import Deadline
from fedrag.core.errors import ConfigError
from fedrag.core.question import Question
from fedrag.encoders import ENCODERS
from reasoner.backends import BACKENDS, Surroundings
from reasoner.grouping import agree, by_choice, by_meaning, heaviest
from reasoner.training.fit_votes import fit_votes
from reasoner.vote_model import feature_names

QUESTION = Question(text="What do adults take?", options={"A": "2 mg", "B": "5 mg"})


async def ask(server, evidence, question: Question = QUESTION, deadline_ms: float = 20_000, **settings: object):
    surroundings = Surroundings(ENCODERS.build("hashing"), {}, lambda count: b"\xab" * count)
    chosen = {"base_url": server.url, "model": "tiny", "strategy": {"name": "isolated", "settings": settings}}
    reasoner = BACKENDS.build("openai", chosen)(surroundings)
    try:
        return await reasoner.reason(question, evidence, Deadline.after_ms(deadline_ms))
    finally:
        await reasoner.aclose()


@pytest.fixture
def released(evidence):
    return evidence(("a", "Adults take 5 mg daily."), ("b", "Adults take 2 mg daily."), ("c", "5 mg for adults."))


def by_passage(model_completion, replies: dict[str, object]):
    """What the server answers depends on the one passage that stands in its prompt."""

    def answer(body):
        said = body["messages"][-1]["content"]
        found = [reply for text, reply in replies.items() if text in said]
        assert len(found) == 1, "a prompt holds the passages of one hospital"
        reply = found[0]
        return reply if not isinstance(reply, dict) else model_completion(json.dumps(reply))

    return answer


def reply(choice: str | None, number: int, answer: str = "", **more: object) -> dict[str, object]:
    steps = [{"text": f"Passage {number} says so.", "citations": [number], "uncertainty": 0.1}]
    return {
        "steps": steps,
        "answer": f"{answer or 'See'} [{number}].",
        "choice": choice,
        "confidence": 0.8,
        "insufficient": False,
    } | more


async def test_each_source_is_asked_alone_and_the_heavier_group_answers(
    model_server, released, model_completion
) -> None:
    """Three prompts with one hospital's passages each; two hospitals agree; the third is shown as saying otherwise."""
    scripted = {"take 5 mg": reply("B", 1), "take 2 mg": reply("A", 2), "5 mg for": reply("B", 3)}
    model_server.script = [by_passage(model_completion, scripted)]
    made = await ask(model_server, released)
    assert len(model_server.asked) == 3
    assert made.choice == "B"
    assert made.votes == {"a": "B", "b": "A", "c": "B"}
    assert made.report.strategy == "isolated"
    assert made.report.completion_tokens == 60
    cited = [step.citations for step in made.steps]
    assert cited == [(1,), (3,), (2,)]
    assert "b: otherwise" in made.steps[-1].text
    assert 0 < made.confidence <= 2 / 3


async def test_an_instruction_in_one_passage_reaches_one_chain(model_server, released, model_completion) -> None:
    """A model that obeys whatever it reads is turned at one source, and outvoted by the two it was not shown to."""
    scripted = {"take 5 mg": reply("B", 1), "take 2 mg": reply("A", 2, confidence=1.0), "5 mg for": reply("B", 3)}
    model_server.script = [by_passage(model_completion, scripted)]
    assert (await ask(model_server, released)).choice == "B"


async def test_a_source_whose_chain_fails_is_silent(model_server, released, model_completion, model_refusal) -> None:
    """One chain is unreadable twice, one gets an error: the third answers, with its own weight as confidence."""
    broken = model_completion("I would rather not say")
    scripted = {"take 5 mg": broken, "take 2 mg": reply("A", 2), "5 mg for": model_refusal("out of order", 500)}
    model_server.script = [by_passage(model_completion, scripted)]
    made = await ask(model_server, released)
    assert made.choice == "A"
    assert made.votes == {"a": None, "b": "A", "c": None}
    assert made.confidence <= 1 / 3 + 1e-9


async def test_when_every_chain_fails_the_extractive_answer_stands_in(model_server, released, model_completion) -> None:
    """Unreadable everywhere, and the report says so with what it cost."""
    model_server.script = [model_completion("no")]
    made = await ask(model_server, released)
    assert made.report.backend == "extractive"
    assert made.report.fallback == "model_unparsable"
    assert made.report.completion_tokens == 6 * 20


async def test_insufficient_everywhere_is_an_abstention(model_server, released, model_completion) -> None:
    """Nobody's passages answer."""
    scripted = {
        "take 5 mg": reply(None, 1, insufficient=True),
        "take 2 mg": reply(None, 2, insufficient=True),
        "5 mg for": reply(None, 3, insufficient=True),
    }
    model_server.script = [by_passage(model_completion, scripted)]
    made = await ask(model_server, released)
    assert made.abstained is not None
    assert made.abstained.code is AbstentionCode.EVIDENCE_INSUFFICIENT
    assert (made.text, made.choice, made.confidence) == ("", None, 0.0)


async def test_a_fitted_vote_decides(model_server, released, model_completion, tmp_path) -> None:
    """Judged questions have shown that b alone is to be believed: it decides against the two others."""
    names = feature_names(("a", "b", "c"))
    model = fit_votes(("a", "b", "c"), []).model_copy(
        update={"coefficients": tuple(3.0 if name == "b" else 0.0 for name in names), "judged": 10}
    )
    (tmp_path / "votes.json").write_text(model.model_dump_json(), encoding="utf-8")
    scripted = {"take 5 mg": reply("B", 1), "take 2 mg": reply("A", 2), "5 mg for": reply("B", 3)}
    model_server.script = [by_passage(model_completion, scripted)]
    made = await ask(model_server, released, vote_model=str(tmp_path / "votes.json"))
    assert made.choice == "A"
    assert made.confidence == pytest.approx(0.9526, abs=1e-3)  # e^3 / (e^3 + 1)


def test_a_missing_vote_model_is_a_configuration_error(tmp_path) -> None:
    """Told when the back end is built, not at the first question."""
    surroundings = Surroundings(ENCODERS.build("hashing"), {}, bytes)
    settings = {"name": "isolated", "settings": {"vote_model": str(tmp_path / "none.json")}}
    with pytest.raises(ConfigError) as raised:
        BACKENDS.build("openai", {"base_url": "http://x/v1", "model": "m", "strategy": settings})(surroundings)
    assert raised.value.code == "bad_vote_model"


async def test_open_answers_are_grouped_by_meaning(model_server, released, model_completion) -> None:
    """Two say 5 mg in nearly the same words, one 2 mg: the quantity keeps them apart."""
    scripted = {
        "take 5 mg": reply(None, 1, "Adults take 5 mg daily"),
        "take 2 mg": reply(None, 2, "Adults take 2 mg daily"),
        "5 mg for": reply(None, 3, "Adults take 5 mg daily"),
    }
    model_server.script = [by_passage(model_completion, scripted)]
    made = await ask(model_server, released, Question(text="What do adults take?"))
    assert made.text == "Adults take 5 mg daily [1]."
    assert made.choice is None
    assert made.votes == {}
    assert [step.citations for step in made.steps] == [(1,), (3,), (2,)]


def test_groups() -> None:
    """By choice exactly; in words by likeness, quantity and direction; of equal groups the first by name."""
    assert by_choice({"a": "B", "b": None, "c": "A", "d": "B"}) == (("a", "d"), ("c",))
    encoder = ENCODERS.build("hashing")
    said = {"a": "Give 5 mg daily [1].", "b": "Give 5 mg daily [2].", "c": "Do not give 5 mg daily.", "d": None}
    assert by_meaning(said, encoder) == (("a", "b"), ("c",))
    assert not agree("Give 5 mg.", "Give 2 mg.")
    assert agree("Give 500 micrograms.", "Give 0.5 mg once.")
    assert heaviest((("b",), ("a",)), {"a": 0.5, "b": 0.5}) == ("a",)
