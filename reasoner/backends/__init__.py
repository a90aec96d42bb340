"""Reasoner back ends: who turns a question and its evidence into an answer.

A back end's `build(settings)` returns a builder: settings come from a file, the surroundings from the running process.

    reasoner = BACKENDS.build("extractive", {})(Surroundings(encoder, os.environ, secrets.token_bytes))
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from fedrag.core.exchange import Processor
from fedrag.core.plugins import PluginKind
from fedrag.core.protocols import Encoder, Reasoner
from reasoner.drift import LeftOut


class Backend(Reasoner, Protocol):
    """A reasoner that says who reads the released text, so that a hospital's policy can refuse it beforehand."""

    @property
    def processor(self) -> Processor: ...

    async def aclose(self) -> None:
        """Give back connections; the back end is not used afterwards."""
        ...


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the process hands to a back end: its encoder, its environment (secrets by name) and its entropy
    (`entropy(n)` gives n random bytes), and which sources have no say at present."""

    encoder: Encoder
    environment: Mapping[str, str]
    entropy: Callable[[int], bytes]
    left_out: LeftOut = frozenset


BackendBuilder = Callable[[Surroundings], Backend]

BACKENDS: Final = PluginKind[BackendBuilder](
    "reasoner.backends",
    ("extractive", "traces", "openai", "local", "vllm", "scripted", "routed"),
    extras={"local": "local"},
)
