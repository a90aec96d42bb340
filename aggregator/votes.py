"""What the hospitals choose when each is read alone, and how many liars that choice withstands."""

from collections.abc import Mapping, Sequence
from typing import Final

from aggregator.weights import claims_of, fill, largest_weight, trusted
from fedrag.core.answer import Certificate, Evidence
from fedrag.core.wire import NodeId

_TIE: Final = 1e-9
"""Weights that are closer are equal."""
Votes = Mapping[NodeId, str | None]


def certify(evidence: Evidence, votes: Votes, chosen: str | None) -> Certificate | None:
    """The vote of the evidence's sources, each with its weight; None without votes, and where the best two choices are
    equal. `chosen` is the answer's own choice. Sources without a vote abstain."""
    weights = tally(evidence.source_weights, votes)
    best = sorted(weights, key=lambda choice: (-weights[choice], choice))
    if not best or (len(best) > 1 and weights[best[0]] - weights[best[1]] <= _TIE):
        return None
    claims = claims_of((passage.node, passage.probability) for passage in evidence.passages)
    withstood = withstands(trusted(claims, evidence.reliability), votes, best[0])
    return Certificate(
        choice=best[0],
        agrees=best[0] == chosen,
        withstands=withstood,
        votes={node: votes.get(node) for node in evidence.source_weights},
        weights={choice: min(1.0, weights[choice]) for choice in best},
        explanation=_explained(best[0], min(1.0, weights[best[0]]), withstood, chosen),
    )


def tally(weights: Mapping[NodeId, float], votes: Votes) -> dict[str, float]:
    """Choice → weight of the sources that choose it."""
    totals: dict[str, float] = {}
    for node, weight in weights.items():
        choice = votes.get(node)
        if choice is not None:
            totals[choice] = totals.get(choice, 0.0) + weight
    return totals


def withstands(claims: Mapping[NodeId, float], votes: Votes, choice: str) -> int:
    """The largest f such that `choice` wins whatever any f sources vote and claim, or if any of them are silent.

    `claims` are the trusted claims of all sources; those of the others stay as they are, and so do their votes.

    The rule: take away the f supporters of `choice` with the largest claims. For every number s of them that speaks
    (the others are silent) let κ be the cap among those who are left and the s, and share out 1 - s κ among those who
    are left (`fill`). Their weight for `choice` must exceed that for every other one by more than s κ.

    Proof. Let s liars speak, F be all of them, H the others; `fill` gives everyone in H min(κ, λ c) for one λ. The
    liars do worst to x = `choice` when they all vote for its rival y: x then leads by
    u(H votes x) - u(H votes y) - u(F) = 2 u(H votes x) + u(H votes neither) - 1, which falls with λ, so it is least
    when the liars' weight is largest: s κ, which `fill` reaches as their claims grow. Which F? Let F be one for which x
    does not win, with a supporter a of x outside it, the one with the largest claim c_a. The total of H stays 1 - s κ.

    1. F holds a supporter b of x with c_b < c_a. Exchange them: λ does not fall, so the weight of those not for x
       rises, that for y too, and that for x falls.
    2. F holds b, not for x, with c_b <= c_a. Exchange them: the same, and b's weight comes on top.
    3. F holds b for y with c_b > c_a. Exchange them: λ does not rise, so x loses, and all that those not for y lose
       goes to y.
    4. F holds b for neither with c_b > c_a. Suppose x led by enough after the exchange, at level λ' <= λ. When a is at
       the cap at λ, b is at λ', nobody else's weight differs and x leads by more with a. Else no supporter of x is at
       the cap, so from λ' to λ the weight for x grows as λ / λ' and that for y at most so: a lead that is not negative
       does not shrink, and a's own weight comes on top. Either way x had won before.

    So if any F defeats x, the supporters with the largest claims do. Where claims are zero, `fill` is the limit of
    small equal ones, and the inequalities hold in the limit. Liars can have up to 1/3 each: more than one is never
    withstood while the cap is max(1/3, 1/n).
    """
    supporters = sorted((node for node in claims if votes.get(node) == choice), key=lambda node: (-claims[node], node))
    for liars in range(1, len(claims) + 1):
        if not _wins_against(liars, claims, votes, choice, supporters):
            return liars - 1
    return 0


def _wins_against(
    liars: int, claims: Mapping[NodeId, float], votes: Votes, choice: str, supporters: Sequence[NodeId]
) -> bool:
    if liars >= len(supporters):
        return False
    left = {node: claim for node, claim in claims.items() if node not in supporters[:liars]}
    for speaking in range(liars + 1):
        cap = largest_weight(len(left) + speaking)
        moved = speaking * cap
        if moved >= 1:
            return False
        totals = tally(fill(left, 1 - moved, cap), votes)
        rival = max((weight for other, weight in totals.items() if other != choice), default=0.0)
        if totals.get(choice, 0.0) - rival <= moved + _TIE:
            return False
    return True


def _explained(choice: str, weight: float, withstood: int, chosen: str | None) -> str:
    who = "no single hospital" if withstood == 1 else f"no {withstood} hospitals"
    firm = f"{who} could have changed that by anything said, while the others' passages stay as they are"
    firmness = firm if withstood else "one hospital could have changed that"
    answer = "the answer is the same" if choice == chosen else f"the answer is another: {chosen or 'none'}"
    return f"Read one by one, the hospitals choose {choice} with {weight:.2f} of their weight; {firmness}; {answer}."
