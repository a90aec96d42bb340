"""Purses: caps that hold, whoever spends and whatever fails."""

import asyncio
import random
import threading
from dataclasses import replace

import pytest

from fedrag.conversation import Purses
from fedrag.core.deadline import Deadline
from fedrag.core.errors import BudgetSpent, Unavailable
from fedrag.core.purse import Caps, Cost, Purse
from fedrag.evaluation.budget_episodes import run
from reasoner.chat import ChatRequest, Completion, Message, PromptTooLong
from reasoner.spending import TEMPLATE_TOKENS, complete


def test_all_or_nothing_is_taken_from_a_purse_and_those_around_it() -> None:
    """What one of them does not hold is taken from none, and both say what was missing."""
    whole = Purse(Caps(tokens=100, calls=10))
    part = Purse(Caps(tokens=80), whole)
    assert part.take({Cost.TOKENS: 60, Cost.CALLS: 1})
    assert not part.take({Cost.TOKENS: 30, Cost.CALLS: 1})
    assert (part.left(Cost.TOKENS), part.left(Cost.CALLS), whole.left(Cost.TOKENS)) == (20, 9, 40)
    assert part.refused == (Cost.TOKENS,)
    assert whole.refused == ()
    assert not part.take({Cost.CALLS: 10})
    assert whole.refused == (Cost.CALLS,)
    part.give_back(Cost.TOKENS, 50)
    assert whole.spent().tokens == 10


def test_threads_together_take_no_more_than_there_is() -> None:
    """Eight threads at two purses of one conversation, which holds less than they want."""
    conversation = Purse(Caps(tokens=10_000))
    taken = []

    def spend(purse: Purse) -> None:
        while purse.take({Cost.TOKENS: 7}):
            taken.append(7)

    purses = [Purse(Caps(), conversation) for _ in range(2)]
    threads = [threading.Thread(target=spend, args=(purses[n % 2],)) for n in range(8)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert sum(taken) == 9_996 == conversation.spent().tokens


def test_the_smaller_cap_of_each_kind_holds() -> None:
    """An asker narrows what the federation allows, and never widens it."""
    allowed = Caps(tokens=100, calls=5)
    assert allowed.narrowed(Caps(tokens=1_000, calls=2, passages=3)) == Caps(tokens=100, calls=2, passages=3)
    assert allowed.narrowed(None) == allowed


def test_two_askers_of_one_conversation_have_purses_of_their_own() -> None:
    """A conversation's id is no secret: who names another's spends nothing of theirs."""
    purses = Purses(Caps(calls=1), maximum=3)
    assert purses.of("a", "0" * 32).take({Cost.CALLS: 1})
    assert purses.of("b", "0" * 32).left(Cost.CALLS) == 1
    assert purses.of("a", "0" * 32).left(Cost.CALLS) == 0


class Model:
    """Writes what it is told to, at most what it is let; counts what it was asked."""

    name = "m"

    def __init__(self, writes: int = 10**6, fails: Exception | None = None, counts: bool = True) -> None:
        self.writes, self.fails, self.counts, self.asked = writes, fails, counts, []

    async def context_tokens(self, deadline):
        return None

    async def tokens(self, messages, deadline):
        return 40

    async def complete(self, request, deadline):
        self.asked.append(request.maximum_tokens)
        if self.fails:
            raise self.fails
        written = min(self.writes, request.maximum_tokens)
        counts = {"prompt_tokens": 40, "completion_tokens": written} if self.counts else {}
        return Completion(text="x" * written, finish_reason="length" if written < self.writes else "stop", **counts)

    async def aclose(self):
        pass


def ask(model: Model, purse: Purse, maximum: int = 500) -> Completion:
    request = ChatRequest((Message("user", "y" * 400),), {}, maximum)
    return asyncio.run(complete(model, request, replace(Deadline.after_ms(1_000), purse=purse)))


def test_what_a_reply_did_not_cost_is_given_back() -> None:
    """40 read and 100 written are spent, of 500 that could have been."""
    purse = Purse(Caps(tokens=5_000, written=800, calls=3))
    ask(Model(writes=100), purse)
    assert (purse.spent().tokens, purse.spent().written, purse.spent().calls) == (140, 100, 1)


def test_a_reply_is_as_short_as_the_purse() -> None:
    """With 90 left to be written the model is let write 90, and that a cap ended it is known."""
    purse, model = Purse(Caps(written=90)), Model()
    ask(model, purse)
    assert model.asked == [90]
    assert purse.refused == (Cost.WRITTEN,)


@pytest.mark.parametrize("caps", [Caps(calls=0), Caps(written=20), Caps(tokens=40 + TEMPLATE_TOKENS + 20)])
def test_without_room_for_a_reply_the_model_is_not_asked(caps) -> None:
    """Nothing is spent on it either."""
    purse, model = Purse(caps), Model()
    with pytest.raises(BudgetSpent):
        ask(model, purse)
    assert model.asked == []
    assert purse.spent().tokens == 0


def test_a_call_whose_fate_is_unknown_counts_in_full() -> None:
    """It may have written all it was let; one that was turned away for its length wrote nothing."""
    purse = Purse(Caps(written=1_000))
    with pytest.raises(Unavailable):
        ask(Model(fails=Unavailable("gone")), purse)
    assert purse.spent().written == 500
    with pytest.raises(PromptTooLong):
        ask(Model(fails=PromptTooLong(100)), purse)
    assert (purse.spent().written, purse.spent().calls) == (500, 2)


def test_a_server_that_does_not_count_is_counted_for() -> None:
    """By the bytes of what it was sent and of what it wrote: more than any tokeniser makes of them."""
    purse = Purse(Caps(tokens=5_000))
    ask(Model(writes=30, counts=False), purse)
    assert purse.spent().tokens == 400 + TEMPLATE_TOKENS + 30


def test_random_takes_never_exceed_any_cap() -> None:
    """10,000 random episodes of conversations, questions and parts, with what was taken counted apart."""
    chance = random.Random(5)  # noqa: S311 - it draws cases, no secret
    for _ in range(10_000):
        caps = [Caps(**{cost.value: chance.randint(0, 30) for cost in Cost if chance.random() < 0.7}) for _ in range(3)]
        conversation = Purse(caps[0])
        questions = [Purse(caps[1], conversation) for _ in range(2)]
        parts = [Purse(caps[2], question) for question in questions]
        spent = {(purse, cost): 0 for purse in (conversation, *questions, *parts) for cost in Cost}
        for _ in range(chance.randint(1, 12)):
            at, cost, amount = chance.randrange(2), chance.choice(list(Cost)), chance.randint(0, 12)
            if chance.random() < 0.5:
                taken = parts[at].take_up_to(cost, amount)
            else:
                taken = amount if parts[at].take({cost: amount}) else 0
            if chance.random() < 0.3 and taken:
                unused = chance.randint(0, taken)
                parts[at].give_back(cost, unused)
                taken -= unused
            for purse in (conversation, questions[at], parts[at]):
                spent[purse, cost] += taken
        for (purse, cost), amount in spent.items():
            assert amount <= purse.caps.of(cost)


async def test_hospitals_and_model_are_asked_for_no_more_than_the_caps() -> None:
    """Random conversations through the product; hospitals and model count for themselves. 10,000 are a benchmark
    (benchmarks/budget_caps.py)."""
    outcome = await run(120, seed=3)
    assert outcome.exceeded == ()
    assert outcome.cut_short > 50
