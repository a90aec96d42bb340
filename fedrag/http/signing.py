"""Ed25519 signatures (RFC 8032): who said this, about what.

Each signature covers a context string, so a signed description can never pass for a signed request. Requests are signed
over method, path, body, addressee, time and a nonce; responses over the nonce of their request, so an answer to another
question, or from another hospital, does not verify. This works through a proxy that terminates TLS.
"""

import base64
import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from fedrag.core.errors import ConfigError, IdentityError
from fedrag.core.wire import Wire

REQUEST_HEADERS: Final = ("fedrag-coordinator", "fedrag-time", "fedrag-nonce", "fedrag-signature")
RESPONSE_HEADER: Final = "fedrag-signature"
CLOCK_WINDOW_S: Final = 300


class Signer:
    """A private key made on this machine; it never leaves it."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        self.public_key = base64.b64encode(
            key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        ).decode()

    @property
    def private_key(self) -> Ed25519PrivateKey:
        """For libraries that sign by themselves (JWT)."""
        return self._key

    def derived_secret(self, purpose: str) -> bytes:
        """32 bytes that only the holder of this key can make, another for each purpose (HKDF, RFC 5869)."""
        raw = self._key.private_bytes(
            serialization.Encoding.Raw, serialization.PrivateFormat.Raw, serialization.NoEncryption()
        )
        return HKDF(hashes.SHA256(), 32, salt=None, info=b"fedrag/1/" + purpose.encode()).derive(raw)

    @classmethod
    def generate(cls) -> "Signer":
        return cls(Ed25519PrivateKey.generate())

    @classmethod
    def load(cls, path: Path) -> "Signer":
        """Raises ConfigError when the file is missing, no Ed25519 key, or readable by others."""
        try:
            if path.stat().st_mode & 0o077:
                raise ConfigError(f"{path} can be read by others: chmod 600", code="key_permissions")
            key = serialization.load_pem_private_key(path.read_bytes(), password=None)
        except FileNotFoundError:
            raise ConfigError(f"no key at {path}", code="missing_key") from None
        except ValueError:
            raise ConfigError(f"{path} is not a private key", code="bad_key") from None
        if not isinstance(key, Ed25519PrivateKey):
            raise ConfigError(f"{path} is not an Ed25519 key", code="bad_key")
        return cls(key)

    def save(self, path: Path) -> None:
        """Creates the file readable by its owner only; never overwrites a key."""
        pem = self._key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(pem)

    def sign(self, context: str, payload: bytes) -> str:
        return base64.b64encode(self._key.sign(_message(context, payload))).decode()


def public_key(text: str) -> Ed25519PublicKey:
    """A public key from its base64 form. Raises ConfigError when it is not one."""
    try:
        return Ed25519PublicKey.from_public_bytes(base64.b64decode(text, validate=True))
    except ValueError:
        raise ConfigError("not a base64 Ed25519 public key", code="bad_key") from None


def verify(key: str, context: str, payload: bytes, signature: str) -> None:
    """Raises IdentityError(bad_signature) unless the holder of `key` signed exactly this."""
    try:
        public_key(key).verify(base64.b64decode(signature, validate=True), _message(context, payload))
    except (InvalidSignature, ValueError):
        raise IdentityError(f"signature of {context} does not verify", code="bad_signature") from None


def signed_bytes(value: Wire) -> bytes:
    """What a signature inside a value covers: all of its other fields, in declaration order."""
    return value.model_dump_json(exclude={"signature"}).encode()


@dataclass(frozen=True, slots=True)
class SignedRequest:
    """The parts of a request that its signature covers. `time_s` is Unix time."""

    coordinator: str
    node: str
    method: str
    path: str
    body: bytes
    time_s: int
    nonce: str

    def payload(self) -> bytes:
        digest = hashlib.sha256(self.body).hexdigest()
        return "\n".join(
            (self.coordinator, self.node, self.method, self.path, digest, str(self.time_s), self.nonce)
        ).encode()

    def headers(self, signer: Signer) -> dict[str, str]:
        signature = signer.sign("request", self.payload())
        return dict(zip(REQUEST_HEADERS, (self.coordinator, str(self.time_s), self.nonce, signature), strict=True))


def response_payload(node: str, nonce: str, status: int, body: bytes) -> bytes:
    """What a node signs of its response, with context "response"."""
    return "\n".join((node, nonce, str(status), hashlib.sha256(body).hexdigest())).encode()


def _message(context: str, payload: bytes) -> bytes:
    return b"fedrag/1/" + context.encode() + b"\0" + payload
