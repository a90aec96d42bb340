"""The release queue as a page, on this machine alone: a list, an entry with its passages, approve or deny.

Its address, printed when it starts, opens it once: the page trades what stands behind the `#` for a key of its own,
which it sends with every call. There are no cookies, so no other page can decide in the reviewer's name; a call that
comes by another host name, or from another page, is refused.
"""

import base64
import hashlib
import re
import secrets
import threading
from dataclasses import dataclass, field
from importlib.resources import files
from itertools import pairwise
from typing import Annotated, Final

from fastapi import Depends, FastAPI, Request
from fastapi.responses import HTMLResponse
from pydantic import Field

from fedrag import terminal
from fedrag.core.errors import IdentityError, Refused
from fedrag.core.wire import Wire
from fedrag.http import problem
from fedrag.http.serving import address_of, listen, serve
from retriever_node.review import Entry, State
from retriever_node.reviewer import Reviewer, Shown

_HOSTS: Final = ("127.0.0.1", "localhost")
_INLINE: Final = re.compile(r"<(script|style)>(.*?)</\1>", re.DOTALL)
_MAXIMUM_BODY_BYTES: Final = 16 * 1024


class Line(Wire):
    """An entry in the list. Times in Unix seconds; `times`: how often it was asked."""

    id: int
    state: State
    question: str
    purpose: str
    passages: int
    made_at: int
    until: int
    times: int


class Queue(Wire):
    by: str
    entries: tuple[Line, ...]


class Part(Wire):
    """A piece of a text; `marked`: redaction put it there."""

    text: str
    marked: bool


class Seen(Wire):
    """A passage; no `parts` where it can no longer leave."""

    number: int
    collection: str
    probability: float
    approved: bool
    cited: str
    parts: tuple[Part, ...]


class Whole(Wire):
    """An entry with everything that a decision needs."""

    line: Line
    reason: str
    asker: str
    role: str
    issuer: str
    project: str
    coordinator: str
    request_id: str
    decided_at: int | None
    decided_by: str
    note: str
    passages: tuple[Seen, ...]


class Opening(Wire):
    token: Annotated[str, Field(max_length=100)]


class Opened(Wire):
    key: str


class Decision(Wire):
    """`approve`: numbers of the passages that may leave; none: nothing leaves, and `note` may say why."""

    approve: Annotated[tuple[int, ...], Field(max_length=50)]
    note: Annotated[str, Field(max_length=500)] = ""


@dataclass(slots=True)
class Door:
    """Lets in who opens the printed address first, and nobody else."""

    token: str = field(default_factory=lambda: secrets.token_urlsafe(32))
    _key: str = field(default_factory=lambda: secrets.token_urlsafe(32))
    _used: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def open(self, token: str) -> str:
        """The key. Raises IdentityError(used_link), the second time too."""
        with self._lock:
            if self._used or not secrets.compare_digest(token.encode(), self.token.encode()):
                raise IdentityError("this address was opened before, or is not ours", code="used_link")
            self._used = True
            return self._key

    def require(self, authorization: str) -> None:
        """Raises IdentityError(used_link)."""
        if not (self._used and secrets.compare_digest(authorization.encode(), f"Bearer {self._key}".encode())):
            raise IdentityError("open the address that was printed, once", code="used_link")


def serve_page(reviewer: Reviewer, by: str, port: int) -> None:
    """Until it is stopped. `by`: in whose name this page decides."""
    listening, door = listen("127.0.0.1", port), Door()
    address = address_of(listening, tls=False)
    app = create_page(reviewer, by, door, listening.getsockname()[1])
    serve(app, listening, ready=lambda: terminal.print_line({"open_once": f"{address}/#open={door.token}"}))


def create_page(reviewer: Reviewer, by: str, door: Door, port: int) -> FastAPI:
    page = (files("retriever_node") / "page" / "review.html").read_text(encoding="utf-8")
    headers = {
        "Content-Security-Policy": _content_security_policy(page),
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "no-store",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
    }
    hosts = frozenset(f"{host}:{port}" for host in _HOSTS)

    async def from_here(request: Request) -> None:
        """Raises Refused(wrong_origin): a name that somebody made point here, or another page's call."""
        host, origin = request.headers.get("host", ""), request.headers.get("origin")
        elsewhere = request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none")
        body_bytes = request.headers.get("content-length", "0")
        if host not in hosts or elsewhere or (origin is not None and origin not in {f"http://{one}" for one in hosts}):
            raise Refused("this page answers to itself alone, on this machine", code="wrong_origin")
        if not body_bytes.isdecimal() or int(body_bytes) > _MAXIMUM_BODY_BYTES:
            raise Refused("more than a decision needs", code="wrong_origin")

    async def reviewer_alone(request: Request) -> None:
        door.require(request.headers.get("authorization", ""))

    app = FastAPI(
        title="release queue", docs_url=None, redoc_url=None, openapi_url=None, dependencies=[Depends(from_here)]
    )
    problem.install(app)
    let_in = [Depends(reviewer_alone)]

    @app.get("/")
    async def shown() -> HTMLResponse:
        return HTMLResponse(page, headers=headers)

    @app.post("/session")
    async def session(opening: Opening) -> Opened:
        return Opened(key=door.open(opening.token))

    @app.get("/entries", dependencies=let_in)
    def entries() -> Queue:
        return Queue(by=by, entries=tuple(_line(one) for one in reversed(reviewer.entries())))

    @app.get("/entries/{number}", dependencies=let_in)
    def entry(number: int) -> Whole:
        return _whole(*reviewer.entry(number))

    @app.post("/entries/{number}/decision", dependencies=let_in)
    def decide(number: int, decision: Decision) -> Whole:
        if decision.approve:
            reviewer.approve(number, decision.approve, by)
        else:
            reviewer.deny(number, by, decision.note)
        return _whole(*reviewer.entry(number))

    return app


def _content_security_policy(page: str) -> str:
    """Nothing but the page's own script and style, by their hashes, and calls back to where it came from."""
    hashes = {"script": "", "style": ""}
    for kind, content in _INLINE.findall(page):
        hashes[kind] += f" 'sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}'"
    return (
        f"default-src 'none'; script-src{hashes['script']}; style-src{hashes['style']}; connect-src 'self'; "
        "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
    )


def _line(one: Entry) -> Line:
    return Line(
        id=one.id,
        state=one.state,
        question=one.asked.question,
        purpose=one.asked.recipient.purpose,
        passages=len(one.held),
        made_at=one.made_at,
        until=one.until,
        times=one.again + 1,
    )


def _whole(one: Entry, shown: tuple[Shown, ...]) -> Whole:
    asked, recipient = one.asked, one.asked.recipient
    return Whole(
        line=_line(one),
        reason=asked.reason,
        asker=recipient.asker,
        role=asked.role,
        issuer=asked.issuer,
        project=recipient.project,
        coordinator=recipient.coordinator,
        request_id=recipient.request_id,
        decided_at=one.decided_at,
        decided_by=one.decided_by,
        note=one.note,
        passages=tuple(_seen(each) for each in shown),
    )


def _seen(one: Shown) -> Seen:
    cited = one.citation
    places = (cited.document_name, cited.title, cited.section, cited.version) if cited else ()
    return Seen(
        number=one.number,
        collection=one.held.collection,
        probability=one.held.probability,
        approved=one.held.approved,
        cited=" · ".join(dict.fromkeys(place for place in places if place)),
        parts=_parts(one),
    )


def _parts(one: Shown) -> tuple[Part, ...]:
    if one.text is None:
        return ()
    borders = sorted({0, len(one.text), *(border for span in one.marked for border in span)})
    inside = {start for start, end in one.marked if end > start}
    return tuple(Part(text=one.text[start:end], marked=start in inside) for start, end in pairwise(borders))
