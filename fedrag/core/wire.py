"""What every value that crosses a process border has in common."""

import base64
import binascii
import re
import uuid
from datetime import date
from enum import StrEnum
from typing import Annotated, Final

import numpy as np
import numpy.typing as npt
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

FloatMatrix = npt.NDArray[np.float32]
"""float32, shape (rows, dimension); rows have Euclidean length 1 where they are embeddings."""

FloatVector = npt.NDArray[np.float32]
"""float32, shape (dimension,)."""

MAXIMUM_DIMENSION: Final = 4096


class Wire(BaseModel):
    """Frozen, and refuses fields it does not know. Infinities survive as strings, where a field allows them."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="strings", hide_input_in_errors=True)


def _number(value: object) -> object:
    """3 and 3.0 are integers, as JSON Schema has it; "3" and true are not."""
    if isinstance(value, bool | str):
        raise ValueError("not a number")  # noqa: TRY004 - pydantic asks for ValueError
    return value


NUMBER: Final = BeforeValidator(_number)
"""Last in an annotation, so that it is asked first."""
Probability = Annotated[float, Field(strict=True, ge=0, le=1, allow_inf_nan=False)]
Finite = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Milliseconds = Annotated[float, Field(strict=True, ge=0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=0), NUMBER]
NodeId = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]{0,62}$")]
RequestId = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Code = Annotated[str, StringConstraints(pattern=r"^[a-z0-9_]{1,40}$")]
"""A stable, machine-readable code; never text."""
Name = Annotated[str, StringConstraints(min_length=1, max_length=200)]


_DAY: Final = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)


def _day(value: object) -> object:
    """Neither a moment nor a number of seconds."""
    if not (isinstance(value, date) or (isinstance(value, str) and _DAY.fullmatch(value))):
        raise ValueError("not a day, YYYY-MM-DD")
    return value


Day = Annotated[date, BeforeValidator(_day)]
"""A calendar day, YYYY-MM-DD."""


def new_request_id() -> str:
    return uuid.uuid4().hex


class ReleaseClass(StrEnum):
    """What a collection was made from, chosen by its owner folder by folder (DESIGN section 6)."""

    PUBLIC = "public"
    PROTOCOL = "protocol"
    PATIENT = "patient"


def encode_base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode("ascii")


def decode_base64(text: str) -> bytes:
    """Raises ValueError for anything that is not canonical base64."""
    try:
        raw = base64.b64decode(text, validate=True)
    except binascii.Error:
        raise ValueError("not base64") from None
    if encode_base64(raw) != text:
        raise ValueError("not canonical base64")
    return raw


def encode_vector(vector: FloatVector) -> str:
    """Base64 of little-endian float32; a quarter of the size of JSON numbers."""
    return encode_base64(np.ascontiguousarray(vector, dtype="<f4").tobytes())


def decode_vector(text: str) -> FloatVector:
    """The inverse of `encode_vector`. Raises ValueError unless 1 to 4096 finite numbers."""
    raw = decode_base64(text)
    if not raw or len(raw) % 4 or len(raw) // 4 > MAXIMUM_DIMENSION:
        raise ValueError(f"not 1 to {MAXIMUM_DIMENSION} float32 numbers")
    vector = np.frombuffer(raw, dtype="<f4").astype(np.float32)
    if not np.isfinite(vector).all():
        raise ValueError("vector holds NaN or infinity")
    return vector


def _checked_vector(text: str) -> str:
    decode_vector(text)
    return text


def _checked_base64(text: str) -> str:
    decode_base64(text)
    return text


Vector = Annotated[str, Field(max_length=4 * (4 * MAXIMUM_DIMENSION // 3 + 3)), AfterValidator(_checked_vector)]
"""Base64 float32 on the wire (`encode_vector`, `decode_vector`); finite."""

_BASE64: Final = {"pattern": "^([A-Za-z0-9+/]{4})*([A-Za-z0-9+/][AQgw]==|[A-Za-z0-9+/]{2}[AEIMQUYcgkosw048]=)?$"}
Base64 = Annotated[str, Field(max_length=4096, json_schema_extra=_BASE64), AfterValidator(_checked_base64)]
