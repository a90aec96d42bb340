"""The parts that a node's configuration names, put together."""

import os
import secrets
import time
from collections.abc import Mapping
from typing import Final

from fedrag.core.errors import ConfigError
from fedrag.core.plugins import PluginKind
from fedrag.core.protocols import Encoder, HasVocabulary, LocalReasoner
from fedrag.core.statistics import MAXIMUM_TERMS
from fedrag.core.wire import NodeId, ReleaseClass
from fedrag.encoders import ENCODERS
from fedrag.http.signing import Signer
from fedrag.redaction import pattern_detector
from retriever_node import demonstrations
from retriever_node.budget_report import budget_of
from retriever_node.collection import Collection
from retriever_node.config import CollectionConfig, NodeConfig
from retriever_node.description import describe_collection
from retriever_node.gate import Gate
from retriever_node.generations import SavedGenerations, recipe, remove_others
from retriever_node.handles import HandleSealer
from retriever_node.home import NodeHome, open_config
from retriever_node.indexes import INDEXES
from retriever_node.ingest import ingest_settings
from retriever_node.lockout import Lockout
from retriever_node.node import RetrieverNode
from retriever_node.policy import file as policy_file
from retriever_node.policy.live import LivePolicy
from retriever_node.policy.record import recorder
from retriever_node.populations import Populations
from retriever_node.redaction import Redaction, redaction_of
from retriever_node.rerankers import RERANKERS
from retriever_node.rounds import Rounds
from retriever_node.served import ServedCollection
from retriever_node.state import NodeState
from retriever_node.statistics import NodeStatistics, Scored, count
from retriever_node.steady_clock import SteadyClock
from retriever_node.store import PassageStore
from retriever_node.terms import PublicTerms
from retriever_node.traces import SourceReasoning, redaction_for

LOCAL_REASONERS: Final = PluginKind[LocalReasoner]("reasoner.local", ("model", "recorded"))
"""What a deployment brings that reasons at the source; the plain node has none of it."""


def open_encoder(config: NodeConfig) -> Encoder:
    return ENCODERS.build(config.encoder.name, config.encoder.settings)


def open_store(home: NodeHome, encoder: Encoder) -> PassageStore:
    return PassageStore.open(home.passages, encoder.identity)


def assemble(home: NodeHome) -> RetrieverNode:
    """Everything a node needs to serve. Raises ConfigError for what its owner has to put right first."""
    config = open_config(home)
    policy_file.load(home.policy, config)
    encoder = open_encoder(config)
    store = open_store(home, encoder)
    state = NodeState(home.state)
    remove_others(home.indexes, {one.id for one in config.collections})
    collections = {one.id: _serve(home, config, one, store, encoder) for one in config.collections}
    policy = LivePolicy(home.policy, config, recorder(state, time.time))
    signer = Signer.load(home.signing_key)
    statistics = _statistics(config, signer, state, encoder, policy, collections)
    statistics.follow(fit=False)
    gate = Gate(
        node=config.node,
        coordinators={coordinator.id: coordinator.public_key for coordinator in config.coordinators},
        issuers={issuer.name: issuer.public_key for issuer in config.issuers},
        state=state,
    )
    return RetrieverNode(
        id=config.node,
        name=config.name,
        signer=signer,
        gate=gate,
        sealer=HandleSealer(home.sealing_key.read_bytes()),
        state=state,
        store=store,
        quota=config.quota,
        review=config.review,
        policy=policy,
        collections=collections,
        encoder=encoder,
        reranker=RERANKERS.build(config.reranker.name, config.reranker.settings) if config.reranker else None,
        statistics=statistics,
        populations=_populations(config, signer, gate, policy, state, store),
        lockout=Lockout(signer.derived_secret("lockout"), config.lockout, SteadyClock()),
        clock=time.time,
    )


def assemble_reasoning(home: NodeHome, node: RetrieverNode) -> SourceReasoning | None:
    """What answers /v1/traces; None where node.toml has no `traces`. Raises ConfigError(no_local_reasoner), and what
    the model's settings are wrong about."""
    settings = open_config(home).traces
    if settings is None:
        return None
    chosen = settings.reasoner
    try:
        reasoner = LOCAL_REASONERS.build(chosen.name, chosen.settings, node.encoder, os.environ, secrets.token_bytes)
    except ModuleNotFoundError as error:
        if not (error.name or "").startswith("reasoner"):
            raise
        told = "this installation cannot reason: use the node-reasoning image, or take out [traces]"
        raise ConfigError(told, code="no_local_reasoner") from None
    redaction = redaction_for(node, settings.demonstrations_class, Redaction(pattern_detector()))
    return SourceReasoning.around(node, reasoner, settings, demonstrations.load(home.demonstrations), redaction)


def _populations(
    config: NodeConfig, signer: Signer, gate: Gate, policy: LivePolicy, state: NodeState, store: PassageStore
) -> Populations:
    counts = config.counts
    return Populations(
        node=config.node,
        signer=signer,
        gate=gate,
        policy=policy,
        state=state,
        store=store,
        collections={one.id: one.release_class for one in config.collections},
        budget=budget_of(counts),
        questions_per_asker_per_day=counts.questions_per_asker_per_day,
        pinned={hospital.id: hospital.public_key for hospital in config.statistics.hospitals},
    )


def _statistics(
    config: NodeConfig,
    signer: Signer,
    state: NodeState,
    encoder: Encoder,
    policy: LivePolicy,
    collections: Mapping[NodeId, ServedCollection],
) -> NodeStatistics:
    def counted() -> list[Collection]:
        """Those of which text leaves as it is, by the policy of the moment."""
        now = policy.now()
        return [
            one.collection
            for one in collections.values()
            if now.shows(one.id, one.release_class)
            and one.release_class is not ReleaseClass.PATIENT
            and one.redaction is None
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
        redaction=redaction_of(one),
        description=lambda: describe_collection(
            config.node, collection, one, encoder.identity, traces=config.traces is not None
        ),
    )
