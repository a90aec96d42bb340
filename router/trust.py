"""How far a hospital's description is believed: for what has been seen to support it.

A description claims that about each of its prototypes μ lie n passages. Every question that a hospital answers, a probe
or not, is a test of that. With k(q, μ) = exp(-‖q - μ‖² / 2w²) the hospital claims of all that is like the question q
the share

    e = Σ n k(q, μ) / (Σ n k(q, μ) + what counts of the other hospitals asked),

and u is its share of what was shown that is like q: Σ exp(s / LIKE) over its passages' similarities s. Both are weighed
by e, shared out among its prototypes by n k(q, μ) and summed, probes and ordinary questions apart: who
is honest only where it suspects a probe is judged by the other sum. A prototype is

    refuted     when Σe ≥ ENOUGH (of ordinary questions WHOLE) and Σu < THRESHOLD Σe: it counts for nothing;
    supported   when Σu ≥ SUPPORT and Σu ≥ THRESHOLD Σe: it counts with all its passages;
    open        otherwise: it counts as far as earlier claims of the same hospital were supported there.

The threshold is absolute: that half of the hospitals are better than the other half is no reason to believe those less.
A collection's best passage is never less like a question than the mean of any of its clusters; a hospital whose own
offers say otherwise has described what it does not hold. Three such questions, and it and all others of its
organisation are believed nothing, until that has faded.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final, Self

import numpy as np
import numpy.typing as npt

from fedrag.core.wire import FloatMatrix, FloatVector, NodeId

WIDTH: Final = 0.03
"""w²: what `mixture` reads descriptions with."""
MOVE_WIDTH: Final = 0.05
"""Wider, for a description and the one before: clusters of nearly the same passages come out this far apart."""
GROWTH: Final = 4.0
"""A new description may claim this many times the density that was supported, anywhere."""
JUMP: Final = 0.25
"""Share of its passages that may lie where it claims more, before a hospital goes back to audit. Made anew of nine
tenths of their passages, descriptions of MedQuAD's and PubMedQA's sources move by .12 at most; from one source to
another half of the time by all, nine times in ten by .49."""
THRESHOLD: Final = 0.35
SUPPORT: Final = 0.15
ENOUGH: Final = 0.8
BELIEVED: Final = 0.25
"""Share of its passages that must count before any of them does."""
WHOLE: Final = 6.0
"""Questions' worth of claims, after which a hospital is judged as a whole, too."""
DENIED: Final = 3.0
TOLERANCE: Final = 0.05
"""What lower precision and approximate search may hide of the best passage."""
MODEST: Final = 2.0
"""What is found counts up to so many times what was claimed of that question: what a hospital holds elsewhere is no
support for what it claims here."""
VAGUE: Final = 0.1
"""The best passage of a cluster is nearer to a question than its mean by more than this, in units of the members'
distance from the mean: of 95 honest questions in a hundred or more."""
PRIOR: Final = 0.3
"""What a hospital claims of every question that describes itself in words, or for another encoder."""
BEST: Final = 5
"""Passages of a hospital that are looked at."""
LIKE: Final = 0.06
"""A passage this much less similar to the question than another weighs 1 / e of it."""
TINY: Final = 1e-300

Doubles = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Positions = npt.NDArray[np.int64]


class Standing(StrEnum):
    AUDIT = "in audit"
    BELIEVED = "believed"
    DISTRUSTED = "distrusted"


@dataclass(frozen=True, slots=True)
class Density:
    """Passages about means: `vectors` float32 (n, dimension), `masses` float64 (n,)."""

    vectors: FloatMatrix
    masses: Doubles

    @classmethod
    def nothing(cls, dimension: int) -> Self:
        return cls(np.zeros((0, dimension), dtype=np.float32), np.zeros(0))

    def at(self, points: FloatMatrix, width: float) -> Doubles:
        """float64 (points,): Σ n exp(-‖x - μ‖² / 2w²)."""
        nearness = points @ self.vectors.T
        nearness -= np.square(points).sum(axis=1)[:, None] / 2 + np.square(self.vectors).sum(axis=1) / 2
        dense: Doubles = np.exp(nearness.astype(np.float64) / width) @ self.masses
        return dense

    def terms(self, query: FloatVector) -> Doubles:
        """float64 (n,): what each mean adds to the density at a question."""
        nearness = (self.vectors @ query).astype(np.float64) - np.square(self.vectors).sum(axis=1) / 2
        terms: Doubles = self.masses * np.exp((nearness - float(query @ query) / 2) / WIDTH)
        return terms

    def of(self, which: Flags) -> "Density":
        return Density(self.vectors[which], self.masses[which])

    def beside(self, other: "Density") -> "Density":
        return Density(np.concatenate((self.vectors, other.vectors)), np.concatenate((self.masses, other.masses)))

    def same(self, other: "Density") -> bool:
        return np.array_equal(self.vectors, other.vectors) and np.array_equal(self.masses, other.masses)


@dataclass(frozen=True, slots=True)
class Sums:
    """Over the questions seen, of each prototype and, last, of what is described otherwise: the share claimed and the
    share found, float64 (n + 1,)."""

    claimed: Doubles
    found: Doubles

    @classmethod
    def nothing(cls, prototypes: int) -> Self:
        return cls(np.zeros(prototypes + 1), np.zeros(prototypes + 1))

    def plus(self, shares: Doubles, claimed: float, found: float) -> "Sums":
        return Sums(self.claimed + claimed * shares, self.found + found * shares)

    def times(self, keep: float) -> "Sums":
        return Sums(self.claimed * keep, self.found * keep)

    def carried(self, rows: Positions) -> "Sums":
        """Of other prototypes: the i-th was the `rows[i]`-th, a new one where that is negative."""
        last = len(self.claimed) - 1
        taken, known = np.append(np.maximum(rows, 0), last), np.append(rows >= 0, True)
        return Sums(np.where(known, self.claimed[taken], 0.0), np.where(known, self.found[taken], 0.0))

    def refuted(self, enough: float) -> Flags:
        return (self.claimed >= enough) & (self.found < THRESHOLD * self.claimed)

    @property
    def supported(self) -> Flags:
        return (self.found >= SUPPORT) & (self.found >= THRESHOLD * self.claimed)

    @property
    def hollow(self) -> bool:
        """All of it together is refuted."""
        claimed = float(self.claimed.sum())
        return claimed >= WHOLE and float(self.found.sum()) < THRESHOLD * claimed


@dataclass(frozen=True, slots=True)
class Record:
    """What is known of one hospital. `proved`: where it claimed, in earlier descriptions, what was supported then;
    `denied`: questions for which its own offers were less like the question than the mean of what it claims; `vouched`:
    the operator answers for what it says in words."""

    claims: Density
    proved: Density
    probes: Sums
    questions: Sums
    denied: float = 0.0
    vouched: bool = False

    @classmethod
    def beginning(cls, claims: Density, *, vouched: bool = False) -> Self:
        """`vouched`: what it claims now counts as if it had been seen."""
        number, dimension = claims.vectors.shape
        nothing = Sums.nothing(number)
        return cls(claims, claims if vouched else Density.nothing(dimension), nothing, nothing, 0.0, vouched)

    def describing(self, claims: Density) -> "Record":
        """After a new description. What it claims as before keeps its sums; it goes back to audit when more than JUMP
        of its passages lie where nothing of the kind was supported."""
        if claims.same(self.claims):
            return self
        proved = self._proved()
        if jumped := moved(claims, proved) > JUMP:
            proved = Density.nothing(claims.vectors.shape[1])
        rows = _rows(claims.vectors, self.claims.vectors)
        before = np.append(self.claims.masses, 0.0)[rows]
        rows = np.where((claims.masses > GROWTH * before) | (jumped and self.standing is Standing.BELIEVED), -1, rows)
        return Record(
            claims, proved, self.probes.carried(rows), self.questions.carried(rows), self.denied, self.vouched
        )

    def after(self, query: FloatVector, claimed: float, found: float, *, denied: float, probe: bool) -> "Record":
        """With one question more, of which it claimed one share and had another."""
        terms = self.claims.terms(query)
        total = float(terms.sum())
        shares = np.append(terms / max(total, TINY), 0.0 if len(terms) else 1.0)
        if probe:
            return replace(self, probes=self.probes.plus(shares, claimed, found), denied=self.denied + denied)
        return replace(self, questions=self.questions.plus(shares, claimed, found), denied=self.denied + denied)

    def faded(self, keep: float) -> "Record":
        """What was seen counts for less: slowly forgiven, and slowly to be shown again."""
        probes, questions = self.probes.times(keep), self.questions.times(keep)
        return replace(self, proved=self._proved(), probes=probes, questions=questions, denied=self.denied * keep)

    @property
    def standing(self) -> Standing:
        if self.denied >= DENIED:
            return Standing.DISTRUSTED
        if self.probes.hollow or self.questions.hollow:
            return Standing.AUDIT
        if not len(self.claims.masses):
            return Standing.BELIEVED if self.words else Standing.AUDIT
        enough = BELIEVED * float(self.claims.masses.sum())
        return Standing.BELIEVED if float(self._counted().sum()) >= max(enough, TINY) else Standing.AUDIT

    @property
    def words(self) -> bool:
        """Whether what it describes in words, or for another encoder, counts: passages that it has shown say nothing of
        others that are described by no more than words."""
        return self.vouched and not bool(self._refuted[-1])

    def counted(self) -> Doubles:
        """float64 (n,): of every prototype the passages that count."""
        return self._counted() if self.standing is Standing.BELIEVED else np.zeros(len(self.claims.masses))

    def counting(self) -> Density:
        """What may be held against others' claims: all of it while it is in audit, for nothing is known then."""
        return self.claims if self.standing is Standing.AUDIT else Density(self.claims.vectors, self.counted())

    @property
    def _refuted(self) -> Flags:
        return self.probes.refuted(ENOUGH) | self.questions.refuted(WHOLE)

    @property
    def _supported(self) -> Flags:
        both = Sums(self.probes.claimed + self.questions.claimed, self.probes.found + self.questions.found)
        probed = self.probes.supported & (self.probes.claimed >= ENOUGH)
        return (probed | both.supported) & ~self._refuted

    def _counted(self) -> Doubles:
        claims = self.claims
        lent = np.zeros(len(claims.masses))
        if len(self.proved.masses):
            dense = claims.at(claims.vectors, WIDTH)
            lent = np.minimum(1.0, GROWTH / 2 * self.proved.at(claims.vectors, WIDTH) / np.maximum(dense, TINY))
        share = np.where(self._supported[:-1], 1.0, np.where(self._refuted[:-1], 0.0, lent))
        counted: Doubles = claims.masses * share
        return counted

    def _proved(self) -> Density:
        """What is supported now; and what was before, where that says nothing and nothing was refuted since."""
        now = self.claims.of(self._supported[:-1])
        refuted = self.claims.of(self._refuted[:-1])
        again = GROWTH * now.beside(refuted).at(self.proved.vectors, MOVE_WIDTH)
        return now.beside(self.proved.of(again < self.proved.at(self.proved.vectors, MOVE_WIDTH)))


def moved(claims: Density, proved: Density) -> float:
    """Share of the claimed passages that lie where they are more than GROWTH times as dense as what was proved."""
    beyond = claims.at(claims.vectors, MOVE_WIDTH) > GROWTH * proved.at(claims.vectors, MOVE_WIDTH)
    return float(claims.masses[beyond].sum()) / max(TINY, float(claims.masses.sum()))


def _rows(new: FloatMatrix, old: FloatMatrix) -> Positions:
    """Where each new vector stood among the old ones, -1 where it is new."""
    place = {vector.tobytes(): row for row, vector in enumerate(old)}
    return np.array([place.get(vector.tobytes(), -1) for vector in new], dtype=np.int64)


@dataclass(frozen=True, slots=True)
class Sighting:
    """What one question showed of the hospitals that answered it. `found`: each one's share of what was shown that
    is like the question; `best`: the highest similarity that its own offers admit of, where that is known."""

    query: FloatVector
    found: Mapping[NodeId, float]
    best: Mapping[NodeId, float]


def sighting(query: FloatVector, shown: Mapping[NodeId, npt.NDArray[np.floating]]) -> Sighting:
    """From the similarities of what every hospital asked has shown, in any order: the first BEST of each as points
    about the question, found = Σ exp(s / LIKE) over all hospitals' sum."""
    best = {node: -np.sort(-np.asarray(values, dtype=np.float64))[:BEST] for node, values in shown.items()}
    highest = max((float(values[0]) for values in best.values() if len(values)), default=0.0)
    weighed = {node: float(np.exp((values - highest) / LIKE).sum()) for node, values in best.items()}
    total = max(TINY, sum(weighed.values()))
    found = {node: weight / total for node, weight in weighed.items()}
    return Sighting(query, found, {node: float(values[0]) for node, values in best.items() if len(values)})


@dataclass(frozen=True, slots=True)
class Trust:
    """Of all hospitals. `organisations`: whose they are; those that are not named stand for themselves."""

    records: Mapping[NodeId, Record] = field(default_factory=dict)
    organisations: Mapping[NodeId, str] = field(default_factory=dict)

    def after(self, sighting: Sighting, *, probe: bool) -> "Trust":
        """With one question more. A hospital of which there is no record neither gains nor counts."""
        known = {node: self.records[node] for node in sighting.found if node in self.records}
        held = {
            node: 0.0
            if self.standing(node) is Standing.DISTRUSTED
            else float(record.counting().terms(sighting.query).sum())
            for node, record in known.items()
        }
        total, made = sum(held.values()), dict(self.records)
        for node, record in known.items():
            own = float(record.claims.terms(sighting.query).sum())
            claimed = own / max(TINY, own + total - held[node]) if len(record.claims.masses) else PRIOR
            denied = 1.0 if _denies(record, sighting.query, sighting.best.get(node)) else 0.0
            found = min(sighting.found[node], MODEST * claimed)
            if len(sighting.found) == 1 and not probe:  # there is nobody to compare it with but its own claims
                found = 0.0 if _vague(record, sighting.query, sighting.best.get(node)) else claimed / 2
            made[node] = record.after(sighting.query, claimed * claimed, claimed * found, denied=denied, probe=probe)
        return replace(self, records=made)

    def described(self, claims: Mapping[NodeId, Density], vouched: Iterable[NodeId] = ()) -> "Trust":
        """After these hospitals described themselves; the others stay as they are, not there but remembered."""
        trusting = frozenset(vouched)
        made = {
            node: self.records[node].describing(now)
            if node in self.records
            else Record.beginning(now, vouched=node in trusting)
            for node, now in claims.items()
        }
        return replace(self, records={**self.records, **made})

    def faded(self, keep: float) -> "Trust":
        return replace(self, records={node: record.faded(keep) for node, record in self.records.items()})

    def standing(self, node: NodeId) -> Standing:
        """Its own, or distrusted where another hospital of its organisation is."""
        if node not in self.records:
            return Standing.AUDIT
        ours = self.organisations.get(node, node)
        family = [self.records[other] for other in self.records if self.organisations.get(other, other) == ours]
        if any(one.denied >= DENIED for one in family):
            return Standing.DISTRUSTED
        return self.records[node].standing


def _denies(record: Record, query: FloatVector, best: float | None) -> bool:
    if best is None or not len(record.claims.masses):
        return False
    return best < float((record.claims.vectors @ query).max()) - TOLERANCE


def _vague(record: Record, query: FloatVector, best: float | None) -> bool:
    """Whether the best that is shown is hardly better than the mean of what is claimed."""
    if best is None or not len(record.claims.masses):
        return False
    means = record.claims.vectors @ query
    nearest = record.claims.vectors[int(means.argmax())]
    return best < float(means.max()) + VAGUE * float(np.sqrt(max(0.0, 1 - float(nearest @ nearest))))
