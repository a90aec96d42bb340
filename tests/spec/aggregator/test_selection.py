"""Diversity: maximal marginal relevance over sketches. Oracles: costs by hand, a plain greedy choice."""

import numpy as np
import pytest

from aggregator.methods import MERGE_METHODS
from aggregator.selection import CONSIDERED, diversified
from fedrag.core.sketch import counts_of, resemblance

WOUND = "Keep the wound dry and ring the ward if it becomes red or painful or if you feel unwell at home"
LIKE_IT = "Keep the wound dry and ring the ward if it becomes red or swollen or if you feel unwell at home"
OTHER = "Eat little salt and weigh yourself every morning before breakfast because fluid shows in weight first"


def names(offers):
    return [one.offer.handle.rstrip("_") for one in offers]


def like(one, other):
    return resemblance(counts_of(one.offer.sketch), counts_of(other.offer.sketch))


def test_a_passage_is_set_back_as_far_as_it_resembles_a_better_one(offer):
    """Resemblance r about 0.6: with d places for a copy, the second costs 1 + d r, and the third, unlike both, 2."""
    offers = [offer("a", "one", text=WOUND), offer("b", "alike", text=LIKE_IT), offer("c", "other", text=OTHER)]
    r = like(offers[0], offers[1])
    assert 0.4 < r < 0.8
    assert names(diversified(offers, 0.9 / r)) == ["one", "alike", "other"]
    assert names(diversified(offers, 1.1 / r)) == ["one", "other", "alike"]


def test_what_has_no_sketch_or_another_key_resembles_nothing(offer):
    """Even the same text: its order stays."""
    offers = [offer("a", "one", text=WOUND), offer("b", "bare"), offer("c", "keyed", text=WOUND, key="epoch-1")]
    offers.append(offer("d", "copy", text=WOUND))
    assert names(diversified([offers[0], offers[3], offers[1], offers[2]], 100)) == ["one", "bare", "keyed", "copy"]


def test_the_order_is_the_plain_greedy_one(offer):
    """All resemblances made first, each step a minimum over all that are left; behind CONSIDERED nothing moves."""
    random, places = np.random.default_rng(0), 15.0
    words = ["dry", "red", "wound", "ward", "salt"]
    offers = [offer("n", f"{at}", text=" ".join(random.choice(words, 12))) for at in range(CONSIDERED + 5)]
    alike = [[like(one, other) for other in offers[:CONSIDERED]] for one in offers[:CONSIDERED]]
    left, chosen = list(range(CONSIDERED)), []
    while left:
        chosen.append(min(left, key=lambda at: (at + places * max((alike[at][to] for to in chosen), default=0), at)))
        left.remove(chosen[-1])
    assert chosen != sorted(chosen)
    assert list(diversified(offers, places)) == [offers[at] for at in (*chosen, *range(CONSIDERED, CONSIDERED + 5))]


@pytest.mark.parametrize("name", MERGE_METHODS.names)
def test_every_method_has_it_and_has_it_off(offer, name):
    """As shipped the like passage comes second; set back by ten places, third. It is not near enough to be folded."""
    offers = [
        offer("a", "one", text=WOUND, similarity=0.9, probability=0.9),
        offer("b", "alike", text=LIKE_IT, similarity=0.8, probability=0.8),
        offer("c", "other", text=OTHER, similarity=0.7, probability=0.7),
    ]
    shipped, diverse = MERGE_METHODS.build(name), MERGE_METHODS.build(name, {"diversity": 10})
    assert names(shipped.merge(offers, 3)) == ["one", "alike", "other"]
    assert names(diverse.merge(offers, 3)) == ["one", "other", "alike"]
