"""Both APIs against their own OpenAPI documents, a few hundred requests; ten thousand are
benchmarks/schemathesis_apis.py."""

import asyncio

import pytest
from api_fuzzing import BearerKey, Sign, for_coordinator, for_node, fuzz, serving, sha256

from fedrag.api.app import create_app as create_api
from retriever_node.service import create_app as create_node_app

CASES = 160
DOCUMENT = {"d.md": "# D\n\n## S\nWarfarin is reversed with vitamin K.\n"}


@pytest.mark.timeout(120)
def test_the_nodes_api(workshop) -> None:
    """No server error, no undeclared status, no malformed answer; what the schema forbids is refused."""
    hospital = workshop.hospital("heart", DOCUMENT)
    with serving(create_node_app(hospital.node)) as url:
        sign = Sign("test-coordinator", "heart", workshop.signer)
        found = fuzz(url, sign, for_node("heart", "test-coordinator"), CASES, seed=0)
    assert found.failures == {}
    assert found.statuses["POST /v1/offers", 200] > 0


@pytest.mark.timeout(120)
def test_the_coordinators_api(workshop, tmp_path) -> None:
    """The same for questions, answers and feedback."""
    hospital = workshop.hospital("heart", DOCUMENT)
    keys = [{"name": "asker", "sha256": sha256("key")}]
    coordinator = workshop.coordinator(hospital.remote, api_keys=keys)
    asyncio.run(coordinator.descriptions.refresh())
    with serving(create_api(coordinator, tmp_path / "feedback.sqlite")) as url:
        found = fuzz(url, BearerKey("key"), for_coordinator(["heart"], ["broadcast"]), CASES, seed=0)
    assert found.failures == {}
    assert found.statuses["POST /v1/ask", 200] > 0
