"""An encoder with a memory. Oracle: the encoder without one."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np

from fedrag.encoders import ENCODERS
from fedrag.encoders.remembering import Remembering


class Counting:
    """The hashing encoder, and every text that it was given."""

    def __init__(self):
        self.inner = ENCODERS.build("hashing")
        self.texts = []

    def __getattr__(self, name):
        return getattr(self.inner, name)

    def encode_queries(self, texts):
        self.texts += texts
        return self.inner.encode_queries(texts)

    def encode_passages(self, texts):
        self.texts += texts
        return self.inner.encode_passages(texts)


def test_the_vectors_are_the_encoders_own_and_no_text_is_encoded_twice() -> None:
    """In the order asked, repetitions included; queries and passages are remembered apart."""
    counting = Counting()
    remembering = Remembering(counting)
    for texts in (["a cat", "a dog"], ["a dog", "a bird", "a dog"], ["a cat"]):
        assert np.array_equal(remembering.encode_passages(texts), counting.inner.encode_passages(texts))
        assert np.array_equal(remembering.encode_queries(texts), counting.inner.encode_queries(texts))
    assert sorted(counting.texts) == sorted(2 * ["a cat", "a dog", "a bird"])
    assert remembering.encode_passages([]).shape == (0, counting.inner.encode_passages([]).shape[1])


def test_what_was_used_longest_ago_is_forgotten_first() -> None:
    """Room for two: asking for the first again keeps it, the second goes."""
    counting = Counting()
    remembering = Remembering(counting, passages=2, queries=0)
    for text in ("one", "two", "one", "three", "one", "two"):
        remembering.encode_passages([text])
    assert counting.texts == ["one", "two", "three", "two"]
    counting.texts.clear()
    assert len(remembering.encode_passages(["a", "b", "c", "d"])) == 4
    for _ in range(2):
        remembering.encode_queries(["asked"])
    assert counting.texts == ["a", "b", "c", "d", "asked", "asked"]


def test_a_kept_vector_cannot_be_changed_from_outside() -> None:
    """What a caller does to its matrix is the caller's."""
    remembering = Remembering(Counting())
    first = remembering.encode_passages(["one", "two"])
    kept = first.copy()
    first[:] = 0
    assert np.array_equal(remembering.encode_passages(["one", "two"]), kept)


def test_many_threads_get_right_vectors() -> None:
    """Eight of them, over more texts than there is room for."""
    counting = Counting()
    remembering = Remembering(counting, passages=5)

    def one(number: int) -> bool:
        texts = [f"text {(number * 7 + at) % 11}" for at in range(4)]
        return np.array_equal(remembering.encode_passages(texts), counting.inner.encode_passages(texts))

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(one, range(200)))
