"""The node's OpenAPI document. Its handlers read raw bodies, since the signature covers them, so it is written here."""

from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic.json_schema import models_json_schema

from fedrag.core.collection import NodeDescription
from fedrag.core.exchange import AwaitedRequest, OfferRequest, Offers, Release, ReleaseRequest
from fedrag.core.populations import COUNT_STEPS
from fedrag.core.statistics import STEPS
from fedrag.core.traces import Trace, TraceRequest
from fedrag.http.problem import MEDIA_TYPE, Problem
from fedrag.http.signing import REQUEST_HEADERS

_REFERENCE: Final = "#/components/schemas/{model}"
_ROUTES: Final = {
    "/v1/description": ("get", None, NodeDescription),
    "/v1/offers": ("post", OfferRequest, Offers),
    "/v1/releases": ("post", ReleaseRequest, Release),
    "/v1/awaited": ("post", AwaitedRequest, Offers),
    "/v1/traces": ("post", TraceRequest, Trace),
    **{step.path: ("post", step.asked, step.answered) for step in (*STEPS, *COUNT_STEPS)},
}
_STATUSES: Final = {
    400: "not what this route takes",
    401: "not signed by a pinned coordinator, not fresh, or an asker's token that does not verify",
    403: "refused, for a reason that does not depend on content",
    413: "too large",
    429: "a quota is used up",
    500: "an error here; nothing was released",
    504: "the caller's deadline has passed",
}


def openapi(app: FastAPI) -> dict[str, Any]:
    """Version 3.1, with the signature headers as one security scheme."""
    document = get_openapi(title=app.title, version="1", routes=app.routes)
    models = [(model, "serialization") for _, _, model in _ROUTES.values()] + [(Problem, "serialization")]
    models += [(model, "validation") for _, model, _ in _ROUTES.values() if model is not None]
    _, defined = models_json_schema(models, ref_template=_REFERENCE)  # type: ignore[arg-type] # literals are strings
    document.setdefault("components", {}).setdefault("schemas", {}).update(defined["$defs"])
    told = f"Ed25519 over coordinator, node, method, path, body, time and nonce; with {', '.join(REQUEST_HEADERS[:3])}"
    scheme = {"type": "apiKey", "in": "header", "name": REQUEST_HEADERS[3], "description": told}
    document["components"]["securitySchemes"] = {"signature": scheme}
    for path, (method, asked, answered) in _ROUTES.items():
        route = document["paths"][path][method]
        route["security"] = [{"signature": []}]
        route["responses"] = {"200": _content("application/json", answered.__name__, "answered, and signed")}
        route["responses"] |= {str(code): _content(MEDIA_TYPE, "Problem", why) for code, why in _STATUSES.items()}
        if asked is not None:
            route["requestBody"] = {"required": True, **_content("application/json", asked.__name__, "signed")}
    document["paths"]["/health/ready"]["get"]["responses"]["503"] = _content(MEDIA_TYPE, "Problem", "about to stop")
    return document


def _content(media_type: str, model: str, told: str) -> dict[str, Any]:
    return {"description": told, "content": {media_type: {"schema": {"$ref": _REFERENCE.format(model=model)}}}}
