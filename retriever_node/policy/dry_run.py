"""What another policy would have released of what was: the audit log, once more, under other rules."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from fedrag.core.exchange import Processor, ProcessorPlace, Reader
from fedrag.core.identity import Purpose, Role
from fedrag.core.wire import NodeId, ReleaseClass
from retriever_node.policy import Grant, NodeAsker, PassageQuota
from retriever_node.policy.rules import Policy

NO_RULE: Final = "no rule"
UNKNOWN: Final = "not known"
"""Of a collection that is gone, or from before the log said of which it was."""
_PERIOD: Final = 30


@dataclass(frozen=True, slots=True)
class ByRule:
    """What a rule would have let out, or kept back of what left. `askers`: distinct pseudonyms; `text_bytes`: at most,
    where the rule lets out extracts."""

    rule: str
    passages: int
    text_bytes: int
    askers: int


@dataclass(frozen=True, slots=True)
class DryRun:
    """Over `requests` that were offered something or nothing, and `releases` with `passages` in them. `served`: how
    many of the requests some rule would have offered text to; what that would have been, nobody searched for."""

    days: int
    requests: int
    served: int
    releases: int
    passages: int
    released: tuple[ByRule, ...]
    waiting: tuple[ByRule, ...]
    withheld: tuple[ByRule, ...]


@dataclass(slots=True)
class _Counted:
    passages: Counter[str] = field(default_factory=Counter)
    text_bytes: Counter[str] = field(default_factory=Counter)
    askers: dict[str, set[str]] = field(default_factory=dict)

    def add(self, rule: str, asker: str, text_bytes: int) -> None:
        self.passages[rule] += 1
        self.text_bytes[rule] += text_bytes
        self.askers.setdefault(rule, set()).add(asker)

    def rows(self) -> tuple[ByRule, ...]:
        return tuple(
            ByRule(rule, passages, self.text_bytes[rule], len(self.askers[rule]))
            for rule, passages in sorted(self.passages.items())
        )


@dataclass(slots=True)
class _Quotas:
    """What the run has let out so far, as the ledger would have charged it."""

    sizes: Mapping[NodeId, int]
    by_day: Counter[tuple[str, ...]] = field(default_factory=Counter)
    latest: dict[tuple[NodeId, str], dict[int, int]] = field(default_factory=dict)

    def allows(self, passage: "_Left", asker: NodeAsker, quota: PassageQuota) -> bool:
        """Counts the passage where it does."""
        collection, day = passage.collection, passage.day

        def keys(day: int) -> tuple[tuple[str, ...], ...]:
            of = (collection, str(day))
            return (*of, "asker", asker.pseudonym), (*of, "project", asker.project or ""), of

        by_asker, by_project, everybody = keys(day)
        latest = self.latest.setdefault((collection, asker.pseudonym), {})
        month = sum(self.by_day[keys(one)[0]] for one in range(day - _PERIOD + 1, day + 1))
        distinct = sum(one > day - _PERIOD for one in latest.values()) + (passage.passage_id not in latest)
        share = quota.share_per_30_days
        for limit, used in (
            (quota.per_asker_per_day, self.by_day[by_asker] + 1),
            (quota.per_project_per_day if asker.project else None, self.by_day[by_project] + 1),
            (quota.per_day, self.by_day[everybody] + 1),
            (quota.per_asker_per_30_days, month + 1),
            (None if share is None else share * self.sizes.get(collection, 0), distinct),
        ):
            if limit is not None and used > limit:
                return False
        self.by_day.update((by_asker, by_project, everybody))
        latest[passage.passage_id] = day
        return True


@dataclass(frozen=True, slots=True)
class _Left:
    """A passage as a line of the log has it."""

    collection: NodeId
    passage_id: int
    text_bytes: int
    day: int


def dry_run(
    policy: Policy,
    collections: Mapping[NodeId, ReleaseClass],
    sizes: Mapping[NodeId, int],
    lines: Iterable[str],
    days: int,
    now: datetime,
) -> DryRun:
    """`lines`: of the audit log; `sizes`: passages of each collection. A passage beyond a quota is withheld by itself:
    the node would have refused the whole release."""
    requests = served = releases = passages = 0
    released, waiting, withheld = _Counted(), _Counted(), _Counted()
    quotas, seen = _Quotas(sizes), set[tuple[str, str, int]]()
    for line in lines:
        event = json.loads(line)
        at = datetime.fromisoformat(event["at"])
        if at < now - timedelta(days=days) or event["kind"] not in ("offers", "release"):
            continue
        asker = _asker(event)
        if event["kind"] == "offers":
            requests += 1
            served += any(policy.grant(one, kind, asker).offers for one, kind in collections.items())
            continue
        releases += 1
        processor = _processor(event["processor"])
        for left in _left(event, int(at.timestamp()) // 86_400):
            charge = (asker.pseudonym, str(event["request_id"]), left.passage_id)
            if charge in seen:  # asked for again, and charged once
                continue
            seen.add(charge)
            passages += 1
            kind = collections.get(left.collection)
            grant = None if kind is None else policy.grant(left.collection, kind, asker)
            rule = UNKNOWN if grant is None else grant.rule or NO_RULE
            if grant is None or not _lets_out(grant, processor):
                withheld.add(rule, asker.pseudonym, left.text_bytes)
            elif not quotas.allows(left, asker, grant.quota):
                withheld.add(f"{rule}, quota", asker.pseudonym, left.text_bytes)
            else:
                (waiting if grant.review else released).add(rule, asker.pseudonym, left.text_bytes)
    return DryRun(days, requests, served, releases, passages, released.rows(), waiting.rows(), withheld.rows())


def _lets_out(grant: Grant, processor: Processor | None) -> bool:
    return grant.release.text and processor is not None and grant.processors.allow(processor)


def _asker(event: Mapping[str, Any]) -> NodeAsker:
    role, project = event.get("role"), event.get("project")
    return NodeAsker(
        pseudonym=event["asker"],
        role=Role(role) if role else None,
        purpose=Purpose(event["purpose"]),
        issuer=event.get("issuer") or None,
        project=project or None,
    )


def _processor(written: str) -> Processor | None:
    """As `str(processor)` wrote it."""
    parts = [one.rpartition("@") for one in written.split(", ")]
    if not all(model for model, _, _ in parts):
        return None
    first, *others = (Reader(model=model, place=ProcessorPlace(place)) for model, _, place in parts)
    return Processor(model=first.model, place=first.place, others=tuple(others))


def _left(event: Mapping[str, Any], day: int) -> list[_Left]:
    """Of older lines neither the collections nor the bytes of each passage are known."""
    ids = event["passages"]
    collections = event.get("collections") or [""] * len(ids)
    sizes = event.get("passage_bytes") or [event["text_bytes"] // max(len(ids), 1)] * len(ids)
    return [_Left(*one, day) for one in zip(collections, ids, sizes, strict=True)]
