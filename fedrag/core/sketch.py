"""Near-duplicate sketches: enough to see that two passages are one, without their text.

Passages are compared by their shingles: each three words that stand together (`shingles_of`). All numbers are one word,
and words that say nothing (articles, auxiliaries, pronouns) are none: so layout and phrasing do not matter, and one
other noun does, as do two that change places. What the numbers, units and negations are is compared apart (`facts_of`).

A sketch has two halves. `shingles` counts the shingles in 256 cells, each in the cell that its hash names, four bits a
count: 128 bytes. `facts` is a digest of what must agree to the letter.

With a key all hashes are keyed (BLAKE2b), so that only who has the key can tell whether a sketch is that of a text
known to him; without one anybody can. Sketches with different keys have nothing in common. A keyed sketch still shows
how long its passage is, and which other passages of the same key it resembles. Negations, opposites and words that say
nothing are known in English only. For public and protocol collections only.
"""

import hashlib
from collections import Counter
from collections.abc import Iterator
from functools import lru_cache
from typing import Final

import numpy as np
import numpy.typing as npt

from fedrag.core.exchange import Sketch
from fedrag.core.quantities import WORD, facts_of, normalised, quantities
from fedrag.core.wire import decode_base64, encode_base64

Counts = npt.NDArray[np.int64]


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


SHINGLE_WORDS: Final = 3
SENTENCE: Final = 4
"""Words from which on what only one of two passages says is taken for a sentence; fewer can be a condition."""
CELLS: Final = 256
LARGEST_COUNT: Final = 15
_VERSION: Final = "shingles-2"
"""Digested with everything, so that sketches made by different rules never look alike."""

_NUMBER: Final = "0"
_EMPTY_WORDS: Final = frozenset(
    _words(
        "a an the this that these those it its they them their he him his she her we our you your who whom whose which"
        " is are was were be been being do does did has have had having will would of to per as so such there here then"
        " than also very please"
    )
)
"""What is left out of the shingles. Not `and`, `or`, `if`, `in`, `with`, `may`, `must`: they can be what matters."""


def words_of(text: str) -> tuple[str, ...]:
    """The words that say something, in reading order; every number, with its unit, is the same one."""
    plain = normalised(text)
    parts, at = [], 0
    for one in quantities(plain):
        parts += [plain[at : one.start], _NUMBER]
        at = one.end
    words: list[str] = []
    for word in WORD.findall(" ".join((*parts, plain[at:]))):
        measures = bool(words) and words[-1] == _NUMBER and _is_unit(word)
        if not measures and word not in _EMPTY_WORDS:
            words.append(word)
    return tuple(words)


def shingles_of(text: str) -> Counter[str]:
    """How often each three words stand together (`words_of`); a text of fewer words is one shingle."""
    words = words_of(text)
    count = max(1, len(words) - SHINGLE_WORDS + 1)
    return Counter(" ".join(words[at : at + SHINGLE_WORDS]) for at in range(count))


def sketch_of(text: str, key: bytes = b"", key_id: str = "") -> Sketch:
    """The near-duplicate sketch of a passage. Deterministic: the same in every process and on every machine.

    `key`: at most 64 bytes, of the hospitals that share it; `key_id`: what both sides of a comparison name it by.
    """
    counts = np.zeros(CELLS, dtype=np.uint8)
    for shingle, count in shingles_of(text).items():
        cell = hashlib.blake2b(shingle.encode(), digest_size=1, key=key, person=b"shingles").digest()[0]
        counts[cell] = min(int(counts[cell]) + count, LARGEST_COUNT)
    facts = hashlib.blake2b("\n".join(_facts(text)).encode(), digest_size=32, key=key, person=b"facts")
    packed = counts[0::2] << 4 | counts[1::2]
    return Sketch(shingles=encode_base64(packed.tobytes()), facts=facts.hexdigest(), key_id=key_id)


def part_of(a: Sketch, b: Sketch) -> float:
    """The share of the longer passage that the shorter one is, in shingles, where it is a part of it; otherwise 0.

    A passage is a part of another when the other has all its shingles, and more of them for a sentence or none: its
    beginning, its end or a stretch in between. A word that is replaced takes away three shingles and brings three
    others, one put in takes two away; it is not seen when each cell of those lost is also one of those won: about 1 in
    3 million and 1 in 10,000, and more often near the ends of the passage, 1 in 256 for the first or last word of all.
    0 as well where facts or keys differ.
    """
    if a.facts != b.facts or a.key_id != b.key_id:
        return 0.0
    if a.shingles == b.shingles:
        return 1.0
    left, right = counts_of(a), counts_of(b)
    if left is None or right is None:
        return 0.0
    shorter, longer = sorted((left, right), key=lambda counts: int(counts.sum()))
    return share(int(shorter.sum()), int(longer.sum())) if (shorter <= longer).all() else 0.0


def share(part: int, whole: int) -> float:
    """What share of a whole a part of it is; 0 for the whole but a few words."""
    return 0.0 if 0 < whole - part < SENTENCE else part / whole


def resemblance(a: Counts, b: Counts) -> float:
    """Estimated Jaccard resemblance of two passages' shingles, in [0, 1], from the counts of their sketches.

    With |a| and |b| shingles in m cells, s of them common, the inner product of the counts is s + (|a| |b| - s) / m on
    average if no shingle occurs twice, which is solved for s. The product's standard error is about
    sqrt(|a| |b| / m): two passages of 80 shingles that have none in common are estimated at 0 within 0.03.
    """
    both, chance = float(a.sum() + b.sum()), float(a.sum()) * float(b.sum())
    common = max(0.0, (CELLS * float(a @ b) - chance) / (CELLS - 1))
    return min(1.0, common / (both - common)) if common < both else 1.0


def counts_of(sketch: Sketch) -> Counts | None:
    """How many shingles are in each cell; None when the sketch does not have the size `sketch_of` gives it."""
    packed = np.frombuffer(decode_base64(sketch.shingles), dtype=np.uint8)
    if packed.size != CELLS // 2:
        return None
    counts = np.empty(CELLS, dtype=np.int64)
    counts[0::2], counts[1::2] = packed >> 4, packed & LARGEST_COUNT
    return counts


def _facts(text: str) -> Iterator[str]:
    yield _VERSION
    yield from facts_of(text)


@lru_cache(maxsize=20_000)
def _is_unit(word: str) -> bool:
    """Whether it measures the number that stands before it."""
    return word.isalpha() and any(one.dimension for one in quantities(f"1 {word}"))
