"""Noise of a reviewed library: OpenDP's discrete Gaussian. Its samples are exact, and its own map states the loss."""

from collections.abc import Callable
from functools import lru_cache
from importlib.util import find_spec

from fedrag.core.errors import MissingExtra

Noise = Callable[[int], int]
"""A whole number to that number with fresh noise."""


def installed() -> bool:
    return find_spec("opendp") is not None


@lru_cache(maxsize=8)
def discrete_gaussian(sigma: float, sensitivity: int) -> tuple[Noise, float]:
    """Noise of standard deviation `sigma` on a whole number, and ρ as the library states it for two numbers that differ
    by `sensitivity` (zero-concentrated divergence, rounded up).

    Raises MissingExtra (`no_noise`): a count without it does not leave.
    """
    try:
        from opendp.domains import atom_domain
        from opendp.measurements import make_gaussian
        from opendp.metrics import absolute_distance
        from opendp.mod import enable_features
    except ImportError:
        raise MissingExtra("noise for counts needs the extra `counts`: opendp", code="no_noise") from None
    enable_features("contrib")
    measurement = make_gaussian(atom_domain(T=int), absolute_distance(T=int), scale=sigma)

    def add(number: int) -> int:
        return int(measurement(number))

    return add, float(measurement.map(sensitivity))  # type: ignore[no-untyped-call, unused-ignore]
