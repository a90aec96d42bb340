"""Near-duplicate sketches. Oracles: exact Jaccard resemblance, a hand-written table of facts, a second process."""

import subprocess
import sys
from fractions import Fraction

import numpy as np
import pytest

from fedrag.core.exchange import Sketch
from fedrag.core.quantities import facts_of, quantities
from fedrag.core.sketch import resemblance, shingles_of, sketch_of

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
    words = ["w" + "".join(random.choice(list("bcdfgklmprst"), 8)) for _ in range(shared + 2 * own)]
    return " ".join(words[: shared + own]), " ".join(words[:shared] + words[shared + own :])


def test_the_estimate_is_unbiased_with_the_stated_error():
    """400 pairs over the whole range against exact Jaccard: mean error within 0.004, spread as the formula says."""
    errors, stated = [], []
    for seed in range(400):
        one, other = _mixture(20 + seed % 80, 1 + seed % 37, seed)
        left, right = shingles_of(one), shingles_of(other)
        exact = len(left & right) / len(left | right)
        errors.append(resemblance(sketch_of(one), sketch_of(other)) - exact)
        chance = 1 / 16
        p = chance + (1 - chance) * exact
        stated.append((p * (1 - p) / 256) ** 0.5 / (1 - chance))
    assert abs(np.mean(errors)) < 0.004
    assert np.std(errors) == pytest.approx(np.mean(stated), rel=0.15)


def test_resemblance_at_the_ends():
    """1 for the same text in other capitals and punctuation, about 0 for different ones, 0 for what is no sketch."""
    assert resemblance(sketch_of(TEXT), sketch_of(TEXT.upper().replace(";", " - "))) == 1
    assert resemblance(sketch_of(TEXT), sketch_of(_mixture(30, 1, 0)[0])) < 0.1
    assert resemblance(sketch_of(TEXT), Sketch(shingles="AAAA", facts="0" * 64)) == 0


@pytest.mark.parametrize("text", ["", "   ", "one", "a b", "?!", "word " * 5000, "9" * 20_000, "\u0661\u00bd\u2153"])
def test_any_text_has_a_sketch(text):
    """Empty, shorter than a shingle, punctuation, very long, one enormous number, exotic digits."""
    assert resemblance(sketch_of(text), sketch_of(text)) == 1


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
