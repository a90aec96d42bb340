"""What the global merge costs: 8, 100 and 1,000 hospitals with ten offers each, ten winners.

Beside it `sorted` of the same list by similarity, in turns: what reading one number of every offer and ordering them
costs in Python, before anything is folded. `Three encoders`: a third of the hospitals each, so that similarities are
fitted to probabilities. `Copies`: every hospital's best passage is the same leaflet. Sketches of all others are random.
Offers are the wire values that a coordinator gets; reading them from JSON is not counted. Processor time of one core.
"""

import argparse
import base64
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from reporting import Figure, Table, circumstances, goals, spread

from aggregator.methods import MERGE_METHODS
from fedrag.core.exchange import Offer, Similarity, Sketch
from fedrag.core.protocols import NodeOffer
from fedrag.core.sketch import CELLS, sketch_of

K: Final = 10
EACH: Final = 10
GOAL_MS: Final = 1.0
LEAFLET: Final = "Keep the wound dry for two days and ring the ward if it becomes red, hot or painful."


@dataclass(frozen=True)
class Case:
    method: str
    offers: str
    sketched: bool = True
    encoders: int = 1
    copies: bool = False


CASES: Final = (
    Case("comparable", "one encoder, no sketches", sketched=False),
    Case("comparable", "one encoder, sketches"),
    Case("comparable", "one encoder, sketches, copies", copies=True),
    Case("comparable", "three encoders, sketches", encoders=3),
    Case("probabilistic", "sketches"),
)
SHIPPED: Final = CASES[1]


def pool(nodes: int, case: Case, random: np.random.Generator) -> list[NodeOffer]:
    """In the order in which the coordinator has them: by hospital, best first."""
    made = []
    for at in range(nodes):
        for rank, value in enumerate(np.sort(random.random(EACH))[::-1].tolist(), start=1):
            sketch = (sketch_of(LEAFLET) if case.copies and rank == 1 else _sketch(random)) if case.sketched else None
            offer = Offer(
                handle=base64.urlsafe_b64encode(random.bytes(69)).decode(),
                rank=rank,
                probability=value * float(random.random()),
                similarity=Similarity(value=value, comparable_with=f"encoder {at % case.encoders}"),
                sketch=sketch,
            )
            made.append(NodeOffer(f"n{at:04}", offer, float(random.random())))
    return made


def _sketch(random: np.random.Generator) -> Sketch:
    return Sketch(shingles=base64.b64encode(random.bytes(CELLS // 2)).decode(), facts=random.bytes(32).hex())


def compared_ms(nodes: int, case: Case, repetitions: int) -> tuple[list[float], list[float]]:
    """Merging and plain sorting, in turns."""
    offers = pool(nodes, case, np.random.default_rng(nodes))
    method = MERGE_METHODS.build(case.method)
    merging: list[float] = []
    sorting: list[float] = []
    for _ in range(repetitions):
        merging.append(_took_ms(lambda: method.merge(offers, K)))
        sorting.append(_took_ms(lambda: sorted(offers, key=_similarity)))
    return merging, sorting


def _similarity(offered: NodeOffer) -> float:
    similarity = offered.offer.similarity
    return -similarity.value if similarity else 0.0


def _took_ms(work: Callable[[], object]) -> float:
    started = time.process_time()
    work()
    return (time.process_time() - started) * 1000


def report(sizes: Sequence[int], repetitions: int) -> str:
    figures, rows = [], []
    for nodes in sizes:
        for case in CASES:
            merging, sorting = compared_ms(nodes, case, repetitions)
            ratio = spread([mine / theirs for mine, theirs in zip(merging, sorting, strict=True)])
            rows.append((nodes, case.method, case.offers, spread(merging), spread(sorting), ratio))
            if nodes == max(sizes) and case is SHIPPED:
                what = f"merging {nodes:,} hospitals × {EACH} offers, as shipped"
                holds = statistics.median(merging) <= GOAL_MS
                figures.append(Figure("merge", f"{what}, ms", spread(merging), f"≤ {GOAL_MS:.0f}", holds))
                figures.append(Figure("merge", f"{what} / plain `sorted`", ratio, "printed", None))
    table = Table(
        f"{EACH} offers of each hospital, {K} winners",
        ("hospitals", "method", "offers", "merge ms", "`sorted` ms", "merge / `sorted`"),
        tuple(rows),
    )
    return "\n".join([goals(figures).as_markdown(), table.as_markdown(), circumstances()])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", nargs="+", type=int, default=[8, 100, 1_000], help="numbers of hospitals")
    parser.add_argument("--repetitions", type=int, default=41)
    chosen = parser.parse_args()
    print(report(chosen.sizes, chosen.repetitions))


if __name__ == "__main__":
    main()
