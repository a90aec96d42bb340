"""What hospitals and a coordinator say to each other in a masked sum (`fedrag.privacy.masked_sums` says why)."""

from typing import Annotated, Final

import numpy as np
import numpy.typing as npt
from pydantic import Field

from fedrag.core.wire import NUMBER, Base64, NodeId, RequestId, Sha256, Wire, decode_base64, encode_base64

MAXIMUM_LENGTH: Final = 1 << 20
Numbers = npt.NDArray[np.uint64]

EncodedNumbers = Annotated[
    str,
    Field(
        max_length=4 * (8 * MAXIMUM_LENGTH // 3 + 3),
        pattern="^([A-Za-z0-9+/]{4})*([A-Za-z0-9+/][AQgw]==|[A-Za-z0-9+/]{2}[AEIMQUYcgkosw048]=)?$",
    ),
]
"""Base64 of little-endian 64-bit numbers (`encode_numbers`, `decode_numbers`)."""


def encode_numbers(numbers: Numbers) -> str:
    return encode_base64(numbers.astype("<u8").tobytes())


def decode_numbers(text: str) -> Numbers:
    """Raises ValueError where it is not whole numbers of 64 bits."""
    return np.frombuffer(decode_base64(text), dtype="<u8").astype(np.uint64)


class Part(Wire):
    """What one hospital says in one round."""

    node: NodeId
    round: RequestId


class RoundKey(Part):
    """A hospital's public key for one round, signed."""

    public_key: Base64
    signature: Base64

    def signed(self) -> bytes:
        return payload("key", self.round, self.node, self.public_key)


class MaskedVector(Part):
    """`keys_sha256` says among which keys it was masked."""

    length: Annotated[int, Field(ge=1, le=MAXIMUM_LENGTH), NUMBER]
    values: EncodedNumbers
    keys_sha256: Sha256


class Survivors(Part):
    """One hospital's word that these are the survivors, of those whose keys it masked with."""

    keys_sha256: Sha256
    survivors: tuple[NodeId, ...]
    signature: Base64

    def signed(self) -> bytes:
        return payload("survivors", self.round, self.keys_sha256, *self.survivors)


class Seeds(Part):
    """What unmasks a sum: the hospital's own seed, and those it shares with the missing."""

    own: Base64
    missing: dict[NodeId, Base64]


def payload(kind: str, *parts: str) -> bytes:
    """Each part after its length, so that no two lists of parts are the same bytes."""
    return b"".join(f"{len(part)}:{part},".encode() for part in ("fedrag/masked-sum/1", kind, *parts))
