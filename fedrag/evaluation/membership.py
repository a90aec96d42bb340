"""Who wants to know whether a patient's records are in a collection: from offers, from errors, from what is released.

The attacker holds each candidate's whole note, as if stolen from elsewhere, and knows of half of the candidates whether
they are there: from these it learns what to look for. Half of the candidates are there.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from fedrag.core.errors import Refused
from fedrag.evaluation.made_records import PatientRecord
from fedrag.evaluation.records_hospital import COLLECTION, RecordsHospital, clinician
from retriever_node.search import Query, search
from retriever_node.terms import terms_of

Doubles = npt.NDArray[np.float64]
_RIDGE: Final = 1.0
_STEPS: Final = 50


@dataclass(frozen=True, slots=True)
class Candidates:
    """`there[i]`: whether the records of `records[i]` are in the collection."""

    records: tuple[PatientRecord, ...]
    there: npt.NDArray[np.bool_]

    @classmethod
    def of(cls, members: Sequence[PatientRecord], others: Sequence[PatientRecord], seed: int) -> "Candidates":
        """In an order that tells nothing."""
        records = [*members, *others]
        drawn = np.random.default_rng(seed)
        order = drawn.permutation(len(records))
        return cls(tuple(records[at] for at in order), np.array([at < len(members) for at in order]))


def auc(scores: Sequence[float], there: npt.NDArray[np.bool_]) -> float:
    """The share of pairs, one there and one not, in which the former has the higher score; ties count half
    (Hanley and McNeil 1982)."""
    values = np.asarray(scores, dtype=np.float64)
    differences = values[there][:, None] - values[~there][None, :]
    return float(np.mean((differences > 0) + 0.5 * (differences == 0)))


def margin(there: npt.NDArray[np.bool_]) -> float:
    """Half of the 95 % interval of an AUC that is truly .5, with so many of each."""
    members, others = int(there.sum()), int((~there).sum())
    return 1.96 * float(np.sqrt((members + others + 1) / (12 * members * others)))


def questions(record: PatientRecord) -> tuple[str, ...]:
    """Five ways to ask for one patient, the whole note first, names left out."""
    note = record.notes[0]
    for name in filter(None, (f"{record.given} {record.family}".strip(), record.given, record.family)):
        note = note.replace(name, "The patient")
    words = note.split()
    half = len(words) // 2
    return note, " ".join(words[:half]), " ".join(words[half:]), ", ".join(record.facts), record.facts[0]


def from_offers(hospital: RecordsHospital, candidates: Candidates) -> dict[str, float]:
    """AUC of each score, without a single release. Every candidate is asked about by an asker of its own: no lockout
    stands in the way."""
    seen = np.array(
        [
            [_seen(hospital, number, text) for text in questions(record)]
            for number, record in enumerate(candidates.records)
        ]
    )
    there = candidates.there
    scores: dict[str, Doubles] = {
        "probability told, whole note": seen[:, 0, 0],
        "probability told, mean of five questions": seen[:, :, 0].mean(axis=1),
        "number of offers": seen[:, :, 1].sum(axis=1),
        "bytes of the answer": seen[:, :, 2].sum(axis=1),
        "processor time, whole note": -seen[:, 0, 3],
        "processor time, median of five questions": -np.median(seen[:, :, 3], axis=1),
    }
    found = {name: auc(list(one), there) for name, one in scores.items()}
    return {**found, "trained on all of these": _trained(seen.reshape(len(seen), -1), there)}


def from_similarities(hospital: RecordsHospital, candidates: Candidates) -> dict[str, float]:
    """Baselines: what offers would tell if they told what other classes tell, or the best passage's own quarter."""
    best = [_best(hospital, questions(record)[0]) for record in candidates.records]
    quarters = [float(min(int(probability * 4), 3)) for _, probability in best]
    return {
        "similarity of the best passage (other classes)": auc([one for one, _ in best], candidates.there),
        "quarter of the best passage's own probability": auc(quarters, candidates.there),
    }


def from_releases(hospital: RecordsHospital, candidates: Candidates, *, one_asker: bool) -> float:
    """AUC of how many of the note's words come back with the best passage. With `one_asker` the same one asks about all
    within thirty days, until it is denied more, and then guesses, as well as can be guessed. Else one asks for each."""
    scores: list[float | None] = [None] * len(candidates.records)
    for number, record in enumerate(candidates.records):
        asker = clinician("campaign" if one_asker else f"fresh-{number}")
        note = questions(record)[0]
        try:
            release = hospital.take(asker, hospital.ask(asker, note), most=1)
        except Refused:
            if one_asker:
                break
        else:
            scores[number] = max((_shared(note, one.text) for one in release.passages), default=0.0)
        if one_asker:
            hospital.days.pass_by(29 / len(candidates.records))
    return max(
        auc([guess if one is None else one for one in scores], candidates.there) for guess in np.linspace(0, 1, 21)
    )


def _seen(hospital: RecordsHospital, number: int, text: str) -> tuple[float, float, float, float]:
    """Probability told, number of offers, bytes, milliseconds of the processor, of which whoever waits sees an image
    with noise."""
    began = time.thread_time()
    offers = hospital.ask(clinician(f"stranger-{number}"), text)
    elapsed_ms = (time.thread_time() - began) * 1000
    told = max((one.probability for one in offers.offers), default=0.0)
    return told, len(offers.offers), len(offers.model_dump_json()), elapsed_ms


def _best(hospital: RecordsHospital, text: str) -> tuple[float, float]:
    node = hospital.node
    query = Query(node.encoder.encode_queries([text])[0], text)
    (found,) = search([node.collections[COLLECTION].collection], query, 1, node.store)
    return found.similarity, found.probability


def _shared(note: str, released: str) -> float:
    """Jaccard coefficient of their terms."""
    mine, theirs = set(terms_of(note)), set(terms_of(released))
    return len(mine & theirs) / max(1, len(mine | theirs))


def _trained(features: Doubles, there: npt.NDArray[np.bool_]) -> float:
    """Logistic regression with a ridge, by Newton's method, on one half of the candidates; its AUC on the other."""
    spread = features.std(axis=0)
    kept = (features[:, spread > 0] - features[:, spread > 0].mean(axis=0)) / spread[spread > 0]
    design = np.hstack([kept, np.ones((len(kept), 1))])
    half = len(design) // 2
    train, labels = design[:half], there[:half].astype(np.float64)
    weights = np.zeros(design.shape[1])
    for _ in range(_STEPS):
        chance = 1 / (1 + np.exp(-np.clip(train @ weights, -30, 30)))
        slope = train.T @ (chance - labels) + _RIDGE * weights
        curve = (train * (chance * (1 - chance))[:, None]).T @ train + _RIDGE * np.eye(len(weights))
        weights = weights - np.linalg.solve(curve, slope)
    return auc(list(design[half:] @ weights), there[half:])
