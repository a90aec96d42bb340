"""Shared by all tests: nothing here but what keeps them honest."""

import random
from collections.abc import Iterator

import numpy as np
import pytest

pytest_plugins = ["federation_fixtures"]


@pytest.fixture(autouse=True)
def _global_random_generators_stay_untouched() -> Iterator[None]:
    """Whoever draws from a global generator makes every later test depend on it."""
    before = random.getstate(), np.random.get_state()[1].tobytes()  # noqa: NPY002 - this is what is being watched
    yield
    assert (random.getstate(), np.random.get_state()[1].tobytes()) == before, "a global random generator was used"  # noqa: NPY002
