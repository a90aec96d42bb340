"""One question to a running federation."""

from collections.abc import Sequence
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
    routing: str | None,
    deadline_ms: int | None,
    *,
    authority: Path | None,
    as_json: bool,
) -> None:
    pairs = [option.partition("=") for option in options]
    try:
        question = Question(text=text, options={letter: option for letter, _, option in pairs})
        request = AskRequest(question=question, routing=routing, deadline_ms=deadline_ms)
    except ValidationError as error:
        raise InputError(describe(error)) from None
    with Client(url, key, authority=authority) as client:
        answer = client.ask(request)
    if as_json:
        terminal.print_json(answer)
    else:
        terminal.out.print(render(answer))
