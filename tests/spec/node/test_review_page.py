"""The reviewer's page as a program meets it: who gets in, from where, and what it lets happen."""

import base64
import hashlib
import json
import re
from types import SimpleNamespace

import httpx2
import pytest

from fedrag.core.errors import InputError, NotFound
from fedrag.core.exchange import Citation
from retriever_node.handles import Recipient
from retriever_node.review import Asked, Entry, Held, State
from retriever_node.review_page import Door, create_page
from retriever_node.reviewer import Shown, changed

PORT = 8899
HOSTILE = "<img src=x onerror=alert(1)>"


class Desk:
    """One entry with three passages, the third of which can no longer leave; remembers what was decided."""

    def __init__(self) -> None:
        recipient = Recipient("a" * 32, "treatment", "coordinator", "c" * 32, "")
        held = tuple(Held(number, "records", 0.5, (0, 0), "f" * 64, "h" * 64) for number in (1, 2, 3))
        asked = Asked(recipient, "clinician", "clinic", HOSTILE, "for the ward")
        self.one = Entry(7, asked, held, 100, 200, State.PENDING, None, "", "", None, again=1)
        self.decided: list[object] = []

    def entries(self):
        return (self.one,)

    def entry(self, number: int):
        if number != 7:
            raise NotFound("no entry", code="unknown_review")
        citation = Citation(document_id="d", document_name="Letter", title="Letter", section="Plan", locator="char=0,9")
        shown = [Shown(at, held, "[name] has gout.", citation, ((0, 6),)) for at, held in enumerate(self.one.held, 1)]
        return self.one, (*shown[:2], Shown(3, self.one.held[2]))

    def approve(self, number: int, passages, by: str):
        if 3 in passages:
            raise InputError("gone", code="passage_changed")
        self.decided.append(("approve", number, tuple(passages), by))

    def deny(self, number: int, by: str, note: str):
        self.decided.append(("deny", number, by, note))


@pytest.fixture
def page():
    desk, door = Desk(), Door()
    app = create_page(desk, "Dr. Amsel", door, PORT)

    def client(**headers: str) -> httpx2.AsyncClient:
        transport = httpx2.ASGITransport(app=app, raise_app_exceptions=False)
        return httpx2.AsyncClient(transport=transport, base_url=f"http://127.0.0.1:{PORT}", headers=headers)

    async def key() -> str:
        async with client() as opening:
            return (await opening.post("/session", json={"token": door.token})).json()["key"]

    return SimpleNamespace(desk=desk, door=door, client=client, key=key)


async def test_the_printed_address_opens_once(page) -> None:
    """The second who comes with it is refused, and so is a guess, and whoever never opened it."""
    async with page.client() as client:
        assert (await client.get("/entries", headers={"authorization": f"Bearer {page.door._key}"})).status_code == 401
        assert (await client.post("/session", json={"token": "x" * 43})).status_code == 401
        key = await page.key()
        again = await client.post("/session", json={"token": page.door.token})
        assert (again.status_code, again.json()["code"]) == (401, "used_link")
        for told in ("", "Bearer ", f"Bearer {page.door.token}", f"Bearer {key}x", key):
            assert (await client.get("/entries", headers={"authorization": told})).status_code == 401
        entered = await client.get("/entries", headers={"authorization": f"Bearer {key}"})
        assert entered.json()["by"] == "Dr. Amsel"


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "evil.example"},
        {"host": f"evil.example:{PORT}"},
        {"host": "127.0.0.1:1"},
        {"host": "127.0.0.1"},
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": f"http://127.0.0.1:{PORT + 1}"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"content-length": "999999999"},
    ],
    ids=str,
)
async def test_what_comes_from_elsewhere_is_refused_even_with_the_key(page, headers) -> None:
    """Another host name (a name made to point here), another page's origin, too much: nothing is decided."""
    key = await page.key()
    async with page.client(authorization=f"Bearer {key}") as client:
        for path, body in (("/entries/7/decision", {"approve": [1]}), ("/session", {"token": "x"})):
            told = await client.post(path, json=body, headers=headers)
            assert (told.status_code, told.json()["code"]) == (403, "wrong_origin")
    assert page.desk.decided == []


async def test_a_form_of_another_page_cannot_decide(page) -> None:
    """There is no cookie to ride on: without the header nobody decides, whatever the browser would send along."""
    key = await page.key()
    async with page.client(cookie=f"key={key}") as client:
        for kind in ("application/x-www-form-urlencoded", "text/plain"):
            told = await client.post(
                f"/entries/7/decision?key={key}", content="approve=1", headers={"content-type": kind}
            )
            assert told.status_code == 401
    assert page.desk.decided == []


async def test_one_decision_is_one_call_in_the_name_it_was_started_with(page) -> None:
    """Approving names passages; approving none is denying; what cannot leave cannot be approved."""
    key = await page.key()
    async with page.client(authorization=f"Bearer {key}", origin=f"http://localhost:{PORT}") as client:
        gone = await client.post("/entries/7/decision", json={"approve": [1, 3]})
        assert (gone.status_code, gone.json()["code"]) == (400, "passage_changed")
        assert (await client.post("/entries/7/decision", json={"approve": [2, 1]})).status_code == 200
        assert (await client.post("/entries/7/decision", json={"approve": [], "note": "no"})).status_code == 200
        assert (await client.post("/entries/8/decision", json={"approve": []})).status_code == 404
        assert (await client.post("/entries/7/decision", json={"approve": [1], "by": "me"})).status_code == 400
    assert page.desk.decided[:2] == [("approve", 7, (2, 1), "Dr. Amsel"), ("deny", 7, "Dr. Amsel", "no")]


async def test_the_page_may_run_its_own_script_and_nothing_else(page) -> None:
    """The policy names the hashes of exactly the script and style in the page; nothing is loaded from anywhere; no
    text is ever made into markup."""
    async with page.client() as client:
        told = await client.get("/")
    policy = told.headers["content-security-policy"]
    inline = re.findall(r"<(script|style)>(.*?)</\1>", told.text, re.DOTALL)
    assert [kind for kind, _ in inline] == ["style", "script"]
    for kind, content in inline:
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert re.findall(r"https?://|//[a-z]+\.", told.text) == []
    assert re.findall(r"innerHTML|outerHTML|insertAdjacent|document\.write|eval\(| on[a-z]+=|style=", told.text) == []
    assert told.headers["cache-control"] == "no-store"


async def test_what_is_shown_is_cut_where_redaction_marked(page) -> None:
    """Pieces in order that make up the text; hostile words travel as data."""
    key = await page.key()
    async with page.client(authorization=f"Bearer {key}") as client:
        whole = (await client.get("/entries/7")).json()
    assert whole["line"]["question"] == HOSTILE
    assert whole["line"]["times"] == 2
    assert whole["passages"][0]["parts"] == [
        {"text": "[name]", "marked": True},
        {"text": " has gout.", "marked": False},
    ]
    assert whole["passages"][0]["cited"] == "Letter · Plan"
    assert whole["passages"][2]["parts"] == []
    assert "h" * 64 not in json.dumps(whole), "handles are nobody's business"


@pytest.mark.parametrize(
    ("original", "form", "marked"),
    [
        ("Ada has gout.", "[NAME] has gout.", ["[NAME]"]),
        ("[name] has gout.", "[name] has gout.", ["[name]"]),
        ("Seen by Ada Lund on 3 May.", "Seen by Maria Voss on 9 May.", ["Maria", "Voss", "9"]),
        ("Gout.", "Gout.", []),
        ("Call 555-1234 now, Ada.", "Call [PHONE] now, [NAME].", ["[PHONE]", "[NAME]"]),
        ("One. Two by Ada. Three.", "Two by [NAME].", ["[NAME]"]),
    ],
)
def test_what_redaction_put_in_is_marked(original, form, marked) -> None:
    """Marks of the reader, of the detector, and names put in place of others; an extract's ends are no change."""
    assert [form[start:end] for start, end in changed(original, form)] == marked
