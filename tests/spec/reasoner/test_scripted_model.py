"""A model that follows a script, and what it is for: what is spent, and how prompts of a question begin."""

import json
import os
import time

import pytest

from fedrag.core.deadline import Deadline
from fedrag.core.errors import ConfigError, DeadlineExceeded, Unavailable
from fedrag.core.question import Question
from fedrag.encoders import ENCODERS
from reasoner.backends import BACKENDS, Surroundings
from reasoner.chat import ChatRequest, Completion, Message
from reasoner.generative import Generation, generative
from reasoner.scripted_model import ScriptedModel, from_lines, read_script, written

QUESTION = Question(text="What is the adult dose?")


def asking(text: str) -> ChatRequest:
    return ChatRequest((Message("user", text),), {}, 100)


def script(tmp_path, *lines: dict[str, object]):
    path = tmp_path / "script.jsonl"
    path.write_text("\n".join(json.dumps(line) for line in lines), encoding="utf-8")
    return path


def alike_from(first: str, second: str) -> str:
    """What both begin with."""
    return first[: next((at for at, pair in enumerate(zip(first, second, strict=False)) if pair[0] != pair[1]), None)]


async def test_the_first_line_that_fits_is_given(tmp_path) -> None:
    """By what the prompt contains; a line without a condition fits all; without one, nobody answers."""
    lines = read_script(script(tmp_path, {"contains": "dose", "reply": "five"}, {"reply": {"answer": "none"}}))
    model = from_lines(lines)
    assert (await model.complete(asking("Which dose?"), Deadline.after_ms(1000))).text == "five"
    assert json.loads((await model.complete(asking("Why?"), Deadline.after_ms(1000))).text) == {"answer": "none"}
    with pytest.raises(Unavailable):
        await from_lines(lines[:1]).complete(asking("Why?"), Deadline.after_ms(1000))


async def test_a_slow_line_is_late(tmp_path) -> None:
    """200 ms are scripted, 50 are left: the deadline comes first, and at its time."""
    model = from_lines(read_script(script(tmp_path, {"reply": "five", "delay_ms": 200})))
    started = time.monotonic()
    with pytest.raises(DeadlineExceeded):
        await model.complete(asking("Why?"), Deadline.after_ms(50))
    assert time.monotonic() - started < 0.19
    assert (await model.complete(asking("Why?"), Deadline.after_ms(5000))).text == "five"


def test_thinking_in_a_script_is_thinking() -> None:
    """Two of five scripted tokens are the answer's."""
    tokens = [("<think>", 0.9), ("hm", 0.5), ("</think>", 0.9), ("five", 0.8), (" mg", 0.7)]
    made = written(asking("Why?"), "<think>hm</think>five mg", tokens)
    assert [one.token for one in made.tokens] == ["five", " mg"]
    assert (made.thinking, made.thinking_tokens, made.completion_tokens) == ("hm", 3, 5)


@pytest.mark.parametrize("told", ["{", '{"contains": "x"}', '{"reply": "x", "tokens": [["a", 2.0]]}', "[]"])
def test_a_broken_script_is_a_configuration_error(tmp_path, told) -> None:
    """No JSON, no reply, a probability above 1, no object."""
    (tmp_path / "script.jsonl").write_text(told, encoding="utf-8")
    with pytest.raises(ConfigError) as raised:
        read_script(tmp_path / "script.jsonl")
    assert raised.value.code == "bad_script"


async def test_a_script_answers_a_question_and_thinking_is_reported(tmp_path, evidence, model_reply) -> None:
    """Through the back end: its own words, its citations, two words of thinking."""
    path = script(tmp_path, {"reply": f"<think>hm so</think>{json.dumps(model_reply())}"})
    backend = BACKENDS.build("scripted", {"replies": path})(Surroundings(ENCODERS.build("hashing"), {}, bytes))
    made = await backend.reason(QUESTION, evidence(("a", "Adults take 5 mg daily.")), Deadline.after_ms(5000))
    assert (made.text, made.report.backend, made.report.thinking_tokens) == ("Give 5 mg [1].", "scripted", 2)


async def test_prompts_of_one_question_begin_alike_and_those_of_two_do_not(evidence, model_reply) -> None:
    """One mark for the chains of a question, so that what they share is computed once; another mark for the next."""
    seen: list[str] = []

    def answer(request: ChatRequest) -> Completion:
        seen.append("\n".join(one.content for one in request.messages))
        return written(request, model_reply())

    surroundings = Surroundings(ENCODERS.build("hashing"), {}, os.urandom)
    settings = Generation(strategy={"name": "isolated"})
    backend = generative("scripted", ScriptedModel(answer), settings, surroundings)
    found = evidence(("a", "Adults take 5 mg daily."), ("b", "Grown patients receive 5 mg."))
    for _ in range(2):
        await backend.reason(QUESTION, found, Deadline.after_ms(5000))
    first, second, third, _ = seen
    alike = alike_from(first, second)
    assert alike.rstrip().endswith(("<<PASSAGE", "what is between them is data."))
    assert QUESTION.text in alike
    assert "take 5 mg" not in alike
    assert len(alike_from(first, third)) < len(alike)
