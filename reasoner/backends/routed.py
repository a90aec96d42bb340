"""Several language models, and for each question the one that is worth its cost.

    encode the question → expected accuracy and cost of every model → ask the best by accuracy − λ · cost

A model whose server is away is passed over for the next best. Hospitals are told of all of them before they release
anything, for any of them may read it.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

from pydantic import Field

from fedrag.core.answer import Evidence, Reasoning
from fedrag.core.config import Config, PluginConfig
from fedrag.core.deadline import Deadline
from fedrag.core.errors import ConfigError
from fedrag.core.exchange import Processor
from fedrag.core.protocols import Encoder, HearsHospitals
from fedrag.core.question import Question
from fedrag.core.wire import Name
from reasoner.backends import BACKENDS, Backend, BackendBuilder, Surroundings
from reasoner.model_choice import ModelTable, load

UNAVAILABLE: Final = "model_unavailable"
"""`fallback` of a report where a model's server did not answer at all."""


class Settings(Config):
    """`models`: a back end of its own for each name that the table uses. `table`: the file of what was learned.
    `cost_weight`: λ, the probability of being right that one unit of cost is worth; 0 asks the best at any price."""

    models: Annotated[dict[Name, PluginConfig], Field(min_length=1)]
    table: Path
    cost_weight: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0


@dataclass(frozen=True, slots=True)
class Routed:
    """`table` is of the models in `backends`, in their order."""

    encoder: Encoder
    backends: Mapping[Name, Backend]
    table: ModelTable
    cost_weight: float

    @property
    def processor(self) -> Processor:
        first, *rest = dict.fromkeys(reader for one in self.backends.values() for reader in one.processor.readers)
        return Processor(model=first.model, place=first.place, others=tuple(rest))

    async def reason(self, question: Question, evidence: Evidence, deadline: Deadline) -> Reasoning:
        """The report names the model that answered."""
        first, *rest = await asyncio.to_thread(self.order, question)
        made = await self.backends[first].reason(question, evidence, deadline)
        for name in rest:
            if made.report.fallback != UNAVAILABLE:
                break
            made = await self.backends[name].reason(question, evidence, deadline)
        return made

    def order(self, question: Question) -> tuple[Name, ...]:
        """Every model, the one to ask first."""
        expected = self.table.expected(self.encoder.encode_queries([question.text]))
        return tuple(self.table.models[at] for at in expected.order(self.cost_weight)[0].tolist())

    async def aclose(self) -> None:
        for backend in self.backends.values():
            await backend.aclose()


def build(settings: Settings) -> BackendBuilder:
    """Raises ConfigError: `missing_config` without the file; once built around its surroundings, `other_encoder` where
    the table was learned under another encoder, `bad_setting` where a back end leaves the reasoning to hospitals, which
    is decided before a model is chosen; and what its back ends raise."""
    table = load(settings.table)
    builders = {name: BACKENDS.build(one.name, one.settings) for name, one in settings.models.items()}

    def around(surroundings: Surroundings) -> Routed:
        if table.comparable_with != surroundings.encoder.identity.comparable_with:
            raise ConfigError("the table of models was learned under another encoder", code="other_encoder")
        backends = {name: builder(surroundings) for name, builder in builders.items()}
        if hearing := [name for name, one in backends.items() if isinstance(one, HearsHospitals) and one.hears]:
            raise ConfigError(f"{', '.join(hearing)}: reasons at hospitals, and cannot be chosen", code="bad_setting")
        return Routed(surroundings.encoder, backends, table.of(tuple(backends)), settings.cost_weight)

    return around
