"""The Rényi ledger: what noisy counts have told about each patient, and when it is enough.

    loss        one count with Gaussian noise: ρ = Δ² / 2σ²; its Rényi divergence of order α is αρ, at every α > 1
    sum         losses of one patient add up: Σρ, whatever was asked next because of what was answered before
    bound       (ε, δ): ε = min over α of αΣρ + log(1 − 1/α) − log(αδ) / (α − 1)

Neighbours are two hospitals' worth of records that differ in one patient, all of whose records are there or not. The
discrete Gaussian has the same ρ as the continuous one (Canonne, Kamath and Steinke 2020, theorem 4; the bound is their
proposition 12, over the orders below).

A patient's loss is that of the counts they were in: what they were not in does not depend on them. One whose budget
does not allow for another count is left out of it, before the noise (an individual privacy filter: Feldman and Zrnic
2021). Whether somebody is left out depends on their own record and on the questions, on nobody else's, and shows
nowhere but in the counts. docs/population-counts.md has the proof.
"""

import hashlib
import hmac
import math
import sqlite3
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Final

ORDERS: Final = (*(1 + tenth / 10 for tenth in range(1, 100)), *map(float, range(11, 64)), 128.0, 256.0, 512.0, 1024.0)
"""α of the divergences that a bound is the best of."""

_HALVINGS: Final = 100
_PATIENT_BYTES: Final = 16
_AT_ONCE: Final = 500


@dataclass(frozen=True, slots=True)
class Budget:
    """What counts may tell about one patient of this hospital: `total` for as long as the ledger is kept, `question`
    each; both ρ. `delta` is that of the (ε, δ) they were made from."""

    question: float
    total: float
    delta: float

    @classmethod
    def of(cls, question_epsilon: float, total_epsilon: float, delta: float) -> "Budget":
        """The largest ρ that keep to these ε."""
        return cls(rho_of(question_epsilon, delta), rho_of(total_epsilon, delta), delta)

    def sigma(self, sensitivity: float) -> float:
        """Standard deviation of the noise on what one patient changes by at most `sensitivity`; a hair more, so that
        no rounding makes the loss higher than `question`."""
        return sensitivity / math.sqrt(2 * self.question) * (1 + 1e-9)


def gaussian_loss(sensitivity: float, sigma: float) -> float:
    """ρ of a number that one patient changes by at most `sensitivity`, with noise of standard deviation `sigma`."""
    return sensitivity**2 / (2 * sigma**2)


def epsilon_of(rho: float, delta: float) -> float:
    """The smallest ε that the orders show for a loss of ρ at this δ."""
    if rho == 0 or delta**2 + math.expm1(-rho) > 0:  # so little that δ covers all of it
        return 0.0
    shown = (a * rho + math.log1p(-1 / a) - math.log(delta * a) / (a - 1) for a in ORDERS)
    return max(0.0, min(shown))


def rho_of(epsilon: float, delta: float) -> float:
    """The largest loss whose bound at this δ is at most ε."""
    low, high = 0.0, epsilon  # at order α > 1 alone αρ > ε
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if epsilon_of(middle, delta) <= epsilon else (low, middle)
    return low


def patient_id(key: bytes, patient: str) -> bytes:
    """A patient in the ledger: HMAC-SHA256 under a secret of this node, so that the ledger alone names nobody, and
    outlives their record."""
    return hmac.digest(key, b"fedrag count ledger\0" + patient.encode(), hashlib.sha256)[:_PATIENT_BYTES]


def within_budget(
    connection: sqlite3.Connection, patients: Collection[bytes], rho: float, total: float
) -> frozenset[bytes]:
    """Those of the patients whom another loss of `rho` leaves within `total`."""
    spent = dict(_spent(connection, sorted(patients)))
    return frozenset(one for one in patients if spent.get(one, 0.0) + rho <= total)


def charge(connection: sqlite3.Connection, patients: Collection[bytes], rho: float) -> None:
    """Adds a loss to each. Belongs into the transaction that keeps what was counted."""
    connection.executemany(
        "INSERT INTO losses VALUES (?, ?, 1)"
        " ON CONFLICT (patient) DO UPDATE SET rho = rho + excluded.rho, counts = counts + 1",
        ((one, rho) for one in sorted(patients)),
    )


@dataclass(frozen=True, slots=True)
class Spent:
    """What counts have told, over all patients; nobody is named. `by_epsilon`: patients by ε spent, rounded up;
    `left_out`: whose budget allows for no further question."""

    questions: int
    patients: int
    left_out: int
    median_epsilon: float
    highest_epsilon: float
    by_epsilon: dict[int, int]


def spent(connection: sqlite3.Connection, budget: Budget) -> Spent:
    """For the hospital's own eyes: it is not noisy."""
    (questions,) = connection.execute("SELECT count(*) FROM counted").fetchone()
    losses = sorted(row[0] for row in connection.execute("SELECT rho FROM losses"))
    bounds = {rho: epsilon_of(rho, budget.delta) for rho in set(losses)}
    return Spent(
        questions=int(questions),
        patients=len(losses),
        left_out=sum(rho + budget.question > budget.total for rho in losses),
        median_epsilon=bounds[losses[len(losses) // 2]] if losses else 0.0,
        highest_epsilon=bounds[losses[-1]] if losses else 0.0,
        by_epsilon=dict(sorted(Counter(math.ceil(bounds[rho]) for rho in losses).items())),
    )


def told(connection: sqlite3.Connection) -> float:
    """ρ of all counts ever answered: nobody's loss is higher."""
    (total,) = connection.execute("SELECT coalesce(sum(rho), 0.0) FROM counted").fetchone()
    return float(total)


def _spent(connection: sqlite3.Connection, patients: list[bytes]) -> Iterable[tuple[bytes, float]]:
    for first in range(0, len(patients), _AT_ONCE):
        some = patients[first : first + _AT_ONCE]
        marks = ",".join("?" * len(some))
        yield from connection.execute(f"SELECT patient, rho FROM losses WHERE patient IN ({marks})", some)  # noqa: S608 - question marks
