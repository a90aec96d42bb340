"""One answer out of several sources' own: the weighted vote of FERA (UA-WA).

FERA weighs source i by w_i = exp(-u_i / τ) / Σ_j exp(-u_j / τ) and answers argmax_a Σ_i w_i 1{a_i = a}. What a source
says of its own uncertainty then decides alone: models of different families are unsure on different scales, and a liar
says zero. Hence the calibrated vote (`reasoner/vote_model.py`).
"""

from collections.abc import Collection, Mapping

from reasoner.heads import softmax
from reasoner.source_answer import SourceAnswer

SourceAnswers = Mapping[str, SourceAnswer]
"""By source. One that was heard and chose nothing is there with no choice."""


def fera_weights(answers: SourceAnswers, temperature: float) -> dict[str, float]:
    """w_i of the sources that chose something; where one states no uncertainty, all count the same."""
    there = {source: one for source, one in answers.items() if one.choice is not None}
    stated = [one.uncertainty for one in there.values()]
    if not there:
        return {}
    if any(uncertainty is None for uncertainty in stated):
        return dict.fromkeys(there, 1 / len(there))
    return dict(zip(there, softmax([-(uncertainty or 0.0) / temperature for uncertainty in stated]), strict=True))


def weighted_vote(answers: SourceAnswers, weights: Mapping[str, float], options: Collection[str]) -> dict[str, float]:
    """Option → weight of the sources that chose it, of 1; all 0 where nobody chose one."""
    totals = dict.fromkeys(options, 0.0)
    for source, one in answers.items():
        if one.choice in totals:
            totals[one.choice] += weights.get(source, 0.0)
    whole = sum(totals.values())
    return {option: total / whole for option, total in totals.items()} if whole > 0 else totals


def capped(weights: Mapping[str, float], cap: float) -> dict[str, float]:
    """Shares of 1, none above max(cap, 1 / n): what is cut off goes to the others in proportion."""
    limit, free = max(cap, 1 / len(weights)), dict(weights)
    fixed: dict[str, float] = {}
    while True:
        left, whole = 1 - limit * len(fixed), sum(free.values())
        shares = {node: left * weight / whole for node, weight in free.items()} if whole > 0 else {}
        over = [node for node, share in shares.items() if share > limit + 1e-12]
        if not over:
            return {node: fixed.get(node, shares.get(node, 0.0)) for node in weights}
        fixed |= dict.fromkeys(over, limit)
        free = {node: weight for node, weight in free.items() if node not in fixed}
