"""Where a model's thinking ends and its answer begins, in text and in tokens."""

import re
from collections.abc import Sequence
from typing import Final

from reasoner.chat import TokenProbability

OPENING: Final = "<think>"
CLOSING: Final = "</think>"
_OPENS: Final = re.compile(r"<(?:think|thinking|reasoning)>", re.IGNORECASE)
_CLOSES: Final = re.compile(r"</(?:think|thinking|reasoning)>", re.IGNORECASE)


def split_thinking(text: str) -> tuple[str, str]:
    """(thinking, rest): the rest is what follows the last thinking. A closing tag alone ends a thinking part that the
    chat template had opened; one that is opened and never closed did not end, and leaves no rest."""
    thinking, rest = "", text
    if closings := list(_CLOSES.finditer(text)):
        thinking, rest = text[: closings[-1].start()], text[closings[-1].end() :]
    if opening := _OPENS.search(rest):
        thinking, rest = f"{thinking}\n{rest[opening.end() :]}", rest[: opening.start()]
    return _OPENS.sub("", _CLOSES.sub("", thinking)).strip(), rest.strip()


def opened(text: str) -> bool:
    """Whether `text` leaves a thinking part open."""
    openings, closings = list(_OPENS.finditer(text)), list(_CLOSES.finditer(text))
    return bool(openings) and (not closings or openings[-1].start() > closings[-1].start())


def closed(text: str) -> bool:
    return _CLOSES.search(text) is not None


def answer_tokens(
    tokens: Sequence[TokenProbability], answer: str, *, thought: bool
) -> tuple[tuple[TokenProbability, ...], int]:
    """(the tokens that `answer` is made of, how many stand before them).

    They are found by their text: the last place where the joined tokens read as the answer does. A character spread
    over several tokens spoils the comparison; then, where the model thought, what follows the last closing tag counts,
    and without such a tag nothing does. Where it did not think, all tokens are the answer's.
    """
    written = "".join(one.token for one in tokens)
    begin = written.rfind(answer) if answer else -1
    if begin < 0 and not thought:
        return tuple(tokens), 0
    end = begin + len(answer)
    if begin < 0:
        closings = list(_CLOSES.finditer(written)) if answer else []
        begin, end = (closings[-1].end(), len(written)) if closings else (len(written), len(written))
    kept, before, at = [], 0, 0
    for one in tokens:
        if at + len(one.token) <= begin:
            before += 1
        elif at < end:
            kept.append(one)
        at += len(one.token)
    return tuple(kept), before
