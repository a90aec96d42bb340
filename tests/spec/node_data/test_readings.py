"""A second ingest parses what has changed, and nothing that has not.

Oracle: an ingest of the same folder without readings, into a store with the same past: same report, same documents.
"""

import gzip
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import astuple, replace
from pathlib import Path

import numpy as np
import pytest

from fedrag.encoders.hashing import Hashing
from retriever_node import readings as module
from retriever_node.documents import Document, Unreadable
from retriever_node.ingest import IngestReport, ingest
from retriever_node.readers import Files
from retriever_node.sources import SourceFile
from retriever_node.store import PassageStore

FILES: dict[str, str | bytes | None] = {
    "a.md": "# Gout\n\nToe pain.",
    "b.txt": "Fever.",
    "c.csv": "id,text\n7,Cough\n8,Rash\n8,Again\n",
    "d.jsonl": '{"id": "j1", "text": "one"}\n{broken\n{"id": "j2", "text": "two"}\n{"id": "j1", "text": "again"}\n',
    "e.pdf": b"%PDF-1.7 damaged",
    "f.xyz": b"what",
    "g/h.md": "Deep.",
    "i.md": "  ",
}


class Parsed:
    """The files that a reader was given."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.names: list[str] = []
        read = Files.read

        def watched(files: Files, found: SourceFile) -> Iterator[Document | Unreadable]:
            self.names.append(found.name)
            return read(files, found)

        monkeypatch.setattr(Files, "read", watched)

    def taken(self) -> list[str]:
        names, self.names = self.names, []
        return names


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> Parsed:
    return Parsed(monkeypatch)


class Pair:
    """Two stores of the same folder, with and without readings."""

    def __init__(self, root: Path, place: Path, encoder: Hashing, parsed: Parsed) -> None:
        self.root, self.parsed, self.encoder = root, parsed, encoder
        self.readings = place / "readings" / "c"
        self.stores = [PassageStore.open(place / f"{n}.sqlite", encoder.identity) for n in ("kept", "plain")]
        key = self.stores[0].document_key.hex()
        with self.stores[1]._database.writing() as database:
            database.execute("UPDATE settings SET value = ? WHERE name = 'document_key'", (key,))

    def run(self, **reader: object) -> tuple[IngestReport, list[str]]:
        """The report, and what was parsed for it. Whatever was parsed, both stores hold the same."""
        expected = ingest(self.root, "c", self.stores[1], self.encoder, reader=reader)
        self.parsed.taken()
        found = ingest(self.root, "c", self.stores[0], self.encoder, reader=reader, readings=self.readings)
        assert replace(found, elapsed_s=0) == replace(expected, elapsed_s=0)
        assert self.stores[0].documents("c") == self.stores[1].documents("c")
        kept, plain = (store.stored_vectors("c") for store in self.stores)
        assert np.array_equal(kept.vectors, plain.vectors)
        ours, theirs = (one.passages(v.ids.tolist()) for one, v in zip(self.stores, (kept, plain), strict=True))
        assert [astuple(one)[1:] for one in ours] == [astuple(one)[1:] for one in theirs]
        return found, self.parsed.taken()


@pytest.fixture
def pair(folder, tmp_path, encoder, parsed) -> Iterator[Pair]:
    made = Pair(folder(FILES), tmp_path, encoder, parsed)
    yield made
    for store in made.stores:
        store.close()


READABLE = ["a.md", "b.txt", "c.csv", "d.jsonl", "e.pdf", "g/h.md", "i.md"]


def test_what_has_not_changed_is_not_parsed(pair):
    """All documents of a file with several stay, and the second report lists everything unreadable as the first did."""
    first, parsed = pair.run()
    assert parsed == [*READABLE, "a.md", "b.txt", "c.csv", "d.jsonl", "g/h.md"]
    second, parsed = pair.run()
    assert parsed == []
    assert (second.added, second.changed, second.deleted, second.unchanged) == (0, 0, 0, first.added)
    assert second.unreadable == first.unreadable


@pytest.mark.parametrize(
    ("change", "again"),
    [
        ({"a.md": "# Gout\n\nToe ache."}, ["a.md", "a.md"]),
        ({"a.md": None}, []),
        ({"a.md": "# Gout\n\nToe pain. "}, ["a.md"]),
        ({"d.jsonl": '{"id": "j2", "text": "two"}\n'}, ["d.jsonl"]),
        ({"d.jsonl": '{"id": "j2", "text": "other"}\n{"id": "j3", "text": "new"}\n'}, ["d.jsonl", "d.jsonl"]),
        ({"d.jsonl": ""}, ["d.jsonl"]),
        ({"c.csv": "id,text\nj1,Mine\n"}, ["c.csv", "c.csv"]),
        ({"b.txt": b"\xff"}, ["b.txt"]),
        ({"b.txt": None, "z.txt": "Fever."}, ["z.txt", "z.txt"]),
        ({"a.md": "Fever.", "b.txt": "# Gout\n\nToe pain."}, ["a.md", "b.txt", "a.md", "b.txt"]),
        ({"g/h.md": None, "i.md": "Deep."}, ["i.md", "i.md"]),
    ],
)
def test_every_change_is_seen(pair, folder, change, again):
    """Whatever becomes of a file: edited with no change of meaning, emptied, moved, exchanged for another, or with an
    id that another file had. Only what changed is parsed, twice where it is embedded. Afterwards nothing is left to do,
    and what comes back is as it was."""
    pair.run()
    folder(change)
    assert pair.run()[1] == again
    assert pair.run()[1] == []
    folder({name: FILES.get(name) for name in change if (pair.root / name).exists() or FILES.get(name) is not None})
    pair.run()
    assert pair.run()[1] == []


def test_a_change_that_keeps_size_and_time_is_seen(pair):
    """Size, modification time and file number prove nothing."""
    pair.run()
    path = pair.root / "b.txt"
    before = path.stat()
    with path.open("r+b") as file:
        file.write(b"Chill.")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    after = path.stat()
    assert (after.st_size, after.st_mtime_ns, after.st_ino) == (before.st_size, before.st_mtime_ns, before.st_ino)
    report, parsed = pair.run()
    assert (report.changed, parsed) == (1, ["b.txt", "b.txt"])


def test_a_new_time_alone_is_no_change(pair):
    """A folder that is copied or restored is not parsed again."""
    pair.run()
    copied = pair.root.with_name("copied")
    shutil.copytree(pair.root, copied)
    pair.root = copied
    assert pair.run()[1] == []


@pytest.mark.parametrize("harm", ["flip", "cut", "gone", "empty", "line", "garbage"])
def test_damaged_readings_cost_a_reading(pair, harm):
    """Every byte is under one checksum: what is not whole is as good as none."""
    pair.run()
    whole = pair.readings.read_bytes()
    lines = whole.split(b"\n")
    damaged = {
        "flip": whole.replace(b'"j1"', b'"k1"', 1),
        "cut": whole[:-1],
        "empty": b"",
        "line": b"\n".join([lines[0], *lines[2:]]),
        "garbage": os.urandom(500),
    }
    if harm == "gone":
        pair.readings.unlink()
    else:
        assert damaged[harm] != whole
        pair.readings.write_bytes(damaged[harm])
    assert pair.run()[1] == READABLE
    assert pair.readings.read_bytes() == whole
    assert pair.run()[1] == []


def test_what_the_store_has_lost_is_read_again(pair):
    """Readings say what files hold, not what is stored."""
    pair.run()
    for store in pair.stores:
        store.forget("c", "j2")
        store.forget("c", "a.md")
    report, parsed = pair.run()
    assert (report.added, parsed) == (2, ["a.md", "d.jsonl"])


def test_another_recipe_reads_everything(pair, monkeypatch):
    """Settings of a reader, fields, and a program or library of another version."""
    pair.run()
    assert pair.run(jsonl={"title": "name"})[1] == READABLE
    assert pair.run(jsonl={"title": "name"})[1] == []
    assert set(pair.run(jsonl={"title": "name"}, embed=["text"])[1]) == set(READABLE)
    pair.run()
    monkeypatch.setattr(module, "_version", lambda name: "9" if name == "pypdf" else "")
    assert pair.run()[1] == READABLE
    monkeypatch.setattr(module, "_program", lambda: ["other"])
    assert pair.run()[1] == READABLE


def test_a_file_that_changes_while_it_is_read_is_not_kept(pair, monkeypatch):
    """Written to between its hash and its parse, and put back: what was parsed is not what the hash is of."""
    read, path = Files.read, pair.root / "b.txt"

    def late(files: Files, found: SourceFile) -> Iterator[Document | Unreadable]:
        if found.name != "b.txt":
            yield from read(files, found)
            return
        path.write_text("Chill.")
        yield from read(files, found)
        path.write_text("Fever.")

    with monkeypatch.context() as patched:
        patched.setattr(Files, "read", late)
        pair.run()
    assert pair.run()[1][0] == "b.txt"
    assert pair.run()[1] == []


def test_what_may_be_read_the_next_time_is_tried_again(pair, monkeypatch):
    """A fault in a reader, a missing library and a missing permission are no property of the bytes."""
    pair.run()
    read = Files.read

    def faulty(files: Files, found: SourceFile) -> Iterator[Document | Unreadable]:
        if found.name == "b.txt":
            yield found.unreadable("reader_failed", "MemoryError")
        else:
            yield from read(files, found)

    (pair.root / "b.txt").write_text("Chill.")
    with monkeypatch.context() as patched:
        patched.setattr(Files, "read", faulty)
        assert pair.run()[0].unchanged == 7
    report, parsed = pair.run()
    assert (report.changed, parsed) == (1, ["b.txt", "b.txt"])


@pytest.mark.parametrize("packed", [False, True])
def test_a_file_whose_meaning_is_in_another_is_read_when_that_changes(folder, tmp_path, encoder, parsed, packed):
    """A FHIR export: with the patient's name in another file, a condition is read anew when the patient changes, when
    another file of patients appears, and when it goes."""

    def ndjson(*resources: object) -> bytes:
        raw = "\n".join(map(json.dumps, resources)).encode()
        return gzip.compress(raw, mtime=0) if packed else raw

    end = ".ndjson.gz" if packed else ".ndjson"
    condition = {
        "resourceType": "Condition",
        "id": "1",
        "subject": {"reference": "Patient/7"},
        "code": {"text": "Gout of Miller"},
    }
    patient = {"resourceType": "Patient", "id": "7", "name": [{"family": "Miller", "given": ["Ann"]}]}
    root = folder({f"Condition{end}": ndjson(condition), "note.txt": "Fever."})
    pair = Pair(root, tmp_path, encoder, parsed)
    pair.run()
    assert pair.run()[1] == []
    folder({f"Patient{end}": ndjson(patient)})
    assert set(pair.run()[1]) == {f"Condition{end}", f"Patient{end}"}
    assert pair.run()[1] == []
    folder({f"Patient{end}": ndjson({**patient, "name": [{"family": "Meyer"}]})})
    assert set(pair.run()[1]) == {f"Condition{end}", f"Patient{end}"}
    folder({f"Patient{end}": None})
    assert set(pair.run()[1]) == {f"Condition{end}"}
    assert pair.run()[1] == []


def test_readings_are_for_their_owner_and_hold_no_text(pair):
    """And nothing of a file that is gone; a disk that does not take them costs the next run."""
    pair.run()
    assert pair.readings.stat().st_mode & 0o077 == pair.readings.parent.stat().st_mode & 0o077 == 0
    raw = pair.readings.read_bytes()
    assert [word for word in (b"pain", b"Fever", b"Cough", b"Deep", b"two") if word in raw] == []
    (pair.root / "a.md").unlink()
    pair.run()
    assert b"a.md" not in pair.readings.read_bytes()
    assert [path.name for path in pair.readings.parent.iterdir()] == ["c"]


def test_a_disk_that_takes_no_readings_costs_the_next_run(pair):
    """The ingest is done all the same."""
    pair.readings.parent.write_bytes(b"")  # a file where the folder should be
    pair.run()
    assert len(pair.run()[1]) == len(READABLE)
