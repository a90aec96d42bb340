"""Asker tokens: short-lived, one per hospital, with a pseudonym that no two hospitals share."""

import hashlib
import hmac
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import jwt

from fedrag.core.identity import Asker, AskerToken
from fedrag.core.wire import NodeId
from fedrag.http.signing import Signer

LIFETIME_S: Final = 300


@dataclass(frozen=True, slots=True)
class DevelopmentIssuer:
    """Stands in for the asker's organisation, on the coordinator itself: for demos and tests.

    In production the organisation's own identity provider issues these, so that the coordinator cannot make them up.

    Args:
        name: the `iss` claim, which nodes must trust by its public key.
        signer: the issuer's key.
        secret: makes pseudonyms: HMAC-SHA256(secret, asker ‖ node), 128 bits.
    """

    name: str
    signer: Signer
    secret: bytes
    clock: Callable[[], float] = time.time

    def token(self, asker: Asker, node: NodeId) -> str:
        """A compact JWT good for this asker at this node."""
        pseudonym = hmac.new(self.secret, f"{asker.name}\0{node}".encode(), hashlib.sha256).hexdigest()[:32]
        now_s = int(self.clock())
        token = AskerToken(
            issuer=self.name,
            pseudonym=pseudonym,
            role=asker.role,
            purpose=asker.purpose,
            audience=node,
            issued_at=now_s,
            expires_at=now_s + LIFETIME_S,
            project=asker.project,
        )
        return jwt.encode(token.claims(), self.signer.private_key, algorithm="EdDSA")
