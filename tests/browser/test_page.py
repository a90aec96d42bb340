"""The page in a real browser: headless Chromium, the real API, real hospitals, and a hostile passage."""

import hashlib
import json
import re
import shutil
import subprocess
import threading
from pathlib import Path

import pytest
import uvicorn

from fedrag.api.app import create_app
from fedrag.http.serving import listen

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
KEY = "key-of-dr-a"
HOSTILE = "<img src=x onerror=\"document.title='pwned'\"><script>document.title='pwned'</script>"
DOCUMENTS = {
    "heart": f"# Warfarin\n\n## Reversal\nFor major bleeding on warfarin give vitamin K 10 mg by vein. {HOSTILE}\n",
    "lung": "# Warfarin here\n\n## Reversal\nFor major bleeding on warfarin give vitamin K 5 mg by vein.\n",
}
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine"),
]
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--virtual-time-budget=8000",
)


def typing(text: str) -> str:
    """What a person does at the page, as a script behind it: type, send."""
    return f"""<script>addEventListener("load", () => {{
        document.getElementById("text").value = {json.dumps(text)};
        document.getElementById("form").requestSubmit();
    }});</script>"""


@pytest.fixture
def site(workshop, tmp_path):
    """Serves the API on loopback; the value is called with a question and returns the address of the page."""
    hospitals = [workshop.hospital(name, {"d.md": text}) for name, text in DOCUMENTS.items()]
    keys = [{"name": "a", "sha256": hashlib.sha256(KEY.encode()).hexdigest()}]
    app = create_app(workshop.coordinator(*(one.remote for one in hospitals), api_keys=keys), tmp_path / "f.sqlite")
    script = {"bytes": b""}
    paths: list[str] = []

    async def with_script(scope, receive, send):
        """The product's own page, with the typing appended to its bytes."""
        if scope["type"] != "http" or scope["path"] != "/":
            if scope["type"] == "http":
                paths.append(scope["path"])
            await app(scope, receive, send)
            return

        async def longer(message):
            if message["type"] == "http.response.start":
                message["headers"] = [(n, v) for n, v in message["headers"] if n != b"content-length"]
            elif message["type"] == "http.response.body":
                message["body"] += script["bytes"]
            await send(message)

        await app(scope, receive, longer)

    listening = listen("127.0.0.1", 0)
    server = uvicorn.Server(uvicorn.Config(with_script, log_config=None))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    address = f"http://127.0.0.1:{listening.getsockname()[1]}/"

    def page(question: str, key: str = KEY) -> str:
        script["bytes"] = typing(question).encode()
        return f"{address}#key={key}"

    yield page, paths
    server.should_exit = True
    thread.join(20)


def browse(address: str, folder: Path, *more: str) -> str:
    """The page's document after it has settled."""
    command = [CHROMIUM, *FLAGS, f"--user-data-dir={folder / 'profile'}", "--dump-dom", *more, address]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout


def words(dom: str) -> str:
    return " ".join(re.sub(r"<(?:style|script).*?</(?:style|script)>|<[^>]+>", " ", dom, flags=re.DOTALL).split())


def test_an_answer_with_everything_it_rests_on_is_shown(site, tmp_path) -> None:
    """Answer, steps, sources, coverage, disclosure; the hostile passage is inert text and nothing else was loaded."""
    page, paths = site
    dom = browse(page("How is major bleeding on warfarin reversed?"), tmp_path)
    shown = words(dom)
    for expected in (
        "vitamin K 10 mg",
        "Hospitals disagree different numbers",
        "heart Warfarin",
        "lung Warfarin here",
        "d.md · § Reversal",
        "Reasoning",
        "Sources",
        "Hospitals",
        "answered",
        "no outcomes yet",
        "text released",
    ):
        assert expected in shown, expected
    assert "The question was shown to heart, lung as text." in shown
    assert "Not a medical device" in shown
    assert 'class="cite"' in dom
    assert "<title>fedrag" in dom
    assert "pwned" not in dom.split("<title>")[1].split("</title>")[0]
    assert "&lt;img src=x" in dom
    assert "<img" not in dom
    assert set(paths) <= {"/v1/ask", "/favicon.ico"}


def test_a_wrong_key_is_told_plainly(site, tmp_path) -> None:
    """The coordinator's own words and code, no stack trace, no answer."""
    page, _ = site
    shown = words(browse(page("How is warfarin reversed?", key="wrong"), tmp_path))
    assert "this API key is not known here (unknown_key)" in shown
    assert "Sources" not in shown


def test_abstaining_is_not_an_error(site, tmp_path) -> None:
    """A question that nothing answers shows a reason, and still what became of every hospital."""
    page, _ = site
    dom = browse(page("zzz qqq vvv xxx"), tmp_path)
    shown = words(dom)
    assert "No answer." in shown
    assert "evidence" in shown
    assert 'class="ui error"' not in dom


def test_the_key_leaves_the_address(site, tmp_path) -> None:
    """A fragment never reaches a server, and is gone from the address bar once read."""
    page, paths = site
    browse(page("How is warfarin reversed?"), tmp_path)
    assert not [path for path in paths if KEY in path]
