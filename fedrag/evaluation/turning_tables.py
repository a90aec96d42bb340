"""One source turns after questions were judged: how soon the vote goes on without it, what that costs, and what it
costs where nobody turned."""

from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from statistics import fmean, median
from typing import Final

import numpy as np

from fedrag.evaluation.contenders import fold_of
from fedrag.evaluation.recorded_votes import fera_vote, lie
from fedrag.evaluation.recordings import RecordedQuestion, RecordedTask
from fedrag.evaluation.report import Cell, Table
from fedrag.evaluation.turning import Asked, Votes, asked_of, followed, guessed, learned, paying, sure, turned, wrong
from fedrag.evaluation.unheard import unheard
from reasoner.source_answer import SourceAnswer

CLEVER: Final = "wrong, but honest while it has no say"
ORDERS: Final = 5
TURNS: Final = 300
"""Questions before the source turns."""


def turning_tables(task: RecordedTask, questions: Sequence[RecordedQuestion]) -> tuple[Table, ...]:
    """None of few questions, in which nothing can be noticed."""
    if len(questions) < 2 * TURNS:
        return ()
    asked = asked_of(task, {one.id: str(fold_of(one.id)) for one in questions})
    by_set = asked_of(task, {one.id: one.group for one in questions})
    votes, set_votes = learned(asked), learned(by_set)
    sets = {name: [one for one in by_set if one.apart == name] for name in sorted(set_votes.models)}
    return (
        turning(asked, votes),
        returning(asked, votes),
        together(asked, votes),
        unheard(asked, votes),
        unturned({"all": (asked, votes)} | {name: (of, set_votes) for name, of in sets.items()}),
    )


def turning(asked: Sequence[Asked], votes: Votes) -> Table:
    """Each source, by each way to lie, in ORDERS orders."""
    chance = np.random.default_rng(0)
    lies: Mapping[str, Callable[[Asked, str], SourceAnswer]] = {
        "wrong": wrong,
        "wrong half of the time": lambda one, liar: (wrong if chance.random() < 0.5 else sure)(one, liar),
        CLEVER: wrong,
        "at random": lambda one, _: guessed(one, chance),
        "as before": sure,
        "wrong where that alone turns the answer": lambda one, liar: paying(one, liar, votes),
    }
    return Table(
        f"A source turns after {TURNS} of {len(asked):,} questions, uncertainty zero: accuracy on the others",
        (
            "its answers from then on",
            "who",
            "calibrated vote without it",
            "calibrated vote, watched",
            "difference",
            "not watched",
            "raw FERA weights",
            "found, of orders",
            "after questions (median, longest)",
            "an honest one left out",
        ),
        tuple(
            (way, liar, *_turned(way, asked, [one.saying({liar: how(one, liar)}) for one in asked], liar, votes))
            for way, how in lies.items()
            for liar in sorted(votes.sources)
        ),
        note=f"Mean of {ORDERS} random orders. A source is found by how often it chooses what the others' vote leads "
        "with; nobody says what is right. The last liar knows what is right and what everybody says.",
    )


def _turned(way: str, asked: Sequence[Asked], lying: Sequence[Asked], liar: str, votes: Votes) -> tuple[Cell, ...]:
    streams = [turned(asked, lying, TURNS, seed) for seed in range(ORDERS)]
    honest = [turned(asked, asked, 0, seed) if way == CLEVER else () for seed in range(ORDERS)]
    courses = [followed(stream, votes, instead) for stream, instead in zip(streams, honest, strict=True)]
    rest = [one for stream in streams for one in stream[TURNS:]]
    apart, watched = _right(rest, votes, liar), fmean(fmean(one.right[TURNS:]) for one in courses)
    delays = [found for one in courses if (found := one.first(liar, TURNS)) is not None]
    return (
        apart,
        watched,
        watched - apart,
        _right(rest, votes),
        fmean(fera_vote(one.answers, one.options).choice == one.right for one in rest),
        f"{len(delays)} of {ORDERS}",
        f"{median(delays):.0f}, {max(delays)}" if delays else "",
        fmean(bool(out - {liar}) for one in courses for out in one.beliefs[TURNS:]),
    )


def returning(asked: Sequence[Asked], votes: Votes) -> Table:
    """TURNS wrong answers, then honest ones again."""
    rows: list[tuple[Cell, ...]] = []
    for liar in sorted(votes.sources):
        lying = [one.saying({liar: wrong(one, liar)}) for one in asked]
        waited = []
        for seed in range(ORDERS):
            stream = (
                turned(asked, lying, TURNS, seed)[: 2 * TURNS] + turned(asked, lying, len(asked), seed)[2 * TURNS :]
            )
            after = followed(stream, votes).beliefs[2 * TURNS :]
            waited.append(next((at for at, out in enumerate(after) if liar not in out), len(after)))
        rows.append((liar, f"{median(waited):.0f}", max(waited)))
    return Table(
        f"After {TURNS} wrong answers it is honest again: questions until it has a say",
        ("who", "median", "longest"),
        tuple(rows),
    )


def together(asked: Sequence[Asked], votes: Votes) -> Table:
    """Two of the sources turn and give the same wrong answers."""
    rows: list[tuple[Cell, ...]] = []
    for liars in map(frozenset, combinations(sorted(votes.sources), 2)):
        lies = [lie(one.answers, liars, one.options, one.right) for one in asked]
        lying = [one.saying(dict.fromkeys(liars, said)) for one, said in zip(asked, lies, strict=True)]
        courses = [followed(turned(asked, lying, TURNS, seed), votes) for seed in range(ORDERS)]
        beliefs = [out for one in courses for out in one.beliefs[TURNS:]]
        rows.append(
            (
                " and ".join(sorted(liars)),
                _right(lying, votes, *liars),
                _right(lying, votes),
                fmean(fmean(one.right[TURNS:]) for one in courses),
                fmean(bool(out & liars) for out in beliefs),
                fmean(bool(out - liars) for out in beliefs),
            )
        )
    return Table(
        "Two of four turn together: the same wrong answers, uncertainty zero",
        ("who", "without both", "not watched", "watched", "one of them left out", "an honest one left out"),
        tuple(rows),
        note="By agreement alone nobody can tell which two of four lie. At most one of four is left out.",
    )


def unturned(streams: Mapping[str, tuple[Sequence[Asked], Votes]]) -> Table:
    """Nobody lies: how often somebody is left out all the same, and what that costs."""
    rows: list[tuple[Cell, ...]] = []
    for name, (asked, votes) in streams.items():
        courses = [followed(turned(asked, asked, 0, seed), votes) for seed in range(ORDERS)]
        plain, watched = _right(asked, votes), fmean(fmean(one.right) for one in courses)
        rows.append(
            (
                name,
                ORDERS * len(asked),
                sum(one.alarms for one in courses),
                fmean(bool(out) for one in courses for out in one.beliefs),
                plain,
                watched,
                watched - plain,
            )
        )
    return Table(
        "Nobody turns",
        ("questions", "asked", "false alarms", "somebody left out", "not watched", "watched", "difference"),
        tuple(rows),
        note="`all`: judged on the other folds. A set alone: judged on the other three, and so of another kind.",
    )


def _right(asked: Sequence[Asked], votes: Votes, *left_out: str) -> float:
    return fmean(votes.right(one, left_out) for one in asked)
