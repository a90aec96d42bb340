"""Sentences of a passage that address the model that reads it, instead of telling anything.

A hospital's document has no business with the reader's rules, role, output or other passages. Sentences that speak of
these are left out before anyone reasons over the passage, and the passage counts for less. Found by wording, disguises
seen through: what is worded otherwise passes, which is why chains can be isolated and votes are capped.
"""

from typing import Final

from fedrag.core.answer import Evidence, EvidencePassage
from reasoner.disguises import readings, secrets, veiled
from reasoner.machine_talk import HINTS, PLAIN
from reasoner.sentences import Span, spans

SUSPECT: Final = 0.5
"""What the weight of a passage with such a sentence is multiplied by."""
_ENOUGH: Final = 2


def commands(text: str) -> tuple[str, ...]:
    """The sentences of `text` that address its reader, in order.

    Orders are seldom alone: once there is one, a sentence that only hints at another counts too, and so does what
    follows it in its paragraph.
    """
    parts = spans(text)
    plain = [is_command(text[part.start : part.end]) for part in parts]
    if not any(plain):
        return ()
    return tuple(
        text[part.start : part.end]
        for at, part in enumerate(parts)
        if plain[at] or (at and plain[at - 1] and _same_paragraph(text, parts[at - 1], part)) or _hints(text, part)
    )


def is_command(sentence: str) -> bool:
    """Whether it gives itself away, as it stands or seen through; words that nobody was to see do so by being there."""
    return veiled(sentence) or any(True for _ in secrets(sentence)) or any(map(_gives_itself_away, readings(sentence)))


def _gives_itself_away(reading: str) -> bool:
    return any(pattern.search(reading) for pattern in PLAIN) or _hinting(reading) >= _ENOUGH


def _hints(text: str, part: Span) -> bool:
    return any(_hinting(reading) for reading in readings(text[part.start : part.end]))


def _hinting(reading: str) -> int:
    return sum(bool(pattern.search(reading)) for pattern in HINTS)


def _same_paragraph(text: str, first: Span, second: Span) -> bool:
    return "\n" not in text[first.end : second.start]


def disarmed(evidence: Evidence) -> tuple[Evidence, int]:
    """The evidence without such sentences, and how many there were. Passages that had one weigh SUSPECT of what they
    did; one that is nothing else stays, empty of words, so that numbers keep their meaning."""
    found = 0
    passages = []
    for one in evidence.passages:
        sentences = commands(one.passage.text)
        found += len(sentences)
        passages.append(_without(one, sentences) if sentences else one)
    return (evidence.model_copy(update={"passages": tuple(passages)}) if found else evidence), found


def _without(one: EvidencePassage, sentences: tuple[str, ...]) -> EvidencePassage:
    text = one.passage.text
    for sentence in sentences:
        text = text.replace(sentence, "\n\n")
    return one.model_copy(
        update={
            "passage": one.passage.model_copy(update={"text": text.strip() or "(nothing that could be read)"}),
            "weight": one.weight * SUSPECT,
            "probability": one.probability * SUSPECT,
        }
    )
