"""Plug-ins: one file each, found by listed name, loaded when asked for.

A plug-in module has `Settings` (frozen, unknown keys refused) and `build(settings)`; a kind whose plug-ins all need the
same parts, an encoder say, has `build(settings, encoder)`. Its file name is its configuration name, the heading in the
documentation and the id in the tests.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Generic, TypeVar, cast

from pydantic import ValidationError

from fedrag.core.errors import ConfigError, MissingExtra

T = TypeVar("T")


@dataclass(frozen=True)
class PluginKind(Generic[T]):
    """A folder of plug-ins that build the same protocol `T`.

    Args:
        package: the folder as a package, `router.policies`.
        names: the plug-ins it lists; nothing else is ever imported.
        extras: plug-in name → the extra of `pip install fedrag[…]` that brings its library.
    """

    package: str
    names: tuple[str, ...]
    extras: Mapping[str, str] = field(default_factory=dict)

    def build(self, name: str, settings: Mapping[str, object] | None = None, *parts: object) -> T:
        """`parts` go to the plug-in's `build` behind its settings.

        Raises ConfigError for an unknown name or setting, MissingExtra for a library that is not installed.
        """
        if name not in self.names:
            raise ConfigError(f"unknown {self.package} {name!r}; known: {', '.join(self.names)}", code="unknown_plugin")
        try:
            module = import_module(f"{self.package}.{name}")
        except ImportError as error:
            if name not in self.extras:
                raise
            library, extra = error.name or "a library", self.extras[name]
            raise MissingExtra(f"{name} needs {library}: pip install 'fedrag[{extra}]'") from error
        try:
            parsed = module.Settings(**(settings or {}))
        except ValidationError as error:
            raise ConfigError(f"settings of {self.package}.{name}: {describe(error)}", code="bad_setting") from None
        return cast(T, module.build(parsed, *parts))


def describe(error: ValidationError) -> str:
    """A validation error in one line: field and reason, never the value (it may be a question)."""
    return "; ".join(
        f"{'.'.join(str(part) for part in problem['loc']) or 'value'}: {problem['msg']}"
        for problem in error.errors(include_url=False, include_input=False, include_context=False)
    )
