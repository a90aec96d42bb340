"""What is deleted is in no file of the node's folder, once an ingest and a refresh of the serving node are done."""

import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from fedrag.core.config import PluginConfig
from fedrag.core.wire import ReleaseClass
from retriever_node.assemble import assemble, open_encoder, open_store
from retriever_node.config import CollectionConfig, NodeConfig
from retriever_node.home import NodeHome, create_node, open_config

SECRET = "# Qwyzzleburg fever\n\n## Vorpalitis\n\nThe frumious patient took jabberwockol, 41 mg, daily.\n"
WORDS = (b"qwyzzleburg", b"vorpaliti", b"frumious", b"jabberwockol")
NAME = b"snark-hunting.md"


def ingest(home: NodeHome) -> None:
    """As its owner does: a process of its own, beside the serving one."""
    command = [sys.executable, "-m", "retriever_node", "ingest", "--home", str(home.folder)]
    subprocess.run(command, check=True, capture_output=True, timeout=120)


def raw(home: NodeHome) -> dict[str, bytes]:
    """Every file, in lower case as well: words lie in an index as they are counted."""
    files = [path for path in home.folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(home.folder)): path.read_bytes() + path.read_bytes().lower() for path in files}


@pytest.mark.parametrize("index", ["faiss_flat", "faiss_hnsw", "faiss_ivf"])
def test_a_deleted_document_is_in_no_file(tmp_path: Path, folder, index: str) -> None:
    """Its words, its name and its vectors are in the store and the indexes before, and in none of all files after: with
    the node serving meanwhile, and again after it has closed its files."""
    others = {f"{number:02}.md": f"# Gout {number}\n\nUric acid, week {number}, toe." for number in range(40)}
    source = folder({**others, NAME.decode(): SECRET})
    home = NodeHome(tmp_path / "home")
    served = CollectionConfig(id="c", folder=source, release_class=ReleaseClass.PUBLIC)
    chosen = PluginConfig(name=index, settings={} if index == "faiss_flat" else {"exact_below": 0})
    config = NodeConfig(node="h1", name="h1", encoder=PluginConfig(name="hashing"), index=chosen, collections=(served,))
    create_node(home, config)
    ingest(home)
    node = assemble(home)
    collection = node.collections["c"].collection
    with closing(open_store(home, open_encoder(open_config(home)))) as store:
        stored = store.stored_vectors("c")
        (row,) = (
            vector
            for one, vector in zip(store.passages(stored.ids.tolist()), stored.vectors, strict=True)
            if one.document_id == NAME.decode()
        )
    traces = [*WORDS, NAME, row.tobytes(), row[16:48].tobytes()]
    before = b"".join(raw(home).values())
    assert all(trace in before for trace in traces)
    assert any(WORDS[0] in content for name, content in raw(home).items() if name.endswith("terms.txt"))
    folder({NAME.decode(): None})
    ingest(home)
    assert collection.refresh()
    for _ in range(2):
        assert [name for name, content in raw(home).items() if any(trace in content for trace in traces)] == []
        node.store.close()
        node.state.close()
        node = assemble(home)
    node.store.close()
    node.state.close()


def test_a_checkpoint_that_a_reader_hinders_says_so(store, encoder, tmp_path: Path, monkeypatch) -> None:
    """Something may then be left in the log; the next one takes it."""
    import sqlite3

    from retriever_node.documents import Document, PassageDraft

    document = Document("c", "a", "a", "a", "", None, (), "ab" * 32)
    store.put(document, [PassageDraft("a", "", 0, 1, "CANARY-55")], encoder.encode_passages(["x"]))
    log = tmp_path / "node" / "passages.sqlite-wal"
    with closing(sqlite3.connect(tmp_path / "node" / "passages.sqlite", isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM passages").fetchall()
        store.forget("c", "a")
        store._database.connection.execute("PRAGMA busy_timeout = 10")
        assert not store.checkpoint()
        assert b"CANARY-55" in log.read_bytes()
        reader.execute("COMMIT")
    assert store.checkpoint()
    assert log.read_bytes() == b""
    assert b"CANARY-55" not in (tmp_path / "node" / "passages.sqlite").read_bytes()
