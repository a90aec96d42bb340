"""What may leave a collection, and to whom: a grant is a pure function of who asks, never of what was found."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from fedrag.core.exchange import Processor, ProcessorPlace
from fedrag.core.identity import Purpose, Role

MINIMUM_FLOOR: Final = 5
"""Compiled in: no rule counts fewer distinct patients than this."""
DEFAULT_FLOOR: Final = 11


class Kind(StrEnum):
    """What may leave, least first; each includes those before it, a count of patients being less than any text."""

    NOTHING = "nothing"
    COUNT = "count"
    """Noisy counts of patients, no text."""
    TRACE = "trace"
    """What the hospital's own model makes of passages, as they could be released: docs/reasoning-at-the-source.md."""
    EXTRACT = "extract"
    """The sentences of a passage that bear on the question, as they could be released."""
    REDACTED = "redacted"
    """The redacted form of a passage."""
    PASSAGE = "passage"
    """The passage; where its collection redacts, in its redacted form all the same."""

    @property
    def text(self) -> bool:
        """Whether any text may leave."""
        return self in (Kind.EXTRACT, Kind.REDACTED, Kind.PASSAGE)

    @property
    def traces(self) -> bool:
        """Whether a chain of thought about passages may leave."""
        return self is Kind.TRACE or self.text

    @property
    def counts(self) -> bool:
        """Whether noisy counts may leave."""
        return self is not Kind.NOTHING


@dataclass(frozen=True, slots=True)
class NodeAsker:
    """Who asks, as far as a node knows.

    A pairwise pseudonym vouched for by `issuer`, or, without a token, the coordinator itself.
    """

    pseudonym: str
    role: Role | None
    purpose: Purpose
    issuer: str | None
    project: str | None = None


@dataclass(frozen=True, slots=True)
class Processors:
    """Where released text may be processed, and by which models; no `models`: by any model in these places."""

    places: frozenset[ProcessorPlace]
    models: frozenset[str] = frozenset()

    def allow(self, processor: Processor) -> bool:
        """Every model that may read the text, not only one of them."""
        return all(
            one.place in self.places and (not self.models or one.model in self.models) for one in processor.readers
        )


@dataclass(frozen=True, slots=True)
class PassageQuota:
    """How many passages of one collection may leave under a grant; None: no more limits than node.toml's.

    Days are UTC; 30 days are today and the 29 before. `per_day` counts all askers together. `share_per_30_days`: the
    share of the collection's passages that one asker may be given, distinct ones, in (0, 1].
    """

    per_asker_per_day: int | None = None
    per_project_per_day: int | None = None
    per_day: int | None = None
    per_asker_per_30_days: int | None = None
    share_per_30_days: float | None = None


@dataclass(frozen=True, slots=True)
class Grant:
    """What one asker may be given of one collection, and on what conditions.

    Args:
        rule: the name of the rule that says so; empty where none does.
        release: the most that may leave.
        review: text leaves only after somebody of the hospital approved it; nothing is offered.
        direct: text may go along with the offers, before it is known what wins.
        cite_as: stands in citations instead of the document's own name, title, section, version and date.
        floor: distinct patients behind any count, at least.
    """

    rule: str
    release: Kind = Kind.NOTHING
    review: bool = False
    direct: bool = False
    processors: Processors = field(default_factory=lambda: Processors(frozenset()))
    cite_as: str | None = None
    quota: PassageQuota = PassageQuota()
    floor: int = DEFAULT_FLOOR

    @property
    def offers(self) -> bool:
        """Whether passages may be offered, to be released at once."""
        return self.release.text and not self.review

    @property
    def reviews(self) -> bool:
        """Whether text leaves once somebody of the hospital has approved it."""
        return self.release.text and self.review


NO_RULE: Final = ""
NOTHING: Final = Grant(NO_RULE)
"""What who matches no rule is given."""
