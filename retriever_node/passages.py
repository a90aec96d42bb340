"""Passages: stretches of a document that the encoder can take in whole."""

import re
from bisect import bisect_left
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Final, Literal

from fedrag.core.protocols import Encoder
from retriever_node.documents import Document, Passage, PassageDraft, Section

Field = Literal["title", "section", "text"]
ALL_FIELDS: Final[tuple[Field, ...]] = ("title", "section", "text")

SPECIAL_TOKENS: Final = 2
"""What an encoder puts around a text ([CLS], [SEP]); they count towards `maximum_tokens`."""

MAXIMUM_CHARACTERS: Final = 4000
"""Of one passage. Reached where the text itself is not embedded, and by strings that are one token however long."""

_SENTENCE_END: Final = re.compile(
    r"(?P<stop>[.!?])[\"'”’)\]]*\s+(?=[\"'“‘(\[]?[A-Z0-9À-Þ])"  # a full stop before a capital or a number
    r"|[。！？]"
    r"|\n[ \t]*\n\s*"  # a paragraph
    r"|\n(?=[ \t]*[-*•|])"  # a list item, a table row
)
_ABBREVIATION: Final = re.compile(r"\b(?:dr|mr|mrs|ms|prof|st|vs|fig|no|approx|e\.g|i\.e|[A-Z])\.\Z", re.IGNORECASE)


def embedding_text(passage: PassageDraft | Passage, encoder: Encoder, fields: Sequence[Field] = ALL_FIELDS) -> str:
    """What is encoded for a passage: `title. section` on one line, then the text.

    The passage is found better with the words of its title than without; only its own text is stored and released.
    The line is cut at a token border to half the encoder's window, so that text always has room.
    """
    line = _header(passage.title, passage.section, encoder, fields)
    return "\n".join(part for part in (line, passage.text if "text" in fields else "") if part)


def split(document: Document, encoder: Encoder, fields: Sequence[Field] = ALL_FIELDS) -> tuple[PassageDraft, ...]:
    """A document's passages in reading order; none is longer than the encoder's window once its title line is added.

    A section that fits is one passage. A longer one is cut into as few parts as fit, at sentence borders, and among
    those cuts the one whose parts are most equal (least sum of squared token counts) is taken. A sentence that does not
    fit by itself is cut between words, a word that does not fit between tokens.
    """
    window = _window(encoder)
    drafts: list[PassageDraft] = []
    for section in document.sections:

        def draft(start: int, end: int, section: Section = section) -> PassageDraft:
            text = section.text[start:end]
            left = start + len(text) - len(text.lstrip())
            stripped = text.strip()
            at = section.start + left
            return PassageDraft(document.title, section.heading, at, at + len(stripped), stripped)

        def fits(piece: PassageDraft) -> bool:
            return len(piece.text) <= MAXIMUM_CHARACTERS and (
                "text" not in fields or len(encoder.token_spans(embedding_text(piece, encoder, fields))) <= window
            )

        whole = draft(0, len(section.text))
        drafts.extend([whole] if fits(whole) else _parts(section.text, whole, encoder, fields, window, draft, fits))
    return tuple(drafts)


def _parts(
    text: str,
    whole: PassageDraft,
    encoder: Encoder,
    fields: Sequence[Field],
    window: int,
    draft: Callable[[int, int], PassageDraft],
    fits: Callable[[PassageDraft], bool],
) -> list[PassageDraft]:
    """Parts are measured with the tokens of the whole section; a cut inside a word can make a tokeniser count more, so
    the parts are measured again and the room made smaller until every one fits."""
    header = _header(whole.title, whole.section, encoder, fields)
    room = window - len(encoder.token_spans(header + "\n")) if header else window
    starts = [start for start, _ in encoder.token_spans(text)] if "text" in fields else []
    while True:
        borders = _cuts(text, starts, max(room, 1))
        pieces = [draft(start, end) for start, end in pairwise(borders)]
        pieces = [piece for piece in pieces if piece.text]
        if room <= 1 or all(fits(piece) for piece in pieces):
            return pieces
        room -= max(1, room // 16)


def _window(encoder: Encoder) -> int:
    identity = encoder.identity
    return max(1, identity.maximum_tokens - SPECIAL_TOKENS - len(encoder.token_spans(identity.passage_prefix)))


def _header(title: str, section: str, encoder: Encoder, fields: Sequence[Field]) -> str:
    parts = (
        title.rstrip(" .") if "title" in fields else "",
        section if "section" in fields and section != title else "",
    )
    line = ". ".join(part for part in parts if part)
    spans = encoder.token_spans(line)
    room = max(_window(encoder) // 2, 1) if "text" in fields else _window(encoder)
    return line if len(spans) <= room else line[: spans[room - 1][1]]


def title_line(passage: PassageDraft | Passage) -> str:
    """What stands above a passage's text, whole."""
    return ". ".join(part for part in (passage.title, passage.section) if part)


def sentence_borders(text: str) -> list[int]:
    """Where sentences, paragraphs and list items begin, 0 and len(text) included."""
    borders = [0]
    for found in _SENTENCE_END.finditer(text):
        stop = found.end()
        if found["stop"] and _ABBREVIATION.search(text, max(0, found.start() - 12), found.start() + 1):
            continue
        if borders[-1] < stop < len(text):
            borders.append(stop)
    return [*borders, len(text)]


def _cuts(text: str, starts: Sequence[int], room: int) -> list[int]:
    """Borders of the parts: fewest parts of at most `room` tokens and MAXIMUM_CHARACTERS, then most equal."""

    def size(start: int, end: int) -> int:
        return bisect_left(starts, end) - bisect_left(starts, start)

    def too_long(start: int, end: int) -> bool:
        return size(start, end) > room or end - start > MAXIMUM_CHARACTERS

    borders = _refined(text, starts, sentence_borders(text), too_long)
    weights = [size(start, end) if starts else end - start for start, end in pairwise(borders)]
    count = len(weights)
    best: list[tuple[int, int]] = [(0, 0), *[(count + 1, 0)] * count]
    before = [0] * (count + 1)
    for stop in range(1, count + 1):
        weight = 0
        for first in range(stop - 1, -1, -1):
            weight += weights[first]
            if first < stop - 1 and ((starts and weight > room) or borders[stop] - borders[first] > MAXIMUM_CHARACTERS):
                break
            parts, squares = best[first]
            if (candidate := (parts + 1, squares + weight * weight)) < best[stop]:
                best[stop], before[stop] = candidate, first
    cuts = [count]
    while cuts[-1]:
        cuts.append(before[cuts[-1]])
    return [borders[cut] for cut in reversed(cuts)]


def _refined(text: str, starts: Sequence[int], borders: list[int], too_long: Callable[[int, int], bool]) -> list[int]:
    """Finer borders inside the stretches that are too long: between words, else tokens, else characters."""
    words = [match.end() for match in re.finditer(r"\s+", text)]
    for finer in (words, starts, range(0, len(text), MAXIMUM_CHARACTERS)):
        refined = [0]
        for start, end in pairwise(borders):
            if too_long(start, end):
                low, high = bisect_left(finer, start + 1), bisect_left(finer, end)
                refined.extend(finer[low:high])
            refined.append(end)
        borders = refined
    return borders
