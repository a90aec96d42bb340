"""Passages: stretches of a document that the encoder can take in whole."""

import re
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Final, Literal

import numpy as np

from fedrag.core.protocols import Encoder
from retriever_node.documents import Document, Passage, PassageDraft, Section
from retriever_node.partition import Positions, equal_parts

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
_SPACES: Final = re.compile(r"\s+")
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
    spans = encoder.token_spans(text) if "text" in fields else ()
    starts = np.fromiter((start for start, _ in spans), dtype=np.int64)
    sentences = np.array(sentence_borders(text), dtype=np.int64)
    while True:
        borders = _cuts(text, starts, sentences, max(room, 1))
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
        if found["stop"] == "." and _ABBREVIATION.search(text, max(0, found.start() - 12), found.start() + 1):
            continue
        if borders[-1] < stop < len(text):
            borders.append(stop)
    return [*borders, len(text)]


def _cuts(text: str, starts: Positions, sentences: Positions, room: int) -> list[int]:
    """Borders of the parts: fewest parts of at most `room` tokens and MAXIMUM_CHARACTERS, then most equal, then longest
    first."""
    borders = _refined(text, starts, sentences, room)
    tokens = np.searchsorted(starts, borders)
    earliest = np.searchsorted(borders, borders - MAXIMUM_CHARACTERS)
    if len(starts):
        earliest = np.maximum(earliest, np.searchsorted(tokens, tokens - room))
    earliest = np.minimum(earliest, np.arange(len(borders)) - 1)  # what cannot be cut is a part however long it is
    cuts: list[int] = borders[equal_parts(tokens if len(starts) else borders, earliest)].tolist()
    return cuts


def _refined(text: str, starts: Positions, borders: Positions, room: int) -> Positions:
    """Finer borders inside the stretches that are too long: between words, else tokens, else characters."""

    def words(stretches: Positions) -> Positions:
        ends = (match.end() for start, end in stretches.tolist() for match in _SPACES.finditer(text, start, end))
        return np.fromiter(ends, dtype=np.int64)

    def tokens(_: Positions) -> Positions:
        return starts

    def characters(_: Positions) -> Positions:
        return np.arange(0, len(text), MAXIMUM_CHARACTERS)

    for finer in (words, tokens, characters):
        too_long = (np.diff(np.searchsorted(starts, borders)) > room) | (np.diff(borders) > MAXIMUM_CHARACTERS)
        if too_long.any():
            found = finer(np.column_stack([borders[:-1], borders[1:]])[too_long])
            found = found[(found > 0) & (found < len(text))]
            borders = np.union1d(borders, found[too_long[np.searchsorted(borders, found, side="right") - 1]])
    return borders
