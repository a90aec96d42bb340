"""Repair takes out what is damaged and can be made again, says so, and leaves alone what exists nowhere else.

Oracle: the passages and vectors of the store before it was damaged; what is left is a part of them to the byte, and the
next ingest makes it the whole.
"""

import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner

from fedrag.core.config import PluginConfig
from fedrag.core.errors import FedragError
from fedrag.core.wire import ReleaseClass
from retriever_node import audit
from retriever_node.assemble import assemble, open_encoder, open_store
from retriever_node.cli import app
from retriever_node.config import CollectionConfig, NodeConfig
from retriever_node.home import NodeHome, create_node, open_config
from retriever_node.ingest import ingest
from retriever_node.repair import Finding, examine, repair

NOW = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
PAGE = 4096
WHOLE_PASSAGE = ["DELETE FROM vectors WHERE passage_id = 3", "DELETE FROM passages WHERE passage_id = 3"]


@pytest.fixture
def home(tmp_path: Path, folder) -> NodeHome:
    """Thirty documents of two passages, indexed, with two lines of audit; its log is empty."""
    source = folder(
        {f"{n:02}.md": f"# Gout {n}\n\n## A\n\nuric acid {n}\n\n## B\n\ntoe {n} " + f"w{n} " * 90 for n in range(30)}
    )
    place = NodeHome(tmp_path / "home")
    served = CollectionConfig(id="c", folder=source, release_class=ReleaseClass.PUBLIC)
    create_node(place, NodeConfig(node="h1", name="h1", encoder=PluginConfig(name="hashing"), collections=(served,)))
    filled(place)
    node = assemble(place)
    with node.state.transaction() as connection:
        for number in range(2):
            audit.append(connection, audit.AuditEvent(audit.timestamp(number), "offers", "r", "a", "treatment", "hub"))
    node.store.close()
    node.state.close()
    return place


def filled(home: NodeHome) -> None:
    config = open_config(home)
    encoder = open_encoder(config)
    with closing(open_store(home, encoder)) as store:
        ingest(config.collections[0].folder, "c", store, encoder)


def content(home: NodeHome) -> dict[str, list[tuple[object, ...]]]:
    with closing(open_store(home, open_encoder(open_config(home)))) as store:
        stored = store.stored_vectors("c")
        found: dict[str, list[tuple[object, ...]]] = {}
        for one, vector in zip(store.passages(stored.ids.tolist()), stored.vectors, strict=True):
            row = (one.title, one.section, one.start, one.end, one.text, one.version, vector.tobytes())
            found.setdefault(one.document_id, []).append(row)
    return found


def run(home: NodeHome, command: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, [command, "--home", str(home.folder)])
    return done.exit_code, done.stdout


def changed(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path)) as database, database:
        for statement in statements:
            database.execute(statement)


def test_a_sound_home_is_left_alone(home: NodeHome) -> None:
    """Nothing is found, nothing said, and no byte of the store changes."""
    before = home.passages.read_bytes()
    assert examine(home) == ()
    assert repair(home, NOW) == ()
    assert home.passages.read_bytes() == before
    assert run(home, "repair") == (0, "nothing is damaged\n")


@pytest.mark.parametrize(
    ("damage", "code", "lost"),
    [
        (["DELETE FROM vectors WHERE passage_id = 1"], "passage_without_vector", {"00.md"}),
        (["DELETE FROM passages WHERE document = 2"], "document_without_passage", {"01.md"}),
        (["UPDATE vectors SET vector = x'00' WHERE passage_id = 5"], "wrong_dimension", {"02.md"}),
        (["UPDATE vectors SET vector = zeroblob(length(vector)) WHERE passage_id = 1"], "not_a_unit_vector", {"00.md"}),
        (["DELETE FROM documents WHERE document = 4"], "broken_reference", {"03.md"}),
        (["UPDATE passages SET text = replace(text, 'c', 'k') WHERE passage_id = 9"], "altered_document", {"04.md"}),
        (WHOLE_PASSAGE, "altered_document", {"01.md"}),
        (["UPDATE documents SET version = '9' WHERE document = 1"], "altered_document", {"00.md"}),
        (["UPDATE passages SET document = 2 WHERE document = 1"], "document_without_passage", {"00.md", "01.md"}),
        (["DELETE FROM collections"], "broken_reference", set()),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_what_is_damaged_comes_back_with_the_next_ingest(home: NodeHome, damage, code: str, lost: set[str]) -> None:
    """Check names it and exits with 6; repair names each document it forgot and exits with 0; all others are as they
    were; the node serves; the next ingest makes the store what it was."""
    before = content(home)
    changed(home.passages, *damage)
    status, told = run(home, "check")
    assert (status, f"damaged: passages: {code}" in told) == (6, True)
    status, told = run(home, "repair")
    assert (status, told.splitlines()[-1]) == (0, "nothing is damaged")
    named = {line.split()[1].removeprefix("c/") for line in told.splitlines() if line.startswith("document ")}
    assert named == (lost if code != "broken_reference" else set())
    assert content(home) == {name: rows for name, rows in before.items() if name not in lost}
    assert run(home, "check")[0] == 0
    filled(home)
    assert content(home) == before


def test_damaged_pages_cost_what_lies_on_them(home: NodeHome) -> None:
    """Every third page of the file in turn is overwritten. What is left is whole; the damaged file is named and still
    there; no description's version or passage's number comes a second time; ingest makes the store what it was."""
    whole, before = home.passages.read_bytes(), content(home)
    aside = home.folder / "passages.damaged-20260304T050607Z.sqlite"
    kept = []
    key = home.sealing_key.read_bytes()
    for page in range(0, len(whole) // PAGE, 3):
        broken = whole[: page * PAGE] + b"\xa5" * PAGE + whole[(page + 1) * PAGE :]
        for path in home.folder.glob("passages*"):
            path.unlink()
        home.passages.write_bytes(broken)
        found = {finding.code for finding in examine(home)}
        if not found & {"corrupt_store", "corrupt_pages"}:  # a page that nothing lies on
            continue
        done = repair(home, NOW)
        assert any(aside.name in sentence for sentence in done)
        assert aside.read_bytes() == broken
        assert examine(home) == ()
        left = content(home)
        assert all(left[name] == before[name] for name in left), page
        kept.append(len(left))
        with closing(open_store(home, open_encoder(open_config(home)))) as store:
            assert all(number > len(before) * 2 for number in store.vectors("c")[0])
            assert store.described("c", "ff", NOW)[0] > NOW.timestamp() - 1
        filled(home)
        assert content(home) == before
    assert sorted(kept)[len(kept) // 2] >= 15
    assert home.sealing_key.read_bytes() != key


def test_a_store_that_is_no_database_any_more(home: NodeHome) -> None:
    """Rubbish in place of the whole file: put aside, an empty store in its place, everything back after an ingest."""
    before = content(home)
    home.passages.write_bytes(b"rubbish" * 9999)
    assert run(home, "check") == (6, "damaged: passages: corrupt_store (1)\n")
    status, told = run(home, "repair")
    assert status == 0
    assert "0 whole documents" in told
    assert content(home) == {}
    filled(home)
    assert content(home) == before


def test_the_log_goes_aside_with_its_file(home: NodeHome) -> None:
    """What a killed process left in the write-ahead log of a damaged store never meets the new one."""
    with closing(sqlite3.connect(home.passages, isolation_level=None)) as database:
        database.execute("UPDATE documents SET title = 'late' WHERE document = 1")
        log = home.passages.with_name("passages.sqlite-wal").read_bytes()
    home.passages.write_bytes(b"rubbish" * 9999)
    home.passages.with_name("passages.sqlite-wal").write_bytes(log)
    repair(home, NOW)
    filled(home)
    assert examine(home) == ()
    assert content(home)["00.md"][0][0] == "Gout 0"


def test_a_running_node_is_stopped_first(home: NodeHome) -> None:
    """Another process has the folder open: its damaged store is not taken from under it, and nothing has changed."""
    broken = bytearray(home.passages.read_bytes())
    broken[PAGE * 5 : PAGE * 6] = b"\xa5" * PAGE
    home.passages.write_bytes(broken)
    script = (
        "import sys, pathlib; from retriever_node.state import NodeState\n"
        f"state = NodeState(pathlib.Path({str(home.state)!r})); print(flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", script]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as node:
        node.stdout.readline()
        with pytest.raises(FedragError) as refused:
            repair(home, NOW)
        node.stdin.close()
        node.stdout.close()
    assert refused.value.code == "home_in_use"
    assert home.passages.read_bytes() == bytes(broken)
    assert not list(home.folder.glob("passages.damaged*"))
    repair(home, NOW)
    assert examine(home) == ()


@pytest.mark.parametrize(
    "tampering", ["UPDATE audit SET event = '{}' WHERE position = 1", "DELETE FROM audit WHERE position = 1"]
)
def test_a_broken_audit_chain_is_told_and_not_mended(home: NodeHome, tampering: str) -> None:
    """Check and repair both end with 6; the log stays, byte for byte, what it was: it is evidence."""
    changed(home.state, tampering)
    before = home.state.read_bytes()
    for command in ("check", "repair", "check"):
        status, told = run(home, command)
        assert (status, told.splitlines()[-1]) == (6, "damaged: state: audit_broken (1)")
    assert home.state.read_bytes() == before


def test_a_damaged_ledger_is_told_and_not_mended(home: NodeHome) -> None:
    """The same for pages of its file that SQLite cannot read."""
    broken = home.state.read_bytes()[: 2 * PAGE] + b"\xa5" * PAGE + home.state.read_bytes()[3 * PAGE :]
    home.state.write_bytes(broken)
    status, told = run(home, "repair")
    assert (status, "damaged: state: corrupt" in told) == (6, True)
    assert home.state.read_bytes() == broken


def _flipped(path: Path) -> None:
    raw = bytearray(path.read_bytes())
    raw[-1] ^= 1
    path.write_bytes(raw)


@pytest.mark.parametrize("file", ["vectors.npy", "terms.txt", "manifest.json"])
@pytest.mark.parametrize("damage", [_flipped, Path.unlink])
def test_a_damaged_index_is_removed_and_built_again(home: NodeHome, file: str, damage: Callable[[Path], None]) -> None:
    """One byte of a saved generation, or one file: found, removed, named; the next start builds it from the store."""
    (generation,) = (home.indexes / "c").iterdir()
    damage(generation / file)
    assert examine(home) == (Finding("indexes", "damaged_index", 1),)
    (told,) = repair(home, NOW)
    assert generation.name in told
    assert examine(home) == ()
    node = assemble(home)
    assert len(node.collections["c"].collection) == 60
    assert [path.name for path in (home.indexes / "c").iterdir()] == [generation.name]
    node.store.close()
    node.state.close()


def test_what_a_killed_process_left_of_an_old_index_is_no_damage(home: NodeHome) -> None:
    """A generation half-removed beside the store's own, or behind the store: nothing wrong; repair and the next start
    remove it."""
    (generation,) = (home.indexes / "c").iterdir()
    generation.rename(home.indexes / "c" / "3-half")
    (home.indexes / "c" / "3-half" / "manifest.json").unlink()
    assert examine(home) == ()
    (told,) = repair(home, NOW)
    assert "3-half" in told
    assert list((home.indexes / "c").iterdir()) == []
