"""Splitting passages into sentences, and comparing words, quantities and direction."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reasoner.quantities import quantities, same, shared
from reasoner.sentences import MAXIMUM_CHARACTERS, spans
from reasoner.stance import closed, direction, hedged
from reasoner.words import overlap, stems


def split(text: str) -> list[str]:
    return [text[one.start : one.end] for one in spans(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Give 0.5 mg. Then wait.", ["Give 0.5 mg.", "Then wait."]),
        ("Dr. Smith gives it i.v. slowly. Wait ten minutes.", ["Dr. Smith gives it i.v. slowly.", "Wait ten minutes."]),
        ("It grew E. coli again. Stop it now.", ["It grew E. coli again.", "Stop it now."]),
        ("Keep it under 4.0 mmol/L. Avoid 50% glucose.", ["Keep it under 4.0 mmol/L.", "Avoid 50% glucose."]),
        ("1. Give oxygen to all.\n2. Call the team at once.", ["Give oxygen to all.", "Call the team at once."]),
        ("- Adults take 5 mg\n- Children take 2 mg", ["Adults take 5 mg", "Children take 2 mg"]),
        ("Is it safe? Yes, it is safe.", ["Is it safe?", "Yes, it is safe."]),
        ("Adults: 500 mg twice daily. Next comes rest.", ["Adults: 500 mg twice daily.", "Next comes rest."]),
        ("", []),
        ("   ", []),
    ],
)
def test_sentences_end_where_a_reader_ends_them(text, expected) -> None:
    """Decimals, units, titles, initials and list numbers do not end a sentence; list items and marks do."""
    assert split(text) == expected


@given(st.text(alphabet=st.sampled_from("abcX. \n-1)(;?"), max_size=300) | st.text(max_size=2000))
def test_spans_are_in_order_apart_bounded_and_hold_every_letter(text) -> None:
    """Whatever the text: quotes are exact stretches, none longer than the limit, and no word is lost between them."""
    found = spans(text)
    assert all(0 <= one.start < one.end <= len(text) and one.end - one.start <= MAXIMUM_CHARACTERS for one in found)
    assert all(first.end <= second.start for first, second in pairwise(found))
    kept = "".join(text[one.start : one.end] for one in found)
    assert sum(c.isalpha() for c in kept) == sum(c.isalpha() for c in text)


@pytest.mark.parametrize(
    ("first", "second", "equal"),
    [
        ("5 mg", "5 mg", True),
        ("5 mg", "2.5 mg", False),
        ("500 micrograms", "0.5 mg", True),
        ("5 mg", "5 mL", False),
        ("1 g", "1,000 mg", True),
        ("two weeks", "14 days", True),
        ("1 J/kg", "1 joule/kg", True),
        ("5 mg", "5 mg/kg", False),
        ("500", "500 units", True),
        ("1000", "500 units", False),
    ],
)
def test_quantities_are_equal_across_units_and_spellings(first, second, equal) -> None:
    """Values are brought to one unit; a bare number means whatever unit it meets."""
    assert same(quantities(first)[0], quantities(second)[0]) is equal


def test_a_range_gives_its_unit_to_both_numbers() -> None:
    """500 to 1,000 mg is half a gram to one gram."""
    assert [(one.value, one.unit) for one in quantities("500 to 1,000 mg")] == [(0.5, "g"), (1.0, "g")]


def test_shared_counts_what_is_wanted() -> None:
    """Of 5 mg and 3 days, a sentence with 5 mg for 7 days holds half."""
    assert shared(quantities("5 mg for 3 days"), quantities("take 5 mg for 7 days")) == 0.5


def test_words_meet_by_their_stem_and_stop_words_do_not_count() -> None:
    """`overlap` of {doubl, dose} with {doubled, dose, ...} is 1."""
    assert overlap(stems("doubling the dose"), stems("The doses were doubled for all")) == 1.0
    assert stems("it is the of and") == ()
    assert overlap((), ("a",)) == 0.0


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Give it to all adults.", 1),
        ("Do not give it.", -1),
        ("Stop it before surgery.", -1),
        ("Do not stop it before surgery.", 1),
        ("A fall is not by itself a reason to refuse treatment.", 1),
        ("Avoid all cephalosporins.", -1),
        ("Adults without fever take 5 mg.", 1),
        ("Hepatitis C needs no separate machine.", -1),
    ],
)
def test_direction_turns_with_each_negation_and_refusal(text, expected) -> None:
    """Two turns cancel; what is merely absent does not turn."""
    assert direction(text) == expected


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("Can she have the vaccine?", True),
        ("GFR 22, rib fractures. May I chart oral morphine?", True),
        ("If the culture is clean, must it go on?", True),
        ("How much should she take?", False),
        ("What is the dose?", False),
        ("Should he take one or two tablets?", False),
        ("Are they the same, and into which muscle?", False),
        ("Give 5 mg.", False),
    ],
)
def test_a_closed_question_is_known_by_its_grammar(question, expected) -> None:
    """Its last sentence begins with a verb and asks neither what, how or which, nor for one of two."""
    assert closed(question) is expected


def test_a_hedge_leaves_the_decision_open() -> None:
    """An unless hedges, a plain instruction does not."""
    assert hedged("Give it unless the pressure is low.")
    assert not hedged("Give it to everybody.")
