"""What became of one question, as the metrics of answers see it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Outcome:
    """`confidence` in [0, 1] is the stated probability of being right. A question that was not answered is not right,
    and the confidence it was given is held against it."""

    answered: bool
    correct: bool
    confidence: float

    def __post_init__(self) -> None:
        if self.correct and not self.answered:
            raise ValueError("what was not answered cannot be right")
