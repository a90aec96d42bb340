"""Routing policies: which hospitals a question goes to."""

from typing import Final

from fedrag.core.plugins import PluginKind
from fedrag.core.protocols import RoutingPolicy

ROUTING_POLICIES: Final = PluginKind[RoutingPolicy](
    "router.policies", ("broadcast", "kmeans", "lexical", "mixture", "prototypes")
)
