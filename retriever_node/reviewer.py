"""What a reviewer of the hospital sees of an entry, on the hospital's own machine, and decides."""

import re
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import accumulate
from typing import Final

from fedrag.core.errors import InputError
from fedrag.core.exchange import Citation
from fedrag.core.wire import NodeId, ReleaseClass
from retriever_node import review
from retriever_node.assemble import open_encoder, open_store
from retriever_node.documents import Passage
from retriever_node.home import NodeHome, open_config
from retriever_node.policy import Grant
from retriever_node.policy import file as policy_file
from retriever_node.redacted import releasable
from retriever_node.redaction import Redaction, redaction_of
from retriever_node.review import Entry, Held, Numbers, State
from retriever_node.served import cited, leaving
from retriever_node.state import NodeState
from retriever_node.store import PassageStore

_LONGEST_COMPARED: Final = 20_000
"""Characters; of a longer text no change is marked."""
_MARK: Final = re.compile(r"\[[A-Za-z_]{2,30}\]")
_WORD: Final = re.compile(r"\[\w+\]|\w+|\W")
"""What redaction puts in, a word, or what is between words: joined they are the text."""


@dataclass(frozen=True, slots=True)
class Shown:
    """One passage, exactly as it would leave. `marked`: character ranges of `text` that redaction put there, in order.

    Without a text it can no longer leave: it is gone, is not any more what it was when it was asked for, or the policy
    of now does not let it.
    """

    number: int
    held: Held
    text: str | None = None
    citation: Citation | None = None
    marked: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Reviewer:
    """`redactions`: of each collection its class, and what is done to its text. `grant`: by the policy of now."""

    state: NodeState
    store: PassageStore
    redactions: Mapping[NodeId, tuple[ReleaseClass, Redaction | None]]
    grant: Callable[[Entry, NodeId, ReleaseClass], Grant]
    clock: Callable[[], float] = time.time

    def entries(self, states: Iterable[State] = tuple(State)) -> tuple[Entry, ...]:
        """Oldest first."""
        with self.state.transaction() as connection:
            return review.entries(connection, self.clock(), states)

    def entry(self, number: int) -> tuple[Entry, tuple[Shown, ...]]:
        """Raises NotFound(unknown_review)."""
        with self.state.transaction() as connection:
            found = review.entry(connection, number, self.clock())
        return found, self._shown(found)

    def approve(self, number: int, passages: Iterable[int], by: str) -> Entry:
        """Raises what `review.approve` raises, and InputError(passage_changed)."""
        chosen = frozenset(passages)
        _, shown = self.entry(number)
        if any(one.number in chosen and one.text is None for one in shown):
            raise InputError("a passage is not what it was when it was asked for, or is gone", code="passage_changed")
        with self.state.transaction() as connection:
            return review.approve(connection, number, chosen, by, self.clock())[0]

    def deny(self, number: int, by: str, note: str) -> Entry:
        with self.state.transaction() as connection:
            return review.deny(connection, number, by, note, self.clock())[0]

    def numbers(self) -> Numbers:
        with self.state.transaction() as connection:
            return review.numbers(connection, self.clock())

    def _shown(self, entry: Entry) -> tuple[Shown, ...]:
        originals = {one.passage_id: one for one in self.store.passages([held.passage_id for held in entry.held])}
        there = [one for one in originals.values() if one.collection in self.redactions]
        redactions = {name: redaction for name, (_, redaction) in self.redactions.items()}
        forms = releasable(there, redactions, self.store, recheck=True)
        return tuple(
            self._one(entry, number, held, originals.get(held.passage_id), forms.get(held.passage_id))
            for number, held in enumerate(entry.held, start=1)
        )

    def _one(self, entry: Entry, number: int, held: Held, original: Passage | None, form: Passage | None) -> Shown:
        if original is None or form is None:
            return Shown(number, held)
        grant = self.grant(entry, held.collection, self.redactions[held.collection][0])
        left = leaving(form, grant, held.extract)
        if left is None:
            return Shown(number, held)
        citation = cited(left, grant, self.store.document_key)
        if review.form_sha256(left.text, citation) != held.sha256:
            return Shown(number, held)
        return Shown(number, held, left.text, citation, changed(original.text, left.text))


def open_reviewer(home: NodeHome) -> Reviewer:
    """Beside a node that serves or without one. Raises ConfigError."""
    config = open_config(home)

    def grant(entry: Entry, collection: NodeId, release_class: ReleaseClass) -> Grant:
        return policy_file.load(home.policy, config).grant(collection, release_class, entry.asked.asker)

    return Reviewer(
        state=NodeState(home.state),
        store=open_store(home, open_encoder(config)),
        redactions={one.id: (one.release_class, redaction_of(one)) for one in config.collections},
        grant=grant,
    )


def changed(original: str, form: str) -> tuple[tuple[int, int], ...]:
    """Character ranges of `form` that redaction put there, in order and apart: marks, and words that are not in
    `original`."""
    spans = [one.span() for one in _MARK.finditer(form)]
    if original != form and max(len(original), len(form)) <= _LONGEST_COMPARED:
        before, after = _WORD.findall(original), _WORD.findall(form)
        starts = list(accumulate((len(word) for word in after), initial=0))
        changes = SequenceMatcher(None, before, after, autojunk=False).get_opcodes()
        spans += [(starts[first], starts[last]) for kind, _, _, first, last in changes if kind in ("replace", "insert")]
    apart: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if apart and start <= apart[-1][1]:
            apart[-1] = (apart[-1][0], max(end, apart[-1][1]))
        else:
            apart.append((start, end))
    return tuple(apart)
