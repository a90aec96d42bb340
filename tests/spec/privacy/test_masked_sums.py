"""Masked sums: the sum is exact, nothing less than the sum is shown, and no step can be bent to show more."""

import dataclasses
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedrag.core.errors import IdentityError, ProtocolError, Refused
from fedrag.core.wire import decode_base64, encode_base64
from fedrag.http.signing import Signer, verify
from fedrag.privacy.masked_sums import Contributor, Seeds, Survivors, differ_safely, unmask, usable

ROUND = "0" * 32
NAMES = ("a", "b", "c", "d", "e")
SIGNERS = {name: Signer.generate() for name in NAMES}


def sign(name):
    return lambda payload: SIGNERS[name].sign("masked sum", payload)


def known(name, payload, signature):
    verify(SIGNERS[name].public_key, "masked sum", payload, signature)


@dataclasses.dataclass
class Round:
    """Five hospitals that have masked."""

    values: dict
    contributors: dict
    keys: dict
    masked: dict

    @classmethod
    def of(cls, values, round_id=ROUND):
        contributors = {name: Contributor(name, round_id, sign(name), known) for name in values}
        keys = {name: one.key() for name, one in contributors.items()}
        masked = {name: one.mask(values[name], keys) for name, one in contributors.items()}
        return cls(values, contributors, keys, masked)

    def ended(self, survivors):
        agreed = {name: self.contributors[name].survived(survivors) for name in survivors}
        seeds = {name: self.contributors[name].reveal(agreed) for name in survivors}
        return unmask({name: self.masked[name] for name in survivors}, seeds)


def numbers(seed, length=7, names=NAMES):
    random = np.random.default_rng(seed)
    return {name: random.integers(0, 1 << 40, length, dtype=np.uint64) for name in names}


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000), length=st.integers(1, 300), survivors=st.sets(st.sampled_from(NAMES), min_size=3))
def test_every_set_of_survivors_sums_right(seed, length, survivors) -> None:
    """To the last bit, whoever is missing, from 1 number to 300."""
    values = numbers(seed, length)
    found = Round.of(values).ended(tuple(sorted(survivors)))
    assert found.hospitals == tuple(sorted(survivors))
    assert found.values.tolist() == sum(values[name] for name in survivors).tolist()


def test_fewer_than_three_reveal_nothing() -> None:
    """Neither from the beginning nor as survivors."""
    for few in combinations(NAMES, 2):
        one = Round.of(numbers(1))
        with pytest.raises(Refused):
            one.ended(few)
        with pytest.raises(Refused):
            Round.of(numbers(1, names=few))


def test_what_is_sent_looks_like_chance() -> None:
    """Of 40,000 masked zeros every bit is set half of the time (within five standard errors), in each hospital's vector
    and in the sum of any four, and another round masks with other numbers."""
    zeros = {name: np.zeros(40_000, dtype=np.uint64) for name in NAMES}
    one = Round.of(zeros)
    sent = {name: np.frombuffer(decode_base64(vector.values), dtype="<u8") for name, vector in one.masked.items()}
    partial = [sum(sent[name] for name in four) for four in combinations(NAMES, 4)]
    for values in (*sent.values(), *partial):
        share = np.unpackbits(values.astype("<u8").view(np.uint8)).reshape(-1, 64).mean(axis=0)
        assert np.abs(share - 0.5).max() < 5 * 0.5 / np.sqrt(40_000)
    again = Round.of(zeros, "1" * 32)
    assert all(one.masked[name].values != again.masked[name].values for name in NAMES)


def test_all_that_is_revealed_unmasks_nobody() -> None:
    """Every seed a coordinator gets, added or taken away in any combination, from any hospital's vector: never it."""
    values = numbers(4, 2, ("a", "b", "c", "d"))
    one = Round.of(values)
    survivors = ("a", "b", "c")
    agreed = {name: one.contributors[name].survived(survivors) for name in survivors}
    seeds = {name: one.contributors[name].reveal(agreed) for name in survivors}
    from fedrag.privacy.masked_sums import _stream

    streams = [
        _stream(decode_base64(text), 2) for made in seeds.values() for text in (made.own, *made.missing.values())
    ]
    assert len(streams) == 6
    for signs in np.ndindex(*(3 for _ in streams)):
        taken = sum(
            (stream * np.uint64(1) if sign == 1 else np.uint64(0) - stream)
            for sign, stream in zip(signs, streams, strict=True)
            if sign
        )
        for name in values:
            sent = np.frombuffer(decode_base64(one.masked[name].values), dtype="<u8")
            assert (sent + taken).tolist() != values[name].tolist()


def test_a_hospital_signs_one_set_and_reveals_once() -> None:
    """The same set again is the same word; another set, a stranger, a wrong order or its own absence is refused."""
    one = Round.of(numbers(2))
    first = one.contributors["a"]
    said = first.survived(("a", "b", "c", "d"))
    assert first.survived(("a", "b", "c", "d")) == said
    for other in (("a", "b", "c"), NAMES, ("b", "c", "d")):
        with pytest.raises(Refused):
            first.survived(other)
    for wrong in (("b", "c", "d"), ("e", "d", "c"), ("c", "d", "e", "z"), ("c", "c", "d", "e")):
        with pytest.raises(Refused):
            one.contributors["e"].survived(wrong)
    agreed = {name: one.contributors[name].survived(("a", "b", "c", "d")) for name in "abcd"}
    first.reveal(agreed)
    with pytest.raises(Refused):
        first.reveal(agreed)


def test_nothing_is_revealed_before_all_survivors_agree() -> None:
    """A word that is lacking, of another set, round or hospital, or not signed by it; then the seeds stay."""
    one = Round.of(numbers(3))
    four = ("a", "b", "c", "d")
    agreed = {name: one.contributors[name].survived(four) for name in "abcd"}
    elsewhere = one.contributors["e"].survived(("c", "d", "e"))
    forged = agreed["b"].model_copy(update={"signature": agreed["c"].signature})
    short = Survivors(node="b", round=ROUND, keys_sha256=agreed["b"].keys_sha256, survivors=four[:3], signature="")
    short = short.model_copy(update={"signature": sign("b")(short.signed())})
    first = one.contributors["a"]
    for bad in (
        {name: agreed[name] for name in "abc"},
        {**agreed, "e": elsewhere},
        {**agreed, "b": agreed["c"]},
        {**agreed, "b": short},
        {**agreed, "b": agreed["b"].model_copy(update={"round": "2" * 32})},
    ):
        with pytest.raises(Refused):
            first.reveal(bad)
    with pytest.raises(IdentityError):
        first.reveal({**agreed, "b": forged})
    assert isinstance(first.reveal(agreed), Seeds)


def test_keys_are_of_this_round_and_signed_by_their_hospital() -> None:
    """A key of another round, under another name, or with another's signature is not masked with; nor is one's own
    missing, nor masked twice."""
    contributors = {name: Contributor(name, ROUND, sign(name), known) for name in NAMES}
    keys = {name: one.key() for name, one in contributors.items()}
    values = np.ones(3, dtype=np.uint64)
    first = contributors["a"]
    other_round = Contributor("b", "1" * 32, sign("b"), known).key()
    swapped = keys["b"].model_copy(update={"public_key": keys["c"].public_key})
    for bad in ({**keys, "b": other_round}, {**keys, "b": keys["c"]}, {name: keys[name] for name in "bcde"}):
        with pytest.raises(Refused):
            Contributor("a", ROUND, sign("a"), known).mask(values, bad)
        with pytest.raises(Refused):
            first.mask(values, bad)
        first = Contributor("a", ROUND, sign("a"), known)
        keys["a"] = first.key()
    with pytest.raises(IdentityError):
        first.mask(values, {**keys, "b": swapped})
    fresh = Contributor("a", ROUND, sign("a"), known)
    keys["a"] = fresh.key()
    fresh.mask(values, keys)
    with pytest.raises(Refused):
        fresh.mask(values, keys)


def test_what_does_not_belong_together_is_not_added() -> None:
    """A lacking vector or seed, another length, another round: an error, never a wrong sum."""
    one, other = Round.of(numbers(5)), Round.of(numbers(6), "1" * 32)
    agreed = {name: one.contributors[name].survived(NAMES) for name in NAMES}
    seeds = {name: one.contributors[name].reveal(agreed) for name in NAMES}
    short = Round.of(numbers(5, length=6)).masked["a"]
    cut = seeds["a"].model_copy(update={"own": "AAAA"})
    for vectors, made in (
        ({}, seeds),
        ({name: one.masked[name] for name in "abcd"}, seeds),
        (one.masked, {name: seeds[name] for name in "abcd"}),
        ({**one.masked, "a": short}, seeds),
        ({**one.masked, "a": other.masked["a"]}, seeds),
        ({**one.masked, "a": one.masked["a"].model_copy(update={"length": 6})}, seeds),
        (one.masked, {**seeds, "a": cut}),
    ):
        with pytest.raises(ProtocolError):
            unmask(vectors, made)
    assert unmask(one.masked, seeds).hospitals == NAMES


@pytest.mark.parametrize(
    ("before", "now", "safe"),
    [
        ("abc", "abc", True),
        ("abc", "abcd", False),
        ("abc", "abcde", False),
        ("abc", "abcdef", True),
        ("abcdef", "abc", True),
        ("abcd", "abce", False),
        ("abcdef", "abcghi", True),
        ("abcdef", "abcdgh", False),
    ],
)
def test_joiners_and_leavers_in_threes(before, now, safe) -> None:
    """Two sums of the same numbers differ by those who came and by those who went: each nobody, or three at least."""
    assert differ_safely(frozenset(before), frozenset(now)) is safe


def test_survivors_share_a_secret_that_only_they_can_open() -> None:
    """Sealed by one for each other; opened after all have signed, and not when altered, meant for another, said to be
    from another, or of a hospital that is missing."""
    one = Round.of(numbers(3))
    there = NAMES[:4]
    agreed = {name: one.contributors[name].survived(there) for name in there}
    sealed = one.contributors["a"].seal(b"s" * 32)
    assert set(sealed) == {"b", "c", "d"}
    assert len(set(sealed.values())) == 3
    with pytest.raises(Refused):
        one.contributors["b"].unseal("a", sealed["b"])
    for name in there:
        one.contributors[name].reveal(agreed)
    for name in ("b", "c", "d"):
        assert one.contributors[name].unseal("a", sealed[name]) == b"s" * 32
    raw = decode_base64(sealed["b"])
    altered = encode_base64(raw[:-1] + bytes([raw[-1] ^ 1]))
    for sender, text in (("a", altered), ("a", sealed["c"]), ("c", sealed["b"]), ("e", sealed["b"]), ("a", "")):
        with pytest.raises(Refused):
            one.contributors["b"].unseal(sender, text)
    with pytest.raises(Refused):
        one.contributors["e"].seal(b"s" * 32)


def test_a_key_that_nobody_can_share_a_secret_with_is_known_before_it_is_used() -> None:
    """Too short, or a point of low order; and a good one."""
    good = Round.of(numbers(3)).keys["a"]
    assert usable(good)
    for bad in (b"", bytes(31), bytes(32), (1).to_bytes(32, "little")):
        assert not usable(good.model_copy(update={"public_key": encode_base64(bad)}))
