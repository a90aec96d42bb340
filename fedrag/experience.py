"""What a coordinator learns of whom to ask: from every answer, and from what askers say of it. Counts and sums alone.

    answered    who was cited helped, who answered without being cited did not       → counts in two cells
    judged      citations that an asker calls helpful, right or wrong say it better  → the counts are put right
    followed    a hospital that left is forgotten, one with other words read anew    → the policy for the next question

Nothing waits for it: answers and verdicts are put down as they come and worked off beside the questions. On disk lie
centres of cells and counts of hospitals in them, and of each asker how many questions were counted: no question, and
not what an asker asks about. In memory, for as long as an answer can be judged, the cells that it counted in.

An asker's outcomes are worth less the more of them there are: the n-th counts FULL_WEIGHT / n of a question, so who
asks a hundred times as often counts not quite six times as much.
"""

import asyncio
import os
import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Final

import numpy as np
import structlog
from pydantic import Field, ValidationError

from fedrag.core.answer import Answer
from fedrag.core.collection import CollectionDescription
from fedrag.core.exchange import NodeStatus
from fedrag.core.protocols import Encoder
from fedrag.core.wire import Count, FloatVector, Name, NodeId, RequestId, Wire
from router.catalogue import Catalogue
from router.learning import Experience, Learned
from router.policies.mixture import MixtureRouting

FULL_WEIGHT: Final = 200
"""Questions of one asker that count in full."""
KEEP: Final = 0.999
"""Of what a cell has seen, at each further question in it: half is left after 700."""
WAITING: Final = 1_000
"""Answers and verdicts that wait to be learned from; more are left out."""
JUDGEABLE: Final = 2_000
"""Answers that can still be put right, the newest."""
BATCH: Final = 20
"""Questions, at least, by which two states on disk differ: of fewer one could tell where they lie."""
SAVED_EVERY_S: Final = 30.0
TICK_S: Final = 0.5
_log = structlog.get_logger()


class KeptExperience(Wire):
    """`experience.json`. `askers`: how many answers of each were counted."""

    experience: Experience
    askers: Annotated[dict[Name, Count], Field(default_factory=dict)]


@dataclass(frozen=True, slots=True)
class Observed:
    """An answer as far as the router learns from it."""

    answer: RequestId
    asker: Name
    query: FloatVector
    useful: Mapping[NodeId, float]


@dataclass(frozen=True, slots=True)
class Verdict:
    """Who an asker said was of use, and who was not."""

    answer: RequestId
    useful: Mapping[NodeId, float]


@dataclass(frozen=True, slots=True)
class _Counted:
    """Where an answer counted, among these centres, and for how much: `first` by itself, `useful` once judged."""

    centres: object
    cells: tuple[int, ...]
    weight: float
    first: Mapping[NodeId, float]
    useful: Mapping[NodeId, float]


def usefulness(answer: Answer) -> dict[NodeId, float]:
    """Every hospital that answered → 1 where the answer cites a passage that it sent, or that it holds too, else 0.
    Empty where nothing is cited: an answer that nobody could give says nothing of who could have."""
    cited = {number for step in answer.steps for number in step.citations}
    helped = {node for one in answer.evidence.passages if one.number in cited for node in (one.node, *one.also_held_by)}
    if not helped or answer.abstained is not None:
        return {}
    answered = [one.node for one in answer.coverage if one.status is NodeStatus.ANSWERED]
    return {node: float(node in helped) for node in answered}


class RouterExperience:
    """The one current `mixture` policy, and what it knows.

    `policy` and `observe` may be called from anywhere and take no time; all else is done by one task, or by whoever
    calls `settle`. `path` None: in memory alone. `learning` False: nothing is counted, and nothing kept.
    """

    def __init__(
        self,
        policy: MixtureRouting,
        encoder: Encoder,
        catalogue: Callable[[], Catalogue],
        members: Callable[[], Iterable[NodeId]],
        path: Path | None = None,
        *,
        learning: bool = True,
    ) -> None:
        self._encoder, self._catalogue, self._members, self._path = encoder, catalogue, members, path
        self._means = encoder.identity.comparable_with
        self._learning, self._lock = learning, threading.Lock()
        self._heard: deque[Observed | Verdict] = deque()
        self._counted: OrderedDict[RequestId, _Counted] = OrderedDict()
        self._askers: dict[Name, int] = {}
        self._texts: dict[str, FloatVector] = {}
        self._followed: tuple[CollectionDescription, ...] | None = None
        self._learned = self._read() if learning else None
        self._unsaved = 0
        self._policy = policy.informed_by(self._learned)

    def policy(self) -> MixtureRouting:
        """With all that was learned until now."""
        return self._policy

    def observe(self, asker: Name, query: FloatVector, answer: Answer) -> None:
        useful = usefulness(answer)
        if useful:
            self._put_down(Observed(answer.id, asker, query, useful))

    def judged(self, answer: RequestId, right: Mapping[NodeId, bool]) -> None:
        """An asker's verdict, by hospital; a second one takes the place of the first, an empty one takes it back."""
        self._put_down(Verdict(answer, {node: float(said) for node, said in right.items()}))

    def settle(self) -> None:
        """Work off what was put down, and follow the catalogue."""
        with self._lock:
            self._settle(self._catalogue().collections())

    def _settle(self, collections: tuple[CollectionDescription, ...]) -> None:
        learned = self._learned
        while self._heard:
            one = self._heard.popleft()
            learned = self._after(learned, one, collections)
        if learned is not self._learned:
            self._learned = learned
            self._policy = self._policy.informed_by(learned)
        if collections is not self._followed:
            self._follow(collections)
            self._followed = collections

    def save(self) -> None:
        with self._lock:
            if self._path is None or self._learned is None or self._unsaved < BATCH:
                return
            self._write(self._path, KeptExperience(experience=self._learned.as_experience(), askers=self._askers))
            self._unsaved = 0

    @staticmethod
    def _write(path: Path, kept: KeptExperience) -> None:
        """Whole or not at all."""
        fresh = path.with_suffix(".new")
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(kept.model_dump_json())
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)

    async def run(self) -> None:
        """Learn until cancelled, and keep what was learned."""
        clock = asyncio.get_running_loop().time
        due_s = clock() + SAVED_EVERY_S
        try:
            while True:
                try:
                    await asyncio.to_thread(self.settle)
                    if clock() >= due_s:
                        await asyncio.to_thread(self.save)
                        due_s = clock() + SAVED_EVERY_S
                except Exception as error:  # noqa: BLE001 - questions are answered without it, as well as before
                    _log.error("learning_failed", error=type(error).__name__)
                await asyncio.sleep(TICK_S)
        finally:
            self.close()

    def close(self) -> None:
        """Keep what was learned until now."""
        try:
            self.settle()
            self.save()
        except OSError as error:
            _log.error("experience_not_kept", error=type(error).__name__)

    def _put_down(self, one: Observed | Verdict) -> None:
        if self._learning and len(self._heard) < WAITING:
            self._heard.append(one)

    def _after(
        self, learned: Learned | None, one: Observed | Verdict, collections: tuple[CollectionDescription, ...]
    ) -> Learned | None:
        if isinstance(one, Verdict):
            return self._corrected(learned, one)
        if learned is None or one.query.size != learned.centres.shape[1]:
            learned = self._beginning(collections)
        if learned is None:
            return None
        self._unsaved += 1
        self._askers[one.asker] = number = self._askers.get(one.asker, 0) + 1
        weight = min(1.0, FULL_WEIGHT / number)
        told = self._policy.outcome(one.query, self._means, collections, one.useful)
        made = learned.after(replace(told, weight=weight), KEEP)
        cells, useful = made.cells_of(one.query), dict(told.useful)
        self._counted[one.answer] = _Counted(made.centres, cells, weight, useful, useful)
        while len(self._counted) > JUDGEABLE:
            self._counted.popitem(last=False)
        return made

    def _corrected(self, learned: Learned | None, verdict: Verdict) -> Learned | None:
        counted = self._counted.get(verdict.answer)
        if learned is None or counted is None or counted.centres is not learned.centres:
            return learned
        useful = {node: verdict.useful.get(node, first) for node, first in counted.first.items()}
        changes = {node: said - counted.useful[node] for node, said in useful.items() if said != counted.useful[node]}
        self._counted[verdict.answer] = replace(counted, useful=useful)
        return learned.judged(counted.cells, changes, counted.weight)

    def _beginning(self, collections: tuple[CollectionDescription, ...]) -> Learned | None:
        """None while no hospital publishes a prototype."""
        published = self._policy.prepare(collections, self._means, self._encoder.identity.dimension)
        if not len(published.vectors):
            return None
        return Learned.beginning(self._means, published.vectors, np.exp(published.log_masses))

    def _follow(self, collections: tuple[CollectionDescription, ...]) -> None:
        """Whoever left is forgotten; cells are made anew when far more is described than they were made of; words of
        hospitals that cannot be compared are read."""
        learned = self._learned
        published = self._policy.prepare(collections, self._means, self._encoder.identity.dimension)
        if learned is not None:
            members = set(self._members())
            for node in [node for node in learned.nodes if node not in members]:
                learned = learned.without(node)
            learned = learned.regrouped(published.vectors, np.exp(published.log_masses))
        words = {one.text for one in collections if one.text and one.encoder.comparable_with != self._means}
        new = sorted(words - self._texts.keys())
        read = dict(zip(new, self._encoder.encode_passages(new), strict=True)) if new else {}
        texts = {text: vector for text, vector in {**self._texts, **read}.items() if text in words}
        same = learned is self._learned and not new and len(texts) == len(self._texts)
        if not same:
            self._learned, self._texts = learned, texts
            self._policy = self._policy.informed_by(learned, texts)
            self._policy.prepare(collections, self._means, self._encoder.identity.dimension)

    def _read(self) -> Learned | None:
        """What was kept; nothing where that is missing, damaged, or of another encoder."""
        if self._path is None or not self._path.exists():
            return None
        try:
            kept = KeptExperience.model_validate_json(self._path.read_bytes())
        except (ValidationError, OSError) as error:
            _log.warning("experience_unreadable", error=type(error).__name__)
            return None
        if kept.experience.comparable_with != self._means:
            return None
        self._askers = dict(kept.askers)
        return Learned.from_experience(kept.experience)
