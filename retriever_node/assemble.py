"""The parts that a node's configuration names, put together."""

import hashlib
import json
import time

from fedrag.core.config import PluginConfig
from fedrag.core.errors import ConfigError
from fedrag.core.protocols import Encoder
from fedrag.encoders import ENCODERS
from fedrag.http.signing import Signer
from retriever_node.collection import Collection
from retriever_node.config import CollectionConfig, NodeConfig
from retriever_node.description import describe_collection
from retriever_node.gate import Gate
from retriever_node.generations import SavedGenerations, recipe, remove_others
from retriever_node.handles import HandleSealer
from retriever_node.home import NodeHome, open_config
from retriever_node.indexes import INDEXES
from retriever_node.node import RetrieverNode, ServedCollection
from retriever_node.release import DEFAULT_POLICY, RELEASE_POLICIES
from retriever_node.rerankers import RERANKERS
from retriever_node.state import NodeState
from retriever_node.store import PassageStore


def open_encoder(config: NodeConfig) -> Encoder:
    return ENCODERS.build(config.encoder.name, config.encoder.settings)


def open_store(home: NodeHome, encoder: Encoder) -> PassageStore:
    return PassageStore.open(home.passages, encoder.identity)


def assemble(home: NodeHome) -> RetrieverNode:
    """Everything a node needs to serve. Raises ConfigError for what its owner has to put right first."""
    config = open_config(home)
    encoder = open_encoder(config)
    store = open_store(home, encoder)
    state = NodeState(home.state)
    remove_others(home.indexes, {one.id for one in config.collections})
    return RetrieverNode(
        id=config.node,
        name=config.name,
        signer=Signer.load(home.signing_key),
        gate=Gate(
            node=config.node,
            coordinators={coordinator.id: coordinator.public_key for coordinator in config.coordinators},
            issuers={issuer.name: issuer.public_key for issuer in config.issuers},
            state=state,
        ),
        sealer=HandleSealer(home.sealing_key.read_bytes()),
        state=state,
        store=store,
        quota=config.quota,
        collections={
            served.id: served for served in (_serve(home, config, one, store, encoder) for one in config.collections)
        },
        encoder=encoder,
        reranker=RERANKERS.build(config.reranker.name, config.reranker.settings) if config.reranker else None,
        clock=time.time,
    )


def _serve(
    home: NodeHome, config: NodeConfig, one: CollectionConfig, store: PassageStore, encoder: Encoder
) -> ServedCollection:
    chosen = one.policy or PluginConfig(name=DEFAULT_POLICY[one.release_class])
    policy = RELEASE_POLICIES.build(chosen.name, chosen.settings)
    if one.release_class not in policy.release_classes:
        raise ConfigError(
            f"collection {one.id}: policy {chosen.name!r} is not for class {one.release_class}", code="policy_class"
        )
    decided = json.dumps([one.release_class, chosen.model_dump(mode="json")], sort_keys=True)
    collection = Collection.open(
        store,
        one.id,
        lambda: INDEXES.build(config.index.name, config.index.settings),
        SavedGenerations(
            home.indexes / one.id, recipe(config.index, encoder.identity.comparable_with, words=config.words)
        ),
        lambda: open_store(home, encoder),
        words=config.words,
    )
    return ServedCollection(
        collection=collection,
        release_class=one.release_class,
        policy=policy,
        policy_version=_digest(decided),
        description=lambda: describe_collection(config.node, collection, one, encoder.identity),
    )


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
