"""Counts of several parties, added up under a mask. Oracle: one party that had all their questions."""

import numpy as np
import pytest

from fedrag.core.errors import ProtocolError
from router.learning import Learned, Outcome
from router.pooling import MOST, UNIT, counts_of, learned_from

CENTRES = np.eye(4, dtype=np.float32)
NODES = ("a", "b", "c")


def beginning():
    return Learned.beginning("ours", CENTRES, np.ones(4))


def outcomes(seed):
    random = np.random.default_rng(seed)
    for _ in range(50):
        query = random.standard_normal(4).astype(np.float32)
        asked = random.choice(NODES, size=2, replace=False)
        expected = {str(node): float(random.random()) for node in asked}
        yield Outcome(
            query / np.linalg.norm(query), expected, {node: float(random.random() < 0.5) for node in expected}
        )


def test_the_sum_is_what_one_party_would_have_learned():
    """Three parties of fifty questions each, against all 150 in one place, to the rounding of a thousandth."""
    central, parties = beginning(), []
    for seed in range(3):
        party = beginning()
        for one in outcomes(seed):
            party, central = party.after(one), central.after(one)
        parties.append(counts_of(party, NODES))
    together = learned_from(np.sum(parties, axis=0, dtype=np.uint64), 3, "ours", central.centres, NODES)
    order = [central.nodes.index(node) for node in NODES]
    for name in ("asked", "expected", "useful"):
        assert getattr(together, name) == pytest.approx(getattr(central, name)[:, order], abs=0.1)


def test_a_party_that_asked_a_great_deal_counts_as_much_as_it_may():
    """Its rates stay, its weight does not."""
    many = beginning().after(Outcome(CENTRES[0], {"a": 0.5}, {"a": 1.0}, weight=10.0 * MOST))
    counts = counts_of(many, NODES).reshape(3, 4, 3).astype(float)
    assert counts[0].sum() == pytest.approx(MOST * UNIT, rel=1e-3)
    assert counts[2].sum() == pytest.approx(counts[0].sum())
    assert counts[1].sum() == pytest.approx(counts[0].sum() / 2)


@pytest.mark.parametrize("wrong", ["length", "size", "more useful than asked"])
def test_a_sum_that_cannot_be_is_refused(wrong):
    """Whoever lied."""
    total = np.zeros(3 * 4 * 3, dtype=np.uint64)
    if wrong == "length":
        total = total[1:]
    elif wrong == "size":
        total[0] = np.uint64(2**63)
    else:
        total[-1] = np.uint64(50 * UNIT)
    with pytest.raises(ProtocolError) as raised:
        learned_from(total, 3, "ours", CENTRES, NODES)
    assert raised.value.code == "implausible_counts"
