"""How many of a question's content words stand in its gold passages: how much of the task is mere string matching."""

import re

_STOP_WORDS = """a an and are as at be by can do does for from had has have how i if in is it its may my of on or our
she he her his should that the their them then there these they this to was we what when where which who why will with
would you your not no"""
_STOP = frozenset(_STOP_WORDS.split())


def content_words(text: str) -> frozenset[str]:
    return frozenset(re.findall(r"[a-z0-9]+", text.lower())) - _STOP


def word_overlap(question: str, passages: str) -> float:
    """In [0, 1]; 0 for a question without content words."""
    wanted = content_words(question)
    return len(wanted & content_words(passages)) / len(wanted) if wanted else 0.0
