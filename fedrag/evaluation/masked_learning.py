"""One round of learning which model to ask, with every message made and read as it would travel, in one process."""

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from fedrag.core.masked_sums import Numbers, RoundKey, Survivors
from fedrag.core.wire import Name, NodeId, Vector, Wire, decode_vector, encode_vector, new_request_id
from fedrag.http.signing import Signer, verify
from fedrag.model_learning import Groups, Log, cells_of, counted, numbers_of, table_of
from fedrag.privacy.masked_sums import SIGNED_AS, Contributor, unmask
from reasoner.model_choice import ModelTable

EXCHANGES: Final = ("groups and key", "masked sums", "survivors", "seeds")
"""Of the coordinator with every party, before the table is sent."""


class ShownGroups(Wire):
    centres: tuple[Vector, ...]
    sizes: tuple[int, ...]


class Cells(Wire):
    centres: tuple[Vector, ...]


class Keys(Wire):
    keys: dict[NodeId, RoundKey]


class Agreed(Wire):
    words: dict[NodeId, Survivors]


@dataclass(frozen=True, slots=True)
class Learning:
    """`sent`: bytes of JSON by party, in both directions, the table too; `seconds` of everyone together."""

    table: ModelTable
    sent: Counter[NodeId]
    seconds: float


def learn(logs: Mapping[NodeId, Log], models: Sequence[Name]) -> Learning:
    """Of at least three parties, under the same encoder."""
    began, sent = time.perf_counter(), Counter[NodeId]()
    comparable_with = next(iter(logs.values())).comparable_with
    groups = []
    for party, log in logs.items():
        made = Groups.of(log.vectors)
        vectors = tuple(map(encode_vector, made.centres))
        sent[party] += _size(ShownGroups(centres=vectors, sizes=tuple(made.sizes.tolist())))
        groups.append(made)
    told = Cells(centres=tuple(map(encode_vector, cells_of(groups))))
    sent.update(dict.fromkeys(logs, _size(told)))
    centres = np.stack([decode_vector(one) for one in told.centres])
    total = masked_total({party: numbers_of(counted(log, centres, models)) for party, log in logs.items()}, sent)
    table = table_of(total, len(logs), comparable_with, centres, models)
    sent.update(dict.fromkeys(logs, _size(table.stored())))
    return Learning(table, sent, time.perf_counter() - began)


def masked_total(values: Mapping[NodeId, Numbers], sent: Counter[NodeId]) -> Numbers:
    """The sum, by the protocol of `fedrag.privacy.masked_sums`; `sent` is counted up."""
    signers, round_id = {party: Signer.generate() for party in values}, new_request_id()

    def known(party: NodeId, raw: bytes, signature: str) -> None:
        verify(signers[party].public_key, SIGNED_AS, raw, signature)

    parties = {party: Contributor(party, round_id, _signing(signers[party]), known) for party in values}
    keys = {party: one.key() for party, one in parties.items()}
    masked = {party: one.mask(values[party], keys) for party, one in parties.items()}
    survivors = tuple(sorted(parties))
    words = {party: one.survived(survivors) for party, one in parties.items()}
    seeds = {party: one.reveal(words) for party, one in parties.items()}
    shared = _size(Keys(keys=keys)) + len(",".join(survivors)) + _size(Agreed(words=words))
    for party in parties:
        sent[party] += shared + sum(map(_size, (keys[party], masked[party], words[party], seeds[party])))
    return unmask(masked, seeds).values


def _signing(signer: Signer) -> Callable[[bytes], str]:
    return lambda raw: signer.sign(SIGNED_AS, raw)


def _size(message: Wire) -> int:
    return len(message.model_dump_json().encode())
