"""Near-duplicate sketches. Oracles: exact shingles, hand-written tables of facts and words, a second process."""

import subprocess
import sys
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from fedrag.core.exchange import Sketch
from fedrag.core.quantities import facts_of, quantities
from fedrag.core.sketch import counts_of, part_of, resemblance, shingles_of, sketch_of, words_of
from fedrag.core.wire import encode_base64

TEXT = "Give paracetamol 15 mg/kg every 6 hours to a child with fever; do not exceed 4 doses in 24 hours."


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("0.5 mg", "500 micrograms"),
        ("1,000 mg", "1 g"),
        ("two weeks", "14 days"),
        ("10 mL/kg", "0.01 L per kg"),
        ("5-10 mg", "5 to 10 mg"),
        ("between 5 and 10 mg", "5–10 mg"),
        ("a 10-mg tablet", "a 10 mg tablet"),
        ("500 µg", "500 μg"),
        ("three days", "72 hours"),
        ("don't give it", "not give it"),
        ("it is stopped", "stopping it"),
        ("Give it DAILY", "give it daily"),
        ("٥ mg", "5 mg"),
        ("1 year", "12 months"),
        ("5\n   mg", "5 mg"),
    ],
)
def test_the_same_fact_in_other_words_is_the_same(one, other):
    """Units, number words, ranges, contractions and forms of a word."""
    assert facts_of(one) == facts_of(other) != ()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("5 mg", "50 mg"),
        ("5 mg", "5 micrograms"),
        ("5 mg", "5 mL"),
        ("5 mg/kg", "5 mg"),
        ("5 mg/kg/day", "5 mg/kg/hour"),
        ("0.5 mg", "0.05 mg"),
        ("-5 °C", "5 °C"),
        ("> 5", "< 5"),
        ("two tablets", "three tablets"),
        ("once daily", "twice daily"),
        ("once daily", "once weekly"),
        ("5 mg for adults, 10 mg for children", "10 mg for adults, 5 mg for children"),
        ("reduce from 10 to 5 mg", "reduce from 5 to 10 mg"),
        ("do give it", "do not give it"),
        ("give with food", "give without food"),
        ("it can be given", "it cannot be given"),
        ("stop it", "start it"),
        ("increase the dose", "decrease the dose"),
        ("before surgery", "after surgery"),
        ("hyperkalaemia", "hypokalaemia"),
        ("left arm", "right arm"),
        ("given orally", "given intravenously"),
        ("adults", "children"),
        ("metoprolol", "bisoprolol"),
        ("indicated", "contraindicated"),
        ("type II", "type III"),
        ("20 mIU/mL", "20 mIU/L"),
        ("2 puffs", "2 drops"),
        ("12345678901234567890 mg", "12345678901234567891 mg"),
    ],
)
def test_another_fact_is_another(one, other):
    """Whatever would change what a nurse does."""
    assert facts_of(one) != facts_of(other)


def test_numbers_and_units_by_hand():
    """First and last of each range in grams, litres or hours, as fractions."""
    found = [
        (one.first, one.last, one.dimension)
        for one in quantities("give 0.5–1 mg/kg, or 250 ml over 2 to 3 hours, twice")
    ]
    milligram = Fraction(1, 1000)
    assert found == [
        (milligram / 2000, milligram / 1000, "g/g"),
        (Fraction(1, 4), Fraction(1, 4), "l"),
        (2, 3, "h"),
        (2, 2, ""),
    ]


def _mixture(shared: int, own: int, seed: int) -> tuple[str, str]:
    random = np.random.default_rng(seed)
    letters = random.choice(list("bcdfgklmprst"), (shared + 2 * own, 8))
    words = ["w" + "".join(row) for row in letters]
    return " ".join(words[: shared + own]), " ".join(words[:shared] + words[shared + own :])


def resemblance_of(one, other):
    return resemblance(counts_of(sketch_of(one)), counts_of(sketch_of(other)))


def test_the_estimated_resemblance_has_the_stated_error():
    """200 pairs over the whole range against exact Jaccard: little bias, and the spread of unrelated passages."""
    errors, unrelated = [], []
    for seed in range(200):
        one, other = _mixture(20 + seed % 80, 1 + seed % 37, seed)
        left, right = shingles_of(one), shingles_of(other)
        errors.append(resemblance_of(one, other) - (left & right).total() / (left | right).total())
        left, right = (counts_of(sketch_of(text)) for text in _mixture(0, 82, seed))
        unrelated.append((256 * float(left @ right) - 80 * 80) / 255)
    assert abs(np.mean(errors)) < 0.02
    assert abs(np.mean(unrelated)) < 1
    assert np.std(unrelated) == pytest.approx(80 / 16, rel=0.15)


def test_resemblance_at_the_ends():
    """About 1 for the same text in other capitals and punctuation, about 0 for different ones."""
    assert resemblance_of(TEXT, TEXT.upper().replace(";", " - ")) > 0.9
    assert resemblance_of(TEXT, _mixture(30, 1, 0)[0]) < 0.1
    assert counts_of(Sketch(shingles="AAAA", facts="0" * 64)) is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Give the patient 500 mg of it, twice a day.", "give patient 0 0"),
        ("Give a patient 0.5 g, twice per day", "give patient 0 0"),
        ("The stroke unit has 4 units", "stroke unit 0"),
        ("Between 5 and 10 mL/kg/hour, or not", "between 0 or not"),
        ("  \n? ", ""),
    ],
)
def test_words_that_say_something_by_hand(text, words):
    """Articles, pronouns and auxiliaries are left out, units behind numbers go with them, and a number is a number."""
    assert " ".join(words_of(text)) == words


def test_shingles_are_threes_of_words_and_counted():
    """Two words are one shingle."""
    assert shingles_of("dry wound care, dry wound care") == {
        "dry wound care": 2,
        "wound care dry": 1,
        "care dry wound": 1,
    }
    assert shingles_of("Dry the wound") == {"dry wound": 1}


@given(words=st.lists(st.sampled_from("abcdefgh"), min_size=3, max_size=40), data=st.data())
def test_a_stretch_of_a_passage_is_a_part_of_it(words, data):
    """Its share in shingles, exactly, whichever of the two is longer; but not where only a few words are missing."""
    start = data.draw(st.integers(0, len(words) - 3))
    end = data.draw(st.integers(start + 3, len(words)))
    longer = sketch_of(" ".join(f"{word}word" for word in words))
    shorter = sketch_of(" ".join(f"{word}word" for word in words[start:end])).model_copy(update={"facts": longer.facts})
    whole, part = len(words) - 2, end - start - 2
    assume(counts_of(longer).max() < 15)
    expected = 0.0 if 0 < whole - part < 4 else part / whole
    assert part_of(longer, shorter) == part_of(shorter, longer) == expected


def test_a_sketch_of_another_size_is_part_of_nothing():
    """But of itself: equal is equal."""
    short = Sketch(shingles="AAAA", facts=sketch_of(TEXT).facts)
    assert part_of(short, sketch_of(TEXT)) == part_of(sketch_of(TEXT), short) == 0
    empty = Sketch(shingles=encode_base64(bytes(128)), facts=sketch_of(TEXT).facts)
    assert part_of(empty, sketch_of(TEXT)) == 0


def test_a_key_changes_everything_and_is_needed_to_recognise_a_text():
    """Facts and counts of two keys have no more in common than two texts; equal facts do not help where ids differ."""
    plain, new, old = sketch_of(TEXT), sketch_of(TEXT, b"new", "2"), sketch_of(TEXT, b"old", "1")
    assert len({plain.facts, new.facts, old.facts}) == 3
    assert resemblance(counts_of(new), counts_of(old)) < 0.2
    assert resemblance(counts_of(new), counts_of(plain)) < 0.2
    assert part_of(new, sketch_of(TEXT.upper(), b"new", "2")) == 1
    assert part_of(new, new.model_copy(update={"key_id": "1"})) == 0


@pytest.mark.parametrize("text", ["", "   ", "one", "a b", "?!", "word " * 5000, "9" * 20_000, "\u0661\u00bd\u2153"])
def test_any_text_has_a_sketch(text):
    """Empty, shorter than a shingle, punctuation, very long, one enormous number, exotic digits."""
    assert part_of(sketch_of(text), sketch_of(text)) == 1
    assert counts_of(sketch_of(text)).sum() >= 1


def test_a_sketch_is_the_same_in_another_process():
    """String hashing of Python differs from process to process; sketches must not."""
    program = f"from fedrag.core.sketch import sketch_of; print(sketch_of({TEXT!r}).model_dump_json())"
    printed = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for seed in ("1", "2")
    }
    assert printed == {sketch_of(TEXT).model_dump_json()}
