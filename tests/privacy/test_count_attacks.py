"""Attacks on counts: differencing, averaging, collusion. Each one finds its target in exact counts, and is told as much
by ours as the stated epsilon allows: the advantage (right guesses beyond chance, from 0 to 1) of the best attacker on
Gaussian noise is 2Φ(μ / 2) − 1 with μ² = 2ρ, whatever they know of everyone else."""

import math
from collections.abc import Callable
from statistics import NormalDist

import numpy as np
import pytest
from population_records import APIXABAN, ASTHMA, FIBRILLATION, MAY_COUNT, bundle, people

from fedrag.core.populations import UNITS, AgeBand, Concept, ConceptKind, CountRound, PopulationQuestion, Sex
from fedrag.core.wire import ReleaseClass, new_request_id
from retriever_node.noise import discrete_gaussian
from retriever_node.populations import SENSITIVITY, floored
from retriever_node.renyi import Budget, epsilon_of, gaussian_loss

pytest.importorskip("opendp")
BUDGET = Budget.of(1.0, 8.0, 1e-6)
SIGMA = BUDGET.sigma(SENSITIVITY / UNITS)
TRIALS = 1500
AF = Concept(kind=ConceptKind.CONDITION, code=FIBRILLATION[0])


def advantage(rho: float) -> float:
    """Of the best attacker."""
    return 2 * NormalDist().cdf(math.sqrt(2 * rho) / 2) - 1


def guessed(there: list[float], not_there: list[float], middle: float) -> float:
    """Advantage of who says "there" above the middle of the two true values: on Gaussian noise nobody does better."""
    return float(np.mean(np.array(there) > middle) - np.mean(np.array(not_there) > middle))


def slack(trials: int) -> float:
    """Four standard deviations of an advantage estimated from so many trials."""
    return 4 * math.sqrt(0.5 / trials)


def noisy(patients: int, floor: int = 5) -> float:
    """What one hospital adds, drawn afresh."""
    noise, _ = discrete_gaussian(SIGMA * UNITS, SENSITIVITY)
    return noise(floored(patients, floor)) / UNITS


def test_differencing_finds_one_patient_in_exact_counts_and_not_in_ours() -> None:
    """ "Fibrillation" minus "fibrillation and female", where the target may be the only man: exactly 1 or 0. Of ours,
    all other hospitals' noise taken out (they collude), what two counts of ρ tell remains."""
    women = 80
    exact = [float(women + target - women) for target in (1, 0)]
    assert exact == [1.0, 0.0], "exact counts give the target away"
    differences = [[noisy(women + target) - noisy(women) for _ in range(TRIALS)] for target in (1, 0)]
    found = guessed(*differences, middle=0.5)
    bound = advantage(BUDGET.question)  # the target is in one of the two counts: one loss
    assert found <= bound + slack(TRIALS)
    assert bound < 0.09, "at epsilon 1 the best attacker is right in 54 of 100"


@pytest.mark.parametrize("base", [3, 4, 11, 15, 20, 21, 200])
def test_no_number_of_others_makes_a_count_tell_more(base) -> None:
    """Also where the floor ends, and where the count catches up: there, one patient changes most."""
    middle = (floored(base + 1, 5) + floored(base, 5)) / 2 / UNITS
    found = guessed([noisy(base + 1) for _ in range(TRIALS)], [noisy(base) for _ in range(TRIALS)], middle)
    assert found <= advantage(BUDGET.question) + slack(TRIALS)


def test_a_floor_that_lets_all_through_at_once_would_tell() -> None:
    """Why the count rises slowly: with the usual rule, nothing below 11 and everything from it on, the eleventh patient
    shows in spite of the same noise."""
    noise, _ = discrete_gaussian(SIGMA * UNITS, SENSITIVITY)
    usual = [[noise(UNITS * (n if n >= 11 else 0)) / UNITS for _ in range(TRIALS)] for n in (11, 10)]
    assert guessed(*usual, middle=5.5) > 3 * advantage(BUDGET.question) + slack(TRIALS)


def test_many_questions_about_one_patient_tell_what_their_budget_allows() -> None:
    """Room for 43 counts: the best attacker sums up all they are in. Their advantage is that of the whole budget, and
    no 44th count is drawn with them."""
    room = int(BUDGET.total / BUDGET.question)
    noise, rho = discrete_gaussian(SIGMA * UNITS, SENSITIVITY)
    sums = [
        [sum(noise(floored(18 + target, 11)) for _ in range(room)) / UNITS for _ in range(120)] for target in (1, 0)
    ]
    found = guessed(*sums, middle=room * (floored(19, 11) + floored(18, 11)) / 2 / UNITS)
    assert found <= advantage(room * rho) + slack(120)
    assert epsilon_of(room * rho, BUDGET.delta) <= 8.0
    assert found > advantage(room * rho) - slack(120), "an attack that could not succeed would show nothing"
    assert advantage(room * rho) > 0.5


@pytest.fixture
def node(workshop) -> Callable[..., object]:
    """One hospital, where the target is a patient or is not."""

    def make(name: str, *, target: bool):
        files = {
            "others.json": bundle(*people(f"{name}o", 24, conditions=(FIBRILLATION, ASTHMA), medicines=(APIXABAN,)))
        }
        if target:
            files["target.json"] = bundle(*people(f"{name}t", 1, conditions=(FIBRILLATION,), sex="male", born=1983))
        made = workshop.hospital(name, files, release_class=ReleaseClass.PATIENT, policy=MAY_COUNT.format(floor=5)).node
        made.populations.sleep = lambda _: None
        return made

    return make


def contribution(node, question: PopulationQuestion) -> list[float]:
    """What a hospital would mask: what others see who pool everything that they know."""
    _, values = node.populations._counted("c", CountRound(round=new_request_id(), question=question))
    return [one / UNITS for one in values.view(np.int64)]


BATTERY = (
    PopulationQuestion(having=(AF,)),
    PopulationQuestion(having=(AF, Concept(label="asthma"))),
    PopulationQuestion(having=(AF,), sex=Sex.MALE),
    PopulationQuestion(having=(AF,), sex=Sex.FEMALE),
    PopulationQuestion(having=(AF,), age=AgeBand(at_least=40, at_most=49)),
    PopulationQuestion(having=(AF,), also=(Concept(label="apixaban"),)),
)


def test_a_battery_of_narrow_questions_is_answered_by_the_mechanism_alone(node) -> None:
    """The questions that would isolate the target, put to a hospital that has them and to one that has not: exactly,
    several differ by that one patient; what leaves differs from what is true by noise of the stated size, and narrow
    cells, of one man or one birth year, are behind the floor: what leaves of them does not depend on the target."""
    there, not_there = node("there", target=True), node("nothere", target=False)
    exact: dict[bool, list[list[float]]] = {}
    for target, one in ((True, there), (False, not_there)):
        kept = one.populations.draw
        one.populations.draw = lambda sigma, sensitivity: ((lambda number: number), gaussian_loss(sensitivity, sigma))
        exact[target] = [contribution(one, question) for question in BATTERY]
        with one.state.transaction() as connection:
            connection.execute("DELETE FROM counted")
        one.populations.draw = kept
    assert exact[True][0] == [25.0]
    assert exact[False][0] == [24.0]
    assert exact[True][0][0] - exact[True][1][0] == 1, "without noise the target is found by subtraction"
    assert exact[True][2] == exact[False][2] == [0.0], "the only man is behind the floor"
    assert exact[True][4] == exact[False][4] == [0.0]
    drawn = [contribution(there, question) for question in BATTERY]
    away = np.array([seen - true for row, true_row in zip(drawn, exact[True], strict=True)
                     for seen, true in zip(row, true_row, strict=True)])  # fmt: skip
    assert np.abs(away).max() < 5 * there.populations.budget.sigma(SENSITIVITY / UNITS)
    assert np.abs(away).max() > 0, "no noise"
    assert [contribution(there, question) for question in BATTERY] == drawn, "asked again: the same noise"


def test_averaging_over_askers_and_time_takes_nothing_away(node) -> None:
    """A thousand answers of one question are one answer: their mean is as far from the truth as each of them."""
    one = node("ash", target=False)
    answers = {contribution(one, BATTERY[0])[0] for _ in range(200)}
    assert len(answers) == 1
    with one.state.transaction() as connection:
        assert connection.execute("SELECT max(counts) FROM losses").fetchone() == (1,)
