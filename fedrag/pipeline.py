"""One question through the federation, once, in one direction.

    redact → encode → route → ask for offers → merge → collect the winners → reason → answer

This is the only place where the stages are called. A hospital that fails is a value in `coverage`; text that did not
win the merge never leaves its hospital. From `merge` on a question can come by again, with what a hospital released
after a review (`fedrag/awaiting.py`).
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final, Protocol

from aggregator.claims import UNPROVEN, boasters
from aggregator.evidence import gather
from aggregator.votes import certify
from fedrag import account
from fedrag.circuit import CircuitBreaker
from fedrag.core.answer import AbstentionCode, Answer, Notice, QueryDisclosure, RedactionCount, Reliability
from fedrag.core.collection import RoutingDecision
from fedrag.core.deadline import Deadline
from fedrag.core.exchange import (
    DirectRelease,
    NodeOutcome,
    NodeStatus,
    OfferRequest,
    Offers,
    Processor,
    Release,
    ReleaseMode,
    ReleaseRequest,
)
from fedrag.core.identity import Asker
from fedrag.core.protocols import (
    Encoder,
    HearsHospitals,
    MergeMethod,
    Node,
    NodeOffer,
    Reasoner,
    Redactor,
    RoutingLimits,
    RoutingPolicy,
    Winner,
)
from fedrag.core.purse import Cost
from fedrag.core.question import MAXIMUM_QUESTION_CHARACTERS, MAXIMUM_REASON_CHARACTERS, PassageFilter, Question
from fedrag.core.traces import Told, Trace, TraceRequest
from fedrag.core.wire import FloatVector, NodeId, RequestId, encode_vector
from fedrag.encoders.language import detect
from fedrag.fanout import Gathered, ask_all
from fedrag.sources import AskedSources
from fedrag.stopwatch import Stopwatch
from router.catalogue import Catalogue
from router.intent import PLAIN, Reading, as_read

OFFERS_SHARE: Final = 0.35
RELEASE_SHARE: Final = 0.35
"""Of what is left of the deadline when the stage begins; reasoning gets the rest."""
_NOTHING_LEFT: Final = frozenset({NodeStatus.REFUSED, NodeStatus.SUSPENDED})
VERDICTS: Final = frozenset({"yes", "no", "maybe", "uncertain", "it depends"})


class TokenIssuer(Protocol):
    def token(self, asker: Asker, node: NodeId) -> str: ...


@dataclass(frozen=True, slots=True)
class Federation:
    """The parts a question meets on its way; `nodes`, `catalogue` and `reliability` are those of the moment it
    set out."""

    coordinator: NodeId
    redactor: Redactor
    encoder: Encoder
    nodes: Mapping[NodeId, Node]
    catalogue: Catalogue
    routing: Mapping[str, RoutingPolicy]
    merging: MergeMethod
    reasoner: Reasoner
    processor: Processor
    issuer: TokenIssuer | None
    breaker: CircuitBreaker
    disclosure: QueryDisclosure
    release_mode: ReleaseMode
    check_claims: bool
    reliability: Mapping[NodeId, Reliability]


@dataclass(frozen=True, slots=True)
class Hop:
    """One question to be answered once: everything decided before it sets out. The purse of its deadline is what it may
    cost: nobody is asked, and no text is asked for, that is not paid from it."""

    id: RequestId
    question: Question
    asker: Asker
    routing: str
    limits: RoutingLimits
    candidates: frozenset[NodeId]
    offers_per_node: int
    search_options: bool
    filter: PassageFilter | None
    deadline: Deadline
    reason: str | None = None
    reading: Reading = PLAIN


async def answer(hop: Hop, parts: Federation) -> "Answered":
    """Always an answer: with no hospital, no evidence or too little confidence it abstains and says why."""
    watch = Stopwatch()
    with watch.stage("redact"):
        question, reason, redactions = redact(hop.question, hop.reason, parts.redactor)
        hop = replace(hop, question=question, reason=reason)
    notices, barred = check_language(question, parts.encoder)
    if barred:
        return Answered(account.not_asked(hop.id, question, redactions, barred, sorted(parts.nodes), watch))
    with watch.stage("encode"):
        wanted = retrieval_text(question, hop.search_options)
        query = (await asyncio.to_thread(parts.encoder.encode_queries, [wanted]))[0]
    with watch.stage("route"):
        routing = await asyncio.to_thread(route, query, hop, parts)
    with watch.stage("offers"):
        offered = await ask_for_offers(wanted, query, routing, hop, parts)
    return await conclude(Asked(hop, redactions, notices, query, routing, offered), parts, watch)


async def conclude(asked: "Asked", parts: Federation, watch: Stopwatch) -> "Answered":
    """The second half: from the offers, and what was collected before, to the answer."""
    hop, routing, offered = asked.hop, asked.routing, asked.offered
    sources, beside = hospitals_that_reason(asked, parts)
    apart = frozenset(sources.nodes) if sources is not None and not beside else frozenset()
    with watch.stage("releases"):
        collected = await collect_winners(asked, parts, apart)
    with watch.stage("evidence"):
        evidence = await asyncio.to_thread(
            gather,
            collected.winners,
            collected.releases,
            parts.encoder,
            method=parts.merging.name,
            reliability=parts.reliability,
            question=asked.query,
        )
    with watch.stage("reason"):
        if offered.values and sources is not None and isinstance(parts.reasoner, HearsHospitals):
            reasoning = await parts.reasoner.reason_with(hop.question, evidence, sources, hop.deadline)
            traces = (*collected.traces, *sources.traces)
            collected = replace(collected, rounds=(*collected.rounds, *sources.rounds), traces=traces)
        elif offered.values:
            reasoning = await parts.reasoner.reason(hop.question, evidence, hop.deadline)
        else:
            reasoning = account.no_node_answered()
    final = Answer(
        id=hop.id,
        question=hop.question,
        text=reasoning.text,
        choice=reasoning.choice,
        confidence=reasoning.confidence,
        abstained=reasoning.abstained,
        steps=reasoning.steps,
        evidence=evidence,
        certificate=reasoning.certificate or certify(evidence, reasoning.votes, reasoning.choice),
        coverage=coverage(hop, parts, offered, collected),
        routing=routing,
        disclosure=account.disclosure(
            offered.outcomes.values(),
            collected.releases,
            parts.disclosure,
            parts.release_mode,
            collected.traces,
        ),
        redactions=asked.redactions,
        reasoner=reasoning.report,
        chains=reasoning.chains,
        answer_set=reasoning.answer_set,
        budget=account.budget((offered, *collected.rounds), reasoning.report, hop.deadline.purse),
        timings=watch.timings(),
        notices=(
            *asked.notices,
            *account.awaiting_notices(offered.values, reason=hop.reason is not None),
            *account.locked_notices(offered.values),
            *account.uncounted_notices(reasoning.chains),
        ),
        answered_at=datetime.now(UTC),
        awaiting=account.awaiting(offered.values),
    )
    return Answered(final, asked, collected)


def redact(
    question: Question, reason: str | None, redactor: Redactor
) -> tuple[Question, str | None, tuple[RedactionCount, ...]]:
    """The question as everything behind this point sees it: text, options, earlier turns, and why it is asked."""
    counts: dict[str, int] = {}

    def clean(text: str) -> str:
        redacted, found = redactor.redact(text)
        for one in found:
            counts[one.category] = counts.get(one.category, 0) + one.count
        return redacted

    redacted = Question(
        text=clean(question.text),
        options={letter: clean(option) for letter, option in question.options.items()},
        turns=tuple(
            turn.model_copy(update={"question": clean(turn.question), "answer": clean(turn.answer)})
            for turn in question.turns
        ),
        language=question.language,
    )
    stated = clean(reason)[:MAXIMUM_REASON_CHARACTERS] if reason else None
    found = tuple(RedactionCount(category=name, count=count) for name, count in sorted(counts.items()))
    return redacted, stated, found


def check_language(question: Question, encoder: Encoder) -> tuple[tuple[Notice, ...], Notice | None]:
    """What to tell a reader whose language the encoder does not cover: a notice where it was detected; where the asker
    stated it, the second value, which ends the question before any hospital sees it."""
    stated = question.language
    detected = None if stated else detect(question.text)
    language = stated or (detected[0] if detected else None)
    if language is None or encoder.identity.covers(language):
        return (), None
    languages = ", ".join(encoder.identity.languages)
    notice = Notice(
        code=AbstentionCode.LANGUAGE_NOT_COVERED,
        message=f"The question is in {language!r}; this federation's search covers: {languages}.",
    )
    return ((), notice) if stated else ((notice,), None)


def retrieval_text(question: Question, search_options: bool) -> str:
    """What is searched for: the question, and its options where that is wanted and they are not mere verdicts (yes, no,
    maybe)."""
    options = [option for option in question.options.values() if option.strip(" .").casefold() not in VERDICTS]
    return " ".join((question.text, *(options if search_options else ())))[:MAXIMUM_QUESTION_CHARACTERS]


def route(query: FloatVector, hop: Hop, parts: Federation) -> RoutingDecision:
    collections = [one for one in parts.catalogue.collections() if one.node in hop.candidates]
    means = parts.encoder.identity.comparable_with
    limits = replace(hop.limits, words=hop.question.text, maximum_nodes=affordable_nodes(hop))
    decision = parts.routing[hop.routing].route(query, means, collections, limits)
    decision = as_read(decision, hop.reading, collections, limits.maximum_nodes)
    if hop.deadline.purse is not None and len(decision.selected) == limits.maximum_nodes < hop.limits.maximum_nodes:
        hop.deadline.purse.refuse(Cost.HOSPITALS, hop.limits.maximum_nodes)
    return decision


def affordable_nodes(hop: Hop) -> int:
    purse = hop.deadline.purse
    return hop.limits.maximum_nodes if purse is None else int(min(hop.limits.maximum_nodes, purse.left(Cost.HOSPITALS)))


async def ask_for_offers(
    wanted: str, query: FloatVector, routing: RoutingDecision, hop: Hop, parts: Federation
) -> Gathered[Offers]:
    deadline = hop.deadline.share(OFFERS_SHARE)
    purse, selected = hop.deadline.purse, routing.selected
    along = DirectRelease(processor=parts.processor, passages=hop.limits.passages)
    direct = along if parts.release_mode is ReleaseMode.DIRECT else None
    if purse is not None:
        selected = selected[: purse.take_up_to(Cost.HOSPITALS, len(selected))]
        along_too = len(selected) * hop.limits.passages
        if direct is not None and not (
            along_too <= purse.left(Cost.PASSAGES) and purse.take({Cost.PASSAGES: along_too})
        ):
            direct = None  # text is asked for after the merge then, and far less of it

    def request(node: NodeId) -> OfferRequest:
        return OfferRequest(
            request_id=hop.id,
            coordinator=parts.coordinator,
            node=node,
            vector=encode_vector(query),
            comparable_with=parts.encoder.identity.comparable_with,
            text=wanted if parts.disclosure is QueryDisclosure.TEXT else None,
            k=hop.offers_per_node,
            filter=hop.filter,
            direct=direct,
            reason=hop.reason,
            deadline_ms=deadline.remaining_ms(),
            token=parts.issuer.token(hop.asker, node) if parts.issuer else None,
        )

    nodes = [parts.nodes[node] for node in selected]
    made = await ask_all(nodes, lambda node: node.offers(request(node.id), deadline), deadline, parts.breaker)
    if purse is not None:
        purse.give_back(Cost.HOSPITALS, len(selected) - made.messages)
        if direct is not None:
            purse.give_back(Cost.PASSAGES, sum(_not_released(made, node.id, direct.passages) for node in nodes))
    return made


def _not_released(made: Gathered[Offers], node: NodeId, wanted: int) -> int:
    """Of the passages that were to come with the offers. What a hospital made that did not answer is not known."""
    if node not in made.values:
        return wanted if made.outcomes[node].status in _NOTHING_LEFT else 0
    release = made.values[node].release
    return wanted - (min(wanted, len(release.passages)) if release else 0)


def hospitals_that_reason(asked: "Asked", parts: Federation) -> tuple[AskedSources | None, bool]:
    """Of those that answered, the ones whose own chains of thought are wanted, and whether their passages are wanted as
    well; None where there is none, and where hospitals are not shown the words of a question."""
    hop, reasoner = asked.hop, parts.reasoner
    if parts.disclosure is not QueryDisclosure.TEXT or not isinstance(reasoner, HearsHospitals) or not reasoner.hears:
        return None, False
    able = {one.node for one in parts.catalogue.collections() if one.traces}
    hospitals = {node: parts.nodes[node] for node in asked.offered.values if node in able}
    question = hop.question.model_copy(update={"turns": ()})  # earlier answers rest on other hospitals' text

    def request(node: NodeId, told: Told, turn: int, deadline: Deadline) -> TraceRequest:
        return TraceRequest(
            request_id=hop.id,
            coordinator=parts.coordinator,
            node=node,
            question=question,
            search=retrieval_text(hop.question, hop.search_options),
            round=turn,
            so_far=told.so_far,
            own=told.own,
            others=told.others,
            filter=hop.filter,
            processor=parts.processor,
            deadline_ms=deadline.remaining_ms(),
            token=parts.issuer.token(hop.asker, node) if parts.issuer else None,
        )

    return (AskedSources(hospitals, request, parts.breaker) if hospitals else None), reasoner.beside


async def collect_winners(asked: "Asked", parts: Federation, apart: frozenset[NodeId] = frozenset()) -> "Collected":
    """The text of the passages that win the global merge, and of no others but those that came with the offers.

    When a hospital fails now, or its text does not bear out what it claimed of it, the runners-up of the rest win in
    its place: the evidence is what it would have been had that hospital not answered at all. In the place of a winner
    that opens to nothing the next one wins: hospitals fill up their offers of records with such handles. Nothing is
    taken of those `apart`, which reason themselves.
    """
    hop, before = asked.hop, asked.before
    useful = {one.node: one.probability for one in asked.routing.ranking}
    standing = {node: made for node, made in asked.offered.values.items() if node not in apart}
    along = asked.offered.values.values()
    releases = [*before.releases, *(made.release for made in along if made.release is not None)]
    known = {passage.handle for release in releases for passage in release.passages}
    rounds: list[Gathered[Release] | Gathered[Offers] | Gathered[Trace]] = [*before.rounds]
    unproven = set(before.unproven)
    empty: set[str] = set()
    while True:
        pool = [
            NodeOffer(node, offer, useful[node])
            for node, made in sorted(standing.items())
            for offer in made.offers
            if offer.handle not in empty
        ]
        winners = parts.merging.merge(pool, hop.limits.passages)
        wanted = affordable([winner for winner in winners if winner.offer.handle not in known], hop)
        lost: frozenset[NodeId] = frozenset()
        if wanted:
            known.update(winner.offer.handle for winner in wanted)
            made_now = await ask_for_releases(wanted, hop, parts)
            rounds.append(made_now)
            releases += made_now.values.values()
            given = {passage.handle for release in made_now.values.values() for passage in release.passages}
            empty |= {one.offer.handle for one in wanted if one.node in made_now.values} - given
            failed = (one.node for one in made_now.outcomes.values() if one.status is not NodeStatus.ANSWERED)
            lost = frozenset(failed)
        elif parts.check_claims:
            lost = await asyncio.to_thread(boasters, winners, releases, asked.query, parts.encoder)
            unproven |= lost
        if not wanted and not lost:
            return Collected(winners, tuple(releases), tuple(rounds), frozenset(unproven), before.traces)
        standing = {node: made for node, made in standing.items() if node not in lost}


def affordable(wanted: list[Winner], hop: Hop) -> list[Winner]:
    """The best of them that the purse pays for."""
    purse = hop.deadline.purse
    return wanted if purse is None else wanted[: purse.take_up_to(Cost.PASSAGES, len(wanted))]


async def ask_for_releases(winners: Sequence[Winner], hop: Hop, parts: Federation) -> Gathered[Release]:
    deadline = hop.deadline.share(RELEASE_SHARE)

    def request(node: NodeId) -> ReleaseRequest:
        return ReleaseRequest(
            request_id=hop.id,
            coordinator=parts.coordinator,
            node=node,
            handles=tuple(winner.offer.handle for winner in winners if winner.node == node),
            processor=parts.processor,
            deadline_ms=deadline.remaining_ms(),
            token=parts.issuer.token(hop.asker, node) if parts.issuer else None,
        )

    nodes = [parts.nodes[node] for node in dict.fromkeys(winner.node for winner in winners)]
    return await ask_all(nodes, lambda node: node.release(request(node.id), deadline), deadline, parts.breaker)


@dataclass(frozen=True, slots=True)
class Collected:
    """The winners of the last merge, everything released, every round that it took, whose claims were too high, and
    hospitals' own chains of thought."""

    winners: tuple[Winner, ...] = ()
    releases: tuple[Release, ...] = ()
    rounds: tuple[Gathered[Release] | Gathered[Offers] | Gathered[Trace], ...] = ()
    unproven: frozenset[NodeId] = frozenset()
    traces: tuple[Trace, ...] = ()


@dataclass(frozen=True, slots=True)
class Asked:
    """A question, redacted, when hospitals have offered what they have. `before`: what was collected when it came by
    earlier."""

    hop: Hop
    redactions: tuple[RedactionCount, ...]
    notices: tuple[Notice, ...]
    query: FloatVector
    routing: RoutingDecision
    offered: Gathered[Offers]
    before: Collected = Collected()


@dataclass(frozen=True, slots=True)
class Answered:
    """An answer, and what it is made of, where hospitals were asked at all. `parts`: the answers to its sub-questions,
    where it was taken apart."""

    answer: Answer
    asked: Asked | None = None
    collected: Collected = Collected()
    parts: tuple["Answered", ...] = ()


def coverage(hop: Hop, parts: Federation, offered: Gathered[Offers], collected: Collected) -> tuple[NodeOutcome, ...]:
    """One outcome of every hospital of the federation, in order of its id; the first thing that went wrong counts."""
    described = {one.node for one in parts.catalogue.collections()}
    rounds = [offered.outcomes, *(gathered.outcomes for gathered in collected.rounds)]

    def outcome(node: NodeId) -> NodeOutcome:
        if node in hop.candidates and node not in described:
            return NodeOutcome(node=node, status=NodeStatus.FAILED, code="no_description")
        steps = [step[node] for step in rounds if node in step]
        if not steps:
            return NodeOutcome(node=node, status=NodeStatus.NOT_SELECTED)
        elapsed_ms = sum(step.elapsed_ms for step in steps)
        wrong = next((step for step in steps if step.status is not NodeStatus.ANSWERED), None)
        if wrong is not None:
            return wrong.model_copy(update={"elapsed_ms": elapsed_ms})
        if node in collected.unproven:
            return NodeOutcome(node=node, status=NodeStatus.FAILED, elapsed_ms=elapsed_ms, code=UNPROVEN)
        made = offered.values[node]
        awaiting = made.awaiting_release and not made.offers
        status = NodeStatus.AWAITING_RELEASE if awaiting else NodeStatus.ANSWERED
        return NodeOutcome(node=node, status=status, elapsed_ms=elapsed_ms)

    return tuple(outcome(node) for node in sorted(parts.nodes))
