"""Ingest: only what changed is embedded, what is gone goes, and a killed run is finished by the next."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fedrag.core.errors import ConfigError, InputError
from fedrag.encoders.hashing import Hashing
from retriever_node.documents import Unreadable
from retriever_node.ingest import BATCH, ingest
from retriever_node.store import PassageStore
from retriever_node.store.catalogue import Counts


def run(root: Path, store: PassageStore, encoder: Hashing, **more: object) -> tuple[int, int, int, int]:
    report = ingest(root, "c", store, encoder, **more)  # type: ignore[arg-type]
    return report.added, report.changed, report.unchanged, report.deleted


def texts(store: PassageStore) -> set[str]:
    return {passage.text for passage in store.passages([int(i) for i in store.vectors("c")[0]])}


def test_add_change_delete(folder, store, encoder):
    """The four counts by hand over four states of a folder."""
    root = folder({"a.md": "alpha", "b.txt": "beta", "c.md": "gamma"})
    assert run(root, store, encoder) == (3, 0, 0, 0)
    assert run(root, store, encoder) == (0, 0, 3, 0)
    folder({"a.md": "alpha two", "b.txt": None, "d.md": "delta"})
    assert run(root, store, encoder) == (1, 1, 1, 1)
    assert texts(store) == {"alpha two", "gamma", "delta"}
    assert store.check() == ()


def test_nothing_is_encoded_twice(folder, store, counting):
    """A second run over the same folder encodes nothing and leaves the generation alone."""
    root = folder({"a.md": "alpha"})
    run(root, store, counting)
    generation, batches = store.generation("c"), len(counting.batches)
    assert run(root, store, counting) == (0, 0, 1, 0)
    assert (store.generation("c"), len(counting.batches)) == (generation, batches)


def test_other_fields_to_embed_are_a_change(folder, store, encoder):
    """The same text under another `embed` has other vectors, so it is embedded anew."""
    root = folder({"a.md": "# Gout\n\nToe pain."})
    run(root, store, encoder)
    assert run(root, store, encoder, reader={"embed": ["title"]}) == (0, 1, 0, 0)
    assert (store.vectors("c")[1] == encoder.encode_passages(["Gout"])).all()
    assert texts(store) == {"Toe pain."}


def test_batches_are_filled_across_documents(folder, store, counting):
    """One hundred short documents are two calls to the encoder, not a hundred."""
    root = folder({"all.jsonl": "\n".join(json.dumps({"id": f"{n:03}", "text": f"text {n}"}) for n in range(100))})
    seen: list[tuple[int, int]] = []
    ingest(root, "c", store, counting, progress=lambda done, total: seen.append((done, total)))
    assert sorted(len(batch) for batch in counting.batches[:2]) == [100 - BATCH, BATCH]  # side by side
    assert seen == [(n, 100) for n in range(1, 101)]


def test_each_document_has_its_own_vectors(folder, store, encoder):
    """Batching does not shift rows: every stored vector is the encoding of its own title and text."""
    long = " ".join(f"Sentence {n} has several words." for n in range(40))
    root = folder({f"{n:02}.md": f"# T{n}\n\n## S\n\n{long if n % 7 == 3 else 'short'} {n}" for n in range(30)})
    ingest(root, "c", store, encoder)
    ids, vectors = store.vectors("c")
    passages = store.passages([int(i) for i in ids])
    assert len(passages) > 40
    assert (vectors == encoder.encode_passages([f"{p.title}. {p.section}\n{p.text}" for p in passages])).all()


def test_what_cannot_be_read_is_reported_and_its_documents_are_kept(folder, store, encoder):
    """A file that breaks keeps what was read from it before; one emptied or deleted does not."""
    line = '{"id": "%s", "text": "%s"}\n'
    root = folder({"a.md": "alpha", "b.md": "beta", "r.jsonl": line % ("x", "one") + line % ("y", "two")})
    run(root, store, encoder)
    folder({"a.md": b"\xff\xfe", "b.md": "", "r.jsonl": line % ("x", "one") + "{broken\n"})
    report = ingest(root, "c", store, encoder)
    assert report.unreadable == (
        Unreadable("a.md", "not_utf8", "byte 0 is not UTF-8"),
        Unreadable("b.md", "empty", "no text"),
        Unreadable("r.jsonl", "bad_json", "line 2: not JSON"),
    )
    assert (report.unchanged, report.deleted, texts(store)) == (3, 1, {"alpha", "one", "two"})
    folder({"a.md": None, "r.jsonl": line % ("x", "one")})
    assert run(root, store, encoder) == (0, 0, 1, 2)


def test_a_change_is_calibrated_anew(folder, store, encoder):
    """After every run the calibration is of the present generation."""
    root = folder({"a.md": "alpha"})
    for content in ("alpha", "beta"):
        folder({"a.md": content})
        run(root, store, encoder)
        stored = store.calibrations("c")
        assert stored is not None
        assert stored[0] == store.generation("c")


@pytest.mark.parametrize(
    ("reader", "code"),
    [
        ({"embed": []}, "bad_setting"),
        ({"embed": ["body"]}, "bad_setting"),
        ({"jsonl": {"titel": "t"}}, "bad_setting"),
        ({"jsonl": "x"}, "bad_setting"),
        ({"parchment": {}}, "unknown_plugin"),
    ],
)
def test_bad_settings_are_errors_before_anything_is_touched(folder, store, encoder, reader, code):
    """Misspelt settings and formats fail loudly, and nothing is deleted for them."""
    root = folder({"a.md": "alpha"})
    run(root, store, encoder)
    with pytest.raises(ConfigError) as refused:
        run(root, store, encoder, reader=reader)
    assert refused.value.code == code
    assert store.counts("c") == Counts(1, 1)


def test_a_missing_folder_deletes_nothing(folder, store, encoder, tmp_path):
    """A share that is not mounted is an error, not an empty collection."""
    run(folder({"a.md": "alpha"}), store, encoder)
    with pytest.raises(InputError) as refused:
        run(tmp_path / "gone", store, encoder)
    assert refused.value.code == "missing_folder"
    assert store.counts("c") == Counts(1, 1)


SCRIPT = """
import sys
from pathlib import Path
from fedrag.encoders.hashing import Hashing
from retriever_node.ingest import ingest
from retriever_node.store import PassageStore
encoder = Hashing(64, 64)
store = PassageStore.open(Path(sys.argv[1]), encoder.identity)
ingest(Path(sys.argv[2]), "c", store, encoder, progress=lambda done, total: print(done, flush=True))
"""


@pytest.mark.parametrize("after", [1, 64, 150])
def test_a_killed_ingest_leaves_whole_documents_and_is_resumed(folder, tmp_path, encoder, after):
    """SIGKILL in the middle: what is there is whole and sound, and the next run embeds exactly the rest."""
    long = " ".join(f"Sentence {n} has several words." for n in range(60))
    root = folder({f"{n:03}.md": f"# Title {n}\n\n{long}" for n in range(200)})
    path = tmp_path / "killed.sqlite"
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(path), str(root)],
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[3],
        text=True,
    )
    assert process.stdout is not None
    for line in process.stdout:
        if int(line) >= after:
            break
    time.sleep(0.002)
    os.kill(process.pid, signal.SIGKILL)
    process.stdout.close()
    assert process.wait() == -signal.SIGKILL
    store = PassageStore.open(path, encoder.identity)
    counts = store.counts("c")
    assert store.check() == ()
    assert after <= counts.documents < 200
    assert counts.passages % counts.documents == 0  # all documents have the same number of passages
    assert store.generation("c") == counts.documents
    report = ingest(root, "c", store, encoder)
    assert (report.added, report.unchanged) == (200 - counts.documents, counts.documents)
    assert store.check() == ()
    store.close()
