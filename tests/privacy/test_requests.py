"""Who may speak to a node: signatures, freshness, replay, tokens."""

import time

import jwt
import pytest

from fedrag.core.identity import Asker, Purpose
from fedrag.http.signing import SignedRequest, Signer
from fedrag.http.tokens import DevelopmentIssuer

COORDINATOR = "test-coordinator"


@pytest.fixture
def hospital(workshop):
    return workshop.hospital("heart", {"d.md": "# D\n\n## S\nWarfarin is reversed with vitamin K.\n"})


def offer_body(**changes) -> bytes:
    import json

    body = {
        "request_id": "0" * 32,
        "coordinator": COORDINATOR,
        "node": "heart",
        "vector": None,
        "comparable_with": "",
        "text": "warfarin",
        "k": 3,
        "deadline_ms": 1000,
        "token": None,
    }
    return json.dumps({**body, **changes}).encode()


async def post(hospital, body: bytes, signer: Signer, signed_as: dict[str, object] | None = None) -> tuple[int, str]:
    """Status and code of one offer request, signed over something else where `signed_as` says so."""
    signed = SignedRequest(
        **{
            "coordinator": COORDINATOR,
            "node": "heart",
            "method": "POST",
            "path": "/v1/offers",
            "body": body,
            "time_s": int(time.time()),
            "nonce": "n" * 32,
            **(signed_as or {}),
        }
    )
    response = await hospital.remote.client.post("http://heart/v1/offers", content=body, headers=signed.headers(signer))
    return response.status_code, response.json().get("code", "ok")


async def test_a_well_signed_request_is_answered(workshop, hospital) -> None:
    """The control: everything below changes one thing of this."""
    assert await post(hospital, offer_body(), workshop.signer) == (200, "ok")


@pytest.mark.parametrize(
    ("signed_as", "code"),
    [
        ({"body": b"{}"}, "bad_signature"),
        ({"path": "/v1/releases"}, "bad_signature"),
        ({"method": "GET"}, "bad_signature"),
        ({"node": "lung"}, "bad_signature"),
        ({"time_s": 1}, "clock_skew"),
        ({"time_s": int(time.time()) + 86_400}, "clock_skew"),  # collected long before it runs
        ({"coordinator": "stranger"}, "unknown_coordinator"),
        ({"nonce": ""}, "unsigned"),
    ],
    ids=["body", "path", "method", "addressee", "old", "clock + a day", "unpinned coordinator", "no nonce"],
)
async def test_a_request_signed_over_anything_else_is_refused(workshop, hospital, signed_as, code) -> None:
    """Each part of a request is covered by its signature."""
    assert await post(hospital, offer_body(), workshop.signer, signed_as) == (401, code)


async def test_another_key_is_refused(hospital) -> None:
    """The pinned key counts, not the name."""
    assert await post(hospital, offer_body(), Signer.generate()) == (401, "bad_signature")


async def test_an_unsigned_request_is_refused(hospital) -> None:
    """A node with a pinned coordinator answers nobody else."""
    response = await hospital.remote.client.post("http://heart/v1/offers", content=offer_body())
    assert (response.status_code, response.json()["code"]) == (401, "unsigned")


async def test_a_replayed_request_is_refused(workshop, hospital) -> None:
    """The same signed bytes are good once."""
    assert (await post(hospital, offer_body(), workshop.signer))[0] == 200
    assert await post(hospital, offer_body(), workshop.signer) == (401, "replayed")


async def test_a_coordinator_cannot_ask_in_anothers_name(workshop, hospital) -> None:
    """Its quota is bound to its key: the name inside the body must be the one that signed."""
    assert await post(hospital, offer_body(coordinator="somebody-else"), workshop.signer) == (401, "wrong_coordinator")


def forged_token(workshop, **changes) -> str:
    now = int(time.time())
    claims = {
        "iss": "test-issuer",
        "sub": "a" * 32,
        "aud": "heart",
        "iat": now,
        "exp": now + 60,
        "role": "clinician",
        "purpose": "treatment",
    }
    claims = {name: value for name, value in (claims | changes).items() if value is not None}
    return jwt.encode(claims, workshop.issuer.signer.private_key, algorithm="EdDSA")


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"exp": 1}, "expired_token"),
        ({"aud": "lung"}, "bad_token"),
        ({"iss": "stranger"}, "unknown_issuer"),
        ({"role": "king"}, "bad_token"),
        ({"purpose": None}, "bad_token"),
        ({"exp": None}, "bad_token"),
    ],
    ids=["expired", "for another node", "unknown issuer", "unknown role", "no purpose", "no expiry"],
)
async def test_a_token_that_is_not_right_is_refused(workshop, hospital, changes, code) -> None:
    """Issuer, audience, expiry, role and purpose are all checked at the node."""
    token = forged_token(workshop, **changes)
    assert await post(hospital, offer_body(token=token), workshop.signer) == (401, code)


async def test_a_token_of_another_key_is_refused(workshop, hospital) -> None:
    """The issuer's name is not enough."""
    stranger = DevelopmentIssuer("test-issuer", Signer.generate(), secret=b"x")
    token = stranger.token(Asker(name="dr", purpose=Purpose.TREATMENT), "heart")
    assert await post(hospital, offer_body(token=token), workshop.signer) == (401, "bad_token")


def test_one_asker_is_another_pseudonym_at_each_hospital(workshop) -> None:
    """Two hospitals cannot join their logs."""
    asker = Asker(name="dr", purpose=Purpose.TREATMENT)

    def pseudonym(node: str) -> str:
        return jwt.decode(workshop.issuer.token(asker, node), options={"verify_signature": False})["sub"]

    assert pseudonym("heart") == pseudonym("heart")
    assert pseudonym("heart") != pseudonym("lung")


async def test_a_forged_handle_releases_nothing(workshop, hospital) -> None:
    """A release for a handle the node did not make is refused whole, whatever it looks like."""
    import json

    body = json.dumps(
        {
            "request_id": "0" * 32,
            "coordinator": COORDINATOR,
            "node": "heart",
            "handles": ["A" * 92],
            "processor": {"model": "m", "place": "coordinator"},
            "deadline_ms": 1000,
        }
    ).encode()
    signed = SignedRequest(COORDINATOR, "heart", "POST", "/v1/releases", body, int(time.time()), "f" * 32)
    response = await hospital.remote.client.post(
        "http://heart/v1/releases", content=body, headers=signed.headers(workshop.signer)
    )
    assert (response.status_code, response.json()["code"]) == (403, "bad_handle")
    assert "vitamin" not in response.text


async def test_a_large_body_is_refused_before_it_is_read(workshop, hospital) -> None:
    """A quarter of a mebibyte is plenty for a question."""
    status, code = await post(hospital, b" " * (300 * 1024), workshop.signer)
    assert (status, code) == (413, "too_large")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff\xfe",
        b"[]",
        offer_body(k=0),
        offer_body(k=10_000),
        offer_body(unknown=1),
        offer_body(vector="AAAAfw=="),
        offer_body(vector="AADAfw=="),
        offer_body(text="x" * 4_001),
        offer_body(text="a\x00b"),
        offer_body(node="HEART"),
    ],
    ids=["empty", "not UTF-8", "list", "k 0", "k 10,000", "unknown field", "huge", "NaN", "long", "control", "case"],
)
async def test_bad_input_is_a_problem_with_a_code(workshop, hospital, body) -> None:
    """Every malformed request is refused with a reason that repeats nothing of it."""
    status, code = await post(hospital, body, workshop.signer)
    if body == offer_body(vector="AAAAfw=="):
        assert status == 200  # a finite number; another encoder's vector is ignored, the text is used
    else:
        assert (status, code) == (400, "bad_input")
