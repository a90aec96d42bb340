"""The hospital's own guidance: to the roles and purposes it lists, and only to models inside the trust domain."""

from dataclasses import dataclass
from typing import ClassVar

from fedrag.core.config import Config
from fedrag.core.exchange import Processor, ProcessorPlace
from fedrag.core.identity import Purpose, Role
from fedrag.core.wire import ReleaseClass
from retriever_node.release import NodeAsker


class Settings(Config):
    """Empty `roles` or `purposes` admit all of them.

    With `identified_only`, an asker without a token of a trusted issuer is not admitted.
    """

    roles: tuple[Role, ...] = ()
    purposes: tuple[Purpose, ...] = ()
    identified_only: bool = False
    places: tuple[ProcessorPlace, ...] = (ProcessorPlace.COORDINATOR, ProcessorPlace.TRUST_DOMAIN)


@dataclass(frozen=True, slots=True)
class Protocol:
    settings: Settings
    release_classes: ClassVar[frozenset[ReleaseClass]] = frozenset({ReleaseClass.PUBLIC, ReleaseClass.PROTOCOL})
    describes: ClassVar[bool] = True
    direct: ClassVar[bool] = False

    def admits(self, asker: NodeAsker) -> bool:
        return (
            (asker.issuer is not None or not self.settings.identified_only)
            and (not self.settings.roles or asker.role in self.settings.roles)
            and (not self.settings.purposes or asker.purpose in self.settings.purposes)
        )

    def allows(self, processor: Processor) -> bool:
        return processor.place in self.settings.places


def build(settings: Settings) -> Protocol:
    return Protocol(settings)
