"""Masked sums: a coordinator adds up vectors of many hospitals and learns the sum alone (Bonawitz et al. 2017).

    key         every hospital makes a key pair for this round and signs its public half
    mask        y_i = x_i + G(b_i) + Σ_{j > i} G(s_ij) − Σ_{j < i} G(s_ij)      modulo 2^64
    survivors   the hospitals whose y arrived; each of them signs that set, and no other set in this round
    reveal      shown that all survivors signed: b_i of its own, and s_id of every hospital d that is missing
    sum         Σ y_i − Σ G(b_i) − (what the masks shared with the missing leave over)

G is the ChaCha20 key stream of a seed. s_ij comes from a Diffie-Hellman secret (X25519) of the two round keys, b_i from
the system; both hold for one round only.

What it hides: a coordinator that also sees everything of all but two of the survivors learns of these two only the sum.
To unmask one hospital it would need b_i, which i reveals to a set of survivors that it is in, and its s_ij, which the
others reveal to a set that it is not in; an honest hospital signs one set. There is no secret sharing: a survivor that
goes away before it reveals ends the round without a sum, and with nothing learned; it is run again with new keys.

Survivors can also share a secret that the coordinator carries and does not learn: one of them seals it for each other
one under the seed that these two share.

What it does not hide: the difference between two sums of nearly the same hospitals (see `differ_safely`), and what a
sum itself tells. It does not find liars: whoever uses a sum checks that it is possible. Hospitals must know each
other's identity keys, or trust whom they have them from not to invent hospitals.
"""

import hashlib
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.ciphers.algorithms import ChaCha20
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from fedrag.core.errors import ProtocolError, Refused
from fedrag.core.masked_sums import (
    MAXIMUM_LENGTH,
    MaskedVector,
    Numbers,
    RoundKey,
    Seeds,
    Survivors,
    decode_numbers,
    encode_numbers,
    payload,
)
from fedrag.core.wire import NodeId, RequestId, decode_base64, encode_base64

MINIMUM: Final = 3
"""Survivors below which nothing is revealed: of two, each would know the other's vector."""
SIGNED_AS: Final = "masked sum"
"""The context of every signature in a round."""
_SEED_BYTES: Final = 32
_NONCE_BYTES: Final = 12

Sign = Callable[[bytes], str]
"""A signature with the hospital's identity key."""
Verify = Callable[[NodeId, bytes, str], None]
"""Raises IdentityError unless the signature is that hospital's."""


def differ_safely(before: frozenset[NodeId], now: frozenset[NodeId]) -> bool:
    """Whether the sums of these two sets, of the same numbers, give away nothing of fewer than three hospitals."""
    return all(len(changed) in (0, *range(MINIMUM, len(changed) + 1)) for changed in (before - now, now - before))


class Contributor:
    """One hospital's part in one round. Each step is taken once, and in this order; whatever is wrong is refused.

    Raises Refused (`bad_round`) where a step would give away more than the sum, or comes at the wrong time.
    """

    def __init__(self, node: NodeId, round_id: RequestId, sign: Sign, verify: Verify) -> None:
        self._node, self._round, self._sign, self._verify = node, round_id, sign, verify
        self._key = X25519PrivateKey.generate()
        self._own = secrets.token_bytes(_SEED_BYTES)
        self._keys_sha256 = ""
        self._shared: dict[NodeId, bytes] = {}
        self._survivors: tuple[NodeId, ...] | None = None
        self._revealed = False

    def key(self) -> RoundKey:
        unsigned = RoundKey(
            node=self._node,
            round=self._round,
            public_key=encode_base64(self._key.public_key().public_bytes_raw()),
            signature="",
        )
        return unsigned.model_copy(update={"signature": self._sign(unsigned.signed())})

    def mask(self, values: Numbers, keys: Mapping[NodeId, RoundKey]) -> MaskedVector:
        """`values` (length,), below 2^64 also when added up. `keys`: everyone's, its own too."""
        _require(not self._shared, "masked already")
        _require(len(keys) >= MINIMUM and keys.get(self._node) == self.key(), "too few hospitals, or not this one")
        _require(1 <= len(values) <= MAXIMUM_LENGTH, "no numbers, or too many")
        masked = values.astype(np.uint64) + _stream(self._own, len(values))
        for node, key in keys.items():
            _require(key.node == node and key.round == self._round, "a key of another hospital or round")
            self._verify(node, key.signed(), key.signature)
            if node != self._node:
                self._shared[node] = self._shared_with(key)
                masked = _signed_sum(masked, self._node, node, _stream(self._shared[node], len(values)))
        self._keys_sha256 = digest(keys)
        return MaskedVector(
            node=self._node,
            round=self._round,
            length=len(values),
            values=encode_numbers(masked),
            keys_sha256=self._keys_sha256,
        )

    def survived(self, survivors: tuple[NodeId, ...]) -> Survivors:
        """Signs that these are the survivors. Asked again for the same set it says the same; for another, nothing."""
        there = {self._node, *self._shared}
        _require(self._survivors in (None, survivors), "other survivors were signed before")
        _require(survivors == tuple(sorted(set(survivors) & there)), "not hospitals of this round, once and in order")
        _require(len(survivors) >= MINIMUM and self._node in survivors, "too few survivors, or not this one")
        self._survivors = survivors
        unsigned = Survivors(
            node=self._node, round=self._round, keys_sha256=self._keys_sha256, survivors=survivors, signature=""
        )
        return unsigned.model_copy(update={"signature": self._sign(unsigned.signed())})

    def reveal(self, agreed: Mapping[NodeId, Survivors]) -> Seeds:
        """Once, and only when every survivor has signed what this hospital signed."""
        _require(self._survivors is not None and not self._revealed, "not at this point of the round")
        _require(tuple(sorted(agreed)) == self._survivors, "not every survivor has signed")
        for node, word in agreed.items():
            told = (word.node, word.round, word.keys_sha256, word.survivors)
            _require(told == (node, self._round, self._keys_sha256, self._survivors), "survivors do not agree")
            self._verify(node, word.signed(), word.signature)
        self._revealed = True
        gone = sorted(self._shared.keys() - set(agreed))
        return Seeds(
            node=self._node,
            round=self._round,
            own=encode_base64(self._own),
            missing={node: encode_base64(self._shared[node]) for node in gone},
        )

    def seal(self, secret: bytes) -> dict[NodeId, str]:
        """`secret` for each other survivor, so that it can be carried by whoever carries the round. Base64."""
        _require(self._survivors is not None, "not at this point of the round")
        others = [node for node in self._survivors or () if node != self._node]
        return {node: encode_base64(self._sealed_for(node, secret)) for node in others}

    def unseal(self, sender: NodeId, sealed: str) -> bytes:
        """What a survivor has sealed for this one. Known to be of this round only once all have signed: after `reveal`.

        Raises Refused (`bad_round`) where it is not.
        """
        known = self._shared.keys() & set(self._survivors or ())
        _require(self._revealed and sender in known, "no survivor's secret")
        raw, bound = decode_base64(sealed), self._bound(sender, self._node)
        try:
            return self._lock_of(sender).decrypt(raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], bound)
        except (InvalidTag, ValueError):
            raise Refused("a sealed secret of another round or sender", code="bad_round") from None

    def _sealed_for(self, node: NodeId, secret: bytes) -> bytes:
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return nonce + self._lock_of(node).encrypt(nonce, secret, self._bound(self._node, node))

    def _lock_of(self, node: NodeId) -> ChaCha20Poly1305:
        """Under a key of its own, made from the seed of the pair, which nobody reveals of two survivors."""
        return ChaCha20Poly1305(_seed(self._shared[node], "sealed"))

    def _bound(self, sender: NodeId, receiver: NodeId) -> bytes:
        return payload("sealed", self._round, self._keys_sha256, sender, receiver, *(self._survivors or ()))

    def _shared_with(self, key: RoundKey) -> bytes:
        try:
            secret = self._key.exchange(X25519PublicKey.from_public_bytes(decode_base64(key.public_key)))
        except ValueError:
            raise Refused("a public key that is none", code="bad_round") from None
        return _seed(secret, self._round, *sorted((self._node, key.node)))


@dataclass(frozen=True, slots=True)
class Sum:
    """`values` (length,) of `hospitals` together."""

    values: Numbers
    hospitals: tuple[NodeId, ...]


def unmask(masked: Mapping[NodeId, MaskedVector], seeds: Mapping[NodeId, Seeds]) -> Sum:
    """The sum over everyone whose vector and seeds are here.

    Raises ProtocolError (`bad_round`) when a vector or a seed is lacking, or they are not of one round and one length.
    """
    survivors = tuple(sorted(masked))
    lengths = {vector.length for vector in masked.values()}
    rounds = {vector.round for vector in masked.values()} | {one.round for one in seeds.values()}
    keys = {vector.keys_sha256 for vector in masked.values()}
    missing = {tuple(sorted(one.missing)) for one in seeds.values()}
    if len(survivors) < MINIMUM or survivors != tuple(sorted(seeds)) or len(lengths) != 1:
        raise ProtocolError("vectors or seeds are lacking", code="bad_round")
    if len(rounds) != 1 or len(keys) != 1 or len(missing) != 1:
        raise ProtocolError("vectors and seeds are not of one round", code="bad_round")
    length = lengths.pop()
    total = np.zeros(length, dtype=np.uint64)
    for node in survivors:
        total = total + _numbers(masked[node].values, length) - _stream(decode_base64(seeds[node].own), length)
        for gone, seed in seeds[node].missing.items():
            total = _signed_sum(total, gone, node, _stream(decode_base64(seed), length))
    return Sum(total, survivors)


def usable(key: RoundKey) -> bool:
    """Whether a secret can be shared with it. One that cannot would keep all others from masking."""
    try:
        X25519PrivateKey.generate().exchange(X25519PublicKey.from_public_bytes(decode_base64(key.public_key)))
    except ValueError:
        return False
    return True


def digest(keys: Mapping[NodeId, RoundKey]) -> str:
    """Of everyone's keys: who masked among the same hospitals says the same."""
    return hashlib.sha256(b"".join(payload("keys", node, keys[node].public_key) for node in sorted(keys))).hexdigest()


def _numbers(text: str, length: int) -> Numbers:
    try:
        values = decode_numbers(text)
    except ValueError:
        values = np.empty(0, dtype=np.uint64)
    if len(values) != length:
        raise ProtocolError("a vector of another length", code="bad_round")
    return values


def _require(holds: bool, why: str) -> None:
    if not holds:
        raise Refused(why, code="bad_round")


def _signed_sum(values: Numbers, node: NodeId, other: NodeId, stream: Numbers) -> Numbers:
    """Plus for the hospital that comes first by name, minus for the other, so that both together are nothing."""
    return values + stream if node < other else values - stream


def _stream(seed: bytes, length: int) -> Numbers:
    if len(seed) != _SEED_BYTES:
        raise ProtocolError("a seed of another length", code="bad_round")
    encryptor = Cipher(ChaCha20(seed, bytes(16)), mode=None).encryptor()
    return np.frombuffer(encryptor.update(bytes(8 * length)), dtype="<u8").astype(np.uint64)


def _seed(secret: bytes, *context: str) -> bytes:
    return HKDF(hashes.SHA256(), _SEED_BYTES, salt=None, info=payload("seed", *context)).derive(secret)
