"""Plain text: paragraphs, with the short heading lines of letters and notes as sections."""

import re
from collections.abc import Iterator
from typing import Final

from fedrag.core.config import Config
from retriever_node.documents import Document, Section, Unreadable
from retriever_node.sources import Reader, SourceFile, file_document, section

# Words end with what is not blank and nothing is given back, so that a long run of blanks is looked at once.
_TITLE: Final = re.compile(r"\s*+(\S(?:[^\r\n]{0,118}[^ \t\r\n])?)[ \t]*+\r?\n[ \t]*+\r?\n")
_HEADING: Final = re.compile(r"(?:\A|(?<=\n))[ \t]*+(\S(?:[^\r\n]{0,78}[^ \t\r\n])?)[ \t]*+(?:\r?\n|\Z)")


class Settings(Config):
    """None."""


class Text:
    """One document per file.

    The title is the first line when a blank line follows it and it does not end like a sentence, else the file name.
    A line of at most 80 characters after a blank line (or at the top) that ends with a colon or has only capital
    letters is a heading.
    """

    def read(self, source: SourceFile, collection: str) -> Iterator[Document | Unreadable]:
        text = source.text()
        if isinstance(text, Unreadable):
            yield text
            return
        first = _TITLE.match(text)
        titled = first is not None and not first.group(1).rstrip().endswith((".", "!", ":", ";", ","))
        title, body = (first.group(1), first.end()) if first is not None and titled else ("", 0)
        sections = _sections(text, body)
        if not any(part.text for part in sections):  # a title alone is the text
            title, sections = "", (section("", text, 0, len(text)),)
        yield file_document(source, collection, title=title, version="", effective_date=None, sections=sections)


def build(settings: Settings) -> Reader:  # noqa: ARG001 - every plug-in is built from its settings
    return Text()


def _sections(text: str, body: int) -> tuple[Section, ...]:
    sections: list[Section] = []
    heading, start = "", body
    for line in _HEADING.finditer(text, body):
        words = line.group(1)
        if not (words.endswith(":") or _capitals(words)) or not _after_blank_line(text, line.start(), body):
            continue
        sections.append(section(heading, text, start, line.start()))
        heading, start = words.rstrip(":"), line.end()
    sections.append(section(heading, text, start, len(text)))
    return tuple(sections)


def _capitals(words: str) -> bool:
    return words.isupper() and sum(character.isalpha() for character in words) >= 4


def _after_blank_line(text: str, start: int, body: int) -> bool:
    before = text[max(body, start - 200) : start].replace("\r", "")
    return not before.strip() or re.search(r"\n[ \t]*\n\Z", before) is not None
