"""Common statistics of terms at a hospital: kept, checked, and put to use without a search noticing.

A similarity of words and vectors means another thing under other statistics, so its calibration is fitted anew first;
until then, and when anything fails, a collection goes on with what it has.
"""

import hashlib
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import structlog
from pydantic import ValidationError

from fedrag.core.collection import EncoderIdentity
from fedrag.core.errors import FedragError, Refused, Unavailable
from fedrag.core.masked_sums import Numbers
from fedrag.core.protocols import Encoder
from fedrag.core.statistics import COUNTS, Adoption, SharedStatistics, vector
from fedrag.core.wire import FloatMatrix, NodeId
from fedrag.privacy.masked_sums import MINIMUM
from retriever_node.calibration import Calibration
from retriever_node.collection import Collection, CommonTerms
from retriever_node.lexical import TermStatistics
from retriever_node.passages import Field
from retriever_node.rounds import Rounds
from retriever_node.state import NodeState
from retriever_node.terms import PublicTerms

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Scored:
    """A collection whose words are scored, and the fields of its passages that are encoded."""

    collection: Collection
    fields: Sequence[Field]


@dataclass(frozen=True, slots=True)
class Kept:
    """What is in use or about to be."""

    coordinator: str
    shared: SharedStatistics
    statistics: TermStatistics


@dataclass(slots=True)
class NodeStatistics:
    """Args:
    rounds: where this hospital's counts go into the sum.
    encoder: encodes the questions that a calibration is fitted on, one text at a time: on the thread that asks.
    collections: all whose words are searched for, whoever may see them: common statistics come from outside and tell
        nothing of what is inside.
    coordinators: those that are pinned.
    """

    node: NodeId
    rounds: Rounds
    state: NodeState
    encoder: Encoder
    collections: Mapping[NodeId, Scored]
    coordinators: frozenset[str]
    _following: threading.Lock = field(default_factory=threading.Lock)
    _stopping: threading.Event = field(default_factory=threading.Event)
    _sketch_key: bytes = b""

    @property
    def sketch_key(self) -> bytes:
        """What the hospitals of the epoch share and their coordinator does not know; empty where there is nothing."""
        return self._sketch_key

    @property
    def key_id(self) -> str:
        """Two sketches may be compared where this is equal."""
        return key_id(self._sketch_key)

    def adopt(self, coordinator: str, shared: SharedStatistics) -> Adoption:
        """Keeps them; `follow` puts them to use. Told the same again it says the same.

        Raises Refused: `other_terms`, `implausible_statistics`, and `epoch_taken` where another coordinator that is
        still pinned here gave those in use.
        """
        kept = self.kept()
        if kept is not None and kept.coordinator != coordinator and kept.coordinator in self.coordinators:
            raise Refused("another coordinator's statistics are in use", code="epoch_taken")
        if kept is None or kept.shared != shared:
            self._require_plausible(shared, coordinator)
            secret = self.rounds.secret(coordinator, shared.round)
            with self.state.transaction() as connection:
                connection.execute(
                    "INSERT OR REPLACE INTO epochs VALUES (1, ?, ?, ?, ?)",
                    (shared.epoch, coordinator, shared.model_dump_json(), secret),
                )
                connection.execute("DELETE FROM epoch_calibrations WHERE epoch <> ?", (shared.epoch,))
            self._sketch_key = secret
        return Adoption(node=self.node, round=shared.round, epoch=shared.epoch)

    def kept(self) -> Kept | None:
        """What was adopted last, by this process or another one of this node, where it can be used: whole, and of the
        terms that are counted here now."""
        with self.state.transaction() as connection:
            row = connection.execute("SELECT coordinator, statistics FROM epochs").fetchone()
        if row is None or self.rounds.terms is None:
            return None
        try:
            shared = SharedStatistics.model_validate_json(row[1])
        except ValidationError:
            return None
        numbers = shared.numbers()
        if numbers is None or shared.terms_sha256 != self.rounds.terms.sha256:
            return None
        return Kept(row[0], shared, _statistics(numbers, self.rounds.terms))

    def follow(self, *, fit: bool = True) -> None:
        """Every collection that does not score words with what was adopted last begins to, once its calibration is
        fitted; it is fitted anew when the collection has changed. `fit` False: only what was fitted before."""
        with self._following:
            self._follow(fit=fit)

    def stop(self) -> None:
        """A calibration that is being fitted is given up; it is fitted after the next start."""
        self._stopping.set()

    def _follow(self, *, fit: bool) -> None:
        epoch = self._adopted()
        behind = [
            one
            for one in self.collections.values()
            if epoch and (one.collection.common is None or one.collection.common.epoch != epoch or _changed(one))
        ]
        if not behind or (kept := self.kept()) is None:
            return
        for one in behind:
            try:
                common = self._fitted(one, kept, fit=fit)
                if common is not None and common != one.collection.common:
                    one.collection.share(common)
            except FedragError as error:
                if self._stopping.is_set():
                    return
                _log.warning("statistics_not_used", collection=one.collection.id, code=error.code)

    def _adopted(self) -> str:
        with self.state.transaction() as connection:
            row = connection.execute("SELECT epoch, sketch_key FROM epochs").fetchone()
        epoch, self._sketch_key = row or ("", b"")
        return str(epoch)

    def _fitted(self, one: Scored, kept: Kept, *, fit: bool) -> CommonTerms | None:
        name, epoch = one.collection.id, kept.shared.epoch
        with self.state.transaction() as connection:
            row = connection.execute(
                "SELECT generation, slope, intercept FROM epoch_calibrations WHERE epoch = ? AND collection = ?",
                (epoch, name),
            ).fetchone()
        if row is not None and (not fit or row[0] == one.collection.generation):
            return CommonTerms(epoch, kept.statistics, Calibration(row[1], row[2]), row[0])
        if not fit:
            return None
        made = one.collection.fitted_to(epoch, kept.statistics, _OneByOne(self.encoder, self._stopping), one.fields)
        if made is not None:
            with self.state.transaction() as connection:
                connection.execute(
                    "INSERT OR REPLACE INTO epoch_calibrations VALUES (?, ?, ?, ?, ?)",
                    (epoch, name, made.generation, made.both.slope, made.both.intercept),
                )
        return made

    def _require_plausible(self, shared: SharedStatistics, coordinator: str) -> None:
        terms = self.rounds.terms
        if terms is None or shared.terms_sha256 != terms.sha256:
            raise Refused("statistics of other terms", code="other_terms")
        numbers = shared.numbers()
        if numbers is None or len(numbers) != COUNTS + len(terms.terms) or len(set(shared.hospitals)) < MINIMUM:
            raise Refused("statistics that cannot be", code="implausible_statistics")
        counted = self.rounds.counted(coordinator, shared.round)
        if counted is not None and (self.node not in shared.hospitals or bool((numbers < counted).any())):
            raise Refused("statistics without what this hospital counted", code="implausible_statistics")


@dataclass(frozen=True, slots=True)
class _OneByOne:
    """An encoder that leaves its threads to whoever asks a question meanwhile."""

    encoder: Encoder
    stopping: threading.Event

    @property
    def identity(self) -> EncoderIdentity:
        return self.encoder.identity

    def encode_queries(self, texts: Sequence[str]) -> FloatMatrix:
        return self._one_by_one(self.encoder.encode_queries, texts)

    def encode_passages(self, texts: Sequence[str]) -> FloatMatrix:
        return self._one_by_one(self.encoder.encode_passages, texts)

    def token_spans(self, text: str) -> tuple[tuple[int, int], ...]:
        return self.encoder.token_spans(text)

    def _one_by_one(self, encode: Callable[[Sequence[str]], FloatMatrix], texts: Sequence[str]) -> FloatMatrix:
        rows = [encode([])]
        for text in texts:
            if self.stopping.is_set():
                raise Unavailable("the node is about to stop", code="draining")
            rows.append(encode([text]))
        return np.concatenate(rows)


def key_id(key: bytes) -> str:
    """What both sides of a comparison name a key by: the beginning of its SHA-256; empty without one."""
    return hashlib.sha256(key).hexdigest()[:8] if key else ""


def count(collections: Callable[[], Sequence[Collection]]) -> Callable[[PublicTerms], Numbers]:
    """What a hospital adds to a sum: the counts of these collections together, those it is when it counts."""

    def counted(terms: PublicTerms) -> Numbers:
        total = np.zeros(COUNTS + len(terms.terms), dtype=np.uint64)
        for collection in collections():
            own = collection.own_statistics()
            held = np.array([own.frequencies.get(term, 0) for term in terms.terms], dtype=np.uint64)
            total += vector(own.passages, own.length, held)
        return total

    return counted


def _changed(one: Scored) -> bool:
    return one.collection.common is not None and one.collection.common.generation != one.collection.generation


def _statistics(numbers: Numbers, terms: PublicTerms) -> TermStatistics:
    frequencies = dict(zip(terms.terms, numbers[COUNTS:].tolist(), strict=True))
    return TermStatistics(int(numbers[0]), int(numbers[1]), frequencies)
