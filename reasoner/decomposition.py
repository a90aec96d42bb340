"""A question taken apart into sub-questions, by rules, each of which can be routed on its own.

    compound      "What is the dose of X, and when is it stopped?"        each half, the second one with its name
    comparison    "Is X or Y safer in renal failure?"                     each side
    combination   "… in patients with X and Y"                            the whole, then X, then Y

Rules see words, not meaning: they take apart only what has one of these forms, and the plan is shown to the asker.
"""

import re
from typing import Final

from reasoner.follow_ups import named, topic_of

_AUXILIARY: Final = "is|are|was|were|do|does|did|can|could|may|might|should|must|shall|will|would|has|have|needs?"
_SUBJECT: Final = "it|they|this|that|these|those|the|a|an|there|he|she|we|one|you|patients?|children|adults"
_ASKS: Final = (
    r"(?:(?:for|to|at|in|by|with|within|after|from|until) )?"
    rf"(?:(?:what|which|how|whose)(?: [\w-]+){{0,4}}? (?:{_AUXILIARY})\b"
    rf"|(?:when|where|why|who) (?:{_AUXILIARY})\b)|(?:{_AUXILIARY}) (?:{_SUBJECT})\b"
)
_QUESTION: Final = re.compile(rf"^(?:{_ASKS}|what|which|how|when|where|why|who|(?:{_AUXILIARY})\b)", re.IGNORECASE)
_BETWEEN: Final = re.compile(
    rf"(?:\s*[;,])?\s+(?:and then|and also|and|then|or)\s+(?={_ASKS})|\s*;\s*(?={_ASKS})", re.IGNORECASE
)
_SENTENCE: Final = re.compile(r"(?<=[.?!])\s+(?=\S)")
_NAME: Final = r"[\w][\w'/-]*(?: [\w][\w'/-]*){0,3}?"
_PLACE: Final = r"(?P<place> (?:in|for|after|before|during|with|on|at|as) .+?)?"
_MORE: Final = r"(?P<more>better|safer|preferred|cheaper|faster|more \w+|less \w+)"
_COMPARISONS: Final = (
    re.compile(
        rf"^(?:compare|comparison of|contrast) (?P<a>{_NAME}) (?:and|with|to|against) (?P<b>{_NAME}){_PLACE}$", re.I
    ),
    re.compile(
        r"^(?:what (?:is|are) the|how (?:big|large) is the)? ?differences? between "
        rf"(?P<a>{_NAME}) and (?P<b>{_NAME}){_PLACE}$",
        re.I,
    ),
    re.compile(
        rf"^(?:which(?: (?:one|drug|is|of them))*|what) (?:is |works ){_MORE}"
        rf"(?P<place> (?:in|for|after|before|during|with|on) [^,:]+)?[,:]? (?P<a>{_NAME}) or (?P<b>{_NAME})$",
        re.I,
    ),
    re.compile(
        rf"^(?:is|are) (?P<a>{_NAME}) {_MORE} (?:than|to) (?P<b>{_NAME}){_PLACE}$",
        re.I,
    ),
    re.compile(
        rf"^(?:is|are) (?P<a>{_NAME}) or (?P<b>{_NAME}) {_MORE}{_PLACE}$",
        re.I,
    ),
    re.compile(rf"^(?P<a>{_NAME}) (?:versus|vs\.?) (?P<b>{_NAME}){_PLACE}$", re.I),
)
_COMBINATION: Final = re.compile(
    r"^(?P<asks>.+ (?:in|for) (?:an? |the )?(?:[\w-]+ )?"
    r"(?:patients?|people|adults?|child(?:ren)?|women|woman|men|man|infants?) with) "
    r"(?P<a>[^,;?]+?) and (?P<b>[^,;?]+)$",
    re.I,
)
_FEW_WORDS: Final = 4
"""A name of something to be compared, or of a condition, has no more."""


def sub_questions(text: str, maximum: int) -> tuple[str, ...]:
    """At most `maximum`, in the order in which they are to be answered; the question alone where it is one."""
    whole = " ".join(text.split())
    if maximum < 2:
        return (whole,)
    for plan in (_compound(whole), _comparison(whole), _combination(whole)):
        if len(plan) > 1:
            return plan if len(plan) <= maximum else (whole,)
    return (whole,)


def _compound(whole: str) -> tuple[str, ...]:
    """What is said before the questions belongs to each of them; what follows the first one may refer to it."""
    said = _SENTENCE.split(whole)
    told = [one for one in said if not one.endswith("?")]
    asked = [half for one in said if one.endswith("?") for half in _halves(one)]
    if not asked or any(said.index(one) > said.index(first) for one in told for first in said if first.endswith("?")):
        return (whole,)
    if len(asked) < 2 or not all(_QUESTION.match(half) for half in asked):
        return (whole,)
    if told:
        return tuple(" ".join((*told, half)) for half in asked)
    topic = topic_of(asked[0])
    return (asked[0], *(named(half, topic) for half in asked[1:]))


def _halves(question: str) -> list[str]:
    halves = [half.strip(" ,;?") for half in _BETWEEN.split(question)]
    return [f"{half[0].upper()}{half[1:]}?" for half in halves if half]


def _comparison(whole: str) -> tuple[str, ...]:
    core = whole.strip(" ?.")
    for form in _COMPARISONS:
        found = form.match(core)
        if found is None:
            continue
        sides = found["a"], found["b"]
        if any(len(side.split()) > _FEW_WORDS for side in sides) or sides[0].lower() == sides[1].lower():
            return (whole,)
        place = found["place"] or ""
        more = found.groupdict().get("more")
        told = f", and is it {more}" if more else ""
        return tuple(f"What is said about {side}{place}{told}?" for side in sides)
    return (whole,)


def _combination(whole: str) -> tuple[str, ...]:
    """The whole comes first: guidance on both together counts more than guidance on each."""
    found = _COMBINATION.match(whole.strip(" ?."))
    if found is None or any(len(found[side].split()) > _FEW_WORDS for side in "ab"):
        return (whole,)
    return whole, f"{found['asks']} {found['a']}?", f"{found['asks']} {found['b']}?"
