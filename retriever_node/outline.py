"""A document's text where its file has none: blocks under headings, tables as lines."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from fedrag.core.errors import TooLarge
from retriever_node.documents import Section
from retriever_node.sources import MAXIMUM_BYTES, one_line, section

_BETWEEN_SECTIONS: Final = "\n\n"
_MAXIMUM_HEADER: Final = 200


class Outline:
    """Collects headings and blocks in reading order.

    Headings of the first two levels make sections: the first one of level 1 is the title where there is none yet,
    another one stands in front of the headings of level 2 below it. Deeper headings stay in the text.

    Raises TooLarge when there is more text than a document may have.
    """

    def __init__(self, title: str = "") -> None:
        self.title = one_line(title)
        self._chapter = self._heading = ""
        self._blocks: list[str] = []
        self._after_item = False
        self._closed: list[tuple[str, str]] = []
        self._room = MAXIMUM_BYTES

    def heading(self, level: int, words: str) -> None:
        words = one_line(words)
        if not words:
            return
        if level > 2:
            self.block(words)
            return
        self._close()
        if level == 1:
            self.title = self.title or words
            self._chapter = self._heading = "" if words == self.title else words
        else:
            self._heading = f"{self._chapter} / {words}" if self._chapter else words

    def block(self, text: str) -> None:
        """A paragraph; one that begins with `- ` is an item and stays close to the item before it."""
        text = text.strip()
        if not text:
            return
        self._room -= len(text) + 2
        if self._room < 0:
            raise TooLarge(f"more than {MAXIMUM_BYTES} characters of text")
        item = text.startswith("- ")
        if self._blocks:
            self._blocks.append("\n" if item and self._after_item else "\n\n")
        self._blocks.append(text)
        self._after_item = item

    def sections(self) -> tuple[Section, ...]:
        self._close()
        return laid_out(self._closed)

    def _close(self) -> None:
        self._closed.append((self._heading, "".join(self._blocks)))
        self._blocks = []


def laid_out(parts: Iterable[tuple[str, str]]) -> tuple[Section, ...]:
    """Sections from (heading, text): the document's text is these texts with a blank line between them."""
    sections: list[Section] = []
    start = 0
    for heading, text in parts:
        found = section(heading, text, 0, len(text))
        sections.append(Section(found.heading, found.text, start))
        start += len(found.text) + len(_BETWEEN_SECTIONS)
    return tuple(sections)


def table_lines(rows: Iterable[Sequence[str]], headers: Sequence[str] = ()) -> Iterator[str]:
    """One item per row; every cell with the header of its column, so that a row can be read where it stands alone."""
    heads = [one_line(header)[:_MAXIMUM_HEADER].rstrip(" :") for header in headers]
    for row in rows:
        cells = (
            f"{heads[column]}: {cell}" if column < len(heads) and heads[column] else cell
            for column, cell in enumerate(" ".join(cell.split()) for cell in row)
            if cell
        )
        if line := "; ".join(cells):
            yield f"- {line}"
