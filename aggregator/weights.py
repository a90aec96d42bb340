"""How far each source is trusted when their passages disagree."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final

from aggregator.reliability import PRIOR
from fedrag.core.answer import Reliability
from fedrag.core.wire import NodeId, Probability

FEW_SOURCES: Final = 4
"""With fewer the cap bounds little."""
NO_OUTCOMES: Final[Mapping[NodeId, Reliability]] = MappingProxyType({})


def source_weights(
    claims: Mapping[NodeId, float], reliability: Mapping[NodeId, Reliability] = NO_OUTCOMES
) -> dict[NodeId, float]:
    """Shares of the trusted claims, none above `largest_weight`, summing to 1; in the order of the nodes' names."""
    return fill(trusted(claims, reliability), 1.0, largest_weight(len(claims)))


def claims_of(passages: Iterable[tuple[NodeId, Probability]]) -> dict[NodeId, float]:
    """The sum of the calibrated probabilities of each hospital's released passages: the number of relevant passages it
    is expected to have given. Hospitals calibrate themselves, so a claim may be a lie; the cap bounds what it buys."""
    claims: dict[NodeId, float] = {}
    for node, probability in passages:
        claims[node] = claims.get(node, 0.0) + probability
    return claims


def trusted(claims: Mapping[NodeId, float], reliability: Mapping[NodeId, Reliability]) -> dict[NodeId, float]:
    """Each claim times the mean of its source's reliability relative to the prior's; as it is where nothing is known of
    the source."""
    return {
        node: claim * (reliability[node].mean / PRIOR.mean if node in reliability else 1.0)
        for node, claim in claims.items()
    }


def largest_weight(sources: int) -> float:
    """The cap: max(1/3, 1/n)."""
    return max(1 / 3, 1 / sources) if sources else 0.0


def fill(claims: Mapping[NodeId, float], total: float, cap: float) -> dict[NodeId, float]:
    """`total` shared out in proportion to the claims, nobody above `cap`; in the order of the nodes' names.

    What the cap cuts off goes to the others in proportion to their claims (equally where they claim nothing), again and
    again until nobody is above it (water-filling). So a share is min(cap, level * claim) for one level.

    Args:
        claims: non-negative.
        total: at most `cap` times the number of claims.
    """
    weights: dict[NodeId, float] = {}
    open_claims = dict(sorted(claims.items()))
    while open_claims:
        left = total - cap * len(weights)
        claimed = sum(open_claims.values())
        shares = {
            node: left * (claim / claimed if claimed > 0 else 1 / len(open_claims))
            for node, claim in open_claims.items()
        }
        above = [node for node, share in shares.items() if share > cap]
        if not above:
            weights |= shares
            break
        for node in above:
            weights[node] = cap
            del open_claims[node]
    return {node: weights[node] for node in sorted(weights)}
