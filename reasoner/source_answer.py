"""What one source answers by itself: an answer, its chain of thought, and how unsure it says it is."""

import re
from dataclasses import dataclass
from typing import Final, Self

_ADMISSION: Final = re.compile(
    r"\b(?:(?:do|does|did|is|are|was|were) not|(?:do|does|did|is|are|was|were)n['’]t|none of|not|no)\s+"
    r"(?:(?:explicitly|directly|specifically|clearly|any|the|enough|sufficient|of)\s+)*"
    r"(?:provide[ds]?|contain(?:s|ed)?|mention(?:s|ed)?|give[ns]?|address(?:es|ed)?|state[ds]?|discuss(?:es|ed)?|listed"
    r"|found|information|evidence|relevant|options|choices|documents|passages|above|answers?|certain|sure|clear)\b"
    r"|\b(?:insufficient|inconclusive|unclear|cannot be (?:determined|answered)|unable to)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class SourceAnswer:
    """`choice` is None where the source chose nothing. `uncertainty` is its own figure, lower is surer (mean token
    entropy in nats, say), None where it gives none: a claim, like every word of the trace. `gaps`: how often the trace
    admits that something is missing."""

    choice: str | None
    trace: str = ""
    uncertainty: float | None = None
    gaps: int = 0

    @classmethod
    def of(cls, choice: str | None, trace: str, uncertainty: float | None = None) -> Self:
        return cls(choice, trace, uncertainty, admissions(trace))


def admissions(trace: str) -> int:
    """How often a chain of thought admits that something it needs is missing or unclear."""
    return sum(1 for _ in _ADMISSION.finditer(trace))
