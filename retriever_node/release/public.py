"""Published literature: to anyone the node answers at all, for any processor."""

from dataclasses import dataclass
from typing import ClassVar

from fedrag.core.config import Config
from fedrag.core.exchange import Processor
from fedrag.core.wire import ReleaseClass
from retriever_node.release import NodeAsker


class Settings(Config):
    pass


@dataclass(frozen=True, slots=True)
class Public:
    release_classes: ClassVar[frozenset[ReleaseClass]] = frozenset({ReleaseClass.PUBLIC})
    describes: ClassVar[bool] = True
    direct: ClassVar[bool] = True

    def admits(self, asker: NodeAsker) -> bool:  # noqa: ARG002 - anyone may read what is published
        return True

    def allows(self, processor: Processor) -> bool:  # noqa: ARG002 - any model may read what is published
        return True


def build(settings: Settings) -> Public:  # noqa: ARG001 - has none
    return Public()
