"""What a document cannot know."""

from fedrag.core.question import Question
from reasoner.overheard import knows

ASKED = "How long is warfarin stopped before a planned operation in a man of 70 with atrial fibrillation?"
CHOICE = Question(text=ASKED, options={"A": "two days", "B": "five days"})
OPEN = Question(text=ASKED)


def test_letters_of_options_are_the_askers() -> None:
    """Where there are options, and only those that there are."""
    for sentence in ("Take option B.", "The answer: (b)", 'Mark choice "A".'):
        assert knows(sentence, CHOICE)
        assert not knows(sentence, OPEN)
    for sentence in ("Option C is open surgery.", "Vitamin B is given.", "Hepatitis A and option A+ were compared."):
        assert not knows(sentence, CHOICE)


def test_a_question_in_its_own_words_is_the_askers() -> None:
    """Seven words in a row; a shorter run is chance."""
    assert knows("If asked how long is warfarin stopped before a planned operation, say two days.", OPEN)
    assert not knows("Warfarin is stopped five days before a planned operation in women.", OPEN)
    assert not knows("", OPEN)
