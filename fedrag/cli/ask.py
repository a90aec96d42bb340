"""One question to a running federation, and its answer again."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from pydantic import ValidationError

from fedrag import terminal
from fedrag.cli.render import render
from fedrag.client import Client
from fedrag.core.answer import Answer
from fedrag.core.errors import InputError
from fedrag.core.plugins import describe
from fedrag.core.question import MAXIMUM_QUESTION_CHARACTERS, MAXIMUM_TURNS, AskRequest, Question, Turn


def ask_once(
    text: str,
    url: str,
    key: str,
    options: Sequence[str],
    asked: Mapping[str, object],
    *,
    after: str | None = None,
    authority: Path | None,
    as_json: bool,
) -> None:
    """`asked`: further fields of the request; empty ones are left out. `after`: the id of the answer that it follows:
    what was said before is fetched from there and sent along."""
    pairs = [option.partition("=") for option in options]
    with Client(url, key, authority=authority) as client:
        before = client.answer(after) if after else None
        try:
            question = Question(
                text=text,
                options={letter: option for letter, _, option in pairs},
                turns=turns_after(before) if before else (),
            )
            further = {**asked, "conversation": before.conversation if before else None}
            request = AskRequest.model_validate(
                {"question": question, **{key: of for key, of in further.items() if of}}
            )
        except ValidationError as error:
            raise InputError(describe(error)) from None
        _show(client.ask(request), as_json=as_json)


def turns_after(before: Answer) -> tuple[Turn, ...]:
    """What was said up to this answer and with it, the newest MAXIMUM_TURNS."""
    last = Turn(question=before.question.text, answer=before.text[:MAXIMUM_QUESTION_CHARACTERS])
    return (*before.question.turns, last)[-MAXIMUM_TURNS:]


def show_again(answer_id: str, url: str, key: str, *, authority: Path | None, as_json: bool) -> None:
    """Raises NotFound for an answer that is not, or no longer, there."""
    with Client(url, key, authority=authority) as client:
        _show(client.answer(answer_id), as_json=as_json)


def _show(answer: Answer, *, as_json: bool) -> None:
    if as_json:
        terminal.print_json(answer)
    else:
        terminal.out.print(render(answer))
