"""Nothing leaves, whoever asks: the collection is not even searched."""

from dataclasses import dataclass
from typing import ClassVar

from fedrag.core.config import Config
from fedrag.core.exchange import Processor
from fedrag.core.wire import ReleaseClass
from retriever_node.release import NodeAsker


class Settings(Config):
    pass


@dataclass(frozen=True, slots=True)
class Deny:
    release_classes: ClassVar[frozenset[ReleaseClass]] = frozenset(ReleaseClass)
    describes: ClassVar[bool] = False
    direct: ClassVar[bool] = False

    def admits(self, asker: NodeAsker) -> bool:  # noqa: ARG002 - no asker is different
        return False

    def allows(self, processor: Processor) -> bool:  # noqa: ARG002 - no processor is different
        return False


def build(settings: Settings) -> Deny:  # noqa: ARG001 - has none
    return Deny()
