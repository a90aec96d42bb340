"""Passages of invented words that are about topics, and questions that are passages read with half an ear.

Each topic has words of its own; a passage is sentences that mix them with the words of everyone, and doses. With the
hashing encoder such passages lie in clusters, as those of real collections do. The words are invented: nothing here can
be mistaken for medicine.
"""

from collections.abc import Iterator
from typing import Final

import numpy as np

TOPICS: Final = 256
_SYLLABLES: Final = tuple(first + vowel for first in "bdfgklmnprstvz" for vowel in "aeiou")
_COMMON: Final = 400
_OF_A_TOPIC: Final = 40
_SENTENCES: Final = 4
_WORDS: Final = 8
_OWN_SHARE: Final = 0.6


def passages(number: int, seed: int) -> list[str]:
    """`number` passages of four sentences, about 40 words, each on one of 256 topics. The same seed, the same texts."""
    random = np.random.default_rng(seed)
    common, topical = _vocabulary()
    topics = random.integers(TOPICS, size=number)
    own = random.random((number, _SENTENCES, _WORDS)) < _OWN_SHARE
    from_topic = random.integers(_OF_A_TOPIC, size=own.shape)
    from_common = random.integers(_COMMON, size=own.shape)
    doses = random.integers(1, 500, size=number)
    words = np.where(own, topical[topics[:, None, None], from_topic], common[from_common])
    return [
        ". ".join(" ".join(sentence).capitalize() for sentence in passage.tolist()) + f". Give {dose} mg."
        for passage, dose in zip(words, doses, strict=True)
    ]


def questions(texts: list[str], number: int, seed: int) -> Iterator[str]:
    """Half of the words of passages drawn at random, in their order."""
    random = np.random.default_rng(seed)
    for at in random.choice(len(texts), size=number, replace=False):
        words = texts[int(at)].lower().replace(".", "").split()
        kept = np.sort(random.choice(len(words), size=len(words) // 2, replace=False))
        yield " ".join(words[place] for place in kept) + "?"


def _vocabulary() -> tuple[np.ndarray, np.ndarray]:
    """Words of everyone (common,), and of each topic (topics, words)."""
    random = np.random.default_rng(0)
    drawn = random.choice(_SYLLABLES, size=(_COMMON + TOPICS * _OF_A_TOPIC, 3))
    words = np.array(["".join(one) for one in drawn])
    return words[:_COMMON], words[_COMMON:].reshape(TOPICS, _OF_A_TOPIC)
