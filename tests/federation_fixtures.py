"""Real node applications, spoken to over ASGI: the product's own service, client and policies, without sockets."""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx2
import pytest

from fedrag.assemble import Coordinator, connect
from fedrag.config import CoordinatorConfig, Limits
from fedrag.conversation import ask
from fedrag.core.answer import Answer
from fedrag.core.config import PluginConfig
from fedrag.core.identity import Asker, Purpose
from fedrag.core.protocols import LocalReasoner
from fedrag.core.question import AskRequest, Question
from fedrag.core.wire import ReleaseClass, new_request_id
from fedrag.encoders import ENCODERS
from fedrag.http.client import RemoteNode, http_client
from fedrag.http.replicas import ReplicatedNode, RetryBudget
from fedrag.http.signing import Signer
from fedrag.http.tokens import DevelopmentIssuer
from fedrag.redaction import pattern_detector
from retriever_node.assemble import assemble, open_store
from retriever_node.config import (
    CollectionConfig,
    IssuerConfig,
    NodeConfig,
    QuotaConfig,
    StatisticsConfig,
    TracesConfig,
)
from retriever_node.config import CoordinatorConfig as PinnedCoordinator
from retriever_node.demonstrations import load as load_demonstrations
from retriever_node.home import NodeHome, create_node
from retriever_node.ingest import ingest
from retriever_node.node import RetrieverNode
from retriever_node.redaction import Redaction
from retriever_node.service import create_app
from retriever_node.traces import SourceReasoning, redaction_for

COORDINATOR = "test-coordinator"
ISSUER = "test-issuer"


@dataclass
class Hospital:
    """A node made of a few texts, its application and a client that speaks to it in process."""

    home: NodeHome
    node: RetrieverNode
    remote: RemoteNode


@dataclass
class Workshop:
    """Makes hospitals that trust one coordinator and one issuer."""

    folder: Path
    signer: Signer = field(default_factory=Signer.generate)
    issuer: DevelopmentIssuer = field(
        default_factory=lambda: DevelopmentIssuer(ISSUER, Signer.generate(), secret=b"s" * 32)
    )
    opened: list[RetrieverNode] = field(default_factory=list)

    def hospital(
        self,
        node_id: str,
        documents: dict[str, str],
        release_class: ReleaseClass = ReleaseClass.PROTOCOL,
        policy: str | None = None,
        quota: QuotaConfig | None = None,
        index: str = "faiss_flat",
        statistics: StatisticsConfig | None = None,
        traces: TracesConfig | None = None,
        reasoner: LocalReasoner | None = None,
    ) -> Hospital:
        """`documents`: file name → Markdown; `policy`: what `policy.toml` holds instead of the cautious rules."""
        source = self.folder / node_id / "documents"
        source.mkdir(parents=True)
        for name, text in documents.items():
            (source / name).write_text(text, encoding="utf-8")
        home = NodeHome(self.folder / node_id / "home")
        config = NodeConfig(
            node=node_id,
            name=node_id.title(),
            encoder=PluginConfig(name="hashing"),
            index=PluginConfig(name=index),
            collections=(CollectionConfig(id="documents", folder=source, release_class=release_class),),
            coordinators=(PinnedCoordinator(id=COORDINATOR, public_key=self.signer.public_key),),
            issuers=(IssuerConfig(name=ISSUER, public_key=self.issuer.signer.public_key),),
            quota=quota or QuotaConfig(),
            statistics=statistics or StatisticsConfig(),
            traces=traces,
        )
        create_node(home, config)
        if policy is not None:
            home.policy.write_text(policy, encoding="utf-8")
        encoder = ENCODERS.build("hashing")
        store = open_store(home, encoder)
        ingest(source, "documents", store, encoder)
        store.close()
        node = assemble(home)
        self.opened.append(node)
        reasoning = None
        if traces is not None and reasoner is not None:
            redaction = redaction_for(node, traces.demonstrations_class, Redaction(pattern_detector()))
            reasoning = SourceReasoning.around(
                node, reasoner, traces, load_demonstrations(home.demonstrations), redaction
            )
        return Hospital(home, node, self.remote(node_id, node.signer, create_app(node, reasoning=reasoning)))

    def remote(self, node_id: str, signer: Signer, app: Callable[..., object]) -> RemoteNode:
        """A client of any ASGI application that claims to be this node."""
        client = http_client(transport=httpx2.ASGITransport(app=app))
        return RemoteNode(
            id=node_id,
            url=f"http://{node_id}",
            public_key=signer.public_key,
            coordinator=COORDINATOR,
            signer=self.signer,
            client=client,
        )

    def coordinator(self, *remotes: RemoteNode, drifting: Path | None = None, **overrides: object) -> Coordinator:
        config = CoordinatorConfig.model_validate(
            {
                "coordinator": COORDINATOR,
                "encoder": {"name": "hashing"},
                "routing": {"name": "broadcast"},
                "limits": Limits(passages=5, deadline_ms=5_000).model_dump(),
                **overrides,
            }
        )
        nodes = {remote.id: ReplicatedNode([remote], RetryBudget()) for remote in remotes}
        return connect(config, lambda: nodes, self.issuer, drifting=drifting)


@pytest.fixture
def workshop(tmp_path: Path) -> Iterator[Workshop]:
    made = Workshop(tmp_path)
    yield made
    for node in made.opened:
        node.store.close()
        node.state.close()


@pytest.fixture
def put_question() -> Callable[..., Answer]:
    """Ask a coordinator one question, as an asker with purpose `treatment`."""

    def put(coordinator: Coordinator, text: str, language: str | None = None, **request: object) -> Answer:
        async def once() -> Answer:
            await coordinator.descriptions.refresh()
            return await ask(
                AskRequest.model_validate({"question": Question(text=text, language=language), **request}),
                new_request_id(),
                Asker(name="dr-test", purpose=Purpose.TREATMENT),
                coordinator.config.limits,
                coordinator.config.routing.name,
                coordinator.federation(),
            )

        return asyncio.run(once())

    return put
