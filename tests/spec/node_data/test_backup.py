"""A backup of a live node is whole or absent; a node made of it holds what was there, honours nothing given since."""

import itertools
import json
import shutil
import sqlite3
import threading
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from fedrag.core.config import PluginConfig, ServeConfig, Tls, write_toml
from fedrag.core.errors import FedragError
from fedrag.core.wire import ReleaseClass
from fedrag.http.signing import Signer
from retriever_node import audit
from retriever_node.assemble import assemble, open_encoder, open_store
from retriever_node.backup import backup, restore
from retriever_node.cli import app
from retriever_node.config import CollectionConfig, CoordinatorConfig, NodeConfig
from retriever_node.documents import Document, PassageDraft
from retriever_node.home import NodeHome, create_node, open_config
from retriever_node.ingest import ingest
from retriever_node.state import NodeState

NOW = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
FILES = {"a.md": "# Gout\n\nuric acid in a toe", "b.md": "# Burns\n\ncold water"}


@pytest.fixture
def home(tmp_path: Path, folder) -> NodeHome:
    """Enrolled, ingested, served once; it has released something."""
    source, place = folder(FILES), NodeHome(tmp_path / "home")
    served = CollectionConfig(id="c", folder=source, release_class=ReleaseClass.PUBLIC)
    root = place.coordinators / "hub.crt"
    hub = CoordinatorConfig(id="hub", public_key=Signer.generate().public_key, authority=root)
    config = NodeConfig(node="h1", name="h1", encoder=PluginConfig(name="hashing"), collections=(served,))
    create_node(place, config)
    place.coordinators.mkdir()
    root.write_text("a root", encoding="utf-8")
    serve = ServeConfig(tls=Tls.OWN, names=("h1",))
    write_toml(place.config, config.model_copy(update={"coordinators": (hub,), "serve": serve}))
    with closing(open_store(place, open_encoder(config))) as store:
        ingest(source, "c", store, open_encoder(config))
    node = assemble(place)
    node.describe()
    with node.state.transaction() as connection:
        audit.append(connection, audit.AuditEvent(audit.timestamp(1), "release", "r", "a", "treatment", "hub"))
        connection.execute("INSERT INTO charges VALUES ('hub', 'a', 'r', '7', 'd', '', 20500, 10)")
    node.state.remember_nonce("n", 1, 300)
    node.store.close()
    node.state.close()
    return place


def texts(home: NodeHome) -> list[str]:
    with closing(open_store(home, open_encoder(open_config(home)))) as store:
        return [passage.text for passage in store.passages(store.vectors("c")[0].tolist())]


def refused(code: str, call, *arguments) -> None:
    with pytest.raises(FedragError) as error:
        call(*arguments)
    assert error.value.code == code


def test_a_backup_becomes_the_same_node(home: NodeHome, tmp_path: Path) -> None:
    """Identity, configuration, passages, ledger, nonces and audit log are those of the old one; `check` is clean, it
    finds what it found, and the log says that it was restored, from when."""
    backup(home, tmp_path / "b", NOW)
    again = NodeHome(tmp_path / "again")
    restore(tmp_path / "b", again, NOW + timedelta(days=1))
    assert Signer.load(again.signing_key).public_key == Signer.load(home.signing_key).public_key
    assert texts(again) == texts(home)
    before, after = open_config(home), open_config(again)
    moved = before.coordinators[0].model_copy(update={"authority": (tmp_path / "again/coordinators/hub.crt").resolve()})
    assert after == before.model_copy(update={"coordinators": (moved,)})
    assert moved.authority.read_text(encoding="utf-8") == "a root"
    with closing(NodeState(again.state)) as state, state.transaction() as connection:
        lines = [json.loads(line) for line in audit.lines(connection)]
        assert connection.execute("SELECT * FROM charges").fetchall() == [("hub", "a", "r", "7", "d", "", 20500, 10)]
        assert connection.execute("SELECT nonce FROM nonces").fetchall() == [("n",)]
    assert [line["kind"] for line in lines] == ["policy", "release", "restored"]
    assert (lines[2]["at"], lines[2]["purpose"]) == ("2026-03-05T05:06:07+00:00", "backup of 2026-03-04T05:06:07+00:00")
    run = CliRunner()
    assert run.invoke(app, ["check", "--home", str(again.folder)]).exit_code == 0
    assert "a.md" in run.invoke(app, ["search", "--home", str(again.folder), "uric acid toe", "-k", "1"]).stdout


def test_what_was_given_out_since_is_worth_nothing(home: NodeHome, tmp_path: Path) -> None:
    """After the backup the node made five more descriptions and a handle. The restored one has another key for handles,
    since passage numbers come a second time, and describes itself with a higher version, or routers would refuse it."""
    backup(home, tmp_path / "b", NOW)
    with closing(open_store(home, open_encoder(open_config(home)))) as store:
        for number in range(5):
            highest, _ = store.described("c", f"{number:02}", NOW)
    again = NodeHome(tmp_path / "again")
    restore(tmp_path / "b", again, NOW)
    assert again.sealing_key.read_bytes() != home.sealing_key.read_bytes()
    assert len(again.sealing_key.read_bytes()) == len(home.sealing_key.read_bytes())
    (described,) = assemble(again).describe().collections
    assert described.version > highest


def test_a_backup_is_for_its_owner_only_and_holds_what_cannot_be_made_again(home: NodeHome, tmp_path: Path) -> None:
    """No index, no key for handles; folders 0700, files 0600, in the new home as well."""
    home.config.chmod(0o644)
    backup(home, tmp_path / "b", NOW)
    restore(tmp_path / "b", NodeHome(tmp_path / "again"), NOW)
    names = {path.relative_to(tmp_path / "b").as_posix() for path in (tmp_path / "b").rglob("*") if path.is_file()}
    kept = {"node.toml", "policy.toml", "node.key", "coordinators/hub.crt", "passages.sqlite", "state.sqlite"}
    assert names == kept | {"about.json", "manifest.json"}
    for place in (tmp_path / "b", tmp_path / "again"):
        for path in (place, *place.rglob("*")):
            assert path.stat().st_mode & 0o777 == (0o700 if path.is_dir() else 0o600), path


def test_a_live_node_is_copied_as_of_one_moment(home: NodeHome, tmp_path: Path) -> None:
    """While another thread stores documents of three passages one after the other, each backup holds a run of them from
    the first: all that were acknowledged before it began, none begun after it ended, each whole."""
    encoder = open_encoder(open_config(home))
    stored, finished = [0], threading.Event()
    vectors = encoder.encode_passages(["x", "y", "z"])

    def write() -> None:
        with closing(open_store(home, encoder)) as store:
            for number in itertools.count():
                document = Document("c", f"live {number:05}", "", "", "", None, (), "ab" * 32)
                drafts = [PassageDraft("", "", at, at + 1, f"{number:05} {at}") for at in range(3)]
                store.put(document, drafts, vectors)
                stored[0] = number + 1
                if finished.is_set():
                    return

    writer = threading.Thread(target=write)
    writer.start()
    bounds = []
    try:
        for number in range(4):
            least = stored[0]
            backup(home, tmp_path / f"b{number}", NOW)
            bounds.append((least, stored[0] + 1))
    finally:
        finished.set()
        writer.join()
    for number, (least, most) in enumerate(bounds):
        again = NodeHome(tmp_path / f"again{number}")
        restore(tmp_path / f"b{number}", again, NOW)
        live = [text for text in texts(again) if text[:5].isdigit()]
        assert live == [f"{one:05} {at}" for one in range(len(live) // 3) for at in range(3)]
        assert least <= len(live) // 3 <= most
        with closing(open_store(again, encoder)) as store:
            assert store.check() == ()


def test_a_damaged_backup_makes_no_node(home: NodeHome, tmp_path: Path) -> None:
    """One changed byte in any file, one missing, one too many, a link: refused, and nothing is made."""
    backup(home, tmp_path / "b", NOW)
    for path in [path for path in (tmp_path / "b").rglob("*") if path.is_file()]:
        whole = path.read_bytes()
        for broken in (whole[:-1] + bytes([whole[-1] ^ 1]), whole[:-1], None):
            path.unlink()
            if broken is not None:
                path.write_bytes(broken)
            refused("damaged_backup", restore, tmp_path / "b", NodeHome(tmp_path / "again"), NOW)
            path.write_bytes(whole)
    (tmp_path / "b" / "more").write_bytes(b"")
    refused("damaged_backup", restore, tmp_path / "b", NodeHome(tmp_path / "again"), NOW)
    (tmp_path / "b" / "more").unlink()
    shutil.move(tmp_path / "b" / "node.key", tmp_path / "elsewhere")
    (tmp_path / "b" / "node.key").symlink_to(tmp_path / "elsewhere")
    refused("damaged_backup", restore, tmp_path / "b", NodeHome(tmp_path / "again"), NOW)
    refused("damaged_backup", restore, tmp_path / "nothing", NodeHome(tmp_path / "again"), NOW)
    assert not (tmp_path / "again").exists()


def test_nothing_is_overwritten(home: NodeHome, tmp_path: Path) -> None:
    """Neither an earlier backup nor a folder that holds anything; an empty one, a mounted volume say, is taken."""
    backup(home, tmp_path / "b", NOW)
    refused("backup_exists", backup, home, tmp_path / "b", NOW)
    refused("node_exists", restore, tmp_path / "b", home, NOW)
    (tmp_path / "empty").mkdir()
    restore(tmp_path / "b", NodeHome(tmp_path / "empty"), NOW)
    assert texts(NodeHome(tmp_path / "empty")) == texts(home)


def test_a_damaged_database_is_no_backup(home: NodeHome, tmp_path: Path) -> None:
    """A copy of damaged pages would be found out when it is needed; nothing half-written stays, what a killed process
    left is gone."""
    (tmp_path / ".b.new").mkdir()
    (tmp_path / ".b.new" / "node.key").write_bytes(b"old")
    with home.passages.open("r+b") as file:
        file.seek(4096 * 3)
        file.write(b"\xff" * 4096)
    refused("corrupt_store", backup, home, tmp_path / "b", NOW)
    assert not list(tmp_path.glob("*b*.new"))
    assert not (tmp_path / "b").exists()


def test_a_full_disk_is_said_and_leaves_nothing(home: NodeHome, tmp_path: Path, monkeypatch) -> None:
    """The folder to write into is missing, or the disk is full half-way."""
    refused("backup_not_written", backup, home, tmp_path / "missing" / "b", NOW)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shutil, "copyfile", full)
    refused("backup_not_written", backup, home, tmp_path / "b", NOW)
    assert not list(tmp_path.glob("*b*"))


def test_backup_and_restore_by_the_command_line(home: NodeHome, tmp_path: Path) -> None:
    """Codes and exit codes; a node that was never ingested nor served can be kept too."""
    run = CliRunner()
    output, again = str(tmp_path / "b"), str(tmp_path / "again")
    assert run.invoke(app, ["backup", "--home", str(home.folder), "--output", output]).exit_code == 0
    told = run.invoke(app, ["restore", "--from", output, "--home", again])
    assert (told.exit_code, "forgotten" in told.stdout) == (0, True)
    home.passages.unlink()
    home.state.unlink()
    bare = str(tmp_path / "bare")
    assert run.invoke(app, ["backup", "--home", str(home.folder), "--output", bare]).exit_code == 0
    assert run.invoke(app, ["restore", "--from", bare, "--home", str(tmp_path / "bare again")]).exit_code == 0
    with closing(sqlite3.connect(tmp_path / "bare again" / "state.sqlite")) as database:
        assert database.execute("SELECT count(*) FROM audit").fetchone() == (1,)
