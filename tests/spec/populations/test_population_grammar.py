"""Sentences for population questions: understood exactly, or refused."""

import pytest

from fedrag.core.errors import InputError
from fedrag.core.populations import AgeBand, Concept, ConceptKind, PopulationQuestion, Sex
from fedrag.population_grammar import parse, say

ASTHMA, APIXABAN = Concept(label="asthma"), Concept(kind=ConceptKind.MEDICATION, label="apixaban")
UNDERSTOOD = {
    "How many patients with atrial fibrillation take apixaban?": PopulationQuestion(
        having=(Concept(label="atrial fibrillation"),), also=(APIXABAN,)
    ),
    "how many patients have asthma": PopulationQuestion(having=(ASTHMA,)),
    "How many of our patients are on apixaban?": PopulationQuestion(having=(APIXABAN,)),
    "How many women aged 40 to 49 with asthma?": PopulationQuestion(
        having=(ASTHMA,), sex=Sex.FEMALE, age=AgeBand(at_least=40, at_most=49)
    ),
    "how many men over 65 with asthma and COPD underwent lung resection": PopulationQuestion(
        having=(ASTHMA, Concept(label="copd")),
        also=(Concept(kind=ConceptKind.PROCEDURE, label="lung resection"),),
        sex=Sex.MALE,
        age=AgeBand(at_least=66),
    ),
    "how many people under 18 are allergic to the penicillin": PopulationQuestion(
        having=(Concept(kind=ConceptKind.ALLERGY, label="penicillin"),), age=AgeBand(at_most=17)
    ),
    'how many patients on apixaban had "Bleeding in brain"?': PopulationQuestion(
        having=(APIXABAN,), also=(Concept(label="Bleeding in brain"),)
    ),
    "how many patients with asthma taking apixaban also have copd": PopulationQuestion(
        having=(ASTHMA, APIXABAN), also=(Concept(label="copd"),)
    ),
}


@pytest.mark.parametrize(("text", "question"), UNDERSTOOD.items(), ids=UNDERSTOOD)
def test_a_sentence_of_the_grammar_is_understood(text, question) -> None:
    """As it is meant, and said back without anything of it lost."""
    assert parse(text) == question
    said = say(question)
    for one in (*question.having, *question.also):
        assert one.label in said
        assert one.kind is None or one.kind.value in said
    assert question.sex is None or question.sex.value in said
    assert question.age is None or str(question.age.at_least) in said


@pytest.mark.parametrize(
    "text",
    [
        "", "What is asthma?", "how many patients", "how many patients with asthma or copd",
        "how many patients without asthma", "how many patients with no asthma", "how many patients had asthma in 2019",
        "how many patients with asthma except those over 65", "how many dogs with fleas",
        "how many patients with asthma and copd and gout and measles", "how many patients with asthma take",
        "how many patients with asthma have had a stroke",
        "how many patients with more than 3 admissions", "how many patients aged 49 to 40 with asthma",
        "how many patients do not take apixaban", "how many patients named Brakspear who have asthma",
        "how many patients with asthma take apixaban take warfarin", "how many patients have asthma? And gout?",
    ],
)  # fmt: skip
def test_anything_else_is_refused(text) -> None:
    """Nothing is left out of a question silently: another one would be answered."""
    with pytest.raises(InputError) as refused:
        parse(text)
    assert refused.value.code == "question_not_understood"
    assert not any(word in refused.value.message.split() for word in ("Brakspear", "fleas"))
