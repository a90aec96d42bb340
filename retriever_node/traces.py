"""Reasoning at the source: the hospital's own model reads what could be released, and its chain of thought leaves.

    offers → release (charged, audited) → the model → redact → charge and audit the trace → sign

What the model reads is what the policy would let this asker have, in the form in which it would leave, found and
released by the node's own two steps: grants, quotas, lockout, the rule of one patient and the kill switch hold because
they are the same. Nothing it could write can tell more than that. The model runs whether or not anything was found.
"""

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import structlog

from fedrag.core.deadline import Deadline
from fedrag.core.errors import Refused, Unavailable
from fedrag.core.exchange import Citation, OfferRequest, Release, ReleaseRequest
from fedrag.core.protocols import LocalReasoner
from fedrag.core.traces import MAXIMUM_STEPS, Demonstration, LocalTask, LocalTrace, Trace, TraceRequest
from fedrag.core.wire import ReleaseClass
from retriever_node.config import TracesConfig, Variant
from retriever_node.documents import Passage
from retriever_node.ledger import Disclosure
from retriever_node.node import RetrieverNode
from retriever_node.policy import Grant, Kind
from retriever_node.policy.live import LivePolicy
from retriever_node.policy.rules import Policy
from retriever_node.redaction import Redaction

DEMONSTRATIONS: Final = "demonstrations"
"""What the policy calls them, beside the collections: rules reach them by their class."""
TRACES: Final = "~traces"
"""What the ledger calls chains of thought; no collection can be called so."""
_SHOWN: Final = 1000
"""Numbers of demonstrations in the ledger are below its negative, those of traces above it; passages' are positive."""
_log = structlog.get_logger()


class TracePolicy(LivePolicy):
    """The policy in force, for what a hospital's own model may read: where chains of thought may leave, and no
    passages, it may read passages as they could be released."""

    def __init__(self, live: LivePolicy) -> None:
        self._live = live
        self._made: tuple[Policy, Policy] | None = None

    def now(self) -> Policy:
        policy, made = self._live.now(), self._made
        if made is None or made[0] is not policy:
            grants = {name: _readable(grant) for name, grant in policy.grants.items()}
            made = self._made = (policy, replace(policy, grants=grants))
        return made[1]

    def unchanged(self, policy: Policy) -> bool:
        made = self._made
        return made is not None and made[1] is policy and self._live.unchanged(made[0])


def _readable(grant: Grant) -> Grant:
    return replace(grant, release=Kind.PASSAGE) if grant.release is Kind.TRACE else grant


@dataclass(frozen=True, slots=True)
class SourceReasoning:
    """`node`: with a `TracePolicy`. `released`: whether passages of a collection may be cited, by the policy as it is.
    `redaction`: of what the model writes; None where nothing of this node is redacted."""

    node: RetrieverNode
    live: LivePolicy
    reasoner: LocalReasoner
    settings: TracesConfig
    demonstrations: tuple[Demonstration, ...]
    redaction: Redaction | None
    room: threading.Semaphore = field(compare=False)

    @classmethod
    def around(
        cls,
        node: RetrieverNode,
        reasoner: LocalReasoner,
        settings: TracesConfig,
        demonstrations: tuple[Demonstration, ...],
        redaction: Redaction | None,
    ) -> "SourceReasoning":
        reading = replace(node, policy=TracePolicy(node.policy))
        room = threading.Semaphore(settings.at_once)
        return cls(reading, node.policy, reasoner, settings, demonstrations, redaction, room)

    def trace(self, request: TraceRequest, deadline: Deadline) -> Trace:
        """Raises IdentityError, Refused, QuotaExceeded or DeadlineExceeded as `offers` and `release` do, and what the
        model raises: Unavailable, ProtocolError."""
        policy = self.node.policy.now()
        self._require_granted(policy, request)
        release, probabilities = self._read(request, deadline)
        known, cited = self._about(release, request)
        task = self._task(request, release, probabilities, policy)
        if not self.room.acquire(timeout=deadline.remaining_ms() / 1000):
            raise Unavailable("the hospital's model has no room", code="reasoner_busy")
        try:
            made = self.reasoner.trace(task, deadline)
        finally:
            self.room.release()
        said = self._said(self._shortened(made), known)
        size = len("".join((said.answer, *(step.text for step in said.steps))).encode())
        left = [Disclosure(TRACES, -request.round, size)]
        left += [
            Disclosure(DEMONSTRATIONS, -_SHOWN - at, len(task.demonstrations[at].text.encode())) for at in made.shown
        ]
        receipt = self.node.record_trace(request, policy, left, deadline)
        return Trace(
            node=self.node.id,
            request_id=request.request_id,
            round=request.round,
            choice=said.choice,
            answer=said.answer,
            steps=said.steps,
            cited=cited,
            uncertainty=said.uncertainty,
            signals=dict(said.signals),
            passages=len(release.passages) if release else 0,
            patients=release.patients if release else 0,
            receipt=receipt,
        )

    def _require_granted(self, policy: Policy, request: TraceRequest) -> None:
        """What the model knows by itself leaves to nobody to whom no chain of thought about anything here may."""
        asker = self.node.gate.identify(request.token, request.coordinator)
        held = [(one.id, one.release_class) for one in self.node.collections.values()]
        if self.demonstrations:
            held.append((DEMONSTRATIONS, self.settings.demonstrations_class))
        grants = [policy.grant(collection, release_class, asker) for collection, release_class in held]
        if not any(one.offers and one.processors.allow(request.processor) for one in grants):
            raise Refused("no chain of thought leaves to this asker or this processor", code="not_allowed")

    def _read(self, request: TraceRequest, deadline: Deadline) -> tuple[Release | None, tuple[float, ...]]:
        """What could be released of this question to this asker, best first, charged as if it were; and how probably
        each bears on it. None where nothing was found, or nothing may leave."""
        if self.settings.passages == 0:
            return None, ()
        common = {"request_id": request.request_id, "coordinator": request.coordinator, "node": request.node}
        offered = self.node.offers(
            OfferRequest.model_validate(
                {
                    **common,
                    "vector": None,
                    "comparable_with": "",
                    "text": request.search or request.question.text,
                    "k": self.settings.passages,
                    "filter": request.filter,
                    "deadline_ms": request.deadline_ms,
                    "token": request.token,
                }
            ),
            deadline,
        )
        if not offered.offers:
            return None, ()
        asked = ReleaseRequest.model_validate(
            {
                **common,
                "handles": tuple(one.handle for one in offered.offers),
                "processor": request.processor,
                "deadline_ms": request.deadline_ms,
                "token": request.token,
            }
        )
        probability = {one.handle: one.probability for one in offered.offers}
        release = self.node.release(asked, deadline)
        best = sorted(release.passages, key=lambda one: -probability[one.handle])  # stable: ties as they were offered
        return release.model_copy(update={"passages": tuple(best)}), tuple(probability[one.handle] for one in best)

    def _about(self, release: Release | None, request: TraceRequest) -> tuple[tuple[str, ...], tuple[Citation, ...]]:
        """What is known to name the patients of what was read; and how it may be cited, nothing where a passage of it
        would not itself be released."""
        if release is None or not release.passages:
            return (), ()
        opened = self.node.opened(request, [one.handle for one in release.passages])
        known = self.node.store.known([one.passage_id for one in opened.values()])
        asker, now = self.node.gate.identify(request.token, request.coordinator), self.live.now()
        bare = all(
            now.grant(one.collection, self.node.collections[one.collection].release_class, asker).offers
            for one in opened.values()
        )
        names = tuple(dict.fromkeys(name for some in known.values() for name in some))
        return names, tuple(one.citation for one in release.passages) if bare else ()

    def _task(
        self, request: TraceRequest, release: Release | None, probabilities: tuple[float, ...], policy: Policy
    ) -> LocalTask:
        asker = self.node.gate.identify(request.token, request.coordinator)
        granted = policy.grant(DEMONSTRATIONS, self.settings.demonstrations_class, asker)
        may = granted.offers and granted.processors.allow(request.processor)
        return LocalTask(
            node=self.node.id,
            question=request.question,
            passages=release.passages if release else (),
            probabilities=probabilities,
            demonstrations=tuple(_by_variant(one, self.settings.variant) for one in self.demonstrations) if may else (),
            so_far=None if self.settings.variant == "gt" else request.so_far,
            own=request.own,
            others=request.others,
        )

    def _shortened(self, made: LocalTrace) -> LocalTrace:
        if self.settings.variant == "q":
            return replace(made, answer=made.choice or made.answer, steps=())
        return replace(made, steps=made.steps[:MAXIMUM_STEPS])

    def _said(self, made: LocalTrace, known: Sequence[str]) -> LocalTrace:
        """As it may leave; silent where an identifier of a patient is left in it or it cannot be looked through."""
        if self.redaction is None:
            return made
        texts = [made.answer, *(step.text for step in made.steps)]
        try:
            clean = [_redacted(self.redaction, text, known, self.node.store.document_key) for text in texts]
        except Exception as error:  # noqa: BLE001 - the border: what cannot be looked through does not leave
            _log.error("denied", code="not_looked_through", error=type(error).__name__)
            clean = [None]
        if any(one is None for one in clean):
            _log.warning("denied", code="withheld", collection=TRACES, passages=1)
            return LocalTrace(None)
        answer, *steps = (one or "" for one in clean)
        kept = (step.model_copy(update={"text": text}) for step, text in zip(made.steps, steps, strict=True))
        return replace(made, answer=answer, steps=tuple(kept))


def _redacted(redaction: Redaction, text: str, known: Sequence[str], key: bytes) -> str | None:
    if not text:
        return text
    written = Passage(0, TRACES, "trace", "chain of thought", "", "", "", None, 0, len(text), text)
    form = redaction.form(written, known, key)
    return None if form is None else form.text


def _by_variant(one: Demonstration, variant: Variant) -> Demonstration:
    """Q shows answers alone, Free questions alone."""
    if variant == "q":
        return Demonstration(one.question, "", one.answer)
    return Demonstration(one.question) if variant == "free" else one


def redaction_for(node: RetrieverNode, demonstrations_class: ReleaseClass, pattern: Redaction) -> Redaction | None:
    """How chains of thought of this node are redacted: as the first of its collections that redacts is."""
    own = [one.redaction for one in node.collections.values() if one.redaction is not None]
    return own[0] if own else pattern if demonstrations_class is ReleaseClass.PATIENT else None
