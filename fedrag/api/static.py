"""The page and the files it is made of. Its policy lets it load these and speak to this coordinator, and no text become
markup or script: no inline script, no string into the document (Trusted Types, where a browser knows them)."""

from importlib.resources import files
from typing import Final

from fastapi import APIRouter, Response

from fedrag.core.errors import NotFound

PAGE: Final = "index.html"
_TYPES: Final = {"html": "text/html", "css": "text/css", "js": "text/javascript"}
_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; "
    "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-cache",
}


def static_routes() -> APIRouter:
    router = APIRouter(include_in_schema=False)
    folder = files("fedrag.api") / "page"
    kept = {one.name: one.read_bytes() for one in folder.iterdir() if _kind(one.name) in _TYPES}

    def served(name: str) -> Response:
        if name not in kept:
            raise NotFound("the page has no such file")
        return Response(kept[name], media_type=_TYPES[_kind(name)], headers=_HEADERS)

    @router.get("/")
    async def page() -> Response:
        return served(PAGE)

    @router.get("/page/{name}")
    async def file(name: str) -> Response:
        return served(name)

    return router


def _kind(name: str) -> str:
    return name.rpartition(".")[2]
