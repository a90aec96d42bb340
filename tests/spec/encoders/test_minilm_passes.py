"""all-MiniLM-L6-v2: a vector depends on its text alone, to the bit."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedrag.core.config import home
from fedrag.encoders import ENCODERS
from fedrag.encoders.minilm import _BATCH, _SHORT, MiniLM, _passes
from fedrag.encoders.minilm_files import is_set_up

WORDS = ("blood", "pressure", "heart", "kidney", "liver", "lung", "risk", "test", "result", "symptoms", "signs", "pain")


@pytest.fixture(scope="module")
def texts() -> list[str]:
    """Some fifty lengths, most of them short, one length twenty times over."""
    random = np.random.default_rng(0)
    return [" ".join(random.choice(WORDS, size=size)) for size in (*range(20), 40, 41, 60, 150, 300, *[9] * 20)]


def minilm(threads: int) -> MiniLM:
    if not is_set_up(home() / "minilm"):
        pytest.skip("all-MiniLM-L6-v2 is not here: run fedrag setup")
    built = ENCODERS.build("minilm", {"threads": threads})
    assert isinstance(built, MiniLM)
    return built


def test_neighbours_order_and_threads_do_not_change_a_bit(texts) -> None:
    """Oracle: each text by itself on one thread. Together, shuffled and on three threads the bytes are the same."""
    one, three = minilm(1), minilm(3)
    order = np.random.default_rng(1).permutation(len(texts))
    shuffled = [texts[row] for row in order]
    for alone, together, elsewhere in (
        (one.encode_passages, one.encode_passages, three.encode_passages),
        (one.encode_queries, one.encode_queries, three.encode_queries),
    ):
        expected = np.vstack([alone([text]) for text in texts])
        np.testing.assert_array_equal(together(texts), expected)
        np.testing.assert_array_equal(elsewhere(shuffled), expected[order])


def test_a_failure_on_a_thread_is_the_callers(texts, monkeypatch) -> None:
    """An error in one pass is raised by the call, and the encoder works again afterwards."""
    encoder = minilm(2)
    expected = encoder.encode_passages(texts[:8])

    class Broken:
        def run(self, outputs: None, inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
            raise MemoryError

    with monkeypatch.context() as broken:
        broken.setattr(encoder, "_session", Broken())
        with pytest.raises(MemoryError):
            encoder.encode_passages(texts)
    np.testing.assert_array_equal(encoder.encode_passages(texts[:8]), expected)


@given(lengths=st.lists(st.integers(2, _SHORT + 4), max_size=80))
def test_passes_hold_every_row_in_equal_lengths_and_never_a_short_one_alone(lengths) -> None:
    """What the promise rests on, for any lengths: nothing is padded, and a lone short text is its own company."""
    passes = _passes(lengths)
    assert Counter(row for rows in passes for row in set(rows)) == Counter(range(len(lengths)))
    for rows in passes:
        (length,) = {lengths[row] for row in rows}
        assert 2 <= len(rows) <= _BATCH if length <= _SHORT else len(rows) == 1
