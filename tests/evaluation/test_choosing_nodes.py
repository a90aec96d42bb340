"""Baselines and oracles that choose nodes, against choices worked out by hand."""

import subprocess
import sys

import numpy as np
import pytest

from fedrag.evaluation.baselines.cori_selection import CoriSelection
from fedrag.evaluation.baselines.node_choice import constant_set, fewest, holders, largest, popularity_prior
from fedrag.evaluation.baselines.ragroute import RagRoute
from fedrag.evaluation.baselines.tfidf_neighbours import TfidfNeighbours
from fedrag.evaluation.processor_time import children_processor_s

PAST = [{"a": 2.0, "b": 1.0}, {"a": 1.0}, {"c": 1.0}]


def test_the_prior_orders_nodes_by_what_they_held_before() -> None:
    """a 3, b 1, c 1, d 0; ties by name."""
    assert popularity_prior(PAST, ("d", "c", "b", "a")) == ("a", "b", "c", "d")


def test_the_best_constant_set_covers_most_of_each_question() -> None:
    """a and c hold 2/3 + 1 + 1, a and b only 1 + 1 + 0."""
    assert constant_set(PAST, ("a", "b", "c"), 2) == ("a", "c")
    assert constant_set(PAST, ("a", "b", "c"), 1) == ("a",)


def test_holders_are_the_nodes_with_something_relevant() -> None:
    """Most first."""
    assert holders({"a": 1.0, "b": 3.0, "c": 0.0}) == ("b", "a")
    assert largest({"a": 5, "b": 9}) == ("b", "a")


def test_the_oracle_takes_the_smallest_set_with_the_same_recall() -> None:
    """a alone gives half, a with c everything, and so does nothing smaller."""
    recalls = {("a",): 0.5, ("b",): 0.5, ("c",): 0.5, ("a", "b"): 0.5, ("a", "c"): 1.0}
    relevance = {"a": 1.0, "b": 1.0, "c": 1.0}
    assert fewest(relevance, lambda chosen: recalls.get(tuple(chosen), 1.0), 1.0) == ("a", "c")
    assert fewest(relevance, lambda chosen: recalls.get(tuple(chosen), 1.0), 0.5) == ("a",)
    assert fewest(relevance, lambda chosen: 0.0, 0.0) == ()


def test_neighbours_remember_what_helped_a_like_question() -> None:
    """The question about warfarin goes where the last one did; an unknown one goes by the prior."""
    texts = ["warfarin dose in kidney disease", "asthma inhaler for children", "asthma attack at night"]
    router = TfidfNeighbours(texts, [{"a": 1.0}, {"b": 1.0}, {"b": 1.0}], ("a", "b"))
    assert router.ranking("what is the warfarin dose?") == ("a", "b")
    assert router.ranking("zebra") == ("b", "a")


def test_cori_prefers_the_node_where_a_rare_term_is_frequent() -> None:
    """Both hold documents of equal length; only one holds the term."""
    selection = CoriSelection(["a", "a", "b", "b"], ["warfarin dose", "warfarin food", "asthma dose", "asthma food"])
    scores = selection.scores("warfarin")
    assert scores["a"] > scores["b"] == 0.4
    assert selection.scores("zebra") == {"a": 0.4, "b": 0.4}


def test_ragroute_learns_which_source_holds_which_direction() -> None:
    """Queries along one axis are held by one source: after training it asks that one alone, and no other."""
    random = np.random.default_rng(0)
    centroids = np.eye(2, 8, dtype=np.float32)
    topics = np.arange(200) % 2
    queries = (centroids[topics] + 0.1 * random.standard_normal((200, 8))).astype(np.float32)
    router = RagRoute(queries, [frozenset({"ab"[topic]}) for topic in topics], ("a", "b"), centroids, seed=0)
    assert router.selected(centroids[0]) == ("a",)
    assert router.ranking(centroids[1]) == ("b", "a")


def test_processor_seconds_are_those_of_the_children() -> None:
    """A child that computes for half a second of its own time is seen while it lives."""
    burn = "import time\nwhile time.process_time() < 0.5: pass\nprint('done', flush=True)\ninput()"
    before = children_processor_s()
    if before is None:
        pytest.skip("no /proc on this system")
    with subprocess.Popen(
        [sys.executable, "-c", burn], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout.readline() == "done\n"
        spent = children_processor_s() - before
        child.communicate("\n")
    assert 0.45 <= spent <= 1.5
