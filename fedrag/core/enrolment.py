"""How a hospital joins: it proves that it holds the one-time code, and both sides learn the other's key."""

from typing import Annotated, Final
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, StringConstraints

from fedrag.core.wire import Base64, Name, NodeId, Sha256, Wire

_PORT: Final = r"(:([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5]))?"


def _address(url: str) -> str:
    """The pattern lets some things through that are no IPv6 address. ValueError, of urlsplit itself."""
    urlsplit(url)
    return url


NodeUrl = Annotated[
    str,
    StringConstraints(
        pattern=rf"^https?://([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]){_PORT}(/[A-Za-z0-9._~%/-]*)?$", max_length=500
    ),
    AfterValidator(_address),
]
Pem = Annotated[str, StringConstraints(max_length=20_000)]
"""A certificate authority; empty where none is needed."""


class EnrolmentRequest(Wire):
    """`POST /v1/enrolments`, from the hospital.

    `urls`: where its node listens, replicas after the first. `authority`: whom to trust for TLS at these addresses.
    `proof`: HMAC-SHA256 under the one-time code's key over all other fields but `signature`; the code itself is never
    sent. `signature`: by the node's own key, over all other fields.
    """

    invitation: Sha256
    node: NodeId
    name: Name
    public_key: Base64
    urls: Annotated[tuple[NodeUrl, ...], Field(min_length=1, max_length=16)]
    authority: Pem = ""
    proof: Base64 = ""
    signature: Base64 = ""


class Issuer(Wire):
    """An organisation whose asker tokens count."""

    name: Name
    public_key: Base64


class Enrolment(Wire):
    """The coordinator's answer: what the hospital pins. Signed by the key whose fingerprint is in the one-time code.

    `request`: SHA-256 of the request it answers.
    """

    request: Sha256
    coordinator: NodeId
    public_key: Base64
    authority: Pem
    issuers: tuple[Issuer, ...]
    signature: Base64 = ""
