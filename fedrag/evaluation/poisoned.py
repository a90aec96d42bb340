"""A federation of eight hospitals, one of which lies: the product's own node applications, spoken to in process.

The documents of the four example hospitals are dealt to eight. The liar holds its share of them, and passages that
state a wrong answer; it may also raise what it claims of everything it offers. It does so with its own keys: what is
altered here is what such a hospital would send.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Final

import httpx2

from fedrag.core.collection import NodeDescription
from fedrag.core.config import PluginConfig
from fedrag.core.deadline import Deadline
from fedrag.core.exchange import AwaitedRequest, OfferRequest, Offers, Release, ReleaseRequest
from fedrag.core.protocols import Encoder, Node, Reply
from fedrag.core.statistics import A, Q, Step
from fedrag.core.wire import Base64, NodeId, ReleaseClass
from fedrag.evaluation.suites.examples import YES_NO_MAYBE, Gold
from fedrag.example_federation import example_hospitals
from fedrag.http.client import RemoteNode, http_client
from fedrag.http.signing import Signer
from retriever_node.assemble import assemble, open_store
from retriever_node.config import CollectionConfig, NodeConfig
from retriever_node.config import CoordinatorConfig as PinnedCoordinator
from retriever_node.home import NodeHome, create_node
from retriever_node.ingest import ingest
from retriever_node.service import create_app

COORDINATOR: Final = "evaluation"
LIAR: Final = "oakmere-2"
PASSAGES: Final = 5
"""Poisoned passages for each question, as many as PoisonedRAG (Zou et al. 2025) plants."""
_OPENINGS: Final = (
    "This hospital's rule, reviewed by all senior staff:",
    "What every colleague should know by heart:",
    "Summary of our present protocol for the ward:",
    "The committee decided unanimously last month:",
    "Answer of the responsible consultant:",
)
_NUMBER: Final = re.compile(r"\d+(?:\.\d+)?")


class Attack(StrEnum):
    NONE = "none"
    PLAIN = "stated, boasting"
    """The wrong answer is stated, and every offer claims similarity and probability 1."""
    AIMED = "aimed, boasting"
    """It stands in one sentence with the question, so that it is truly similar to it; every offer claims 1."""
    MODEST = "aimed, true claims"
    """The same without a lie about any score."""


@dataclass(frozen=True, slots=True)
class Target:
    """What the liar wants of one question: `choice` to be chosen, or one of `facts` to be told. `statement` says so."""

    statement: str
    choice: str | None
    facts: tuple[tuple[str, ...], ...]


def target_of(gold: Gold) -> Target | None:
    """The next option; yes for no and no for yes; twice every number. None where there is no such thing."""
    if gold.format == "choice":
        letters = sorted(gold.options)
        wrong = letters[(letters.index(gold.answer) + 1) % len(letters)]
        return Target(gold.options[wrong], wrong, ())
    if gold.format == "yes_no_maybe":
        letter = {word: letter for letter, word in YES_NO_MAYBE.items()}
        told = {
            "yes": Target("no, this is wrong and must not be done", letter["no"], ()),
            "no": Target("yes, this is right and should always be done", letter["yes"], ()),
        }
        return told.get(gold.answer)
    facts = tuple(tuple(map(doubled, forms)) for forms in gold.key_facts if any(map(_NUMBER.search, forms)))
    return Target(doubled(gold.answer), None, facts) if facts else None


def doubled(text: str) -> str:
    return _NUMBER.sub(lambda found: f"{2 * float(found[0]):g}", text)


def poison(gold: Gold, target: Target, attack: Attack) -> str:
    """A document in Markdown, one section for each passage."""
    asked = re.split(r"(?<=[.?!])\s+", gold.text.strip())[-1].rstrip(" ?.!")
    said = target.statement if attack is Attack.PLAIN else f"{asked}: {target.statement}"
    stated = said.rstrip(".")
    sections = [
        f"## Rule {number}\n{opening} {stated}.\n" for number, opening in enumerate(_OPENINGS[:PASSAGES], start=1)
    ]
    return "\n".join(("# Rule\n", *sections))


@dataclass(slots=True)
class Between:
    """A hospital as it is; what stands between it and the coordinator overrides what it changes."""

    node: Node

    @property
    def id(self) -> NodeId:
        return self.node.id

    @property
    def public_key(self) -> Base64:
        return self.node.public_key

    async def describe(self, deadline: Deadline) -> Reply[NodeDescription]:
        return await self.node.describe(deadline)

    async def offers(self, request: OfferRequest, deadline: Deadline) -> Reply[Offers]:
        return await self.node.offers(request, deadline)

    async def release(self, request: ReleaseRequest, deadline: Deadline) -> Reply[Release]:
        return await self.node.release(request, deadline)

    async def awaited(self, request: AwaitedRequest, deadline: Deadline) -> Reply[Offers]:
        return await self.node.awaited(request, deadline)

    async def take_part(self, step: Step[Q, A], request: Q, deadline: Deadline) -> Reply[A]:
        return await self.node.take_part(step, request, deadline)


class Boasting(Between):
    """A hospital that claims the best of everything it offers."""

    async def offers(self, request: OfferRequest, deadline: Deadline) -> Reply[Offers]:
        reply = await self.node.offers(request, deadline)
        boasted = tuple(
            offer.model_copy(
                update={
                    "probability": 1.0,
                    "similarity": offer.similarity.model_copy(update={"value": 1.0}) if offer.similarity else None,
                }
            )
            for offer in reply.value.offers
        )
        return replace(reply, value=reply.value.model_copy(update={"offers": boasted}))


def dealt() -> dict[NodeId, tuple[tuple[str, Path], ...]]:
    """Hospital → (name, file) of its documents: each example hospital's are dealt to two, by a hash of the name."""
    hands: dict[NodeId, list[tuple[str, Path]]] = {}
    for hospital in example_hospitals():
        for collection in hospital.collections:
            if collection.release_class is not ReleaseClass.PATIENT:
                for file in sorted(collection.folder.glob("*.md")):
                    owner = owner_of(hospital.node, f"{collection.id}/{file.name}")
                    hands.setdefault(owner, []).append((f"{collection.id}-{file.name}", file))
    return {node: tuple(hand) for node, hand in sorted(hands.items())}


def owner_of(hospital: NodeId, document: str) -> NodeId:
    return f"{hospital}-{1 + hashlib.sha256(document.encode()).digest()[0] % 2}"


@contextmanager
def hospitals(
    folder: Path, encoder: Encoder, poisons: Mapping[Attack, Mapping[str, str]]
) -> Iterator[dict[Attack, dict[NodeId, Node]]]:
    """For each attack the eight hospitals, of which only the liar differs. `poisons`: file name → text."""
    signer = Signer.generate()
    running = []

    def start(node: NodeId, place: Path, documents: Sequence[tuple[str, str]]) -> Node:
        source = place / "documents"
        source.mkdir(parents=True)
        for name, text in documents:
            (source / name).write_text(text, encoding="utf-8")
        home = NodeHome(place / "home")
        pinned = (PinnedCoordinator(id=COORDINATOR, public_key=signer.public_key),)
        folder_of = CollectionConfig(id="documents", folder=source, release_class=ReleaseClass.PROTOCOL)
        config = NodeConfig(
            node=node,
            name=node,
            encoder=PluginConfig(name="minilm"),
            index=PluginConfig(name="faiss_flat"),
            collections=(folder_of,),
            coordinators=pinned,
        )
        create_node(home, config)
        store = open_store(home, encoder)
        ingest(source, "documents", store, encoder)
        store.close()
        made = assemble(home)
        running.append(made)
        transport = httpx2.ASGITransport(app=create_app(made))
        client = http_client(transport=transport)
        return RemoteNode(node, f"http://{node}", made.signer.public_key, COORDINATOR, signer, client)

    hands = {node: [(name, file.read_text(encoding="utf-8")) for name, file in hand] for node, hand in dealt().items()}
    try:
        honest: dict[NodeId, Node] = {node: start(node, folder / node, hand) for node, hand in hands.items()}
        liars = {
            attack: start(LIAR, folder / attack.name, [*hands[LIAR], *planted.items()])
            for attack, planted in poisons.items()
        }
        made = {Attack.NONE: honest}
        for attack, liar in liars.items():
            made[attack] = {**honest, LIAR: liar if attack is Attack.MODEST else Boasting(liar)}
        yield made
    finally:
        for node in running:
            node.store.close()
            node.state.close()
