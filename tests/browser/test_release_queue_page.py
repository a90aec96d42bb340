"""Both pages of the release queue in a real browser: who asks sees the answer completed, who reviews decides."""

import hashlib
import json
import re
import shutil
import subprocess
import threading
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import uvicorn

from fedrag.api.app import create_app
from fedrag.core.wire import ReleaseClass
from fedrag.http.serving import listen
from retriever_node import review
from retriever_node.config import ReviewConfig
from retriever_node.review_page import Door, create_page
from retriever_node.reviewer import open_reviewer
from retriever_node.service import create_app as create_node_app

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
KEY = "key-of-dr-a"
HOSTILE = "<img src=x onerror=\"document.title='pwned'\">"
QUESTION = f"How is major bleeding on warfarin reversed? {HOSTILE}"
HELD = "# Case\n\n## Course\nMajor bleeding on warfarin reversed with vitamin K 5 mg, prothrombin complex.\n"
POLICY = 'version = 1\n[[rules]]\nname = "r"\nclasses = ["protocol"]\nrelease = "passage"\nreview = true\n'
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--virtual-time-budget=12000",
)  # fmt: skip
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine"),
]


@contextmanager
def served(app, script: str = "", listening=None):
    """On loopback; `script` stands behind the page's own bytes, and its policy then lets it."""

    async def with_script(scope, receive, send):
        async def longer(message):
            if message["type"] == "http.response.start":
                dropped = (b"content-length", b"content-security-policy")
                message["headers"] = [(n, v) for n, v in message["headers"] if n not in dropped]
            elif message["type"] == "http.response.body":
                message["body"] += f"<script>{script}</script>".encode()
            await send(message)

        await app(scope, receive, longer if script and scope.get("path") == "/" else send)

    listening = listening or listen("127.0.0.1", 0)
    server = uvicorn.Server(uvicorn.Config(with_script, log_config=None))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{listening.getsockname()[1]}/"
    server.should_exit = True
    thread.join(20)


def browse(address: str, folder: Path) -> str:
    command = [CHROMIUM, *FLAGS, f"--user-data-dir={folder / 'profile'}", "--dump-dom", address]
    dom = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout
    assert "<title>fedrag" in dom, "what is hostile stays text"
    return " ".join(re.sub(r"<(?:style|script).*?</(?:style|script)>|<[^>]+>", " ", dom, flags=re.DOTALL).split())


@pytest.fixture
def held(workshop):
    made = workshop.hospital("held", {"case.md": HELD}, ReleaseClass.PROTOCOL, policy=POLICY)
    node = replace(made.node, review=ReviewConfig(probability=0.0))
    return made.home, node, workshop.remote("held", node.signer, create_node_app(node))


def test_who_asks_waits_and_sees_the_answer_completed(workshop, held, tmp_path) -> None:
    """Question and reason are typed and sent; "Look now" after an approval shows the passage and what changed."""
    _, node, remote = held
    keys = [{"name": "a", "sha256": hashlib.sha256(KEY.encode()).hexdigest()}]
    coordinator = workshop.coordinator(
        remote,
        api_keys=keys,
        awaiting={"every_s": 0},
        reasoner={"name": "extractive", "settings": {"abstain_below": 0}},
    )
    app = create_app(coordinator, tmp_path / "f.sqlite")

    @app.get("/approve")
    def approve() -> dict[str, str]:
        with node.state.transaction() as connection:
            review.approve(connection, 1, [1], "Dr. Amsel", node.clock())
        return {}

    script = f"""addEventListener("load", () => {{
        document.getElementById("text").value = {json.dumps(QUESTION)};
        document.getElementById("reason").value = "A patient bleeds";
        document.getElementById("form").requestSubmit();
        const seen = setInterval(async () => {{
            const now = document.querySelector(".waits button");
            if (!now) return;
            clearInterval(seen);
            const told = document.querySelector(".waits").textContent;
            await fetch("/approve");
            now.click();
            setTimeout(() => document.body.append("BEFORE: " + told), 200);
        }}, 100);
    }});"""
    with served(app, script.replace("</", "<\\/")) as address:
        shown = browse(f"{address}#key={KEY}", tmp_path)
    assert "BEFORE: Awaiting release at held" in shown
    assert "prothrombin complex" in shown
    assert "Completed with what held released" in shown
    assert "(before: held waits for a human release)" in shown
    assert "pwned" not in shown.replace(HOSTILE, "").replace("&lt;img src=x onerror=\"document.title='pwned'\"&gt;", "")


@pytest.fixture
def desk(workshop, held):
    home, node, _ = held
    recipient = review.Recipient("a" * 32, "treatment", "test-coordinator", "c" * 32)
    (passage,) = node.store.passages([1])
    form = review.form_sha256(passage.text, passage.citation())
    one = review.Held(1, "documents", 0.5, (0, 0), form)
    asked = review.Asked(recipient, "clinician", "test-issuer", QUESTION, "A patient bleeds")
    with node.state.transaction() as connection:
        review.queue(connection, asked, [one], node.review, node.clock())
    reviewer = open_reviewer(home)
    yield reviewer
    reviewer.store.close()
    reviewer.state.close()


def test_the_reviewers_page_works_under_its_own_policy(desk, tmp_path) -> None:
    """As shipped, nothing added: the address opens it once, and the list is there; a second visit is refused."""
    listening, door = listen("127.0.0.1", 0), Door()
    app = create_page(desk, "Dr. Amsel", door, listening.getsockname()[1])
    with served(app, listening=listening) as address:
        first = browse(f"{address}#open={door.token}", tmp_path)
        second = browse(f"{address}#open={door.token}", tmp_path / "elsewhere")
    assert "You decide as Dr. Amsel." in first
    assert "1 waiting." in first
    assert "How is major bleeding on warfarin reversed?" in first
    assert "used_link" in second
    assert "warfarin" not in second


def test_who_reviews_ticks_and_approves(desk, tmp_path) -> None:
    """Entry opened, passage ticked, approved: the queue says so, in the name the page was started with."""
    script = """addEventListener("load", () => {
        const steps = ["#queue button", "#passage-1", "#entry .row button"];
        const timer = setInterval(() => {
            const found = steps.length && document.querySelector(steps[0]);
            if (found) { found.click(); steps.shift(); }
            if (!steps.length) clearInterval(timer);
        }, 300);
    });"""
    listening, door = listen("127.0.0.1", 0), Door()
    app = create_page(desk, "Dr. Amsel", door, listening.getsockname()[1])
    with served(app, script, listening) as address:
        shown = browse(f"{address}#open={door.token}", tmp_path)
    assert "Approved." in shown
    assert "approved by Dr. Amsel" in shown
    (entry,) = desk.entries()
    assert (entry.state, entry.decided_by) == (review.State.APPROVED, "Dr. Amsel")
    assert [one.approved for one in entry.held] == [True]
