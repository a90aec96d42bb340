"""What is known of every hospital's collections right now."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from fedrag.core.collection import CollectionDescription, NodeDescription
from fedrag.core.errors import IntegrityError, ProtocolError
from fedrag.core.wire import NodeId


@dataclass(frozen=True, slots=True)
class Catalogue:
    """A value: a new description makes a new catalogue. Signatures are checked by the caller.

    `versions` remembers the highest version of every collection ever seen, withdrawn ones too, so that an old
    description cannot come back. `stale`: what hospitals say now whose description was refused for that; what they had
    said before stays.
    """

    descriptions: Mapping[NodeId, NodeDescription] = field(default_factory=dict)
    versions: Mapping[tuple[NodeId, NodeId], int] = field(default_factory=dict)
    ordered: tuple[CollectionDescription, ...] = ()
    stale: Mapping[NodeId, NodeDescription] = field(default_factory=dict)

    def collections(self) -> tuple[CollectionDescription, ...]:
        """Every collection, ordered by node and name; the same tuple each time."""
        return self.ordered

    def without(self, node: NodeId) -> "Catalogue":
        """The catalogue without a hospital, as if it had never been there."""
        descriptions = {other: described for other, described in self.descriptions.items() if other != node}
        versions = {key: version for key, version in self.versions.items() if key[0] != node}
        ordered = tuple(one for one in self.ordered if one.node != node)
        return Catalogue(descriptions, versions, ordered, self._in_order(node))

    def refusing(self, description: NodeDescription) -> "Catalogue":
        """The catalogue after `with_description` refused one as older than one seen."""
        if self.stale.get(description.node) == description:
            return self
        return replace(self, stale={**self.stale, description.node: description})

    def with_description(self, description: NodeDescription) -> "Catalogue":
        """The catalogue after a node described itself anew; what it no longer mentions is withdrawn. The same catalogue
        when nothing changed.

        Raises:
            ProtocolError `duplicate_collection`: one collection described twice.
            IntegrityError `stale_description`: a version lower than one seen before.
        """
        if self.descriptions.get(description.node) == description:
            return replace(self, stale=self._in_order(description.node)) if description.node in self.stale else self
        versions = {(described.node, described.collection): described.version for described in description.collections}
        if len(versions) != len(description.collections):
            raise ProtocolError(f"{description.node} describes a collection twice", code="duplicate_collection")
        for (node, collection), version in versions.items():
            seen = self.versions.get((node, collection), 0)
            if version < seen:
                raise IntegrityError(
                    f"{node} describes {collection} at version {version} after version {seen}", code="stale_description"
                )
        descriptions = {**self.descriptions, description.node: description}
        ordered = sorted(
            (described for node in descriptions.values() for described in node.collections),
            key=lambda described: (described.node, described.collection),
        )
        return Catalogue(descriptions, {**self.versions, **versions}, tuple(ordered), self._in_order(description.node))

    def _in_order(self, node: NodeId) -> Mapping[NodeId, NodeDescription]:
        return {other: described for other, described in self.stale.items() if other != node}
