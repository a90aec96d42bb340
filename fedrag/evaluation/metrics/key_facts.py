"""Key-fact recall of a free-text answer: which of the facts that make it right does it state?"""

import re
from collections.abc import Sequence


def key_fact_recall(text: str, facts: Sequence[Sequence[str]]) -> float:
    """Share of facts of which at least one surface form stands in the text, in [0, 1]; case, spacing and hyphens do not
    count, and a form that begins or ends with a digit must not continue with one (5 mg is not in 15 mg)."""
    if not facts:
        return 0.0
    plain = _plain(text)
    return sum(any(_stands(form, plain) for form in forms) for forms in facts) / len(facts)


def _stands(form: str, plain: str) -> bool:
    wanted = re.escape(_plain(form))
    return (
        re.search(rf"(?<![\d.]){wanted}(?!\d|\.\d)" if wanted[:1].isdigit() else rf"{wanted}(?!\d)", plain) is not None
    )


def _plain(text: str) -> str:
    return " ".join(re.sub(r"[‐-―−-]", " ", text.casefold()).split())
