"""Whether the embedded verifier can tell what an abstract says of a claim: supports it, contradicts it, or neither.

Five folds by abstract; what is left out of a fit is what is counted. The lexical baseline is fitted by the same rule on
shared words and the direction of the wording alone.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from fedrag.core.protocols import Encoder
from fedrag.evaluation.metrics.bootstrap import paired_difference
from fedrag.evaluation.report import Cell, Table
from fedrag.evaluation.run import Run
from reasoner.support import BEARINGS, FEATURES, Bearing
from reasoner.training.fit_support import (
    LEXICAL,
    decided,
    f1,
    frequencies,
    left_out,
    macro_f1,
    rows_of,
    scifact_pairs,
)
from reasoner.training.maximum_posterior import Array

_NOTE: Final = (
    "Claims against each abstract they cite, which is given: no retrieval. Macro-F1 over the three. The last column is "
    "the difference in the share told right from the lexical baseline, paired, with its 95 % interval."
)


def bearing_table(
    run: Run, claims: Sequence[Mapping[str, Any]], corpus: Mapping[str, Sequence[str]], encoder: Encoder
) -> Table:
    pairs = scifact_pairs(claims[: run.limit], corpus)
    wanted = [one.bearing for one in pairs]
    rows, shares = rows_of(pairs, encoder), frequencies(pairs)
    lexical = (*LEXICAL, FEATURES.index("direction"))
    systems: dict[str, list[Bearing]] = {
        "embedded verifier": decided(left_out(pairs, rows), shares),
        "lexical baseline: shared words, direction": decided(left_out(pairs, _columns(rows, lexical)), shares),
    } | {f"constant: always {bearing}": [bearing] * len(pairs) for bearing in BEARINGS}
    right = {
        name: [float(one is other) for one, other in zip(made, wanted, strict=True)] for name, made in systems.items()
    }
    baseline = right["lexical baseline: shared words, direction"]
    counted: list[tuple[Cell, ...]] = [("pairs", len(pairs), *(wanted.count(bearing) for bearing in BEARINGS), "", "")]
    counted += [
        (
            name,
            macro_f1(wanted, made),
            *(f1(wanted, made, bearing) for bearing in BEARINGS),
            sum(right[name]) / len(pairs),
            str(paired_difference(right[name], baseline, run.seed)),
        )
        for name, made in systems.items()
    ]
    columns = ("system", "macro-F1", *map(str, BEARINGS), "told right", "difference")
    return Table("What an abstract says of a claim that cites it", columns, tuple(counted), _NOTE)


def _columns(rows: Array, chosen: Sequence[int]) -> Array:
    return rows[:, list(chosen)]
