"""A language model behind any OpenAI-compatible server."""

from typing import Annotated

from pydantic import Field

from fedrag.core.errors import ConfigError
from fedrag.core.wire import Name
from reasoner.backends import BackendBuilder, Surroundings
from reasoner.chat_server import AT_ONCE, ChatServer
from reasoner.generative import Generation, Generative, generative
from reasoner.served_model import Known, ServedModel


class Settings(Generation):
    """`api_key_env` names an environment variable, never holds the key. `context_tokens` overrides what the server
    reports. `at_once`: requests to the server at the same time."""

    base_url: Annotated[str, Field(pattern=r"^https?://[^\s/]+(/[^\s]*)?$")]
    model: Name
    api_key_env: Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")] | None = None
    at_once: Annotated[int, Field(ge=1, le=1024)] = AT_ONCE


def build(settings: Settings) -> BackendBuilder:
    """Raises ConfigError `missing_secret`, once built around its surroundings, when the named variable is not set."""

    def around(surroundings: Surroundings) -> Generative:
        key = surroundings.environment.get(settings.api_key_env, "") if settings.api_key_env else ""
        if settings.api_key_env and not key:
            raise ConfigError(f"environment variable {settings.api_key_env} is not set", code="missing_secret")
        server = ChatServer(settings.base_url, key, at_once=settings.at_once)
        model = ServedModel(server, settings.model, Known(context_tokens=settings.context_tokens))
        return generative("openai", model, settings, surroundings)

    return around
