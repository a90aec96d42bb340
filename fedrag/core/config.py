"""Configuration enters once, at the door: a TOML file into a frozen model, secrets from the environment."""

import os
import tomllib
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final, Self, TypeVar

import platformdirs
import tomlkit
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

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


class Tls(StrEnum):
    """Where a service's TLS begins."""

    NONE = "none"
    """Nowhere: on loopback only."""
    OWN = "own"
    """Here, with a certificate signed by the party's own identity key, renewed by itself."""
    FILES = "files"
    """Here, with an operator's own certificate; replaced files are loaded without a restart."""
    PROXY = "proxy"
    """At a proxy before this service, on a network that nobody else is on."""


class ServeConfig(Config):
    """Where a service listens.

    `port`: the service's usual one when not given; 0 takes a free one. `names`: host names and addresses that its own
    certificate is good for. `drain_s`: how long it still takes requests, told not to be ready, before it stops.
    """

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65_535)] | None = None
    tls: Tls = Tls.NONE
    names: tuple[str, ...] = ()
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    drain_s: Annotated[float, Field(ge=0, le=600)] = 0

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.tls is Tls.FILES and (self.tls_certificate is None or self.tls_key is None):
            raise ValueError('tls = "files" needs tls_certificate and tls_key')
        if self.tls is not Tls.FILES and (self.tls_certificate is not None or self.tls_key is not None):
            raise ValueError('tls_certificate and tls_key need tls = "files"')
        return self


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
