"""Why somebody is given what they are given: each rule about a collection, and the one that decides."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from retriever_node.config import CollectionConfig
from retriever_node.policy import Grant, Kind, NodeAsker, PassageQuota
from retriever_node.policy.rules import Policy, Rule

_LEAVES = {
    Kind.NOTHING: "nothing leaves",
    Kind.COUNT: "noisy counts of patients leave, no text",
    Kind.TRACE: "chains of thought of the hospital's own model leave, no passage",
    Kind.EXTRACT: "the sentences that bear on the question leave",
    Kind.REDACTED: "passages leave in their redacted form",
    Kind.PASSAGE: "passages leave",
}


@dataclass(frozen=True, slots=True)
class Considered:
    """A rule about the collection, with why it is not the one that decides; no reason: it decides."""

    rule: str
    line: int
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Explanation:
    """`decision` in words; `considered` in the order of the file, up to the rule that decides."""

    collection: str
    release_class: str
    decision: str
    conditions: tuple[str, ...]
    considered: tuple[Considered, ...]

    @property
    def denied(self) -> bool:
        return self.decision == _LEAVES[Kind.NOTHING]


def explain(policy: Policy, collection: CollectionConfig, asker: NodeAsker, lines: dict[str, int]) -> Explanation:
    """`lines`: name of a rule → where it stands in the file."""
    grant = policy.grant(collection.id, collection.release_class, asker)
    considered: list[Considered] = []
    for rule in policy.rules:
        if rule.covers(collection.id, collection.release_class):
            considered.append(Considered(rule.name, lines.get(rule.name, 1), tuple(_misses(rule, asker))))
            if rule.name == grant.rule:
                break
    decision = _LEAVES[grant.release]
    if grant.release is Kind.PASSAGE and collection.redacts:
        decision = _LEAVES[Kind.REDACTED]
    return Explanation(collection.id, collection.release_class, decision, tuple(_conditions(grant)), tuple(considered))


def sentences(explained: Explanation, path: str) -> Iterator[str]:
    """For a terminal, a line each."""
    yield f"{explained.collection} (class {explained.release_class}): {explained.decision}"
    for one in explained.considered:
        said = "; ".join(one.reasons) or "decides"
        yield f"  rule {one.rule!r}, line {one.line}: {said}"
    if not explained.considered:
        yield f"  no rule is about this collection or about class {explained.release_class}"
    for condition in explained.conditions:
        yield f"  {condition}"
    if explained.denied:
        yield f"  to change it: edit {path} (docs/policy.md), then fedrag-node policy check"


def _misses(rule: Rule, asker: NodeAsker) -> Iterator[str]:
    if rule.identified and asker.issuer is None:
        yield "is for askers with a token of a trusted issuer"
    for what, wanted, given in (
        ("issuer", rule.issuers, asker.issuer),
        ("role", rule.roles, asker.role),
        ("purpose", rule.purposes, asker.purpose),
        ("project", rule.projects, asker.project),
    ):
        if wanted is not None and given not in wanted:
            yield f"{what} {given or 'none'} is not among: {_listed(wanted)}"


def _conditions(grant: Grant) -> Iterator[str]:
    if grant.review:
        yield "after somebody of the hospital approved it"
    if grant.release.traces:
        yield f"for models in: {_listed(sorted(grant.processors.places))}"
        if grant.processors.models:
            yield f"for these models: {_listed(sorted(grant.processors.models))}"
    if grant.direct:
        yield "along with the offers, where that is asked for"
    if grant.cite_as is not None:
        yield f"cited as: {grant.cite_as}"
    if grant.release.counts:
        yield f"counts of at least {grant.floor} patients"
    yield from _limits(grant.quota) if grant.release.traces else ()


def _limits(quota: PassageQuota) -> Iterator[str]:
    for limit, what in (
        (quota.per_asker_per_day, "passages a day for each asker"),
        (quota.per_project_per_day, "passages a day for each project"),
        (quota.per_day, "passages a day for everybody together"),
        (quota.per_asker_per_30_days, "passages in 30 days for each asker"),
    ):
        if limit is not None:
            yield f"at most {limit} {what}"
    if quota.share_per_30_days is not None:
        yield f"at most {quota.share_per_30_days:.2%} of the collection in 30 days for each asker"


def _listed(names: Iterable[str]) -> str:
    return ", ".join(str(name) for name in names)
