"""For or against: the direction of a statement and of a closed question, from their words."""

import re
from typing import Final

_NEGATED: Final = re.compile(
    r"\b(?:do|does|did|is|are|was|were|must|should|can|could|may|might|need|will|would|has|have|had)\s+(?:not|never)\b"
    r"|n['’]t\b|\b(?:cannot|never|neither)\b|\bneeds? no\b"
    r"|\bnot\s+(?:be|by|a|an|any|as|enough|in|part|usually|routinely|yet|recommended|used|given|needed|required)\b"
    r"|\bno\s+(?:need|longer|further|separate|reason|evidence|place|role|benefit|routine)\b|\bthere is no\b",
    re.IGNORECASE,
)
_AGAINST: Final = re.compile(
    r"\b(?:avoid(?:s|ed|ing)?|stop(?:s|ped|ping)?|withh(?:old|eld|olds|olding)|hold back|omit(?:s|ted|ting)?"
    r"|refus(?:e|es|ed|ing)|interrupt(?:s|ed|ing)?|discontinu(?:e|es|ed|ing)|forb(?:id|ids|idden|ade)|prohibit(?:s|ed)?"
    r"|restrict(?:s|ed|ing)?|contraindicated|unsafe|unsuitable|unnecessary|harmful|delay(?:s|ed|ing)?|skip(?:s|ped)?"
    r"|tak(?:e|en|ing) (?:him |her |them |it )?off|cut(?:ting)? (?:down|out)|come down|leave out|left out|ends?)\b",
    re.IGNORECASE,
)
_DIRECTIVE: Final = re.compile(
    r"\b(?:do|does|may|can|must|should|safe|allowed|acceptable|recommended|continues?d?|keep|given?|start(?:s|ed)?"
    r"|needs?|needed|offer(?:ed)?|use[ds]?|receives?|avoid(?:ed)?|stop(?:ped)?|never|always|reason|not|no)\b",
    re.IGNORECASE,
)
_HEDGE: Final = re.compile(
    r"\b(?:unless|only if|only when|except|depends?|individual(?:ly|ised)?|case by case|consider|discuss(?:ed)?|ask"
    r"|uncertain|unclear|may help|limited evidence|weigh(?:ed)?)\b",
    re.IGNORECASE,
)
_QUOTED: Final = r"[\"'“‘(\[]*"
_QUESTION_VERB: Final = (
    r"(?:is|are|was|were|am|does|do|did|should|can|could|may|might|must|will|would|has|have|had|shall)(?:n['’]t)?"
)
_CLOSED: Final = re.compile(rf"(?:^|[,;:]\s+)\W*(?:and |so |but |then )?{_QUESTION_VERB}\s[^?]*\?$", re.IGNORECASE)
_OPEN: Final = re.compile(r"\b(?:what|which|where|whom|whose|why|how)\b", re.IGNORECASE)
_EITHER: Final = re.compile(r"\bor\b", re.IGNORECASE)
NEUTRAL: Final = 0.4
"""How far a statement that directs nothing counts towards a verdict."""


def direction(text: str) -> float:
    """+1 for, -1 against. A negated verb turns the sense round, and so does a verb of refusing: "do not stop" is for.
    What is absent without anything being told ("no fever", "without symptoms") does not count."""
    turns = bool(_NEGATED.search(text)) + bool(_AGAINST.search(text))
    return -1.0 if turns % 2 else 1.0


def strength(text: str) -> float:
    """1 for a statement that tells what to do or whether something holds, NEUTRAL for any other."""
    return 1.0 if _DIRECTIVE.search(text) or _AGAINST.search(text) else NEUTRAL


def hedged(text: str) -> bool:
    """Whether a statement leaves the decision to circumstances."""
    return _HEDGE.search(text) is not None


def closed(question: str) -> bool:
    """Whether a question asks for yes or no: its last sentence begins like one, and asks neither for something else
    nor for one of two things."""
    last = re.split(r"(?<=[.?!])\s+", question.strip())[-1]
    return bool(_CLOSED.search(last)) and not _OPEN.search(last) and not _EITHER.search(last)
