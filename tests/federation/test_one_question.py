"""One question through real node applications, and what comes back."""

import json

import pytest

from fedrag.core.answer import AbstentionCode
from fedrag.core.exchange import NodeStatus
from fedrag.core.wire import ReleaseClass

WARFARIN = "# Warfarin\n\n## Reversal\nFor major bleeding on warfarin give prothrombin complex and vitamin K 10 mg.\n"
ASTHMA = "# Asthma\n\n## Attack\nIn an acute asthma attack give salbutamol through a spacer and prednisolone 40 mg.\n"
SECRET = "# Note\n\n## Visit\nXyzzyplugh Quuxington came with major bleeding on warfarin.\n"


@pytest.fixture
def federation(workshop):
    heart = workshop.hospital("heart", {"warfarin.md": WARFARIN})
    lung = workshop.hospital("lung", {"asthma.md": ASTHMA})
    private = workshop.hospital("private", {"note.md": SECRET}, ReleaseClass.PATIENT)
    return workshop.coordinator(heart.remote, lung.remote, private.remote), (heart, lung, private)


def test_the_passage_that_answers_is_found_cited_and_accounted_for(federation, put_question) -> None:
    """The best evidence is the warfarin passage; its hospital's release is in the account, byte for byte."""
    coordinator, _ = federation
    answer = put_question(coordinator, "What reverses warfarin in major bleeding?")
    best = answer.evidence.passages[0]
    assert best.node == "heart"
    assert best.passage.citation.section == "Reversal"
    assert "vitamin K 10 mg" in best.passage.text
    assert {one.node: one.status for one in answer.coverage} == {
        "heart": NodeStatus.ANSWERED,
        "lung": NodeStatus.ANSWERED,
        "private": NodeStatus.FAILED,
    }
    gave = {one.node: (one.passages, one.text_bytes) for one in answer.disclosure.hospitals}
    released = {passage.node: passage.passage.text for passage in answer.evidence.passages}
    assert gave == {node: (1, len(text.encode())) for node, text in released.items()}
    assert answer.disclosure.question_shown_to == ("heart", "lung")


def test_every_citation_points_at_released_evidence(federation, put_question) -> None:
    """Steps cite numbers of passages that are there."""
    coordinator, _ = federation
    answer = put_question(coordinator, "What reverses warfarin in major bleeding?")
    numbers = {passage.number for passage in answer.evidence.passages}
    cited = {number for step in answer.steps for number in step.citations}
    assert cited
    assert cited <= numbers


def test_only_what_passes_the_filter_is_found(workshop, put_question) -> None:
    """By class and by date, at every hospital; where nothing passes the answer abstains."""
    old = workshop.hospital("old", {"w.md": f"---\neffective: 2015-01-01\n---\n{WARFARIN}"})
    new = workshop.hospital("new", {"w.md": f"---\neffective: 2024-01-01\n---\n{WARFARIN}"}, ReleaseClass.PUBLIC)
    coordinator = workshop.coordinator(old.remote, new.remote)

    def found(**limits: object) -> set[str]:
        answer = put_question(coordinator, "What reverses warfarin in major bleeding?", filter=limits)
        return {node for one in answer.evidence.passages for node in (one.node, *one.also_held_by)}

    assert found() == {"old", "new"}
    assert found(release_classes=["protocol"]) == {"old"}
    assert found(release_classes=["protocol", "public"]) == {"old", "new"}
    assert found(effective_from="2020-01-01") == {"new"}
    assert found(effective_until="2020-01-01", release_classes=["public"]) == set()


def test_a_denied_collection_does_not_exist_for_anyone(federation, put_question) -> None:
    """Text of a patient collection is neither found, described nor named, though it matches best."""
    coordinator, _ = federation
    answer = put_question(coordinator, "Xyzzyplugh Quuxington major bleeding on warfarin", routing="broadcast")
    assert "Quuxington" not in answer.evidence.model_dump_json()
    assert "private" not in {one.node for one in coordinator.descriptions.catalogue().collections()}


def test_only_winners_leave_their_hospital(workshop, put_question) -> None:
    """Of two hospitals with five matching passages each, exactly as many texts leave as the answer asked for."""
    documents = {f"d{n}.md": f"# D\n\n## S{n}\nSepsis care number {n} gives antibiotic {n} hours.\n" for n in range(5)}
    hospitals = [workshop.hospital(name, documents) for name in ("one", "two")]
    coordinator = workshop.coordinator(
        *(one.remote for one in hospitals), merging={"name": "comparable", "settings": {"near_duplicates": False}}
    )
    answer = put_question(coordinator, "sepsis care antibiotic hours", passages=3)
    assert len(answer.evidence.passages) == 3
    assert sum(one.passages for one in answer.disclosure.hospitals) == 3


def test_with_no_hospital_left_the_answer_abstains(workshop, put_question) -> None:
    """All down is an answer too: abstained, every hospital accounted for."""
    gone = workshop.hospital("gone", {"warfarin.md": WARFARIN})

    async def refuse(scope, receive, send):
        raise ConnectionError("down")

    coordinator = workshop.coordinator(workshop.remote("gone", gone.node.signer, refuse))
    answer = put_question(coordinator, "What reverses warfarin?")
    assert answer.abstained is not None
    assert answer.abstained.code is AbstentionCode.NO_NODE_ANSWERED
    assert [one.node for one in answer.coverage] == ["gone"]
    assert answer.text == ""


def test_identifiers_never_leave_the_coordinator(workshop, put_question) -> None:
    """What the redactor takes out of a question is in no request to a hospital."""
    seen: list[bytes] = []
    hospital = workshop.hospital("heart", {"warfarin.md": WARFARIN})
    object.__setattr__(hospital.remote, "client", _recording(hospital.remote.client, seen))
    coordinator = workshop.coordinator(hospital.remote)
    answer = put_question(coordinator, "Mr John Smith, phone 020 7946 0958, bleeds on warfarin: what reverses it?")
    assert seen
    assert not [body for body in seen if b"7946 0958" in body or b"Smith" in body]
    assert "7946 0958" not in answer.model_dump_json()
    assert "Smith" not in answer.model_dump_json()
    assert {one.category for one in answer.redactions}


def test_options_are_searched_for_unless_the_asker_says_otherwise(workshop, put_question) -> None:
    """A hospital is told the options' words too, or the question's alone; the answer chooses among them either way."""
    seen: list[bytes] = []
    hospital = workshop.hospital("heart", {"warfarin.md": WARFARIN})
    object.__setattr__(hospital.remote, "client", _recording(hospital.remote.client, seen))
    coordinator = workshop.coordinator(hospital.remote)
    question = {"text": "What reverses warfarin?", "options": {"A": "protamine sulphate", "B": "vitamin K"}}
    for search_options in (True, False):
        seen.clear()
        answer = put_question(coordinator, "unused", question=question, search_options=search_options)
        offers = [json.loads(body) for body in seen if b'"vector"' in body]
        assert [one["text"].endswith("protamine sulphate vitamin K") for one in offers] == [search_options]
        assert answer.question.options == question["options"]


def _recording(client, seen: list[bytes]):
    stream = client.stream

    def recorded(method, url, *, content=None, headers=None):
        seen.append(content or b"")
        return stream(method, url, content=content, headers=headers)

    client.stream = recorded
    return client


@pytest.mark.parametrize("stated", ["es", "de-AT"])
def test_a_stated_language_that_is_not_covered_ends_the_question(workshop, put_question, stated) -> None:
    """The answer abstains with its code, and no hospital saw the question."""
    from dataclasses import replace

    hospital = workshop.hospital("heart", {"warfarin.md": WARFARIN})
    coordinator = workshop.coordinator(hospital.remote)
    english = _EnglishOnly(coordinator.parts.encoder)
    coordinator = replace(coordinator, parts=replace(coordinator.parts, encoder=english))
    answer = put_question(coordinator, "¿Qué revierte la warfarina?", language=stated)
    assert answer.abstained is not None
    assert answer.abstained.code is AbstentionCode.LANGUAGE_NOT_COVERED
    assert answer.disclosure.question_shown_to == ()
    assert answer.coverage[0].status is NodeStatus.NOT_SELECTED


class _EnglishOnly:
    """An encoder that says it covers English only."""

    def __init__(self, encoder) -> None:
        self._encoder = encoder
        self.identity = encoder.identity.model_copy(update={"languages": ("en",)})

    def __getattr__(self, name: str):
        return getattr(self._encoder, name)


def test_a_language_that_is_merely_detected_is_told_and_the_question_goes_on(workshop, put_question) -> None:
    """Detection can be wrong, so it only warns: the hospitals are asked, and the answer carries a notice."""
    from dataclasses import replace

    hospital = workshop.hospital("heart", {"warfarin.md": WARFARIN})
    coordinator = workshop.coordinator(hospital.remote)
    english = _EnglishOnly(coordinator.parts.encoder)
    coordinator = replace(coordinator, parts=replace(coordinator.parts, encoder=english))
    spanish = put_question(coordinator, "¿Cómo se trata una hemorragia grave en un paciente que toma warfarina?")
    told = put_question(coordinator, "How is a major bleed treated in a patient who takes warfarin?")
    assert [notice.code for notice in spanish.notices] == ["language_not_covered"]
    assert spanish.disclosure.question_shown_to == ("heart",)
    assert told.notices == ()
