"""How an answer turned out, told to a running federation."""

from collections.abc import Mapping
from pathlib import Path

from pydantic import ValidationError

from fedrag import terminal
from fedrag.client import Client
from fedrag.core.answer import Feedback
from fedrag.core.errors import InputError
from fedrag.core.plugins import describe


def give_feedback(
    answer: str, said: Mapping[str, bool | None], helpful: str, url: str, key: str, *, authority: Path | None
) -> None:
    """`helpful`: numbers with commas between them. Raises InputError when nothing is said at all."""
    numbers = [part.strip() for part in helpful.split(",") if part.strip()]
    if not all(number.isdecimal() for number in numbers):
        raise InputError("--helpful takes citation numbers: 1,3", code="bad_option")
    try:
        feedback = Feedback.model_validate(
            {"answer_id": answer, "helpful_citations": [int(number) for number in numbers], **said}
        )
    except ValidationError as error:
        raise InputError(describe(error)) from None
    if feedback == Feedback(answer_id=answer):
        raise InputError("say --correct, --wrong, --useful, --useless, --harmful or --helpful 1,3", code="bad_option")
    with Client(url, key, authority=authority) as client:
        client.feedback(feedback)
    terminal.out.print("thank you", markup=False)
