"""Sealed handles: an offer that only the node that made it can open, and only for the one it was made for."""

import base64
import hashlib
import secrets
import struct
from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from fedrag.core.errors import Refused

_FORMAT: Final = 2
_LAYOUT: Final = struct.Struct(">B8sqq8sqIH")
"""With its format byte, sealed, a multiple of three bytes: base64 then has one spelling only."""
_NONCE_BYTES: Final = 12
LIFETIME_S: Final = 600


@dataclass(frozen=True, slots=True)
class Recipient:
    """Whom a handle was made for. Anyone else who presents it holds bytes that do not open."""

    asker: str
    purpose: str
    coordinator: str
    request_id: str
    project: str = ""

    def associated_data(self) -> bytes:
        return "\0".join((self.asker, self.purpose, self.coordinator, self.request_id, self.project)).encode()


@dataclass(frozen=True, slots=True)
class SealedPassage:
    """What a handle names. `generation` of the index and `policy` version are those the offer was made under;
    `expires_at` in Unix seconds. `extract`: the characters [start, end) of the passage that bear on the question, where
    the offer was of an extract; (0, 0) where it was not."""

    collection: str
    passage_id: int
    generation: int
    policy: str
    expires_at: int
    extract: tuple[int, int] = (0, 0)


class HandleSealer:
    """ChaCha20-Poly1305 (RFC 8439) under a key of the node's own, random nonce, fixed length.

    What it names is encrypted; asker, purpose, project, coordinator and request are bound as associated data. The node
    keeps no search state: all it needs to release comes back in the handle.
    """

    def __init__(self, key: bytes) -> None:
        self._cipher = ChaCha20Poly1305(key)

    def seal(self, passage: SealedPassage, recipient: Recipient) -> str:
        plain = _LAYOUT.pack(
            _FORMAT,
            _digest(passage.collection),
            passage.passage_id,
            passage.generation,
            _digest(passage.policy),
            passage.expires_at,
            passage.extract[0],
            passage.extract[1] - passage.extract[0],
        )
        nonce = secrets.token_bytes(_NONCE_BYTES)
        sealed = nonce + self._cipher.encrypt(nonce, plain, recipient.associated_data())
        return base64.urlsafe_b64encode(sealed).decode().rstrip("=")

    def open(self, handle: str, recipient: Recipient, policies: dict[str, str], now_s: float) -> SealedPassage:
        """`policies` maps each collection to its policy version of today.

        Raises Refused: `bad_handle` when it was forged, altered or made for another; `handle_expired`; `policy_changed`
        when the owner has decided anew since. None of them depends on content.
        """
        try:
            sealed = base64.urlsafe_b64decode(handle + "=" * (-len(handle) % 4))
            plain = self._cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], recipient.associated_data())
            named = _LAYOUT.unpack(plain)
        except (InvalidTag, ValueError, struct.error):
            raise Refused("a handle that this node did not make for this request", code="bad_handle") from None
        _, collection_digest, passage_id, generation, policy_digest, expires_at, start, length = named
        if not now_s <= expires_at <= now_s + LIFETIME_S:  # from the future: the clock was set back
            raise Refused("a handle that has expired", code="handle_expired")
        for collection, policy in policies.items():
            if _digest(collection) == collection_digest and _digest(policy) == policy_digest:
                extract = (start, start + length)
                return SealedPassage(collection, passage_id, generation, policy, expires_at, extract)
        raise Refused("the release policy changed since the offer", code="policy_changed")


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()[:8]
