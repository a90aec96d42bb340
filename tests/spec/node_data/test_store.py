"""The passage store: whole documents or none, one encoder, one format, and what `check` finds."""

import sqlite3
import stat
import subprocess
import sys
import threading
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import pytest

from fedrag.core.errors import ConfigError, FedragError, IntegrityError, Unavailable
from retriever_node.calibration import Calibration, Calibrations
from retriever_node.documents import Document, PassageDraft
from retriever_node.store import PassageStore
from retriever_node.store.catalogue import Counts
from retriever_node.store.schema import FORMAT
from retriever_node.store.soundness import Problem


def document(name: str, collection: str = "c", version: str = "1") -> Document:
    return Document(collection, name, f"{name}.md", f"Title {name}", version, date(2026, 1, 2), (), "ab" * 32, "f.md")


def drafts(*texts: str) -> list[PassageDraft]:
    return [PassageDraft("t", "Section", 100 * n, 100 * n + len(text), text) for n, text in enumerate(texts)]


def put(store: PassageStore, encoder, name: str, *texts: str, collection: str = "c") -> None:
    store.put(document(name, collection), drafts(*texts), encoder.encode_passages(texts))


def test_a_passage_comes_back_with_everything_a_citation_needs(store, encoder):
    """What was put is what is read, and the citation points at its characters."""
    put(store, encoder, "gout", "toe", "knee")
    ids, vectors = store.vectors("c")
    (second,) = store.passages([int(ids[1])])
    assert second.citation().model_dump(exclude_none=True) == {
        "document_id": "gout",
        "document_name": "gout.md",
        "title": "Title gout",
        "section": "Section",
        "version": "1",
        "effective_date": date(2026, 1, 2),
        "locator": "char=100,104",
    }
    assert second.text == "knee"
    np.testing.assert_array_equal(vectors, encoder.encode_passages(["toe", "knee"]))


def test_passages_come_in_the_order_asked_for_without_the_forgotten(store, encoder):
    """More ids than one statement takes, backwards, one of them gone: the others in that order."""
    put(store, encoder, "a", *(f"text {number}" for number in range(700)))
    put(store, encoder, "b", "other")
    ids = [int(number) for number in store.vectors("c")[0]]
    store.forget("c", "b")
    assert [passage.passage_id for passage in store.passages(ids[::-1])] == ids[-2::-1]


def test_vectors_do_not_depend_on_the_order_of_ingestion(store, encoder, tmp_path):
    """Rows are ordered by document and offset, so two nodes with one corpus break ties alike."""
    other = PassageStore.open(tmp_path / "other.sqlite", encoder.identity)
    for name in ("b", "a", "c"):
        put(store, encoder, name, f"{name} one", f"{name} two")
    for name in ("c", "b", "a", "b"):
        put(other, encoder, name, f"{name} one", f"{name} two")
    texts = [
        [passage.text for passage in each.passages([int(i) for i in each.vectors("c")[0]])] for each in (store, other)
    ]
    assert texts[0] == texts[1] == ["a one", "a two", "b one", "b two", "c one", "c two"]
    np.testing.assert_array_equal(store.vectors("c")[1], other.vectors("c")[1])
    other.close()


def test_generation_counts_changes_of_its_own_collection(store, encoder):
    """Every put and forget is one; nothing else is."""
    assert store.generation("c") == 0
    put(store, encoder, "a", "x")
    put(store, encoder, "a", "y")
    put(store, encoder, "a", "z", collection="d")
    assert (store.generation("c"), store.generation("d")) == (2, 1)
    assert store.forget("c", "a")
    assert not store.forget("c", "a")
    assert (store.generation("c"), store.counts("c"), store.counts("d")) == (3, Counts(0, 0), Counts(1, 1))


def test_passage_ids_are_never_used_again(store, encoder):
    """A handle sealed for a forgotten passage can never open another one."""
    put(store, encoder, "a", "x")
    (first,) = store.vectors("c")[0]
    store.forget("c", "a")
    put(store, encoder, "b", "y")
    assert store.vectors("c")[0][0] > first
    assert store.passages([int(first)]) == ()


def test_forgotten_text_is_not_in_the_files(store, encoder, tmp_path):
    """After a checkpoint no file of the store holds a forgotten document's text."""
    put(store, encoder, "a", "CANARY-7391 " * 500)
    put(store, encoder, "b", "stays")
    store.checkpoint()
    files = list((tmp_path / "node").iterdir())
    assert any(b"CANARY-7391" in path.read_bytes() for path in files)
    store.forget("c", "a")
    store.checkpoint()
    assert not any(b"CANARY-7391" in path.read_bytes() for path in files)


def test_files_are_readable_by_their_owner_only(store, encoder, tmp_path):
    """Passages of patients are not left readable to every account of the machine."""
    put(store, encoder, "a", "x")
    for path in (tmp_path / "node").iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path.name


@pytest.mark.parametrize(
    "vectors", [np.ones((1, 64)), np.ones((2, 63)), np.full((2, 64), np.nan), np.full((2, 64), np.inf)]
)
def test_vectors_that_do_not_fit_change_nothing(store, vectors):
    """A wrong shape or a NaN is refused before anything is written."""
    with pytest.raises(IntegrityError) as refused:
        store.put(document("a"), drafts("x", "y"), vectors.astype(np.float32))
    assert refused.value.code == "bad_vectors"
    assert (store.generation("c"), store.counts("c")) == (0, Counts(0, 0))


def test_a_failure_inside_a_document_leaves_the_old_one(store, encoder):
    """The second passage cannot be stored (its text is null): the document as it was before is still whole."""
    put(store, encoder, "a", "old")
    broken = [*drafts("new"), PassageDraft("t", "s", 0, 1, None)]  # type: ignore[arg-type]
    with pytest.raises(FedragError):
        store.put(document("a"), broken, encoder.encode_passages(["new", "x"]))
    assert [passage.text for passage in store.passages([int(i) for i in store.vectors("c")[0]])] == ["old"]
    assert (store.generation("c"), store.check()) == (1, ())


def test_another_encoder_is_refused(tmp_path, store, encoder, other_identity):
    """Vectors of two encoders never mix; a new name for the same one is no other encoder."""
    path = tmp_path / "node" / "passages.sqlite"
    with pytest.raises(ConfigError) as refused:
        PassageStore.open(path, other_identity)
    assert refused.value.code == "other_encoder"
    PassageStore.open(path, encoder.identity.model_copy(update={"name": "renamed"})).close()


def test_newer_format_foreign_file_and_rubbish_are_told_apart(tmp_path, store, encoder):
    """Each has its own code, and none is overwritten."""
    path = tmp_path / "node" / "passages.sqlite"
    store.close()
    database = sqlite3.connect(path)
    database.execute(f"PRAGMA user_version = {FORMAT + 1}")
    database.close()
    foreign = tmp_path / "foreign.sqlite"
    other = sqlite3.connect(foreign)
    other.execute("CREATE TABLE mine (x)")
    other.close()
    rubbish = tmp_path / "rubbish.sqlite"
    rubbish.write_bytes(b"not a database" * 100)
    folder = tmp_path / "node"
    for file, code in (
        (path, "newer_format"),
        (foreign, "not_a_store"),
        (rubbish, "corrupt_store"),
        (folder, "store_unavailable"),
        (rubbish / "below.sqlite", "store_unavailable"),
    ):
        before = file.read_bytes() if file.is_file() else b""
        with pytest.raises(FedragError) as refused:
            PassageStore.open(file, encoder.identity)
        assert refused.value.code == code
        assert (file.read_bytes() if file.is_file() else b"") == before


def test_a_closed_store_says_so(store):
    """Using a store after closing it is an expected failure, not a foreign exception."""
    store.close()
    with pytest.raises(Unavailable):
        store.generation("c")


def test_check_finds_each_kind_of_damage(tmp_path, store, encoder):
    """A sound store has no problems; each kind of damage is counted under its code."""
    put(store, encoder, "a", "x", "y", "z")
    put(store, encoder, "b", "w")
    assert store.check() == ()
    database = sqlite3.connect(tmp_path / "node" / "passages.sqlite")
    database.execute("UPDATE vectors SET vector = zeroblob(256) WHERE passage_id = 1")
    database.commit()
    assert store.check() == (Problem("not_a_unit_vector", 1),)
    database.execute("UPDATE vectors SET vector = x'00' WHERE passage_id = 1")
    database.execute("DELETE FROM vectors WHERE passage_id = 2")
    database.execute("DELETE FROM passages WHERE passage_id = 3")  # without foreign keys its vector stays behind
    database.execute("DELETE FROM passages WHERE document = 2")
    database.commit()
    database.close()
    assert store.check() == (
        Problem("broken_reference", 2),
        Problem("passage_without_vector", 1),
        Problem("document_without_passage", 1),
        Problem("wrong_dimension", 1),
    )
    with pytest.raises(IntegrityError):
        store.vectors("c")


def test_calibrations_and_description_are_kept_with_their_versions(tmp_path, store, encoder):
    """The newest calibration wins; a description's version moves only when its content does; both survive reopening."""
    assert store.calibrations("c") is None
    store.put_calibrations("c", 3, Calibrations(Calibration(5.0, -1.0), Calibration(6.0, -3.0)))
    store.put_calibrations("c", 4, Calibrations(Calibration(7.0, -2.0), Calibration(8.0, -4.0)))
    first, second = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 2, 2, tzinfo=UTC)
    assert store.described("c", "aa", first) == (1, first)
    assert store.described("c", "aa", second) == (1, first)
    assert store.described("c", "bb", second) == (2, second)
    store.close()
    again = PassageStore.open(tmp_path / "node" / "passages.sqlite", encoder.identity)
    assert again.calibrations("c") == (4, Calibrations(Calibration(7.0, -2.0), Calibration(8.0, -4.0)))
    assert again.described("c", "aa", first) == (3, first)
    again.close()


def test_threads_read_whole_generations_while_one_writes(store, encoder):
    """Every document has two passages: no reader ever sees an odd number, and no call fails."""
    seen: list[int] = []
    finished = threading.Event()

    def read() -> None:
        while not finished.is_set():
            seen.append(len(store.vectors("c")[0]))

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    for number in range(60):
        put(store, encoder, f"d{number % 20}", f"one {number}", f"two {number}")
    finished.set()
    for reader in readers:
        reader.join()
    assert seen
    assert all(count % 2 == 0 for count in seen)
    assert store.counts("c") == Counts(20, 40)


def test_another_process_may_write_meanwhile(tmp_path, store, encoder):
    """A command in its own process adds a document; the open store sees it."""
    put(store, encoder, "a", "x")
    script = f"""
from pathlib import Path
from datetime import date
from fedrag.encoders.hashing import Hashing
from retriever_node.documents import Document, PassageDraft
from retriever_node.store import PassageStore
encoder = Hashing(64, 64)
store = PassageStore.open(Path({str(tmp_path / "node" / "passages.sqlite")!r}), encoder.identity)
document = Document("c", "b", "b", "b", "", None, (), "ab" * 32)
store.put(document, [PassageDraft("b", "", 0, 1, "y")], encoder.encode_passages(["y"]))
"""
    subprocess.run([sys.executable, "-c", script], check=True, cwd=Path(__file__).parents[3])
    assert store.document_hashes("c") == {"a": "ab" * 32, "b": "ab" * 32}
