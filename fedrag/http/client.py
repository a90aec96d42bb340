"""A hospital over HTTP: every request signed, every response checked, every failure one of ours."""

import secrets
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, TypeVar

import httpx2
from pydantic import ValidationError

from fedrag import tracing
from fedrag.core import errors
from fedrag.core.collection import NodeDescription
from fedrag.core.deadline import Deadline
from fedrag.core.exchange import MAXIMUM_AWAITED, AwaitedRequest, OfferRequest, Offers, Receipt, Release, ReleaseRequest
from fedrag.core.plugins import describe
from fedrag.core.protocols import Reply
from fedrag.core.statistics import A, Q, Step
from fedrag.core.traces import Trace, TraceRequest
from fedrag.core.wire import NodeId, RequestId, Wire
from fedrag.http.limits import read_bounded, require_bounded
from fedrag.http.problem import Problem
from fedrag.http.signing import RESPONSE_HEADER, SignedRequest, Signer, response_payload, signed_bytes, verify

MAXIMUM_RESPONSE_BYTES: Final = 4 * 1024 * 1024
W = TypeVar("W", bound=Wire)


def http_client(
    *, tls: ssl.SSLContext | None = None, transport: httpx2.AsyncBaseTransport | None = None
) -> httpx2.AsyncClient:
    """One connection pool for all hospitals. Ignores proxy variables; time-outs are the fan-out's."""
    return httpx2.AsyncClient(
        verify=tls if tls is not None else True,
        trust_env=False,
        timeout=None,
        transport=transport,
        limits=httpx2.Limits(max_connections=None, max_keepalive_connections=1024),
    )


@dataclass(frozen=True, slots=True)
class RemoteNode:
    """`Node` over HTTP.

    Args:
        id: the hospital that must answer.
        url: its base address.
        public_key: pinned, base64 Ed25519; its responses and descriptions must verify with it.
        coordinator: our own id.
        signer: our own key.
        client: shared by all hospitals.
        clock: Unix time in seconds.
        keep: is given every receipt that verified.
    """

    id: NodeId
    url: str
    public_key: str
    coordinator: NodeId
    signer: Signer
    client: httpx2.AsyncClient
    clock: Callable[[], float] = field(default=time.time)
    keep: Callable[[Receipt], None] = field(default=lambda _receipt: None)

    async def describe(self, deadline: Deadline) -> Reply[NodeDescription]:
        reply = await self._call("GET", "/v1/description", b"", NodeDescription, deadline)
        for collection in reply.value.collections:
            verify(self.public_key, "description", signed_bytes(collection), collection.signature)
        return self._from_itself(reply, reply.value.node)

    async def offers(self, request: OfferRequest, deadline: Deadline) -> Reply[Offers]:
        reply = await self._call("POST", "/v1/offers", request.model_dump_json().encode(), Offers, deadline)
        if reply.value.request_id != request.request_id or len(reply.value.offers) > request.k:
            raise errors.ProtocolError("offers for another request, or more than asked", code="wrong_request")
        self._keep_receipt(reply.value.receipt, request.request_id)
        if reply.value.release is not None:
            self._require_receipt(reply.value.release, request.request_id)
        return self._from_itself(reply, reply.value.node)

    async def release(self, request: ReleaseRequest, deadline: Deadline) -> Reply[Release]:
        reply = await self._call("POST", "/v1/releases", request.model_dump_json().encode(), Release, deadline)
        self._require_receipt(reply.value, request.request_id)
        return self._from_itself(reply, reply.value.node)

    async def awaited(self, request: AwaitedRequest, deadline: Deadline) -> Reply[Offers]:
        reply = await self._call("POST", "/v1/awaited", request.model_dump_json().encode(), Offers, deadline)
        told = reply.value
        released = [passage.handle for passage in told.release.passages] if told.release else []
        offered = [one.handle for one in told.offers]
        if told.request_id != request.request_id or sorted(released) != sorted(offered):
            raise errors.ProtocolError("an approval of another request, or without its text", code="wrong_request")
        if len(offered) > MAXIMUM_AWAITED:
            raise errors.ProtocolError("more than a review can be about", code="wrong_request")
        self._keep_receipt(told.receipt, request.request_id)
        if told.release is not None:
            self._require_receipt(told.release, request.request_id)
        return self._from_itself(reply, told.node)

    async def trace(self, request: TraceRequest, deadline: Deadline) -> Reply[Trace]:
        reply = await self._call("POST", "/v1/traces", request.model_dump_json().encode(), Trace, deadline)
        told = reply.value
        if (told.request_id, told.round) != (request.request_id, request.round):
            raise errors.ProtocolError("a chain of thought for another request", code="wrong_request")
        self._keep_receipt(told.receipt, request.request_id)
        return self._from_itself(reply, told.node)

    async def take_part(self, step: Step[Q, A], request: Q, deadline: Deadline) -> Reply[A]:
        reply = await self._call("POST", step.path, request.model_dump_json().encode(), step.answered, deadline)
        if reply.value.round != request.round:
            raise errors.ProtocolError("an answer of another round", code="wrong_request")
        return self._from_itself(reply, reply.value.node)

    def _require_receipt(self, release: Release, request_id: RequestId) -> None:
        self._require_own(release.node)
        if release.request_id != request_id:
            raise errors.ProtocolError("a release for another request", code="wrong_request")
        self._keep_receipt(release.receipt, request_id)

    def _keep_receipt(self, receipt: Receipt | None, request_id: RequestId) -> None:
        """One that is good: what the hospital's audit log is held against later."""
        if receipt is None:
            return
        if receipt.request_id != request_id or receipt.node != self.id:
            raise errors.ProtocolError("a receipt for another request", code="wrong_request")
        verify(self.public_key, "receipt", signed_bytes(receipt), receipt.signature)
        self.keep(receipt)

    def _from_itself(self, reply: Reply[W], node: NodeId) -> Reply[W]:
        self._require_own(node)
        return reply

    def _require_own(self, node: NodeId) -> None:
        if node != self.id:
            raise errors.ProtocolError(f"{self.id} answered for another node", code="wrong_node")

    async def _call(self, method: str, path: str, body: bytes, kind: type[W], deadline: Deadline) -> Reply[W]:
        if deadline.remaining_ms() <= 0:
            raise errors.DeadlineExceeded("no time left to ask")
        signed = SignedRequest(
            coordinator=self.coordinator,
            node=self.id,
            method=method,
            path=path,
            body=body,
            time_s=int(self.clock()),
            nonce=secrets.token_hex(16),
        )
        headers = {**signed.headers(self.signer), "content-type": "application/json"}
        tracing.carry(headers)
        try:
            async with self.client.stream(method, self.url + path, content=body or None, headers=headers) as response:
                require_bounded(response.headers.get("content-length"), MAXIMUM_RESPONSE_BYTES)
                raw = await read_bounded(response.aiter_bytes(), MAXIMUM_RESPONSE_BYTES)
        except httpx2.ConnectError:
            raise errors.Unavailable(f"{self.id} cannot be reached", code="unreachable") from None
        except errors.TooLarge:
            raise errors.ProtocolError(f"{self.id} sent too much", code="too_large") from None
        except httpx2.HTTPError:
            raise errors.Unavailable(f"{self.id} broke the connection", code="connection_broken") from None
        try:
            verify(
                self.public_key,
                "response",
                response_payload(self.id, signed.nonce, response.status_code, raw),
                response.headers.get(RESPONSE_HEADER, ""),
            )
        except errors.IdentityError:
            # Before its signature verifies, nothing of a response is believed, not even its error.
            told = f"{self.id}: status {response.status_code}, not its signature"
            if response.status_code >= 500:  # a proxy's word for a node that is down
                raise errors.Unavailable(told, code="bad_status") from None
            code = "bad_signature" if response.status_code == 200 else "bad_status"
            raise errors.ProtocolError(told, code=code) from None
        if response.status_code != 200:
            raise _error_of(raw, self.id)
        try:
            return Reply(kind.model_validate_json(raw), len(raw))
        except ValidationError as error:
            raise errors.ProtocolError(f"{self.id} sent a malformed {kind.__name__}: {describe(error)}") from None


def _error_of(raw: bytes, node: NodeId) -> errors.FedragError:
    try:
        told = Problem.model_validate_json(raw)
    except ValidationError:
        return errors.ProtocolError(f"{node} failed without saying why", code="bad_status")
    if told.status in (401, 403, 429):
        return errors.Refused(f"{node} refused: {told.code}", code=told.code)
    if told.code == errors.DeadlineExceeded.code:
        return errors.DeadlineExceeded(f"{node} had no time left")
    if told.status >= 500:
        return errors.Unavailable(f"{node} failed: {told.code}", code=told.code)
    return errors.ProtocolError(f"{node} did not accept our request: {told.code}", code=told.code)
