"""Follow-ups made to stand alone by rules."""

import pytest

from reasoner.follow_ups import named, stand_alone


@pytest.mark.parametrize(
    ("earlier", "text", "alone"),
    [
        (
            "What is the dose of salbutamol in adults?",
            "And in children?",
            "What is the dose of salbutamol in children?",
        ),
        (
            "When is warfarin restarted after a bleed?",
            "What about apixaban?",
            "When is apixaban restarted after a bleed?",
        ),
        ("How is hyperkalaemia treated?", "When does it need dialysis?", "When does hyperkalaemia need dialysis?"),
        ("When should lithium levels be measured?", "And the target range?", "What is the target range of lithium?"),
        ("What is the dose of vancomycin?", "What are its side effects?", "What are vancomycin's side effects?"),
        ("How is gout treated?", "For how long?", "For how long? How is gout treated?"),
    ],
)
def test_a_follow_up_names_what_it_is_about(earlier, text, alone) -> None:
    """Ellipsis, attribute, pronoun and bare question word."""
    assert stand_alone(text, [earlier]) == alone


@pytest.mark.parametrize(
    "text",
    [
        "What reverses dabigatran?",
        "Is it safe to give ibuprofen in the third trimester of pregnancy?",
        "A man on apixaban needs an operation tomorrow morning. When is it stopped?",
    ],
)
def test_a_question_that_stands_alone_is_left_as_it_is(text) -> None:
    """However short, and where a pronoun stands for nothing or for what the question itself names."""
    assert stand_alone(text, ["How is gout treated?"]) == text


def test_a_chain_of_follow_ups_is_worked_off_in_its_order() -> None:
    """The third question is about what the first was about, for whom the second asked."""
    made = stand_alone(
        "And the maximum dose?", ["What is the dose of gentamicin in adults?", "And in dialysis patients?"]
    )
    assert made == "What is the maximum dose of gentamicin?"


def test_a_topic_is_never_read_as_a_pattern() -> None:
    """Text of an asker that looks like a template of a replacement stays text."""
    assert named("When is it given?", r"\g<0>\1") == r"When is \g<0>\1 given?"


def test_nothing_was_asked_before() -> None:
    """The first question of a conversation is only tidied of spaces."""
    assert stand_alone("And  in children?", []) == "And in children?"
