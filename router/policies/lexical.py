"""Ask the hospitals whose own words about their collections are those of the question: CORI over descriptions.

No table of a single hospital's terms is published, for a rare term in it is a patient; and the statistics that
hospitals share are sums over all of them, which tell nobody apart. What is left is the text that an operator writes
about a collection. It takes the place of the collection's documents in CORI (Callan, Lu and Croft 1995, eq. 1 to 3):

    T = f / (f + 0.5 + 1.5 · length / mean length)      f: how often the text has the term
    I = log((C + 0.5) / c) / log(C + 1)                 c of C texts have it
    belief = 0.4 + 0.6 · T · I, averaged over the question's terms that some text has
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from math import log
from typing import Annotated, Final

import numpy as np
from pydantic import Field

from fedrag.core.collection import CollectionDescription, RankedNode, RoutingDecision
from fedrag.core.config import Config
from fedrag.core.protocols import RoutingLimits
from fedrag.core.wire import FloatVector, NodeId
from router.choosing import fewest, in_turn, turn_of, under_cap

DEFAULT_BELIEF: Final = 0.4
_WORD: Final = re.compile(r"[^\W\d_]{3,}")
_COMMON: Final = frozenset(
    re.findall(
        r"\w+",
        """about and are been can does for from give given has have how into its may not our over should such than that
        the their them then there these this those under was were what when where which who why will with you your""",
    )
)


class Settings(Config):
    sharpness: Annotated[float, Field(gt=0, le=1000, allow_inf_nan=False)] = 12.0
    """How much more a better belief counts: a hospital's weight is exp(sharpness · belief)."""
    coverage: Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)] = 0.95
    """Share of the weight that the hospitals asked make up."""


class LexicalRouting:
    """P(useful) is a hospital's belief, of its best collection; DEFAULT_BELIEF where it shares no word."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def route(
        self,
        query: FloatVector,
        comparable_with: str,  # noqa: ARG002 - the protocol's; words are read under any encoder
        collections: Sequence[CollectionDescription],
        limits: RoutingLimits,
    ) -> RoutingDecision:
        beliefs = _beliefs(limits.words, collections)
        nodes = tuple(sorted(beliefs))
        belief = np.array([beliefs[node] for node in nodes], dtype=np.float64)
        turns = in_turn(len(nodes), turn_of(query))
        ranked = turns[np.argsort(-belief[turns], kind="stable")]
        weights = np.exp(self._settings.sharpness * (belief[ranked] - belief.max(initial=DEFAULT_BELIEF)))
        told = bool((belief > DEFAULT_BELIEF).any())
        enough = fewest(weights, self._settings.coverage if limits.target is None else limits.target)
        enough = max(enough, min(limits.minimum_nodes, len(nodes))) if told else len(nodes)
        selected = under_cap(ranked, enough, limits.maximum_nodes, belief <= DEFAULT_BELIEF, 0.0)
        return RoutingDecision(
            policy="lexical",
            ranking=tuple(
                RankedNode(node=nodes[at], score=float(belief[at]), probability=float(belief[at])) for at in ranked
            ),
            selected=tuple(nodes[at] for at in selected),
            why=_why(len(selected), len(nodes), enough, told=told),
        )


def terms_of(text: str) -> list[str]:
    return [word for word in _WORD.findall(text.casefold()) if word not in _COMMON]


def _beliefs(words: str, collections: Sequence[CollectionDescription]) -> Mapping[NodeId, float]:
    texts = [Counter(terms_of(one.text)) for one in collections]
    lengths = [text.total() for text in texts]
    mean = sum(lengths) / max(1, len(lengths)) or 1.0
    holding = Counter(term for text in texts for term in text)
    asked = [term for term in dict.fromkeys(terms_of(words)) if term in holding]
    rarity = {term: log((len(texts) + 0.5) / holding[term]) / log(len(texts) + 1) for term in asked}
    beliefs = {one.node: DEFAULT_BELIEF for one in collections}
    for one, text, length in zip(collections, texts, lengths, strict=True):
        parts = [text[term] / (text[term] + 0.5 + 1.5 * length / mean) * rarity[term] for term in asked]
        belief = DEFAULT_BELIEF + (1 - DEFAULT_BELIEF) * sum(parts) / max(1, len(parts))
        beliefs[one.node] = max(beliefs[one.node], belief)
    return beliefs


def _why(selected: int, known: int, enough: int, *, told: bool) -> str:
    if not known:
        return "No hospital has described a collection."
    if not told:
        return f"No description shares a word with the question: {selected} of {known} hospitals are asked."
    if selected < enough:
        return f"{selected} of {known} hospitals are asked, as many as the cap allows of {enough} worth asking."
    return f"{selected} of {known} hospitals are asked: those whose descriptions share most words with the question."


def build(settings: Settings) -> LexicalRouting:
    return LexicalRouting(settings)
