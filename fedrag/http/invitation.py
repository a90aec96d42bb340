"""The one-time code that an operator gives to a hospital, by a channel they trust.

It holds a secret that the hospital proves to know, and the fingerprint of the coordinator's key, by which the hospital
knows whom it met. So both directions are authenticated by the code alone, whatever the network between them does.
"""

import base64
import hashlib
import hmac
import secrets
from dataclasses import dataclass
from typing import Final, Self

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from fedrag.core.enrolment import Enrolment, EnrolmentRequest
from fedrag.core.errors import IdentityError, InputError
from fedrag.core.wire import decode_base64, encode_base64
from fedrag.http.signing import Signer, signed_bytes, verify

_SECRET_BYTES: Final = 16
_FINGERPRINT_BYTES: Final = 16
_GROUP: Final = 8


@dataclass(frozen=True, slots=True)
class InvitationCode:
    """128 random bits, and the first 128 bits of SHA-256 of the coordinator's public key."""

    secret: bytes
    fingerprint: bytes

    @classmethod
    def make(cls, coordinator_key: str) -> Self:
        return cls(secrets.token_bytes(_SECRET_BYTES), fingerprint(coordinator_key))

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises InputError(bad_code). Case, spaces and dashes do not matter."""
        letters = "".join(character for character in text.upper() if character not in "- \t\n")
        try:
            raw = base64.b32decode(letters + "=" * (-len(letters) % 8))
        except ValueError:
            raw = b""
        if len(raw) != _SECRET_BYTES + _FINGERPRINT_BYTES:
            raise InputError("this is not a one-time code of a federation", code="bad_code")
        return cls(raw[:_SECRET_BYTES], raw[_SECRET_BYTES:])

    def text(self) -> str:
        letters = base64.b32encode(self.secret + self.fingerprint).decode().rstrip("=")
        return "-".join(letters[start : start + _GROUP] for start in range(0, len(letters), _GROUP))

    @property
    def id(self) -> str:
        """Names the invitation without telling its secret."""
        return self._derived("id").hex()

    @property
    def proof_key(self) -> str:
        """All that the coordinator keeps of the secret, base64."""
        return encode_base64(self._derived("proof"))

    def _derived(self, purpose: str) -> bytes:
        return HKDF(hashes.SHA256(), 32, salt=None, info=b"fedrag/1/invitation/" + purpose.encode()).derive(self.secret)


def fingerprint(public_key: str) -> bytes:
    return hashlib.sha256(decode_base64(public_key)).digest()[:_FINGERPRINT_BYTES]


def proven(request: EnrolmentRequest, proof_key: str, signer: Signer) -> EnrolmentRequest:
    """The request with its proof and the node's signature."""
    with_proof = request.model_copy(update={"proof": _proof(request, proof_key)})
    return with_proof.model_copy(update={"signature": signer.sign("enrolment", signed_bytes(with_proof))})


def check_proof(request: EnrolmentRequest, proof_key: str) -> None:
    """Raises IdentityError (bad_proof, bad_signature) unless its sender holds the code and the key it names."""
    if not hmac.compare_digest(_proof(request, proof_key), request.proof):
        raise IdentityError("the request does not prove the one-time code", code="bad_proof")
    verify(request.public_key, "enrolment", signed_bytes(request), request.signature)


def signed(enrolment: Enrolment, signer: Signer) -> Enrolment:
    return enrolment.model_copy(update={"signature": signer.sign("enrolled", signed_bytes(enrolment))})


def check_enrolment(enrolment: Enrolment, request: EnrolmentRequest, code: InvitationCode) -> None:
    """Raises IdentityError (wrong_coordinator, bad_signature): not the coordinator the code was made by, or not its
    answer to this request."""
    if fingerprint(enrolment.public_key) != code.fingerprint:
        raise IdentityError("another coordinator answered than the one that made this code", code="wrong_coordinator")
    verify(enrolment.public_key, "enrolled", signed_bytes(enrolment), enrolment.signature)
    if enrolment.request != digest(request):
        raise IdentityError("the coordinator answered another request", code="bad_signature")


def digest(request: EnrolmentRequest) -> str:
    return hashlib.sha256(request.model_dump_json().encode()).hexdigest()


def _proof(request: EnrolmentRequest, proof_key: str) -> str:
    covered = request.model_dump_json(exclude={"proof", "signature"}).encode()
    return encode_base64(hmac.digest(decode_base64(proof_key), covered, hashlib.sha256))
