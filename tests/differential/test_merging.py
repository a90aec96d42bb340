"""Merging against one central ranking, on random federations."""

import numpy as np
import pytest

from aggregator.methods import MERGE_METHODS
from fedrag.core.exchange import Offer, Similarity
from fedrag.core.protocols import NodeOffer

ROWS, DIMENSION, K = 400, 24, 10


def unit(vectors: np.ndarray) -> np.ndarray:
    return (vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)).astype(np.float32)


def federation(seed: int, nodes: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Passages in the order of a central index (node by node), with ties: one passage in five is a copy of another."""
    random = np.random.default_rng(seed)
    vectors = unit(random.normal(size=(ROWS, DIMENSION)))
    copies = random.random(ROWS) < 0.2
    vectors[copies] = vectors[random.integers(ROWS, size=int(copies.sum()))]
    return vectors, np.sort(random.integers(nodes, size=ROWS)), unit(random.normal(size=DIMENSION))


def offers_of(
    node: int, owners: np.ndarray, similarities: np.ndarray, k: int, encoder: str, random: np.random.Generator
) -> list[NodeOffer]:
    """A node's k best by (similarity, position), with probabilities that may contradict them."""
    own = np.flatnonzero(owners == node)
    best = own[np.lexsort((own, -similarities[own]))][:k]
    return [
        NodeOffer(
            f"n{node:03}",
            Offer(
                handle=f"{int(at):064}",
                rank=rank,
                probability=float(random.random()),
                similarity=Similarity(value=float(similarities[at]), comparable_with=encoder),
            ),
        )
        for rank, at in enumerate(best, start=1)
    ]


@pytest.mark.parametrize("nodes", [1, 2, 9, 40])
@pytest.mark.parametrize("seed", range(5))
def test_one_encoder_merges_to_the_central_ranking_passage_for_passage(seed, nodes):
    """Broadcast, exact search, raw similarity, no de-duplication: one central index, ties included."""
    vectors, owners, query = federation(seed, nodes)
    similarities = vectors @ query
    random = np.random.default_rng(seed)
    made = [one for node in range(nodes) for one in offers_of(node, owners, similarities, K, "e", random)]
    winners = MERGE_METHODS.build("comparable", {"near_duplicates": False}).merge(made, K)
    central = np.lexsort((np.arange(ROWS), -similarities))[:K]
    assert [int(winner.offer.handle) for winner in winners] == central.tolist()
    assert [winner.node for winner in winners] == [f"n{owners[at]:03}" for at in central]


@pytest.mark.parametrize("seed", range(10))
def test_several_encoders_keep_each_encoders_own_ranking(seed):
    """Whatever the probabilities: the winners of one encoder come in the order of their similarities."""
    vectors, owners, query = federation(seed, 12)
    similarities = vectors @ query
    random = np.random.default_rng(seed)
    made = [one for node in range(12) for one in offers_of(node, owners, similarities, K, "abc"[node % 3], random)]
    winners = MERGE_METHODS.build("comparable", {"near_duplicates": False}).merge(made, len(made))
    assert len(winners) == len(made)
    for encoder in "abc":
        values = [one.offer.similarity.value for one in winners if one.offer.similarity.comparable_with == encoder]
        assert values == sorted(values, reverse=True)


@pytest.mark.parametrize("seed", range(5))
def test_encoders_that_rescale_the_same_similarities_merge_like_one(seed):
    """One encoder says similarity s, the other s / 2 - 0.2, both with the same log odds of relevance; each of four
    hospitals offers the same numbers, so that no group's level differs: the merge is the order by s."""
    random = np.random.default_rng(seed)
    shared = np.sort(random.random(20))[::-1]
    made = [
        NodeOffer(
            f"n{node}",
            Offer(
                handle=f"{node:032}{rank:032}",
                rank=rank,
                probability=1 / (1 + np.exp(4 - 8 * s)),
                similarity=Similarity(value=s if encoder == "a" else 0.5 * s - 0.2, comparable_with=encoder),
            ),
        )
        for node, encoder in enumerate("abab")
        for rank, s in enumerate(shared, start=1)
    ]
    winners = MERGE_METHODS.build("comparable", {"near_duplicates": False}).merge(made, 80)
    probabilities = [one.offer.probability for one in winners]
    assert probabilities == pytest.approx(sorted((one.offer.probability for one in made), reverse=True))
