"""An encoder that does not encode again what it still remembers."""

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from fedrag.core.collection import EncoderIdentity
from fedrag.core.protocols import Encoder
from fedrag.core.wire import FloatMatrix, FloatVector


class _Memory:
    """The `capacity` vectors used last, each by a digest of its text; in memory alone."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._vectors: OrderedDict[bytes, FloatVector] = OrderedDict()
        self._lock = threading.Lock()

    def encoded(self, texts: Sequence[str], encode: Callable[[Sequence[str]], FloatMatrix]) -> FloatMatrix:
        keys = {text: hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest() for text in texts}
        with self._lock:
            found = {text: self._vectors[key] for text, key in keys.items() if key in self._vectors}
            for text in found:
                self._vectors.move_to_end(keys[text])
        new = [text for text in keys if text not in found]
        if new or not texts:
            made = encode(new)
            found |= {text: vector.copy() for text, vector in zip(new, made, strict=True)}
            self._keep({keys[text]: found[text] for text in new})
            if not found:
                return made
        result: FloatMatrix = np.stack([found[text] for text in texts])
        return result

    def _keep(self, vectors: dict[bytes, FloatVector]) -> None:
        with self._lock:
            self._vectors.update(vectors)
            while len(self._vectors) > self._capacity:
                self._vectors.popitem(last=False)


@dataclass(frozen=True, slots=True)
class Remembering:
    """The same vectors as `encoder`'s, to the bit, where a vector depends on its text alone.

    Args:
        passages, queries: how many of each are remembered; 20,000 vectors of 384 numbers are 31 MB.
    """

    encoder: Encoder
    passages: int = 20_000
    queries: int = 1_000
    _passages: _Memory = field(init=False)
    _queries: _Memory = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_passages", _Memory(self.passages))
        object.__setattr__(self, "_queries", _Memory(self.queries))

    @property
    def identity(self) -> EncoderIdentity:
        return self.encoder.identity

    def encode_queries(self, texts: Sequence[str]) -> FloatMatrix:
        return self._queries.encoded(texts, self.encoder.encode_queries)

    def encode_passages(self, texts: Sequence[str]) -> FloatMatrix:
        return self._passages.encoded(texts, self.encoder.encode_passages)

    def token_spans(self, text: str) -> tuple[tuple[int, int], ...]:
        return self.encoder.token_spans(text)
