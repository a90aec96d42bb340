"""What a model wrote, taken apart and doubted: thinking, JSON, numbers, citations."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reasoner.chat import TokenProbability
from reasoner.citations import check_numbers, check_text
from reasoner.confidence import choice_probability, mean_token_probability, model_confidence
from reasoner.heads import load
from reasoner.parsing import parse
from reasoner.thinking import split_thinking
from reasoner.trimming import without_worst

OPTIONS = {"A": "aspirin", "B": "heparin"}
GOOD = {"steps": [], "answer": "Heparin [1]", "choice": "B", "confidence": 0.7, "insufficient": False}


@pytest.mark.parametrize(
    ("text", "thinking", "rest"),
    [
        ("plain", "", "plain"),
        ("<think>hm</think>answer", "hm", "answer"),
        ("hm</think>answer", "hm", "answer"),
        ("<think>never ended", "never ended", ""),
        ("<think>one</think>no<think>two</think>answer", "onenotwo", "answer"),
        ("<THINK>hm</THINK>\nanswer", "hm", "answer"),
        (
            '<think>maybe {"answer": "wrong"}</think>{"answer": "right"}',
            'maybe {"answer": "wrong"}',
            '{"answer": "right"}',
        ),
    ],
)
def test_thinking_is_taken_apart(text, thinking, rest) -> None:
    """Whether tags are paired, half open or never closed; what is thought is not an answer."""
    assert split_thinking(text) == (thinking, rest)


@pytest.mark.parametrize(
    "written",
    [
        json.dumps(GOOD),
        f"```json\n{json.dumps(GOOD, indent=2)}\n```",
        f"Here is my answer:\n{json.dumps(GOOD)}\nI hope it helps.",
        json.dumps({"unrelated": 1}) + json.dumps(GOOD),
        json.dumps(GOOD)[:-1] + ",}",
        json.dumps(GOOD | {"choice": "B. heparin"}),
        json.dumps(GOOD | {"choice": "heparin"}),
        json.dumps(GOOD | {"choice": "(b)"}),
        json.dumps(GOOD | {"answer": "B) Heparin [1]", "choice": None}),
    ],
)
def test_a_reply_is_found_in_what_models_write_around_it(written) -> None:
    """Code blocks, pleasantries, trailing commas, options in words."""
    reply = parse(written, OPTIONS)
    assert reply is not None
    assert (reply.choice, reply.confidence, reply.insufficient) == ("B", 0.7, False)


@pytest.mark.parametrize(
    "written",
    [
        "",
        "no JSON here",
        "{",
        '{"answer": "cut off',
        '{"something": "else"}',
        json.dumps(GOOD | {"choice": "Q", "answer": "none of them"}),
        json.dumps({"answer": "", "choice": None}),
        "[" * 5000,
        '{"a":' * 50_000,
        "<think>" * 50_000,
    ],
)
def test_what_holds_no_answer_is_unreadable(written) -> None:
    """No object, a cut one, one without an answer, a choice that is not on offer; never an exception."""
    assert parse(written, OPTIONS) is None


def test_insufficient_needs_no_answer() -> None:
    """A model that declines is readable."""
    reply = parse('{"insufficient": true, "answer": "", "choice": null}', OPTIONS)
    assert reply is not None
    assert reply.insufficient


@pytest.mark.parametrize(
    ("stated", "expected"),
    [("NaN", None), ("Infinity", None), ("-0.1", None), ("101", None), ("true", None), ("null", None), ('"high"', None),
     ("0.85", 0.85), ("85", 0.85), ('"85 %"', 0.85), ("1", 1.0), ("0", 0.0), ("1.5", None)],
)  # fmt: skip
def test_a_stated_confidence_is_a_probability_or_nothing(stated, expected) -> None:
    """NaN, infinities, words and what lies outside count as not stated."""
    reply = parse(f'{{"answer": "x", "confidence": {stated}}}', {})
    assert reply is not None
    assert reply.confidence == (pytest.approx(expected) if expected is not None else None)


@given(st.text(max_size=200) | st.recursive(st.none() | st.booleans() | st.floats() | st.text(max_size=5), lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["answer", "steps", "choice", "confidence", "citations", "text"]), inner, max_size=4)).map(json.dumps))  # fmt: skip # noqa: E501
def test_parsing_never_raises_and_numbers_stay_in_range(written) -> None:
    """Whatever a server sends."""
    reply = parse(split_thinking(written)[1], OPTIONS)
    if reply is not None:
        assert reply.confidence is None or 0 <= reply.confidence <= 1
        assert reply.choice in {None, "A", "B"}


@pytest.mark.parametrize(
    ("text", "cleaned", "citations", "dropped"),
    [
        ("Give it [1].", "Give it [1].", (1,), 0),
        ("Give it [9].", "Give it.", (), 1),
        ("Give it [1, 9, 2].", "Give it [1][2].", (1, 2), 1),
        ("[2] first", "[2] first", (2,), 0),
        ("year [2024] and [1][1]", "year and [1][1]", (1,), 1),
        ("none", "none", (), 0),
    ],
)
def test_marks_outside_the_released_set_are_dropped_and_counted(text, cleaned, citations, dropped) -> None:
    """Passages 1 and 2 were released."""
    checked = check_text(text, {1, 2})
    assert (checked.text, checked.citations, checked.dropped) == (cleaned, citations, dropped)


@given(st.lists(st.integers(-5, 12)), st.sets(st.integers(1, 8)))
def test_every_kept_number_was_released_and_all_are_accounted_for(numbers, released) -> None:
    """Kept ones are distinct and released; dropped ones are the rest."""
    checked = check_numbers(numbers, released)
    assert set(checked.citations) == set(numbers) & released
    assert len(checked.citations) == len(set(checked.citations))
    assert checked.dropped == sum(number not in released for number in numbers)


def test_the_probability_of_a_choice_is_normalised_over_the_options() -> None:
    """At the choice, B has e^-0.5 and A e^-1.5: B's share is 1 / (1 + e^-1) = 0.731059."""
    tokens = [
        TokenProbability('{"choice', -0.1),
        TokenProbability('": "', -0.1),
        TokenProbability("B", -0.5, (("B", -0.5), ("A", -1.5), ("zebra", -0.2))),
        TokenProbability('"}', -0.1),
    ]
    assert choice_probability(tokens, OPTIONS, "B") == pytest.approx(0.731059, abs=1e-6)
    assert choice_probability(tokens, OPTIONS, "A") == pytest.approx(0.268941, abs=1e-6)
    assert choice_probability((), OPTIONS, "B") is None
    assert choice_probability(tokens[2:], OPTIONS, "B") is None


def test_the_mean_token_probability_is_the_geometric_mean() -> None:
    """Of 0.5 and 0.125: 0.25."""
    tokens = [TokenProbability("a", -0.6931472), TokenProbability("b", -2.0794415)]
    assert mean_token_probability(tokens) == pytest.approx(0.25)
    assert mean_token_probability(()) is None


def test_confidence_falls_with_what_is_dropped_and_rises_with_what_is_cited_stated_and_likely() -> None:
    """One change at a time, everything else equal."""
    head = load().confidence.model
    base = {"stated": 0.7, "token": 0.7, "cited_share": 0.5, "dropped": 0}

    def confidence(**changes: float | None) -> float:
        return model_confidence(head, **(base | changes))

    assert confidence(dropped=2) < confidence() < confidence(cited_share=1.0)
    assert confidence(stated=0.2) < confidence() < confidence(token=0.95)
    assert confidence(token=None) == pytest.approx(confidence())
    assert confidence(stated=None, token=None) == pytest.approx(confidence(stated=0.5, token=0.5))
    assert 0 < confidence(stated=1.0, token=1.0, cited_share=1.0) < 1


def test_the_least_trusted_passage_goes_first_and_takes_its_conflicts_along(evidence, conflict) -> None:
    """Weights are equal, so probability decides; of equals the later one goes; the last is never taken."""
    released = evidence(
        ("a", "one"),
        ("b", "two"),
        ("c", "three"),
        probabilities=(0.5, 0.1, 0.5),
        conflicts=(conflict((1, "one"), (2, "two")),),
    )
    smaller = without_worst(released)
    assert [one.number for one in smaller.passages] == [1, 3]
    assert smaller.conflicts == ()
    smallest = without_worst(smaller)
    assert [one.number for one in smallest.passages] == [1]
    assert without_worst(smallest) is None
