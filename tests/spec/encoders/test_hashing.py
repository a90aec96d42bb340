"""Feature hashing: stable everywhere, and closer for texts that share words."""

import hashlib
import subprocess
import sys

import numpy as np
import pytest

from fedrag.encoders import ENCODERS


def _bucket(feature: str, dimension: int) -> tuple[int, int]:
    number = int.from_bytes(hashlib.blake2b(feature.encode(), digest_size=8).digest(), "little")
    return (number >> 1) % dimension, 1 if number & 1 else -1


def test_a_one_letter_text_is_one_signed_component() -> None:
    """Hand-computed: "a" has no n-gram of four, so the whole vector is its word's component, whatever the case."""
    vectors = ENCODERS.build("hashing", {"dimension": 64}).encode_passages(["a", "A"])
    position, sign = _bucket("a", 64)
    expected = np.zeros(64)
    expected[position] = sign
    np.testing.assert_array_equal(vectors, [expected, expected])


def test_weights_and_counts_by_hand() -> None:
    """ "aab aab": its word twice (√2 · 1) and the n-grams "<aab" and "aab>" twice each (√2 · 0.3)."""
    vector = ENCODERS.build("hashing", {"dimension": 4096}).encode_queries(["aab aab"])[0]
    expected = np.zeros(4096)
    for feature, weight in (("aab", 1.0), ("<aab", 0.3), ("aab>", 0.3)):
        position, sign = _bucket(feature, 4096)
        expected[position] += sign * weight
    np.testing.assert_allclose(vector, expected / np.linalg.norm(expected), atol=1e-6)


def test_texts_that_share_words_are_closer() -> None:
    """A ranking anyone would give."""
    encoder = ENCODERS.build("hashing")
    query = encoder.encode_queries(["dose of adrenaline in anaphylaxis"])[0]
    texts = [
        "Anaphylaxis: the adrenaline dose is 0.5 mg",
        "Doses of drugs in anaphylactic shock",
        "Knee pain on stairs",
    ]
    similarities = encoder.encode_passages(texts) @ query
    assert similarities[0] > similarities[1] > similarities[2]


@pytest.mark.parametrize("seed", ["0", "12345"])
def test_another_process_computes_the_same_bytes(seed) -> None:
    """Python's own string hash differs from process to process; ours may not."""
    program = (
        "from fedrag.encoders import ENCODERS\n"
        "print(ENCODERS.build('hashing').encode_queries(['Fever in a child']).tobytes().hex())"
    )
    environment = {"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ENCODERS.build("hashing").encode_queries(["Fever in a child"]).tobytes().hex()
