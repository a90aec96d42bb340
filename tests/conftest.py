"""Shared by all tests: nothing here but what keeps them honest."""

import random
import resource
from collections.abc import Iterator

import numpy as np
import pytest

pytest_plugins = ["federation_fixtures"]
DESCRIPTORS = 8192
"""Many hospitals live and die in one process of the suite; the usual 1,024 open files are too few for that."""


def pytest_configure() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = DESCRIPTORS if hard == resource.RLIM_INFINITY else min(DESCRIPTORS, hard)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


@pytest.fixture(autouse=True)
def _global_random_generators_stay_untouched() -> Iterator[None]:
    """Whoever draws from a global generator makes every later test depend on it."""
    before = random.getstate(), np.random.get_state()[1].tobytes()  # noqa: NPY002 - this is what is being watched
    yield
    assert (random.getstate(), np.random.get_state()[1].tobytes()) == before, "a global random generator was used"  # noqa: NPY002
