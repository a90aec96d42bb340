"""The Rényi ledger: its figures are an accountant library's, nobody spends more than their budget, and a killed process
has charged either a whole count or nothing."""

import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from retriever_node import renyi
from retriever_node.renyi import Budget, charge, epsilon_of, gaussian_loss, patient_id, rho_of, spent, within_budget
from retriever_node.state import NodeState

MECHANISMS = [(5.66, 1.25, 43), (13.3, 1.25, 1), (2.0, 1.25, 1)]
RECORDED = {
    (4.0, 1.0, 100): (15.327984, 14.450777),
    (5.66, 1.25, 43): (7.983798, 7.491328),
    (13.3, 1.25, 1): (0.402524, 0.371391),
}
"""(σ, Δ, counts) → ε at δ = 1e-6 that dp-accounting 0.6.0 prints: by Rényi divergences, and the tight one."""


@pytest.mark.parametrize(("mechanism", "recorded"), RECORDED.items(), ids=str)
def test_a_composition_is_what_an_accountant_printed(mechanism, recorded) -> None:
    """Equal to its Rényi figure; not below the tight one."""
    sigma, sensitivity, counts = mechanism
    ours = epsilon_of(counts * gaussian_loss(sensitivity, sigma), 1e-6)
    assert ours == pytest.approx(recorded[0], abs=1e-6)
    assert ours >= recorded[1]


@pytest.mark.parametrize("mechanism", MECHANISMS, ids=str)
def test_a_composition_is_what_an_accountant_prints(mechanism) -> None:
    """The same, asked of the library itself where it is installed."""
    accounting = pytest.importorskip("dp_accounting")
    rdp = pytest.importorskip("dp_accounting.rdp")
    pld = pytest.importorskip("dp_accounting.pld")
    sigma, sensitivity, counts = mechanism
    event = accounting.SelfComposedDpEvent(accounting.GaussianDpEvent(sigma / sensitivity), counts)
    by_orders, tight = rdp.RdpAccountant(renyi.ORDERS).compose(event), pld.PLDAccountant().compose(event)
    for delta in (1e-9, 1e-6, 1e-3):
        ours = epsilon_of(counts * gaussian_loss(sensitivity, sigma), delta)
        assert ours == pytest.approx(by_orders.get_epsilon(delta), abs=1e-6)
        assert ours >= tight.get_epsilon(delta) - 1e-9


def test_the_bound_holds_for_the_noise_itself() -> None:
    """By the definition: P[S] ≤ e^ε P'[S] + δ for the worst set of outcomes, summed over the discrete Gaussian's own
    probabilities, without any accountant."""
    sigma, shift, delta = 22.6, 5, 1e-6
    at = np.arange(-2000, 2001)
    weight = np.exp(-((at) ** 2) / (2 * sigma**2))
    p = weight / weight.sum()
    q = np.roll(p, shift)
    epsilon = epsilon_of(gaussian_loss(shift, sigma), delta)
    assert np.maximum(p - np.exp(epsilon) * q, 0).sum() <= delta
    assert np.maximum(p - np.exp(0.6 * epsilon) * q, 0).sum() > delta, "not a bound that anything would meet"


def test_the_library_states_no_less_than_we_charge() -> None:
    """ρ by OpenDP's own map is the formula's, never below it; its noise has the spread that was asked for."""
    pytest.importorskip("opendp")
    from retriever_node.noise import discrete_gaussian

    noise, rho = discrete_gaussian(22.6, 5)
    assert rho == pytest.approx(gaussian_loss(5, 22.6), rel=1e-9)
    assert rho >= gaussian_loss(5, 22.6) * (1 - 1e-12)
    drawn = np.array([noise(1000) for _ in range(4000)]) - 1000
    assert abs(drawn.mean()) < 4 * 22.6 / 4000**0.5
    assert drawn.std() == pytest.approx(22.6, rel=0.06)


@pytest.mark.parametrize("epsilon", [0.1, 1.0, 8.0])
def test_a_budget_is_the_largest_that_keeps_to_its_epsilon(epsilon) -> None:
    """A thousandth more would be too much."""
    rho = rho_of(epsilon, 1e-6)
    assert epsilon_of(rho, 1e-6) <= epsilon < epsilon_of(1.001 * rho, 1e-6)
    budget = Budget.of(epsilon, 10.0, 1e-6)
    assert gaussian_loss(1.25, budget.sigma(1.25)) == pytest.approx(rho, rel=1e-6)
    assert gaussian_loss(1.25, budget.sigma(1.25)) < rho


@pytest.fixture
def state(tmp_path: Path):
    opened = NodeState(tmp_path / "state.sqlite")
    yield opened
    opened.close()


def ask(state: NodeState, patients: frozenset[bytes], budget: Budget) -> frozenset[bytes]:
    """One count over them; whom it was over in the end."""
    with state.transaction() as connection:
        there = within_budget(connection, patients, budget.question, budget.total)
        charge(connection, there, budget.question)
    return there


def test_each_patient_spends_for_the_counts_they_are_in_and_is_then_left_out(state) -> None:
    """Two who were asked about together leave one after the other; who was in nothing stays untouched; no order of
    questions takes anyone beyond their budget."""
    budget = Budget.of(1.0, 4.0, 1e-6)
    often, seldom, never = (patient_id(b"k" * 32, name) for name in ("often", "seldom", "never"))
    room = int(budget.total / budget.question)
    generator = np.random.default_rng(5)
    times = {often: 0, seldom: 0}
    for _ in range(3 * room):
        asked = {often} | ({seldom} if generator.random() < 0.5 else set())
        for one in ask(state, frozenset(asked), budget):
            times[one] += 1
    assert times == {often: room, seldom: room}
    assert ask(state, frozenset({often, seldom, never}), budget) == {never}
    with state.transaction() as connection:
        losses = dict(connection.execute("SELECT patient, rho FROM losses"))
        found = spent(connection, budget)
    assert all(epsilon_of(rho, budget.delta) <= 4.0 for rho in losses.values())
    assert (found.patients, found.left_out, found.highest_epsilon <= 4.0) == (3, 2, True)
    assert found.by_epsilon == {1: 1, 4: 2}


def test_whether_someone_is_left_out_depends_on_nobody_else(state, tmp_path) -> None:
    """What the proof of the filter rests on: with and without one patient, the same others are in every count."""
    budget = Budget.of(1.0, 3.0, 1e-6)
    everyone = [patient_id(b"k" * 32, str(number)) for number in range(40)]
    target = everyone[0]
    other = NodeState(tmp_path / "without.sqlite")
    generator = np.random.default_rng(1)
    for _ in range(60):
        asked = frozenset(one for one in everyone if generator.random() < 0.4)
        assert ask(state, asked, budget) - {target} == ask(other, asked - {target}, budget)
    other.close()


def test_the_ledger_names_nobody() -> None:
    """Equal for the same patient under the same secret alone."""
    assert patient_id(b"a" * 32, "MR-1") == patient_id(b"a" * 32, "MR-1") != patient_id(b"b" * 32, "MR-1")
    assert b"MR-1" not in patient_id(b"a" * 32, "MR-1")


KILLED = """
import sys
from pathlib import Path
from retriever_node.renyi import charge
from retriever_node.state import NodeState
state = NodeState(Path(sys.argv[1]))
patients = [bytes([one]) * 16 for one in range(200)]
print("ready", flush=True)
number = 0
while True:
    with state.transaction() as connection:
        charge(connection, patients, 0.5)
        connection.execute("INSERT INTO counted (fingerprint, asker, day, rho, noisy) VALUES (?, 'a', 1, 0.5, '[]')",
                           (str(number),))
    number += 1
"""


@pytest.mark.parametrize("after_s", [0.05, 0.13, 0.3])
def test_a_killed_process_has_charged_whole_counts(tmp_path, after_s) -> None:
    """SIGKILL at any moment: every patient was charged exactly for the counts that are kept."""
    path = tmp_path / "state.sqlite"
    process = subprocess.Popen([sys.executable, "-c", KILLED, str(path)], stdout=subprocess.PIPE)
    process.stdout.readline()
    time.sleep(after_s)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()
    connection = sqlite3.connect(path)
    (kept,) = connection.execute("SELECT count(*) FROM counted").fetchone()
    charged = {row[0] for row in connection.execute("SELECT rho FROM losses")}
    times = {row[0] for row in connection.execute("SELECT counts FROM losses")}
    connection.close()
    assert charged == ({kept * 0.5} if kept else set())
    assert times == ({kept} if kept else set())
