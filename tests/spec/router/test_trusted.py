"""What a policy is shown of descriptions, and what routing makes of hospitals that are not believed."""

from datetime import UTC, datetime

import numpy as np
import pytest

from fedrag.core.collection import CollectionDescription, EncoderIdentity, Prototype
from fedrag.core.protocols import RoutingLimits
from fedrag.core.wire import encode_vector
from router.believed import claims_of
from router.policies.mixture import MixtureRouting, Settings
from router.trust import Trust
from router.trusted import Trusted

ENCODER = EncoderIdentity(
    name="made", weights_sha256="0" * 64, precision="fp32", dimension=8, maximum_tokens=8, languages=("en",)
)
MEANS = ENCODER.comparable_with
LIMITS = RoutingLimits(maximum_nodes=4, passages=10)
AXES = np.eye(8, dtype=np.float32)


def described(at: int) -> CollectionDescription:
    return CollectionDescription(
        node=f"hospital-{at}",
        collection="guidelines",
        version=1,
        encoder=ENCODER,
        release_class="public",
        passages=40,
        prototypes=(Prototype(vector=encode_vector(0.8 * AXES[at]), mass=40, spread=0.1),),
        described_at=datetime(2026, 1, 1, tzinfo=UTC),
    )


@pytest.fixture
def collections() -> tuple[CollectionDescription, ...]:
    return tuple(map(described, range(4)))


def test_those_vouched_for_are_asked_as_if_descriptions_were_believed(collections) -> None:
    """The same decision, word for word, from the first question on."""
    claims = claims_of(collections, MEANS, 8)
    policy = MixtureRouting(Settings())
    trusted = Trusted(policy, Trust().described(claims, vouched=claims))
    for question in AXES[:6]:
        assert trusted.route(question, MEANS, collections, LIMITS) == policy.route(question, MEANS, collections, LIMITS)


def test_who_is_in_audit_comes_last_and_takes_nothing(collections) -> None:
    """Three are vouched for; the fourth claims a topic, and is at most asked besides about that."""
    claims = claims_of(collections, MEANS, 8)
    trust = Trust().described(claims, vouched=[node for node in claims if node != "hospital-3"])
    for question in AXES[:6]:
        decision = Trusted(MixtureRouting(Settings()), trust).route(question, MEANS, collections, LIMITS)
        assert "hospital-3" not in [one.node for one in decision.ranking[:3]]
        assert "hospital-3" not in decision.selected[:-1]


def test_where_nobody_is_believed_the_cap_is_used_up(collections) -> None:
    trust = Trust().described(claims_of(collections, MEANS, 8))
    decision = Trusted(MixtureRouting(Settings()), trust).route(AXES[0], MEANS, collections, LIMITS)
    assert {*decision.selected} == {one.node for one in collections}


@pytest.mark.parametrize(("passages", "asked"), [(40, True), (1, False)])
def test_who_is_in_audit_is_asked_besides_about_what_it_would_be_asked_if_believed(passages, asked) -> None:
    """At about a quarter of the questions of which it claims a half; at none where it claims a fortieth."""
    questions = AXES[0] + 0.01 * np.random.default_rng(0).standard_normal((80, 8)).astype(np.float32)
    known = described(0)
    joins = described(0).model_copy(
        update={
            "node": "hospital-9",
            "passages": passages,
            "prototypes": (known.prototypes[0].model_copy(update={"mass": passages}),),
        }
    )
    claims = claims_of((known, joins), MEANS, 8)
    trusted = Trusted(MixtureRouting(Settings()), Trust().described(claims, vouched=["hospital-0"]))
    decisions = [trusted.route(question, MEANS, (known, joins), LIMITS) for question in questions]
    besides = sum("hospital-9" in decision.selected for decision in decisions)
    assert 10 <= besides <= 30 if asked else besides == 0
