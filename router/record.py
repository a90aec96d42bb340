"""What is known of one hospital's description, and what of it counts for that.

A prototype is

    refuted     by its hospital's probes, by those of others or by ordinary questions, each summed apart
                (`Sums.refuted`): it counts for nothing;
    supported   by probes of its own hospital's claims, or by these and ordinary questions together: it counts with all
                its passages. Those of which too little was seen are looked at together;
    open        otherwise: it counts as far as earlier claims of the same hospital were supported there.

A claim is supported by questions that were asked because of it, and by those that people ask. What a hospital finds at
probes of others' claims, which may be about all else that it holds, speaks at most against it: a broad claim takes in
what the hospital really has, and would live on that. And who is honest only where it suspects a probe is judged by the
ordinary questions.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cached_property
from typing import Final

import numpy as np

from router.density import GROWTH, MOVE_WIDTH, TINY, WIDTH, Density, Doubles, Flags, moved
from router.evidence import ENOUGH, WHOLE, Seen, Sums, Trial

JUMP: Final = 0.25
"""Share of its passages that may lie where it claims more, before a hospital goes back to audit. Made anew of nine
tenths of their passages, descriptions of MedQuAD's and PubMedQA's sources move by .12 at most; from one source to
another half of the time by all, nine times in ten by .49."""
BELIEVED: Final = 0.25
"""Share of its passages that must count before any of them does."""
DENIED: Final = 3.0


class Standing(StrEnum):
    AUDIT = "in audit"
    BELIEVED = "believed"
    DISTRUSTED = "distrusted"


@dataclass(frozen=True)  # without slots: what follows from it is worked out once
class Record:
    """`proved`: where it claimed, in earlier descriptions, what was supported then; `sums`: what was seen; `denied`:
    questions for which its own offers were less like the question than the mean of what it claims; `vouched`: the
    operator answers for what it says in words."""

    claims: Density
    proved: Density
    sums: Mapping[Trial, Sums]
    denied: float = 0.0
    vouched: bool = False

    @classmethod
    def beginning(cls, claims: Density, *, vouched: bool = False) -> "Record":
        """`vouched`: what it claims now counts as if it had been seen."""
        number, dimension = claims.vectors.shape
        nothing = dict.fromkeys(Trial, Sums.nothing(number))
        return cls(claims, claims if vouched else Density.nothing(dimension), nothing, 0.0, vouched)

    def describing(self, claims: Density) -> "Record":
        """After a new description. What it claims as before keeps its sums; it goes back to audit when more than JUMP
        of its passages lie where nothing of the kind was supported."""
        if claims.same(self.claims):
            return self
        proved = self._proved()
        if jumped := moved(claims, proved) > JUMP:
            proved = Density.nothing(claims.vectors.shape[1])
        rows = claims.rows_in(self.claims)
        before = np.append(self.claims.masses, 0.0)[rows]
        rows = np.where((claims.masses > GROWTH * before) | (jumped and self.standing is Standing.BELIEVED), -1, rows)
        sums = {trial: one.carried(rows) for trial, one in self.sums.items()}
        return replace(self, claims=claims, proved=proved, sums=sums)

    def after(self, seen: Seen, trial: Trial) -> "Record":
        """With one question more."""
        total = float(seen.terms.sum())
        shares = np.append(seen.terms / max(total, TINY), 0.0 if len(seen.terms) else 1.0)
        sums = {**self.sums, trial: self.sums[trial].plus(shares, seen)}
        return replace(self, sums=sums, denied=self.denied + seen.denied)

    def faded(self, keep: float) -> "Record":
        """What was seen counts for less: slowly forgiven, and slowly to be shown again."""
        sums = {trial: one.times(keep) for trial, one in self.sums.items()}
        return replace(self, proved=self._proved(), sums=sums, denied=self.denied * keep)

    @property
    def standing(self) -> Standing:
        return self.judged[0]

    @cached_property
    def judged(self) -> tuple[Standing, Doubles]:
        """Its standing, and of every prototype the passages that count, float64 (n,)."""
        nothing = np.zeros(len(self.claims.masses))
        if self.denied >= DENIED:
            return Standing.DISTRUSTED, nothing
        if self.sums[Trial.PROBE].hollow or self.sums[Trial.QUESTION].hollow:
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

    def counts_as(self, before: "Record") -> bool:
        """Whether its description counts for the same as it did."""
        if self is before:
            return True
        alike = self.claims.same(before.claims) and self.words == before.words
        return alike and np.array_equal(self.counted(), before.counted())

    def held(self, terms: Doubles) -> float:
        """What may be held against others' claims: all that it claims while it is in audit, for nothing is known
        then."""
        standing, counted = self.judged
        if standing is Standing.AUDIT:
            return float(terms.sum())
        return float(terms @ (counted / np.maximum(self.claims.masses, TINY)))

    @cached_property
    def _refuted(self) -> Flags:
        sums = self.sums
        probed = sums[Trial.PROBE].refuted(ENOUGH) | sums[Trial.OTHERS].refuted(ENOUGH)
        refuted: Flags = probed | sums[Trial.QUESTION].refuted(WHOLE)
        return refuted

    @cached_property
    def _supported(self) -> Flags:
        probes = self.sums[Trial.PROBE]
        both = probes.and_(self.sums[Trial.QUESTION])
        alone = ((probes.supported & probes.plenty) | both.supported) & ~self._refuted
        undecided = ~alone & ~self._refuted
        supported: Flags = alone | (undecided & both.together(undecided).supported)
        return supported

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
