"""Strategies: how a language model is asked, once with all evidence or apart for each source, to come to an answer."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal, Protocol

from fedrag.core.answer import Evidence, ReasonerReport, Reasoning
from fedrag.core.deadline import Deadline
from fedrag.core.plugins import PluginKind
from fedrag.core.protocols import Encoder, SourceChains
from fedrag.core.question import Question
from reasoner.drift import LeftOut
from reasoner.heads import Head
from reasoner.language_model import LanguageModel
from reasoner.usage import Usage

SIGNALS: Final = ("stated_confidence", "token_probability", "cited_share")
"""What `head` makes a confidence of, as far as a server tells it."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What a strategy works with. `head` makes a calibrated confidence of what a model states, its tokens and its
    citations; `fence()` draws a token that no passage can know."""

    model: LanguageModel
    encoder: Encoder
    head: Head
    backend: str
    fence: Callable[[], str]
    sources: SourceChains | None = None
    """Hospitals that reason about this question themselves."""
    left_out: LeftOut = frozenset

    def report(self, usage: Usage, strategy: str) -> ReasonerReport:
        return ReasonerReport(
            backend=self.backend,
            model=self.model.model.name,
            strategy=strategy,
            signals=SIGNALS,
            citations_dropped=usage.dropped,
            passages_trimmed=usage.trimmed,
            retries=usage.retries,
            prompt_tokens=usage.prompt_tokens,
            completion_tokens=usage.completion_tokens,
            thinking_tokens=usage.thinking_tokens,
        )


Chains = Literal["coordinator", "hospitals", "both"]
"""Who reasons for a source: the coordinator's model over what the source released; a hospital's own, where it has one,
and its passages stay there; or its own, and its passages are fetched as well, so that its steps can cite them."""


class Unreadable(Exception):
    """No reply of the model could be read."""

    def __init__(self, usage: Usage) -> None:
        super().__init__("no reply could be read")
        self.usage = usage


class Strategy(Protocol):
    async def reason(self, question: Question, evidence: Evidence, parts: Parts, deadline: Deadline) -> Reasoning:
        """`evidence` holds a passage. Raises Unreadable, and what the model raises."""
        ...


STRATEGIES: Final = PluginKind[Strategy]("reasoner.strategies", ("joint", "isolated", "fera"))


def chains_of(strategy: Strategy) -> Chains:
    """As its settings say; a strategy that knows no sources has none of theirs."""
    chosen: Chains = getattr(getattr(strategy, "settings", None), "chains", "coordinator")
    return chosen
