"""What is told of `patient` collections before anything is released.

Oracles: order statistics by hand; and that any one patient's records, there or not, move the told probability no
further than to what the next patient supports.
"""

import numpy as np
import pytest

from retriever_node.documents import Passage
from retriever_node.patient_offers import PLACES, of_one_patient, places, told_probability
from retriever_node.search import Found
from retriever_node.store.people import Provenance


def found(passage_id: int, probability: float) -> Found:
    passage = Passage(passage_id, "records", str(passage_id), "", "", "", "", None, 0, 1, "x")
    return Found("records", passage, probability, "same", probability)


def of(*patients: str) -> Provenance:
    return Provenance(patients, "")


@pytest.mark.parametrize(
    ("probabilities", "floor", "told"),
    [
        ((0.99, 0.98, 0.6), 3, 0.625),
        ((0.99, 0.98, 0.6), 2, 0.875),
        ((0.99, 0.98, 0.1), 3, 0.125),
        ((0.99, 0.98), 3, 0.125),
        ((), 3, 0.125),
        ((1.0, 1.0, 1.0), 3, 0.875),
    ],
)
def test_the_floor_th_patient_decides(probabilities, floor: int, told: float) -> None:
    """In the middle of its quarter; the lowest where there are fewer patients."""
    some = [found(number, probability) for number, probability in enumerate(probabilities, start=1)]
    people = {one.passage.passage_id: of(f"p{one.passage.passage_id}") for one in some}
    assert told_probability(some, people, floor) == told


def test_a_patient_counts_once_and_passages_of_nobody_known_as_one() -> None:
    """Ten letters about one person are one person's; ten of unknown people may be."""
    some = [found(number, 0.9) for number in range(1, 11)]
    assert told_probability(some, {number: of("p") for number in range(1, 11)}, 2) == 0.125
    assert told_probability(some, {}, 2) == 0.125
    assert told_probability(some, {number: of() for number in range(1, 10)} | {10: of("p")}, 2) == 0.875
    assert told_probability(some, {1: of("p", "q")}, 2) == 0.875


def test_one_patient_more_or_less_moves_the_probability_to_the_next_patients_at_most() -> None:
    """Over random collections: with a patient's passages it is what it was, or what one patient fewer would have to
    support; without a floor it would have followed the patient wherever."""
    dice = np.random.default_rng(7)
    for _ in range(300):
        floor = int(dice.integers(2, 7))
        others = [found(number, float(dice.random())) for number in range(1, 30)]
        people = {one.passage.passage_id: of(f"p{dice.integers(0, 13)}") for one in others}
        extra = [found(100 + number, 1.0) for number in range(dice.integers(1, 4))]
        people_with = people | {one.passage.passage_id: of("target") for one in extra}
        without = told_probability(others, people, floor)
        assert told_probability([*others, *extra], people_with, floor) in (
            without,
            told_probability(others, people, floor - 1),
        )


def test_behind_the_handles_are_passages_of_one_patient() -> None:
    """Of the one whose passage is best; of the same document where nobody is known."""
    some = [found(number, 1 - number / 100) for number in range(1, 7)]
    people = {1: of("p"), 2: of("q"), 3: of("p"), 4: of("p", "q"), 5: of()}
    assert [one.passage.passage_id for one in of_one_patient(some, people)] == [1, 3]
    assert [one.passage.passage_id for one in of_one_patient(some[1:], people)] == [2]
    assert [one.passage.passage_id for one in of_one_patient(some[4:], people)] == [5]
    assert of_one_patient([], {}) == []


def test_places_depend_on_what_was_asked_for_and_on_nothing_else() -> None:
    """Half of few offers are left to other collections."""
    assert [places(offers, beside_others=False) for offers in (1, 3, 50)] == [1, min(3, PLACES), PLACES]
    assert [places(offers, beside_others=True) for offers in (1, 2, 50)] == [0, 1, PLACES]
