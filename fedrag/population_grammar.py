"""Sentences for population questions, and what was understood of them. What does not fit is refused.

    how many PEOPLE [AGE] [with TERMS] [on MEDICINES] [VERB TERMS]

    PEOPLE      patients, people; women, men, girls, boys (and of that sex)
    AGE         aged 40 to 49; over 65; under 18; 65 or older
    with        or: who have, who had, having, diagnosed with
    on          or: taking, who take
    VERB        have, had; take, took, received, are on, were on; underwent; are allergic to; were vaccinated with
    TERMS       one to three labels, joined by `and`; in quotation marks where a label holds a word of the grammar

Those before the verb are whom it is about (`having`), those after it what they also have (`also`); where only the verb
names something, that is what is counted.
"""

import re
from collections.abc import Iterator
from typing import Final

from pydantic import ValidationError

from fedrag.core.errors import InputError
from fedrag.core.populations import OLDEST, AgeBand, Concept, ConceptKind, PopulationQuestion, Sex

_HEAD: Final = re.compile(
    r"how many (?:of (?:our|the|your|all) )?(patients|people|persons|women|men|girls|boys)\b\s*(.*)"
)
_SEX: Final = {"women": Sex.FEMALE, "girls": Sex.FEMALE, "men": Sex.MALE, "boys": Sex.MALE}
_YEARS: Final = r"(?:\s*years?(?: old| of age)?)?"
_WHO: Final = r"(?:who are |who were )?"
_AGES: Final = (
    (re.compile(rf"\b{_WHO}(?:aged? )?(?:between )?(\d+)\s*(?:to|-|–|and)\s*(\d+)\b{_YEARS}"), 0, 0),
    (re.compile(rf"\b{_WHO}(?:aged? )?(\d+)\b{_YEARS} (?:or|and) (?:older|over|more)\b()"), 0, 0),
    (re.compile(rf"\b{_WHO}(?:aged? )?(?:over|above|older than) (\d+)\b()()?{_YEARS}"), 1, 0),
    (re.compile(rf"\b{_WHO}(?:aged? )?(?:under|below|younger than)() (\d+)\b{_YEARS}"), 0, -1),
)
"""An age as it is said; what is added to its lower and to its upper end."""

_MARKS: Final = (
    (r"(?:who (?:have|had) been )?diagnosed with", False, None),
    (r"with|who have|who had|having", False, None),
    (r"on|taking|who take|who took", False, ConceptKind.MEDICATION),
    (r"(?:also )?(?:are|were) allergic to", True, ConceptKind.ALLERGY),
    (r"(?:also )?(?:are|were|have been) vaccinated (?:with|against)", True, ConceptKind.IMMUNIZATION),
    (r"(?:also )?(?:underwent|have undergone|had undergone)", True, ConceptKind.PROCEDURE),
    (
        r"(?:also )?(?:take|took|receive|received|get|got|are on|were on|are taking|were taking)",
        True,
        ConceptKind.MEDICATION,
    ),
    (r"(?:also )?(?:have|had)", True, None),
)
"""What stands before terms; whether it is the verb of the sentence; of which kind its terms are."""

_MARK: Final = re.compile("|".join(rf"(?P<m{number}>\b(?:{words})\b)" for number, (words, _, _) in enumerate(_MARKS)))
_QUOTED: Final = re.compile(r"[\"“”„]([^\"“”„]+)[\"“”„]")
_PLACE: Final = "\ue000"
_NOT_OURS: Final = re.compile(
    r"\b(?:or|not|no|without|never|except|before|after|since|during|in|at|than|more|less|last|who|which|that|how|many|"
    r"also|but|if|when|while|per)\b|[?!.;:]$"
)
"""Words that would change what is asked: they are part of a label in quotation marks alone."""


def parse(text: str) -> PopulationQuestion:
    """Raises InputError(question_not_understood)."""
    quoted: list[str] = []

    def put_aside(found: re.Match[str]) -> str:
        quoted.append(found[1])
        return f"{_PLACE}{len(quoted) - 1}{_PLACE}"

    plain = " ".join(_QUOTED.sub(put_aside, text).casefold().split()).rstrip(" ?.")
    head = _HEAD.fullmatch(plain)
    if head is None:
        raise _not_understood()
    rest, age = _age(head[2])
    having: list[Concept] = []
    also: list[Concept] = []
    try:
        for is_verb, kind, terms in _clauses(rest):
            (also if is_verb else having).extend(_concept(term, kind, quoted) for term in _terms(terms))
        if not having:
            having, also = also, []
        return PopulationQuestion(having=tuple(having), also=tuple(also), sex=_SEX.get(head[1]), age=age)
    except ValidationError:
        raise _not_understood() from None


def say(question: PopulationQuestion) -> str:
    """The question in words, as it is put to hospitals."""
    words = ["patients with", _all_of(question.having)]
    if question.sex is not None:
        words.append(f"of sex {question.sex.value}")
    if (age := question.age) is not None:
        words.append(f"aged {age.at_least} {'and older' if age.at_most == OLDEST else f'to {age.at_most}'}")
    if question.also:
        words.append(f"and how many of them also have {_all_of(question.also)}")
    return " ".join(words)


def _all_of(concepts: tuple[Concept, ...]) -> str:
    return " and ".join(
        f"{one.kind.value + ' ' if one.kind else ''}"
        f"{repr(one.label) if one.label else f'{one.system} {one.code}' if one.system else f'code {one.code}'}"
        for one in concepts
    )


def _age(rest: str) -> tuple[str, AgeBand | None]:
    for pattern, more, less in _AGES:
        found = pattern.search(rest)
        if found is None:
            continue
        low, high = found[1], found[2]
        try:
            band = AgeBand(
                at_least=min(int(low) + more, OLDEST) if low else 0,
                at_most=min(int(high) + less, OLDEST) if high else OLDEST,
            )
        except ValidationError:
            raise _not_understood() from None
        return " ".join(f"{rest[: found.start()]} {rest[found.end() :]}".split()).lstrip(", "), band
    return rest, None


def _clauses(rest: str) -> Iterator[tuple[bool, ConceptKind | None, str]]:
    """(whether behind the verb, kind, terms), the sentence's only verb last."""
    marks = list(_MARK.finditer(rest))
    if not marks or rest[: marks[0].start()].strip(" ,"):
        raise _not_understood()
    verbs = 0
    for mark, after in zip(marks, [*marks[1:], None], strict=True):
        if verbs:  # terms behind a verb run to the end
            raise _not_understood()
        _, is_verb, kind = _MARKS[int(str(mark.lastgroup)[1:])]
        verbs += is_verb
        yield is_verb, kind, rest[mark.end() : after.start() if after else len(rest)].strip(" ,")


def _terms(terms: str) -> Iterator[str]:
    for term in re.split(r"\s+and\s+|\s*,\s*(?:and\s+)?", terms):
        if not term or _NOT_OURS.search(term):
            raise _not_understood()
        yield re.sub(r"^(?:an?|the) ", "", term)


def _concept(term: str, kind: ConceptKind | None, quoted: list[str]) -> Concept:
    aside = re.fullmatch(f"{_PLACE}(\\d+){_PLACE}", term)
    if aside is None and _PLACE in term:
        raise _not_understood()
    return Concept(kind=kind, label=quoted[int(aside[1])] if aside else term)


def _not_understood() -> InputError:
    return InputError(
        "not understood; ask for example: how many patients with atrial fibrillation take apixaban, "
        'how many women aged 40 to 49 with asthma, how many patients had "carcinoma in situ of breast"',
        code="question_not_understood",
    )
