"""Who is given what: the first rule that matches decides, and where none matches nothing leaves."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedrag.core.exchange import Processor, ProcessorPlace
from fedrag.core.identity import Purpose, Role
from fedrag.core.wire import ReleaseClass
from retriever_node.policy import NOTHING, Kind, NodeAsker
from retriever_node.policy.rules import DENYING, PATIENT_SHARE, Policy, Rule

PATIENT, PROTOCOL, PUBLIC = ReleaseClass.PATIENT, ReleaseClass.PROTOCOL, ReleaseClass.PUBLIC
DOCTOR = NodeAsker("d", Role.CLINICIAN, Purpose.TREATMENT, "hospital", "stroke")
RESEARCHER = NodeAsker("r", Role.RESEARCHER, Purpose.RESEARCH, "university", None)
ANYBODY = NodeAsker("coordinator:c", None, Purpose.UNSTATED, None)
ASKERS = (DOCTOR, RESEARCHER, ANYBODY)


def policy(*rules: dict) -> Policy:
    return Policy.of(Rule.model_validate({"name": f"rule-{at}", **rule}) for at, rule in enumerate(rules))


@pytest.mark.parametrize(
    ("narrowed", "matches"),
    [
        ({}, (True, True, True)),
        ({"identified": True}, (True, True, False)),
        ({"issuers": ("hospital",)}, (True, False, False)),
        ({"roles": ("clinician", "patient")}, (True, False, False)),
        ({"purposes": ("research", "unstated")}, (False, True, True)),
        ({"projects": ("stroke",)}, (True, False, False)),
        ({"roles": ("clinician",), "purposes": ("research",)}, (False, False, False)),
        ({"identified": True, "purposes": ("unstated",)}, (False, False, False)),
    ],
)
def test_a_rule_matches_whom_every_key_of_it_lets_through(narrowed, matches) -> None:
    """Doctor, researcher, and whoever asks without a token."""
    decided = policy({"classes": ("protocol",), "release": "passage", **narrowed})
    found = tuple(decided.grant("c", PROTOCOL, asker).release is Kind.PASSAGE for asker in ASKERS)
    assert found == matches


@pytest.mark.parametrize(
    ("about", "collection", "release_class", "covered"),
    [
        ({"classes": ("public",)}, "a", PUBLIC, True),
        ({"classes": ("public",)}, "a", PROTOCOL, False),
        ({"collections": ("a",)}, "a", PROTOCOL, True),
        ({"collections": ("a",)}, "b", PROTOCOL, False),
        ({"classes": ("public",), "collections": ("a",)}, "a", PROTOCOL, False),
        ({"classes": ("public",), "collections": ("a",)}, "b", PUBLIC, False),
        ({"classes": ("public",), "collections": ("a",)}, "a", PUBLIC, True),
    ],
)
def test_a_rule_is_about_these_classes_among_these_collections(about, collection, release_class, covered) -> None:
    """Both keys narrow."""
    decided = policy({**about, "release": "passage"})
    assert (decided.grant(collection, release_class, ANYBODY) != NOTHING) is covered


def test_the_first_match_decides_whatever_stands_behind_it() -> None:
    """A denial above a permission denies, one below does nothing, and so with less above more."""
    deny = {"collections": ("psychiatry",), "release": "nothing"}
    little = {"classes": ("protocol",), "roles": ("researcher",), "release": "extract"}
    much = {"classes": ("protocol",), "release": "passage"}
    decided = policy(deny, little, much)
    assert decided.grant("psychiatry", PROTOCOL, DOCTOR).rule == "rule-0"
    assert decided.grant("cardiology", PROTOCOL, RESEARCHER).release is Kind.EXTRACT
    assert decided.grant("cardiology", PROTOCOL, DOCTOR).release is Kind.PASSAGE
    assert policy(much, deny, little).grant("psychiatry", PROTOCOL, RESEARCHER).release is Kind.PASSAGE


@given(st.permutations([("public",), ("protocol",)]), st.sampled_from(ASKERS))
def test_no_rules_no_release(classes, asker) -> None:
    """Rules about other classes give nothing for `patient`, and neither does the policy that is in force while the file
    cannot be read."""
    decided = policy(*({"classes": one, "release": "passage"} for one in classes))
    for one in (decided, DENYING):
        assert one.grant("records", PATIENT, asker) == NOTHING
        assert not one.describes("records", PATIENT)
    assert NOTHING.release is Kind.NOTHING
    assert not NOTHING.offers
    assert not any(NOTHING.processors.allow(Processor(model="m", place=place)) for place in ProcessorPlace)


def test_what_a_kind_includes() -> None:
    """Text from extracts on, chains of thought from traces on, counts from counts; with review nothing is offered."""
    assert [kind.text for kind in Kind] == [False, False, False, True, True, True]
    assert [kind.traces for kind in Kind] == [False, False, True, True, True, True]
    assert [kind.counts for kind in Kind] == [False, True, True, True, True, True]
    offered = policy({"classes": ("patient",), "release": "redacted", "review": True}).grant("c", PATIENT, DOCTOR)
    assert (offered.release.text, offered.offers) == (True, False)


@pytest.mark.parametrize(
    ("place", "model", "allowed"),
    [
        ("coordinator", "m", True),
        ("trust_domain", "m", True),
        ("outside", "m", False),
        ("coordinator", "other", False),
    ],
)
def test_processors_are_places_and_models(place, model, allowed) -> None:
    """By default inside the trust domain; where models are named, these alone."""
    grant = policy({"classes": ("public",), "release": "passage", "models": ("m",)}).grant("c", PUBLIC, DOCTOR)
    assert grant.processors.allow(Processor(model=model, place=ProcessorPlace(place))) is allowed


def test_patient_text_has_a_share_unless_the_rule_says_which() -> None:
    """Two per cent in thirty days for class `patient`, and for no other class."""
    rule = {"classes": ("patient", "protocol"), "purposes": ("treatment",), "release": "redacted"}
    assert policy(rule).grant("c", PATIENT, DOCTOR).quota.share_per_30_days == PATIENT_SHARE == 0.02
    assert policy(rule).grant("c", PROTOCOL, DOCTOR).quota.share_per_30_days is None
    said = {**rule, "quota": {"share_per_30_days": 0.5}}
    assert policy(said).grant("c", PATIENT, DOCTOR).quota.share_per_30_days == 0.5


@pytest.mark.parametrize(
    ("rules", "describes", "releases", "shows"),
    [
        ((), False, False, False),
        (({"release": "nothing"}, {"release": "passage"}), False, False, False),
        (({"release": "nothing", "roles": ("patient",)}, {"release": "passage"}), True, True, True),
        (({"release": "count"},), False, True, False),
        (({"release": "count", "identified": True}, {"release": "extract"}), True, True, False),
        (({"release": "redacted", "review": True},), True, True, False),
        (({"release": "passage", "review": True},), True, True, False),
    ],
)
def test_what_is_told_of_a_collection_follows_from_what_anybody_could_get(rules, describes, releases, shows) -> None:
    """A rule for everyone ends the matter; rules behind it are never asked."""
    decided = policy(*({"classes": ("protocol",), **rule} for rule in rules))
    told = (decided.describes("c", PROTOCOL), decided.releases("c", PROTOCOL), decided.shows("c", PROTOCOL))
    assert told == (describes, releases, shows)


def test_the_version_is_of_the_rules_and_their_order() -> None:
    """Equal for equal rules; another for any other key or another order."""
    one, two = {"classes": ("public",), "release": "passage"}, {"classes": ("protocol",), "release": "passage"}
    changed = [
        policy(one, two),
        policy({**one, "floor": 12}, two),
        policy({**one, "direct": True}, two),
        policy({**one, "quota": {"per_day": 1}}, two),
        policy(two, one),
        policy(one),
        policy(),
    ]
    assert policy(one, two).version == policy(one, two).version
    assert all(a.version != b.version for a, b in itertools.combinations(changed, 2))
