"""One question to a running federation."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from pydantic import ValidationError

from fedrag import terminal
from fedrag.cli.render import render
from fedrag.client import Client
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
        answer = client.ask(request)
    if as_json:
        terminal.print_json(answer)
    else:
        terminal.out.print(render(answer))
