"""The audit log under other rules. Oracle: small logs counted by hand, and the node itself under the changed policy."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from fedrag.core.wire import ReleaseClass
from retriever_node.policy.dry_run import ByRule, dry_run
from retriever_node.policy.rules import Policy, Rule

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
COLLECTIONS = {"ward": ReleaseClass.PROTOCOL, "records": ReleaseClass.PATIENT}


def policy(*rules: dict) -> Policy:
    return Policy.of(Rule.model_validate({"name": f"rule-{at}", **rule}) for at, rule in enumerate(rules))


def line(kind: str = "release", **fields: object) -> str:
    """An hour ago, to a clinician who treats."""
    event = {
        "at": (NOW - timedelta(hours=1)).isoformat(), "kind": kind, "request_id": "r", "asker": "a",
        "purpose": "treatment", "coordinator": "c", "processor": "m@coordinator", "passages": [], "text_bytes": 0,
        "role": "clinician", "issuer": "i",
    }  # fmt: skip
    return json.dumps(event | fields)


def released(asker: str, request: str, collection: str, *passages: int, **fields: object) -> str:
    """Passages of ten bytes."""
    return line(
        asker=asker, request_id=request, passages=passages, text_bytes=10 * len(passages),
        collections=[collection] * len(passages), passage_bytes=[10] * len(passages), **fields,
    )  # fmt: skip


def run(changed: Policy, *lines: str, days: int = 7):
    return dry_run(changed, COLLECTIONS, {"ward": 100, "records": 100}, lines, days, NOW)


EVERYONE = {"classes": ("protocol",), "release": "passage"}


def test_the_same_rules_let_out_the_same() -> None:
    """Passages, bytes, askers and releases are those of the log."""
    found = run(policy(EVERYONE), released("a", "1", "ward", 1, 2), released("b", "2", "ward", 3), line("offers"))
    assert found.released == (ByRule("rule-0", 3, 30, 2),)
    assert (found.requests, found.served, found.releases, found.passages) == (1, 1, 2, 3)
    assert found.waiting == found.withheld == ()


@pytest.mark.parametrize(
    ("rule", "released_rows", "waiting", "withheld"),
    [
        ({"release": "nothing"}, (), (), (ByRule("rule-0", 2, 20, 1),)),
        ({"release": "count"}, (), (), (ByRule("rule-0", 2, 20, 1),)),
        ({"release": "passage", "roles": ("researcher",)}, (), (), (ByRule("no rule", 2, 20, 1),)),
        ({"release": "passage", "places": ("outside",)}, (), (), (ByRule("rule-0", 2, 20, 1),)),
        ({"release": "passage", "models": ("other",)}, (), (), (ByRule("rule-0", 2, 20, 1),)),
        ({"release": "passage", "review": True}, (), (ByRule("rule-0", 2, 20, 1),), ()),
        ({"release": "passage", "projects": ("p",)}, (), (), (ByRule("no rule", 2, 20, 1),)),
        (
            {"release": "passage", "quota": {"per_asker_per_day": 1}},
            (ByRule("rule-0", 1, 10, 1),),
            (),
            (ByRule("rule-0, quota", 1, 10, 1),),
        ),
    ],
)
def test_stricter_rules_keep_back(rule, released_rows, waiting, withheld) -> None:
    """Two passages left; which rule would have kept them back, and how."""
    found = run(policy({"classes": ("protocol",), **rule}), released("a", "1", "ward", 1, 2))
    assert (found.released, found.waiting, found.withheld) == (released_rows, waiting, withheld)


@pytest.mark.parametrize(
    ("quota", "lines", "left"),
    [
        ({"per_project_per_day": 2}, [("a", 1, 2), ("b", 3, 4)], 2),
        ({"per_day": 3}, [("a", 1, 2), ("b", 3, 4)], 3),
        ({"per_asker_per_day": 1}, [("a", 1, 2), ("b", 3, 4)], 2),
        ({"per_asker_per_30_days": 3}, [("a", 1, 2), ("a", 1, 2)], 3),
        ({"share_per_30_days": 0.02}, [("a", 1, 2), ("a", 1, 2), ("a", 3)], 4),
    ],
)
def test_quotas_count_as_the_ledger_does(quota, lines, left: int) -> None:
    """By asker, project and everybody; a share counts distinct passages."""
    logged = [released(asker, str(at), "ward", *passages, project="p") for at, (asker, *passages) in enumerate(lines)]
    found = run(policy({**EVERYONE, "quota": quota}), *logged)
    assert sum(row.passages for row in found.released) == left


def test_a_day_is_a_new_quota_and_a_repeated_request_costs_nothing() -> None:
    """Yesterday's passages leave today's room; the same request again is one charge."""
    yesterday = (NOW - timedelta(days=1)).isoformat()
    changed = policy({**EVERYONE, "quota": {"per_asker_per_day": 1}})
    found = run(changed, released("a", "1", "ward", 1, at=yesterday), *[released("a", "2", "ward", 2)] * 3)
    assert (found.released, found.withheld) == ((ByRule("rule-0", 2, 20, 1),), ())


def test_only_the_days_asked_for_count() -> None:
    """Older lines, and lines of other kinds, are passed over."""
    old = (NOW - timedelta(days=8)).isoformat()
    lines = (released("a", "1", "ward", 1, at=old), line("policy", purpose=""), line("restored", purpose="backup of x"))
    assert run(policy(EVERYONE), *lines).passages == 0
    assert run(policy(EVERYONE), *lines, days=9).passages == 1


def test_a_more_generous_rule_is_told_by_whom_it_would_serve() -> None:
    """What it would have found nobody knows: requests are counted, passages are not made up."""
    generous = policy(EVERYONE, {"classes": ("patient",), "purposes": ("treatment",), "release": "redacted"})
    lines = (line("offers"), line("offers", purpose="research"), line("offers", role="", issuer="", purpose="unstated"))
    asked = dry_run(generous, {"records": ReleaseClass.PATIENT}, {}, lines, 7, NOW)
    assert (asked.requests, asked.served, asked.passages) == (3, 1, 0)


def test_lines_from_before_collections_were_logged_are_not_guessed_at() -> None:
    """Withheld under a name of their own."""
    old = json.dumps(
        {key: value for key, value in json.loads(line(passages=[1, 2], text_bytes=9)).items() if key != "x"}
    )
    found = run(policy(EVERYONE), old, released("a", "9", "gone", 7))
    assert found.released == ()
    assert found.withheld == (ByRule("not known", 3, 18, 1),)
