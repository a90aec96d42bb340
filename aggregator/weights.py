"""How far each source is trusted when their passages disagree."""

from collections.abc import Mapping
from typing import Final

from fedrag.core.wire import NodeId

FEW_SOURCES: Final = 4
"""With fewer the cap bounds little."""


def source_weights(claims: Mapping[NodeId, float]) -> dict[NodeId, float]:
    """Shares of the claims, none above max(1/3, 1/n), summing to 1; in the order of the nodes' names.

    A claim is a non-negative number, here the sum of the calibrated probabilities of a hospital's released passages:
    the number of relevant passages it is expected to have given. Hospitals calibrate themselves, so a claim may be a
    lie; the cap bounds what it buys.

    What the cap cuts off goes to the others in proportion to their claims (equally where they claim nothing), again and
    again until nobody is above it (water-filling).
    """
    cap = max(1 / 3, 1 / len(claims)) if claims else 0.0
    weights: dict[NodeId, float] = {}
    open_claims = dict(sorted(claims.items()))
    while open_claims:
        left = 1 - cap * len(weights)
        total = sum(open_claims.values())
        shares = {
            node: left * (claim / total if total > 0 else 1 / len(open_claims)) for node, claim in open_claims.items()
        }
        above = [node for node, share in shares.items() if share > cap]
        if not above:
            weights |= shares
            break
        for node in above:
            weights[node] = cap
            del open_claims[node]
    return {node: weights[node] for node in sorted(weights)}
