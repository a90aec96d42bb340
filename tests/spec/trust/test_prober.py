"""A probe goes the way of any question, counts as one of its hospital's claims, and leaves patients' records alone."""

from dataclasses import dataclass
from datetime import UTC, datetime
from random import Random
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from fedrag import prober, probes
from fedrag.core.collection import CollectionDescription, EncoderIdentity, NodeDescription, Prototype, RoutingDecision
from fedrag.core.protocols import RoutingLimits
from fedrag.core.wire import ReleaseClass, encode_vector
from fedrag.http.signing import Signer
from fedrag.prober import Prober
from router.believed import claims_of
from router.catalogue import Catalogue
from router.trust import Trust

ENCODER = EncoderIdentity(
    name="made", weights_sha256="0" * 64, precision="fp32", dimension=8, maximum_tokens=8, languages=("en",)
)


class Encoder:
    """The n-th topic is about the n-th axis, modulo eight."""

    identity = ENCODER

    def encode_queries(self, texts):
        return np.eye(8, dtype=np.float32)[np.arange(len(texts)) % 8]


class Alone:
    def route(self, query, comparable_with, collections, limits) -> RoutingDecision:
        return RoutingDecision(policy="alone", ranking=(), selected=("ashby",), why="")


@dataclass(frozen=True)
class Parts:
    nodes: dict[str, None]
    catalogue: Catalogue
    encoder: Encoder
    routing: dict[str, Any]
    reasoner: Any = None


def described(node: str, classes: tuple[ReleaseClass, ...], axis: int) -> NodeDescription:
    collections = tuple(
        CollectionDescription(
            node=node,
            collection=str(held),
            version=1,
            encoder=ENCODER,
            release_class=held,
            passages=40,
            prototypes=(Prototype(vector=encode_vector(0.8 * np.eye(8, dtype=np.float32)[axis]), mass=40, spread=0.1),),
            described_at=datetime(2026, 1, 1, tzinfo=UTC),
        )
        for held in classes
    )
    return NodeDescription(node=node, name=node, public_key=Signer.generate().public_key, collections=collections)


@pytest.fixture
def probing(monkeypatch):
    """What was put, and what the book heard: `probing(classes)` probes a hospital that holds these."""

    async def probe(*classes: ReleaseClass) -> tuple[list[Any], list[Any]]:
        put, heard = [], []

        async def recorded(request, request_id, asker, limits, policy, parts):
            put.append((request, asker, parts))
            return "answered"

        monkeypatch.setattr(prober, "put", recorded)
        catalogue = Catalogue().with_description(described("ashby", (ReleaseClass.PUBLIC,), 1))
        catalogue = catalogue.with_description(described("oakmere", classes, 3))
        trust = Trust().described(claims_of(catalogue.collections(), ENCODER.comparable_with, 8))
        book = SimpleNamespace(
            trust=trust, titles=lambda node: (), observe=lambda one, about: heard.append((one, about))
        )
        config = SimpleNamespace(routing=SimpleNamespace(name="alone"), limits=None, api_keys=())
        parts = Parts({"ashby": None, "oakmere": None}, catalogue, Encoder(), {"alone": Alone()})
        await Prober(book, lambda: parts, config, Random(0)).probe("oakmere")  # noqa: S311 - foreseen on purpose
        return put, heard

    return probe


async def test_a_probe_is_about_what_the_hospital_claims_and_counts_as_one_of_it(probing) -> None:
    """The question is made of one of the topics nearest to its prototype, which are every eighth from the fourth on."""
    ((request, asker, parts),), heard = await probing(ReleaseClass.PUBLIC)
    about = {way.format(topic) for topic in probes.topics()[3::8] for way in probes.WAYS}
    assert request.question.text in about
    assert request.filter is None
    assert asker.name.startswith("asker-")
    assert heard == [("answered", "oakmere")]
    limits = RoutingLimits(maximum_nodes=4, passages=10)
    decision = parts.routing["alone"].route(np.zeros(8, dtype=np.float32), "", parts.catalogue.collections(), limits)
    assert decision.selected == ("ashby", "oakmere")


async def test_records_of_patients_are_left_out(probing) -> None:
    """By a filter, where there is something else; where there is not, nothing is asked."""
    ((request, _, _),), _ = await probing(ReleaseClass.PATIENT, ReleaseClass.PUBLIC)
    assert request.filter.release_classes == (ReleaseClass.PUBLIC,)
    assert await probing(ReleaseClass.PATIENT) == ([], [])
