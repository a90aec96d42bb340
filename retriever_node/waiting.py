"""What waits for a person of the hospital: what is put before them, and what leaves of it once they approved it."""

from collections.abc import Mapping, Sequence

import structlog

from fedrag.core.deadline import Deadline
from fedrag.core.errors import Refused
from fedrag.core.exchange import AwaitedRequest, Release
from fedrag.core.wire import NodeId
from retriever_node import review
from retriever_node.asking import Asking
from retriever_node.config import ReviewConfig
from retriever_node.documents import Passage
from retriever_node.finding import Finding
from retriever_node.giving import Giving
from retriever_node.policy import Grant
from retriever_node.review import Held
from retriever_node.served import ServedCollection, cited, leaving
from retriever_node.store import PassageStore

_log = structlog.get_logger()


def held(finding: Finding, reviewed: Sequence[ServedCollection], settings: ReviewConfig) -> tuple[Held, ...]:
    """What a reviewer is to look at: the best of what would leave."""
    if finding.vector is None:
        return ()
    waiting = []
    for one, span in finding.passages(reviewed, settings.passages, finding.vector):
        left = leaving(one.passage, finding.grants[one.collection], span)
        if left is not None and one.probability >= settings.probability:
            form = _form(left, finding.grants, finding.store)
            waiting.append(Held(left.passage_id, one.collection, one.probability, span, form))
    return tuple(waiting)


def release_approved(
    approved: Sequence[Held], giving: Giving, asking: Asking, request: AwaitedRequest, deadline: Deadline
) -> Release | None:
    """None where nothing is left of it: the policy of now, and what would leave now, are looked at once more."""
    grants = asking.grants(giving.collections.values())
    allowed = [
        one
        for one in approved
        if one.collection in grants
        and grants[one.collection].release.text
        and grants[one.collection].processors.allow(request.processor)
    ]
    left = giving.left({one.handle: (one.passage_id, one.extract) for one in allowed}, grants)
    same = {
        one.handle: left[one.handle]
        for one in allowed
        if one.handle in left and _form(left[one.handle], grants, giving.store) == one.sha256
    }
    if len(same) < len(approved):
        _log.warning("approved_not_released", code="not_as_approved", passages=len(approved) - len(same))
    try:
        return giving.give(same, grants, asking, request, deadline) if same else None
    except Refused as refused:
        _log.warning("approved_not_released", code=refused.code, passages=len(same))
        return None


def _form(passage: Passage, grants: Mapping[NodeId, Grant], store: PassageStore) -> str:
    return review.form_sha256(passage.text, cited(passage, grants[passage.collection], store.document_key))
