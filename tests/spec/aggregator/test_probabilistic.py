"""The order of the `probabilistic` merge method. Oracle: products by hand."""

from aggregator.methods import MERGE_METHODS


def merged(offers, k=10, **settings):
    method = MERGE_METHODS.build("probabilistic", settings)
    return [winner.offer.handle.rstrip("_") for winner in method.merge(offers, k)]


def test_offers_are_ordered_by_the_product_of_both_probabilities(offer):
    """0.9 x 0.3 = 0.27, 0.5 x 0.8 = 0.40, 0.3 x 0.8 = 0.24; the similarities, of one encoder, say otherwise."""
    offers = [
        offer("a", "a1", probability=0.3, routed=0.9, similarity=0.9),
        offer("b", "b1", probability=0.8, routed=0.5, similarity=0.2),
        offer("c", "c1", probability=0.8, routed=0.3, similarity=0.5),
    ]
    assert merged(offers) == ["b1", "a1", "c1"]


def test_the_weight_is_an_exponent_of_the_routing_probability(offer):
    """At 0 only the passage's own probability counts; 0.25^(1/2) x 0.8 = 0.40 < 0.5, and 0.25 x 0.8 = 0.2 < 0.5 too;
    at 1/4 it is 0.57 and wins."""
    offers = [offer("a", "far", probability=0.8, routed=0.25), offer("b", "near", probability=0.5, routed=1.0)]
    assert merged(offers, routing_weight=0) == ["far", "near"]
    assert merged(offers, routing_weight=0.25) == ["far", "near"]
    assert merged(offers, routing_weight=0.5) == ["near", "far"]
    assert merged(offers) == ["near", "far"]


def test_a_hospital_that_the_router_rules_out_comes_last_and_not_never(offer):
    """Probability 0: all its offers tie at 0, in the order of their ranks."""
    offers = [offer("a", f"a{rank}", rank=rank, probability=1.0, routed=0.0) for rank in (2, 1)]
    assert merged([*offers, offer("b", "b1", probability=0.1)]) == ["b1", "a1", "a2"]


def test_ties_take_turns_by_rank_then_hospital(offer):
    """0.5 x 0.4 = 0.4 x 0.5."""
    offers = [
        offer(node, f"{node}{rank}", rank=rank, probability=p, routed=r)
        for node, p, r in (("b", 0.5, 0.25), ("a", 0.25, 0.5))
        for rank in (2, 1)
    ]
    assert merged(offers) == ["a1", "b1", "a2", "b2"]
