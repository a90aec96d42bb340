"""What an asker wants to know, and what follows for whom to ask.

A question is read as one of three kinds (`Intent`): by a linear classifier over its words and pairs of neighbouring
words, fitted to phrases of our own (`router/training/intent.py`), and believed where it is sure; else it is a fact,
which is what most questions are, and what costs least. Who asks can say what it is instead.
"""

import json
import math
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Final

from fedrag.core.collection import CollectionDescription, RoutingDecision
from fedrag.core.protocols import RoutingLimits
from fedrag.core.question import Intent
from fedrag.core.wire import NodeId, ReleaseClass

WEIGHTS: Final = Path(__file__).with_name("intent_weights.json")
SURE: Final = 0.7
"""Probability above which a question is read as something else than a fact."""
TARGETS: Final[Mapping[Intent, float | None]] = {Intent.FACT: None, Intent.VIEWPOINTS: 0.99, Intent.POPULATION: 0.99}
"""Probability of finding the evidence that the hospitals asked are to reach; None: the routing policy's own."""
VIEWS: Final = 4
"""Hospitals, at least, whose views are worth comparing."""
HURRIED_MS: Final = 1_500
"""A deadline below it is a wish for few hospitals: with each one more, one that is slow is likelier among them."""
HURRIED_TARGET: Final = 0.8
_WORD: Final = re.compile(r"[a-z']+|\d+")


@dataclass(frozen=True, slots=True)
class Reading:
    """`stated`: the asker said so, and the probability is 1."""

    intent: Intent
    probability: float
    stated: bool = False


PLAIN: Final = Reading(Intent.FACT, 1.0)


def terms_of(text: str) -> list[str]:
    """Words and pairs of neighbouring ones, lower case; every number is the same word."""
    words = ["^", *("0" if word.isdigit() else word for word in _WORD.findall(text.lower()))]
    return [*words[1:], *(f"{one} {other}" for one, other in pairwise(words))]


def recognise(text: str, stated: Intent | None = None) -> Reading:
    """What is meant, where the asker has not `stated` it."""
    if stated is not None:
        return Reading(stated, 1.0, stated=True)
    weights = _weights()
    scores = list(weights[""])
    for term in set(terms_of(text)):
        for at, weight in enumerate(weights.get(term, ())):
            scores[at] += weight
    most = max(scores)
    chances = [math.exp(score - most) for score in scores]
    probability, intent = max(zip((one / sum(chances) for one in chances), Intent, strict=True))
    return Reading(intent, probability) if probability >= SURE else Reading(Intent.FACT, probability)


def limits_for(
    reading: Reading,
    passages: int,
    deadline_ms: float,
    maximum_nodes: int,
    wanted_nodes: int | None = None,
) -> RoutingLimits:
    """`maximum_nodes`: the federation's cap; `wanted_nodes`: the asker's, who can only lower it."""
    cap = max(1, min(maximum_nodes, wanted_nodes or maximum_nodes))
    target = TARGETS[reading.intent]
    if deadline_ms < HURRIED_MS and reading.intent is Intent.FACT:
        target = HURRIED_TARGET
    least = VIEWS if reading.intent is Intent.VIEWPOINTS else 1
    return RoutingLimits(maximum_nodes=cap, passages=passages, target=target, minimum_nodes=least)


def counting(collections: Collection[CollectionDescription]) -> frozenset[NodeId]:
    """Hospitals with records of patients, which alone can be counted."""
    return frozenset(one.node for one in collections if one.release_class is ReleaseClass.PATIENT)


def as_read(
    decision: RoutingDecision, reading: Reading, collections: Collection[CollectionDescription], cap: int
) -> RoutingDecision:
    """The decision with what the question was read as; for a population hospitals with records of patients come
    first, all of them that the cap leaves room for."""
    said = "said to be" if reading.stated else "read as"
    selected, why = decision.selected, decision.why
    if reading.intent is Intent.POPULATION:
        counts = counting(collections)
        first = tuple(one.node for one in decision.ranking if one.node in counts)
        selected = (*first, *(node for node in selected if node not in counts))[:cap]
        why += f" It is {said} about a population: {len(first)} hospitals with records of patients come first."
    elif reading.intent is Intent.VIEWPOINTS:
        why += f" It is {said} about different views: {VIEWS} hospitals at least, where there are so many."
    return decision.model_copy(update={"selected": selected, "why": why, "intent": reading.intent})


@cache
def _weights() -> Mapping[str, list[float]]:
    made: dict[str, list[float]] = json.loads(WEIGHTS.read_text(encoding="utf-8"))
    return made
