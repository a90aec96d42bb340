"""Encoders small enough to count by hand, and folders to read."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from fedrag.core.collection import EncoderIdentity
from fedrag.core.wire import FloatMatrix
from fedrag.encoders.hashing import Hashing
from retriever_node.store import PassageStore


class Pieces(Hashing):
    """The hashing encoder with word pieces: every four characters of a word are a token, so that a cut inside a word
    changes how many tokens its halves have."""

    def token_spans(self, text: str) -> tuple[tuple[int, int], ...]:
        return tuple(
            (start, min(start + 4, word.end()))
            for word in re.finditer(r"\S+", text)
            for start in range(word.start(), word.end(), 4)
        )


class Counting(Hashing):
    """Remembers the batches it was given."""

    def __init__(self, dimension: int = 64, maximum_tokens: int = 64) -> None:
        super().__init__(dimension, maximum_tokens)
        self.batches: list[tuple[str, ...]] = []

    def encode_passages(self, texts: Sequence[str]) -> FloatMatrix:
        self.batches.append(tuple(texts))
        return super().encode_passages(texts)


@pytest.fixture
def encoder() -> Hashing:
    return Hashing(64, 64)


@pytest.fixture(scope="session")
def pieces() -> Pieces:
    return Pieces(64, 20)


@pytest.fixture
def counting() -> Counting:
    return Counting()


@pytest.fixture
def store(tmp_path: Path, encoder: Hashing) -> Iterator[PassageStore]:
    opened = PassageStore.open(tmp_path / "node" / "passages.sqlite", encoder.identity)
    yield opened
    opened.close()


@pytest.fixture
def folder(tmp_path: Path) -> Callable[[Mapping[str, str | bytes]], Path]:
    """Writes files into a folder; `None` as content deletes one."""

    def write(files: Mapping[str, str | bytes | None]) -> Path:
        root = tmp_path / "documents"
        root.mkdir(exist_ok=True)
        for name, content in files.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if content is None:
                path.unlink()
            else:
                path.write_bytes(content.encode() if isinstance(content, str) else content)
        return root

    return write


@pytest.fixture
def other_identity(encoder: Hashing) -> EncoderIdentity:
    return encoder.identity.model_copy(update={"weights_sha256": "0" * 64})
