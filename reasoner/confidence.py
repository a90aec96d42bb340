"""How sure a language model's answer is: what it states, what its tokens say, what it cites; then calibrated."""

import math
import re
from collections.abc import Collection, Sequence
from typing import Final

from reasoner.chat import TokenProbability
from reasoner.heads import Head, logit

MODEL_FEATURES: Final = ("stated", "token", "cited", "dropped")
UNSTATED: Final = 0.5
_CHOICE: Final = re.compile(r'"choice"\s*:\s*"')


def model_confidence(
    head: Head, *, stated: float | None, token: float | None, cited_share: float, dropped: int
) -> float:
    """P(the answer is right); features in the order of MODEL_FEATURES.

    Args:
        stated: the model's own figure in [0, 1].
        token: probability of the choice, or of the answer's tokens; None where the server gives none, and then what the
            model states counts for both.
        cited_share: share of the steps, the answer among them, that cite a released passage.
        dropped: citations that named no released passage.
    """
    said = UNSTATED if stated is None else stated
    seen = said if token is None else token
    return head.probability((logit(said, margin=0.02), logit(seen, margin=0.02), cited_share, float(dropped > 0)))


def mean_token_probability(tokens: Sequence[TokenProbability]) -> float | None:
    """exp of the mean log-probability; None without log-probabilities."""
    if not tokens:
        return None
    return math.exp(math.fsum(one.logprob for one in tokens) / len(tokens))


def choice_probability(tokens: Sequence[TokenProbability], choices: Collection[str], chosen: str) -> float | None:
    """Probability of the token that `chosen` begins with, normalised over the tokens that begin one of `choices`, at
    the place where the JSON reply fills in "choice". None where that place or `chosen` is not found."""
    place = _CHOICE.search("".join(one.token for one in tokens))
    if place is None:
        return None
    end = 0
    for one in tokens:
        end += len(one.token)
        if end <= place.end():
            continue
        mass = dict.fromkeys(choices, 0.0)
        for token, logprob in {**dict(one.alternatives), one.token: one.logprob}.items():
            written = token.strip(' "').casefold()
            for choice in choices:
                if written and choice.casefold().startswith(written):
                    mass[choice] += math.exp(logprob)
        total = math.fsum(mass.values())
        return mass[chosen] / total if mass.get(chosen, 0.0) > 0 else None
    return None
