"""A language model in this process, by vLLM."""

from typing import Annotated

from pydantic import Field

from fedrag.core.errors import MissingExtra
from fedrag.core.exchange import ProcessorPlace
from reasoner.backends import BackendBuilder, Surroundings
from reasoner.generative import Generation, Generative, generative


class Settings(Generation):
    """`model`: a folder or name that vLLM loads. `prefix_caching`: what prompts begin with alike is computed once.
    `options`: further engine arguments by vLLM's names."""

    model: Annotated[str, Field(min_length=1, max_length=4096)]
    place: ProcessorPlace = ProcessorPlace.COORDINATOR
    prefix_caching: bool = True
    options: dict[str, object] = Field(default_factory=dict)


def build(settings: Settings) -> BackendBuilder:
    """Raises MissingExtra without vLLM, and ConfigError(bad_model) once built around its surroundings."""
    try:
        from reasoner.vllm_model import VllmModel
    except ImportError as error:
        raise MissingExtra("vllm needs vLLM: pip install 'fedrag[vllm]'") from error

    def around(surroundings: Surroundings) -> Generative:
        model = VllmModel(
            settings.model,
            settings.context_tokens,
            prefix_caching=settings.prefix_caching,
            options=settings.options,
        )
        return generative("vllm", model, settings, surroundings)

    return around
