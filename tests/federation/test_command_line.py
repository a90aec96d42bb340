"""Both command lines: a newcomer's whole path with its own documents, and plain errors with their exit codes."""

import json
import socket
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import httpx2
import pytest

from fedrag.local_federation import LocalFederation


def run(module: str, *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", module, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=cwd, timeout=120)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return taken.getsockname()[1]


def wait_until_described(base: str, nodes: int = 1) -> None:
    """The coordinator asks new members what they hold within seconds."""
    for _ in range(400):
        if httpx2.get(f"{base}/health", trust_env=False).json()["described"] >= nodes:
            return
        time.sleep(0.1)
    raise AssertionError("no description after 40 s")


@pytest.fixture
def guidelines(tmp_path: Path) -> Path:
    folder = tmp_path / "guidelines"
    folder.mkdir()
    (folder / "warfarin.md").write_text("# Warfarin\n\n## Reversal\nGive vitamin K 10 mg for major bleeding.\n")
    return folder


def test_the_path_of_the_readme(tmp_path: Path, guidelines: Path) -> None:
    """federation init, serve, invite; init, ingest, enroll, serve; ask: each step prints what the next one needs. The
    receipts that the coordinator kept show that the end of the audit log was cut off afterwards."""
    made = run("fedrag", "federation", "init", "--home", "coordinator", "--json", cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    key = json.loads(made.stdout)["api_key"]
    config = tmp_path / "coordinator" / "coordinator.toml"
    config.write_text(config.read_text() + '\n[encoder]\nname = "hashing"\n')
    node = ["--home", "node", "--id", "mine", "--folder", f"{guidelines}=protocol", "--encoder", "hashing"]
    assert run("retriever_node", "init", *node, cwd=tmp_path).returncode == 0
    assert run("retriever_node", "ingest", "--home", "node", cwd=tmp_path).returncode == 0
    port = free_port()
    server = None
    api = subprocess.Popen(
        [sys.executable, "-m", "fedrag", "serve", "--home", "coordinator", "--port", "0"],
        stdout=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
    )
    try:
        base = json.loads(api.stdout.readline())["url"]
        invited = run("fedrag", "federation", "invite", "--home", "coordinator", "--id", "mine", "--json", cwd=tmp_path)
        code = json.loads(invited.stdout)["code"]
        own_url = f"http://127.0.0.1:{port}"
        enroll = ["enroll", "--home", "node", "--coordinator", base, "--url", own_url, "--code", code]
        joined = run("retriever_node", *enroll, cwd=tmp_path)
        assert joined.returncode == 0, joined.stderr
        server = subprocess.Popen(
            [sys.executable, "-m", "retriever_node", "serve", "--home", "node", "--port", str(port)],
            stdout=subprocess.PIPE,
            text=True,
            cwd=tmp_path,
        )
        assert json.loads(server.stdout.readline())["url"] == own_url
        wait_until_described(base)
        asked = run("fedrag", "ask", "How is warfarin reversed?", "--url", base, "--key", key, "--json", cwd=tmp_path)
        assert asked.returncode == 0, asked.stderr
        answer = json.loads(asked.stdout)
        assert [one["node"] for one in answer["evidence"]["passages"]] == ["mine"]
        shown = run("fedrag", "ask", "How is warfarin reversed?", "--url", base, "--key", key, cwd=tmp_path)
        assert "Not a medical device" in " ".join(shown.stdout.split())
        wrong = run("fedrag", "ask", "x", "--url", base, "--key", "wrong", cwd=tmp_path)
        assert (wrong.returncode, "unknown_key" in wrong.stderr) == (4, True)
    finally:
        for process in (server, api):
            if process is not None:
                process.terminate()
                process.wait(20)
                process.stdout.close()
    assert "mine  since" in run("fedrag", "federation", "members", "--home", "coordinator", cwd=tmp_path).stdout
    audited = run("retriever_node", "audit", "--home", "node", cwd=tmp_path)
    kinds = [json.loads(line)["kind"] for line in audited.stdout.splitlines()]
    assert kinds == ["ingest", "enrolled", "policy", "offers", "release", "offers", "release"]
    assert run("retriever_node", "check", "--home", "node", cwd=tmp_path).returncode == 0
    receipts = run("fedrag", "receipts", "export", "--home", "coordinator", "--node", "mine", cwd=tmp_path)
    (tmp_path / "anchors.jsonl").write_text(receipts.stdout)
    verify = ["audit", "verify", "--home", "node", "--anchor", "anchors.jsonl", "--json"]
    held = run("retriever_node", *verify, cwd=tmp_path)
    told = json.loads(held.stdout)
    assert (told["lines"], told["anchors"], told["unanchored"]) == (7, 4, 0)
    with closing(sqlite3.connect(tmp_path / "node" / "state.sqlite")) as database, database:
        database.execute("DELETE FROM audit WHERE position = 7")
    assert run("retriever_node", "audit", "verify", "--home", "node", cwd=tmp_path).returncode == 0
    cut_off = run("retriever_node", *verify, cwd=tmp_path)
    assert (cut_off.returncode, "audit_rewritten" in cut_off.stderr) == (6, True)


@pytest.mark.parametrize(
    ("module", "arguments", "exit_code", "code"),
    [
        ("retriever_node", ["init", "--home", "n", "--id", "x", "--folder", "guidelines"], 2, "class_not_chosen"),
        (
            "retriever_node",
            ["init", "--home", "n", "--id", "x", "--folder", "guidelines=secret"],
            2,
            "class_not_chosen",
        ),
        ("retriever_node", ["init", "--home", "n", "--id", "x", "--folder", "nowhere=public"], 2, "missing_folder"),
        ("retriever_node", ["init", "--home", "n", "--id", "X!", "--folder", "guidelines=public"], 2, "bad_option"),
        ("retriever_node", ["ingest", "--home", "nowhere"], 78, "missing_config"),
        ("fedrag", ["serve", "--home", "nowhere"], 78, "missing_config"),
        ("fedrag", ["ask", "x", "--url", "http://127.0.0.1:9", "--key", "k"], 8, "unavailable"),
        ("fedrag", ["ask", "", "--url", "http://127.0.0.1:9", "--key", "k"], 2, "bad_input"),
        ("fedrag", ["demo", "--llm", "http://127.0.0.1:9/v1"], 2, "bad_option"),
        ("fedrag", ["evaluate", "nothing"], 2, "unknown_suite"),
        ("fedrag", ["evaluate", "medquad-liveqa"], 78, "no_data"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_a_mistake_is_one_plain_line(tmp_path, guidelines, monkeypatch, module, arguments, exit_code, code) -> None:
    """With the error's code, its own exit code, no traceback, and nothing half-written."""
    monkeypatch.delenv("FEDRAG_DATA", raising=False)
    done = run(module, *arguments, cwd=tmp_path)
    assert done.returncode == exit_code, done.stderr
    assert f"error ({code})" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "n").exists()


def test_an_index_of_another_encoder_is_refused(tmp_path, guidelines) -> None:
    """Vectors of one encoder are never searched with another; the passages stay as they are."""
    node = ["--home", "n", "--id", "x", "--folder", f"{guidelines}=protocol", "--encoder", "hashing"]
    run("retriever_node", "init", *node, cwd=tmp_path)
    assert run("retriever_node", "ingest", "--home", "n", cwd=tmp_path).returncode == 0
    config = tmp_path / "n" / "node.toml"
    config.write_text(config.read_text() + "\n[encoder.settings]\ndimension = 128\n")
    done = run("retriever_node", "serve", "--home", "n", cwd=tmp_path)
    assert (done.returncode, "other_encoder" in done.stderr) == (78, True)


def test_a_misspelt_setting_is_an_error(tmp_path, guidelines) -> None:
    """Unknown keys are never ignored; the message names file and key."""
    run("retriever_node", "init", "--home", "n", "--id", "x", "--folder", f"{guidelines}=protocol", cwd=tmp_path)
    config = tmp_path / "n" / "node.toml"
    config.write_text("quotta = 1\n" + config.read_text())
    done = run("retriever_node", "serve", "--home", "n", cwd=tmp_path)
    assert done.returncode == 78
    assert "quotta" in done.stderr
    assert "node.toml" in done.stderr


def test_leaving_a_local_federation_ends_its_processes(tmp_path) -> None:
    """Nothing it started survives the context."""
    from fedrag.config import CoordinatorConfig

    with LocalFederation(tmp_path, (), CoordinatorConfig(coordinator="c", encoder={"name": "hashing"})) as federation:
        federation.create()
        federation.start()
        processes = list(federation._processes.values())
        assert all(process.poll() is None for process in processes)
    assert all(process.poll() is not None for process in processes)


def test_what_is_ingested_beside_a_running_node_is_found(tmp_path, guidelines, workshop, put_question) -> None:
    """Refreshing moves a node on to the new generation; before, it answers from the old one."""
    from fedrag.encoders import ENCODERS
    from retriever_node.assemble import open_store
    from retriever_node.ingest import ingest

    hospital = workshop.hospital("heart", {"a.md": "# A\n\n## One\nWarfarin is reversed with vitamin K.\n"})
    coordinator = workshop.coordinator(hospital.remote)
    source = workshop.folder / "heart" / "documents"
    (source / "b.md").write_text("# B\n\n## Two\nDabigatran is reversed with idarucizumab.\n")
    encoder = ENCODERS.build("hashing")
    beside = open_store(hospital.home, encoder)
    ingest(source, "documents", beside, encoder)
    beside.close()

    def found() -> set[str]:
        answer = put_question(coordinator, "What reverses dabigatran?")
        return {one.passage.citation.section for one in answer.evidence.passages}

    assert found() == {"One"}
    hospital.node.refresh()
    assert found() == {"One", "Two"}


def test_a_federation_whose_parent_is_killed_ends_by_itself(tmp_path) -> None:
    """No clean-up runs in a killed process: the pipes it held end, and so do the processes behind them."""
    program = (
        "import sys, time; from pathlib import Path\n"
        "from fedrag.config import CoordinatorConfig; from fedrag.local_federation import LocalFederation\n"
        f"federation = LocalFederation(Path({str(tmp_path)!r}), (), "
        "CoordinatorConfig(coordinator='c', encoder={'name': 'hashing'}))\n"
        "federation.create(); federation.start()\n"
        "print(*(one.pid for one in federation._processes.values()), flush=True); time.sleep(60)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    child = int(parent.stdout.readline())
    parent.kill()
    parent.wait(10)
    parent.stdout.close()
    for _ in range(100):
        if not _alive(child):
            return
        time.sleep(0.1)
    pytest.fail("the child outlived its parent")


def _alive(pid: int) -> bool:
    """A zombie has ended; only nobody has asked for its exit status yet."""
    status = Path(f"/proc/{pid}/stat")
    return status.exists() and status.read_text().rsplit(")", 1)[1].split()[0] != "Z"
