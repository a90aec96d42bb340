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
from fedrag.core.question import AskRequest, Question


def ask_once(
    text: str,
    url: str,
    key: str,
    options: Sequence[str],
    asked: Mapping[str, object],
    *,
    authority: Path | None,
    as_json: bool,
) -> None:
    """`asked`: further fields of the request; empty ones are left out."""
    pairs = [option.partition("=") for option in options]
    try:
        question = Question(text=text, options={letter: option for letter, _, option in pairs})
        request = AskRequest.model_validate({"question": question, **{key: of for key, of in asked.items() if of}})
    except ValidationError as error:
        raise InputError(describe(error)) from None
    with Client(url, key, authority=authority) as client:
        _show(client.ask(request), as_json=as_json)


def show_again(answer_id: str, url: str, key: str, *, authority: Path | None, as_json: bool) -> None:
    """Raises NotFound for an answer that is not, or no longer, there."""
    with Client(url, key, authority=authority) as client:
        _show(client.answer(answer_id), as_json=as_json)


def _show(answer: Answer, *, as_json: bool) -> None:
    if as_json:
        terminal.print_json(answer)
    else:
        terminal.out.print(render(answer))
