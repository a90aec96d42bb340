"""Ingest beside the encoder: same store, in order, bounded, and nothing acknowledged that is not on disk."""

import json
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from itertools import cycle
from pathlib import Path

import pytest

from fedrag.core.wire import FloatMatrix
from fedrag.encoders.hashing import Hashing
from retriever_node.documents import Document
from retriever_node.ingest import _BATCHES, BATCH, embedded, ingest
from retriever_node.passages import embedding_text, split
from retriever_node.readers import read_folder
from retriever_node.store import PassageStore

LONG = " ".join(f"Sentence {n} has several words." for n in range(40))


class Uneven(Hashing):
    """Takes a while, now long, now short: batches end in another order than they were begun in."""

    def __init__(self) -> None:
        super().__init__(64, 64)
        self._pauses = cycle([0.02, 0, 0, 0.01])

    def encode_passages(self, texts: Sequence[str]) -> FloatMatrix:
        time.sleep(next(self._pauses))
        return super().encode_passages(texts)


class Failing(Hashing):
    """Cannot encode one of the documents, in the middle."""

    def encode_passages(self, texts: Sequence[str]) -> FloatMatrix:
        if any(text.startswith("T150\n") for text in texts):
            raise MemoryError
        return super().encode_passages(texts)


@pytest.fixture
def root(folder) -> Path:
    """Three hundred documents of one to several passages."""
    lines = [{"id": f"{n:03}", "title": f"T{n}", "text": f"{LONG if n % 7 == 3 else 'short'} {n}"} for n in range(300)]
    return folder({"all.jsonl": "\n".join(map(json.dumps, lines))})


def content(store: Path) -> list[tuple[object, ...]]:
    """Every row that a passage has, ids and the bytes of vectors included."""
    with closing(sqlite3.connect(store)) as opened:
        return opened.execute(
            'SELECT document, document_id, passage_id, section, start, "end", text, vector'
            " FROM documents JOIN passages USING (document) JOIN vectors USING (passage_id) ORDER BY passage_id"
        ).fetchall()


def test_the_store_is_the_one_of_a_plain_loop(root, store, encoder, tmp_path):
    """Oracle: read, cut, encode and put, one document after the other. Ids, texts and the bytes of vectors agree."""
    plain = PassageStore.open(tmp_path / "plain.sqlite", encoder.identity)
    for document in read_folder(root, "c"):
        assert isinstance(document, Document)
        drafts = split(document, encoder)
        plain.put(document, drafts, encoder.encode_passages([embedding_text(draft, encoder) for draft in drafts]))
    report = ingest(root, "c", store, Uneven())
    assert report.added == 300
    found = content(tmp_path / "node" / "passages.sqlite")
    assert len(found) == report.passages > 400
    assert found == content(tmp_path / "plain.sqlite")
    plain.close()


def test_what_is_told_is_on_disk(root, store, encoder, tmp_path):
    """At every tick another connection finds as many documents as were told, and no half one."""
    other = sqlite3.connect(tmp_path / "node" / "passages.sqlite")
    told = []

    def look(done: int, total: int) -> None:
        (there,) = other.execute("SELECT count(*) FROM documents").fetchone()
        told.append((done, there, total))

    ingest(root, "c", store, Uneven(), progress=look)
    other.close()
    assert told == [(number, number, 300) for number in range(1, 301)]


def test_a_failing_encoder_ends_the_ingest_and_leaves_whole_documents(root, store, encoder):
    """Its own error, not another; what was told is there, in the folder's order, and the next run does the rest."""
    told: list[int] = []
    with pytest.raises(MemoryError):
        ingest(root, "c", store, Failing(64, 64), progress=lambda done, total: told.append(done))
    there = sorted(store.documents("c"))
    assert there == [f"{number:03}" for number in range(len(told))]
    assert 0 < len(there) <= 150
    assert store.check() == ()
    assert [thread.name for thread in threading.enumerate() if thread.name.startswith("encoding")] == []
    report = ingest(root, "c", store, encoder)
    assert (report.added, report.unchanged) == (300 - len(there), len(there))


def test_reading_goes_on_while_the_encoder_works(root, encoder):
    """The first batch is not encoded before the second is cut and handed over; one after the other would never end."""
    second = threading.Event()
    seen: list[bool] = []

    class Waiting(Hashing):
        def encode_passages(self, texts: Sequence[str]) -> FloatMatrix:
            if "T0" in texts[0].split("\n"):
                seen.append(second.wait(10))
            else:
                second.set()
            return super().encode_passages(texts)

    documents = (item for item in read_folder(root, "c") if isinstance(item, Document))
    assert len(list(embedded(documents, Waiting(64, 64), ["title", "text"]))) == 300
    assert seen == [True]


def test_only_the_documents_in_hand_are_read(root, encoder):
    """However slow the store is, no more than the batches under way have been taken from the folder."""
    taken: list[str] = []

    def noted() -> Iterator[Document]:
        for item in read_folder(root, "c"):
            assert isinstance(item, Document)
            taken.append(item.document_id)
            yield item

    ahead = [len(taken) - number for number, _ in enumerate(embedded(noted(), encoder, ["title"]))]
    assert BATCH < max(ahead) <= (_BATCHES + 1) * BATCH
