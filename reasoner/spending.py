"""A model is asked for no more than the purse of the question holds: what a reply can cost at most is taken beforehand,
and what it did not cost is given back."""

from dataclasses import replace
from typing import Final

from fedrag.core.deadline import Deadline
from fedrag.core.errors import BudgetSpent
from fedrag.core.purse import Cost, Purse
from reasoner.chat import ChatModel, ChatRequest, Completion, PromptTooLong

LEAST_WRITTEN: Final = 32
"""With room for fewer tokens nothing worth reading can be written."""
TEMPLATE_TOKENS: Final = 256
"""What a chat template adds to the messages, at most."""


async def complete(model: ChatModel, request: ChatRequest, deadline: Deadline) -> Completion:
    """The reply, at most as long as the purse allows. What became of a call that failed is not known: it counts in
    full.

    Raises BudgetSpent, without asking, where the purse does not hold a call; and what the model raises.
    """
    purse = deadline.purse
    if purse is None:
        return await model.complete(request, deadline)
    prompt = await _prompt_tokens(model, request, purse, deadline)
    room = int(min(request.maximum_tokens, purse.left(Cost.WRITTEN), purse.left(Cost.TOKENS) - prompt))
    asked = max(room, min(LEAST_WRITTEN, request.maximum_tokens))
    if not purse.take({Cost.CALLS: 1, Cost.WRITTEN: asked, Cost.TOKENS: prompt + asked}):
        raise BudgetSpent("no further call of the model is in the budget")
    try:
        made = await model.complete(replace(request, maximum_tokens=asked), deadline)
    except PromptTooLong:
        _settle(purse, (asked, prompt), (0, 0))
        raise
    if asked < request.maximum_tokens and made.finish_reason == "length":
        purse.refuse(Cost.WRITTEN, request.maximum_tokens)
        purse.refuse(Cost.TOKENS, prompt + request.maximum_tokens)
    read = made.prompt_tokens or prompt
    _settle(purse, (asked, prompt), (made.completion_tokens or _bytes(made.text + made.thinking), read))
    return made


async def _prompt_tokens(model: ChatModel, request: ChatRequest, purse: Purse, deadline: Deadline) -> int:
    """An upper bound. No tokeniser makes more tokens of a text than it has bytes; the model's own is asked only where
    that would not fit."""
    most = sum(_bytes(message.content) for message in request.messages) + TEMPLATE_TOKENS
    if purse.left(Cost.TOKENS) - most >= request.maximum_tokens:
        return most
    counted = await model.tokens(request.messages, deadline)
    return most if counted is None else min(most, counted + TEMPLATE_TOKENS)


def _settle(purse: Purse, taken: tuple[int, int], used: tuple[int, int]) -> None:
    """(written, read) as taken and as used: a server that counts more than was possible is believed, and it shows."""
    purse.give_back(Cost.WRITTEN, taken[0] - used[0])
    purse.give_back(Cost.TOKENS, sum(taken) - sum(used))


def _bytes(text: str) -> int:
    return len(text.encode())
