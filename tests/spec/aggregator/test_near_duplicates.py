"""Folding near-identical passages: what must never be folded, and how often what should be is.

Rates over the example hospitals' passages: pytest --log-cli-level=INFO tests/spec/aggregator/test_near_duplicates.py
"""

import logging
import re
import textwrap
from collections.abc import Callable
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator.near_duplicates import PART, Fingerprint, fingerprint_of, fold, near_identical
from fedrag.core.exchange import Sketch
from fedrag.core.sketch import part_of, sketch_of

log = logging.getLogger(__name__)
Edit = Callable[[str, np.random.Generator], str | None]
"""A passage changed in one respect; None where there is nothing to change."""

LEAFLET = (
    "Take one 500 mg tablet twice daily with food for 7 days. Adults with kidney disease take half the dose. Do not"
    " drink alcohol during treatment and for 2 days after the last tablet. Stop and call us if a rash appears. The"
    " tablets can colour urine, which is harmless. Keep the blister pack in its box, away from children and from heat."
)
REWORDED = {
    "the": "this",
    "is": "was",
    "are": "were",
    "their": "the",
    "your": "the",
    "this": "that",
    "has": "had",
    "will": "would",
}
PLAIN = frozenset({"there", "these", "their", "those", "which", "whose", "would", "being"})
NEGATIONS = ("not", "no", "never", "without", "avoid", "cannot", "none", "nor", "don't", "contraindicated", "except")


@cache
def sections() -> tuple[str, ...]:
    files = sorted(Path(__file__).parents[3].glob("examples/hospitals/*/*/*.md"))
    parts = (part for file in files for part in re.split(r"(?m)^#+ .*$", file.read_text(encoding="utf-8"))[1:])
    return tuple(part.strip() for part in parts if len(part.split()) >= 40)


def both_ways(one: str, other: str) -> tuple[bool, bool]:
    """Whether they are folded by their texts, and by their sketches."""
    (text, sketch), (other_text, other_sketch) = _seen(one), _seen(other)
    return near_identical(text, other_text), part_of(sketch, other_sketch) >= PART


@cache
def _seen(text: str) -> tuple[Fingerprint, Sketch]:
    return fingerprint_of(text), sketch_of(text)


@given(data=st.data())
def test_passages_that_differ_in_a_number_are_never_folded(data):
    """Any number of the leaflet replaced by any other number."""
    numbers = list(re.finditer(r"\d+", LEAFLET))
    which = data.draw(st.sampled_from(numbers))
    number = data.draw(st.integers(0, 10**6).filter(lambda value: value != int(which.group())))
    changed = LEAFLET[: which.start()] + str(number) + LEAFLET[which.end() :]
    assert both_ways(LEAFLET, changed) == (False, False)


@given(data=st.data())
def test_passages_that_differ_in_a_negation_are_never_folded(data):
    """Any negation put in anywhere, or taken out."""
    words = LEAFLET.split()
    at = data.draw(st.integers(0, len(words)))
    negation = data.draw(st.sampled_from(NEGATIONS))
    assert both_ways(LEAFLET, " ".join([*words[:at], negation, *words[at:]])) == (False, False)
    assert both_ways(LEAFLET, LEAFLET.replace("Do not drink", "Drink")) == (False, False)


def _number(text: str, random: np.random.Generator) -> str | None:
    found = list(re.finditer(r"\d+", text))
    if not found:
        return None
    one = found[random.integers(len(found))]
    return text[: one.start()] + str(int(one.group()) + int(random.integers(1, 10))) + text[one.end() :]


def _swapped_numbers(text: str, random: np.random.Generator) -> str | None:
    found = list(re.finditer(r"(?<![\d.,])\d+(?![\d.,]\d)", text))
    pairs = [(a, b) for a, b in pairwise(found) if a.group() != b.group()]
    if not pairs:
        return None
    a, b = pairs[random.integers(len(pairs))]
    return text[: a.start()] + b.group() + text[a.end() : b.start()] + a.group() + text[b.end() :]


def _word(table: dict[str, str]) -> Edit:
    def edit(text: str, random: np.random.Generator) -> str | None:
        found = [one for one in re.finditer(r"[A-Za-z]+", text) if one.group().lower() in table]
        if not found:
            return None
        one = found[random.integers(len(found))]
        return text[: one.start()] + table[one.group().lower()] + text[one.end() :]

    return edit


def _negated(text: str, random: np.random.Generator) -> str:
    words = text.split()
    at = int(random.integers(1, len(words)))
    return " ".join([*words[:at], NEGATIONS[random.integers(len(NEGATIONS))], *words[at:]])


def _layout(text: str, random: np.random.Generator) -> str:
    return text.upper().replace(". ", ".\n\n").replace(", ", "; ")


def _unit(text: str, random: np.random.Generator) -> str | None:
    changed = re.sub(r"(?<![\d.,–-])(?<!to )\b(\d+) days\b", lambda one: f"{int(one.group(1)) * 24} hours", text)
    changed = re.sub(
        r"(?<![\d.,–-])(?<!to )\b(\d+) mg\b", lambda one: f"{int(one.group(1)) * 1000} micrograms", changed
    )
    return None if changed == text else changed


def _other_word(text: str, random: np.random.Generator) -> str:
    """One word of five letters or more for another of the hospitals' words."""
    one, new = _words_in(text)[random.integers(len(_words_in(text)))], _any_word(random)
    return text[: one.start()] + (new if new != one.group() else "zebra") + text[one.end() :]


def _word_put_in(text: str, random: np.random.Generator) -> str:
    words = text.split()
    at = int(random.integers(len(words) + 1))
    return " ".join([*words[:at], _any_word(random), *words[at:]])


def _word_left_out(text: str, random: np.random.Generator) -> str:
    one = _words_in(text)[random.integers(len(_words_in(text)))]
    return text[: one.start()] + text[one.end() :]


def _exchanged_words(text: str, random: np.random.Generator) -> str | None:
    found = _words_in(text)
    a, b = (found[at] for at in sorted(random.choice(len(found), 2, replace=False)))
    if a.group() == b.group():
        return None
    return text[: a.start()] + b.group() + text[a.end() : b.start()] + a.group() + text[b.end() :]


def _words_in(text: str) -> list[re.Match[str]]:
    return [one for one in re.finditer(r"\b[a-z]{5,}\b", text) if one.group() not in PLAIN]


def _any_word(random: np.random.Generator) -> str:
    words = vocabulary()
    return words[random.integers(len(words))]


@cache
def vocabulary() -> tuple[str, ...]:
    return tuple(sorted({one.group() for text in sections() for one in _words_in(text)}))


def _reworded(share: float) -> Edit:
    def edit(text: str, random: np.random.Generator) -> str:
        """Words in which nothing is at stake replaced by others of their kind, here and there."""
        words = text.split()
        plain = [at for at, word in enumerate(words) if word in REWORDED]
        for at in random.permutation(plain)[: max(1, round(share * len(words)))]:
            words[at] = REWORDED[words[at]]
        return " ".join(words)

    return edit


def _rewrapped(text: str, random: np.random.Generator) -> str:
    return "\n".join(textwrap.wrap(text, 50))


def _sentence_before(text: str, random: np.random.Generator) -> str:
    return f"This page belongs to the handbook of the ward and hangs in its kitchen. {text}"


def _sentence_in_between(text: str, random: np.random.Generator) -> str | None:
    borders = [one.end() for one in re.finditer(r"\. ", text)]
    if not borders:
        return None
    at = borders[random.integers(len(borders))]
    return f"{text[:at]}Ring the ward if you have a question about this page. {text[at:]}"


def _sentence_added(text: str, random: np.random.Generator) -> str:
    return f"{text} Ring the ward if you have a question about this page."


HARMFUL: dict[str, Edit] = {
    "a number changed": _number,
    "two numbers swapped": _swapped_numbers,
    "a negation put in": _negated,
    "a unit changed": _word(
        {"mg": "g", "micrograms": "mg", "days": "weeks", "hours": "days", "ml": "L", "daily": "weekly"}
    ),
    "an opposite put in": _word(
        {
            "above": "below",
            "below": "above",
            "before": "after",
            "after": "before",
            "stop": "start",
            "adults": "children",
        }
    ),
    "another medicine": _word(
        {"warfarin": "heparin", "apixaban": "edoxaban", "aspirin": "ibuprofen", "morphine": "codeine"}
    ),
    "another noun": _word(
        {"heart": "kidney", "blood": "urine", "nurse": "doctor", "scan": "biopsy", "kidney": "liver"}
    ),
    "any other word": _other_word,
    "a word put in": _word_put_in,
    "a word left out": _word_left_out,
    "two words exchanged": _exchanged_words,
    "another conjunction": _word({"and": "or", "or": "and", "may": "must", "must": "may", "with": "for", "if": "or"}),
}
HARMLESS: dict[str, Edit] = {
    "layout and capitals": _layout,
    "other units for the same": _unit,
    "other line breaks": _rewrapped,
    "a sentence added": _sentence_added,
    "a sentence before it": _sentence_before,
    "2 % of words": _reworded(0.02),
    "5 % of words": _reworded(0.05),
    "10 % of words": _reworded(0.10),
}


def _rate(edit: Edit) -> tuple[int, int, int]:
    """Pairs made, folded by text, folded by sketch."""
    random = np.random.default_rng(0)
    made = [(text, edit(text, random)) for text in sections()[::4]]
    folded = [both_ways(text, changed) for text, changed in made if changed is not None]
    return len(folded), sum(by_text for by_text, _ in folded), sum(by_sketch for _, by_sketch in folded)


@pytest.mark.parametrize("kind", HARMFUL)
def test_rate_of_false_folds(kind):
    """None, whatever word is another, too many, missing or in another's place."""
    made, by_text, by_sketch = _rate(HARMFUL[kind])
    log.info("false folds, %s: %d of %d by text, %d by sketch", kind, by_text, made, by_sketch)
    assert made >= 15
    assert (by_text, by_sketch) == (0, 0)


@pytest.mark.parametrize("kind", HARMLESS)
def test_rate_of_missed_folds(kind):
    """None: what is said stays the same."""
    made, by_text, by_sketch = _rate(HARMLESS[kind])
    log.info("missed folds, %s: %d of %d by text, %d by sketch", kind, made - by_text, made, made - by_sketch)
    assert made >= 15
    assert (by_text, by_sketch) == (made, made)


def test_a_sentence_in_between_keeps_both():
    """Nothing tells it from a condition put in; both are shown. By hash, one in some hundred is folded all the same."""
    made, by_text, by_sketch = _rate(_sentence_in_between)
    assert by_text == 0
    assert by_sketch <= 0.02 * made


def test_unrelated_passages_are_not_folded():
    """All pairs of a hundred of the example hospitals' passages."""
    texts = sections()[::5][:100]
    sketches = [sketch_of(text) for text in texts]
    pairs = [(at, to) for at in range(len(texts)) for to in range(at)]
    assert [(a, b) for a, b in pairs if part_of(sketches[a], sketches[b]) >= PART] == []


def test_copies_count_once_and_name_their_holders(offer):
    """Three hospitals, one of them twice, hold the leaflet: one winner, the best, and the others in order."""
    ranking = [
        offer("b", "b1", text=LEAFLET),
        offer("c", "c1", text=LEAFLET.upper()),
        offer("b", "b2", rank=2, text=LEAFLET),
        offer("c", "c2", rank=2, text="Something else entirely, about feet."),
        offer("a", "a1", text=LEAFLET),
    ]
    winners = fold(ranking, ranking, 2, None, PART)
    assert [(one.node, one.offer.handle[:2], one.also_held_by) for one in winners] == [
        ("b", "b1", ("a", "c")),
        ("c", "c2", ()),
    ]


def test_without_a_sketch_or_when_switched_off_nothing_is_folded(offer):
    """Patient offers carry no sketch; and the operator may not want folding."""
    bare, copies = [[offer(node, node, text=text) for node in "ab"] for text in (None, LEAFLET)]
    assert len(fold(bare, bare, 5, None, PART)) == 2
    assert len(fold(copies, copies, 5, None, None)) == 2


def test_sketches_of_two_keys_are_never_compared(offer):
    """The same text, under the federation's key of this epoch, of the last one, and under none: three winners."""
    offers = [offer(node, node, text=LEAFLET, key=key) for node, key in (("a", "new"), ("b", "old"), ("c", ""))]
    offers.append(offer("d", "d", text=LEAFLET, key="new"))
    winners = fold(offers, offers, 5, None, PART)
    assert [(one.node, one.also_held_by) for one in winners] == [("a", ("d",)), ("b", ()), ("c", ())]


def test_a_hospital_at_its_maximum_gets_no_more_winners_but_is_still_named(offer):
    """With one winner each, a's second passage does not win, and its copy of b's is noted."""
    ranking = [
        offer("a", "a1", text="First of all the passages of this hospital."),
        offer("a", "a2", rank=2, text="Second of the passages, about hands."),
        offer("b", "b1", text=LEAFLET),
        offer("a", "a3", rank=3, text=LEAFLET),
    ]
    winners = fold(ranking, ranking, 5, 1, PART)
    assert [(one.node, one.offer.handle[:2], one.also_held_by) for one in winners] == [
        ("a", "a1", ()),
        ("b", "b1", ("a",)),
    ]
