"""A small language model on this machine's processor cores, by ONNX Runtime; no server, no other process."""

from pathlib import Path
from typing import Annotated

from pydantic import Field

from fedrag.core.exchange import ProcessorPlace
from reasoner.backends import BackendBuilder, Surroundings
from reasoner.generative import Generation, Generative, generative
from reasoner.local_model import LocalModel


class Settings(Generation):
    """`path`: a folder with a model for onnxruntime-genai. `at_once`: replies that are written at the same time."""

    path: Path
    place: ProcessorPlace = ProcessorPlace.COORDINATOR
    at_once: Annotated[int, Field(ge=1, le=64)] = 1


def build(settings: Settings) -> BackendBuilder:
    """Raises ConfigError(bad_model), once built around its surroundings."""

    def around(surroundings: Surroundings) -> Generative:
        model = LocalModel(settings.path, surroundings.entropy, settings.context_tokens, settings.at_once)
        return generative("local", model, settings, surroundings)

    return around
