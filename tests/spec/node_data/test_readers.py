"""Reading a folder: what becomes a document, with which sections and offsets, and what is only reported."""

import os
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedrag.core.errors import ConfigError, InputError
from retriever_node.documents import Document, Unreadable
from retriever_node.readers import READERS, SUFFIXES, read_folder
from retriever_node.sources import SourceFile

PROTOCOL = """---
title: Sepsis in adults
version: 1.10
effective: 2026-03-01
owner: [ignored]
---
Read this first.

# Sepsis in adults

## First hour
Take cultures, then give antibiotics.

```
# not a heading
```

# Children
Weigh the child.

## Fluids ##
10 ml/kg.

## Empty
"""


def read(root: Path, **settings: dict[str, object]) -> list[Document | Unreadable]:
    return list(read_folder(root, "protocols", settings))


def one(root: Path, **settings: dict[str, object]) -> Document:
    (found,) = read(root, **settings)
    assert isinstance(found, Document), found
    return found


def problems(root: Path) -> list[tuple[str, str]]:
    return [(item.path, item.code) for item in read(root) if isinstance(item, Unreadable)]


def test_markdown_front_matter_and_headings(folder):
    """Front matter gives title, version (as written) and date; # and ## make sections; fences and ### do not."""
    document = one(folder({"sub/sepsis.md": PROTOCOL}))
    assert (document.document_id, document.name) == ("sub/sepsis.md", "sepsis.md")
    assert (document.title, document.version) == ("Sepsis in adults", "1.10")
    assert document.effective_date == date(2026, 3, 1)
    assert [(section.heading, section.text.split("\n")[0]) for section in document.sections] == [
        ("", "Read this first."),
        ("First hour", "Take cultures, then give antibiotics."),
        ("Children", "Weigh the child."),
        ("Children / Fluids", "10 ml/kg."),
    ]
    assert "# not a heading" in document.sections[1].text


@pytest.mark.parametrize(
    ("text", "title"),
    [("# Burns\n\ncool them", "Burns"), ("cool them", "leaflet"), ("---\n---\n# Burns\ncool", "Burns")],
)
def test_markdown_without_title_in_front_matter(folder, text, title):
    """The title falls back to the first # heading, then to the file name."""
    assert one(folder({"leaflet.md": text})).title == title


@pytest.mark.parametrize(
    "front",
    [
        "title: [a, b]",
        "effective: someday",
        "effective: 2026-13-01",
        "- a list",
        "a: b: c",
        "'unclosed",
        "[" * 3000,
        "x: " + "y" * 30_000,
    ],
)
def test_malformed_front_matter_is_reported_without_its_content(folder, front):
    """A front matter that is not a table of plain values is a value with a code, and quotes nothing."""
    (found,) = read(folder({"a.md": f"---\n{front}\n---\ntext"}))
    assert isinstance(found, Unreadable)
    assert found.code == "bad_front_matter"
    assert front[-8:] not in found.reason


def test_unclosed_front_matter(folder):
    """Three dashes at the top that are never closed are malformed front matter, not text."""
    assert problems(folder({"a.md": "---\ntitle: x\n\ntext"})) == [("a.md", "bad_front_matter")]


def test_text_title_and_headings(folder):
    """The first line before a blank line is the title; short lines with a colon or in capitals are headings."""
    note = "Discharge letter\n\nSeen on the ward.\n\nHISTORY\nCough for days.\n\nPlan:\r\nRest. Reviewed by:\nnobody\n"
    document = one(folder({"note.txt": note}))
    assert document.title == "Discharge letter"
    assert [(section.heading, section.text) for section in document.sections] == [
        ("", "Seen on the ward."),
        ("HISTORY", "Cough for days."),
        ("Plan", "Rest. Reviewed by:\nnobody"),
    ]


@pytest.mark.parametrize("text", ["The patient slept well.\n\nThen woke.", "One line only", "line one\nline two"])
def test_text_whose_first_line_is_no_title(folder, text):
    """A sentence, or a line that runs on, stays text; the file name is the title."""
    document = one(folder({"note.txt": text}))
    assert (document.title, document.sections[0].text) == ("note", text)


def test_jsonl_with_its_own_field_names(folder):
    """Fields are mapped by the collection's settings; a line is a document, named by its title."""
    root = folder({"qa.jsonl": '{"doc": 7, "q": "What is gout?", "a": " Crystals.  ", "on": "2025-01-02T10:00:00"}\n'})
    document = one(root, jsonl={"id": "doc", "title": "q", "text": "a", "effective_date": "on"})
    assert (document.document_id, document.name, document.title) == ("7", "What is gout?", "What is gout?")
    assert document.effective_date == date(2025, 1, 2)
    assert (document.sections[0].text, document.sections[0].start) == ("Crystals.", 1)


def test_jsonl_bad_lines_cost_only_themselves(folder):
    """Every kind of bad line is reported with its number, and the good lines around it are read."""
    lines = [
        b'{"id": "a", "text": "good"}',
        b"{broken",
        b"[1]",
        b'{"text": "no id"}',
        b'{"id": "b", "text": ""}',
        b'{"id": "c", "text": 3.5}',
        b'{"id": "d", "text": "\xff"}',
        b'{"id": "e", "text": "\\ud800"}',
        b'{"id": "f", "text": "x", "effective_date": "soon"}',
        b'{"id": "a", "text": "again"}',
        b"[" * 200_000,
        b'{"id": ' + b"9" * 5000 + b', "text": "x"}',
        b"   ",
        b'{"id": "z", "text": "last"}',
    ]
    items = read(folder({"r.jsonl": b"\xef\xbb\xbf" + b"\n".join(lines)}))
    assert [item.document_id for item in items if isinstance(item, Document)] == ["a", "z"]
    assert [(item.code, item.reason.split(":")[0]) for item in items if isinstance(item, Unreadable)] == [
        ("bad_json", "line 2"),
        ("bad_record", "line 3"),
        ("bad_record", "line 4"),
        ("empty", "line 5"),
        ("bad_record", "line 6"),
        ("not_utf8", "line 7"),
        ("bad_record", "line 8"),
        ("bad_record", "line 9"),
        ("duplicate_id", "an earlier document has the same id"),
        ("bad_json", "line 11"),
        ("bad_json", "line 12"),
    ]


def test_a_line_beyond_the_limit_is_skipped_whole(folder, monkeypatch):
    """An over-long line is one problem, and the next line is read as a record again."""
    monkeypatch.setattr("retriever_node.readers.jsonl.MAXIMUM_BYTES", 50)
    long = '{"id": "a", "text": "' + "x" * 500 + '"}'
    items = read(folder({"r.jsonl": f'{long}\n{{"id": "b", "text": "short"}}\n'}))
    assert [item.code if isinstance(item, Unreadable) else item.document_id for item in items] == ["too_large", "b"]


def test_files_that_cannot_be_documents(folder):
    """Bytes that are not text, nothing, and unknown suffixes are each reported; dot files are passed over."""
    root = folder(
        {
            "a.txt": b"caf\xe9",
            "b.md": "  \n",
            "c.xyz": b"what",
            "d.jsonl": "",
            "e.txt": "zero \x00 byte",
            ".hidden.txt": "secret",
            ".git/config.txt": "secret",
            "f.TXT": "capital suffix",
        }
    )
    assert problems(root) == [
        ("a.txt", "not_utf8"),
        ("b.md", "empty"),
        ("c.xyz", "unknown_suffix"),
        ("d.jsonl", "empty"),
        ("e.txt", "not_text"),
    ]
    assert [item.document_id for item in read(root) if isinstance(item, Document)] == ["f.TXT"]


def test_links_never_lead_out_of_the_folder(folder, tmp_path):
    """A link to a file inside is read; links outside, to folders, in circles or to pipes are reported, not followed."""
    outside = tmp_path / "outside.txt"
    outside.write_text("private")
    root = folder({"a.txt": "inside", "sub/b.txt": "below"})
    (root / "inside.txt").symlink_to(root / "a.txt")
    (root / "leak.txt").symlink_to(outside)
    (root / "loop").symlink_to(root)
    (root / "self.txt").symlink_to(root / "self.txt")
    os.mkfifo(root / "pipe.txt")
    assert problems(root) == [
        ("leak.txt", "outside_folder"),
        ("loop", "linked_folder"),
        ("pipe.txt", "not_a_file"),
        ("self.txt", "not_a_file"),
    ]
    documents = [item for item in read(root) if isinstance(item, Document)]
    assert [document.document_id for document in documents] == ["a.txt", "inside.txt", "sub/b.txt"]
    assert not any("private" in section.text for document in documents for section in document.sections)


def test_order_does_not_depend_on_the_file_system(folder):
    """Documents come in order of their paths."""
    root = folder(dict.fromkeys(("b.txt", "a/z.txt", "a.txt", "B.txt"), "text"))
    assert [item.document_id for item in read(root)] == ["B.txt", "a/z.txt", "a.txt", "b.txt"]


def test_missing_folder_and_unknown_settings(tmp_path, folder):
    """A missing folder is the caller's error; so are settings for a reader, or a field, that does not exist."""
    with pytest.raises(InputError) as missing:
        read_folder(tmp_path / "nowhere", "c")
    assert missing.value.code == "missing_folder"
    for settings, code in (({"parchment": {}}, "unknown_plugin"), ({"jsonl": {"titel": "t"}}, "bad_setting")):
        with pytest.raises(ConfigError) as unknown:
            read_folder(folder({}), "c", settings)
        assert unknown.value.code == code


def test_content_hash_changes_with_what_is_shown_and_with_nothing_else(folder):
    """Text, title, version and date change the hash; the file's time stamp and its place in the order do not."""
    first = one(folder({"a.md": PROTOCOL})).content_sha256
    root = folder({"a.md": PROTOCOL})
    os.utime(root / "a.md", (0, 0))
    assert one(root).content_sha256 == first
    for before, after in (("1.10", "1.11"), ("2026-03-01", "2026-03-02"), ("10 ml/kg", "20 ml/kg"), ("## Fl", "## fl")):
        assert one(folder({"a.md": PROTOCOL.replace(before, after)})).content_sha256 != first


@pytest.mark.parametrize("suffix", [".md", ".markdown", ".txt"])
@given(text=st.text(alphabet=st.sampled_from(list("aB# \n\r-:.`|é😀\u2028")), max_size=80))
def test_sections_are_stretches_of_the_file(tmp_path_factory, suffix, text):
    """Whatever the file holds, every section is the file's own characters at the offset it names, in order."""
    path = tmp_path_factory.getbasetemp() / f"any{suffix}"
    path.write_bytes(text.encode())
    (found,) = READERS.build(SUFFIXES[suffix]).read(SourceFile(path.name, path), "c")
    if isinstance(found, Unreadable):
        assert found.code in {"empty", "bad_front_matter"}
        return
    end = 0
    for section in found.sections:
        assert section.start >= end
        end = section.start + len(section.text)
        assert section.text == text[section.start : end] != ""
