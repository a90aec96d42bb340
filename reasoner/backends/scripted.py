"""A language model played by a file of replies: tests and demonstrations without a model."""

from pathlib import Path

from fedrag.core.exchange import ProcessorPlace
from reasoner.backends import BackendBuilder, Surroundings
from reasoner.generative import Generation, Generative, generative
from reasoner.scripted_model import from_lines, read_script


class Settings(Generation):
    """`replies`: a file of replies, one JSON object a line."""

    replies: Path
    place: ProcessorPlace = ProcessorPlace.COORDINATOR


def build(settings: Settings) -> BackendBuilder:
    """Raises ConfigError(bad_script)."""
    lines = read_script(settings.replies)

    def around(surroundings: Surroundings) -> Generative:
        return generative("scripted", from_lines(lines, settings.context_tokens), settings, surroundings)

    return around
