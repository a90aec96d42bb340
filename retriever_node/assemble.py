"""The parts that a node's configuration names, put together."""

import hashlib
import json
import time
from collections.abc import Mapping

from fedrag.core.config import PluginConfig
from fedrag.core.errors import ConfigError
from fedrag.core.protocols import Encoder, HasVocabulary
from fedrag.core.statistics import MAXIMUM_TERMS
from fedrag.core.wire import NodeId, ReleaseClass
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
from retriever_node.ingest import ingest_settings
from retriever_node.node import RetrieverNode, ServedCollection
from retriever_node.redaction import redaction_of
from retriever_node.release import DEFAULT_POLICY, RELEASE_POLICIES
from retriever_node.rerankers import RERANKERS
from retriever_node.rounds import Rounds
from retriever_node.state import NodeState
from retriever_node.statistics import NodeStatistics, Scored, count
from retriever_node.store import PassageStore
from retriever_node.terms import PublicTerms


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
    collections = {one.id: _serve(home, config, one, store, encoder) for one in config.collections}
    signer = Signer.load(home.signing_key)
    statistics = _statistics(config, signer, state, encoder, collections)
    statistics.follow(fit=False)
    return RetrieverNode(
        id=config.node,
        name=config.name,
        signer=signer,
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
        collections=collections,
        encoder=encoder,
        reranker=RERANKERS.build(config.reranker.name, config.reranker.settings) if config.reranker else None,
        statistics=statistics,
        clock=time.time,
    )


def _statistics(
    config: NodeConfig,
    signer: Signer,
    state: NodeState,
    encoder: Encoder,
    collections: Mapping[NodeId, ServedCollection],
) -> NodeStatistics:
    counted = [
        served.collection
        for served in collections.values()
        if served.policy.describes and served.release_class is not ReleaseClass.PATIENT and served.redaction is None
    ]
    rounds = Rounds(
        node=config.node,
        signer=signer,
        state=state,
        terms=_public_terms(config, encoder),
        count=count(counted),
        pinned={hospital.id: hospital.public_key for hospital in config.statistics.hospitals},
        interval_s=config.statistics.interval_h * 3600,
    )
    scored = {
        one.id: Scored(collections[one.id].collection, ingest_settings(one.reader).embed)
        for one in (config.collections if config.words else ())
    }
    return NodeStatistics(
        node=config.node,
        rounds=rounds,
        state=state,
        encoder=encoder,
        collections=scored,
        coordinators=frozenset(coordinator.id for coordinator in config.coordinators),
    )


def _public_terms(config: NodeConfig, encoder: Encoder) -> PublicTerms | None:
    """Raises ConfigError (`bad_terms`)."""
    chosen = config.statistics
    if not chosen.share or not config.words:
        return None
    if chosen.terms is None:
        return PublicTerms.of(encoder.vocabulary()) if isinstance(encoder, HasVocabulary) else None
    try:
        terms = PublicTerms.of(chosen.terms.read_text(encoding="utf-8").splitlines())
    except (OSError, UnicodeDecodeError):
        raise ConfigError(f"{chosen.terms} cannot be read as a list of words", code="bad_terms") from None
    if not 1 <= len(terms.terms) <= MAXIMUM_TERMS:
        raise ConfigError(f"{chosen.terms} holds no terms, or more than {MAXIMUM_TERMS}", code="bad_terms")
    return terms


def _serve(
    home: NodeHome, config: NodeConfig, one: CollectionConfig, store: PassageStore, encoder: Encoder
) -> ServedCollection:
    chosen = one.policy or PluginConfig(name=DEFAULT_POLICY[one.release_class])
    policy = RELEASE_POLICIES.build(chosen.name, chosen.settings)
    if one.release_class not in policy.release_classes:
        raise ConfigError(
            f"collection {one.id}: policy {chosen.name!r} is not for class {one.release_class}", code="policy_class"
        )
    redaction = redaction_of(one)
    redacted_by = redaction.version if redaction else ""
    decided = json.dumps([one.release_class, chosen.model_dump(mode="json"), redacted_by], sort_keys=True)
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
        redaction=redaction,
        description=lambda: describe_collection(config.node, collection, one, encoder.identity),
    )


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
