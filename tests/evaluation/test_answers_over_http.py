"""Answers as a suite sees them: kept whole, judged strictly, an error never left out."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from made_answers import made, silent

from fedrag.core.answer import (
    Answer,
)
from fedrag.core.errors import ConfigError, InputError, Unavailable
from fedrag.core.question import AskRequest
from fedrag.evaluation.answers import Judgement, Reply, answer_pictures, ask, free_text_table, price_table
from fedrag.evaluation.metrics.strict_accuracy import coverage, strict_accuracy
from fedrag.evaluation.run import Half, Run, Service
from fedrag.evaluation.suites.own import GoldPassage, Own, OwnQuestion, judgement, load


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(data=None, limit=None, half=Half.SEEN, output=tmp_path, progress=silent, command="test", identity="one")


class Scripted:
    """A client that answers what it was told to, and counts."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def ask(self, request: AskRequest) -> Answer:
        self.asked.append(request.question.text)
        if "down" in request.question.text:
            raise Unavailable("down", code="unreachable")
        if "unknown" in request.question.text:
            return made(request, text="", abstained=True)
        return made(request, text="“Give 5 mg daily” [1]", choice="A")


QUESTIONS = (
    OwnQuestion(
        id="right",
        text="how much?",
        key_facts=(("5 mg",),),
        passages=(GoldPassage(node="north", document="warfarin.md"),),
    ),
    OwnQuestion(id="down", text="down?", key_facts=(("5 mg",),)),
    OwnQuestion(id="silent", text="unknown?", key_facts=(("5 mg",),)),
    OwnQuestion(id="letter", text="which?", options={"A": "five", "B": "ten"}, answer="B"),
)


def replies(run: Run, client: Scripted) -> dict[str, Reply]:
    return ask("own", QUESTIONS, run, client, iter((1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 4.5)).__next__)


def test_an_error_and_an_abstention_are_wrong_and_count(run) -> None:
    """One of four is right: the error, the silence and the wrong letter are not left out."""
    kept = replies(run, Scripted())
    outcomes = [judgement(one, kept[one.id]).outcome for one in QUESTIONS]
    assert [one.correct for one in outcomes] == [True, False, False, False]
    assert [one.answered for one in outcomes] == [True, False, False, True]
    assert strict_accuracy(outcomes) == 0.25
    assert coverage(outcomes) == 0.5
    assert kept["down"].code == "unreachable"


def test_answers_are_kept_whole_and_not_asked_again(run) -> None:
    """The second run asks nothing and has equal answers."""
    first, second = Scripted(), Scripted()
    before = replies(run, first)
    assert len(first.asked) == 4
    assert ask("own", QUESTIONS, run, second) == before
    assert second.asked == []
    ask("own", QUESTIONS, replace(run, service=Service("http://other", "")), second)
    assert len(second.asked) == 4


def test_citations_facts_and_support_count_every_question(run) -> None:
    """Precision and recall 1 for the one with gold; facts in one of three; support in two of four."""
    kept = replies(run, Scripted())
    judged = [judgement(one, kept[one.id]) for one in QUESTIONS]
    (row,) = free_text_table({"all": judged}).rows
    assert row == ("all", 4, 0.5, 1.0, 1.0, pytest.approx(1 / 3), 0.5)


def test_the_price_is_what_the_answers_say(run) -> None:
    """Means over what came back; the error is named."""
    figures = dict(price_table(replies(run, Scripted()).values()).rows)
    assert figures["questions, of which ended in an error"] == "4, 1"
    assert figures["hospitals asked"] == 2.0
    assert figures["texts released"] == 2.0
    assert figures["milliseconds, median"] == 40.0
    assert figures["processor seconds, all processes"] == 0.5


def test_pictures_show_who_gave_and_who_was_cited(run) -> None:
    """Both hospitals gave a passage in each of three answers; only the north was cited, in two of them."""
    _, given, quoted = answer_pictures(replies(run, Scripted()).values())
    assert given.svg.count("<rect") == 2
    assert "0.67" in quoted.svg


def test_a_gold_passage_must_be_the_cited_one() -> None:
    """The right words with another document's citation are not right; without a section any of the document will do."""
    reply = Reply(made(QUESTIONS[0].request, text="“Give 5 mg daily” [1]"), "", None)
    for gold, expected in (
        (GoldPassage(node="north", document="warfarin.md"), True),
        (GoldPassage(node="north", document="warfarin.md", section="Dose"), True),
        (GoldPassage(node="north", document="warfarin.md", section="Risks"), False),
        (GoldPassage(node="south", document="aspirin.md"), False),
    ):
        question = QUESTIONS[0].model_copy(update={"passages": (gold,)})
        assert judgement(question, reply).correct is expected


def test_abstaining_is_right_only_where_there_is_no_answer() -> None:
    """The outcome of an unanswerable question is right for the table, and no answer for confidence."""
    quiet = Reply(made(QUESTIONS[0].request, text="", abstained=True), "", None)
    spoken = Reply(made(QUESTIONS[0].request, text="5 mg"), "", None)
    impossible = OwnQuestion(id="none", text="who won?", answerable=False)
    assert judgement(impossible, quiet).correct
    assert not judgement(impossible, spoken).correct
    assert not judgement(QUESTIONS[0], quiet).correct


@pytest.mark.parametrize(
    "line",
    [
        '{"id": "a"}',
        '{"id": "a", "text": "x", "gold": 1}',
        "not json",
        '{"id": "a", "text": "x"}\n{"id": "a", "text": "y"}',
    ],
)
def test_a_bad_line_is_named_and_never_shown(line: str, tmp_path) -> None:
    """Missing text, an unknown key, no JSON, an id twice."""
    path = tmp_path / "mine.jsonl"
    path.write_text(line, encoding="utf-8")
    with pytest.raises(InputError) as caught:
        load(path)
    assert caught.value.code == "bad_questions"
    assert "mine.jsonl" in caught.value.message
    assert "gold: 1" not in caught.value.message


def test_questions_are_read_as_documented(tmp_path) -> None:
    """Every field of the format, in one line each."""
    path = tmp_path / "mine.jsonl"
    lines = [
        {"id": "1", "text": "x?", "options": {"A": "a"}, "answer": "A"},
        {"id": "2", "text": "y?", "key_facts": [["5 mg", "five mg"]], "passages": [{"node": "n", "document": "d.md"}]},
        {"id": "3", "text": "z?", "answerable": False},
        {"id": "4", "text": "w?"},
    ]
    path.write_text("\n".join(json.dumps(line) for line in lines) + "\n\n", encoding="utf-8")
    assert [one.scorable for one in load(path)] == [True, True, True, False]


def test_own_questions_need_a_service(run, tmp_path) -> None:
    """A missing input prints no number."""
    with pytest.raises(ConfigError):
        Own().inputs(run)
    with pytest.raises(InputError):
        Own().inputs(replace(run, service=Service("http://127.0.0.1:9", "", questions=tmp_path / "none.jsonl")))


def test_a_judgement_without_a_reply_is_wrong_with_no_confidence() -> None:
    """Whatever the rule said."""
    outcome = Judgement(Reply(None, "unreachable", None), correct=True).outcome
    assert (outcome.answered, outcome.correct, outcome.confidence) == (False, False, 0.0)
