"""The order of the `comparable` merge method. Oracles: tables by hand; test_levels.py has the placing of groups."""

from aggregator.methods import MERGE_METHODS


def merged(offers, k=10, **settings):
    return [winner.offer.handle.rstrip("_") for winner in MERGE_METHODS.build("comparable", settings).merge(offers, k)]


def test_one_encoder_is_ordered_by_similarity_whatever_the_probabilities(offer):
    """The probabilities run the other way and do not matter."""
    offers = [
        offer("a", "low", similarity=0.2, probability=0.9),
        offer("b", "high", similarity=0.8, probability=0.1),
        offer("a", "middle", rank=2, similarity=0.5, probability=0.5),
    ]
    assert merged(offers) == ["high", "middle", "low"]


def test_two_encoders_are_merged_by_probability(offer):
    """Similarities 0.9 and 0.3 of two encoders say nothing about each other."""
    offers = [
        offer("a", "a1", similarity=0.30, probability=0.8, encoder="x"),
        offer("a", "a2", rank=2, similarity=0.20, probability=0.4, encoder="x"),
        offer("b", "b1", similarity=0.90, probability=0.6, encoder="y"),
        offer("b", "b2", rank=2, similarity=0.85, probability=0.5, encoder="y"),
    ]
    assert merged(offers) == ["a1", "b1", "b2", "a2"]


def test_offers_without_a_similarity_stand_between_the_others_by_probability(offer):
    """A patient collection tells a probability bucket and nothing else."""
    offers = [
        offer("a", "a1", similarity=0.9, probability=0.9),
        offer("a", "a2", rank=2, similarity=0.5, probability=0.3),
        offer("p", "p1", probability=0.5),
    ]
    assert merged(offers) == ["a1", "p1", "a2"]


def test_ties_are_broken_by_node_and_rank_or_rank_and_node(offer):
    """Equal similarities as one central index would: by node, then rank. Equal probabilities take turns: rank, node."""
    similar = [offer(node, f"{node}{rank}", rank=rank, similarity=0.5) for node in "ba" for rank in (2, 1)]
    assert merged(similar) == ["a1", "a2", "b1", "b2"]
    probable = [offer(node, f"{node}{rank}", rank=rank) for node in "ba" for rank in (2, 1)]
    assert merged(probable) == ["a1", "b1", "a2", "b2"]


def test_a_handle_offered_twice_counts_once_at_its_best_place(offer):
    """The same handle of another hospital is another handle."""
    offers = [
        offer("a", "same", similarity=0.9),
        offer("a", "same", rank=2, similarity=0.1),
        offer("b", "other", similarity=0.5),
        offer("b", "same", rank=2, similarity=0.3),
    ]
    assert merged(offers) == ["same", "other", "same"]


def test_a_maximum_per_hospital_lets_others_in(offer):
    """Without it a would take all three places."""
    offers = [offer("a", f"a{rank}", rank=rank, similarity=1 - rank / 10) for rank in (1, 2, 3)]
    offers.append(offer("b", "b1", similarity=0.1))
    assert merged(offers, k=3) == ["a1", "a2", "a3"]
    assert merged(offers, k=3, per_node_maximum=2) == ["a1", "a2", "b1"]
