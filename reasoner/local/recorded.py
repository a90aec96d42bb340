"""Chains of thought that were recorded beforehand, by question: what evaluations replay, with no model at hand.

A JSON Lines file: question, options, choice, trace, and uncertainty where there is one. Without it a chain of thought
is the more unsure the more often it admits that something is missing.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

from pydantic import Field, ValidationError

from fedrag.core.config import Config
from fedrag.core.deadline import Deadline
from fedrag.core.errors import ConfigError
from fedrag.core.protocols import Encoder
from fedrag.core.question import Question
from fedrag.core.traces import Choice, LocalTask, LocalTrace, TraceStep, Uncertainty
from reasoner.source_answer import admissions

GAPS: Final = 3
"""A chain of thought that admits more is no more unsure."""


class Settings(Config):
    file: Path


class Recorded(Config):
    """One line."""

    question: str
    options: dict[str, str] = Field(default_factory=dict)
    choice: Choice | None
    trace: Annotated[str, Field(max_length=8000)] = ""
    uncertainty: Uncertainty | None = None


def key_of(text: str, options: Mapping[str, str]) -> str:
    return json.dumps([text.strip(), sorted((letter, option.strip()) for letter, option in options.items())])


@dataclass(frozen=True, slots=True)
class Replay:
    recorded: Mapping[str, Recorded]

    def trace(self, task: LocalTask, deadline: Deadline) -> LocalTrace:
        """Silent about a question that was not recorded."""
        deadline.require()
        found = self.recorded.get(_key(task.question))
        if found is None:
            return LocalTrace(None)
        gaps = admissions(found.trace)
        uncertainty = float(min(GAPS, gaps)) if found.uncertainty is None else found.uncertainty
        return LocalTrace(
            choice=found.choice,
            steps=(TraceStep(text=found.trace),) if found.trace else (),
            uncertainty=uncertainty,
            signals={"admissions": float(gaps)},
        )

    def close(self) -> None:
        return


def _key(question: Question) -> str:
    return key_of(question.text, question.options)


def build(
    settings: Settings,
    encoder: Encoder,  # noqa: ARG001 - what every plug-in gets
    environment: Mapping[str, str],  # noqa: ARG001
    entropy: Callable[[int], bytes],  # noqa: ARG001
) -> Replay:
    """Raises ConfigError(bad_recording)."""
    try:
        lines = settings.file.read_text(encoding="utf-8").split("\n")
        recorded = [Recorded.model_validate_json(line) for line in lines if line.strip()]
    except (OSError, UnicodeDecodeError, ValidationError):
        raise ConfigError(f"{settings.file} holds no recorded chains of thought", code="bad_recording") from None
    return Replay({key_of(one.question, one.options): one for one in recorded})
