"""Markdown: YAML front matter (`title`, `version`, `effective`), `#` and `##` headings as sections."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Final

import yaml

from fedrag.core.config import Config
from fedrag.core.errors import InputError
from retriever_node.documents import Document, Section, Unreadable
from retriever_node.sources import Reader, SourceFile, file_document, parsed_date, section

_FRONT_MATTER: Final = re.compile(r"---[ \t]*\r?\n(.*?)^---[ \t]*(?:\r?\n|\Z)", re.DOTALL | re.MULTILINE)
_MAXIMUM_FRONT_MATTER: Final = 20_000
_LINE: Final = re.compile(r"[^\n]*\n|[^\n]+\Z")
_HEADING: Final = re.compile(r" {0,3}(#{1,2})[ \t]+(.*?)(?:[ \t]+#+)?[ \t]*\r?\n?\Z")
_FENCE: Final = re.compile(r" {0,3}(`{3,}|~{3,})")


class Settings(Config):
    """None."""


@dataclass(frozen=True, slots=True)
class FrontMatter:
    title: str = ""
    version: str = ""
    effective: date | None = None


class Markdown:
    """One document per file. Deeper headings stay in the text; text before the first heading has no heading.

    The title is the front matter's, else the first `#` heading, else the file name. A `#` heading that is not the title
    stands in front of the `##` headings below it.
    """

    def read(self, source: SourceFile, collection: str) -> Iterator[Document | Unreadable]:
        text = source.text()
        if isinstance(text, Unreadable):
            yield text
            return
        try:
            front, body = _front_matter(text)
        except InputError as error:
            yield source.unreadable(error.code, error.message)
            return
        title, sections = _sections(text, body, front.title)
        yield file_document(
            source,
            collection,
            title=title,
            version=front.version,
            effective_date=front.effective,
            sections=sections,
        )


def build(settings: Settings) -> Reader:  # noqa: ARG001 - every plug-in is built from its settings
    return Markdown()


def _front_matter(text: str) -> tuple[FrontMatter, int]:
    """The front matter and where the body starts. Raises InputError (`bad_front_matter`)."""
    if not re.match(r"---[ \t]*\r?\n", text):
        return FrontMatter(), 0
    block = _FRONT_MATTER.match(text)
    if not block or block.end(1) > _MAXIMUM_FRONT_MATTER:
        raise InputError("front matter is not closed, or too long", code="bad_front_matter")
    try:
        # BaseLoader makes strings only: a version 1.10 stays 1.10, and nothing but strings, lists and maps is built.
        fields = yaml.load(block.group(1), Loader=yaml.BaseLoader)  # noqa: S506
    except (yaml.YAMLError, RecursionError, ValueError):
        raise InputError("front matter is not YAML", code="bad_front_matter") from None
    if fields in (None, ""):
        return FrontMatter(), block.end()
    if not isinstance(fields, dict):
        raise InputError("front matter is not a table of fields", code="bad_front_matter")
    known = {name: fields.get(name, "") for name in ("title", "version", "effective")}
    for name, value in known.items():
        if not isinstance(value, str):
            raise InputError(f"{name} is not a single value", code="bad_front_matter")
    try:
        effective = parsed_date(known["effective"]) if known["effective"] else None
    except ValueError:
        raise InputError("effective is not an ISO date", code="bad_front_matter") from None
    return FrontMatter(known["title"], known["version"], effective), block.end()


def _sections(text: str, body: int, title: str) -> tuple[str, tuple[Section, ...]]:
    """The document's title and its sections; lines inside code fences are never headings."""
    sections: list[Section] = []
    chapter = heading = fence = ""
    start = body
    for line in _LINE.finditer(text, body):
        if mark := _FENCE.match(line.group()):
            if not fence:
                fence = mark.group(1)
            elif mark.group(1).startswith(fence):
                fence = ""
            continue
        found = None if fence else _HEADING.match(line.group())
        if not found:
            continue
        sections.append(section(heading, text, start, line.start()))
        level, words = len(found.group(1)), found.group(2).strip()
        if level == 1:
            title = title or words
            chapter = "" if words == title else words
            heading = chapter
        else:
            heading = f"{chapter} / {words}" if chapter else words
        start = line.end()
    sections.append(section(heading, text, start, len(text)))
    return title, tuple(sections)
