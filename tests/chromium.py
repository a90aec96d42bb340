"""Headless Chromium, spoken to over its debugging pipe: what a person sees, and what a screen reader is told."""

import fcntl
import json
import os
import select
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FOUND = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars",
    "--remote-debugging-pipe",
)  # fmt: skip
PATIENCE_S = 60


@dataclass
class Chromium:
    """One browser; commands go in on its descriptor 3 and answers come out of 4, each ended by a zero byte."""

    folder: Path
    number: int = 0
    _rest: bytes = b""

    def __enter__(self) -> "Chromium":
        theirs_in, self._to = map(_high, os.pipe())
        self._from, theirs_out = map(_high, os.pipe())
        command = [str(FOUND), *FLAGS, f"--user-data-dir={self.folder}"]
        self._process = subprocess.Popen(
            [str(shutil.which("bash")), "-c", f'exec "$@" 3<&{theirs_in} 4>&{theirs_out}', "bash", *command],
            pass_fds=(theirs_in, theirs_out),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(theirs_in)
        os.close(theirs_out)
        return self

    def __exit__(self, *_: object) -> None:
        self.call("Browser.close")
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(20)
        os.close(self._to)
        os.close(self._from)

    def call(self, method: str, session: str | None = None, **parameters: object) -> dict[str, Any]:
        self.number += 1
        message = {"id": self.number, "method": method, "params": parameters}
        os.write(self._to, json.dumps(message | ({"sessionId": session} if session else {})).encode() + b"\0")
        until = time.monotonic() + PATIENCE_S
        while (told := self._next(until)).get("id") != self.number:
            pass
        if "error" in told:
            raise RuntimeError(f"{method}: {told['error']['message']}")
        return told["result"]

    def _next(self, until: float) -> dict[str, Any]:
        while b"\0" not in self._rest:
            arrived = select.poll()
            arrived.register(self._from, select.POLLIN)
            if not arrived.poll(1000 * max(0.0, until - time.monotonic())):
                raise TimeoutError("Chromium does not answer")
            self._rest += os.read(self._from, 1 << 20)
        message, _, self._rest = self._rest.partition(b"\0")
        return json.loads(message)

    def open(self, address: str, *, dark: bool = False, width: int = 1000, height: int = 900) -> "Tab":
        """In a window of its own, with nothing kept of the ones before."""
        context = self.call("Target.createBrowserContext")["browserContextId"]
        target = self.call("Target.createTarget", url="about:blank", browserContextId=context)["targetId"]
        session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        tab = Tab(self, session)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        tab.call("Emulation.setEmulatedMedia", features=[scheme, {"name": "prefers-reduced-motion", "value": "reduce"}])
        tab.resize(width, height)
        tab.call("Page.navigate", url=address)
        tab.wait("document.readyState === 'complete' && location.href !== 'about:blank'")
        return tab


@dataclass
class Tab:
    browser: Chromium
    session: str

    def call(self, method: str, **parameters: object) -> dict[str, Any]:
        return self.browser.call(method, self.session, **parameters)

    def resize(self, width: int, height: int) -> None:
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def evaluate(self, expression: str) -> Any:
        made = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in made:
            raise RuntimeError(made["exceptionDetails"]["exception"]["description"])
        return made["result"].get("value")

    def wait(self, expression: str) -> None:
        until = time.monotonic() + PATIENCE_S
        while not self.evaluate(expression):
            if time.monotonic() > until:
                raise TimeoutError(expression)
            time.sleep(0.05)

    def ask(self, question: str, key: str) -> None:
        """As a person would at the coordinator's page; returns when an answer, or what went wrong, is shown."""
        fill = f"document.getElementById('text').value = {json.dumps(question)};"
        fill += f"document.getElementById('key').value = {json.dumps(key)};"
        self.evaluate(fill + "document.getElementById('form').requestSubmit();")
        self.wait("!document.getElementById('send').disabled")

    @property
    def text(self) -> str:
        """What can be read, folded parts too, in one line."""
        return " ".join(self.evaluate("document.querySelector('body').textContent").split())

    def spoken(self) -> list[tuple[str, str]]:
        """(role, name) of everything that a screen reader is told of, in its order."""
        nodes = {one["nodeId"]: one for one in self.call("Accessibility.getFullAXTree")["nodes"]}
        told, next_up = [], [one["nodeId"] for one in nodes.values() if "parentId" not in one]
        while next_up:
            one = nodes[next_up.pop()]
            next_up += reversed([child for child in one["childIds"] if child in nodes])
            if "name" in one:
                told.append((one["role"]["value"], " ".join(one["name"].get("value", "").split())))
        return told

    def press(self, key: str) -> None:
        code = {"Tab": 9, "Enter": 13}[key]
        text = {"text": "\r"} if key == "Enter" else {}
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code, **text)


def _high(descriptor: int) -> int:
    """Moved out of the way of 3 and 4."""
    moved = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 20)
    os.close(descriptor)
    return moved
