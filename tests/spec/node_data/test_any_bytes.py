"""Whatever bytes a file has, reading it ends with documents or with problems that have codes; nothing is raised."""

import csv
import gzip
import io
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from document_files import PICTURE, docx, paragraph, pdf, row
from health_records import (
    ENCOUNTER,
    PATIENT,
    attached,
    bundle,
    clinical_document,
    concept,
    ndjson,
    of_visit,
    structured,
    written,
)
from hypothesis import example, given, settings
from hypothesis import strategies as st

from retriever_node.documents import Document, Unreadable
from retriever_node.ingest import ingest
from retriever_node.readers import READERS, SUFFIXES, read_folder, reader_of
from retriever_node.sources import SourceFile

ANGINA = of_visit("Condition", code=concept("Angina"))
NOTE = of_visit("DocumentReference", content=[{"attachment": attached("<p>Chest pain.</p>", "text/html")}])
SECTION = "<section><title>Plan</title><text><list><item>Rest with angina.</item></list></text></section>"
TABLE = "<w:tbl>" + row("Sign", "Cause") + row("pain", "angina") + "</w:tbl>"
PAGE = "<html><head><title>T</title></head><body><h1>Heart</h1><p>angina<table><tr><th>a<th>b<tr><td>c<td>d</table>"

SOUND: dict[str, bytes] = {
    ".csv": b"id,title,text\n1,Heart,angina\n",
    ".docx": docx(paragraph("Heart", "H1") + paragraph("angina") + TABLE),
    ".htm": PAGE.encode(),
    ".html": PAGE.encode("utf-16"),
    ".json": written(bundle(ANGINA, NOTE)),
    ".json.gz": gzip.compress(written(bundle(ANGINA, NOTE)), mtime=0),
    ".jsonl": b'{"id": "1", "text": "angina"}\n',
    ".markdown": b"# Heart\n\nangina",
    ".md": b"---\ntitle: Heart\n---\nangina",
    ".ndjson": ndjson(PATIENT, ENCOUNTER, ANGINA),
    ".ndjson.gz": gzip.compress(ndjson(PATIENT, ENCOUNTER, ANGINA), mtime=0),
    ".pdf": pdf("angina", PICTURE, title="Heart"),
    ".txt": b"Heart\n\nangina",
    ".xhtml": PAGE.encode(),
    ".xml": clinical_document(structured(SECTION)),
}
"""A file of every suffix that says `angina`."""


def outcome(path: Path, content: bytes) -> Iterator[Document | Unreadable]:
    """Everything a reader makes of a file must be fit for the store and for a citation."""
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    for item in READERS.build(SUFFIXES[path.name[1:]]).read(SourceFile(path.name, path), "c"):
        if isinstance(item, Document):
            assert item.document_id
            assert item.name
            assert item.sections
            for section in item.sections:
                assert section.text.strip() == section.text != ""
                f"{item.name}{item.title}{section.heading}{section.text}".encode()
                assert len(section.heading) <= 500
                assert "\x00" not in section.text
        else:
            assert re.fullmatch(r"[a-z0-9_]+", item.code)
        yield item


def test_there_is_a_sound_file_of_every_suffix(tmp_path):
    """Every suffix is read, and what the file says is found in the documents."""
    assert SOUND.keys() == SUFFIXES.keys()
    for number, (suffix, content) in enumerate(SOUND.items()):
        items = list(outcome(tmp_path / str(number) / f"f{suffix}", content))
        texts = [section.text for item in items if isinstance(item, Document) for section in item.sections]
        assert any("angina" in text.lower() for text in texts), suffix
        assert {item.code for item in items if isinstance(item, Unreadable)} <= {"scanned_pages"}


@pytest.mark.parametrize("suffix", SUFFIXES)
@settings(deadline=None, max_examples=40)
@given(content=st.binary(max_size=400))
@example(content=b"")
@example(content=b"\xef\xbb\xbf")
@example(content=b"\xff\xfe")
def test_random_bytes(tmp_path_factory, suffix, content):
    """Nothing is raised, whatever the bytes."""
    path = tmp_path_factory.getbasetemp() / f"random{suffix.replace('.', '_')}" / f"f{suffix}"
    list(outcome(path, content))


@pytest.mark.parametrize("suffix", SUFFIXES)
@settings(deadline=None, max_examples=60)
@given(damage=st.data())
def test_damaged_files(tmp_path_factory, suffix, damage):
    """A sound file cut short, or with some of its bytes changed, removed or doubled, raises nothing either."""
    content = bytearray(SOUND[suffix])
    for _ in range(damage.draw(st.integers(1, 4))):
        at = damage.draw(st.integers(0, max(len(content) - 1, 0)))
        length = damage.draw(st.integers(0, 40))
        match damage.draw(st.sampled_from(("cut", "change", "remove", "double"))):
            case "cut":
                del content[at:]
            case "change":
                content[at : at + length] = damage.draw(st.binary(min_size=length, max_size=length))
            case "remove":
                del content[at : at + length]
            case "double":
                content[at:at] = content[at : at + length]
    path = tmp_path_factory.getbasetemp() / f"damaged{suffix.replace('.', '_')}" / f"f{suffix}"
    list(outcome(path, bytes(content)))


def test_one_folder_with_every_format_sound_and_damaged(folder, store, encoder):
    """A whole ingest: of each format one file is searchable, and its broken twin is listed and costs nothing else."""
    broken = {
        ".csv": b"no,columns\n1,2\n",
        ".json.gz": SOUND[".json.gz"][:-20],
        ".markdown": b"---\nopen",
        ".md": b"---\n[\n---\n",
        ".jsonl": b"{",
        ".html": b"<p>\xff",
        ".htm": b"<p>\xff",
        ".xhtml": b"<p>\xff",
        ".txt": b"\xff",
    }
    files: dict[str, str | bytes] = {}
    for suffix, content in SOUND.items():
        files[f"{suffix[1:].replace('.', '-')}/sound{suffix}"] = content.replace(b'"id": "1"', b'"id": "2"')
        files[f"{suffix[1:].replace('.', '-')}/broken{suffix}"] = broken.get(suffix, content[: len(content) // 2])
    report = ingest(folder(files), "c", store, encoder)
    bad = {item.path for item in report.unreadable if item.code != "scanned_pages"}
    assert bad == {name for name in files if "broken" in name}
    assert report.added == len(SOUND)
    assert report.added == store.counts("c").documents
    found = store.passages([int(one) for one in store.vectors("c")[0]])
    assert {one.source for one in store.documents("c").values()} == {name for name in files if "sound" in name}
    assert all(
        any("angina" in one.text.lower() for one in found if one.document_id == name) for name in store.documents("c")
    )
    assert store.check() == ()
    assert {reader_of(name) for name in files} == set(SUFFIXES.values())


def test_a_reader_that_fails_costs_its_file(folder, monkeypatch):
    """A fault of our own is listed by its kind, without a word of the file, and the next file is read."""

    def failing(self, source, collection):
        raise KeyError("CANARY")

    monkeypatch.setattr("retriever_node.readers.text.Text.read", failing)
    first, second = read_folder(folder({"a.txt": "x", "b.md": "y"}), "c")
    assert first == Unreadable("a.txt", "reader_failed", "KeyError")
    assert isinstance(second, Document)


def test_the_csv_of_a_spreadsheet_comes_back(tmp_path):
    """Whatever cells the library's own writer writes, the text of each row is read as it was."""
    cells = ["plain", 'with "quotes"', "with, comma", "two\nlines", "ünïcode", "'; DROP", "  padded  "]
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerows([["id", "text"], *([str(number), cell] for number, cell in enumerate(cells))])
    items = list(outcome(tmp_path / "t" / "t.csv", out.getvalue().encode()))
    assert [item.sections[0].text for item in items if isinstance(item, Document)] == [cell.strip() for cell in cells]
