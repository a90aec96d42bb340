"""What a terminal shows of doubt, and that nobody's text takes the terminal over."""

from io import StringIO

import pytest
from doubtful_answer import ASKED, full
from made_answers import made
from rich.console import Console

from fedrag.cli.render import render
from fedrag.core.answer import ReasoningStep
from fedrag.core.question import AskRequest


def shown(answer) -> list[str]:
    console = Console(width=400, record=True, file=StringIO())
    console.print(render(answer))
    return [line.strip(" │") for line in console.export_text(clear=False).splitlines()]


def test_each_kind_of_doubt_has_its_line() -> None:
    """In plain words, by hand: the numbers are those of the answer."""
    lines = shown(full())
    for expected in (
        "(confidence 0.80, made of judged votes, agreement, of tomorrow; openai)",
        "B or C: such a set misses the right choice in at most 10% of questions like the 240 judged ones.",
        "Sentences of the sources that told the reader what to do, left out: 1.",
        "It ended early: this is the best answer until then.",
        "1. Adults take 5 mg daily [1]  (support 0.93, uncertainty 0.10)",
        "2. Aspirin is never stopped [2]  (support 0.07, uncertainty 0.20)  NOT BORNE OUT by what it cites",
        "3. So 5 mg it is (no source)  (uncertainty 1.00)",
        "Hospital by hospital",
        (
            "north: B. 5 mg; read here, alone; weight in the vote 0.57; believed to 0.80; states an uncertainty of "
            "0.21; admits 1 gap"
        ),
        (
            "south: C. 9 mg; otherwise; its own model; weight in the vote 0.43; believed to 0.50; states an "
            "uncertainty of 0.00"
        ),
        "east: nothing (timed out); its own model; not counted, for it stopped agreeing with the others",
        "Read one by one, the hospitals choose B.",
        (
            "Spent: tokens 4396 of 5000, written 300, calls 4 of 4, ms 812, passages 2, hospitals 3; 120 tokens of "
            "thinking."
        ),
    ):
        assert expected in lines, expected
    assert "It rests on north alone." not in lines


def test_an_answer_that_one_hospital_stands_behind_says_so() -> None:
    """By what it cites; and by who chose the same, where nothing is cited."""
    answer = full()
    first = answer.model_copy(update={"steps": answer.steps[:1], "chains": ()})
    assert "It rests on north alone." in shown(first)
    second = answer.model_copy(update={"steps": answer.steps[2:], "choice": "C"})
    assert "It rests on south alone." in shown(second)


@pytest.mark.parametrize("mark", ["\x1b[2J", "\x9b2J", "\r", "\x08", "\u202e", "\u2066"])
def test_no_text_of_a_hospital_moves_the_cursor_or_turns_the_writing(mark: str) -> None:
    """In whatever is shown of it: answer, step, chain of thought, passage."""
    text = f"Give 5 mg {mark}daily."
    answer = made(AskRequest(question=ASKED), text=text)
    step = ReasoningStep(text=text, citations=(1,), uncertainty=0.1)
    chains = tuple(one.model_copy(update={"answer": text}) for one in full().chains)
    first, second = answer.evidence.passages
    first = first.model_copy(update={"passage": first.passage.model_copy(update={"text": text})})
    evidence = answer.evidence.model_copy(update={"passages": (first, second)})
    made_of = answer.model_copy(update={"steps": (step,), "chains": chains, "evidence": evidence})
    out = StringIO()
    Console(width=400, file=out, force_terminal=False).print(render(made_of))
    assert mark not in out.getvalue()
    assert out.getvalue().count("daily.") >= 4
