"""Near-duplicate sketches: enough to see that two passages are one, without their text.

A sketch has two halves. `shingles` estimates the Jaccard resemblance of the passages' sets of word 3-grams with b-bit
minwise hashing (Broder 1997; Li and König 2010): 256 permutations, 4 bits of each minimum, 128 bytes. At resemblance r
the estimate's standard error is sqrt(p (1 - p) / 256) / (1 - 1/16), p = 1/16 + 15/16 r: 0.02 at r = 0.9, less than a
sketch of 128 x 8 bits has in the same space. `facts` is a digest of what must agree to the letter (`facts_of`).

Negations and opposites are known in English only. Not private: whoever holds a text can recognise its sketch. For
public and protocol collections only.
"""

import hashlib
from typing import Final

import numpy as np
import numpy.typing as npt

from fedrag.core.exchange import Sketch
from fedrag.core.quantities import WORD, facts_of, normalised
from fedrag.core.wire import decode_base64, encode_base64

PERMUTATIONS: Final = 256
BITS: Final = 4
_VERSION: Final = "facts-1"
"""Digested with the facts, so that sketches made by different rules never look alike."""

_SHINGLE_WORDS: Final = 3


def shingles_of(text: str) -> frozenset[str]:
    """The set of word 3-grams; a shorter text is one shingle."""
    words = WORD.findall(normalised(text))
    count = max(1, len(words) - _SHINGLE_WORDS + 1)
    return frozenset(" ".join(words[i : i + _SHINGLE_WORDS]) for i in range(count))


def sketch_of(text: str) -> Sketch:
    """The near-duplicate sketch of a passage. Deterministic: the same in every process and on every machine."""
    hashes = np.array([_hash64(shingle) for shingle in shingles_of(text)], dtype=np.uint64)
    minima = _mixed(hashes[np.newaxis, :] ^ _SEEDS[:, np.newaxis]).min(axis=1)
    low = (minima & np.uint64(2**BITS - 1)).astype(np.uint8)
    digest = hashlib.sha256("\n".join((_VERSION, *facts_of(text))).encode()).hexdigest()
    return Sketch(shingles=encode_base64((low[0::2] << BITS | low[1::2]).tobytes()), facts=digest)


def resemblance(a: Sketch, b: Sketch) -> float:
    """Estimated Jaccard resemblance of two passages' shingles, in [0, 1]; chance agreement of 4 bits taken out.

    0 when a sketch does not have the size `sketch_of` gives it: what cannot be compared is not alike.
    """
    left, right = decode_base64(a.shingles), decode_base64(b.shingles)
    size = PERMUTATIONS * BITS // 8
    if len(left) != size or len(right) != size:
        return 0.0
    different = np.frombuffer(left, dtype=np.uint8) ^ np.frombuffer(right, dtype=np.uint8)
    agreeing = 2 * size - np.count_nonzero(different >> BITS) - np.count_nonzero(different & (2**BITS - 1))
    chance = 2.0**-BITS
    return max(0.0, (float(agreeing) / PERMUTATIONS - chance) / (1 - chance))


def _hash64(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")


def _mixed(values: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """A bijection of 64-bit integers whose output bits all depend on every input bit (Stafford 2011, variant 13).

    Behind a different exclusive-or for each, it stands for a random permutation."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


_SEEDS: Final = np.array([_hash64(f"permutation {number}") for number in range(PERMUTATIONS)], dtype=np.uint64)
