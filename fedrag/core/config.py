"""Configuration enters once, at the door: a TOML file into a frozen model, secrets from the environment."""

import os
import tomllib
from pathlib import Path
from typing import Final, TypeVar

import platformdirs
from pydantic import BaseModel, ConfigDict, ValidationError

from fedrag.core.errors import ConfigError
from fedrag.core.plugins import describe

HOME_VARIABLE: Final = "FEDRAG_HOME"
C = TypeVar("C", bound="Config")


class Config(BaseModel):
    """Frozen; a misspelt key is an error, never ignored."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


def load_toml(path: Path, model: type[C]) -> C:
    """Raises ConfigError naming the file and the key when it is missing, not TOML, or holds something unexpected."""
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"{path} does not exist", code="missing_config") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: {error}") from None
    try:
        return model.model_validate(table)
    except ValidationError as error:
        raise ConfigError(f"{path}: {describe(error)}") from None


def home() -> Path:
    """Where downloads and exported models are kept: $FEDRAG_HOME, or the user's cache folder."""
    return Path(os.environ.get(HOME_VARIABLE) or platformdirs.user_cache_dir("fedrag"))
