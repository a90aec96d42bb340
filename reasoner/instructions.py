"""Sentences of a passage that address the model that reads it, instead of telling anything.

    wording · words and vector · signs that nobody can read · what only the asker knows  →  doubt

A hospital's document has no business with its reader's rules, role, output or other passages. Certain orders are left
out before anyone reasons over the passage, and it counts for less. What is in doubt is read last: only where the rest
of the evidence does not answer. None of this is complete, which is why chains can be isolated and votes are capped.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from fedrag.core.answer import Evidence, EvidencePassage, Quote
from fedrag.core.exchange import Citation
from fedrag.core.protocols import Encoder
from fedrag.core.question import Question
from reasoner import addressed, legible
from reasoner.addressed import Doubt
from reasoner.disguises import readings, secrets, veiled
from reasoner.machine_talk import HINTS, PLAIN
from reasoner.overheard import knows
from reasoner.sentences import Span, spans

SUSPECT: Final = 0.5
"""What the weight of a passage with such a sentence is multiplied by, and the confidence of an answer that rests on
what is in doubt."""
ENOUGH: Final = 2
"""Hints that make an order."""
_NOTHING: Final = "(nothing that could be read)"
_UNNAMED: Final = "document"


@dataclass(frozen=True, slots=True)
class Cleared:
    """`evidence`: without orders, of which there were `found`. `sure`: without what is in doubt as well; the same
    object where nothing is."""

    evidence: Evidence
    sure: Evidence
    found: int


@dataclass(frozen=True, slots=True)
class Read:
    """A passage's text, its sentences, and how each is to be taken."""

    text: str
    parts: tuple[Span, ...]
    doubts: tuple[Doubt, ...]

    @property
    def worst(self) -> Doubt:
        return max(self.doubts, default=Doubt.NONE)

    @property
    def held(self) -> bool:
        """Whether some of it is in doubt, but no order."""
        return any(Doubt.NONE < one < Doubt.CERTAIN for one in self.doubts)

    def without(self, least: Doubt) -> str:
        """The text but for sentences in at least this doubt; each leaves an empty line, so that what stood around it
        does not become one sentence."""
        if self.worst < least:
            return self.text
        kept, start = [], 0
        for part, doubt in zip(self.parts, self.doubts, strict=True):
            if doubt >= least:
                kept.append(self.text[start : part.start])
                start = part.end
        return "\n\n".join([*kept, self.text[start:]]).strip() or _NOTHING


def is_command(sentence: str) -> bool:
    """Whether its wording gives it away, as it stands or seen through; words that nobody was to see do so by being
    there."""
    return veiled(sentence) or any(True for _ in secrets(sentence)) or any(map(_plain, readings(sentence)))


def _plain(reading: str) -> bool:
    return any(pattern.search(reading) for pattern in PLAIN) or _hints(reading) >= ENOUGH


def _hints(reading: str) -> int:
    return sum(bool(pattern.search(reading)) for pattern in HINTS)


def commands(text: str, encoder: Encoder | None = None) -> tuple[str, ...]:
    """The sentences of `text` that are orders to its reader, in order."""
    (one,) = read([text], encoder)
    found = zip(one.parts, one.doubts, strict=True)
    return tuple(text[part.start : part.end] for part, doubt in found if doubt is Doubt.CERTAIN)


def disarmed(evidence: Evidence, encoder: Encoder | None = None) -> tuple[Evidence, int]:
    """The evidence without orders, and how many there were."""
    made = cleared(evidence, encoder)
    return made.evidence, made.found


def cleared(evidence: Evidence, encoder: Encoder | None = None, question: Question | None = None) -> Cleared:
    """Passages that had an order weigh SUSPECT of what they did; one that is nothing else stays, empty of words, so
    that numbers keep their meaning. A conflict is told only while both quotes stand."""
    texts = read([one.passage.text for one in evidence.passages], encoder, question)
    named = [_named(one.passage.citation) for one in evidence.passages]
    found = sum(one.doubts.count(Doubt.CERTAIN) for one in texts) + sum(name is not None for name in named)
    every = zip(evidence.passages, texts, named, strict=True)
    passages = tuple(_without(one, text, name) for one, text, name in every)
    kept = _with(evidence, passages) if found else evidence
    if not any(one.held for one in texts):
        return Cleared(kept, kept, found)
    sure = (_saying(one, text.without(Doubt.DOUBTFUL)) for one, text in zip(passages, texts, strict=True))
    return Cleared(kept, _with(evidence, tuple(sure)), found)


def read(texts: Sequence[str], encoder: Encoder | None = None, question: Question | None = None) -> list[Read]:
    """Orders are seldom alone: beside one, what is in doubt is an order too, so is what follows it in its paragraph,
    and the rest of the passage is in doubt."""
    split = [spans(text) for text in texts]
    sentences = [text[part.start : part.end] for text, parts in zip(texts, split, strict=True) for part in parts]
    told = iter(addressed.doubts(sentences, encoder))
    made = []
    for text, parts in zip(texts, split, strict=True):
        said = [text[part.start : part.end] for part in parts]
        english = legible.english(said)
        own = [_by_itself(sentence, next(told), english, question) for sentence in said]
        made.append(Read(text, parts, tuple(_together(text, parts, own))))
    return made


def _by_itself(sentence: str, told: Doubt, english: bool, question: Question | None) -> Doubt:
    """Words and vector, and what only the asker knows, make together what neither does alone."""
    if is_command(sentence):
        return Doubt.CERTAIN
    known = question is not None and knows(sentence, question)
    if told >= Doubt.DOUBTFUL and known:
        return Doubt.CERTAIN
    return max(told, legible.doubt(sentence, english), Doubt.DOUBTFUL if known else Doubt.NONE)


def _together(text: str, parts: Sequence[Span], own: Sequence[Doubt]) -> Iterator[Doubt]:
    worst = max(own, default=Doubt.NONE)
    for at, doubt in enumerate(own):
        before = own[at - 1] if at and "\n" not in text[parts[at - 1].end : parts[at].start] else Doubt.NONE
        if worst is Doubt.CERTAIN:
            yield Doubt.CERTAIN if doubt or before is Doubt.CERTAIN else Doubt.DOUBTFUL
        else:
            yield max(doubt, before)


def _named(citation: Citation) -> Citation | None:
    """Without a name that is an order: hospitals choose names, and models are shown them. None where none is."""
    names = {"document_name": citation.document_name, "title": citation.title, "section": citation.section}
    orders = [name for name, text in names.items() if is_command(text)]
    if is_command(citation.version):
        orders.append("version")
    return citation.model_copy(update=dict.fromkeys(orders, _UNNAMED)) if orders else None


def _without(one: EvidencePassage, text: Read, citation: Citation | None) -> EvidencePassage:
    if text.worst is not Doubt.CERTAIN and citation is None:
        return one
    passage = one.passage if citation is None else one.passage.model_copy(update={"citation": citation})
    suspected = {"passage": passage, "weight": one.weight * SUSPECT, "probability": one.probability * SUSPECT}
    return _saying(one.model_copy(update=suspected), text.without(Doubt.CERTAIN))


def _saying(one: EvidencePassage, text: str) -> EvidencePassage:
    if text == one.passage.text:
        return one
    return one.model_copy(update={"passage": one.passage.model_copy(update={"text": text})})


def _with(evidence: Evidence, passages: tuple[EvidencePassage, ...]) -> Evidence:
    before, after = ({one.number: one.passage.text for one in some} for some in (evidence.passages, passages))

    def gone(quote: Quote) -> bool:
        return quote.text in before.get(quote.citation, "") and quote.text not in after.get(quote.citation, "")

    conflicts = tuple(one for one in evidence.conflicts if not (gone(one.first) or gone(one.second)))
    return evidence.model_copy(update={"passages": passages, "conflicts": conflicts})
