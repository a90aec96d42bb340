"""Hospitals that claim topics they do not hold: how often routing falls for it, from the first question on."""

import gzip
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from fedrag import probes
from fedrag.core.config import Config
from fedrag.core.protocols import Encoder
from fedrag.core.wire import NodeId
from fedrag.encoders import ENCODERS
from fedrag.evaluation import hijacking
from fedrag.evaluation.corpus import node_id
from fedrag.evaluation.hijacking import Attack, Course, Forgery, World
from fedrag.evaluation.metrics.bootstrap import paired_difference
from fedrag.evaluation.report import Cell, Findings, Table, mean
from fedrag.evaluation.run import Run, records
from router.trust import Standing

SUITE: Final = "hijack"
HOSPITALS: Final = 8
RELEASED: Final = 2_000
"""Titles of public documents that hospitals released before, of all of them; for MedQuAD, whose documents have some."""
FEWEST: Final = 8
"""Questions of a target that an attack is measured on, at least."""
NEWCOMERS: Final = 3
"""Orders of questions."""
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
_HIJACKED: Final = """\
HR@k: share of the questions at which a malicious hospital is among the first k of the ranking. Only questions count \
that the target holds something relevant to and the malicious hospitals nothing that is relevant or among the ten \
nearest passages: one that holds matching passages is no hijacker. With and without trust the policy is \
`mixture`; asked: it is among those asked, for whatever reason."""
_COURSE: Final = f"""\
All hospitals are audited when they join, with probes from the coordinator's public questions about what each \
claims; then up to {hijacking.MOST} questions of the target are asked, of which the coordinator learns, with a probe \
after every {hijacking.EVERY}. TASR scores by its own rule (similarity to the profile times reputation) and asks 3."""
_TRUE: Final = """\
Whose true claims count too may be ranked by these: `honest` is the same hospital's HR where it forges nothing."""


class Settings(Config):
    pass


@dataclass(frozen=True, slots=True)
class Hijack:
    def inputs(self, run: Run) -> tuple[Path, ...]:
        pubmedqa, crossnode = run.package("pubmedqa"), run.package("medquad_crossnode")
        return (
            pubmedqa / "corpus_dev.jsonl",
            pubmedqa / "questions_dev.jsonl",
            run.package("medquad_liveqa") / "corpus.jsonl.gz",
            crossnode / "queries_dev.jsonl",
            crossnode / "qrels_dev.jsonl",
        )

    def evaluate(self, run: Run) -> Findings:
        encoder = ENCODERS.build("minilm")
        worlds = {
            "PubMedQA specialties": _pubmedqa(self, run, encoder),
            "MedQuAD sources": _medquad(self, run, encoder),
        }
        tables = [table for name, world in worlds.items() for table in measure(name, world, run.seed, run.limit)]
        return Findings(tuple(tables), (), (_HIJACKED, _COURSE, _TRUE))


def measure(name: str, world: World, seed: int, limit: int | None = None) -> tuple[Table, ...]:
    """`limit`: targets."""
    return _hijacks(name, world, seed, limit), _newcomers(name, world, seed), _honest(name, world, seed)


def _hijacks(name: str, world: World, seed: int, limit: int | None) -> Table:
    rows: list[tuple[Cell, ...]] = []
    asked = 0
    for scenario, attack_on in SCENARIOS.items():
        figures: dict[str, list[float]] = {}
        for at, target in enumerate(world.nodes[:limit]):
            random = np.random.default_rng((seed, at))
            one, other = random.choice([node for node in world.nodes if node != target], size=2, replace=False)
            attack = attack_on(str(one), str(other), target)
            questions = hijacking.targets(world, target, attack.malicious, random)
            if len(questions) < FEWEST:
                continue
            asked += len(questions)
            for key, values in _courses(world, attack, questions, seed + at).items():
                figures.setdefault(key, []).extend(values)
        rows.append((scenario, *(mean(figures[key]) if figures.get(key) else "" for key in COLUMNS)))
    return Table(
        f"{name}: hijacked, {asked} questions in all",
        ("attack", *COLUMNS),
        tuple(rows),
    )


COLUMNS: Final = (
    "believing all: HR@1",
    "HR@3",
    "TASR: HR@1",
    "TASR: HR@3",
    "trust: HR@1",
    "trust: HR@3",
    "asked",
    "honest: HR@3",
)


def _courses(world: World, attack: Attack, questions: Sequence[int], seed: int) -> dict[str, list[float]]:
    believing = hijacking.undefended(world, attack, questions, seed)
    tasr = hijacking.by_tasr(world, attack, questions, seed)
    ours, _ = hijacking.defended(world, attack, questions, seed)
    honest = hijacking.honestly(world, questions)

    def hr(course: Course | None, first: int) -> list[float]:
        return course.hijacked(attack.malicious, first) if course else []

    return {
        COLUMNS[0]: hr(believing, 1),
        COLUMNS[1]: hr(believing, 3),
        COLUMNS[2]: hr(tasr, 1),
        COLUMNS[3]: hr(tasr, 3),
        COLUMNS[4]: hr(ours, 1),
        COLUMNS[5]: hr(ours, 3),
        COLUMNS[6]: ours.reached(attack.malicious),
        COLUMNS[7]: hr(honest, 3),
    }


def _newcomers(name: str, world: World, seed: int) -> Table:
    rows: list[tuple[Cell, ...]] = []
    known = {node: hijacking.without(world, node) for node in world.nodes}
    for way, probed in (("audited when it joins", True), ("by ordinary questions alone", False)):
        made = [
            hijacking.newcomer(world, node, known[node], probed=probed, seed=seed + order)
            for node in world.nodes
            for order in range(NEWCOMERS)
        ]
        asked = [one for one in made if one.questions]
        chosen = [one.before for one in asked if one.before is not None]
        rows.append(
            (
                way,
                len(asked),
                mean([float(one.before is not None and one.before <= 20) for one in asked]),
                float(np.median(chosen)) if chosen else "never",
                max(chosen, default=0),
                len(asked) - len(chosen),
                mean([float(one.probes) for one in asked]),
            )
        )
    columns = ("newcomers", "chosen within 20", "questions before, median", "most", "never chosen", "probes")
    return Table(
        f"{name}: an honest newcomer of 100 documents, asked about its own topics",
        ("how it is known", *columns),
        tuple(rows),
        note="Chosen: asked because of what is believed of it. Its questions are those whose nearest passage it holds.",
    )


def _honest(name: str, world: World, seed: int) -> Table:
    random = np.random.default_rng(seed)
    questions = [int(at) for at in random.permutation(len(world.questions))[:RECALLED]]
    believing, trusting, trust = hijacking.honest_recall(world, questions, seed)
    standing = Counter(trust.standing(node) for node in world.nodes)
    difference = paired_difference(trusting, believing, seed)
    return Table(
        f"{name}: nobody lies, {len(questions)} questions",
        ("figure", "value"),
        (
            ("share of the ten nearest passages at those asked, believing all", mean(believing)),
            ("by trust, from the first question after the audit", mean(trusting)),
            ("difference", str(difference)),
            *((f"hospitals {one} in the end", standing[one]) for one in Standing),
        ),
    )


def _pubmedqa(suite: Hijack, run: Run, encoder: Encoder) -> World:
    corpus, questions = (records(path) for path in suite.inputs(run)[:2])
    kept = [one for one in corpus if one["node"] != "other"]
    sizes = Counter(str(one["node"]) for one in kept)
    names = sorted(name for name, _ in sizes.most_common(HOSPITALS))
    asked = [one for one in questions if one["node"] in names]
    cached = run.vectors(encoder)
    return World(
        encoder.identity,
        tuple(map(node_id, names)),
        {
            node_id(name): cached.passages([one["text"] for one in kept if one["node"] == name], "encoding abstracts")
            for name in names
        },
        cached.queries([one["question"] for one in asked]),
        tuple(frozenset({node_id(one["node"])}) for one in asked),
        cached.queries(probes.listed(), "encoding probes"),
    )


def _medquad(suite: Hijack, run: Run, encoder: Encoder) -> World:
    path, asked, judgements = suite.inputs(run)[2:]
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        answered: list[Mapping[str, Any]] = [one for one in map(json.loads, lines) if one["has_answer"]]
    grades = records(judgements)
    relevant: dict[str, set[NodeId]] = {}
    for one in grades:
        if one["grade"] > 0:
            relevant.setdefault(one["query_id"], set()).add(node_id(one["node"]))
    used = Counter(node for held in relevant.values() for node in held)
    names = sorted(name for name, _ in used.most_common(HOSPITALS))
    queries = [one for one in records(asked) if relevant.get(one["query_id"], set()) & set(names)]
    cached = run.vectors(encoder)
    held = {
        name: cached.passages(
            [one["question"] for one in answered if node_id(one["node"]) == name], "encoding questions"
        )
        for name in names
    }
    everything = np.concatenate([held[name] for name in names])
    owners = [name for name in names for _ in held[name]]
    random = np.random.default_rng(run.seed)
    released = random.permutation(len(everything))[:RELEASED]
    listed = cached.queries(probes.listed(), "encoding probes")
    return World(
        encoder.identity,
        tuple(names),
        held,
        cached.queries([one["text"] for one in queries]),
        tuple(frozenset(relevant[one["query_id"]]) for one in queries),
        np.concatenate([listed, everything[released]]),
        (*(None for _ in listed), *(owners[row] for row in released)),
    )


def build(settings: Settings) -> Hijack:  # noqa: ARG001 - has none
    return Hijack()
