"""Both APIs under schemathesis: requests made from their own OpenAPI documents, good and bad, and every check it has.

The services run on real sockets. A node's requests are signed just before they are sent, over the very bytes that are
sent, with a fresh nonce; in good requests the fields that a schema cannot pin down (which node, which coordinator, a
vector of this encoder) are set to ones that mean something.
"""

import hashlib
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import requests
import schemathesis
import uvicorn
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from requests.auth import AuthBase
from schemathesis.checks import CHECKS, load_all_checks
from schemathesis.core.failures import FailureGroup
from schemathesis.generation import GenerationMode

from fedrag.core.wire import encode_vector
from fedrag.encoders import ENCODERS
from fedrag.http.serving import listen
from fedrag.http.signing import SignedRequest, Signer

Prepare = Callable[[schemathesis.Case], None]


@dataclass
class Sign(AuthBase):
    """Signs each request as a coordinator does."""

    coordinator: str
    node: str
    signer: Signer

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        body = request.body or b""
        signed = SignedRequest(
            coordinator=self.coordinator,
            node=self.node,
            method=request.method,
            path=urlsplit(request.url).path,
            body=body.encode() if isinstance(body, str) else body,
            time_s=int(time.time()),
            nonce=uuid.uuid4().hex,
        )
        request.headers.update(signed.headers(self.signer))
        return request


class BearerKey(AuthBase):
    """An asker's API key."""

    def __init__(self, key: str) -> None:
        self.key = key

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["authorization"] = f"Bearer {self.key}"
        return request


@dataclass
class Found:
    """How many cases were sent per operation and kind, and what failed: (operation, check) → an example."""

    cases: Counter[tuple[str, str]] = field(default_factory=Counter)
    statuses: Counter[tuple[str, int]] = field(default_factory=Counter)
    failures: dict[tuple[str, str], str] = field(default_factory=dict)


@contextmanager
def serving(app: Callable[..., object]) -> Iterator[str]:
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="off", server_header=False))
    listening = listen("127.0.0.1", 0)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()


def fuzz(url: str, auth: AuthBase, prepare: Prepare, cases: int, seed: int) -> Found:
    """About `cases` requests, spread evenly over operations and over good and bad ones."""
    load_all_checks()
    checks = [check for check in CHECKS.get_all() if check.__name__ != "ignored_auth"]  # it cannot see what signs later
    document = requests.get(f"{url}/openapi.json", timeout=10).json()
    for operation in (one for path in document["paths"].values() for one in path.values()):
        operation.pop("security", None)  # the session signs whatever is sent; tests/privacy looks at what is not signed
    schema = schemathesis.openapi.from_dict(document)
    schema.config.update(base_url=url)
    operations = [one.ok() for one in schema.get_all_operations()]
    found = Found()
    session = requests.Session()
    session.trust_env, session.auth = False, auth
    for operation in operations:
        takes_nothing = not operation.body and not list(operation.iter_parameters())
        modes = (GenerationMode.POSITIVE,) if takes_nothing else (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)
        share = 20 if takes_nothing else max(1, cases // (2 * sum(bool(one.body) for one in operations) or 1))
        for mode in modes:
            _run(operation, mode, share, seed, session, checks, prepare, found)
    session.close()
    return found


def _run(operation, mode, share, seed, session, checks, prepare, found: Found) -> None:
    name = f"{operation.method.upper()} {operation.path}"

    @settings(
        max_examples=share,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
        derandomize=seed == 0,
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def once(case: schemathesis.Case) -> None:
        if mode is GenerationMode.POSITIVE:
            prepare(case)
        elif isinstance(case.body, dict) and _too_short(case.body.get("deadline_ms")):
            case.body["deadline_ms"] = 2_000
        response = case.call(session=session)
        found.cases[name, mode.value] += 1
        found.statuses[name, response.status_code] += 1
        try:
            too_large = response.status_code == 413  # a refusal too, which the check does not count as one
            wanted = [check for check in checks if not (too_large and check.__name__ == "negative_data_rejection")]
            case.validate_response(response, checks=wanted)
        except FailureGroup as group:
            for failure in group.exceptions:
                found.failures.setdefault(
                    (name, type(failure).__name__),
                    f"{response.status_code}: {failure} {response.text[:300]} {_shown(case.body)}"[:1200],
                )

    with suppress(Unsatisfiable):  # nothing can be wrong about a request without parts
        once()


def for_node(node: str, coordinator: str) -> Prepare:
    """Good requests of a node: to it, from its coordinator, with a vector of its encoder or none, without a token."""
    encoder = ENCODERS.build("hashing")
    vector = encode_vector(encoder.encode_queries(["warfarin"])[0])

    def prepare(case: schemathesis.Case) -> None:
        if isinstance(case.body, dict) and "deadline_ms" in case.body:
            case.body.update(node=node, coordinator=coordinator, token=None, deadline_ms=5_000)
            if "vector" in case.body:
                case.body["vector"] = vector if case.body["vector"] is not None else None
                case.body["comparable_with"] = encoder.identity.comparable_with
            _in_order(case.body)
        if case.operation.path == "/v1/populations/key" and isinstance(case.body, dict):
            case.body.update(question=_counted(case.body["question"]), token=None)

    return prepare


def _in_order(body: dict[str, object]) -> None:
    """A filter whose days do not contradict each other."""
    wanted = body.get("filter")
    if isinstance(wanted, dict) and wanted.get("effective_from") and wanted.get("effective_until"):
        ends = (wanted["effective_from"], wanted["effective_until"])
        wanted.update(effective_from=min(ends), effective_until=max(ends))


def for_coordinator(nodes: list[str], routing: list[str]) -> Prepare:
    """Good questions: to hospitals and by policies that exist, quickly; addresses of https, without IPv6
    (which a pattern cannot pin down)."""

    def prepare(case: schemathesis.Case) -> None:
        if case.operation.path == "/v1/populations":
            case.body = _population(case.body)
        elif isinstance(case.body, dict) and "question" in case.body:
            case.body.update(nodes=nodes, routing=routing[0], deadline_ms=2_000)
            _in_order(case.body)
        if isinstance(case.body, dict) and "authority" in case.body:
            case.body["authority"] = ""
        if isinstance(case.body, dict) and "urls" in case.body:
            secure = [url for url in case.body["urls"] if url.startswith("https:") and "[" not in url]
            case.body["urls"] = secure or ["https://hospital:8801"]

    return prepare


def _population(body: object) -> dict[str, object]:
    """Either a question, or a sentence that is understood."""
    if not isinstance(body, dict) or not isinstance(body.get("question"), dict):
        return {"text": "How many patients with asthma take salbutamol?"}
    return {"question": _counted(body["question"])}


def _counted(question: dict[str, object]) -> dict[str, object]:
    """Concepts with a code or a label, not both; of an age its ends in order."""
    for name in ("having", "also"):
        if name in question:
            question[name] = [
                {key: one[key] for key in ("kind", "code", "system") if key in one}
                if one.get("code")
                else {"label": "asthma"}
                for one in question[name]
            ]
    if question.get("age"):
        ends = (question["age"].get("at_least", 0), question["age"].get("at_most", 90))
        question["age"] = {"at_least": min(ends), "at_most": max(ends)}
    return question


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _too_short(asked_ms: object) -> bool:
    """A deadline that is allowed and cannot be kept: 504 would be the right answer."""
    return isinstance(asked_ms, float | int) and 100 <= asked_ms < 2_000


def _shown(body: object) -> str:
    """Without the vector, which nobody reads."""
    return repr({name: value for name, value in body.items() if name != "vector"} if isinstance(body, dict) else body)
