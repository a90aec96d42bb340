"""Thirteen ways to fail, at one to seven of eight hospitals: the answer comes in time, says exactly what happened, and
the others' evidence is what they would give alone. The whole matrix is benchmarks/fault_matrix.py."""

import asyncio

import pytest
from faulty_hospitals import FAULTS, faulty_federation

DEADLINE_MS = 4_000


@pytest.fixture(scope="module")
def federation(tmp_path_factory):
    with faulty_federation(tmp_path_factory.mktemp("faulty"), DEADLINE_MS) as made:
        yield made


@pytest.mark.parametrize("stage", ["offers", "releases"])
@pytest.mark.parametrize("fault", [fault for fault in FAULTS if fault != "refused"])
def test_three_of_eight_fail(federation, fault: str, stage: str) -> None:
    """From their offers on, or after they made good offers."""
    assert asyncio.run(federation.run(fault, 3, stage)).misses == []


@pytest.mark.parametrize(("fault", "faulty"), [("refused", 1), ("refused", 7), ("reset mid-body", 7), ("1 byte/s", 7)])
def test_up_to_seven_of_eight_fail(federation, fault: str, faulty: int) -> None:
    """One hospital that is well is enough for an answer."""
    assert asyncio.run(federation.run(fault, faulty)).misses == []


def test_nothing_fails(federation) -> None:
    """The control: all eight are well."""
    assert asyncio.run(federation.run("HTTP 500", 0)).misses == []
