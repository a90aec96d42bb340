"""The gate: whose request is this, is it fresh, and on whose behalf. Content plays no part."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import jwt

from fedrag.core.errors import IdentityError
from fedrag.core.identity import AskerToken, Purpose
from fedrag.core.wire import NodeId
from fedrag.http.signing import CLOCK_WINDOW_S, SignedRequest, public_key, verify
from retriever_node.policy import NodeAsker
from retriever_node.state import NodeState, SeenNonce

_ALGORITHMS: Final = ["EdDSA"]
_CLAIMS: Final = ["iss", "sub", "aud", "iat", "exp", "role", "purpose"]


@dataclass(frozen=True, slots=True)
class Gate:
    """Args:
    node: this node's id.
    coordinators: id → pinned public key. Empty: the service lets any caller on this
        machine in (loopback development).
    issuers: issuer name → public key of the organisations whose asker tokens count.
    """

    node: NodeId
    coordinators: Mapping[str, str]
    issuers: Mapping[str, str]
    state: NodeState

    def admit_caller(self, request: SignedRequest, signature: str, now_s: float) -> SeenNonce:
        """Its nonce is to be settled before anything is answered.

        Raises IdentityError: unknown_coordinator, bad_signature, clock_skew, replayed.
        """
        key = self.coordinators.get(request.coordinator)
        if key is None:
            raise IdentityError("no pinned key for this coordinator", code="unknown_coordinator")
        verify(key, "request", request.payload(), signature)
        if abs(now_s - request.time_s) > CLOCK_WINDOW_S:
            raise IdentityError(f"request time is off by more than {CLOCK_WINDOW_S} s", code="clock_skew")
        return self.state.see_nonce(request.nonce, int(now_s), CLOCK_WINDOW_S)

    def identify(self, token: str | None, coordinator: NodeId) -> NodeAsker:
        """Who asks. Without a token all askers are their coordinator, and share its quota.

        Raises IdentityError: unknown_issuer, expired_token, bad_token (also one made for another node).
        """
        if token is None:
            return NodeAsker(f"coordinator:{coordinator}", role=None, purpose=Purpose.UNSTATED, issuer=None)
        try:
            issuer = str(jwt.decode(token, options={"verify_signature": False}).get("iss"))
            if issuer not in self.issuers:
                raise IdentityError("a token of an issuer this node does not trust", code="unknown_issuer")
            claims = jwt.decode(
                token,
                public_key(self.issuers[issuer]),
                algorithms=_ALGORITHMS,
                audience=self.node,
                issuer=issuer,
                options={"require": _CLAIMS},
            )
            asker = AskerToken.from_claims(claims)
            return NodeAsker(asker.pseudonym, asker.role, asker.purpose, asker.issuer, asker.project)
        except jwt.ExpiredSignatureError:
            raise IdentityError("the asker's token has expired", code="expired_token") from None
        except (jwt.InvalidTokenError, ValueError):
            raise IdentityError("the asker's token does not verify for this node", code="bad_token") from None
