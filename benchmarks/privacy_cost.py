"""B7: what each protection costs: latency and bytes with it / without it.

Hospitals as processes on loopback (384 numbers per passage, `faiss_hnsw`, class `public`), six times over: as
shipped; recording all and flushing nothing; recording nothing (benchmarks/unrecorded_node.py); and with every control
that there is. A coordinator in this process asks each set in both release modes, all of them
in turn with the same questions, new ones in each repetition.

    offers / direct     text leaves after the merge, only of what won it / with the offers, won or not
    ledger and audit    nonces, charges and the audit chain in SQLite, flushed to disk before anything is sent
    redacted guidance   as class `protocol`: a rule for treatment, quotas, coarse offers, redacted forms checked again
                        at release, ledger and audit
    all controls        as class `patient`: all of that and the lockout; three passages a hospital; flushed or not

Latency is the retrieval of one question: all stages but `encode` (the embedding) and `reason`. Signatures, tokens and
sealed handles are on everywhere; benchmarks/request_cost.py has what they cost.
"""

import argparse
import asyncio
import statistics
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from large_federation import fill, home_of, large_federation, protect, texts_of
from reporting import Figure, Table, circumstances, file_system, goals, spread
from topical_texts import questions
from unrecorded_node import NOTHING, UNFLUSHED

from fedrag.assemble import Coordinator, assemble
from fedrag.conversation import ask
from fedrag.core.answer import Answer
from fedrag.core.exchange import ReleaseMode
from fedrag.core.identity import Asker, Purpose
from fedrag.core.question import AskRequest, PassageFilter, Question
from fedrag.core.wire import ReleaseClass, new_request_id
from fedrag.local_federation import LocalFederation
from fedrag.members import MemberRegistry
from fedrag.terminal import progress

GOALS: Final = {"offers": 1.5, "recording": 1.2, "controls": 2.0}
NOT_RETRIEVAL: Final = frozenset({"encode", "reason"})
SHIPPED: Final = "shipped"
GUIDANCE: Final = "redacted guidance"
CONTROLS: Final = "all controls"
CONTROLS_UNFLUSHED: Final = "all controls, unflushed"
VARIANTS: Final = {UNFLUSHED: UNFLUSHED, NOTHING: NOTHING, CONTROLS_UNFLUSHED: UNFLUSHED}
"""Hospitals that record less, and how they are started."""
PROTECTED: Final = {
    GUIDANCE: ReleaseClass.PROTOCOL,
    CONTROLS: ReleaseClass.PATIENT,
    CONTROLS_UNFLUSHED: ReleaseClass.PATIENT,
}
ASKER: Final = Asker(name="benchmark", purpose=Purpose.TREATMENT)
Way = tuple[str, ReleaseMode]


class Variant(LocalFederation):
    """Hospitals that record less."""

    def _spawn(self, name: str, arguments: Sequence[str], port: int = 0) -> None:
        script = str(Path(__file__).with_name("unrecorded_node.py"))
        LocalFederation._spawn(self, name, [script, VARIANTS[self.folder.name], *arguments[2:]], port)


@dataclass
class Cost:
    """Per repetition the median in milliseconds; per question what crossed the wire."""

    medians: list[float] = field(default_factory=list)
    bytes_received: list[int] = field(default_factory=list)
    messages: list[int] = field(default_factory=list)
    texts: list[int] = field(default_factory=list)
    text_bytes: list[int] = field(default_factory=list)

    def question(self, answer: Answer) -> None:
        self.bytes_received.append(answer.budget.bytes_received)
        self.messages.append(answer.budget.messages)
        self.texts.append(sum(one.passages for one in answer.disclosure.hospitals))
        self.text_bytes.append(sum(one.text_bytes for one in answer.disclosure.hospitals))


def federation_of(folder: Path, records: str, hospitals: int) -> LocalFederation:
    made = large_federation(folder / records, hospitals)
    if records in PROTECTED:
        for number in range(hospitals):
            protect(home_of(made, number), PROTECTED[records])
    return Variant(made.folder, made.hospitals, made.coordinator) if records in VARIANTS else made


def started(federation: LocalFederation) -> Coordinator:
    """A coordinator in this process that knows the hospitals."""
    nodes = federation.start_nodes()
    registry = MemberRegistry(federation.home.members)
    for node in nodes:
        registry.put(node, 0)
    registry.close()
    return assemble(federation.home)


async def retrieved(coordinator: Coordinator, question: str, mode: ReleaseMode) -> tuple[Answer, float]:
    parts = replace(coordinator.federation(), release_mode=mode)
    request = AskRequest(question=Question(text=question), filter=PassageFilter(release_classes=tuple(ReleaseClass)))
    answer = await ask(request, new_request_id(), ASKER, coordinator.config.limits, "broadcast", parts)
    if not answer.evidence.passages:
        raise SystemExit(f"no evidence: {answer.coverage}")
    return answer, sum(one.elapsed_ms for one in answer.timings if one.stage not in NOT_RETRIEVAL)


async def measure(coordinators: dict[str, Coordinator], asked: Sequence[Sequence[str]]) -> dict[Way, Cost]:
    costs = {(records, mode): Cost() for records in coordinators for mode in ReleaseMode}
    for coordinator in coordinators.values():
        await coordinator.descriptions.refresh()
    with progress("asking") as told:
        for turn, some in enumerate(asked):  # the first warms up and does not count
            told(turn, len(asked))
            took: dict[Way, list[float]] = {way: [] for way in costs}
            for question in some:
                seen: set[tuple[str, ...]] = set()
                for (records, mode), times in took.items():
                    answer, elapsed_ms = await retrieved(coordinators[records], question, mode)
                    times.append(elapsed_ms)
                    if records not in PROTECTED:  # their offers tell less, so others may win
                        seen.add(tuple(one.passage.text for one in answer.evidence.passages))
                    if turn:
                        costs[records, mode].question(answer)
                if len(seen) != 1:
                    raise SystemExit("the ways gave different evidence")
            for way, times in took.items() if turn else ():
                costs[way].medians.append(statistics.median(times))
        told(len(asked), len(asked))
    for coordinator in coordinators.values():
        await coordinator.aclose()
    return costs


def ratios(one: Cost, other: Cost) -> list[float]:
    return [mine / theirs for mine, theirs in zip(one.medians, other.medians, strict=True)]


def report(costs: dict[Way, Cost], hospitals: int, size: int, kind: str) -> str:
    offers, direct = costs[SHIPPED, ReleaseMode.OFFERS], costs[SHIPPED, ReleaseMode.DIRECT]
    compared = {
        "offers / direct, p50 retrieval": (ratios(offers, direct), GOALS["offers"]),
        "ledger and audit / none, p50 retrieval (offers)": (
            ratios(offers, costs[NOTHING, ReleaseMode.OFFERS]),
            GOALS["recording"],
        ),
        "the same, nothing flushed to disk": (
            ratios(costs[UNFLUSHED, ReleaseMode.OFFERS], costs[NOTHING, ReleaseMode.OFFERS]),
            GOALS["recording"],
        ),
        "ledger and audit / none, p50 retrieval (direct)": (
            ratios(direct, costs[NOTHING, ReleaseMode.DIRECT]),
            GOALS["recording"],
        ),
        "redacted guidance / bare offers and releases, p50 retrieval": (
            ratios(costs[GUIDANCE, ReleaseMode.OFFERS], costs[NOTHING, ReleaseMode.OFFERS]),
            GOALS["controls"],
        ),
        "all controls / bare offers and releases, p50 retrieval": (
            ratios(costs[CONTROLS, ReleaseMode.OFFERS], costs[NOTHING, ReleaseMode.OFFERS]),
            GOALS["controls"],
        ),
        "the same controls, nothing flushed to disk": (
            ratios(costs[CONTROLS_UNFLUSHED, ReleaseMode.OFFERS], costs[NOTHING, ReleaseMode.OFFERS]),
            GOALS["controls"],
        ),
    }
    figures = [
        Figure("B7", what, spread(found), f"≤ {goal}", statistics.median(found) <= goal)
        for what, (found, goal) in compared.items()
    ]
    table = Table(
        f"{hospitals} hospitals × {size:,} passages, broadcast, the same evidence but where offers tell less",
        ("recording", "release mode", "p50 ms", "KB received", "messages", "texts that left", "KB of text"),
        tuple(
            (
                records,
                mode.value,
                spread(cost.medians),
                statistics.fmean(cost.bytes_received) / 1000,
                statistics.fmean(cost.messages),
                statistics.fmean(cost.texts),
                statistics.fmean(cost.text_bytes) / 1000,
            )
            for (records, mode), cost in costs.items()
        ),
        note=f"Means per question but for p50. The hospitals' files are on {kind}. `{SHIPPED}` flushes every charge "
        "and audit entry before anything is sent, in one flush for those that come together.",
    )
    return "\n".join([goals(figures).as_markdown(), table.as_markdown(), circumstances()])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hospitals", type=int, default=4)
    parser.add_argument("--passages", type=int, default=5_000, help="per hospital")
    parser.add_argument("--questions", type=int, default=30, help="per repetition")
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--folder", type=Path, help="where the hospitals' files lie; a disk that flushes")
    chosen = parser.parse_args()
    with TemporaryDirectory(dir=chosen.folder) as made, ExitStack() as stack:
        folder = Path(made)
        federations = {
            records: federation_of(folder, records, chosen.hospitals)
            for records in (SHIPPED, UNFLUSHED, NOTHING, *PROTECTED)
        }
        with progress("filling stores") as told:
            for done, federation in enumerate(federations.values()):
                told(done, len(federations))
                fill([home_of(federation, number) for number in range(chosen.hospitals)], chosen.passages)
            told(len(federations), len(federations))
        coordinators = {name: started(stack.enter_context(one)) for name, one in federations.items()}
        texts = [text for number in range(chosen.hospitals) for text in texts_of(number, chosen.passages)]
        asked = [list(questions(texts, chosen.questions, seed=1 + turn)) for turn in range(chosen.repetitions + 1)]
        costs = asyncio.run(measure(coordinators, asked))
        kind = file_system(folder)
    print(report(costs, chosen.hospitals, chosen.passages, kind))


if __name__ == "__main__":
    sys.exit(main())
