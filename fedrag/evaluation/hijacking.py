"""Hospitals that describe what they do not hold, and what comes of it, question by question.

The descriptions, the policy and the trust are the product's; hospitals search exactly. A malicious hospital keeps its
own documents and answers from them: what it forges is the description.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final, Self

import numpy as np

from fedrag.core.collection import CollectionDescription, EncoderIdentity, Prototype
from fedrag.core.protocols import RoutingLimits, RoutingPolicy
from fedrag.core.wire import FloatMatrix, FloatVector, NodeId, encode_vector
from fedrag.evaluation.baselines.tasr import Tasr
from fedrag.evaluation.simulation import description_of
from fedrag.probes import about
from router.policies.mixture import MixtureRouting, Settings
from router.trust import BEST, Sighting, Standing, Trust, sighting
from router.trusted import Trusted, claims_of

K: Final = 10
PROXIES: Final = 100
"""Public passages of the target's topics, of which a description is forged."""
INFLATED: Final = 10
"""Times as many passages as it holds are claimed."""
ADDED: Final = 4
"""One forged passage is claimed for so many true ones, where true claims are kept."""
EVERY: Final = 10
"""One probe to every hospital after so many questions."""
MOST: Final = 100
"""Questions of a target."""


class Forgery(StrEnum):
    MEAN = "mean of the questions"
    """The normalised mean of the very questions that will be asked: the best single vector."""
    PROXIES = "prototypes of 100 public passages"
    ADDED = "true prototypes, and forged ones besides"
    WORDS = "text alone"


@dataclass(frozen=True, slots=True)
class World:
    """Hospitals with their documents, the questions, and the coordinator's public ones (`pool`). Unit vectors.

    `relevant[i]`: which hospitals hold what is relevant to question i; `released_by[i]`: whose document's title the
    i-th public question is, None of the shipped list: nobody is audited with its own.
    """

    encoder: EncoderIdentity
    nodes: tuple[NodeId, ...]
    held: Mapping[NodeId, FloatMatrix]
    questions: FloatMatrix
    relevant: tuple[frozenset[NodeId], ...]
    pool: FloatMatrix
    released_by: tuple[NodeId | None, ...] = ()
    _best: dict[tuple[NodeId, str], FloatMatrix] = field(default_factory=dict, init=False)
    _described: dict[NodeId, CollectionDescription] = field(default_factory=dict, init=False)

    def best(self, node: NodeId, which: str) -> FloatMatrix:
        """Similarities of the hospital's first ten to every question, or probe: float32 (rows, 10), best first."""
        if (node, which) not in self._best:
            rows = self.questions if which == "questions" else self.pool
            similarities = rows @ self.held[node].T
            first = min(K, similarities.shape[1])
            self._best[node, which] = -np.partition(-similarities, first - 1, axis=1)[:, :first]
            self._best[node, which] = -np.sort(-self._best[node, which], axis=1)
        return self._best[node, which]

    def holds(self, question: int, node: NodeId) -> bool:
        """Whether one of the ten nearest passages of all hospitals is its own, or one that is relevant."""
        others = np.concatenate([self.best(one, "questions")[question] for one in self.nodes])
        tenth = np.partition(others, -K)[-K]
        return node in self.relevant[question] or bool(self.best(node, "questions")[question, 0] >= tenth)

    def honest(self) -> dict[NodeId, CollectionDescription]:
        for node in self.nodes:
            if node not in self._described:
                self._described[node] = description_of(node, self.held[node], self.encoder)
        return dict(self._described)

    def seen(
        self, row: int, which: str, asked: Sequence[NodeId], instead: Mapping[NodeId, FloatMatrix] | None = None
    ) -> Sighting:
        """What the hospitals asked show. `instead`: documents that a hospital answers from this time."""
        query = (self.questions if which == "questions" else self.pool)[row]
        shown = {
            node: np.sort(instead[node] @ query)[::-1] if instead and node in instead else self.best(node, which)[row]
            for node in asked
        }
        return sighting(query, shown)


@dataclass(frozen=True, slots=True)
class Attack:
    """Some hospitals, whose organisation is one where `together`, claim the topics of `target`. `late`: they are honest
    until after the audit. `recognised`: the share of probes that they know for probes, and answer with documents of the
    target's topics."""

    malicious: tuple[NodeId, ...]
    target: NodeId
    forgery: Forgery
    late: bool = False
    together: bool = False
    recognised: float = 0.0


@dataclass(frozen=True, slots=True)
class Course:
    """Of every question, in order: the ranking, and who was asked."""

    rankings: tuple[tuple[NodeId, ...], ...]
    asked: tuple[tuple[NodeId, ...], ...]

    def hijacked(self, malicious: Sequence[NodeId], first: int) -> list[float]:
        return [float(bool({*ranking[:first]} & {*malicious})) for ranking in self.rankings]

    def reached(self, malicious: Sequence[NodeId]) -> list[float]:
        return [float(bool({*asked} & {*malicious})) for asked in self.asked]


def forged(
    world: World, attack: Attack, questions: Sequence[int], random: np.random.Generator
) -> dict[NodeId, CollectionDescription]:
    """What every hospital says of itself under this attack."""
    said = world.honest()
    for node in attack.malicious:
        own, honest = world.held[node], said[node]
        proxies = world.held[attack.target]
        proxies = proxies[np.sort(random.permutation(len(proxies))[:PROXIES])]
        claimed: tuple[Prototype, ...] = ()
        copied = description_of(node, proxies, world.encoder).prototypes
        if attack.forgery is Forgery.MEAN:
            mean = world.questions[list(questions)].mean(axis=0)
            vector = encode_vector((mean / np.linalg.norm(mean)).astype(np.float32))
            claimed = (copied[0].model_copy(update={"vector": vector, "mass": INFLATED * len(own)}),)
        elif attack.forgery is Forgery.PROXIES:
            scale = INFLATED * len(own) / len(proxies)
            claimed = tuple(one.model_copy(update={"mass": max(1, round(scale * one.mass))}) for one in copied)
        elif attack.forgery is Forgery.ADDED:
            scale = len(own) / ADDED / len(proxies)
            more = tuple(one.model_copy(update={"mass": max(1, round(scale * one.mass))}) for one in copied)
            claimed = (*honest.prototypes, *more)
        passages = sum(one.mass for one in claimed) or INFLATED * len(own)
        text = attack.target if attack.forgery is Forgery.WORDS else ""
        said[node] = honest.model_copy(update={"prototypes": claimed, "passages": passages, "text": text, "version": 2})
    return said


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

    def describe(self, said: Mapping[NodeId, CollectionDescription]) -> None:
        self.said = said
        world = self.world
        claims = claims_of(tuple(said.values()), world.encoder.comparable_with, world.encoder.dimension)
        self.trust = self.trust.described(claims)

    def audit(self, nodes: Sequence[NodeId]) -> int:
        """Probes about what each of these claims, put to everyone. Returns their number."""
        used: set[int] = set()
        for node in nodes:
            own = {row for row, owner in enumerate(self.world.released_by) if owner == node}
            rows = about(self.trust.records[node], self.world.pool, used | own)
            used.update(rows)
            for row in rows:
                self.probe(row)
        return len(used)

    def probe(self, row: int) -> None:
        instead = self.deceit if self.deceit and self.random.random() < self.recognised else None
        self.trust = self.trust.after(self.world.seen(row, "pool", tuple(self.said), instead), probe=True)

    def ask(self, question: int) -> tuple[tuple[NodeId, ...], tuple[NodeId, ...]]:
        """Ranking and who was asked; what came of it counts from the next question on."""
        world, described_now = self.world, tuple(self.said.values())
        limits = RoutingLimits(maximum_nodes=len(described_now), passages=K)
        means, query = world.encoder.comparable_with, world.questions[question]
        decision = Trusted(self.policy, self.trust).route(query, means, described_now, limits)
        seen = world.seen(question, "questions", decision.selected)
        self.trust = self.trust.after(seen, probe=False)
        return tuple(one.node for one in decision.ranking), decision.selected

    def run(self, questions: Sequence[int]) -> Course:
        made = []
        for number, question in enumerate(questions, start=1):
            made.append(self.ask(question))
            if number % EVERY == 0:
                self.probe(int(self.random.integers(len(self.world.pool))))
        return Course(tuple(one for one, _ in made), tuple(one for _, one in made))


def defended(world: World, attack: Attack, questions: Sequence[int], seed: int) -> tuple[Course, Trust]:
    random = np.random.default_rng(seed)
    said = forged(world, attack, questions, random)
    organisations = dict.fromkeys(attack.malicious, "one-organisation") if attack.together else {}
    start = world.honest() if attack.late else said
    made = Federation.of(world, start, policy_of(world, attack, questions), random, organisations)
    made.recognised = attack.recognised
    if attack.recognised:
        made.deceit = dict.fromkeys(attack.malicious, world.held[attack.target])
    made.audit(world.nodes)
    if attack.late:
        made.describe(said)
    return made.run(questions), made.trust


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


def targets(world: World, target: NodeId, malicious: Sequence[NodeId], random: np.random.Generator) -> list[int]:
    """Questions that the target holds something relevant to, and the malicious hospitals nothing that is among the ten
    nearest, in a random order."""
    own = [at for at, relevant in enumerate(world.relevant) if target in relevant]
    free = [at for at in own if not any(world.holds(at, node) for node in malicious)]
    return [int(at) for at in random.permutation(free)[:MOST]]


@dataclass(frozen=True, slots=True)
class Newcomer:
    """`before`: questions on its own topics until the one it is chosen for by what is believed of it; None: never.
    `probes`: put to the hospitals for that."""

    node: NodeId
    before: int | None
    probes: int
    questions: int


def without(world: World, node: NodeId) -> Trust:
    """What is known of all others after their audit."""
    others = {one: said for one, said in world.honest().items() if one != node}
    made = Federation.of(world, others, policy_of(world), np.random.default_rng(0))
    made.audit(tuple(others))
    return made.trust


def newcomer(world: World, node: NodeId, known: Trust, *, probed: bool, seed: int, documents: int = 100) -> Newcomer:
    """A hospital joins seven that are `known`, with at most so many documents; it is asked about these. `probed`: it is
    audited when it joins, else it shows what it has at ordinary questions."""
    random = np.random.default_rng(seed)
    held = world.held[node]
    own = held[np.sort(random.permutation(len(held))[:documents])]
    small = replace(world, held={**world.held, node: own})
    small._best.update({key: best for key, best in world._best.items() if key[0] != node})
    small._described.update({one: said for one, said in world.honest().items() if one != node})
    said = small.honest()
    made = Federation(small, policy_of(small), known, said, random)
    made.describe(said)
    probes = made.audit((node,)) if probed else 0
    nearest = [at for at in range(len(small.questions)) if _nearest(small, at) == node]
    questions = [int(at) for at in random.permutation(nearest)[:MOST]]
    for number, question in enumerate(questions):
        believed = made.trust.standing(node) is Standing.BELIEVED
        _, asked = made.ask(question)
        if believed and node in asked:
            return Newcomer(node, number, probes, len(questions))
    return Newcomer(node, None, probes, len(questions))


def _nearest(world: World, question: int) -> NodeId:
    return max(world.nodes, key=lambda node: float(world.best(node, "questions")[question, 0]))


def honest_recall(world: World, questions: Sequence[int], seed: int) -> tuple[list[float], list[float], Trust]:
    """Of every question the share of the ten nearest passages that the hospitals asked hold: believing every
    description, and believing what was seen, from the first question after the audit on. And what is known then."""
    said = tuple(world.honest().values())
    limits, means = RoutingLimits(maximum_nodes=len(said), passages=K), world.encoder.comparable_with
    policy = policy_of(world)
    believing = [policy.route(world.questions[at], means, said, limits).selected for at in questions]
    made = Federation.of(world, world.honest(), policy, np.random.default_rng(seed))
    made.audit(world.nodes)
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
