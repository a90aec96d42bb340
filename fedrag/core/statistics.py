"""How hospitals come to common statistics of terms: the steps of a round, and what comes of it.

key         takes part in a round?          → its key for it, and which list of terms it counts
mask        everyone's keys                 → its counts, masked
survivors   whose counts arrived            → its signature of that set
seeds       everyone's signatures           → what unmasks the sum
epoch       the sum                         → it is kept, and words are scored with it from now on
"""

import hashlib
from dataclasses import dataclass
from typing import Annotated, Final, Generic, TypeVar

import numpy as np
from pydantic import Field, StringConstraints

from fedrag.core.masked_sums import (
    EncodedNumbers,
    MaskedVector,
    Numbers,
    Part,
    RoundKey,
    Seeds,
    decode_numbers,
    encode_numbers,
    payload,
)
from fedrag.core.wire import Base64, Count, NodeId, RequestId, Sha256, Wire

MAXIMUM_BYTES: Final = 4 * 1024 * 1024
"""Of one message: counts of so many terms, or the keys of 7,000 hospitals."""
MAXIMUM_TERMS: Final = 300_000
MAXIMUM_COUNTED: Final = 1 << 48
"""Above every number that a hospital or a federation of them may count to."""

EpochId = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{16}$")]
"""The beginning of a digest of all that makes an epoch: who names the same counts the same."""
_MAXIMUM_HOSPITALS: Final = 10_000
Hospitals = Annotated[tuple[NodeId, ...], Field(max_length=_MAXIMUM_HOSPITALS)]
_BY_HOSPITAL: Final = Field(max_length=_MAXIMUM_HOSPITALS, json_schema_extra={"additionalProperties": False})
_Signatures = Annotated[dict[NodeId, Base64], _BY_HOSPITAL]


class Round(Wire):
    """Every request names its round."""

    round: RequestId


class Entry(Part):
    """A hospital that takes part. Only counts of the same terms, in the same order, are added: `terms_sha256`."""

    key: RoundKey
    terms_sha256: Sha256
    terms: Count


class Keys(Round):
    """`identities`: the public keys by which each hospital is known; a hospital that has pinned the others does not ask
    for them here."""

    terms_sha256: Sha256
    keys: Annotated[dict[NodeId, RoundKey], _BY_HOSPITAL]
    identities: _Signatures


class SurvivorsToSign(Round):
    survivors: Hospitals


class Agreement(Part):
    """A survivor's signature of the survivors (`Survivors.signed`). `sealed`: from the first of them by name, a secret
    for each other one, which the coordinator carries and cannot read."""

    keys_sha256: Sha256
    signature: Base64
    sealed: _Signatures = Field(default_factory=dict)


class Agreed(Round):
    """Every survivor's signature, and what the first of them sealed for this one."""

    signatures: _Signatures
    sealed: Base64 | None = None


class SharedStatistics(Round):
    """Sums over `hospitals`: passages, their weighted length, and the passages that hold each term of the list."""

    epoch: EpochId
    terms_sha256: Sha256
    hospitals: Hospitals
    values: EncodedNumbers

    @classmethod
    def of(
        cls, round_id: RequestId, terms_sha256: Sha256, hospitals: tuple[NodeId, ...], values: Numbers
    ) -> "SharedStatistics":
        encoded = encode_numbers(values)
        epoch = _epoch(round_id, terms_sha256, hospitals, encoded)
        return cls(round=round_id, epoch=epoch, terms_sha256=terms_sha256, hospitals=hospitals, values=encoded)

    def numbers(self) -> Numbers | None:
        """None where they are not what they are called by, or are impossible: more passages with a term than passages,
        or so many that hospitals could not have counted them."""
        try:
            numbers = decode_numbers(self.values)
        except ValueError:
            return None
        named = self.epoch == _epoch(self.round, self.terms_sha256, self.hospitals, self.values)
        possible = len(numbers) > COUNTS and int(numbers.max()) < MAXIMUM_COUNTED
        return numbers if named and possible and bool((numbers[COUNTS:] <= numbers[0]).all()) else None


COUNTS: Final = 2
"""Of a vector of counts, passages and length stand before the terms."""


class Adoption(Part):
    """The hospital has kept these statistics; its description says when it searches with them."""

    epoch: EpochId


Q = TypeVar("Q", bound=Round)
A = TypeVar("A", bound=Part)


@dataclass(frozen=True, slots=True)
class Step(Generic[Q, A]):
    """What is asked and what is answered."""

    name: str
    asked: type[Q]
    answered: type[A]
    family: str = "statistics"

    @property
    def path(self) -> str:
        return f"/v1/{self.family}/{self.name}"


KEY: Final = Step("key", Round, Entry)
MASK: Final = Step("mask", Keys, MaskedVector)
SURVIVORS: Final = Step("survivors", SurvivorsToSign, Agreement)
SEEDS: Final = Step("seeds", Agreed, Seeds)
EPOCH: Final = Step("epoch", SharedStatistics, Adoption)
STEPS: Final = (KEY, MASK, SURVIVORS, SEEDS, EPOCH)


def vector(passages: int, length: int, frequencies: Numbers) -> Numbers:
    """What one hospital adds."""
    return np.concatenate([np.array([passages, length], dtype=np.uint64), frequencies.astype(np.uint64)])


def _epoch(round_id: RequestId, terms_sha256: Sha256, hospitals: tuple[NodeId, ...], values: str) -> str:
    return hashlib.sha256(payload("epoch", round_id, terms_sha256, values, *hospitals)).hexdigest()[:16]
