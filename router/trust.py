"""How far hospitals' descriptions are believed: for what has been seen to support them.

A description claims that about each of its prototypes lie so many passages. Every question that a hospital answers, a
probe or not, is a test of that (`router/evidence.py`); what of the description counts follows (`router/record.py`). A
hospital whose own offers contradict it three times is believed nothing, and neither is any other of its organisation,
until that has faded.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
import numpy.typing as npt

from fedrag.core.wire import FloatVector, NodeId
from router.density import TINY, Density, Doubles
from router.evidence import Seen, Trial
from router.record import DENIED, Record, Standing
from router.surprise import EVEN, denies, log_odds, surprises

NEGLIGIBLE: Final = 0.01
"""Who claims a smaller share of a question has said nothing about it."""
PRIOR: Final = 0.3
"""What a hospital claims of every question that describes itself in words, or for another encoder."""
MODEST: Final = 2.0
"""What is found counts up to so many times what was claimed of that question: what a hospital holds elsewhere is no
support for what it claims here."""
BEST: Final = 5
"""Passages of a hospital that are looked at."""
LIKE: Final = 0.06
"""A passage this much less similar to the question than another weighs 1 / e of it."""


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

    def after(self, sighting: Sighting, *, about: NodeId | None = None) -> "Trust":
        """With one question more. A hospital of which there is no record neither gains nor counts. `about`: it was a
        probe of what this one claims."""
        known = {node: self.records[node] for node in sighting.found if node in self.records}
        liars = self._liars()
        means = {node: record.claims.means(sighting.query) for node, record in known.items()}
        terms = {node: record.claims.terms(sighting.query, means[node]) for node, record in known.items()}
        held = {
            node: 0.0 if self.organisations.get(node, node) in liars else record.held(terms[node])
            for node, record in known.items()
        }
        total, made = sum(held.values()), dict(self.records)
        for node, record in known.items():
            own, trial = float(terms[node].sum()), Trial.QUESTION
            if about is not None:
                trial = Trial.PROBE if about == node else Trial.OTHERS
            claimed = own / max(TINY, own + total - held[node]) if len(record.claims.masses) else PRIOR
            if claimed >= NEGLIGIBLE or trial is Trial.PROBE:
                seen = _seen(record, node, means[node], terms[node], claimed, sighting, trial)
                made[node] = record.after(seen, trial)
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

    def counts_as(self, before: "Trust") -> bool:
        """Whether every description counts for the same as it did."""
        if self.records.keys() != before.records.keys():
            return False
        now, then = self.standings(self.records), before.standings(before.records)
        return now == then and all(record.counts_as(before.records[node]) for node, record in self.records.items())

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


def _seen(
    record: Record, node: NodeId, means: Doubles, terms: Doubles, claimed: float, sighting: Sighting, trial: Trial
) -> Seen:
    best = sighting.best.get(node)
    odds, telling, denied = 0.0, claimed, 0.0
    if best is not None and len(means):
        others = [value for other, value in sighting.best.items() if other != node]
        surprise = surprises(record.claims, means, np.array([best, *others]))
        odds, denied = log_odds(float(surprise[0])), float(denies(means, best))
        if others:
            telling = max(claimed, float((surprise[1:] > EVEN).mean()))
    found = min(sighting.found[node], MODEST * claimed)
    if len(sighting.found) == 1 and trial is Trial.QUESTION:  # there is nobody to compare it with but its own claims
        found = claimed / 2 if odds > 0 else 0.0
    return Seen(terms, claimed, found, odds, telling, denied)
