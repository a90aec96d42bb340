"""How surprising it is that a hospital has nothing more like a question, if it holds what it claims.

Of n passages about μ each one's similarity to q is about Normal(q · μ, σ²), σ² = KAPPA² (1 - ‖μ‖²) (1 - cos²(q, μ)):
unit vectors of that mean have the variance 1 - ‖μ‖² in all directions together, and hardly any of it along μ. Where the
hospital's best passage has the similarity s, its surprise

    x = -Σ n log Φ((s - q · μ) / σ)

is about exponential with the mean 1 if it holds what it claims: HELD, with room for clusters that are no Normal. One
that holds something else was more surprising by far: FORGED. To shrink μ, which lowers what must be shown, also claims
less.
"""

from math import log
from typing import Final

import numpy as np

from router.density import TINY, Density, Doubles
from router.expectation import normal_tail

KAPPA: Final = 0.13
"""Standard deviation of members in a direction across the mean over their distance from it: that of about 50 directions
in which they vary alike. The reported spread is what a forger says."""
LEAST: Final = 0.01
ROUNDED: Final = 0.02
"""What lower precision and approximate search may take from the best passage before it is asked how likely it is."""
HELD: Final = 1.6
FORGED: Final = 8.0
"""Mean surprise of those that hold what they claim, and of those that claim no more passages than they have and hold
something else; of hospitals and forgers at PubMedQA's specialties, 1.9 at most and 8.2 at least."""
MOST: Final = 12.0
"""No question surprises more than this."""
EVEN: Final = log(FORGED / HELD) / (1 / HELD - 1 / FORGED)
"""What is as likely of the one as of the other."""
TOLERANCE: Final = 0.05
"""What lower precision and approximate search may hide of the best passage."""


def surprises(claims: Density, means: Doubles, best: Doubles) -> Doubles:
    """x, at most MOST, for every best similarity there might be: float64 (best,). `means`: q · μ."""
    across = np.maximum(0, 1 - np.square(means) / np.maximum(claims.squares, TINY))
    apart = KAPPA * np.sqrt(np.maximum(0, 1 - claims.squares) * across) + LEAST
    below = normal_tail((means - best[:, None] - ROUNDED) / apart)
    made: Doubles = np.minimum(MOST, -(np.log(np.maximum(below, 1e-9)) @ claims.masses))
    return made


def log_odds(surprise: float) -> float:
    """log(p_held(x) / p_forged(x)) of two exponential distributions."""
    return log(FORGED / HELD) - surprise * (1 / HELD - 1 / FORGED)


def denies(means: Doubles, best: float) -> bool:
    """Whether its own best passage is less like the question than a mean of what it claims: no cluster allows that."""
    return bool(len(means)) and best < float(means.max()) - TOLERANCE
