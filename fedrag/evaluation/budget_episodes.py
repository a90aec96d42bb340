"""Random conversations under random caps, and whether anything cost more than its cap.

What is checked is not what the product counts but what its counterparts do: hospitals and a model made for it, which
count for themselves how often they are asked and for what. Everything between is the product: conversation, pipeline,
strategies, purses.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from random import Random
from typing import Final

from aggregator.methods import MERGE_METHODS
from fedrag.circuit import CircuitBreaker
from fedrag.config import BudgetsConfig, ConversationCaps, Limits, QuestionCaps
from fedrag.conversation import Conversing, put
from fedrag.core.answer import QueryDisclosure, RedactionCount
from fedrag.core.collection import CollectionDescription, EncoderIdentity
from fedrag.core.config import PluginConfig
from fedrag.core.deadline import Deadline
from fedrag.core.errors import Refused, Unavailable
from fedrag.core.exchange import (
    Citation,
    Offer,
    OfferRequest,
    Offers,
    Receipt,
    Release,
    ReleasedPassage,
    ReleaseMode,
    ReleaseRequest,
)
from fedrag.core.identity import Asker
from fedrag.core.protocols import Reply
from fedrag.core.purse import Caps, Cost
from fedrag.core.question import AskRequest, Question, Turn
from fedrag.core.wire import NodeId, ReleaseClass
from fedrag.encoders import ENCODERS
from fedrag.pipeline import Federation
from reasoner.backends import Surroundings
from reasoner.budgets import BUDGET_POLICIES
from reasoner.chat import ChatRequest, Completion, Message, PromptTooLong
from reasoner.generative import Generation, generative
from reasoner.question_model import QuestionModel
from router.catalogue import Catalogue
from router.policies import ROUTING_POLICIES

TEXT: Final = "For major bleeding on warfarin give vitamin K 10 mg and prothrombin complex at once."
QUESTIONS: Final = (
    "What reverses warfarin, and when is it restarted?",
    "What reverses warfarin?",
    "Is apixaban or warfarin safer in renal failure?",
    "How is bleeding treated in patients with cirrhosis and renal failure?",
    "What is the dose? When is it given? Who gives it?",
    "And in children?",
)
STRATEGIES: Final = ("joint", "isolated", "fera")
_SIGNED: Final = "A" * 86 + "=="


@dataclass(slots=True)
class Counted:
    """What was truly asked for, since it was last set to nothing."""

    spent: dict[Cost, int] = field(default_factory=lambda: dict.fromkeys(Cost, 0))

    def add(self, cost: Cost, amount: int = 1) -> None:
        self.spent[cost] += amount


@dataclass(slots=True)
class Clock:
    """Moves when something takes its time, which nothing does beyond its deadline."""

    now_s: float = 0.0

    def __call__(self) -> float:
        return self.now_s

    def work(self, wanted_ms: float, deadline: Deadline) -> None:
        self.now_s += min(wanted_ms, deadline.remaining_ms()) / 1000


@dataclass(slots=True)
class MadeNode:
    id: NodeId
    encoder: EncoderIdentity
    counted: Counted
    clock: Clock
    random: Random
    public_key: str = "AAAA"

    async def offers(self, request: OfferRequest, deadline: Deadline) -> Reply[Offers]:
        self.counted.add(Cost.HOSPITALS)
        self._works(deadline)
        made = tuple(
            Offer(handle=f"{self.random.getrandbits(256):064x}", rank=rank, probability=self.random.random())
            for rank in range(1, self.random.randint(0, min(request.k, 6)) + 1)
        )
        along = made[: request.direct.passages] if request.direct is not None else ()
        self.counted.add(Cost.PASSAGES, len(along))
        release = self._released(request.request_id, tuple(one.handle for one in along)) if along else None
        return Reply(Offers(node=self.id, request_id=request.request_id, offers=made, release=release), 100)

    async def release(self, request: ReleaseRequest, deadline: Deadline) -> Reply[Release]:
        self.counted.add(Cost.PASSAGES, len(request.handles))
        self._works(deadline)
        kept = tuple(handle for handle in request.handles if self.random.random() < 0.8)
        return Reply(self._released(request.request_id, kept), 100)

    def _works(self, deadline: Deadline) -> None:
        self.clock.work(self.random.expovariate(1 / 50), deadline)
        if self.random.random() < 0.1:
            raise self.random.choice((Unavailable("down"), Refused("no")))

    def _released(self, request_id: str, handles: tuple[str, ...]) -> Release:
        passages = tuple(
            ReleasedPassage(
                handle=handle,
                text=f"{TEXT} {self.id} {handle[:6]}",
                citation=Citation(document_id=handle[:8], document_name="d", locator="char=0,80"),
                release_class=ReleaseClass.PROTOCOL,
            )
            for handle in handles
        )
        signed = Receipt(
            node=self.id,
            request_id=request_id,
            head="0" * 64,
            released_at=datetime(2026, 1, 1, tzinfo=UTC),
            signature=_SIGNED,
        )
        return Release(node=self.id, request_id=request_id, passages=passages, receipt=signed)


@dataclass(slots=True)
class MadeModel:
    """Writes as much as it is let, or less, readably or not; sometimes fails."""

    counted: Counted
    clock: Clock
    random: Random
    name: str = "made"

    async def context_tokens(self, deadline: Deadline) -> int | None:  # noqa: ARG002 - the protocol's
        return None

    async def tokens(self, messages: tuple[Message, ...], deadline: Deadline) -> int | None:  # noqa: ARG002 - the same
        return self._read(messages) if self.random.random() < 0.5 else None

    async def complete(self, request: ChatRequest, deadline: Deadline) -> Completion:
        self.counted.add(Cost.CALLS)
        self.clock.work(self.random.expovariate(1 / 300), deadline)
        drawn = self.random.random()
        if drawn < 0.05:
            raise PromptTooLong(None)
        read, written = self._read(request.messages), self.random.randint(1, request.maximum_tokens)
        self.counted.add(Cost.TOKENS, read + written)
        self.counted.add(Cost.WRITTEN, written)
        if drawn < 0.1:
            raise Unavailable("down")
        step = {"text": "Passage 1 says so.", "citations": [1], "uncertainty": 0.2}
        reply = {"steps": [step], "answer": "Vitamin K [1].", "choice": None, "confidence": 0.7, "insufficient": False}
        text = json.dumps(reply) if drawn < 0.8 else "no"
        return Completion(text=text, prompt_tokens=read, completion_tokens=written)

    async def aclose(self) -> None:
        """There is nothing to give back."""

    @staticmethod
    def _read(messages: tuple[Message, ...]) -> int:
        return sum(len(one.content) for one in messages) // 3


class _AsItIs:
    def redact(self, text: str) -> tuple[str, tuple[RedactionCount, ...]]:
        return text, ()


@dataclass(frozen=True, slots=True)
class Outcome:
    """How many conversations and questions there were, how many questions a cap ended, and every case where more was
    spent than a cap allows, or than the product says."""

    conversations: int
    questions: int
    cut_short: int
    exceeded: tuple[str, ...]


async def run(conversations: int, seed: int) -> Outcome:
    random = Random(seed)  # noqa: S311 - it draws cases, no secret
    counted, clock = Counted(), Clock()
    encoder = ENCODERS.build("hashing", {"dimension": 32})
    nodes = {name: MadeNode(name, encoder.identity, counted, clock, random) for name in ("east", "north", "west")}
    described = tuple(_description(name, encoder.identity) for name in sorted(nodes))
    model = MadeModel(counted, clock, random)
    surroundings = Surroundings(encoder, {}, random.randbytes)
    settings = {name: Generation(strategy=PluginConfig(name=name)) for name in STRATEGIES}
    reasoners = {name: generative("made", model, one, surroundings) for name, one in settings.items()}
    exceeded: list[str] = []
    questions = cut_short = 0
    for number in range(conversations):
        of_question, of_conversation = _caps(random, 1), _caps(random, 3)
        config = BudgetsConfig(
            question=QuestionCaps(**of_question.model_dump()),
            conversation=ConversationCaps(**of_conversation.model_dump()),
            policy=PluginConfig(name=random.choice(BUDGET_POLICIES.names)),
            reading=random.choice(("rules", "model")),
        )
        reasoner = reasoners[random.choice(STRATEGIES)]
        around = Conversing.of(config, QuestionModel(reasoner.parts.model, reasoner.parts.fence), clock)
        parts = Federation(
            coordinator="c",
            redactor=_AsItIs(),
            encoder=encoder,
            nodes=nodes,  # type: ignore[arg-type] # a question meets no other part of a hospital
            catalogue=Catalogue(ordered=described),
            routing={"broadcast": ROUTING_POLICIES.build("broadcast")},
            merging=MERGE_METHODS.build("comparable"),
            reasoner=reasoner,
            processor=reasoner.processor,
            issuer=None,
            breaker=CircuitBreaker(),
            disclosure=QueryDisclosure.TEXT,
            release_mode=random.choice(tuple(ReleaseMode)),
            check_claims=False,
            reliability={},
        )
        first, whole = f"{number:032x}", dict.fromkeys(Cost, 0)
        turns: tuple[Turn, ...] = ()
        for turn in range(random.randint(1, 3)):
            counted.spent, began_s = dict.fromkeys(Cost, 0), clock()
            narrowed = _caps(random, 1) if random.random() < 0.3 else None
            request = AskRequest(
                question=Question(text=random.choice(QUESTIONS), turns=turns, language="en"),
                passages=random.randint(1, 6),
                sub_questions=random.choice((None, 2, 4)),
                deadline_ms=random.randint(100, 5_000),
                budget=narrowed,
                conversation=first,
            )
            who = Asker(name="a")
            limits = Limits(maximum_nodes=3)
            answer = (await put(request, f"{turn:032x}", who, limits, "broadcast", parts, around)).answer
            counted.add(Cost.MS, int((clock() - began_s) * 1000))
            questions += 1
            cut_short += answer.reasoner.cut_short
            turns = (*turns, Turn(question=answer.question.text, answer=answer.text[:4000]))
            whole = {cost: whole[cost] + amount for cost, amount in counted.spent.items()}
            said = answer.budget.spent.model_dump()
            for cost, amount in counted.spent.items():
                told = f"{number}.{turn} {cost.value}: {amount}"
                if amount > of_question.narrowed(narrowed).of(cost) + (cost is Cost.MS):
                    exceeded.append(f"{told}, the question's cap {of_question.narrowed(narrowed).of(cost)}")
                if whole[cost] > of_conversation.of(cost) + (cost is Cost.MS):
                    exceeded.append(f"{told}, the conversation's cap {of_conversation.of(cost)}")
                if amount > said[cost.value] + 1:
                    exceeded.append(f"{told}, said {said[cost.value]}")
    return Outcome(conversations, questions, cut_short, tuple(exceeded))


def _caps(random: Random, times: int) -> Caps:
    most: Mapping[str, int] = {
        "tokens": 30_000,
        "written": 6_000,
        "calls": 12,
        "ms": 6_000,
        "passages": 20,
        "hospitals": 8,
    }
    return Caps(**{name: random.randint(0, times * cap) for name, cap in most.items() if random.random() < 0.7})


def _description(node: NodeId, encoder: EncoderIdentity) -> CollectionDescription:
    return CollectionDescription(
        node=node,
        collection="d",
        version=1,
        encoder=encoder,
        release_class=ReleaseClass.PROTOCOL,
        passages=10,
        described_at=datetime(2026, 1, 1, tzinfo=UTC),
    )
