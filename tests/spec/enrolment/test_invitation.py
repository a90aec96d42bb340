"""The one-time code authenticates both directions, and nothing else does."""

import base64
import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from fedrag.core.enrolment import Enrolment, EnrolmentRequest, NodeUrl
from fedrag.core.errors import IdentityError, InputError
from fedrag.http.invitation import InvitationCode, check_enrolment, check_proof, digest, proven, signed
from fedrag.http.signing import Signer

COORDINATOR, NODE = Signer.generate(), Signer.generate()
CODE = InvitationCode.make(COORDINATOR.public_key)


def request(**changes: object) -> EnrolmentRequest:
    made = {"invitation": CODE.id, "node": "n", "name": "N", "public_key": NODE.public_key, "urls": ("https://n:1",)}
    return EnrolmentRequest.model_validate({**made, **changes})


def enrolment(of: EnrolmentRequest, signer: Signer = COORDINATOR) -> Enrolment:
    return signed(
        Enrolment(
            request=digest(of), coordinator="c", public_key=signer.public_key, authority="", issuers=(), signature=""
        ),
        signer,
    )


@given(st.binary(min_size=16, max_size=16), st.binary(min_size=16, max_size=16))
def test_a_code_survives_being_typed(secret: bytes, print_: bytes) -> None:
    """Lower case, spaces and missing dashes make no difference."""
    code = InvitationCode(secret, print_)
    text = code.text()
    assert InvitationCode.parse(text) == code
    assert InvitationCode.parse(text.lower().replace("-", " ")) == code


@pytest.mark.parametrize("text", ["", "ABC", "1" * 52, "Ä" * 52, "A" * 60])
def test_what_is_no_code_is_told(text: str) -> None:
    """Before anything is sent."""
    with pytest.raises(InputError) as wrong:
        InvitationCode.parse(text)
    assert wrong.value.code == "bad_code"


def test_the_proof_is_an_hmac_that_anyone_with_the_code_can_compute() -> None:
    """Recomputed here from the definition: all fields but proof and signature, under the derived key."""
    made = proven(request(), CODE.proof_key, NODE)
    covered = made.model_dump_json(exclude={"proof", "signature"}).encode()
    key = base64.b64decode(CODE.proof_key)
    assert made.proof == base64.b64encode(hmac.new(key, covered, hashlib.sha256).digest()).decode()
    assert CODE.secret not in made.model_dump_json().encode()
    check_proof(made, CODE.proof_key)


@pytest.mark.parametrize(
    "change",
    [
        {"node": "other"},
        {"name": "Other"},
        {"urls": ("https://attacker:1",)},
        {"public_key": Signer.generate().public_key},
        {"authority": "attacker"},
        {"invitation": "0" * 64},
        {"proof": base64.b64encode(b"x" * 32).decode()},
    ],
)
def test_no_field_can_be_changed_on_the_way(change: dict[str, object]) -> None:
    """Whoever stands between learns nothing that lets them put themselves in the hospital's place."""
    with pytest.raises(IdentityError) as refused:
        check_proof(proven(request(), CODE.proof_key, NODE).model_copy(update=change), CODE.proof_key)
    assert refused.value.code == "bad_proof"


def test_a_key_must_be_held_by_who_names_it() -> None:
    """The code alone does not let anyone enrol somebody else's public key."""
    other = request(public_key=Signer.generate().public_key)
    with pytest.raises(IdentityError) as refused:
        check_proof(proven(other, CODE.proof_key, NODE), CODE.proof_key)
    assert refused.value.code == "bad_signature"


def test_only_the_coordinator_that_made_the_code_is_believed() -> None:
    """Another key fails by its fingerprint; the right key with a signature of another, by its signature."""
    asked = proven(request(), CODE.proof_key, NODE)
    check_enrolment(enrolment(asked), asked, CODE)
    impostor = Signer.generate()
    with pytest.raises(IdentityError) as wrong:
        check_enrolment(enrolment(asked, impostor), asked, CODE)
    assert wrong.value.code == "wrong_coordinator"
    forged = enrolment(asked, impostor).model_copy(update={"public_key": COORDINATOR.public_key})
    with pytest.raises(IdentityError) as wrong:
        check_enrolment(forged, asked, CODE)
    assert wrong.value.code == "bad_signature"
    with pytest.raises(IdentityError):
        check_enrolment(enrolment(proven(request(name="Earlier"), CODE.proof_key, NODE)), asked, CODE)


@pytest.mark.parametrize(
    "url",
    [
        "http://[",
        "http://a]",
        "https://[::1",
        "https://[:::::]:1",
        "https://n:0",
        "https://n:65536",
        "https://n:1:2",
        "ftp://n",
    ],
)
def test_what_is_no_address_is_refused_before_anything_reads_it(url: str) -> None:
    """As a wrong request, not as an error of the coordinator."""
    with pytest.raises(ValidationError):
        TypeAdapter(NodeUrl).validate_python(url)


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:8801", "https://[2001:db8::1]:8801/north", "https://n", "https://n:65535/a/b"]
)
def test_addresses_of_nodes(url: str) -> None:
    """Names, IPv4, IPv6 in brackets, a port, a path."""
    assert TypeAdapter(NodeUrl).validate_python(url) == url
