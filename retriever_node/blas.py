"""How many threads NumPy's matrix products may use."""

from collections.abc import Iterator
from contextlib import contextmanager

from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """For the whole process, put back afterwards; also a decorator, `@one_blas_thread()`.

    For many small products in a row: threads that share one wait for each other at its end, and where the processors
    are busy with other work several take five times as long as one. What one thread computes also does not depend on
    how many processors there are.
    """
    with threadpool_limits(limits=1, user_api="blas"):
        yield
