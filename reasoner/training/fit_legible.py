"""Count what letters follow which in honest documents:
`python -m reasoner.training.fit_legible --examples examples --data DATA`.

Half of the documents are counted, the other half sets the bounds.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np

from reasoner.legible import CODE, FILE, LETTERS, Trigrams, likelihood, numbers
from reasoner.training.fit_addressed import HERE, honest
from reasoner.training.maximum_posterior import Array

UNIT: Final = 0.16
UNSEEN: Final = 0.5
"""What every three letters are taken to have been seen besides."""
ODD: Final = 0.05
DOUBTFUL: Final = 0.0005
CERTAIN: Final = 0.00003
"""Shares of honest sentences below the bounds."""


def counted(sentences: Sequence[str]) -> Array:
    """log P(third | first, second), (LETTERS, LETTERS, LETTERS)."""
    side = len(LETTERS)
    counts = np.full((side, side, side), UNSEEN)
    for one in sentences:
        at = numbers(one)
        np.add.at(counts, (at[:-2], at[1:-1], at[2:]), 1)
    made: Array = np.log(counts / counts.sum(axis=2, keepdims=True))
    return made


def fitted(inside: Sequence[str], outside: Sequence[str]) -> Trigrams:
    steps = np.clip(np.round(-counted(inside).ravel() / UNIT), 0, len(CODE) - 1).astype(int)
    table = Trigrams(table="".join(CODE[at] for at in steps), unit=UNIT, odd=0, doubtful=0, certain=0)
    values = [likelihood(one, table) for one in outside]
    known = np.array([value for value in values if value is not None])
    odd, doubtful, certain = (round(float(np.quantile(known, share)), 3) for share in (ODD, DOUBTFUL, CERTAIN))
    told = {"by": "python -m reasoner.training.fit_legible", "sentences": [len(inside), len(known)]}
    return table.model_copy(update={"odd": odd, "doubtful": doubtful, "certain": certain, "fitted": told})


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m reasoner.training.fit_legible", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--examples", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--output", type=Path, default=HERE.parent / FILE)
    chosen = parser.parse_args(arguments)
    found = honest(chosen.examples, chosen.data)
    made = fitted(found.fitted, found.held)
    chosen.output.write_text(made.model_dump_json(indent=1) + "\n", encoding="utf-8")
    sys.stdout.write(f"odd {made.odd}, doubtful {made.doubtful}, certain {made.certain}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
