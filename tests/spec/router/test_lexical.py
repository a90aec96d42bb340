"""Whom the `lexical` policy asks. Oracle: CORI's formula by hand."""

from math import log

import numpy as np
import pytest

from fedrag.core.protocols import RoutingLimits
from router.policies import ROUTING_POLICIES

QUERY = np.array([1, 0, 0], dtype=np.float32)
TEXTS = {"heart": "Cardiology: heart failure, arrhythmia", "lung": "Asthma and heart", "skin": "Eczema", "mute": ""}


def route(describe, words, ours, texts=TEXTS, **settings):
    collections = [describe(node, passages=9).model_copy(update={"text": text}) for node, text in texts.items()]
    limits = RoutingLimits(100, 10, words=words)
    return ROUTING_POLICIES.build("lexical", settings).route(QUERY, ours, collections, limits)


def test_belief_is_coris(describe, ours):
    """`heart` in two of four texts of 4, 2, 1 and 0 words, mean 7/4; `asthma` in one."""
    decision = route(describe, "Heart and asthma?", ours)
    heart, asthma = log(4.5 / 2) / log(5), log(4.5 / 1) / log(5)

    def t(length):
        return 1 / (1.5 + 1.5 * length / (7 / 4))

    expected = {"lung": 0.4 + 0.6 * (t(2) * heart + t(2) * asthma) / 2, "heart": 0.4 + 0.6 * t(4) * heart / 2}
    made = {one.node: one.score for one in decision.ranking}
    assert {node: made[node] for node in expected} == pytest.approx(expected)
    assert made["skin"] == made["mute"] == 0.4
    assert [one.node for one in decision.ranking][:2] == ["lung", "heart"]


def test_without_a_shared_word_everyone_is_asked(describe, ours):
    """Nothing speaks against anybody."""
    assert set(route(describe, "gout", ours).selected) == set(TEXTS)


def test_a_hospital_whose_words_fit_far_better_is_asked_alone(describe, ours):
    """With a sharpness that makes much of belief."""
    texts = {"renal": "dialysis dialysis kidney", "skin": "eczema", "lung": "asthma"}
    assert route(describe, "dialysis", ours, texts, sharpness=30).selected == ("renal",)
