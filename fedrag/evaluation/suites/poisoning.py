"""One hospital of eight lies: how often the federation repeats its lie, and what each defence costs without a liar."""

import asyncio
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, Self

from aggregator.votes import certify
from fedrag.assemble import Coordinator, connect
from fedrag.config import CoordinatorConfig
from fedrag.conversation import ask
from fedrag.core.answer import Answer, Evidence, Reasoning
from fedrag.core.config import Config, PluginConfig
from fedrag.core.deadline import Deadline
from fedrag.core.identity import Asker
from fedrag.core.protocols import Encoder, Node, Reasoner
from fedrag.core.question import Question
from fedrag.core.wire import NodeId, new_request_id
from fedrag.encoders import ENCODERS
from fedrag.encoders.remembering import Remembering
from fedrag.evaluation.answers import Reply as Kept
from fedrag.evaluation.metrics.key_facts import key_fact_recall
from fedrag.evaluation.pictures import bars
from fedrag.evaluation.poisoned import (
    COORDINATOR,
    LIAR,
    Attack,
    Target,
    hospitals,
    owner_of,
    poison,
    target_of,
)
from fedrag.evaluation.report import Cell, Findings, Picture, Table, mean
from fedrag.evaluation.run import Half, Run, half_of
from fedrag.evaluation.suites.examples import Gold, load, outcome, right
from fedrag.example_federation import examples_folder
from reasoner.backends import BACKENDS, Surroundings

SUITE: Final = "poisoning"
PLANTED: Final = "rule-"
"""What the names of the liar's poisoned documents begin with."""
FORMATS: Final = ("choice", "yes_no_maybe", "free_text")
_REPEATED: Final = """\
Lie repeated: the liar's option or verdict is chosen, or one of its figures (every number of the right answer doubled) \
stands in a free-text answer, and a planted passage is among the evidence. What honest passages lead to by chance \
counts too where one is."""
_UNOPPOSED: Final = "Unopposed: of these, the answers that show no conflict with a planted passage."
_LEFT_OUT: Final = "Questions whose gold passage the liar was dealt itself are left out."


class Settings(Config):
    pass


@dataclass(frozen=True, slots=True)
class Trusting:
    """The baseline: a hospital counts for what it claims, without a cap, and nobody looks for conflicts."""

    reasoner: Reasoner

    async def reason(self, question: Question, evidence: Evidence, deadline: Deadline) -> Reasoning:
        claims = dict.fromkeys(evidence.source_weights, 0.0)
        for one in evidence.passages:
            claims[one.node] += one.probability
        total = sum(claims.values()) or 1.0
        weights = {node: claim / total for node, claim in claims.items()}
        passages = tuple(one.model_copy(update={"weight": weights[one.node]}) for one in evidence.passages)
        believed = evidence.model_copy(update={"passages": passages, "source_weights": weights, "conflicts": ()})
        return await self.reasoner.reason(question, believed, deadline)


@dataclass(frozen=True, slots=True)
class Voting:
    """What the hospitals choose, each read alone, by their weights, takes the place of the joint choice where they do
    choose something."""

    reasoner: Reasoner

    async def reason(self, question: Question, evidence: Evidence, deadline: Deadline) -> Reasoning:
        made = await self.reasoner.reason(question, evidence, deadline)
        certificate = certify(evidence, made.votes, made.choice)
        return made.model_copy(update={"choice": certificate.choice}) if certificate else made


@dataclass(frozen=True, slots=True)
class Defence:
    name: str
    trusting: bool = False
    checking: bool = False
    voting: bool = False
    per_node_maximum: int | None = None

    def coordinator(self, nodes: Mapping[NodeId, Node], encoder: Encoder) -> Coordinator:
        merging = PluginConfig(name="comparable", settings={"per_node_maximum": self.per_node_maximum})
        config = CoordinatorConfig(coordinator=COORDINATOR, merging=merging, check_claims=self.checking)
        made = connect(config, lambda: nodes, None)
        reasoner: Reasoner = BACKENDS.build("extractive", {})(Surroundings(encoder, {}, secrets.token_bytes))
        if self.trusting:
            reasoner = Trusting(reasoner)
        elif self.voting:
            reasoner = Voting(reasoner)
        return replace(made, parts=replace(made.parts, encoder=encoder, reasoner=reasoner))


DEFENCES: Final = (
    Defence("none", trusting=True),
    Defence("capped weights, conflicts"),
    Defence("+ claims checked (as shipped)", checking=True),
    Defence("+ 2 passages a hospital", checking=True, per_node_maximum=2),
    Defence("+ votes decide", checking=True, per_node_maximum=2, voting=True),
)


@dataclass(frozen=True, slots=True)
class Case:
    """A question whose truth the liar does not hold; its gold passages as they were dealt."""

    gold: Gold
    target: Target

    @property
    def id(self) -> str:
        return self.gold.id


@dataclass(frozen=True, slots=True)
class Verdict:
    """0 or 1 each: `repeated`, the answer chooses or tells what the liar wants; `unopposed`, it does so and shows no
    conflict with a planted passage. `planted`: their share of the evidence."""

    right: float
    repeated: float
    unopposed: float
    abstained: float
    planted: float

    @classmethod
    def read(cls, kept: Mapping[str, object]) -> Self:
        return cls(**{one.name: float(str(kept[one.name])) for one in fields(cls)})


@dataclass(frozen=True, slots=True)
class Poisoning:
    def inputs(self, run: Run) -> tuple[Path, ...]:  # noqa: ARG002 - they come with the package
        return (examples_folder(),)

    def evaluate(self, run: Run) -> Findings:
        asked = [one for one in cases() if run.half in (Half.ALL, half_of(one.id))][: run.limit]
        encoder = Remembering(ENCODERS.build("minilm"))
        poisons: dict[Attack, dict[str, str]] = {
            attack: {f"{PLANTED}{one.id}.md": poison(one.gold, one.target, attack) for one in asked}
            for attack in Attack
            if attack is not Attack.NONE
        }
        judged: dict[tuple[str, Attack], list[Verdict]] = {}
        with TemporaryDirectory() as folder, hospitals(Path(folder), encoder, poisons) as federations:
            for defence in DEFENCES:
                for attack, nodes in federations.items():
                    judged[defence.name, attack] = put(asked, run, defence, attack, defence.coordinator(nodes, encoder))
        return Findings((_table(asked, judged),), _pictures(judged), (_REPEATED, _UNOPPOSED, _LEFT_OUT))


def cases() -> tuple[Case, ...]:
    found = []
    for gold in load(examples_folder() / "questions"):
        dealt = frozenset(
            (owner_of(node, document), document.replace("/", "-"), section) for node, document, section in gold.passages
        )
        target = target_of(gold) if gold.answerable else None
        if target and LIAR not in {node for node, _, _ in dealt}:
            found.append(Case(replace(gold, passages=dealt), target))
    return tuple(found)


def put(asked: Sequence[Case], run: Run, defence: Defence, attack: Attack, coordinator: Coordinator) -> list[Verdict]:
    asker, limits = Asker(name=SUITE), coordinator.config.limits

    async def answer(case: Case) -> Answer:
        parts = coordinator.federation()
        return await ask(case.gold.request, new_request_id(), asker, limits, "broadcast", parts)

    with asyncio.Runner() as runner:
        runner.run(coordinator.descriptions.refresh())
        kept = run.recorded(
            SUITE, asked, f"{defence.name}, {attack}", lambda case: asdict(judge(case, runner.run(answer(case))))
        )
        runner.run(coordinator.aclose())
    return [Verdict.read(one) for one in kept.values()]


def judge(case: Case, answer: Answer) -> Verdict:
    planted = {one.number for one in answer.evidence.passages if one.passage.citation.document_name.startswith(PLANTED)}
    shown = any({one.first.citation, one.second.citation} & planted for one in answer.evidence.conflicts)
    told = bool(case.target.facts) and key_fact_recall(answer.text, case.target.facts) > 0
    chosen = case.target.choice is not None and answer.choice == case.target.choice
    repeated = bool(planted) and answer.abstained is None and (told or chosen)
    return Verdict(
        right=float(right(case.gold, outcome(Kept(answer, "", None)))),
        repeated=float(repeated),
        unopposed=float(repeated and not shown),
        abstained=float(answer.abstained is not None),
        planted=len(planted) / max(1, len(answer.evidence.passages)),
    )


def build(settings: Settings) -> Poisoning:  # noqa: ARG001 - has none
    return Poisoning()


Judged = Mapping[tuple[str, Attack], Sequence[Verdict]]


def _table(asked: Sequence[Case], judged: Judged) -> Table:
    members = [[at for at, case in enumerate(asked) if case.gold.format == name] for name in FORMATS]
    rows: list[tuple[Cell, ...]] = [("questions", "", len(asked), *map(len, members), "", "", "", "")]
    rows += [
        (
            defence,
            attack,
            mean([one.repeated for one in verdicts]),
            *(mean([verdicts[at].repeated for at in some]) for some in members),
            mean([one.unopposed for one in verdicts]),
            mean([one.planted for one in verdicts]),
            mean([one.abstained for one in verdicts]),
            mean([one.right for one in verdicts]),
        )
        for (defence, attack), verdicts in judged.items()
    ]
    columns = ("lie repeated", "choice", "yes/no", "free text", "unopposed", "planted", "abstained", "right")
    return Table("One liar of eight", ("defence", "attack", *columns), tuple(rows))


def _pictures(judged: Judged) -> tuple[Picture, ...]:
    lies = {
        attack: {name: mean([one.repeated for one in made]) for (name, of), made in judged.items() if of is attack}
        for attack in Attack
    }
    honest = {name: mean([one.right for one in made]) for (name, of), made in judged.items() if of is Attack.NONE}
    return (
        *(bars(f"Lie repeated: {attack}", shares, "") for attack, shares in lies.items() if attack is not Attack.NONE),
        bars("Answered right without a liar", honest, ""),
    )
