"""The files of the page, as the coordinator serves them."""

import re

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from fedrag.api.static import static_routes
from fedrag.http import problem


@pytest.fixture
def client() -> TestClient:
    app = FastAPI()
    problem.install(app)
    app.include_router(static_routes())
    return TestClient(app)


def test_everything_the_page_loads_is_there_and_nothing_is_left_over(client) -> None:
    """From the page through its style sheet and what each script imports: all of these names and no others exist."""
    wanted, seen = ["/"], set()
    kinds = {"": "text/html", "css": "text/css", "js": "text/javascript"}
    while wanted:
        path = wanted.pop()
        seen.add(path)
        response = client.get(path)
        assert response.status_code == 200, path
        assert (
            response.headers["content-type"]
            == f"{kinds[path.rpartition('.')[2] if '.' in path else '']}; charset=utf-8"
        )
        found = re.findall(r'(?:src|href)="(/page/[^"]+)"', response.text)
        found += [f"/page/{name}" for name in re.findall(r'from "\./([^"]+)"', response.text)]
        wanted += [one for one in found if one not in seen]
    from importlib.resources import files

    kept = {f"/page/{one.name}" for one in (files("fedrag.api") / "page").iterdir()}
    assert seen == (kept - {"/page/index.html"}) | {"/"}


def test_the_policy_allows_nothing_from_elsewhere_and_nothing_inline(client) -> None:
    """On the page and on each of its files; no address of another host stands in any."""
    for path in ("/", "/page/ask.js", "/page/style.css"):
        response = client.get(path)
        rules = dict(rule.split(maxsplit=1) for rule in response.headers["content-security-policy"].split("; "))
        assert rules["default-src"] == "'none'"
        assert rules["script-src"] == rules["style-src"] == rules["connect-src"] == "'self'"
        assert rules["require-trusted-types-for"] == "'script'"
        assert "unsafe" not in response.headers["content-security-policy"]
        assert response.headers["x-content-type-options"] == "nosniff"
        assert not re.search(r"https?://|@import|innerHTML|insertAdjacentHTML|document\.write|eval\(", response.text)


@pytest.mark.parametrize("name", ["nothing.js", "..%2Fapp.py", "%2e%2e%2fapp.py", "app.py", ""])
def test_no_other_file_is_served(client, name: str) -> None:
    response = client.get(f"/page/{name}")
    assert response.status_code == 404
    assert response.json()["code"] == "not_found"
