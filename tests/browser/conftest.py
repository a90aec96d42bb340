"""One browser for all tests of pages, and the coordinator's API on loopback."""

import hashlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import uvicorn
from chromium import FOUND, Chromium

from fedrag.api.app import create_app
from fedrag.core.answer import Answer
from fedrag.http.serving import listen

KEY = "key-of-dr-a"


@dataclass
class Site:
    """`answer`: what every question gets, in place of what the federation would answer. `paths`: what was asked for."""

    address: str
    key: str = KEY
    answer: Answer | None = None
    paths: list[str] = field(default_factory=list)


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    if FOUND is None:
        pytest.skip("no Chromium on this machine")
    with Chromium(tmp_path_factory.mktemp("chromium")) as opened:
        yield opened


@pytest.fixture
def serve(workshop, tmp_path: Path) -> Iterator[Callable[..., Site]]:
    """Serves a coordinator of these hospitals."""
    ended: list[Callable[[], None]] = []

    def made(*remotes: object, **overrides: object) -> Site:
        keys = [{"name": "a", "sha256": hashlib.sha256(KEY.encode()).hexdigest()}]
        app = create_app(workshop.coordinator(*remotes, api_keys=keys, **overrides), tmp_path / "feedback.sqlite")
        listening = listen("127.0.0.1", 0)
        site = Site(f"http://127.0.0.1:{listening.getsockname()[1]}/")

        async def watched(scope, receive, send):
            if scope["type"] == "http":
                site.paths.append(scope["path"])
            if site.answer is None or scope.get("path") != "/v1/ask":
                await app(scope, receive, send)
                return
            await send(
                {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]}
            )
            await send({"type": "http.response.body", "body": site.answer.model_dump_json().encode()})

        server = uvicorn.Server(uvicorn.Config(watched, log_config=None))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()

        def end() -> None:
            server.should_exit = True
            thread.join(20)

        ended.append(end)
        return site

    yield made
    for end in ended:
        end()
