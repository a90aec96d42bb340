"""Neighbouring passages of one document stand next to each other, in the order in which the document has them."""

import re
from collections.abc import Iterator, Sequence
from typing import Final

from fedrag.core.exchange import ReleasedPassage
from fedrag.core.protocols import Winner

Joined = tuple[Winner, ReleasedPassage]
Range = tuple[int, int, int]
"""First character, the one behind the last, and the place among the winners."""

GAP: Final = 200
"""Characters that may lie between neighbours: a heading and blank lines."""
_LOCATOR: Final = re.compile(r"char=(\d{1,15}),(\d{1,15})", re.ASCII)


def in_reading_order(joined: Sequence[Joined]) -> list[Joined]:
    """The same winners, each run of neighbours where the best of them stood.

    Where two neighbours overlap, the later one begins where the earlier one ends, and its locator says so: nothing is
    quoted twice. One that lies wholly in its neighbour is left out. Overlaps are believed only as far as the texts
    agree.
    """
    documents: dict[tuple[str, str, str], list[Range]] = {}
    runs: list[list[Range]] = []
    for place, (winner, passage) in enumerate(joined):
        citation = passage.citation
        found = _LOCATOR.fullmatch(citation.locator)
        if found:
            document = documents.setdefault((winner.node, citation.document_id, citation.version), [])
            document.append((int(found[1]), int(found[2]), place))
        else:  # numbers that no document is long enough for
            runs.append([(0, 0, place)])
    for document in documents.values():
        runs += _runs(sorted(document))
    runs.sort(key=lambda run: min(place for *_, place in run))
    return [one for run in runs for one in _once(run, joined)]


def _runs(ranges: Sequence[Range]) -> list[list[Range]]:
    """Neighbours together; apart where the document goes on unquoted."""
    runs: list[list[Range]] = []
    reached = 0
    for start, end, place in ranges:
        if runs and start <= reached + GAP:
            runs[-1].append((start, end, place))
        else:
            runs.append([(start, end, place)])
        reached = max(reached, end)
    return runs


def _once(run: Sequence[Range], joined: Sequence[Joined]) -> Iterator[Joined]:
    said, reached = "", 0
    for start, end, place in run:
        winner, passage = joined[place]
        rest = _behind(said, reached - start, start, passage)
        if rest is not None:
            yield winner, rest
            said, reached = passage.text, end


def _behind(said: str, shared: int, start: int, passage: ReleasedPassage) -> ReleasedPassage | None:
    """The passage without its first `shared` characters if they have just been `said`; None where nothing is left."""
    if shared >= len(passage.text):
        return None if passage.text in said else passage
    if shared <= 0 or not said.endswith(passage.text[:shared]):
        return passage
    text = passage.text[shared:].lstrip()
    if not text:
        return None
    start += len(passage.text) - len(text)
    _, _, end = passage.citation.locator.partition(",")
    citation = passage.citation.model_copy(update={"locator": f"char={start},{end}"})
    return passage.model_copy(update={"text": text, "citation": citation})
