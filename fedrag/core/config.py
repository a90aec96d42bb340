"""Configuration enters once, at the door: a TOML file into a frozen model, secrets from the environment."""

import os
import tomllib
from pathlib import Path
from typing import Final, TypeVar

import platformdirs
import tomlkit
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from fedrag.core.errors import ConfigError
from fedrag.core.plugins import describe

HOME_VARIABLE: Final = "FEDRAG_HOME"
C = TypeVar("C", bound="Config")


class Config(BaseModel):
    """Frozen; a misspelt key is an error, never ignored."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class PluginConfig(Config):
    """A plug-in by name, and its own settings."""

    name: str
    settings: dict[str, object] = Field(default_factory=dict)


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


def write_toml(path: Path, config: Config) -> None:
    """The inverse of `load_toml`, without what is at its default. Written whole or not at all."""
    table = config.model_dump(mode="json", exclude_none=True, exclude_defaults=True)
    fresh = path.with_suffix(".new")
    fresh.write_text(tomlkit.dumps(table), encoding="utf-8")
    fresh.replace(path)


def home() -> Path:
    """Where downloads and exported models are kept: $FEDRAG_HOME, or the user's cache folder."""
    return Path(os.environ.get(HOME_VARIABLE) or platformdirs.user_cache_dir("fedrag"))
