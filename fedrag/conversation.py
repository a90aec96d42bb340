"""Around the hop: a request becomes a question that stands alone, with its limits and its deadline."""

from typing import Final

from fedrag.config import Limits
from fedrag.core.answer import Answer
from fedrag.core.deadline import Deadline
from fedrag.core.errors import InputError
from fedrag.core.identity import Asker
from fedrag.core.question import MAXIMUM_QUESTION_CHARACTERS, AskRequest, Question
from fedrag.core.wire import RequestId
from fedrag.pipeline import Answered, Federation, Hop, answer
from router.intent import limits_for, recognise

_SHORT_FOLLOW_UP_WORDS: Final = 12


async def ask(
    request: AskRequest, request_id: RequestId, asker: Asker, limits: Limits, routing: str, parts: Federation
) -> Answer:
    """Answer one request. Raises InputError for a hospital or routing policy that the federation does not have."""
    return (await put(request, request_id, asker, limits, routing, parts)).answer


async def put(
    request: AskRequest, request_id: RequestId, asker: Asker, limits: Limits, routing: str, parts: Federation
) -> Answered:
    """The same, with what the answer is made of."""
    passages = request.passages or limits.passages
    chosen = request.routing or routing
    if chosen not in parts.routing:
        raise InputError(f"no routing policy {chosen!r}; there are: {', '.join(parts.routing)}", code="unknown_routing")
    candidates = frozenset(request.nodes if request.nodes is not None else parts.nodes)
    if unknown := candidates - set(parts.nodes):
        raise InputError(f"no such hospital: {', '.join(sorted(unknown))}", code="unknown_node")
    deadline_ms = request.deadline_ms or limits.deadline_ms
    reading = recognise(request.question.text, request.intent)
    hop = Hop(
        id=request_id,
        question=stand_alone(request.question),
        asker=asker,
        routing=chosen,
        limits=limits_for(reading, passages, deadline_ms, limits.maximum_nodes, request.maximum_nodes),
        candidates=candidates,
        offers_per_node=passages * limits.offers_per_passage,
        search_options=request.search_options,
        filter=request.filter,
        deadline=Deadline.after_ms(deadline_ms),
        reason=request.reason,
        reading=reading,
    )
    return await answer(hop, parts)


def stand_alone(question: Question) -> Question:
    """A short follow-up ("and in children?") is asked together with the question it follows; a long one speaks for
    itself."""
    if not question.turns or len(question.text.split()) > _SHORT_FOLLOW_UP_WORDS:
        return question
    earlier = question.turns[-1].question
    room = MAXIMUM_QUESTION_CHARACTERS - len(question.text) - 1
    return question.model_copy(update={"text": f"{earlier[:room]} {question.text}".strip()})
