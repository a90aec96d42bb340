"""How many sources a vote withstands: whatever they had answered, however sure they had said they were, and had they
not been heard at all.

Of a fitted vote it is found by trying. Against each rival y of the winner x each of f liars chooses y, chooses x or
neither, or is not heard, which makes it a vote of the others; of what it admits and how unsure it says it is, whatever
serves y best. That is linear in both, so the ends of what can be stated are enough. Where sources are many no two are
looked at together, each liar does the worst that it can by itself, and the f that do most are the worst f.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations, product
from typing import Final

import numpy as np

from fedrag.core.answer import Certificate
from reasoner.vote_model import Doubles, VoteModel, parts_of
from reasoner.weighted_vote import SourceAnswers

_TIE: Final = 1e-9
"""Nats, or votes, that are closer are equal."""


def certified(
    answers: SourceAnswers, shares: Mapping[str, float], chosen: str | None, model: VoteModel | None
) -> Certificate | None:
    """Of a vote by a fitted model, or without one of a vote in which all are worth the same. `shares`: what it gave to
    each option. None where the best two are equal."""
    best = sorted(shares, key=lambda option: (-shares[option], option))
    if not best or (len(best) > 1 and shares[best[0]] - shares[best[1]] <= _TIE):
        return None
    winner, rivals = best[0], best[1:]
    withstood = withstands(model, answers, winner, rivals) if model else _majority(answers, winner, rivals)
    return Certificate(
        choice=winner,
        agrees=winner == chosen,
        withstands=withstood,
        votes={source: one.choice for source, one in answers.items()},
        weights={option: min(1.0, shares[option]) for option in best if shares[option] > 0},
        explanation=_explained(winner, shares[winner], withstood, fitted=model is not None),
    )


def withstands(model: VoteModel, answers: SourceAnswers, winner: str, rivals: Sequence[str]) -> int:
    """The largest f such that `winner` is more probable than each rival whatever any f of these sources do."""
    heard = sorted(set(model.sources) & answers.keys())
    for liars in range(1, len(heard) + 1):
        for absent in _absent(model, heard, liars):
            left = {source: one for source, one in answers.items() if source not in absent}
            votes = model.over(left)
            said = votes.bounded(left)
            if any(_lead(votes, said, winner, rival, liars - len(absent)) <= _TIE for rival in rivals):
                return liars - 1
    return len(heard)


def _absent(model: VoteModel, heard: Sequence[str], liars: int) -> Iterator[frozenset[str]]:
    """Who of the liars may not be heard. Beyond those without whom a vote was fitted, one is as good as silent."""
    most = max((len(model.sources) - len(one.sources) for one in model.fewer), default=0)
    for number in range(min(liars, most) + 1):
        yield from map(frozenset, combinations(heard, number))


def _lead(model: VoteModel, answers: SourceAnswers, winner: str, rival: str, liars: int) -> float:
    """By how many nats `winner` leads `rival` at least, if any `liars` of those heard do what they want."""
    single, both, admits, doubts = parts_of(model)
    said = [answers.get(source) for source in model.sources]
    largest = np.array([model.doubts.get(source, 0.0) for source in model.sources])
    chose = {of: np.array([float(one is not None and one.choice == of) for one in said]) for of in (winner, rival)}
    gaps = np.array([float(one is not None and one.gaps > 0) for one in said])
    unsure = np.array([one.uncertainty or 0.0 if one is not None else 0.0 for one in said])
    worth = single + admits * gaps + doubts * unsure
    least = single + np.minimum(admits, 0) + np.minimum(doubts * largest, 0)
    most = single + np.maximum(admits, 0) + np.maximum(doubts * largest, 0)
    there = [at for at, one in enumerate(said) if one is not None]

    def logits(choose: Doubles, weights: Doubles) -> Doubles:
        total: Doubles = (choose * weights).sum(axis=1) + np.einsum("mi,ij,mj->m", choose, both, choose)
        return total

    if not both.any():
        now = chose[winner] * worth - chose[rival] * worth
        worst = np.minimum(0.0, np.minimum(least, -most))
        swings = sorted((now - worst)[there], reverse=True)
        return float(now.sum() - sum(swings[:liars]))
    found = np.inf
    for who in map(list, combinations(there, min(liars, len(there)))):
        ways = np.array(list(product((0, 1, 2), repeat=len(who)))).reshape(3 ** len(who), len(who))
        leads = []
        for option, does, weight in ((winner, 1, least), (rival, 2, most)):
            choose = np.tile(chose[option], (len(ways), 1))
            weights = np.tile(worth, (len(ways), 1))
            choose[:, who], weights[:, who] = ways == does, weight[who]
            leads.append(logits(choose, weights))
        found = min(found, float((leads[0] - leads[1]).min()))
    return found


def _majority(answers: SourceAnswers, winner: str, rivals: Sequence[str]) -> int:
    """All worth the same: who changes sides moves two votes."""
    votes = [one.choice for one in answers.values()]
    return (votes.count(winner) - max(map(votes.count, rivals), default=0) - 1) // 2


def _explained(winner: str, share: float, withstood: int, *, fitted: bool) -> str:
    who = "no single hospital" if withstood == 1 else f"no {withstood} hospitals"
    firmness = (
        f"{who} could have changed that by anything said" if withstood else "one hospital could have changed that"
    )
    worth = f"which is right with probability {share:.2f}" if fitted else f"{share:.2f} of their votes"
    return f"The hospitals' chains of thought choose {winner}, {worth}; {firmness}."
