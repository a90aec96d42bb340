"""Text of others at a terminal: it can neither move the cursor nor turn the direction of writing."""

import re
from typing import Final

from rich.text import Text

_UNSEEN: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
"""Control characters but tab and line feed; marks that change the direction of what follows."""


def line(text: str, style: str = "") -> Text:
    return Text(_UNSEEN.sub("\ufffd", text), style=style)


def shortened(text: str, characters: int) -> str:
    """In one line, cut between words."""
    whole = " ".join(text.split())
    return whole if len(whole) <= characters else whole[:characters].rsplit(" ", 1)[0] + " …"
