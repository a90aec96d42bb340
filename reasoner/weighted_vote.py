"""One answer out of several sources' own: the weighted vote of FERA (UA-WA), and one whose weights are calibrated.

FERA weighs source i by w_i = exp(-u_i / τ) / Σ_j exp(-u_j / τ) and answers argmax_a Σ_i w_i 1{a_i = a}. What a source
says of its own uncertainty then decides alone: models of different families are unsure on different scales, and a liar
says zero. The calibrated vote learns on judged questions what a source's choice has been worth, and what it has been
worth together with another's; of its uncertainty it takes what has proved to mean something.
"""

from collections.abc import Collection, Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Annotated, Final, Self, TypeVar

import numpy as np
import numpy.typing as npt
from pydantic import Field, model_validator

from fedrag.core.config import Config
from fedrag.core.errors import ConfigError
from reasoner.heads import softmax
from reasoner.source_answer import SourceAnswer
from reasoner.stated_uncertainty import StatedUncertainty

SourceAnswers = Mapping[str, SourceAnswer]
"""By source. A source that failed chose nothing; one that is missing is the same."""
PAIRED: Final = 8
"""With more sources than these, what two choose together is not looked at: too many pairs to learn of."""
_SILENT: Final = SourceAnswer(None)

T = TypeVar("T")
Doubles = npt.NDArray[np.float64]
Coefficient = Annotated[float, Field(allow_inf_nan=False)]


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


def features(sources: Sequence[str], answers: SourceAnswers, options: Sequence[str]) -> Doubles:
    """float64 (options, features), in the order of `feature_names`. Of an option: 1 for each source that chose it; for
    each two that both did; for each that did although its chain of thought admits that something is missing; and a
    source's stated uncertainty, where it chose it."""
    given = [answers.get(source, _SILENT) for source in sources]
    chose = np.array([[float(one.choice == option) for one in given] for option in options])
    admits = np.array([float(one.gaps > 0) for one in given])
    unsure = np.array([one.uncertainty or 0.0 for one in given])
    together = [chose[:, first] * chose[:, second] for first, second in _pairs(range(len(sources)))]
    return np.column_stack((chose, *together, chose * admits, chose * unsure))


def feature_names(sources: Sequence[str]) -> tuple[str, ...]:
    return (
        *sources,
        *(f"{first} and {second}" for first, second in _pairs(sources)),
        *(f"{source} admits a gap" for source in sources),
        *(f"{source}'s uncertainty" for source in sources),
    )


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


class VoteModel(Config):
    """P(option is right) = softmax over the options of Σ coefficient · feature.

    Fitted by `reasoner.training.fit_votes`. `judged`: questions it was fitted on. `stated`: by source, what its own
    uncertainty has meant; of questions without options that is all there is.
    """

    sources: tuple[str, ...]
    coefficients: tuple[Coefficient, ...]
    judged: Annotated[int, Field(ge=0)]
    stated: dict[str, StatedUncertainty] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _one_for_each_feature(self) -> Self:
        if len(self.coefficients) != len(feature_names(self.sources)):
            raise ValueError("one coefficient for each feature")
        return self

    def probabilities(self, answers: SourceAnswers, options: Collection[str]) -> dict[str, float]:
        """Option → calibrated probability that it is right; all alike where nobody chose one of them."""
        named = sorted(options)
        if not named:
            return {}
        logits = features(self.sources, answers, named) @ np.array(self.coefficients)
        return dict(zip(named, softmax(logits.tolist()), strict=True))


def _pairs(of: Sequence[T]) -> list[tuple[T, T]]:
    return list(combinations(of, 2)) if len(of) <= PAIRED else []


def load_vote(path: Path | None) -> VoteModel | None:
    """Raises ConfigError(bad_vote_model)."""
    if path is None:
        return None
    try:
        return VoteModel.model_validate_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise ConfigError(f"{path} holds no fitted vote", code="bad_vote_model") from None
