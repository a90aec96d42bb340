"""Merge methods: many hospitals' offers into one ranking."""

from typing import Final

from fedrag.core.plugins import PluginKind
from fedrag.core.protocols import MergeMethod

MERGE_METHODS: Final = PluginKind[MergeMethod]("aggregator.methods", ("comparable", "probabilistic"))
