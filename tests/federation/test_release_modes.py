"""Text with the offers, or after the merge: the same answer, another account of what left."""

import json
from dataclasses import fields

import httpx2
import pytest

from fedrag.core.exchange import NodeStatus, ReleaseMode
from fedrag.core.wire import ReleaseClass
from retriever_node import audit
from retriever_node.config import QuotaConfig
from retriever_node.node import RetrieverNode
from retriever_node.service import create_app

PASSAGES = 3
TEXTS = {
    name: {
        f"{name}{n}.md": f"# {name}\n\n## Part {n}\nSepsis care at {name}, part {n}: antibiotic within {n} hours.\n"
        for n in range(1, 6)
    }
    for name in ("one", "two", "own")
}
QUESTION = "sepsis care antibiotic within hours"


class Wire(httpx2.AsyncBaseTransport):
    """Keeps what came back from a hospital."""

    def __init__(self, inner: httpx2.AsyncBaseTransport, heard: list[bytes]) -> None:
        self.inner, self.heard = inner, heard

    async def handle_async_request(self, request):
        response = await self.inner.handle_async_request(request)
        self.heard.append(await response.aread())
        return response


@pytest.fixture
def federation(workshop):
    """Two hospitals of public literature and one of its own guidance; what each of them sent."""
    heard: dict[str, list[bytes]] = {name: [] for name in TEXTS}
    remotes = []
    for name, documents in TEXTS.items():
        release_class = ReleaseClass.PROTOCOL if name == "own" else ReleaseClass.PUBLIC
        hospital = workshop.hospital(name, documents, release_class)
        client = httpx2.AsyncClient(transport=Wire(hospital.remote.client._transport, heard[name]))
        object.__setattr__(hospital.remote, "client", client)
        remotes.append(hospital.remote)

    def of(mode: ReleaseMode):
        for sent in heard.values():
            sent.clear()
        return workshop.coordinator(
            *remotes, release_mode=mode, merging={"name": "comparable", "settings": {"near_duplicates": False}}
        )

    return of, heard


def sent(heard: list[bytes], name: str) -> set[str]:
    """The files whose text is in the bytes a hospital sent."""
    everything = b"".join(heard)
    return {file for file in TEXTS[name] if TEXTS[name][file].splitlines()[-1].encode() in everything}


def test_of_offers_only_the_winners_text_is_on_the_wire(federation, put_question) -> None:
    """Byte for byte: the texts that hospitals sent are those among the evidence, no more and no less."""
    of, heard = federation
    answer = put_question(of(ReleaseMode.OFFERS), QUESTION, passages=PASSAGES)
    texts = {one.passage.text for one in answer.evidence.passages}
    for name in TEXTS:
        assert sent(heard[name], name) == {file for file in TEXTS[name] if TEXTS[name][file].splitlines()[-1] in texts}
    assert sum(len(sent(heard[name], name)) for name in TEXTS) == PASSAGES
    assert answer.disclosure.release_mode is ReleaseMode.OFFERS


def test_direct_release_gives_the_same_evidence_in_one_round(federation, put_question) -> None:
    """The same passages in the same order; public text comes with the offers, winner or not, and is accounted for."""
    of, heard = federation
    two_steps = put_question(of(ReleaseMode.OFFERS), QUESTION, passages=PASSAGES)
    direct = put_question(of(ReleaseMode.DIRECT), QUESTION, passages=PASSAGES)
    assert [one.passage.text for one in direct.evidence.passages] == [
        one.passage.text for one in two_steps.evidence.passages
    ]
    gave = {one.node: one.passages for one in direct.disclosure.hospitals}
    for name in ("one", "two"):
        assert len(sent(heard[name], name)) == gave[name] == PASSAGES
    winners = [one for one in direct.evidence.passages if one.node == "own"]
    assert len(sent(heard["own"], "own")) == gave.get("own", 0) == len(winners)
    assert direct.budget.messages == 3 + bool(winners)
    assert direct.disclosure.release_mode is ReleaseMode.DIRECT


def test_what_goes_along_is_charged_and_audited(workshop, put_question) -> None:
    """As any release: the ledger has a charge of each passage, the audit chain the release."""
    hospital = workshop.hospital("one", TEXTS["one"], ReleaseClass.PUBLIC)
    answer = put_question(workshop.coordinator(hospital.remote, release_mode="direct"), QUESTION, passages=PASSAGES)
    with hospital.node.state.transaction() as connection:
        charged = connection.execute("SELECT count(*), sum(text_bytes) FROM charges").fetchone()
        kinds = [json.loads(line)["kind"] for line in audit.lines(connection)]
    account = answer.disclosure.hospitals[0]
    assert charged == (account.passages, account.text_bytes) == (PASSAGES, charged[1])
    assert kinds == ["policy", "offers", "release"]


def test_over_quota_nothing_goes_along(workshop, put_question) -> None:
    """Offers come, text does not, and asking for the winners' text is refused as ever."""
    hospital = workshop.hospital(
        "one", TEXTS["one"], ReleaseClass.PUBLIC, quota=QuotaConfig(passages_per_asker_per_day=PASSAGES - 1)
    )
    answer = put_question(workshop.coordinator(hospital.remote, release_mode="direct"), QUESTION, passages=PASSAGES)
    assert [(one.status, one.code) for one in answer.coverage] == [(NodeStatus.REFUSED, "asker_quota")]
    assert answer.disclosure.hospitals == ()
    assert answer.evidence.passages == ()


def test_a_release_along_must_carry_the_hospitals_own_receipt(workshop, put_question) -> None:
    """One of another request is refused with everything it came with."""
    honest = workshop.hospital("one", TEXTS["one"], ReleaseClass.PUBLIC)

    class Replaying(RetrieverNode):
        def release(self, request, deadline):
            return RetrieverNode.release(self, request, deadline).model_copy(update={"request_id": "f" * 32})

    node = Replaying(**{one.name: getattr(honest.node, one.name) for one in fields(honest.node)})
    remote = workshop.remote("one", node.signer, create_app(node))
    answer = put_question(workshop.coordinator(remote, release_mode="direct"), QUESTION, passages=PASSAGES)
    assert [(one.status, one.code) for one in answer.coverage] == [(NodeStatus.FAILED, "wrong_request")]
    assert answer.evidence.passages == ()
