"""The account of an answer: what each hospital gave away, what it cost, and the answers that need no reasoner."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime

from fedrag.core.answer import (
    Abstention,
    AbstentionCode,
    Answer,
    Awaiting,
    BudgetUsed,
    DisclosureAccount,
    Evidence,
    NodeDisclosure,
    Notice,
    QueryDisclosure,
    ReasonerReport,
    Reasoning,
    RedactionCount,
    SourceChain,
)
from fedrag.core.collection import RoutingDecision
from fedrag.core.exchange import NodeOutcome, NodeStatus, Offers, Release, ReleaseMode
from fedrag.core.purse import Caps, Purse, Spent
from fedrag.core.question import Question
from fedrag.core.traces import Trace
from fedrag.core.wire import NodeId, RequestId
from fedrag.fanout import Gathered
from fedrag.stopwatch import Stopwatch

_NOBODY = ReasonerReport(backend="none", model="none", strategy="none")
_NO_EVIDENCE = Evidence(passages=(), source_weights={}, few_sources=True, method="none")


def disclosure(
    outcomes: Iterable[NodeOutcome],
    releases: Sequence[Release],
    shown_as: QueryDisclosure,
    mode: ReleaseMode,
    traces: Sequence[Trace] = (),
) -> DisclosureAccount:
    """Who saw the question, and whose text came back: counted over everything released, used in the answer or not."""
    named = {one.node for one in releases} | {one.node for one in traces}
    hospitals = {node: [one for one in releases if one.node == node] for node in named}
    thought = {node: [one for one in traces if one.node == node] for node in named}
    return DisclosureAccount(
        question_shown_to=tuple(sorted(one.node for one in outcomes if one.status is not NodeStatus.SUSPENDED)),
        question_shown_as=shown_as,
        release_mode=mode,
        hospitals=tuple(
            NodeDisclosure(
                node=node,
                passages=sum(len(release.passages) for release in own),
                text_bytes=sum(len(passage.text.encode()) for release in own for passage in release.passages)
                + sum(one.text_bytes for one in thought[node]),
                patients=sum(release.patients for release in own)
                + max((one.patients for one in thought[node]), default=0),  # every round reads the same records
                traces=len(thought[node]),
            )
            for node, own in sorted(hospitals.items())
        ),
    )


def awaiting(offers: Mapping[NodeId, Offers]) -> tuple[Awaiting, ...]:
    """Hospitals that may still release something of this question, and by when that is over."""
    return tuple(
        Awaiting(node=node, until=made.awaiting_until)
        for node, made in sorted(offers.items())
        if made.awaiting_release and made.awaiting_until is not None
    )


def awaiting_notices(offers: Mapping[NodeId, Offers], *, reason: bool) -> tuple[Notice, ...]:
    """What to tell of hospitals where somebody decides before anything leaves, match or not."""
    told: list[Notice] = []
    if waiting := awaiting(offers):
        nodes, until = ", ".join(one.node for one in waiting), max(one.until for one in waiting)
        message = f"Awaiting release at {nodes}, until {until:%Y-%m-%d %H:%M} UTC: look at this answer again later."
        told.append(Notice(code="awaiting_release", message=message))
    shut = sorted(node for node, made in offers.items() if _is_shut(made))
    if shut and reason:
        message = f"At {', '.join(shut)} no further question can wait for a release today."
        told.append(Notice(code="review_share_used", message=message))
    elif shut:
        message = f"At {', '.join(shut)} somebody has to release what is found: state a reason for asking."
        told.append(Notice(code="reason_not_stated", message=message))
    return tuple(told)


def locked_notices(offers: Mapping[NodeId, Offers]) -> tuple[Notice, ...]:
    """Hospitals that answered without their records of patients, because of how this asker asked before."""
    locked = sorted(node for node, made in offers.items() if "locked" in made.notices)
    if not locked:
        return ()
    message = f"At {', '.join(locked)} records of patients stay closed to you until an administrator there unlocks."
    return (Notice(code="locked", message=message),)


def uncounted_notices(chains: Sequence[SourceChain]) -> tuple[Notice, ...]:
    """Hospitals that were heard and have no say."""
    nodes = sorted(one.node for one in chains if not one.counted)
    if not nodes:
        return ()
    message = f"Not counted, for it stopped agreeing with the others as it did when it was judged: {', '.join(nodes)}."
    return (Notice(code="not_counted", message=message),)


def _is_shut(made: Offers) -> bool:
    return made.awaiting_release and made.awaiting_until is None and not made.offers


def budget(
    steps: Sequence[Gathered[Offers] | Gathered[Release] | Gathered[Trace]],
    report: ReasonerReport,
    purse: Purse | None = None,
) -> BudgetUsed:
    return BudgetUsed(
        nodes_asked=steps[0].messages,
        messages=sum(step.messages for step in steps),
        bytes_received=sum(step.wire_bytes for step in steps),
        model_tokens=report.prompt_tokens + report.completion_tokens,
        spent=purse.spent() if purse else Spent(),
        caps=purse.caps if purse else Caps(),
    )


def no_node_answered() -> Reasoning:
    return Reasoning(
        text="",
        choice=None,
        confidence=0.0,
        abstained=Abstention(
            code=AbstentionCode.NO_NODE_ANSWERED,
            explanation="No hospital answered; see coverage for what became of each.",
        ),
        steps=(),
        report=_NOBODY,
    )


def not_asked(
    answer_id: RequestId,
    question: Question,
    redactions: tuple[RedactionCount, ...],
    why: Notice,
    nodes: Sequence[NodeId],
    watch: Stopwatch,
) -> Answer:
    """The answer to a question that no hospital saw."""
    return Answer(
        id=answer_id,
        question=question,
        text="",
        choice=None,
        confidence=0.0,
        abstained=Abstention(code=AbstentionCode(why.code), explanation=why.message),
        steps=(),
        evidence=_NO_EVIDENCE,
        coverage=tuple(NodeOutcome(node=node, status=NodeStatus.NOT_SELECTED) for node in nodes),
        routing=RoutingDecision(policy="none", ranking=(), selected=(), why=why.message),
        disclosure=DisclosureAccount(question_shown_to=(), question_shown_as=QueryDisclosure.TEXT, hospitals=()),
        redactions=redactions,
        reasoner=_NOBODY,
        budget=BudgetUsed(nodes_asked=0, messages=0, bytes_received=0, model_tokens=0),
        timings=watch.timings(),
        notices=(why,),
        answered_at=datetime.now(UTC),
    )
