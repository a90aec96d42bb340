"""Around the hop: a request becomes questions that stand alone, with their limits, their deadline and their budgets.

    open the purse → redact → stand alone → take apart → for each part: allot, one hop → join

What was said in a conversation travels with the request and is kept by nobody but the asker; what was spent on it is
counted here (`Purses`): numbers, no words.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from fedrag import account
from fedrag.config import BudgetsConfig, Limits
from fedrag.core.answer import AbstentionCode, Answer, Notice, RedactionCount, Rewriting
from fedrag.core.deadline import Deadline
from fedrag.core.errors import FedragError, InputError
from fedrag.core.identity import Asker
from fedrag.core.protocols import RoutingLimits
from fedrag.core.purse import Caps, Cost, Purse
from fedrag.core.question import MAXIMUM_QUESTION_CHARACTERS, AskRequest, Question
from fedrag.core.wire import Name, RequestId, new_request_id
from fedrag.joining import Answered as AnsweredPart
from fedrag.joining import join
from fedrag.pipeline import Answered, Federation, Hop, answer, redact
from fedrag.stopwatch import Stopwatch
from reasoner.budgets import BUDGET_POLICIES, BudgetPolicy, TurnState
from reasoner.decomposition import sub_questions
from reasoner.difficulty import difficulty
from reasoner.follow_ups import stand_alone
from reasoner.question_model import QuestionModel
from router.intent import limits_for, recognise

READING_SHARE: Final = 0.2
"""Of the deadline, at most, for having a model read the question before anybody is asked."""
MAXIMUM_CONVERSATIONS: Final = 10_000
_SPENT: Final = AbstentionCode.BUDGET_SPENT.value


@dataclass(frozen=True, slots=True)
class Purses:
    """What is left to each conversation, of each asker apart, in memory; the longest unused go when there are too
    many."""

    caps: Caps
    maximum: int = MAXIMUM_CONVERSATIONS
    _kept: OrderedDict[tuple[Name, RequestId], Purse] = field(default_factory=OrderedDict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def of(self, asker: Name, conversation: RequestId) -> Purse:
        with self._lock:
            purse = self._kept.setdefault((asker, conversation), Purse(self.caps))
            self._kept.move_to_end((asker, conversation))
            while len(self._kept) > self.maximum:
                self._kept.popitem(last=False)
        return purse


@dataclass(frozen=True, slots=True)
class Conversing:
    """What surrounds the hop. `model` reads questions where a language model is configured; rules do where it is None
    or fails."""

    settings: BudgetsConfig
    purses: Purses
    policy: BudgetPolicy
    model: QuestionModel | None = None
    clock: Callable[[], float] = time.monotonic

    @classmethod
    def of(
        cls,
        settings: BudgetsConfig,
        model: QuestionModel | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> "Conversing":
        """Raises ConfigError for an unknown budget policy or setting of it."""
        policy = BUDGET_POLICIES.build(settings.policy.name, settings.policy.settings)
        return cls(
            settings, Purses(settings.conversation), policy, model if settings.reading == "model" else None, clock
        )


async def ask(
    request: AskRequest,
    request_id: RequestId,
    asker: Asker,
    limits: Limits,
    routing: str,
    parts: Federation,
    around: Conversing | None = None,
) -> Answer:
    """Answer one request. Raises InputError for a hospital or routing policy that the federation does not have."""
    return (await put(request, request_id, asker, limits, routing, parts, around)).answer


async def put(
    request: AskRequest,
    request_id: RequestId,
    asker: Asker,
    limits: Limits,
    routing: str,
    parts: Federation,
    around: Conversing | None = None,
) -> Answered:
    """The same, with what the answer is made of."""
    around = around or Conversing.of(BudgetsConfig())
    conversation = request.conversation or request_id
    purse = Purse(around.settings.question.narrowed(request.budget), around.purses.of(asker.name, conversation))
    began_s, wanted_ms = around.clock(), request.deadline_ms or limits.deadline_ms
    reserved_ms = int(min(wanted_ms, purse.left(Cost.MS)))
    if not purse.take({Cost.MS: reserved_ms}):  # a question of the same conversation came first
        reserved_ms = 0
    deadline = replace(Deadline.after_ms(reserved_ms, around.clock), purse=purse)
    hop = _hop(request, request_id, asker, limits, routing, parts, deadline)
    try:
        made = await _converse(hop, request, limits, parts, around)
        if reserved_ms < wanted_ms and deadline.remaining_ms() <= 0:
            purse.refuse(Cost.MS, wanted_ms)
    finally:
        purse.give_back(Cost.MS, reserved_ms - (around.clock() - began_s) * 1000)
    return replace(made, answer=_accounted(made.answer, purse, conversation))


def _hop(
    request: AskRequest,
    request_id: RequestId,
    asker: Asker,
    limits: Limits,
    routing: str,
    parts: Federation,
    deadline: Deadline,
) -> Hop:
    passages = request.passages or limits.passages
    chosen = request.routing or routing
    if chosen not in parts.routing:
        raise InputError(f"no routing policy {chosen!r}; there are: {', '.join(parts.routing)}", code="unknown_routing")
    candidates = frozenset(request.nodes if request.nodes is not None else parts.nodes)
    if unknown := candidates - set(parts.nodes):
        raise InputError(f"no such hospital: {', '.join(sorted(unknown))}", code="unknown_node")
    hop = Hop(
        id=request_id,
        question=request.question,
        asker=asker,
        routing=chosen,
        limits=RoutingLimits(limits.maximum_nodes, passages),
        candidates=candidates,
        offers_per_node=passages * limits.offers_per_passage,
        search_options=request.search_options,
        filter=request.filter,
        deadline=deadline,
        reason=request.reason,
    )
    return _about(hop, request.question, request, limits)


def _about(hop: Hop, question: Question, request: AskRequest, limits: Limits) -> Hop:
    """The hop for this question, read for what is wanted and so for whom to ask."""
    reading = recognise(question.text, request.intent)
    wanted = limits_for(
        reading,
        hop.limits.passages,
        request.deadline_ms or limits.deadline_ms,
        limits.maximum_nodes,
        request.maximum_nodes,
    )
    return replace(hop, question=question, reading=reading, limits=wanted)


async def _converse(hop: Hop, request: AskRequest, limits: Limits, parts: Federation, around: Conversing) -> Answered:
    most = min(request.sub_questions or 1, around.settings.sub_questions)
    missing, question = _missing(hop.deadline), hop.question
    if not (missing or question.turns or around.model or len(_by_rules(question, most)) > 1):
        return await _one(_about(hop, question, request, limits), parts, around)
    question, _, redactions = redact(question, None, parts.redactor)
    if missing:
        return Answered(account.not_asked(hop.id, question, redactions, missing, sorted(parts.nodes), Stopwatch()))
    reading = hop.deadline.share(READING_SHARE)
    question, rewritten = await _stand_alone(question, around.model, reading)
    plan = await _plan(question, most, around.model, reading)
    if len(plan) == 1:
        made = await _one(_about(hop, question, request, limits), parts, around)
    else:
        hops = [_about(hop, question.model_copy(update={"text": text, "turns": ()}), request, limits) for text in plan]
        made = await _one_by_one(replace(hop, question=question), hops, parts, around)
    return _as_asked(made, redactions, rewritten)


async def _stand_alone(
    question: Question, model: QuestionModel | None, deadline: Deadline
) -> tuple[Question, Rewriting | None]:
    """The question as it can be understood without what was said before, and how it came about."""
    if not question.turns:
        return question, None
    text, by = None, "rules"
    if model is not None:
        try:
            text, by = await model.stand_alone(question, deadline), model.name
        except FedragError:
            text = None
    if text is None:
        text, by = stand_alone(question.text, [turn.question for turn in question.turns]), "rules"
    text = _fitting(text, question.text)
    if text == question.text:
        return question, None
    return question.model_copy(update={"text": text}), Rewriting(asked=question.text, by=by)


def _fitting(text: str, asked: str) -> str:
    return text if len(text) <= MAXIMUM_QUESTION_CHARACTERS else asked


async def _plan(question: Question, most: int, model: QuestionModel | None, deadline: Deadline) -> tuple[str, ...]:
    if model is not None and most > 1 and not question.options:
        try:
            plan = await model.plan(question.text, most, deadline)
        except FedragError:
            plan = None
        if plan is not None:
            return plan if len(plan) > 1 else (question.text,)
    return _by_rules(question, most)


def _by_rules(question: Question, most: int) -> tuple[str, ...]:
    """A choice between options is made over all evidence at once: such a question is not taken apart."""
    plan = (question.text,) if question.options else sub_questions(question.text, most)
    return plan if len(plan) > 1 and all(len(one) <= MAXIMUM_QUESTION_CHARACTERS for one in plan) else (question.text,)


async def _one(hop: Hop, parts: Federation, around: Conversing) -> Answered:
    own, _ = _allotted(hop, 0, (difficulty(hop.question.text),), None, around)
    made = await answer(own, parts)
    if not _cut_short(made.answer, own):
        return made
    report = made.answer.reasoner.model_copy(update={"cut_short": True})
    return replace(made, answer=made.answer.model_copy(update={"reasoner": report}))


async def _one_by_one(whole: Hop, hops: Sequence[Hop], parts: Federation, around: Conversing) -> Answered:
    """Each sub-question on its own: routed, answered, allotted its share of time, and of tokens by the policy. What the
    purse does not hold is not asked: the answer is what there is until then."""
    made: list[tuple[Answered, AnsweredPart]] = []
    difficulties = tuple(difficulty(hop.question.text) for hop in hops)
    uncertainty: float | None = None
    for turn, hop in enumerate(hops):
        if made and _missing(hop.deadline):
            break
        own, allotted = _allotted(hop, turn, difficulties[turn:], uncertainty, around)
        own = replace(own, id=new_request_id(), deadline=own.deadline.share(1 / (len(hops) - turn)))
        part = await answer(own, parts)
        short = _cut_short(part.answer, own)
        made.append((part, AnsweredPart(part.answer, allotted, part.answer.budget.spent, short)))
        uncertainty = 1.0 if short or part.answer.abstained else 1 - part.answer.confidence
    joined = join(whole.id, whole.question, [one for _, one in made])
    if unasked := len(hops) - len(made):
        message = f"{unasked} of {len(hops)} sub-questions were not asked: {_missing_words(whole.deadline)}."
        joined = joined.model_copy(update={"notices": (*joined.notices, Notice(code=_SPENT, message=message))})
    return Answered(joined, parts=tuple(part for part, _ in made))


def _cut_short(made: Answer, hop: Hop) -> bool:
    return made.reasoner.cut_short or (hop.deadline.purse is not None and bool(hop.deadline.purse.refused))


def _allotted(
    hop: Hop, turn: int, difficulties: tuple[float, ...], uncertainty: float | None, around: Conversing
) -> tuple[Hop, int | None]:
    """The hop with a purse of its own, in which the model's tokens are what the policy gives, never more than is
    left."""
    purse = hop.deadline.purse or Purse()
    left = purse.left(Cost.WRITTEN)
    level = around.policy.allot(TurnState(left, purse.caps.of(Cost.WRITTEN), turn, difficulties, uncertainty))
    tokens = None if level is None else int(min(level, left))
    return replace(hop, deadline=replace(hop.deadline, purse=Purse(Caps(written=tokens), purse))), tokens


def _missing(deadline: Deadline) -> Notice | None:
    """What it takes to ask anybody anything, where that is not there."""
    missing = _missing_words(deadline)
    told = f"The budget of this question or conversation is spent: {missing}."
    return Notice(code=_SPENT, message=told) if missing else None


def _missing_words(deadline: Deadline) -> str:
    purse = deadline.purse or Purse()
    kinds = [cost.value for cost in (Cost.HOSPITALS, Cost.PASSAGES) if purse.left(cost) < 1]
    return ", ".join([*(["ms"] if deadline.remaining_ms() < 1 else []), *kinds])


def _as_asked(made: Answered, redactions: tuple[RedactionCount, ...], rewritten: Rewriting | None) -> Answered:
    """With what was taken out of the question before it was rewritten, and with its rewriting."""
    counts: dict[str, int] = {}
    for one in (*redactions, *made.answer.redactions):
        counts[one.category] = counts.get(one.category, 0) + one.count
    found = tuple(RedactionCount(category=name, count=count) for name, count in sorted(counts.items()))
    final = made.answer.model_copy(update={"redactions": found, "rewritten": rewritten})
    return replace(made, answer=final, asked=made.asked and replace(made.asked, redactions=found))


def _accounted(made: Answer, purse: Purse, conversation: RequestId) -> Answer:
    """With all that was spent, and with what a cap ended said so."""
    budget = made.budget.model_copy(update={"spent": purse.spent(), "caps": purse.caps})
    update: dict[str, object] = {"budget": budget, "conversation": conversation}
    already = any(one.code == _SPENT for one in made.notices)
    if purse.refused or already:
        update["reasoner"] = made.reasoner.model_copy(update={"cut_short": True})
    if purse.refused and not already:
        message = f"A budget ended this answer, which is the best until then: {', '.join(purse.refused)}."
        update["notices"] = (*made.notices, Notice(code=_SPENT, message=message))
    return made.model_copy(update=update)
