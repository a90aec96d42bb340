"""How far a hospital's description is believed: for what has been seen to support it.

A description claims that about each of its prototypes μ lie n passages. Every question that a hospital answers, a probe
or not, is a test of that. With k(q, μ) = exp(-‖q - μ‖² / 2w²) the hospital claims of all that is like the question q
the share

    e = Σ n k(q, μ) / (Σ n k(q, μ) + what counts of the other hospitals asked),

and u is its share of what was shown that is like q: Σ exp(s / LIKE) over its passages' similarities s. Both are weighed
by e, shared out among its prototypes by n k(q, μ) and summed, probes and ordinary questions apart: who
is honest only where it suspects a probe is judged by the other sum. A prototype is

    refuted     when Σe ≥ ENOUGH (of ordinary questions WHOLE) and Σu < THRESHOLD Σe, or when the log-odds that it is
                held, below, are -SURE: it counts for nothing;
    supported   when Σu ≥ SUPPORT, Σu ≥ THRESHOLD Σe and the log-odds are not negative: it counts with all its passages;
    open        otherwise: it counts as far as earlier claims of the same hospital were supported there.

The threshold is absolute: that half of the hospitals are better than the other half is no reason to believe those less.

Log-odds need no other hospital. Of n passages about μ each one's similarity to q is about Normal(q · μ, σ²) with
σ² = KAPPA² (1 - ‖μ‖²) (1 - cos²(q, μ)): unit vectors of that mean have the variance 1 - ‖μ‖² in all directions
together, and hardly any of it along μ. Where the hospital's best passage has the similarity s, its surprise

    x = -Σ n log Φ((s - q · μ) / σ)

is about exponential with the mean 1 if it holds what it claims: HELD, with room for clusters that are no Normal. One
that holds something else was more surprising by far: FORGED. The sum of e log(p_held(x) / p_forged(x)) is Wald's
sequential test (1945), with errors of about exp(-SURE). To shrink μ, which lowers what must be shown, also claims less.

A collection's best passage is never less like a question than the mean of any of its clusters; a hospital whose own
offers say otherwise has described what it does not hold. Three such questions, and it and all others of its
organisation are believed nothing, until that has faded.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import cached_property
from typing import Final, Self

import numpy as np
import numpy.typing as npt

from fedrag.core.wire import FloatMatrix, FloatVector, NodeId
from router.expectation import normal_tail

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
THRESHOLD: Final = 0.2
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
KAPPA: Final = 0.13
"""Standard deviation of members in a direction across the mean over their distance from it: that of about 50 directions
in which they vary alike. The reported spread is what a forger says."""
LEAST: Final = 0.01
ROUNDED: Final = 0.02
"""What lower precision and approximate search may take from the best passage before it is asked how likely it is."""
HELD: Final = 1.6
FORGED: Final = 8.0
"""Mean surprise of those that hold what they claim, and of those that claim no more passages than they have and hold
something else; of hospitals and forgers at PubMedQA's specialties, 1.9 at most and 8.2 at least."""
MOST: Final = 12.0
"""No question surprises more than this."""
SURE: Final = 4.6
NEGLIGIBLE: Final = 0.01
"""Who claims a smaller share of a question has said nothing about it."""
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
    """Passages about means: `vectors` float32 (n, dimension), `masses` float64 (n,); `squares`: the vectors' squared
    lengths."""

    vectors: FloatMatrix
    masses: Doubles
    squares: Doubles = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "squares", np.square(self.vectors.astype(np.float64)).sum(axis=1))

    @classmethod
    def nothing(cls, dimension: int) -> Self:
        return cls(np.zeros((0, dimension), dtype=np.float32), np.zeros(0))

    def at(self, points: FloatMatrix, width: float) -> Doubles:
        """float64 (points,): Σ n exp(-‖x - μ‖² / 2w²)."""
        nearness = (points @ self.vectors.T).astype(np.float64)
        nearness -= np.square(points).sum(axis=1)[:, None] / 2 + self.squares / 2
        dense: Doubles = np.exp(nearness / width) @ self.masses
        return dense

    def terms(self, query: FloatVector) -> Doubles:
        """float64 (n,): what each mean adds to the density at a question."""
        nearness = (self.vectors @ query).astype(np.float64) - self.squares / 2
        terms: Doubles = self.masses * np.exp((nearness - float(query @ query) / 2) / WIDTH)
        return terms

    def of(self, which: Flags) -> "Density":
        return Density(self.vectors[which], self.masses[which])

    def beside(self, other: "Density") -> "Density":
        return Density(np.concatenate((self.vectors, other.vectors)), np.concatenate((self.masses, other.masses)))

    def same(self, other: "Density") -> bool:
        return np.array_equal(self.vectors, other.vectors) and np.array_equal(self.masses, other.masses)


@dataclass(frozen=True, slots=True)
class Seen:
    """Of one hospital at one question: what its prototypes claim (`Density.terms`), the share claimed, the share found,
    the log-odds that it holds what it claims, and 1 where its own offers deny that."""

    terms: Doubles
    claimed: float
    found: float
    odds: float
    denied: float


@dataclass(frozen=True, slots=True)
class Sums:
    """Over the questions seen, of each prototype and, last, of what is described otherwise: the share claimed, the
    share found, and the log-odds that it is held, float64 (n + 1,)."""

    claimed: Doubles
    found: Doubles
    odds: Doubles

    @classmethod
    def nothing(cls, prototypes: int) -> Self:
        return cls(np.zeros(prototypes + 1), np.zeros(prototypes + 1), np.zeros(prototypes + 1))

    def plus(self, shares: Doubles, seen: "Seen") -> "Sums":
        """Log-odds stop at ±SURE: what was shown for long is lost as fast as by anybody else."""
        odds = np.clip(self.odds + seen.claimed * seen.odds * shares, -SURE, SURE)
        return Sums(self.claimed + seen.claimed**2 * shares, self.found + seen.claimed * seen.found * shares, odds)

    def times(self, keep: float) -> "Sums":
        return Sums(self.claimed * keep, self.found * keep, self.odds * keep)

    def carried(self, rows: Positions) -> "Sums":
        """Of other prototypes: the i-th was the `rows[i]`-th, a new one where that is negative."""
        last = len(self.claimed) - 1
        taken, known = np.append(np.maximum(rows, 0), last), np.append(rows >= 0, True)
        return Sums(*(np.where(known, column[taken], 0.0) for column in (self.claimed, self.found, self.odds)))

    def refuted(self, enough: float) -> Flags:
        return ((self.claimed >= enough) & (self.found < THRESHOLD * self.claimed)) | (self.odds <= -SURE)

    @property
    def supported(self) -> Flags:
        return (self.found >= SUPPORT) & (self.found >= THRESHOLD * self.claimed) & (self.odds >= 0)

    def and_(self, other: "Sums") -> "Sums":
        return Sums(self.claimed + other.claimed, self.found + other.found, self.odds + other.odds)

    @property
    def hollow(self) -> bool:
        """All of it together is refuted."""
        claimed = float(self.claimed.sum())
        return claimed >= WHOLE and float(self.found.sum()) < THRESHOLD * claimed


@dataclass(frozen=True)  # without slots: what follows from it is worked out once
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

    def after(self, seen: "Seen", *, probe: bool) -> "Record":
        """With one question more."""
        total = float(seen.terms.sum())
        shares = np.append(seen.terms / max(total, TINY), 0.0 if len(seen.terms) else 1.0)
        if probe:
            return replace(self, probes=self.probes.plus(shares, seen), denied=self.denied + seen.denied)
        return replace(self, questions=self.questions.plus(shares, seen), denied=self.denied + seen.denied)

    def faded(self, keep: float) -> "Record":
        """What was seen counts for less: slowly forgiven, and slowly to be shown again."""
        probes, questions = self.probes.times(keep), self.questions.times(keep)
        return replace(self, proved=self._proved(), probes=probes, questions=questions, denied=self.denied * keep)

    @property
    def standing(self) -> Standing:
        return self.judged[0]

    @cached_property
    def judged(self) -> tuple[Standing, Doubles]:
        """Its standing, and of every prototype the passages that count, float64 (n,)."""
        nothing = np.zeros(len(self.claims.masses))
        if self.denied >= DENIED:
            return Standing.DISTRUSTED, nothing
        if self.probes.hollow or self.questions.hollow:
            return Standing.AUDIT, nothing
        if not len(nothing):
            return Standing.BELIEVED if self.words else Standing.AUDIT, nothing
        counted = self._counted()
        enough = max(TINY, BELIEVED * float(self.claims.masses.sum()))
        return (Standing.BELIEVED, counted) if float(counted.sum()) >= enough else (Standing.AUDIT, nothing)

    @property
    def words(self) -> bool:
        """Whether what it describes in words, or for another encoder, counts: passages that it has shown say nothing of
        others that are described by no more than words."""
        return self.vouched and not bool(self._refuted[-1])

    def counted(self) -> Doubles:
        return self.judged[1]

    def held(self, terms: Doubles) -> float:
        """What may be held against others' claims: all that it claims while it is in audit, for nothing is known
        then."""
        standing, counted = self.judged
        if standing is Standing.AUDIT:
            return float(terms.sum())
        return float((terms * counted / np.maximum(self.claims.masses, TINY)).sum())

    @property
    def _refuted(self) -> Flags:
        return self.probes.refuted(ENOUGH) | self.questions.refuted(WHOLE)

    @property
    def _supported(self) -> Flags:
        both = self.probes.and_(self.questions)
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
        liars = self._liars()
        terms = {node: record.claims.terms(sighting.query) for node, record in known.items()}
        held = {
            node: 0.0 if self.organisations.get(node, node) in liars else record.held(terms[node])
            for node, record in known.items()
        }
        total, made = sum(held.values()), dict(self.records)
        for node, record in known.items():
            own = float(terms[node].sum())
            claimed = own / max(TINY, own + total - held[node]) if len(record.claims.masses) else PRIOR
            best = sighting.best.get(node)
            if claimed < NEGLIGIBLE and len(record.claims.masses):
                continue
            denied = 1.0 if _denies(record, sighting.query, best) else 0.0
            odds = 0.0 if best is None else log_odds(surprise(record.claims, sighting.query, best))
            found = min(sighting.found[node], MODEST * claimed)
            if len(sighting.found) == 1 and not probe:  # there is nobody to compare it with but its own claims
                found = claimed / 2 if odds > 0 else 0.0
            made[node] = record.after(Seen(terms[node], claimed, found, odds, denied), probe=probe)
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
        return self.standings((node,))[node]

    def standings(self, nodes: Iterable[NodeId]) -> dict[NodeId, Standing]:
        liars, made = self._liars(), dict[NodeId, Standing]()
        for node in nodes:
            if node not in self.records:
                made[node] = Standing.AUDIT
            elif self.organisations.get(node, node) in liars:
                made[node] = Standing.DISTRUSTED
            else:
                made[node] = self.records[node].standing
        return made

    def _liars(self) -> frozenset[str]:
        """Organisations of which a hospital contradicted itself."""
        return frozenset(
            self.organisations.get(node, node) for node, record in self.records.items() if record.denied >= DENIED
        )


def _denies(record: Record, query: FloatVector, best: float | None) -> bool:
    if best is None or not len(record.claims.masses):
        return False
    return best < float((record.claims.vectors @ query).max()) - TOLERANCE


def surprise(claims: Density, query: FloatVector, best: float) -> float:
    """x = -Σ n log Φ((s - q · μ) / σ), at most MOST: how unlikely it is that no claimed passage is more like it."""
    if not len(claims.masses):
        return 0.0
    means = (claims.vectors @ query).astype(np.float64)
    across = np.maximum(0, 1 - np.square(means) / np.maximum(claims.squares, TINY))
    apart = KAPPA * np.sqrt(np.maximum(0, 1 - claims.squares) * across) + LEAST
    below = normal_tail((means - best - ROUNDED) / apart)
    return min(MOST, -float(claims.masses @ np.log(np.maximum(below, 1e-9))))


def log_odds(surprise: float) -> float:
    """log(p_held(x) / p_forged(x)) of two exponential distributions."""
    return float(np.log(FORGED / HELD)) - surprise * (1 / HELD - 1 / FORGED)
