"""Which option the evidence supports."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from reasoner.heads import Head, softmax
from reasoner.quantities import quantities, shared
from reasoner.statements import Reading, Statement
from reasoner.words import overlap, stems

OPTION_FEATURES: Final = ("quantities", "words", "option", "claim")


@dataclass(frozen=True, slots=True)
class OptionScore:
    """An option's share of the evidence, in [0, 1] over all options, and the statement that speaks for it most."""

    letter: str
    probability: float
    best: Statement


def score(options: Mapping[str, str], reading: Reading, head: Head) -> tuple[OptionScore, ...]:
    """Best first, ties by letter. Softmax of the head over each option's features."""
    letters = sorted(options)
    features = option_features([options[letter] for letter in letters], reading)
    probabilities = softmax([head.logit(values) for values in features])
    scores = [
        OptionScore(letter, probability, _best(options[letter], at, reading))
        for at, (letter, probability) in enumerate(zip(letters, probabilities, strict=True))
    ]
    return tuple(sorted(scores, key=lambda one: (-one.probability, one.letter)))


def option_features(options: Sequence[str], reading: Reading) -> list[tuple[float, ...]]:
    """In the order of OPTION_FEATURES, per option: the best over all statements of a match, weighted by how well the
    statement is supported relative to the best one.

    A match is the share of the option's quantities that the statement holds (5 mg is not 2.5 mg), the share of its
    words, its cosine, and the cosine of question and option together.
    """
    largest = max(one.support for one in reading.statements)
    weighted = [(one.support / largest, one) for one in reading.statements]
    rows: list[tuple[float, ...]] = []
    for option, vector, claim in zip(options, reading.options, reading.claims, strict=True):
        words, numbers = stems(option), quantities(option)
        rows.append(
            (
                max(weight * shared(numbers, one.quantities) for weight, one in weighted),
                max(weight * overlap(words, one.stems) for weight, one in weighted),
                max(weight * float(one.vector @ vector) for weight, one in weighted),
                max(weight * float(one.vector @ claim) for weight, one in weighted),
            )
        )
    return rows


def _best(option: str, at: int, reading: Reading) -> Statement:
    words, numbers = stems(option), quantities(option)
    return max(
        reading.statements,
        key=lambda one: (
            one.support
            * (shared(numbers, one.quantities) + overlap(words, one.stems) + float(one.vector @ reading.claims[at]))
        ),
    )
