"""Release policies: what may leave a collection, decided in the node's process. Fails closed."""

from dataclasses import dataclass
from typing import Final, Protocol

from fedrag.core.exchange import Processor
from fedrag.core.identity import Purpose, Role
from fedrag.core.plugins import PluginKind
from fedrag.core.wire import ReleaseClass


@dataclass(frozen=True, slots=True)
class NodeAsker:
    """Who asks, as far as a node knows.

    A pairwise pseudonym vouched for by `issuer`, or, without a token, the coordinator itself.
    """

    pseudonym: str
    role: Role | None
    purpose: Purpose
    issuer: str | None


class ReleasePolicy(Protocol):
    """Rules that never look at content, so that a refusal tells nothing about it."""

    @property
    def release_classes(self) -> frozenset[ReleaseClass]:
        """The classes of collection this policy may be used for; any other use is a configuration error."""
        ...

    @property
    def describes(self) -> bool:
        """Whether routers may know of the collection."""
        ...

    @property
    def direct(self) -> bool:
        """Whether text may go along with the offers, before it is known what wins."""
        ...

    def admits(self, asker: NodeAsker) -> bool:
        """Whether the collection exists for this asker at all."""
        ...

    def allows(self, processor: Processor) -> bool:
        """Whether released text may go to this model, where it runs."""
        ...


RELEASE_POLICIES: Final = PluginKind[ReleasePolicy]("retriever_node.release", ("deny", "public", "protocol"))

DEFAULT_POLICY: Final = {
    ReleaseClass.PUBLIC: "public",
    ReleaseClass.PROTOCOL: "protocol",
    ReleaseClass.PATIENT: "deny",
}
