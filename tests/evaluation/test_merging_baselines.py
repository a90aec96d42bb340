"""Merging baselines against orders worked out by hand."""

import pytest

from fedrag.evaluation.baselines.merging import comb_mnz, cori, min_max, raw_score, rrf, rrf_pooled, z_score

LISTS = {"a": [("a1", 9.0), ("a2", 5.0), ("a3", 1.0)], "b": [("b1", 3.0), ("b2", 2.0)]}


def test_raw_scores_rank_across_nodes_and_higher_is_better() -> None:
    """9 > 5 > 3 > 2 > 1; a merge that reversed similarity would begin with a3."""
    assert raw_score(LISTS, 10) == ["a1", "a2", "b1", "b2", "a3"]
    assert raw_score(LISTS, 2) == ["a1", "a2"]


def test_min_max_puts_every_list_on_zero_to_one() -> None:
    """a: 1, .5, 0; b: 1, 0; ties by name."""
    assert min_max(LISTS, 10) == ["a1", "b1", "a2", "a3", "b2"]


def test_z_scores_count_spreads() -> None:
    """a: 1.22, 0, -1.22; b: 1, -1."""
    assert z_score(LISTS, 10) == ["a1", "b1", "a2", "b2", "a3"]
    assert z_score({"a": [("x", 1.0), ("y", 1.0)], "b": []}, 10) == ["x", "y"]


def test_comb_mnz_rewards_documents_that_several_nodes_return() -> None:
    """shared: (.5 + .5) · 2 = 2 beats 1 · 1."""
    lists = {"a": [("a1", 2.0), ("shared", 1.0), ("a3", 0.0)], "b": [("b1", 2.0), ("shared", 1.0), ("b3", 0.0)]}
    assert comb_mnz(lists, 1) == ["shared"]
    assert comb_mnz(LISTS, 10) == min_max(LISTS, 10)


def test_rrf_on_disjoint_nodes_deals_cards_in_turn() -> None:
    """Rank 1 of each, then rank 2 of each, whatever the scores; a shared document adds up."""
    assert rrf(LISTS, 10) == ["a1", "b1", "a2", "b2", "a3"]
    assert rrf({"a": [("x", 1.0), ("s", 0.5)], "b": [("y", 1.0), ("s", 0.5)]}, 1) == ["s"]


def test_rrf_of_one_pooled_list_is_raw_score_merging() -> None:
    """There is only one list, so the ranks of its order are its order."""
    assert rrf_pooled(LISTS, 10) == raw_score(LISTS, 10)


def test_cori_weighs_documents_by_their_node() -> None:
    """b is the better node: b1 = (1 + .4) / 1.4 = 1, a1 = 1 / 1.4 = .71, a2 = .5 / 1.4."""
    assert cori(LISTS, 3, {"a": 0.4, "b": 0.5}) == ["b1", "a1", "a2"]


@pytest.mark.parametrize("merge", [raw_score, min_max, z_score, comb_mnz, rrf, rrf_pooled])
def test_no_list_drops_evidence(merge) -> None:
    """Everything that was handed in comes out once, and nothing else; no node, no document."""
    assert sorted(merge(LISTS, 100)) == ["a1", "a2", "a3", "b1", "b2"]
    assert merge({}, 10) == []
    assert merge({"a": []}, 10) == []
