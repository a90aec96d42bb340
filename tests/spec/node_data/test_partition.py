"""Cutting into fewest parts, then most equal.

Oracles: every begin tried for every end, as the definition says; for texts the same in plain lists, border by border.
"""

import re
from bisect import bisect_left
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedrag.encoders.hashing import Hashing
from retriever_node import passages
from retriever_node.documents import Document, Section
from retriever_node.partition import equal_parts
from retriever_node.passages import sentence_borders, split


def tried(filled: Sequence[int], earliest: Sequence[int]) -> list[int]:
    """Every begin for every end, latest first; a later one stays unless an earlier one is better."""
    best, before = [(0, 0)], [0]
    for end in range(1, len(filled)):
        choices = [
            (best[begin][0] + 1, best[begin][1] + (filled[end] - filled[begin]) ** 2, -begin)
            for begin in range(earliest[end], end)
        ]
        parts, squares, begin = min(choices)
        best.append((parts, squares))
        before.append(-begin)
    cuts = [len(filled) - 1]
    while cuts[-1]:
        cuts.append(before[cuts[-1]])
    return cuts[::-1]


def tried_in(text: str, starts: list[int], room: int, longest: int) -> list[int]:
    """Finer borders where a stretch is too long, then every begin for every end."""

    def weight(start: int, end: int) -> int:
        return bisect_left(starts, end) - bisect_left(starts, start)

    borders = sentence_borders(text)
    for finer in ([match.end() for match in re.finditer(r"\s+", text)], starts, range(0, len(text), longest)):
        refined = [0]
        for start, end in pairwise(borders):
            if weight(start, end) > room or end - start > longest:
                refined += [border for border in finer if start < border < end]
            refined.append(end)
        borders = refined
    filled = [weight(0, border) if starts else border for border in borders]
    earliest = [-1]
    for end in range(1, len(borders)):
        first = end - 1
        while first and filled[end] - filled[first - 1] <= (room if starts else longest):
            if borders[end] - borders[first - 1] > longest:
                break
            first -= 1
        if (starts and filled[end] - filled[end - 1] > room) or borders[end] - borders[end - 1] > longest:
            first = end - 1
        earliest.append(first)
    return [borders[cut] for cut in tried(filled, earliest)]


@settings(deadline=None, max_examples=300)
@given(
    weights=st.lists(st.sampled_from([0, 1, 1, 2, 3, 5, 9, 30]), min_size=1, max_size=60),
    room=st.integers(1, 40),
    data=st.data(),
)
def test_it_is_the_best_of_all_ways_to_the_last_tie(weights, room, data):
    """With weights of nothing, weights that are too much alone, and a second limit that moves as it likes."""
    filled = np.concatenate([[0], np.cumsum(weights)])
    other = sorted(data.draw(st.lists(st.integers(0, len(weights)), min_size=len(filled), max_size=len(filled))))
    earliest = np.maximum(np.searchsorted(filled, filled - room), other)
    earliest = np.minimum(earliest, np.arange(len(filled)) - 1)
    assert equal_parts(filled, earliest) == tried(filled.tolist(), earliest.tolist())


@pytest.mark.parametrize("alphabet", ["ab ", "abcdE. \n?-é", "a。 字", "aA. \n", "x", "a \t\n-•|"])
@settings(deadline=None, max_examples=60)
@given(data=st.data(), room=st.integers(1, 30), longest=st.sampled_from([5, 17, 60, 4000]), embedded=st.booleans())
def test_a_text_is_cut_as_the_definition_says(pieces, alphabet, data, room, longest, embedded):
    """Sentences, words, tokens and characters as borders, whichever a stretch needs."""
    text = data.draw(st.text(alphabet=alphabet, min_size=1, max_size=200))
    starts = [start for start, _ in pieces.token_spans(text)] if embedded else []
    sentences = np.array(sentence_borders(text), dtype=np.int64)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(passages, "MAXIMUM_CHARACTERS", longest)
        cuts = passages._cuts(text, np.array(starts, dtype=np.int64), sentences, room)
    assert cuts == tried_in(text, starts, room, longest)


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    ("repeated", "fields"), [("a ", ("title",)), ("\n- a", ("title",)), ("A! ", ("title", "text")), ("字。", ("text",))]
)
def test_hundreds_of_thousands_of_borders_are_cut_in_seconds(repeated, fields):
    """400,000 characters with a border every few: trying every begin for every end would take minutes. Equal
    sentences make equal parts."""
    text = (repeated * 400_000)[:400_000].strip()
    drafts = split(Document("c", "d", "d", "t", "", None, (Section("", text, 0),), "0"), Hashing(8, 256), fields)
    assert "".join("".join(draft.text.split()) for draft in drafts) == "".join(text.split())
    assert len({len(draft.text) for draft in drafts}) <= 3
