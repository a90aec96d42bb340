"""Hospitals that claim topics they do not hold: how often routing falls for it, from the first question on."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import product
from pathlib import Path
from typing import Final, cast

import numpy as np

from fedrag.core.config import Config
from fedrag.core.wire import NodeId
from fedrag.encoders import ENCODERS
from fedrag.evaluation import hijack_worlds, hijacked_courses, hijacking
from fedrag.evaluation.hijack_worlds import HOSPITALS
from fedrag.evaluation.hijacked_courses import Course
from fedrag.evaluation.hijacking import Attack, Forgery, World
from fedrag.evaluation.metrics.bootstrap import paired_difference
from fedrag.evaluation.newcomers import Known, newcomer
from fedrag.evaluation.report import Cell, Findings, Table, mean
from fedrag.evaluation.run import Run
from router.record import Standing

SUITE: Final = "hijack"
FEWEST: Final = 8
"""Questions of a target that an attack is measured on, at least."""
ORDERS: Final = 3
"""Of a newcomer's questions, with other documents each time."""
SOON: Final = 20
RECALLED: Final = 300
"""Questions without an attack."""
SCENARIOS: Final[Mapping[str, Callable[[NodeId, NodeId, NodeId], Attack]]] = {
    **{
        f"{number} of {HOSPITALS}: {forgery}": (
            lambda one, other, target, forgery=forgery, number=number: Attack((one, other)[:number], target, forgery)  # type: ignore[misc]
        )
        for forgery in (Forgery.MEAN, Forgery.PROXIES, Forgery.WORDS)
        for number in (1, 2)
    },
    "late, 1: honest through the audit": lambda one, _, target: Attack((one,), target, Forgery.PROXIES, late=True),
    "late, 2": lambda one, other, target: Attack((one, other), target, Forgery.PROXIES, late=True),
    "Sybil: 2 of one organisation": lambda one, other, target: Attack(
        (one, other), target, Forgery.PROXIES, together=True
    ),
    "knows half of the probes": lambda one, _, target: Attack((one,), target, Forgery.PROXIES, recognised=0.5),
    "knows every probe": lambda one, _, target: Attack((one,), target, Forgery.PROXIES, recognised=1.0),
    "1, true claims kept": lambda one, _, target: Attack((one,), target, Forgery.ADDED),
}
COLUMNS: Final = (
    "believing all: HR@1",
    "HR@3",
    "TASR: HR@1",
    "TASR: HR@3",
    "trust: HR@1",
    "trust: HR@3",
    "asked",
    "honest: HR@3",
    "beyond honest: HR@3",
)
_HIJACKED: Final = """\
HR@k: share of the questions, and in brackets how many, at which a malicious hospital is among the first k of the \
ranking. Only questions count that the target holds something relevant to and the malicious hospitals nothing that is \
relevant or among the ten nearest passages: one that holds matching passages is no hijacker. With and without trust \
the policy is `mixture`; asked: it is among those asked, for whatever reason."""
_COURSE: Final = f"""\
All hospitals are audited when they join, with probes from the coordinator's public questions about what each \
claims; then up to {hijacking.MOST} questions of the target are asked, of which the coordinator learns, with a probe \
of one hospital's claims after every {hijacked_courses.EVERY}. TASR scores by its own rule (similarity to the profile \
times reputation) and asks 3."""
_TRUE: Final = """\
Whose true claims count too may be ranked by these. `honest`: the same hospital's HR, believed, where it forges \
nothing; `beyond honest`: questions that are hijacked by trust, and would not be then."""


class Settings(Config):
    pass


@dataclass(frozen=True, slots=True)
class Hijack:
    def inputs(self, run: Run) -> tuple[Path, ...]:
        return hijack_worlds.inputs(run)

    def evaluate(self, run: Run) -> Findings:
        encoder = ENCODERS.build("minilm")
        worlds = {
            "PubMedQA specialties": hijack_worlds.pubmedqa(run, encoder),
            "MedQuAD sources": hijack_worlds.medquad(run, encoder),
        }
        tables = [table for name, world in worlds.items() for table in measure(run, name, world)]
        return Findings(tuple(tables), (), (_HIJACKED, _COURSE, _TRUE))


@dataclass(frozen=True, slots=True)
class Case:
    """What is recorded by itself: `what` is done to, or by, the hospital of this number."""

    what: str
    hospital: int = 0
    order: int = 0

    @property
    def id(self) -> str:
        return f"{self.what}/{self.hospital}/{self.order}"


def measure(run: Run, name: str, world: World) -> tuple[Table, ...]:
    """The run's limit is one of targets."""
    return _hijacks(run, name, world), _newcomers(run, name, world), _honest(run, name, world)


def _hijacks(run: Run, name: str, world: World) -> Table:
    def hijacked(case: Case) -> dict[str, object]:
        target = world.nodes[case.hospital]
        random = np.random.default_rng((run.seed, case.hospital))
        one, other = random.choice([node for node in world.nodes if node != target], size=2, replace=False)
        attack = SCENARIOS[case.what](str(one), str(other), target)
        questions = hijacking.targets(world, target, attack.malicious, random)
        return dict(_courses(world, attack, questions, run.seed + case.hospital)) if len(questions) >= FEWEST else {}

    hospitals = range(len(world.nodes[: run.limit]))
    cases = [Case(scenario, at) for scenario, at in product(SCENARIOS, hospitals)]
    kept = replace(run, limit=None).recorded(SUITE, cases, f"{name}: attacks", hijacked)
    rows: list[tuple[Cell, ...]] = []
    for scenario in SCENARIOS:
        found = [kept[Case(scenario, at).id] for at in hospitals]
        figures = [[hit for one in found for hit in cast(list[int], one.get(key, []))] for key in COLUMNS]
        cells = [f"{mean(hits):.3f} ({sum(hits)})" if hits else "" for hits in figures]
        rows.append((scenario, max(map(len, figures)), *cells))
    return Table(f"{name}: hijacked", ("attack", "questions", *COLUMNS), tuple(rows))


def _courses(world: World, attack: Attack, questions: Sequence[int], seed: int) -> dict[str, list[int]]:
    believing = hijacked_courses.undefended(world, attack, questions, seed)
    tasr = hijacked_courses.by_tasr(world, attack, questions, seed)
    ours, _ = hijacked_courses.defended(world, attack, questions, seed)
    honest = hijacked_courses.honestly(world, questions)

    def hr(course: Course | None, first: int) -> list[int]:
        return course.hijacked(attack.malicious, first) if course else []

    beyond = [int(hit > was) for hit, was in zip(hr(ours, 3), hr(honest, 3), strict=True)]
    reached = ours.reached(attack.malicious)
    told = (hr(believing, 1), hr(believing, 3), hr(tasr, 1), hr(tasr, 3), hr(ours, 1), hr(ours, 3), reached)
    return dict(zip(COLUMNS, (*told, hr(honest, 3), beyond), strict=True))


def _newcomers(run: Run, name: str, world: World) -> Table:
    def joined(case: Case) -> dict[str, object]:
        return asdict(newcomer(world, world.nodes[case.hospital], Known(case.what), run.seed + case.order))

    cases = {known: [Case(known, at, n) for at in range(len(world.nodes)) for n in range(ORDERS)] for known in Known}
    every = [case for some in cases.values() for case in some]
    kept = replace(run, limit=None).recorded(SUITE, every, f"{name}: newcomers", joined)
    rows: list[tuple[Cell, ...]] = []
    for known, some in cases.items():
        asked = [cast(dict[str, int | None], kept[case.id]) for case in some if kept[case.id]["questions"]]
        chosen = [one["before"] for one in asked if one["before"] is not None]
        soon = [float(one["before"] is not None and one["before"] <= SOON) for one in asked]
        never = [one["questions"] or 0 for one in asked if one["before"] is None]
        rows.append(
            (
                known,
                len(asked),
                f"{mean(soon):.3f} ({sum(soon):.0f})",
                float(np.median(chosen)) if chosen else "never",
                max(chosen, default=0),
                ", ".join(map(str, sorted(never))) or "none",
                mean([float(one["probes"] or 0) for one in asked]),
            )
        )
    told = ("questions before, median", "most", "never chosen: questions they had", "probes")
    return Table(
        f"{name}: an honest newcomer of 100 documents, asked about its own topics",
        ("how it is known", "newcomers", f"chosen within {SOON}", *told),
        tuple(rows),
        note="Chosen: asked because of what is believed of it. Its questions are those whose nearest passage it holds.",
    )


def _honest(run: Run, name: str, world: World) -> Table:
    questions = [int(at) for at in np.random.default_rng(run.seed).permutation(len(world.questions))[:RECALLED]]

    def asked(_: Case) -> dict[str, object]:
        believing, trusting, trust = hijacked_courses.honest_recall(world, questions, run.seed)
        standing = Counter(str(trust.standing(node)) for node in world.nodes)
        return {"believing": believing, "trusting": trusting, "standing": standing}

    case = Case("nobody lies")
    kept = replace(run, limit=None).recorded(SUITE, [case], f"{name}: nobody lies", asked)[case.id]
    believing, trusting = cast(list[float], kept["believing"]), cast(list[float], kept["trusting"])
    standing = cast(Mapping[str, int], kept["standing"])
    return Table(
        f"{name}: nobody lies, {len(questions)} questions",
        ("figure", "value"),
        (
            ("share of the ten nearest passages at those asked, believing all", mean(believing)),
            ("by trust, from the first question after the audit", mean(trusting)),
            ("difference", str(paired_difference(trusting, believing, run.seed))),
            *((f"hospitals {one} in the end", standing.get(one, 0)) for one in Standing),
        ),
    )


def build(settings: Settings) -> Hijack:  # noqa: ARG001 - has none
    return Hijack()
