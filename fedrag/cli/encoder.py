"""Setting up the encoder, with its steps told."""

from pathlib import Path

from fedrag import terminal
from fedrag.core.config import home
from fedrag.encoders.minilm_setup import set_up


def set_up_encoder(source: Path | None = None) -> None:
    set_up(home() / "minilm", source, lambda step: terminal.err.print(f"encoder: {step}", markup=False))
