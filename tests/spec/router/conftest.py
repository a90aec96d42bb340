"""Descriptions made to measure: a collection is its prototypes, and nothing else matters to a router."""

from collections.abc import Callable
from datetime import UTC, datetime

import numpy as np
import pytest

from fedrag.core.collection import CollectionDescription, EncoderIdentity, NodeDescription, Prototype
from fedrag.core.wire import ReleaseClass, encode_vector

Cluster = tuple[list[float], int, float]
"""Mean, mass, spread."""
Describe = Callable[..., CollectionDescription]
DescribeNode = Callable[..., NodeDescription]


def _encoder(name: str, dimension: int) -> EncoderIdentity:
    digest = format(sum(name.encode()), "x").ljust(64, "0")
    return EncoderIdentity(
        name=name, weights_sha256=digest, precision="fp32", dimension=dimension, maximum_tokens=64, languages=("en",)
    )


@pytest.fixture
def ours() -> str:
    """`comparable_with` of the encoder that the queries of these tests come from, three components wide."""
    return _encoder("ours", 3).comparable_with


@pytest.fixture
def describe() -> Describe:
    def make(
        node: str,
        *clusters: Cluster,
        passages: int | None = None,
        encoder: str = "ours",
        collection: str = "all",
        version: int = 1,
        dimension: int = 3,
    ) -> CollectionDescription:
        return CollectionDescription(
            node=node,
            collection=collection,
            version=version,
            encoder=_encoder(encoder, dimension),
            release_class=ReleaseClass.PUBLIC,
            passages=sum(mass for _, mass, _ in clusters) if passages is None else passages,
            prototypes=tuple(
                Prototype(vector=encode_vector(np.array(mean, dtype=np.float32)), mass=mass, spread=spread)
                for mean, mass, spread in clusters
            ),
            described_at=datetime(2026, 1, 1, tzinfo=UTC),
        )

    return make


@pytest.fixture
def describe_node() -> DescribeNode:
    def make(node: str, *collections: CollectionDescription) -> NodeDescription:
        return NodeDescription(node=node, name=node, public_key="", collections=collections)

    return make
