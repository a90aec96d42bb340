"""What routing contenders found, as tables: whole curves, who is ahead at every number of hospitals, what each asks by
itself, what bounds it, and what who is asked tells."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from fedrag.evaluation.contenders import FOLDS, K
from fedrag.evaluation.metrics.bootstrap import holm, paired_difference
from fedrag.evaluation.pictures import curves
from fedrag.evaluation.report import Cell, Findings, Picture, Table, mean
from fedrag.evaluation.routing_bound import LEVELS

PRODUCT: Final = "fedrag: mixture, learned"
ORACLE: Final = "oracle: fewest of equal recall"
BROADCAST: Final = "broadcast"
CONSTANTS: Final = "best constant set"
RIVALS: Final = ("one centroid each", "TF-IDF neighbours", "popularity prior", "RAGRoute", CONSTANTS)
BOUND: Final = "regression on all in one place: "
EQUAL: Final = 0.95
EVERY_UP_TO: Final = 16
TOPICS: Final = 12
"""Of the questions, which an observer of contacts tries to name."""
COVERAGES: Final = tuple(round(0.5 + 0.02 * step, 2) for step in range(25))
Scores = Mapping[str, Any]


def steps_of(hospitals: int) -> tuple[int, ...]:
    """Numbers of hospitals asked that are looked at: every one, of many 1, 2, 4, 8, …"""
    if hospitals <= EVERY_UP_TO:
        return tuple(range(1, hospitals + 1))
    return tuple(2**power for power in range(hospitals.bit_length()))


def findings(results: Sequence[Scores], hospitals: int, seed: int) -> Findings:
    steps = steps_of(hospitals)
    return Findings(
        (
            _recalls(results, steps),
            _best_other(results, steps, seed),
            _differences(results, steps, hospitals, seed),
            _contacts(results, hospitals, seed),
            _bounds(results),
            _leakage(results, hospitals),
        ),
        (_picture(results, steps),),
        (
            """Routing: exact search and merging by similarity, so that only the choice of hospitals differs. What \
methods learn comes from the other four of five folds; the product's experience is that of its own broadcast to the \
hospitals there, with counts in the cells of the prototypes they publish.""",
        ),
    )


def _methods(results: Sequence[Scores]) -> list[str]:
    return list(results[0]["curves"]) if results else []


def _column(results: Sequence[Scores], name: str, at: int) -> list[float]:
    """Of every question, recall with the number of hospitals that is step `at`."""
    return [float(one["curves"][name][at]) for one in results]


def _recalls(results: Sequence[Scores], steps: Sequence[int]) -> Table:
    rows: list[tuple[Cell, ...]] = [
        (name, *(mean(_column(results, name, at)) for at in range(len(steps)))) for name in _methods(results)
    ]
    everyone = mean([float(one["broadcast"]) for one in results])
    return Table(
        f"Recall@{K} with the first so many hospitals of each order, {len(results)} questions",
        ("order", *(str(number) for number in steps)),
        tuple(rows),
        note=f"Broadcast: {everyone:.3f}. The oracle stops where it has that.",
    )


def _best_other(results: Sequence[Scores], steps: Sequence[int], seed: int) -> Table:
    """At each number of hospitals the one that found most there: chosen after the fact, which favours it."""
    rivals = [name for name in RIVALS if name in _methods(results)]
    rows: list[tuple[Cell, ...]] = []
    for at, number in enumerate(steps if rivals else ()):
        best = max(rivals, key=lambda name: mean(_column(results, name, at)))
        ours, theirs = _column(results, PRODUCT, at), _column(results, best, at)
        apart = paired_difference(ours, theirs, seed)
        verdict = "ahead" if apart.low > 0 else "behind" if apart.high < 0 else "level"
        rows.append((number, mean(ours), best, mean(theirs), str(apart), verdict))
    numbers = {word: [str(row[0]) for row in rows if row[-1] == word] for word in ("ahead", "level", "behind")}
    return Table(
        f"`{PRODUCT}` against the best of the others at every number of hospitals",
        ("hospitals", "ours", "best other", "its recall", "ours minus it", "verdict"),
        tuple(rows),
        note="; ".join(f"{word} at {', '.join(them) or 'none'}" for word, them in numbers.items())
        + ". Level: the 95 % paired interval includes zero.",
    )


def _bounds(results: Sequence[Scores]) -> Table:
    judged = [one for one in results if float(one["broadcast"]) > 0]
    fewest_nodes = mean([float(one["chosen"][ORACLE][1]) for one in judged]) or 1.0
    everyone = mean([float(one["broadcast"]) for one in judged]) or 1.0
    rows: list[tuple[Cell, ...]] = []
    for name in judged[0]["covering"] if judged else ():
        recalls, asked = zip(*_tuned(judged, name), strict=True)
        rows.append((name, mean(recalls) / everyone, mean(asked), mean(asked) / fewest_nodes))
    return Table(
        f"What bounds it: fewest hospitals for {EQUAL} of broadcast's recall, the coverage chosen on the other folds",
        ("who decides", f"R@{K} / broadcast's", "hospitals", "of the oracle's"),
        tuple(rows),
        note=f"The regressions know more from level to level ({', '.join(LEVELS)}), and are fitted to every hospital's "
        "outcomes on the other folds; terms and search are not to be had without hospitals' data.",
    )


def _differences(results: Sequence[Scores], steps: Sequence[int], hospitals: int, seed: int) -> Table:
    """Up to half of the hospitals: beyond it there is next to nothing left to choose."""
    steps = [number for number in steps if number <= max(1, hospitals // 2)]
    others = [name for name in _methods(results) if name not in (PRODUCT, ORACLE)]
    pairs = [(name, at) for name in others for at in range(len(steps))]
    made = {
        (name, at): paired_difference(_column(results, PRODUCT, at), _column(results, name, at), seed)
        for name, at in pairs
    }
    adjusted = dict(zip(pairs, holm([made[pair].p for pair in pairs]), strict=True))
    rows: list[tuple[Cell, ...]] = [
        (name, *(f"{made[name, at]}, p {adjusted[name, at]:.3f}" for at in range(len(steps)))) for name in others
    ]
    return Table(
        f"`{PRODUCT}` minus the others",
        ("order", *(str(number) for number in steps)),
        tuple(rows),
        note="Of recall at that number of hospitals; 95 % paired bootstrap over questions, p after Holm over all.",
    )


def _contacts(results: Sequence[Scores], hospitals: int, seed: int) -> Table:
    """Of the questions for which broadcast finds something: of the others the oracle asks nobody."""
    judged = [one for one in results if float(one["broadcast"]) > 0]
    everyone = [float(one["broadcast"]) for one in judged]
    fewest_nodes = mean([float(one["chosen"][ORACLE][1]) for one in judged]) or 1.0
    ways: dict[str, list[tuple[float, float]]] = {
        name: [(float(one["chosen"][name][0]), float(one["chosen"][name][1])) for one in judged]
        for name in (list(judged[0]["chosen"]) if judged else [])
    }
    ways[BROADCAST] = [(one, float(hospitals)) for one in everyone]
    if judged:
        ways[f"{PRODUCT}, coverage for {EQUAL} chosen on the other folds"] = _tuned(judged, PRODUCT)
    rows: list[tuple[Cell, ...]] = []
    for name, made in ways.items():
        recalls, asked = ([float(value) for value in column] for column in zip(*made, strict=True))
        rows.append(
            (
                name,
                mean(recalls) / (mean(everyone) or 1.0),
                mean(asked),
                mean(asked) / fewest_nodes,
                str(paired_difference(recalls, everyone, seed)),
            )
        )
    return Table(
        f"Whom each method asks by itself, {len(judged)} questions for which broadcast finds something relevant",
        ("method", f"R@{K} / broadcast's", "hospitals", "of the oracle's", "recall minus broadcast's"),
        tuple(rows),
    )


def _leakage(results: Sequence[Scores], hospitals: int) -> Table:
    """An observer of connections, who knows for the questions of the other folds who was asked and what the topic was,
    names the likeliest topic: naive Bayes over who is asked and who is not."""
    topics = np.array([int(one["topic"]) for one in results], dtype=np.int64)
    folds = np.array([int(one["fold"]) for one in results], dtype=np.int64)
    seen = {
        name: np.array([one["contacts"][name] for one in results], dtype=np.float64).reshape(len(results), hospitals)
        for name in (results[0]["contacts"] if results else ())
    }
    seen[BROADCAST] = np.ones((len(results), hospitals))
    rows: list[tuple[Cell, ...]] = []
    for name, contacts in seen.items():
        named = topics_named(contacts, topics, folds)
        rows.append((name, mean((named == topics).astype(float).tolist()), float(contacts.sum(axis=1).mean())))
    return Table(
        f"What who is asked tells of the question: its topic, one of {TOPICS}, named by an observer of connections",
        ("method", "topics named right", "hospitals asked"),
        tuple(rows),
        note="Broadcast: the commonest topic is always named. Topics are groups of the questions' vectors.",
    )


def topics_named(
    contacts: npt.NDArray[np.float64], topics: npt.NDArray[np.int64], folds: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    """Of every question, from the other folds' contacts (questions, hospitals) and topics."""
    named = np.zeros(len(topics), dtype=np.int64)
    for fold in np.unique(folds):
        past, now = folds != fold, folds == fold
        scores = np.full((int(now.sum()), TOPICS), -np.inf)
        for topic in np.unique(topics[past]):
            held = contacts[past & (topics == topic)]
            asked = (held.sum(axis=0) + 1) / (len(held) + 2)
            likely = contacts[now] @ np.log(asked) + (1 - contacts[now]) @ np.log(1 - asked)
            scores[:, topic] = likely + np.log(len(held))
        named[now] = np.argmax(scores, axis=1)
    return named


def _tuned(judged: Sequence[Scores], name: str) -> list[tuple[float, float]]:
    """Recall and number of hospitals of every question at the coverage that kept EQUAL of broadcast's recall with the
    fewest hospitals on the other folds; at the largest where none did."""

    def of(one: Scores, at: int) -> tuple[float, float]:
        found, number = one["covering"][name][at]
        return float(found), float(number)

    chosen = {}
    for fold in range(FOLDS):
        others = [one for one in judged if one["fold"] != fold]
        wanted = EQUAL * mean([float(one["broadcast"]) for one in others])
        enough = [at for at in range(len(COVERAGES)) if mean([of(one, at)[0] for one in others]) >= wanted]
        chosen[fold] = min(enough, default=len(COVERAGES) - 1)
    return [of(one, chosen[int(one["fold"])]) for one in judged]


def _picture(results: Sequence[Scores], steps: Sequence[int]) -> Picture:
    lines = {
        name: [(float(number), mean(_column(results, name, at))) for at, number in enumerate(steps)]
        for name in _methods(results)
    }
    return curves("Recall against hospitals asked, by whom to ask first", "hospitals asked", f"recall@{K}", lines)
