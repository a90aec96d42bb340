"""Getting raw files and putting packages in place: every byte is checked, and nothing wrong is ever written."""

import gzip
import hashlib
import io
import json
import tarfile
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from typer.testing import CliRunner

import fedrag.evaluation.data
from fedrag.cli import data as cli
from fedrag.core.errors import ConfigError, FedragError, InputError, IntegrityError, Unavailable
from fedrag.evaluation.data.archive import tar_members, zip_member
from fedrag.evaluation.data.github import GitHub, http_client
from fedrag.evaluation.data.install import State, fetch, from_folder, state
from fedrag.evaluation.data.origin import read
from fedrag.evaluation.data.package import Files, Origin, Package, RawFile, RecordFile, Tree

WORDS = b"one\ntwo\n"
MORE = b"three\n"
MADE = b'{"word": "one"}\n{"word": "two"}\n'
"""What the package below is to hold, by hand."""

TREE = {"pages/1.xml": b"<a/>", "pages/2.xml": b"<b>\xc3\xa9</b>"}
TREE_SHA256 = hashlib.sha256(b"pages/1.xml\x004\x00<a/>pages/2.xml\x009\x00<b>\xc3\xa9</b>").hexdigest()


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def convert(files: Files, drawn: str) -> dict[str, bytes]:
    lines = "".join(json.dumps({"word": word.decode()}) + "\n" for word in files["in/words.txt"].split())
    return {"words.jsonl": lines.encode(), "words.jsonl.gz": lines.encode()}


WORDS_ORIGIN = Origin(
    "owner/words",
    "c0ffee",
    (RawFile("in/words.txt", len(WORDS), sha256(WORDS)), RawFile("in/a b.txt", len(MORE), sha256(MORE))),
)
PAGES_ORIGIN = Origin("owner/pages", "beef", Tree(r"pages/\d\.xml", files=2, bytes=13, sha256=TREE_SHA256))
PACKAGE = Package(
    name="pubmedqa",  # its name finds a drawn file; nothing else of it is used
    what="Words.",
    licence="CC0.",
    citation="Nobody.",
    made="By hand.",
    origins=(WORDS_ORIGIN, PAGES_ORIGIN),
    records=(
        RecordFile("words.jsonl", 2, len(MADE), sha256(MADE)),
        RecordFile("words.jsonl.gz", 2, len(MADE), sha256(MADE)),
    ),
    convert=convert,
)


def tarball(members: dict[str, bytes], *extra: tarfile.TarInfo, top: str = "pages-beef/") -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, content in members.items():
            member = tarfile.TarInfo(top + name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
        for member in extra:
            archive.addfile(member)
    return packed.getvalue()


@pytest.fixture
def origins(tmp_path: Path) -> Path:
    """One checkout per repository."""
    place = tmp_path / "origins"
    for name, content in (("in/words.txt", WORDS), ("in/a b.txt", MORE)):
        path = place / "owner+words" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    for name, content in {**TREE, "README.md": b"not used"}.items():
        path = place / "owner+pages" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return place


def files_below(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_a_package_is_made_from_checkouts_with_a_page_about_it(tmp_path: Path, origins: Path) -> None:
    """Records as written by hand, compressed where the name says so; the page names origin, licence and digests."""
    folder = tmp_path / "data"
    assert fetch(PACKAGE, folder, from_folder(origins), replace=False)
    place = folder / "pubmedqa"
    assert (place / "words.jsonl").read_bytes() == MADE
    assert gzip.decompress((place / "words.jsonl.gz").read_bytes()) == MADE
    about = (place / "README.md").read_text()
    for part in ("https://github.com/owner/pages/tree/beef", "CC0.", "Nobody.", "By hand.", sha256(MADE)):
        assert part in about
    assert files_below(folder) == {"pubmedqa/words.jsonl", "pubmedqa/words.jsonl.gz", "pubmedqa/README.md"}
    assert state(PACKAGE, folder) is State.COMPLETE


def test_a_package_that_is_there_is_not_made_again(tmp_path: Path, origins: Path) -> None:
    """Nothing is even read from the origin."""
    folder = tmp_path / "data"
    fetch(PACKAGE, folder, from_folder(origins), replace=False)

    def never(origin: Origin) -> Files:
        raise AssertionError

    assert not fetch(PACKAGE, folder, never, replace=False)


def test_other_records_of_that_name_stay_unless_told(tmp_path: Path, origins: Path) -> None:
    """A person's own file is not lost to a fetch; --replace replaces it."""
    own = tmp_path / "data" / "pubmedqa" / "words.jsonl"
    own.parent.mkdir(parents=True)
    own.write_bytes(b"mine")
    with pytest.raises(InputError) as caught:
        fetch(PACKAGE, tmp_path / "data", from_folder(origins), replace=False)
    assert caught.value.code == "data_differs"
    assert own.read_bytes() == b"mine"
    assert fetch(PACKAGE, tmp_path / "data", from_folder(origins), replace=True)
    assert own.read_bytes() == MADE


TAMPERED: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "one bit of a file": ("owner+words/in/words.txt", lambda content: b"\x6e" + content[1:]),
    "a byte more": ("owner+words/in/a b.txt", lambda content: content + b"\n"),
    "a byte less": ("owner+words/in/a b.txt", lambda content: content[:-1]),
    "one bit of a tree": ("owner+pages/pages/1.xml", lambda content: b"<c/>"),
    "a tree that grew": ("owner+pages/pages/2.xml", lambda content: content + b" "),
}


@pytest.mark.parametrize("case", TAMPERED)
def test_raw_files_that_are_not_the_pinned_ones_write_nothing(case: str, tmp_path: Path, origins: Path) -> None:
    """The error names the repository, or the file where few are pinned, and the folder of packages stays empty."""
    name, change = TAMPERED[case]
    path = origins / name
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(IntegrityError) as caught:
        fetch(PACKAGE, tmp_path / "data", from_folder(origins), replace=False)
    assert caught.value.code == "origin_changed"
    assert "owner/words" in caught.value.message or "owner/pages" in caught.value.message
    assert ("SHA-256" in caught.value.message) is ("one bit" in case)  # a wrong size is seen before anything is read
    if "words" in name:
        assert name.removeprefix("owner+words/") in caught.value.message
    assert not (tmp_path / "data").exists()


def test_a_tree_with_a_file_moved_or_added_is_another_tree(origins: Path) -> None:
    """The digest covers paths: the same bytes under other names are not the same."""
    pages = origins / "owner+pages" / "pages"
    (pages / "1.xml").rename(pages / "3.xml")
    with pytest.raises(IntegrityError, match="another SHA-256"):
        read(PAGES_ORIGIN, origins / "owner+pages")
    (pages / "1.xml").write_bytes(b"")
    with pytest.raises(IntegrityError, match="are 3 with 13 bytes, not 2 with 13"):
        read(PAGES_ORIGIN, origins / "owner+pages")


@pytest.mark.parametrize("name", ["owner+words/in/words.txt", "owner+pages/pages/1.xml"])
def test_a_folder_without_the_origin_is_said(name: str, tmp_path: Path, origins: Path) -> None:
    for path in (origins / name).parent.iterdir():
        path.unlink()
    with pytest.raises(InputError) as caught:
        fetch(PACKAGE, tmp_path / "data", from_folder(origins), replace=False)
    assert caught.value.code == "missing_origin"
    with pytest.raises(InputError) as caught:
        from_folder(tmp_path / "nowhere")
    assert caught.value.code == "missing_folder"


def test_folders_may_be_named_as_github_and_git_name_them(tmp_path: Path, origins: Path) -> None:
    """`words-COMMIT` as an unpacked archive is called, `pages` as a clone is."""
    (origins / "owner+words").rename(origins / "words-c0ffee")
    (origins / "owner+pages").rename(origins / "pages")
    assert fetch(PACKAGE, tmp_path / "data", from_folder(origins), replace=False)


def test_records_that_come_out_differently_are_not_kept(tmp_path: Path, origins: Path) -> None:
    """A converter that reverses one word writes nothing."""
    reversed_ = replace(PACKAGE, convert=lambda files, drawn: dict.fromkeys(convert(files, drawn), MADE[::-1]))
    with pytest.raises(IntegrityError) as caught:
        fetch(reversed_, tmp_path / "data", from_folder(origins), replace=False)
    assert caught.value.code == "records_differ"
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("spoil", [b"", MADE[:-1], MADE + b"\n", MADE.replace(b"one", b"0ne")])
def test_the_state_of_a_package_is_told_by_every_byte(spoil: bytes, tmp_path: Path, origins: Path) -> None:
    """Absent, complete, or different: one byte, an empty file, a missing one, a broken archive."""
    folder = tmp_path / "data"
    assert state(PACKAGE, folder) is State.ABSENT
    fetch(PACKAGE, folder, from_folder(origins), replace=False)
    packed = folder / "pubmedqa" / "words.jsonl.gz"
    (folder / "pubmedqa" / "words.jsonl").write_bytes(spoil)
    assert state(PACKAGE, folder) is State.DIFFERENT
    (folder / "pubmedqa" / "words.jsonl").write_bytes(MADE)
    assert state(PACKAGE, folder) is State.COMPLETE
    packed.write_bytes(packed.read_bytes()[:-9])
    assert state(PACKAGE, folder) is State.DIFFERENT
    packed.write_bytes(gzip.compress(spoil))
    assert state(PACKAGE, folder) is State.DIFFERENT
    packed.unlink()
    assert state(PACKAGE, folder) is State.DIFFERENT


# Archives


def linked(name: str, target: str, kind: bytes) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, target
    return member


BAD_ARCHIVES: dict[str, bytes] = {
    "a path upwards": tarball({**TREE, "../../pages/3.xml": b"x"}),
    "a path upwards, not wanted": tarball({**TREE, "x/../../../etc/cron.d/job": b"x"}),
    "a path from the root": tarball(TREE | {}, tarfile.TarInfo("/pages/1.xml")),
    "another system's path": tarball({**TREE, "..\\pages\\1.xml": b"x"}),
    "a symbolic link": tarball({}, linked("pages-beef/pages/1.xml", "/etc/passwd", tarfile.SYMTYPE)),
    "a hard link": tarball(TREE, linked("pages-beef/pages/3.xml", "pages-beef/pages/1.xml", tarfile.LNKTYPE)),
    "a file twice": tarball({"pages/1.xml": b"<a/>", "./pages/1.xml": b"<b/>"}),
    "more bytes than pinned": tarball({**TREE, "pages/3.xml": b"x"}),
    "cut off": tarball(TREE)[:-30],
    "cut in the middle": gzip.compress(gzip.decompress(tarball(TREE))[:700]),
    "a broken byte": tarball(TREE)[:20] + b"\xff\xff" + tarball(TREE)[22:],
    "no archive": b"<html>moved</html>",
    "nothing": b"",
}


@pytest.mark.parametrize("case", BAD_ARCHIVES)
def test_an_archive_that_is_not_what_it_should_be_is_refused(case: str, tmp_path: Path) -> None:
    """Links, paths that lead outside, doubled, cut and oversized files; and no file appears beside the archive."""
    path = tmp_path / "deep" / "er" / "beef.tar.gz"
    path.parent.mkdir(parents=True)
    path.write_bytes(BAD_ARCHIVES[case])
    with pytest.raises(IntegrityError) as caught:
        tar_members(path, r"pages/\d\.xml", most_bytes=13)
    assert caught.value.code == "bad_archive"
    assert files_below(tmp_path) == {"deep/er/beef.tar.gz"}


def test_an_archive_that_unpacks_without_end_is_stopped(tmp_path: Path) -> None:
    """60 MB of zeros in 60 kB, in a member that nobody wants: refused at the bound, not at the end."""
    path = tmp_path / "beef.tar.gz"
    path.write_bytes(tarball({"zeros": bytes(60 << 20)}))
    assert path.stat().st_size < 100_000
    with pytest.raises(IntegrityError, match="unpacks to more"):
        tar_members(path, r"pages/\d\.xml", most_bytes=13, unpacked_bytes=1 << 20)


def test_an_archive_gives_the_files_that_match_and_no_others(tmp_path: Path) -> None:
    """The top folder's name does not count; a match must be of the whole path."""
    path = tmp_path / "beef.tar.gz"
    path.write_bytes(tarball({**TREE, "pages/1.xml.bak": b"no", "other/pages/1.xml": b"no"}, top="whatever/"))
    assert tar_members(path, r"pages/\d\.xml", most_bytes=13) == TREE


def test_a_zip_member_is_read_within_its_bound() -> None:
    """Whatever it claims; a missing member and a broken archive are refused too."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.csv", bytes(1000))
    assert zip_member(packed.getvalue(), "a.csv", most_bytes=1000) == bytes(1000)
    for content, name, most in ((packed.getvalue(), "a.csv", 999), (packed.getvalue(), "b", 9), (b"PK", "a.csv", 9)):
        with pytest.raises(IntegrityError) as caught:
            zip_member(content, name, most_bytes=most)
        assert caught.value.code == "bad_archive"


# Over the network


class Served:
    """A local stand-in for both hosts: path → how to answer. Counts what was asked."""

    def __init__(self) -> None:
        self.answers: dict[str, Callable[[BaseHTTPRequestHandler], None]] = {
            "/raw/owner/words/c0ffee/in/words.txt": whole(WORDS),
            "/raw/owner/words/c0ffee/in/a%20b.txt": whole(MORE),
            "/archives/owner/pages/tar.gz/beef": whole(tarball({**TREE, "README.md": b"not used"})),
        }
        self.asked: list[str] = []


def whole(content: bytes, announced: int | None = None, status: int = 200) -> Callable[[BaseHTTPRequestHandler], None]:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        handler.send_header("Content-Length", str(len(content) if announced is None else announced))
        handler.end_headers()
        handler.wfile.write(content)
        handler.close_connection = True

    return answer


def endless(handler: BaseHTTPRequestHandler) -> None:
    """Sends until the other side has had enough; announces nothing."""
    handler.send_response(200)
    handler.end_headers()
    try:
        while True:
            handler.wfile.write(bytes(1 << 16))
    except OSError:
        handler.close_connection = True


def silent(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", "8")
    handler.end_headers()
    time.sleep(1.0)
    handler.close_connection = True


@pytest.fixture
def served() -> Iterator[tuple[Served, str]]:
    what = Served()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            what.asked.append(self.path)
            what.answers.get(self.path, whole(b"", status=404))(self)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield what, f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()
    thread.join()


@contextmanager
def quiet(what: str) -> Iterator[Callable[[int, int], None]]:
    yield lambda done, total: None


def download(base: str, folder: Path, *, timeout_s: float = 5.0, clock: Callable[[], float] = time.monotonic) -> bool:
    with http_client() as client:
        client.timeout = timeout_s
        github = GitHub(client, quiet, raw=f"{base}/raw", archives=f"{base}/archives", clock=clock)
        return fetch(PACKAGE, folder, lambda origin: github.files(origin, folder / ".origins"), replace=False)


def test_a_package_is_downloaded_checked_and_made(tmp_path: Path, served: tuple[Served, str]) -> None:
    """Few files one by one, many in one archive; paths are quoted in addresses; no half-written file is left."""
    what, base = served
    assert download(base, tmp_path)
    assert (tmp_path / "pubmedqa" / "words.jsonl").read_bytes() == MADE
    assert sorted(what.asked) == sorted(what.answers)
    cached = {"owner+words/in/words.txt", "owner+words/in/a b.txt", "owner+pages/beef.tar.gz"}
    assert files_below(tmp_path / ".origins") == cached
    # The downloads serve as a folder of origins on another machine.
    assert fetch(PACKAGE, tmp_path / "elsewhere", from_folder(tmp_path / ".origins"), replace=False)


def test_raw_files_in_the_cache_are_checked_again(tmp_path: Path, served: tuple[Served, str]) -> None:
    """Right ones are not asked for again; a spoiled one is replaced by a new download."""
    what, base = served
    download(base, tmp_path)
    for path in (tmp_path / "pubmedqa").iterdir():
        path.unlink()
    (tmp_path / "pubmedqa").rmdir()
    what.asked.clear()
    (tmp_path / ".origins" / "owner+words" / "in" / "words.txt").write_bytes(WORDS[::-1])
    assert download(base, tmp_path)
    assert "/archives/owner/pages/tar.gz/beef" not in what.asked
    assert "/raw/owner/words/c0ffee/in/words.txt" in what.asked
    assert (tmp_path / "pubmedqa" / "words.jsonl").read_bytes() == MADE


WORDS_PATH = "/raw/owner/words/c0ffee/in/words.txt"
PAGES_PATH = "/archives/owner/pages/tar.gz/beef"
BAD_ANSWERS: dict[str, tuple[str, Callable[[BaseHTTPRequestHandler], None], str]] = {
    "another file of that size": (WORDS_PATH, whole(WORDS[::-1]), "origin_changed"),
    "a shorter file": (WORDS_PATH, whole(WORDS[:-1]), "origin_changed"),
    "a longer file": (WORDS_PATH, whole(WORDS + b"x"), "origin_changed"),
    "a file without end": (WORDS_PATH, endless, "origin_changed"),
    "a file cut off": (WORDS_PATH, whole(WORDS[:-1], announced=len(WORDS)), "download_failed"),
    "silence": (WORDS_PATH, silent, "download_failed"),
    "not there": (WORDS_PATH, whole(b"no", status=404), "download_failed"),
    "somewhere else": (WORDS_PATH, whole(b"", status=302), "download_failed"),
    "an archive cut off": (PAGES_PATH, whole(tarball(TREE)[:-9], announced=len(tarball(TREE))), "download_failed"),
    "an archive cut off unsaid": (PAGES_PATH, whole(tarball(TREE)[:-60]), "bad_archive"),
    "an archive of other content": (PAGES_PATH, whole(tarball({**TREE, "pages/1.xml": b"<c/>"})), "origin_changed"),
    "an archive with a file less": (PAGES_PATH, whole(tarball({"pages/1.xml": b"<a/>"})), "origin_changed"),
}


@pytest.mark.parametrize("case", BAD_ANSWERS)
def test_a_download_that_goes_wrong_writes_no_records(case: str, tmp_path: Path, served: tuple[Served, str]) -> None:
    """One attempt, one plain error, no package, no partial file."""
    what, base = served
    path, answer, code = BAD_ANSWERS[case]
    what.answers[path] = answer
    with pytest.raises(FedragError) as caught:
        download(base, tmp_path, timeout_s=0.3)
    assert caught.value.code == code
    assert isinstance(caught.value, Unavailable if code == "download_failed" else IntegrityError)
    assert what.asked.count(path) == 1
    assert not [name for name in files_below(tmp_path) if name.startswith("pubmedqa") or name.endswith(".part")]


def test_a_download_that_drips_ends_at_the_limit(tmp_path: Path, served: tuple[Served, str]) -> None:
    """Each block comes in time, the whole does not: the clock says so."""
    now = iter(range(0, 10**9, 10_000))
    with pytest.raises(Unavailable, match="takes longer"):
        download(served[1], tmp_path, clock=lambda: float(next(now)))


def test_nobody_listening_is_an_error_that_can_be_tried_again(tmp_path: Path) -> None:
    with pytest.raises(Unavailable) as caught:
        download("http://127.0.0.1:9", tmp_path)
    assert caught.value.retryable


# The command line


@pytest.fixture
def only_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fedrag.evaluation.data, "PACKAGES", (PACKAGE,))


def invoke(*arguments: str) -> str:
    done = CliRunner().invoke(cli.data_app, arguments, env={"FEDRAG_DATA": ""}, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


@pytest.mark.usefixtures("only_words")
def test_the_list_says_what_there_is_and_whether_it_is_right(tmp_path: Path, origins: Path) -> None:
    """absent, complete, different; licence and records beside it; the same in JSON."""
    folder = str(tmp_path / "data")
    assert "pubmedqa: absent (4 records, 0.0 MB)" in invoke("list", "--data", folder)
    assert "names no folder" in invoke("list")
    made = json.loads(invoke("fetch", "pubmedqa", "--into", folder, "--from", str(origins), "--json"))
    assert [one["state"] for one in made["packages"]] == ["complete"]
    said = invoke("list", "--data", folder)
    assert "pubmedqa: complete" in said
    assert "licence: CC0." in said
    (tmp_path / "data" / "pubmedqa" / "words.jsonl").write_bytes(b"")
    listed = json.loads(invoke("list", "--data", folder, "--json"))["packages"]
    assert [(one["name"], one["state"], one["files"][0]["sha256"]) for one in listed] == [
        ("pubmedqa", "different", sha256(MADE))
    ]


@pytest.mark.usefixtures("only_words")
def test_fetching_says_the_licence_and_where_it_put_things(tmp_path: Path, origins: Path) -> None:
    done = CliRunner().invoke(
        cli.data_app,
        ["fetch", "all", "--into", str(tmp_path / "data"), "--from", str(origins)],
        env={"FEDRAG_DATA": ""},
    )
    assert done.exit_code == 0
    assert f"pubmedqa: made in {tmp_path / 'data' / 'pubmedqa'}" in done.stdout
    again = invoke("fetch", "pubmedqa", "--into", str(tmp_path / "data"), "--from", str(origins))
    assert "is already in" in again


def failure(*arguments: str) -> FedragError:
    done = CliRunner().invoke(cli.data_app, arguments, env={"FEDRAG_DATA": ""})
    assert isinstance(done.exception, FedragError), done.output
    return done.exception


@pytest.mark.usefixtures("only_words")
def test_what_cannot_be_fetched_is_one_plain_error(tmp_path: Path, origins: Path) -> None:
    """An unknown name, no folder to put it in, a folder that is a file."""
    assert failure("fetch", "no-such", "--into", str(tmp_path)).code == "unknown_package"
    nowhere = failure("fetch", "pubmedqa", "--from", str(origins))
    assert (nowhere.code, type(nowhere)) == ("no_data", ConfigError)
    (tmp_path / "file").write_bytes(b"")
    assert failure("fetch", "pubmedqa", "--into", str(tmp_path / "file"), "--from", str(origins)).code == "file_error"


def test_names_may_be_typed_with_hyphens() -> None:
    assert fedrag.evaluation.data.package("medquad-liveqa").name == "medquad_liveqa"
