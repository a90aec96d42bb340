"""What who waits for a release could tell by the clock, and what the queue costs.

One node in this process: a redacted collection of class `patient` under a rule with review, hashing encoder. Questions
that the collection holds a passage for (half of its words) and questions in words that it does not have, in random
order; then entries found and pending, found and denied, and without passages are looked at, in random order too.

AUC: the probability that a call of the first kind took longer than one of the second. 0.5: the clock tells nothing; the
interval is of 1.96 standard errors under no difference (Mann-Whitney). A busy machine widens the times, not the AUC.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import numpy as np
import structlog
from reporting import Figure, Table, circumstances, goals
from topical_texts import passages, questions

from fedrag.core.config import PluginConfig
from fedrag.core.deadline import Deadline
from fedrag.core.exchange import AwaitedRequest, OfferRequest, Processor, ProcessorPlace
from fedrag.core.wire import ReleaseClass, new_request_id
from retriever_node import review
from retriever_node.assemble import assemble
from retriever_node.config import CollectionConfig, LockoutConfig, NodeConfig, ReviewConfig
from retriever_node.home import NodeHome, create_node
from retriever_node.ingest import ingest
from retriever_node.node import RetrieverNode

MODEL: Final = Processor(model="m", place=ProcessorPlace.TRUST_DOMAIN)
EVENTUALLY: Final = Deadline(time.monotonic() + 3600)
POLICY: Final = 'version = 1\n[[rules]]\nname = "r"\nclasses = ["patient"]\nrelease = "redacted"\nreview = true\n'
UNKNOWN: Final = tuple(f"xq{first}{second}w" for first in "bcdfghjk" for second in "lmnpqrst")


def made_node(folder: Path, texts: Sequence[str]) -> RetrieverNode:
    source = folder / "documents"
    source.mkdir()
    for number, text in enumerate(texts):
        (source / f"{number}.md").write_text(f"# D{number}\n\n## S\n{text}\n", encoding="utf-8")
    home = NodeHome(folder / "home")
    config = NodeConfig(
        node="n",
        name="N",
        encoder=PluginConfig(name="hashing"),
        index=PluginConfig(name="faiss_flat"),
        collections=(CollectionConfig(id="d", folder=source, release_class=ReleaseClass.PATIENT),),
        review=ReviewConfig(probability=0.05, per_asker_per_day=10_000_000, per_coordinator_per_day=10_000_000),
        lockout=LockoutConfig(near_duplicates=1_000_000, questions=20_000),
    )
    create_node(home, config)
    home.policy.write_text(POLICY, encoding="utf-8")
    node = assemble(home)
    (served,) = node.collections.values()
    ingest(source, "d", node.store, node.encoder, redaction=served.redaction)
    node.refresh()
    return node


def ask(node: RetrieverNode, question: str, reason: str | None) -> str:
    request = OfferRequest(
        request_id=new_request_id(), coordinator="c", node="n", vector=None, comparable_with="", text=question, k=12,
        deadline_ms=5_000, reason=reason,
    )  # fmt: skip
    node.offers(request, EVENTUALLY)
    return request.request_id


def fetch(node: RetrieverNode, request_id: str) -> None:
    request = AwaitedRequest(request_id=request_id, coordinator="c", node="n", processor=MODEL, deadline_ms=5_000)
    node.awaited(request, EVENTUALLY)


def timed_ms(call: Callable[[], object]) -> float:
    started = time.perf_counter()
    call()
    return (time.perf_counter() - started) * 1000


def auc(longer: Sequence[float], shorter: Sequence[float]) -> tuple[float, float]:
    """And the half width of its interval."""
    both = np.concatenate([longer, shorter])
    ranks = np.empty(len(both))
    ranks[np.argsort(both)] = np.arange(1, len(both) + 1)
    n, m = len(longer), len(shorter)
    area = (ranks[:n].sum() - n * (n + 1) / 2) / (n * m)
    return float(area), 1.96 * float(np.sqrt((n + m + 1) / (12 * n * m)))


def measure(texts: Sequence[str], number: int, seed: int) -> tuple[dict[str, list[float]], int]:
    """Milliseconds of each kind of call; and how many of the questions that should have found something did."""
    random = np.random.default_rng(seed)
    times: dict[str, list[float]] = {}
    with TemporaryDirectory() as folder:
        node = made_node(Path(folder), texts)
        known = list(questions(list(texts), number, seed))
        unknown = [" ".join(random.choice(UNKNOWN, size=len(one.split()))) + "?" for one in known]
        asked = [("found", one) for one in known] + [("not found", one) for one in unknown]
        asked += [("without a reason", one) for one in known]
        found = 0
        for at, chosen in enumerate(random.permutation(len(asked))):
            kind, question = asked[int(chosen)]
            reason = None if kind == "without a reason" else f"reason {at}"
            times.setdefault(kind, []).append(timed_ms(lambda q=question, r=reason: ask(node, q, r)))
            with node.state.transaction() as connection:
                found += kind == "found" and bool(review.entries(connection, node.clock()))
                connection.execute("DELETE FROM reviews")
        entries = {kind: [] for kind in ("pending", "denied", "nothing")}
        for at, (one, other) in enumerate(zip(known, unknown, strict=True)):
            entries["nothing" if at % 3 == 2 else ("pending", "denied")[at % 3]].append(
                ask(node, other if at % 3 == 2 else one, f"reason {at}")
            )
        with node.state.transaction() as connection:
            numbers = {one.asked.recipient.request_id: one.id for one in review.entries(connection, node.clock())}
            for request_id in entries["denied"]:
                if request_id in numbers:
                    review.deny(connection, numbers[request_id], "r", "", node.clock())
        looks = [(kind, request_id) for kind, some in entries.items() for request_id in some] * 4
        for chosen in random.permutation(len(looks)):
            kind, request_id = looks[int(chosen)]
            times.setdefault(kind, []).append(timed_ms(lambda r=request_id: fetch(node, r)))
        node.store.close()
        node.state.close()
    return times, found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--passages", type=int, default=400)
    parser.add_argument("--questions", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    times, found = measure(passages(chosen.passages, chosen.seed), chosen.questions, chosen.seed)
    rows = tuple((kind, len(some), round(statistics.median(some), 3)) for kind, some in times.items())
    print(Table("Milliseconds of a call", ("kind", "calls", "median"), rows, note=circumstances()).as_markdown())
    figures = []
    for name, first, second in (
        ("asked: found / not found", "found", "not found"),
        ("looked: pending / nothing found", "pending", "nothing"),
        ("looked: denied / nothing found", "denied", "nothing"),
        ("looked: denied / pending", "denied", "pending"),
    ):
        area, half = auc(times[first], times[second])
        figures.append(Figure(name, "AUC of the clock", f"{area:.3f} ± {half:.3f}", "≤ 0.55", abs(area - 0.5) <= 0.05))
    print(goals(figures).as_markdown())
    print(f"{found} of {chosen.questions} questions that a passage answers put one into the queue")
    return 0 if all(one.holds for one in figures) else 1


if __name__ == "__main__":
    sys.exit(main())
