"""How unsure a model was while it wrote, from the probabilities of its tokens."""

import math
from collections.abc import Sequence
from typing import Final

from reasoner.chat import TokenProbability

_SMALLEST: Final = 1e-10


def mean_token_entropy(tokens: Sequence[TokenProbability]) -> float | None:
    """u = (1/T) Σ_t H_t in nats, H_t = -Σ_v p_v ln(p_v + 1e-10) (FERA). None without log-probabilities.

    A server lists the likeliest tokens only. What they leave of 1 counts as one more token, so H_t is a lower bound,
    and exact where all tokens are listed.
    """
    if not tokens:
        return None
    return math.fsum(_entropy(one) for one in tokens) / len(tokens)


def _entropy(token: TokenProbability) -> float:
    listed = [math.exp(logprob) for logprob in {**dict(token.alternatives), token.token: token.logprob}.values()]
    rest = max(0.0, 1.0 - math.fsum(listed))
    return -math.fsum(p * math.log(p + _SMALLEST) for p in (*listed, rest) if p > 0)
