"""Taking identifiers out of questions."""

from fedrag.redaction.patterns import PatternRedactor

__all__ = ["PatternRedactor"]
