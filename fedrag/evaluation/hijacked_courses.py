"""What comes of descriptions that may be forged, question by question.

The descriptions, the policy and the trust are the product's.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Final, Self

import numpy as np

from fedrag.core.collection import CollectionDescription
from fedrag.core.protocols import RoutingLimits, RoutingPolicy
from fedrag.core.wire import FloatMatrix, FloatVector, NodeId
from fedrag.evaluation.baselines.tasr import Tasr
from fedrag.evaluation.hijacking import Attack, Forgery, K, World, forged
from fedrag.probes import about
from router.believed import claims_of
from router.policies.mixture import MixtureRouting, Settings
from router.trust import BEST, Trust
from router.trusted import Trusted

EVERY: Final = 10
"""One probe, of one hospital's claims, after so many questions."""


@dataclass(frozen=True, slots=True)
class Course:
    """Of every question, in order: the ranking, and who was asked."""

    rankings: tuple[tuple[NodeId, ...], ...]
    asked: tuple[tuple[NodeId, ...], ...]

    def hijacked(self, malicious: Sequence[NodeId], first: int) -> list[int]:
        return [int(bool({*ranking[:first]} & {*malicious})) for ranking in self.rankings]

    def reached(self, malicious: Sequence[NodeId]) -> list[int]:
        return [int(bool({*asked} & {*malicious})) for asked in self.asked]


@dataclass(slots=True)
class Federation:
    """Ours, on its way through questions."""

    world: World
    policy: RoutingPolicy
    trust: Trust
    said: Mapping[NodeId, CollectionDescription]
    random: np.random.Generator
    recognised: float = 0.0
    deceit: Mapping[NodeId, FloatMatrix] = field(default_factory=dict)
    used: set[int] = field(default_factory=set)
    given: Trust = field(init=False)
    routing: Trusted = field(init=False)

    def __post_init__(self) -> None:
        self.given, self.routing = self.trust, Trusted(self.policy, self.trust)

    @classmethod
    def of(
        cls,
        world: World,
        said: Mapping[NodeId, CollectionDescription],
        policy: RoutingPolicy,
        random: np.random.Generator,
        organisations: Mapping[NodeId, str] | None = None,
    ) -> Self:
        made = cls(world, policy, Trust({}, organisations or {}), said, random)
        made.describe(said)
        return made

    def joined(
        self,
        world: World,
        said: Mapping[NodeId, CollectionDescription],
        policy: RoutingPolicy,
        random: np.random.Generator,
    ) -> "Federation":
        """Another that begins with what is known here, when hospitals describe themselves so."""
        made = Federation(world, policy, self.trust, said, random, used={*self.used})
        made.describe(said)
        return made

    def describe(self, said: Mapping[NodeId, CollectionDescription]) -> None:
        self.said, world = said, self.world
        claims = claims_of(tuple(said.values()), world.encoder.comparable_with, world.encoder.dimension)
        self.trust = self.trust.described(claims)

    def audit(self, nodes: Sequence[NodeId], wanted: int | None = None) -> int:
        """Probes about what each of these claims, put to everyone: at most `wanted` of each, none twice. Returns their
        number."""
        number = 0
        for node in nodes:
            own = {row for row, owner in enumerate(self.world.released_by) if owner == node}
            rows = about(self.trust.records[node], self.world.pool, self.used | own, wanted)
            self.used |= {*rows}
            number += len(rows)
            for row in rows:
                self.probe(row, node)
        return number

    def probe(self, row: int, about: NodeId) -> None:
        instead = self.deceit if self.deceit and self.random.random() < self.recognised else None
        self.trust = self.trust.after(self.world.seen(row, "pool", tuple(self.said), instead), about=about)

    def ask(self, question: int) -> tuple[tuple[NodeId, ...], tuple[NodeId, ...]]:
        """Ranking and who was asked; what came of it counts from the next question on."""
        world, described_now = self.world, tuple(self.said.values())
        limits = RoutingLimits(maximum_nodes=len(described_now), passages=K)
        means, query = world.encoder.comparable_with, world.questions[question]
        if not self.trust.counts_as(self.given):
            self.given = self.trust
        self.routing = self.routing.trusting(self.given)
        decision = self.routing.route(query, means, described_now, limits)
        seen = world.seen(question, "questions", decision.selected)
        self.trust = self.trust.after(seen)
        return tuple(one.node for one in decision.ranking), decision.selected

    def run(self, questions: Sequence[int]) -> Course:
        made = []
        for number, question in enumerate(questions, start=1):
            made.append(self.ask(question))
            if number % EVERY == 0:
                nodes = tuple(self.said)
                self.audit((nodes[int(self.random.integers(len(nodes)))],), wanted=1)
        return Course(tuple(one for one, _ in made), tuple(one for _, one in made))


def defended(world: World, attack: Attack, questions: Sequence[int], seed: int) -> tuple[Course, Trust]:
    random = np.random.default_rng(seed)
    said = forged(world, attack, questions, random)
    organisations = dict.fromkeys(attack.malicious, "one-organisation") if attack.together else {}
    policy = policy_of(world, attack, questions)
    if attack.late:
        made = audited(world).joined(world, said, policy, random)
        made.trust = replace(made.trust, organisations=organisations)
    else:
        made = Federation.of(world, said, policy, random, organisations)
        made.recognised = attack.recognised
        if attack.recognised:
            made.deceit = dict.fromkeys(attack.malicious, world.held[attack.target])
        made.audit(world.nodes)
    return made.run(questions), made.trust


@cache
def audited(world: World, without: NodeId | None = None) -> Federation:
    """Hospitals, all but one, that forge nothing, after their audit."""
    said = {node: one for node, one in world.honest().items() if node != without}
    made = Federation.of(world, said, policy_of(world), np.random.default_rng(0))
    made.audit(tuple(said))
    return made


def undefended(world: World, attack: Attack, questions: Sequence[int], seed: int) -> Course:
    said = tuple(forged(world, attack, questions, np.random.default_rng(seed)).values())
    limits, means = RoutingLimits(maximum_nodes=len(said), passages=K), world.encoder.comparable_with
    policy = policy_of(world, attack, questions)
    decisions = [policy.route(world.questions[question], means, said, limits) for question in questions]
    return Course(
        tuple(tuple(one.node for one in decision.ranking) for decision in decisions),
        tuple(decision.selected for decision in decisions),
    )


def by_tasr(world: World, attack: Attack, questions: Sequence[int], seed: int) -> Course | None:
    """None where it has no rule: for a description in words."""
    if attack.forgery is Forgery.WORDS:
        return None
    said = forged(world, attack, questions, np.random.default_rng(seed))
    claims = claims_of(tuple(said.values()), world.encoder.comparable_with, world.encoder.dimension)
    tasr, made = Tasr.of({node: one.vectors for node, one in claims.items()}), []
    for question in questions:
        query = world.questions[question]
        asked = tasr.asked(query)
        made.append((tasr.ranking(query), asked))
        tasr.learn(query, {node: _first(world.held[node], query) for node in asked})
    return Course(tuple(one for one, _ in made), tuple(one for _, one in made))


def _first(documents: FloatMatrix, query: FloatVector) -> FloatMatrix:
    return documents[np.argsort(-(documents @ query), kind="stable")[:BEST]]


def policy_of(world: World, attack: Attack | None = None, questions: Sequence[int] = ()) -> MixtureRouting:
    """The product's, without exploration of its own. A description in words is as like the questions as their mean."""
    policy = MixtureRouting(Settings(exploration=0, told=len(world.nodes)))
    if attack is None or attack.forgery is not Forgery.WORDS:
        return policy
    mean = world.questions[list(questions)].mean(axis=0)
    return policy.informed_by(None, {attack.target: (mean / np.linalg.norm(mean)).astype(np.float32)})


def honest_recall(world: World, questions: Sequence[int], seed: int) -> tuple[list[float], list[float], Trust]:
    """Of every question the share of the ten nearest passages that the hospitals asked hold: believing every
    description, and believing what was seen, from the first question after the audit on. And what is known then."""
    said = tuple(world.honest().values())
    limits, means = RoutingLimits(maximum_nodes=len(said), passages=K), world.encoder.comparable_with
    policy = policy_of(world)
    believing = [policy.route(world.questions[at], means, said, limits).selected for at in questions]
    made = audited(world).joined(world, world.honest(), policy, np.random.default_rng(seed))
    course = made.run(questions)
    found = [
        [_share(world, at, asked) for at, asked in zip(questions, chosen, strict=True)]
        for chosen in (believing, course.asked)
    ]
    return found[0], found[1], made.trust


def _share(world: World, question: int, asked: Sequence[NodeId]) -> float:
    values = np.concatenate([world.best(node, "questions")[question] for node in world.nodes])
    owners = np.repeat(np.arange(len(world.nodes)), [world.best(node, "questions").shape[1] for node in world.nodes])
    first = owners[np.argsort(-values, kind="stable")[:K]]
    return float(np.isin(first, [world.nodes.index(node) for node in asked]).mean())


def honestly(world: World, questions: Sequence[int]) -> Course:
    """Nobody forges anything, and every description is believed."""
    said = tuple(world.honest().values())
    limits, means = RoutingLimits(maximum_nodes=len(said), passages=K), world.encoder.comparable_with
    policy = policy_of(world)
    decisions = [policy.route(world.questions[at], means, said, limits) for at in questions]
    return Course(
        tuple(tuple(one.node for one in decision.ranking) for decision in decisions),
        tuple(decision.selected for decision in decisions),
    )
