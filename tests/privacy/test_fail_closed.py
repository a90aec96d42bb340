"""Whatever breaks inside a node, nothing leaves it."""

import asyncio
import json
from dataclasses import replace

import pytest
from pydantic import ValidationError

from fedrag.core.errors import ConfigError
from fedrag.core.exchange import NodeStatus
from fedrag.core.wire import ReleaseClass
from retriever_node import audit, ledger
from retriever_node.config import CoordinatorConfig, NodeConfig, QuotaConfig, ServeConfig
from retriever_node.policy.rules import Policy
from retriever_node.service import create_app
from retriever_node.serving import require_safe_serving

DOCUMENT = {"d.md": "# D\n\n## S\nWarfarin bleeding is reversed with vitamin K.\n"}
QUESTION = "How is warfarin bleeding reversed?"


class Broken(Exception):
    """Holds text that must not get out."""


def broken(*_args, **_kwargs):
    raise Broken("Warfarin bleeding is reversed with vitamin K.")


def rule(**keys: object) -> str:
    """A policy of one rule for class `protocol`."""
    written = {"name": "one", "classes": ["protocol"], "release": "passage", **keys}
    return "version = 1\n\n[[rules]]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in written.items())


@pytest.mark.parametrize("part", ["audit", "ledger", "policy", "sealer", "store", "clock"])
def test_an_error_in_any_guard_is_a_denial(workshop, put_question, monkeypatch, part, capsys) -> None:
    """No passage is released, the question is still answered, and neither log nor problem holds the error's text."""
    hospital = workshop.hospital("heart", DOCUMENT)
    node = hospital.node
    node.policy.now()
    if part == "audit":
        monkeypatch.setattr(audit, "append", broken)
    elif part == "ledger":
        monkeypatch.setattr(ledger, "charge", broken)
    elif part == "policy":
        monkeypatch.setattr(Policy, "grant", broken)
    elif part == "sealer":
        monkeypatch.setattr(type(node.sealer), "open", broken)
    elif part == "store":
        monkeypatch.setattr(type(node.store), "passages", broken)
    else:
        node = replace(node, clock=broken, gate=replace(node.gate, coordinators={}))
    coordinator = workshop.coordinator(workshop.remote("heart", node.signer, create_app(node)))
    answer = put_question(coordinator, QUESTION, "en", deadline_ms=30_000)
    assert answer.evidence.passages == ()
    assert answer.disclosure.hospitals == ()
    assert answer.abstained is not None
    (outcome,) = answer.coverage
    assert (outcome.status, outcome.code) == (NodeStatus.FAILED, "internal")
    printed = capsys.readouterr()
    assert "vitamin K" not in printed.out + printed.err


def test_a_refused_release_is_neither_charged_nor_logged_as_given(workshop, put_question) -> None:
    """The quota of one passage a day: the second question gets nothing, and the audit shows one release."""
    quota = QuotaConfig(passages_per_asker_per_day=1)
    hospital = workshop.hospital("heart", DOCUMENT, quota=quota)
    coordinator = workshop.coordinator(hospital.remote)
    first, second = (put_question(coordinator, QUESTION, "en", deadline_ms=30_000) for _ in range(2))
    assert len(first.evidence.passages) == 1
    assert second.evidence.passages == ()
    assert (second.coverage[0].status, second.coverage[0].code) == (NodeStatus.REFUSED, "asker_quota")
    with hospital.node.state.transaction() as connection:
        kinds = [json.loads(line)["kind"] for line in audit.lines(connection)]
    assert kinds == ["policy", "offers", "release", "offers"]


@pytest.mark.parametrize("kind", ["passage", "redacted", "extract"])
def test_text_of_single_patients_to_everyone_is_a_configuration_error(workshop, kind) -> None:
    """The class decides which rules are possible; the node does not start."""
    with pytest.raises(ConfigError) as error:
        workshop.hospital("heart", DOCUMENT, ReleaseClass.PATIENT, rule(classes=["patient"], release=kind))
    assert error.value.code == "bad_policy"
    assert "line 6" in error.value.message


def test_text_does_not_go_to_a_processor_that_the_policy_does_not_allow(workshop, put_question) -> None:
    """`protocol` documents stay inside the trust domain unless the owner says otherwise."""
    hospital = workshop.hospital("heart", DOCUMENT, policy=rule(places=["trust_domain"]))
    answer = put_question(workshop.coordinator(hospital.remote), QUESTION, "en", deadline_ms=30_000)
    assert answer.evidence.passages == ()
    assert (answer.coverage[0].status, answer.coverage[0].code) == (NodeStatus.REFUSED, "not_allowed")


def test_text_does_not_go_to_a_model_that_the_policy_does_not_name(workshop, put_question) -> None:
    """A place may run several models; the coordinator's is not the one of the rule."""
    hospital = workshop.hospital("heart", DOCUMENT, policy=rule(models=["another-model"]))
    answer = put_question(workshop.coordinator(hospital.remote), QUESTION, "en", deadline_ms=30_000)
    assert (answer.coverage[0].status, answer.coverage[0].code) == (NodeStatus.REFUSED, "not_allowed")


def test_a_policy_for_a_purpose_hides_the_collection_from_others(workshop, put_question) -> None:
    """Whoever asks for another purpose finds an empty hospital, not a refusal."""
    hospital = workshop.hospital("heart", DOCUMENT, policy=rule(purposes=["research"]))
    answer = put_question(workshop.coordinator(hospital.remote), QUESTION, "en", deadline_ms=30_000)
    assert answer.evidence.passages == ()
    assert answer.coverage[0].status is NodeStatus.ANSWERED


PINNED = (CoordinatorConfig(id="c", public_key="AAAA"),)


@pytest.mark.parametrize(
    ("serve", "coordinators", "safe"),
    [
        (ServeConfig(host="127.0.0.1"), (), True),
        (ServeConfig(host="::1"), (), True),
        (ServeConfig(host="0.0.0.0"), PINNED, False),  # noqa: S104 - the point of the test
        (ServeConfig(host="10.0.0.1", tls="files", tls_certificate="c.pem", tls_key="k.pem"), (), False),
        (ServeConfig(host="10.0.0.1", tls="files", tls_certificate="c.pem", tls_key="k.pem"), PINNED, True),
        (ServeConfig(host="127.0.0.1", tls="proxy"), (), False),
        (ServeConfig(host="127.0.0.1", tls="own"), (), False),
        (ServeConfig(host="127.0.0.1", tls="proxy"), PINNED, True),
        (ServeConfig(host="10.0.0.1", tls="own"), PINNED, True),
        (ServeConfig(host="10.0.0.1", tls="own"), (), False),
        (ServeConfig(host="10.0.0.1", tls="proxy"), PINNED, True),
        (ServeConfig(host="node.example", tls="proxy"), (), False),
    ],
)
def test_off_loopback_tls_and_a_pinned_coordinator_are_needed(serve, coordinators, safe) -> None:
    """A node that could be reached by strangers does not start without both."""
    config = NodeConfig(node="n", name="N", coordinators=coordinators, serve=serve)
    if safe:
        require_safe_serving(config, serve.host)
    else:
        with pytest.raises(ConfigError) as refused:
            require_safe_serving(config, serve.host)
        assert refused.value.code == "unsafe_serving"


@pytest.mark.parametrize(
    "settings",
    [{"tls": "files"}, {"tls": "files", "tls_certificate": "c.pem"}, {"tls_certificate": "c.pem", "tls_key": "k.pem"}],
)
def test_half_of_a_tls_configuration_is_an_error(settings) -> None:
    """A certificate that would silently not be used, or is missing, stops the configuration."""
    with pytest.raises(ValidationError):
        ServeConfig.model_validate(settings)


def test_concurrent_releases_of_one_request_never_exceed_its_quota(workshop) -> None:
    """Many coordinators' retries at once are charged one after the other."""
    documents = {f"d{n}.md": f"# D\n\n## S{n}\nWarfarin number {n}.\n" for n in range(6)}
    hospital = workshop.hospital("heart", documents, quota=QuotaConfig(passages_per_asker_per_day=3))
    coordinator = workshop.coordinator(hospital.remote)

    async def ask_many():
        from fedrag.conversation import ask
        from fedrag.core.identity import Asker
        from fedrag.core.question import AskRequest, Question
        from fedrag.core.wire import new_request_id

        await coordinator.descriptions.refresh()
        request = AskRequest(question=Question(text="Warfarin number"), passages=2)
        asker = Asker(name="dr-test")
        limits = coordinator.config.limits
        return await asyncio.gather(
            *(ask(request, new_request_id(), asker, limits, "broadcast", coordinator.federation()) for _ in range(6))
        )

    answers = asyncio.run(ask_many())
    assert sum(one.passages for answer in answers for one in answer.disclosure.hospitals) <= 3
