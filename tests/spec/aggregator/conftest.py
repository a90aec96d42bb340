"""Offers, releases and passages made to measure."""

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from fedrag.core.answer import EvidencePassage
from fedrag.core.exchange import Citation, Offer, Receipt, Release, ReleasedPassage, Similarity
from fedrag.core.protocols import NodeOffer
from fedrag.core.sketch import sketch_of
from fedrag.core.wire import ReleaseClass

REQUEST = "0" * 32


def _handle(name: str) -> str:
    return name.replace(" ", "-").ljust(64, "_")


def _released(name: str, text: str, title: str, section: str) -> ReleasedPassage:
    return ReleasedPassage(
        handle=_handle(name),
        text=text,
        citation=Citation(
            document_id=f"{name}.md", document_name=name, title=title, section=section, locator=f"char=0,{len(text)}"
        ),
        release_class=ReleaseClass.PROTOCOL,
    )


@pytest.fixture
def handle() -> Callable[[str], str]:
    return _handle


@pytest.fixture
def offer() -> Callable[..., NodeOffer]:
    def make(
        node: str,
        name: str,
        *,
        rank: int = 1,
        probability: float = 0.5,
        similarity: float | None = None,
        encoder: str = "e",
        text: str | None = None,
        key: str = "",
        routed: float = 1.0,
    ) -> NodeOffer:
        return NodeOffer(
            node,
            Offer(
                handle=_handle(name),
                rank=rank,
                probability=probability,
                similarity=None if similarity is None else Similarity(value=similarity, comparable_with=encoder),
                sketch=None if text is None else sketch_of(text, key.encode(), key),
            ),
            routed,
        )

    return make


@pytest.fixture
def release() -> Callable[..., Release]:
    def make(node: str, **texts: str) -> Release:
        return Release(
            node=node,
            request_id=REQUEST,
            passages=tuple(_released(name, text, "", "") for name, text in texts.items()),
            receipt=Receipt(
                node=node,
                request_id=REQUEST,
                head="0" * 64,
                released_at=datetime(2026, 1, 1, tzinfo=UTC),
                signature="",
            ),
        )

    return make


@pytest.fixture
def passage() -> Callable[..., EvidencePassage]:
    def make(number: int, node: str, text: str, *, title: str = "", section: str = "") -> EvidencePassage:
        return EvidencePassage(
            number=number, node=node, passage=_released(f"p{number}", text, title, section), probability=0.5, weight=0.5
        )

    return make
