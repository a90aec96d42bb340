"""A follow-up made into a question that stands alone, by rules.

    ellipsis      "And in children?", "What about apixaban?", "For how long?"   the earlier question, with this in it
    attribute     "And the target range?"                                       asked of what the earlier one is about
    pronoun       "When does it need dialysis?"                                 what the earlier one is about, named
    definite      "Which drugs should be avoided?", "How is the disease …?"     the earlier question beside it

A question that names what it is about is left as it is, however short. Rules see words, not meaning: what they made is
shown to the asker.
"""

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import Final

_LEAD: Final = re.compile(
    r"^(?:(?:and|but|so|ok|okay|or|also|then|now|well|the same|same|likewise|what about|how about|what if"
    r"|is (?:that|this|it) (?:also )?(?:true|the case|so|valid)|does (?:that|this|it) (?:also )?(?:apply|hold))\b"
    r"[ ,]*(?:(?:also|too)\b ?)?)+",
    re.IGNORECASE,
)
_PREPOSITIONS: Final = (
    "in|for|with|without|on|to|during|after|before|while|if|when|under|over|at|from|by|among|within|despite|until|of"
)
_PREPOSITION: Final = re.compile(rf"^(?:{_PREPOSITIONS})\b", re.IGNORECASE)
_PHRASE: Final = re.compile(rf"\b({_PREPOSITIONS})\b", re.IGNORECASE)
_CLAUSE: Final = re.compile(
    r"\b(?:is|are|was|were|be|been|do|does|did|can|could|may|might|should|must|shall|will|would|has|have|had|need|needs|"
    r"help|helps|matter|matters|means?|reverses?|causes?|treats?|prolongs?|confirms?)\b",
    re.IGNORECASE,
)
_INTERROGATIVE: Final = re.compile(
    rf"^(?:(?:{_PREPOSITIONS}) )?(?:why|how|when|where|which|what|who|whom|whose)\b", re.IGNORECASE
)
_EXPLETIVE: Final = re.compile(
    r"\bit (?:is |be |was )?(?:ever |still |really )?(?:safe|ok|okay|possible|necessary|advisable|allowed|useful"
    r"|better|best|true|likely|important|enough|time)\b",
    re.IGNORECASE,
)
_NAMED: Final = (
    "drug|medicine|medication|agent|antibiotic|condition|disease|disorder|illness|treatment|therapy|procedure|test|"
    "operation|infection|patients?|people|case|situation|dose|regimen|one|ones|vaccine|symptoms?|drugs|medicines|"
    "antibiotics|results?|levels?|complication"
)
_DEFINITE: Final = re.compile(rf"\b(?:this|that|these|those|such(?: an?)?) (?:{_NAMED})\b", re.IGNORECASE)
_THE: Final = re.compile(
    r"\bthe (?:drug|medicine|agent|condition|disease|disorder|illness|procedure|infection)\b", re.I
)
_OWN: Final = re.compile(r"\b(?:its|their)\b", re.IGNORECASE)
_PRONOUN: Final = re.compile(
    r"\b(?:it|they|them|these|those|this)\b|\bthat(?=$|[?.!,]| (?:is|are|be|also|too|help|work|apply|happen|mean)\b)",
    re.IGNORECASE,
)
_PERSON: Final = re.compile(r"\b(?:he|she|him|her|his|hers)\b", re.IGNORECASE)
_ATTRIBUTES: Final = (
    "dose|doses|dosage|range|target|duration|side effects?|contraindications?|symptoms?|signs?|causes?|treatment|route|"
    "risks?|cost|mechanism|interval|frequency|onset|antidote|diagnosis|prognosis|alternatives?|interactions?|monitoring|"
    "limit|levels?|timing|indications?|concentration|rate|criteria|name"
)
_ATTRIBUTE: Final = re.compile(rf"^(?:the |its |their )?((?:[\w-]+ ){{0,2}}(?:{_ATTRIBUTES}))$", re.IGNORECASE)
_POPULATION: Final = re.compile(
    r"\b(?:adults?|child(?:ren)?|infants?|neonates?|newborns?|babies|elderly|older|pregnan\w+|breast-?feeding|lactation|"
    r"women|men|adolescents?|patients?|renal|kidney|liver|hepatic|dialysis|trimester)\b",
    re.IGNORECASE,
)
_A_NAME: Final = 9
"""Letters from which a single word is taken to be the name of something."""
_WORD: Final = re.compile(r"[\w][\w'/-]*")
_STOP_WORDS: Final = """
a an the and or but if then is are was were be been being do does did can could may might should must shall will
would has have had need needs needed what which who whom whose when where why how long often much many far fast soon
early late to of in for with without on during after before while under over at from by among within despite until
about into than as not no any some this that these those it its they them their he she his her him there here we you
i my our your one given give gives giving used use uses using treated treat treats managed manage started start
starts restarted restart stopped stop stops measured measure checked check checks recommended preferred prefer
avoided avoid reverse reverses reversed reduced reduce required require allowed safe graded recognised recognized
diagnosed confirm confirms done made taken take takes called continued continue combined corrected aimed interact
interacts cross-react prolong prolongs decompressed dosed contraindicated first-line first line best right correct
normal usual most more good also still again ever patient patients
"""
_STOP: Final = frozenset(_STOP_WORDS.split())
_GENERAL_WORDS: Final = """
dose doses dosage maximum minimum daily starting loading maintenance target treatment therapy symptoms symptom signs
sign cause causes side effects effect duration drug drugs antibiotic antibiotics medicine medicines antidote range
period warning risk risks test tests imaging regimen levels level time days hours management prophylaxis route
"""
_GENERAL: Final = frozenset(_GENERAL_WORDS.split())


def stand_alone(text: str, earlier: Sequence[str]) -> str:
    """`earlier`: the asker's questions before this one, oldest first; each is made to stand alone by those before."""
    before = ""
    for question in (*earlier, text):
        before = _after(" ".join(question.split()), before) if before else " ".join(question.split())
    return before


def _after(text: str, before: str) -> str:
    core = _LEAD.sub("", text).strip(" ?.!,;")
    led, topic = core != text.strip(" ?.!,;"), topic_of(before)
    if not core:
        return text
    if not _is_clause(core) or (led and _PREPOSITION.match(core) and not _INTERROGATIVE.match(core)):
        return _filled(core, before, topic)
    if not _refers(text):
        return f"{before} {text}" if _leaves_open(core) else text
    text = named(text, topic)
    return f"{before} {text}" if _PERSON.search(text) or not topic else text


def named(text: str, topic: str) -> str:
    """The text with the topic in the place of the words that stand for it."""
    if not topic:
        return text
    for pattern in (_DEFINITE, _THE):
        text = pattern.sub(_Named(topic), text)
    for pattern in (_OWN,) if _EXPLETIVE.search(text) else (_OWN, _PRONOUN):
        text = pattern.sub(_Named(topic), text, count=1)
    return text


def _is_clause(core: str) -> bool:
    """Whether it says what is asked, and not only of what."""
    if _INTERROGATIVE.match(core):
        return bool(_CLAUSE.search(core)) or len(core.split()) > 4
    return bool(_CLAUSE.search(core)) and not _PREPOSITION.match(core)


def _refers(text: str) -> bool:
    """Whether a word stands for something that was named earlier; not where the text itself names it first."""
    said = re.split(r"(?<=[.!;])\s", text)
    if len(said) > 1 and len(said[0].split()) > 4:
        return False
    found = [pattern.search(text) for pattern in (_DEFINITE, _THE, _OWN, _PERSON)]
    pronoun = None if _EXPLETIVE.search(text) else _PRONOUN.search(text)
    starts = [match.start() for match in (*found, pronoun) if match]
    return bool(starts) and (len(text.split()) <= 12 or len(text[: min(starts)].split()) < 5)


def _leaves_open(core: str) -> bool:
    """A short question that names nothing: grammar, words general to all of medicine, and at most one more, too short
    for what medicines and diseases are called."""
    words = [word.lower() for word in _WORD.findall(core)]
    own = [word for word in words if word not in _STOP and word not in _GENERAL]
    return len(words) <= 8 and len(own) <= 1 and all(len(word) < _A_NAME for word in own)


def _filled(core: str, before: str, topic: str) -> str:
    """An ellipsis: the earlier question, with the fragment in the place of what it takes the place of."""
    whole = before.rstrip(" ?.!")
    if _INTERROGATIVE.match(core) or core.lower().startswith("not"):
        return f"{core[0].upper()}{core[1:]}? {before}"
    attribute = _ATTRIBUTE.match(core)
    if attribute and topic:
        return f"What is the {attribute[1]} of {topic}?"
    preposition = _PREPOSITION.match(core)
    if preposition is None and not _POPULATION.search(core):
        return f"{whole.replace(topic, core, 1)}?" if topic and topic in whole else f"{whole}: {core}?"
    fragment = core if preposition else f"in {core}"
    return f"{_without_rival(whole, fragment)} {fragment}?"


def _without_rival(whole: str, fragment: str) -> str:
    """The earlier question without the last phrase that the fragment takes the place of: one about whom, where it says
    about whom; one with the same preposition, where it begins with that."""
    borders = [*(match.start() for match in _PHRASE.finditer(whole)), len(whole)]
    people, first = bool(_POPULATION.search(fragment)), fragment.split()[0].lower()
    for start, end in reversed(list(pairwise(borders))):
        phrase = whole[start:end]
        same = phrase.split()[0].lower() == first and first in ("after", "before", "during", "with", "without", "from")
        if start and (same or (people and _POPULATION.search(phrase))):
            return f"{whole[:start].rstrip()} {whole[end:].lstrip()}".strip()
    return whole


def topic_of(question: str) -> str:
    """What a question is about: its first run of words that are neither grammar nor general to all of medicine."""
    runs: list[list[re.Match[str]]] = [[]]
    end = 0
    for word in _WORD.finditer(question):
        if question[end : word.start()].strip() and runs[-1]:
            runs.append([])
        end = word.end()
        if word[0].lower() in _STOP:
            runs.append([])
        else:
            runs[-1].append(word)
    named = [run for run in runs if run and not all(word[0].lower() in _GENERAL for word in run)]
    chosen = next(iter(named or [run for run in runs if run]), [])
    while len(chosen) > 1 and chosen[-1][0].lower() in _GENERAL:
        chosen = chosen[:-1]
    return question[chosen[0].start() : chosen[-1].end()] if chosen else ""


class _Named:
    """A replacement that is never read as a pattern's template; after a possessive the name gets its own."""

    def __init__(self, topic: str) -> None:
        self._topic = topic

    def __call__(self, match: re.Match[str]) -> str:
        return f"{self._topic}'s" if match[0].lower() in ("its", "their") else self._topic
