"""How many OpenMP threads FAISS may use."""

from collections.abc import Iterator
from contextlib import contextmanager

import faiss


@contextmanager
def openmp_threads(count: int) -> Iterator[None]:
    """For the calling thread only, put back afterwards.

    One query at a time is searched several times faster by one thread than by two that must wait for each other.
    """
    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(count)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(before)
