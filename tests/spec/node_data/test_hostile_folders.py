"""A folder full of hostile files: each costs itself, is listed with its reason, and the run holds little memory."""

import gzip
import json
import os
import subprocess
import sys
import time
import zipfile
import zlib
from pathlib import Path

import pytest
from document_files import docx, paragraph, pdf
from health_records import clinical_document, structured

from retriever_node.documents import Document, Unreadable
from retriever_node.readers import read_folder

CANARY = "zqxoutside"
LAUGHS = '<!DOCTYPE x [<!ENTITY a "ha">' + "".join(
    f'<!ENTITY {name} "{f"&{before};" * 10}">' for before, name in zip("abcdefghi", "bcdefghij", strict=True)
) + "]>"  # fmt: skip
MIB = 1 << 20
BOUND_MIB = 350
"""More than an interpreter with these libraries needs for sentences; the bombs below unpack to 60 to 120 MB."""

INGEST = """
import json, re, sys
from pathlib import Path
from fedrag.encoders import ENCODERS
from retriever_node.ingest import ingest
from retriever_node.store import PassageStore
encoder = ENCODERS.build("hashing", {"dimension": 64})
store = PassageStore.open(Path(sys.argv[2]), encoder.identity)
report = ingest(Path(sys.argv[1]), "c", store, encoder)
peak = re.search(r"VmHWM:\\s*(\\d+)", Path("/proc/self/status").read_text())
texts = {one.document_id: one.text for one in store.passages([int(one) for one in store.vectors("c")[0]])}
listed = sorted([one.path, one.code] for one in report.unreadable)
print(json.dumps({"texts": texts, "listed": listed, "peak_mib": int(peak.group(1)) / 1024}))
"""


def zeros(megabytes: int, packer: "zlib._Compress") -> bytes:
    return b"".join([*(packer.compress(b" " * 1_000_000) for _ in range(megabytes)), packer.flush()])


def hostile(root: Path, outside: Path) -> dict[str, str]:
    """Writes the files; the code each must be listed with."""
    word = paragraph("&j;")
    page = zeros(100, zlib.compressobj(9))
    bomb = pdf(b"PAGE").replace(
        b"<< /Length 4 >>\nstream\nPAGE", b"<< /Length %d /Filter /FlateDecode >>\nstream\n" % len(page) + page
    )
    external = f'<!DOCTYPE x [<!ENTITY j SYSTEM "{outside.as_uri()}">]>'
    deep = 5_000
    files: dict[str, tuple[bytes, str]] = {
        "arrays.json": (b'{"resourceType": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "bad_json"),
        "bomb.json.gz": (gzip.compress(b" " * 60_000_000), "too_large"),
        "bomb.pdf": (bomb, "damaged_pages"),
        "deep.html": (b"<div>" * deep + b"x", "too_deep"),
        "deep.xml": (b"<a>" * deep, "too_deep"),
        "empty.docx": (b"", "damaged"),
        "empty.txt": (b"", "empty"),
        "external.xml": (external.encode() + clinical_document("&j;"), "document_type"),
        "external.docx": (entities(docx(word), external), "empty"),
        "latin1.txt": ("Ä".encode("latin-1"), "not_utf8"),
        "laughs.docx": (entities(docx(word), LAUGHS), "damaged"),
        "laughs.xml": (LAUGHS.encode() + clinical_document("&j;"), "document_type"),
        "line.csv": (b'id,text\n1,"' + b"x" * 12_000_000, "bad_csv"),
        "line.jsonl": (b'{"id": "' + b"x" * 12_000_000, "too_large"),
        "line.md": (b"# " + b"x" * 12_000_000, "too_large"),
        "line.txt": (b"x" * 12_000_000, "too_large"),
        "utf16.md": ("Heart".encode("utf-16"), "not_utf8"),
        "zero.txt": (b"Heart\x00", "not_text"),
    }
    for name, (content, _) in files.items():
        (root / name).write_bytes(content)
    with zipfile.ZipFile(root / "bomb.docx", "w", zipfile.ZIP_DEFLATED) as package:
        package.writestr("word/document.xml", bytes(120_000_000))
    (root / "new\nline.txt").write_text("x")
    (root / "circle").symlink_to(root)
    (root / "itself.txt").symlink_to(root / "itself.txt")
    (root / "out.txt").symlink_to(outside)
    os.mkfifo(root / "pipe.txt")
    return {
        **{name: code for name, (_, code) in files.items()},
        "bomb.docx": "zip_bomb",
        "new\\nline.txt": "bad_name",
        "circle": "linked_folder",
        "itself.txt": "not_a_file",
        "out.txt": "outside_folder",
        "pipe.txt": "not_a_file",
    }


def entities(package: bytes, declared: str) -> bytes:
    """A DOCX whose text begins with a document type."""
    import io

    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(package)) as was, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as made:
        for name in was.namelist():
            made.writestr(name, (declared if name == "word/document.xml" else "").encode() + was.read(name))
    return out.getvalue()


def test_hostile_files_cost_themselves_only(tmp_path):
    """One run over all of them, in a process of its own: every code as in the table, both sound files ingested, nothing
    on standard error, nothing from outside the folder, and memory that no bomb has filled."""
    root, outside = tmp_path / "documents", tmp_path / "outside.txt"
    root.mkdir()
    outside.write_text(CANARY)
    expected = hostile(root, outside)
    for name in ("a first.md", "z last.md"):
        (root / name).write_text("Sound.")
    command = [sys.executable, "-c", INGEST, str(root), str(tmp_path / "node" / "passages.sqlite")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    told = json.loads(done.stdout)
    assert dict(told["listed"]) == expected
    assert told["texts"] == {"a first.md": "Sound.", "z last.md": "Sound."}
    assert CANARY not in done.stdout
    assert told["peak_mib"] < BOUND_MIB


def test_a_thousand_tiny_files_are_a_thousand_documents(folder):
    """None is lost and none is read twice."""
    root = folder({f"{number:04d}.txt": f"note {number}" for number in range(1_000)})
    items = list(read_folder(root, "c"))
    assert [item.sections[0].text for item in items if isinstance(item, Document)] == [
        f"note {n}" for n in range(1_000)
    ]
    assert len(items) == 1_000


def test_a_run_of_blanks_is_looked_at_once(folder):
    """A megabyte of blanks after a word takes no longer than a megabyte of words."""
    root = folder({"a.txt": "A" + " " * 1_000_000 + "x"})
    started = time.process_time()
    (found,) = read_folder(root, "c")
    assert time.process_time() - started < 1.5
    assert isinstance(found, Document)
    assert found.sections[0].text.split() == ["A", "x"]


@pytest.mark.parametrize("suffix", ["html", "xml"])
def test_elements_are_counted(folder, monkeypatch, suffix):
    """A file of more elements than the bound is refused; at the bound it is read."""
    body = "<paragraph>x</paragraph>" * 20
    page = clinical_document(structured(f"<section><title>T</title><text>{body}</text></section>"))
    root = folder({f"a.{suffix}": page if suffix == "xml" else f"<html><body>{'<p>x</p>' * 20}</body></html>"})
    for limit, refused in ((10, True), (200, False)):
        monkeypatch.setattr("retriever_node.markup.MAXIMUM_ELEMENTS", limit)
        monkeypatch.setattr("retriever_node.readers.html.MAXIMUM_ELEMENTS", limit)
        (found,) = read_folder(root, "c")
        assert isinstance(found, Unreadable if refused else Document)
        assert not refused or found.code == "too_large"
