"""A weighted vote whose weights are calibrated: learned on judged questions is what a source's choice has been worth,
and what it has been worth together with another's; of its uncertainty counts what has proved to mean something."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Annotated, Final, Self, TypeVar

import numpy as np
import numpy.typing as npt
from pydantic import Field, model_validator

from fedrag.core.config import Config
from fedrag.core.errors import ConfigError
from reasoner.answer_sets import SetRule
from reasoner.heads import softmax
from reasoner.source_answer import SourceAnswer
from reasoner.stated_uncertainty import StatedUncertainty
from reasoner.weighted_vote import SourceAnswers

PAIRED: Final = 8
"""With more sources than these, what two choose together is not looked at: too many pairs to learn of."""
_SILENT: Final = SourceAnswer(None)

T = TypeVar("T")
Doubles = npt.NDArray[np.float64]
Coefficient = Annotated[float, Field(allow_inf_nan=False)]
Count = Annotated[int, Field(ge=0)]


class VoteModel(Config):
    """P(option is right) = softmax over the options of Σ coefficient · feature.

    Fitted by `reasoner.training.fit_votes`. `judged`: questions it was fitted on. `stated`: by source, what its own
    uncertainty has meant; of questions without options that is all there is. `sets`: which options an answer leaves
    possible; None where too little is known to say.

    `doubts`: the largest uncertainty that each source stated in these questions; more counts as that, lest the sum has
    no bound. `fewer`: the same, fitted without some of the sources: what is left of a coefficient when a source is not
    heard is another. `usual`: by source, how often it chose what the others' vote leads with, of how many questions in
    which it chose something, by how clearly that leads (`reasoner.drift`).
    """

    sources: tuple[str, ...]
    coefficients: tuple[Coefficient, ...]
    judged: Count
    stated: dict[str, StatedUncertainty] = Field(default_factory=dict)
    sets: SetRule | None = None
    doubts: dict[str, Annotated[float, Field(ge=0, allow_inf_nan=False)]] = Field(default_factory=dict)
    fewer: "tuple[VoteModel, ...]" = ()
    usual: dict[str, tuple[tuple[Count, Count], ...]] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _one_for_each_feature(self) -> Self:
        if len(self.coefficients) != len(feature_names(self.sources)):
            raise ValueError("one coefficient for each feature")
        return self

    def over(self, heard: Collection[str]) -> "VoteModel":
        """The one of fewest sources that knows all of these that are known here."""
        known = set(self.sources) & set(heard)
        return min((one for one in (self, *self.fewer) if known <= set(one.sources)), key=lambda one: len(one.sources))

    def probabilities(self, answers: SourceAnswers, options: Collection[str]) -> dict[str, float]:
        """Option → calibrated probability that it is right; all alike where nobody chose one of them. Who is not among
        the answers was not heard, and that is no silence: the vote is one without it."""
        named = sorted(options)
        if not named:
            return {}
        model = self.over(answers)
        logits = features(model.sources, self.bounded(answers), named) @ np.array(model.coefficients)
        return dict(zip(named, softmax(logits.tolist()), strict=True))

    def bounded(self, answers: SourceAnswers) -> dict[str, SourceAnswer]:
        """None more in doubt than it was when it was judged."""
        return {
            source: replace(one, uncertainty=min(one.uncertainty or 0.0, self.doubts.get(source, 0.0)))
            for source, one in answers.items()
        }


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


def parts_of(model: VoteModel) -> tuple[Doubles, Doubles, Doubles, Doubles]:
    """Coefficients by what they are of, in the order of the sources: who chose an option (n,), who did together (n, n),
    admitted gaps (n,), a unit of uncertainty (n,)."""
    number, values = len(model.sources), np.array(model.coefficients)
    both = np.zeros((number, number))
    for at, pair in enumerate(_pairs(range(number)), start=number):
        both[pair] = values[at]
    return values[:number], both, values[-2 * number : -number], values[-number:]


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


def configured(settings: Mapping[str, object]) -> VoteModel | None:
    """The vote that a back end's settings name, its own or its strategy's. Raises ConfigError(bad_vote_model)."""
    strategy = settings.get("strategy")
    own = strategy.get("settings") if isinstance(strategy, Mapping) else None
    path = settings.get("vote_model") or (own.get("vote_model") if isinstance(own, Mapping) else None)
    return load_vote(Path(str(path))) if path else None
