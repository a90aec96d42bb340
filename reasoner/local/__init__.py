"""Reasoning at a hospital: what a node plugs in as its `LocalReasoner` (docs/reasoning-at-the-source.md).

A plug-in's `build(settings, encoder, environment, entropy)` gets what the node's process has: its encoder, its
environment (secrets by name), its entropy.
"""
