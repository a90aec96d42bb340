"""A handle opens for the one it was made for, and for nobody else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedrag.core.errors import Refused
from retriever_node.handles import HandleSealer, Recipient, SealedPassage

RECIPIENT = Recipient(asker="p" * 32, purpose="treatment", coordinator="c", request_id="0" * 32)
PASSAGE = SealedPassage("protocols", passage_id=7, generation=3, policy="v1", expires_at=1_000)
POLICIES = {"protocols": "v1", "leaflets": "v1"}
SEALER = HandleSealer(b"k" * 32)


@given(st.integers(0, 2**62), st.integers(0, 2**62), st.integers(0, 20_000), st.integers(0, 20_000))
def test_what_was_sealed_comes_back(passage_id: int, generation: int, start: int, length: int) -> None:
    """Every field survives, and every handle has the same length whatever it names."""
    passage = SealedPassage("leaflets", passage_id, generation, "v1", 1_000, (start, start + length))
    handle = SEALER.seal(passage, RECIPIENT)
    assert SEALER.open(handle, RECIPIENT, POLICIES, now_s=999) == passage
    assert len(handle) == 100


@pytest.mark.parametrize(
    "other",
    [
        Recipient("q" * 32, "treatment", "c", "0" * 32),
        Recipient("p" * 32, "research", "c", "0" * 32),
        Recipient("p" * 32, "treatment", "d", "0" * 32),
        Recipient("p" * 32, "treatment", "c", "1" * 32),
        Recipient("p" * 32, "treatment", "c", "0" * 32, "stroke-2026"),
    ],
    ids=["asker", "purpose", "coordinator", "request", "project"],
)
def test_another_recipient_cannot_open_it(other: Recipient) -> None:
    """Asker, purpose, coordinator, request and project are bound in; changing any one of them is a forgery."""
    handle = SEALER.seal(PASSAGE, RECIPIENT)
    with pytest.raises(Refused) as refused:
        SEALER.open(handle, other, POLICIES, now_s=0)
    assert refused.value.code == "bad_handle"


def test_every_changed_character_is_noticed() -> None:
    """No bit of a handle is malleable."""
    handle = SEALER.seal(PASSAGE, RECIPIENT)
    for position, character in enumerate(handle):
        forged = handle[:position] + ("A" if character != "A" else "B") + handle[position + 1 :]
        with pytest.raises(Refused):
            SEALER.open(forged, RECIPIENT, POLICIES, now_s=0)


def test_another_nodes_handle_does_not_open() -> None:
    """The key is the node's own."""
    with pytest.raises(Refused):
        HandleSealer(b"x" * 32).open(SEALER.seal(PASSAGE, RECIPIENT), RECIPIENT, POLICIES, now_s=0)


@pytest.mark.parametrize(
    ("policies", "now_s", "code"),
    [
        (POLICIES, 1_001, "handle_expired"),
        (POLICIES, 399, "handle_expired"),
        ({"protocols": "v2"}, 999, "policy_changed"),
        ({"leaflets": "v1"}, 999, "policy_changed"),
    ],
    ids=["expired", "the clock was set back", "policy changed", "collection gone"],
)
def test_an_old_offer_is_not_honoured(policies: dict[str, str], now_s: int, code: str) -> None:
    """What the owner decided since the offer counts."""
    with pytest.raises(Refused) as refused:
        SEALER.open(SEALER.seal(PASSAGE, RECIPIENT), RECIPIENT, policies, now_s)
    assert refused.value.code == code


def test_two_handles_of_one_passage_look_unrelated() -> None:
    """The coordinator cannot tell that two questions found the same passage."""
    first, second = (SEALER.seal(PASSAGE, RECIPIENT) for _ in range(2))
    assert sum(a == b for a, b in zip(first, second, strict=True)) < 20
