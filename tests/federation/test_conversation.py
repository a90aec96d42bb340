"""Conversations with real node applications: follow-ups, sub-questions, budgets, and no memory across askers."""

import asyncio
import hashlib

import httpx2
import pytest

from fedrag.api.app import create_app
from fedrag.config import BudgetsConfig, QuestionCaps
from fedrag.conversation import Conversing, put
from fedrag.core.answer import AbstentionCode, Answer
from fedrag.core.exchange import ReleaseMode
from fedrag.core.identity import Asker, Purpose
from fedrag.core.question import AskRequest
from fedrag.core.wire import ReleaseClass, new_request_id

WARFARIN = "# Warfarin\n\n## Reversal\nFor major bleeding on warfarin give prothrombin complex and vitamin K 10 mg.\n"
ASTHMA = "# Asthma\n\n## Attack\nIn an acute asthma attack give salbutamol through a spacer and prednisolone 40 mg.\n"
TWO = "What reverses warfarin in major bleeding, and what is given in an acute asthma attack?"


@pytest.fixture
def two(workshop):
    heart = workshop.hospital("heart", {"warfarin.md": WARFARIN})
    lung = workshop.hospital("lung", {"asthma.md": ASTHMA})
    return workshop.coordinator(heart.remote, lung.remote)


@pytest.fixture
def ask():
    """One question after the other to a coordinator, with budgets."""

    def put_all(coordinator, *requests, asker="dr-test", **settings) -> list[Answer]:
        around = Conversing.of(BudgetsConfig.model_validate(settings))

        async def run() -> list[Answer]:
            await coordinator.descriptions.refresh()
            return [
                (
                    await put(
                        AskRequest.model_validate(request),
                        new_request_id(),
                        Asker(name=asker, purpose=Purpose.TREATMENT),
                        coordinator.config.limits,
                        "broadcast",
                        coordinator.federation(),
                        around,
                    )
                ).answer
                for request in requests
            ]

        return asyncio.run(run())

    return put_all


def question(text: str, **more) -> dict:
    return {"question": {"text": text, **more.pop("question", {})}, **more}


def test_sub_questions_are_answered_one_by_one_and_joined(two, ask) -> None:
    """Each part cites the passage of its own hospital, under the numbers of the joined evidence; the account adds up
    what both cost."""
    (answer,) = ask(two, question(TWO, deadline_ms=60_000, sub_questions=4))
    assert [one.question for one in answer.parts] == [
        "What reverses warfarin in major bleeding?",
        "What is given in an acute asthma attack?",
    ]
    texts = {passage.number: passage.passage.text for passage in answer.evidence.passages}
    assert sorted(texts) == list(range(1, len(texts) + 1))
    for part, word in zip(answer.parts, ("vitamin K", "salbutamol"), strict=True):
        assert part.citations
        assert any(word in texts[number] for number in part.citations)
        assert word in part.text
    for step in answer.steps:
        for number in step.citations:
            assert step.text.count("“") == 0 or step.text.split("“")[1].split("”")[0] in texts[number]
    assert sum(answer.evidence.source_weights.values()) == pytest.approx(1)
    assert len({(one.node, one.passage.citation.locator) for one in answer.evidence.passages}) == len(texts)
    assert answer.budget.spent.hospitals == 4 == answer.budget.nodes_asked
    gave = sum(one.passages for one in answer.disclosure.hospitals)
    assert answer.budget.spent.passages == gave == sum(one.spent.passages for one in answer.parts)


def test_a_question_with_options_is_answered_in_one(two, ask) -> None:
    """A choice is made over all evidence at once; nor is anything taken apart for who does not want it."""
    chosen, whole = ask(
        two, question(TWO, sub_questions=4, question={"options": {"A": "vitamin K", "B": "salbutamol"}}), question(TWO)
    )
    assert chosen.parts == whole.parts == ()


def test_the_federation_says_how_many_sub_questions_there_are_at_most(two, ask) -> None:
    """Where it allows none nobody gets any."""
    (answer,) = ask(two, question(TWO, sub_questions=4), sub_questions=1)
    assert answer.parts == ()


def test_a_follow_up_is_rewritten_and_shown(two, ask) -> None:
    """What is asked of hospitals, what was written, and who rewrote it; identifiers are gone from both."""
    turns = [{"question": "What reverses warfarin in Mr John Smith?", "answer": "Vitamin K."}]
    (answer,) = ask(two, question("When is it given to Mr John Smith, phone 020 7946 0958?", question={"turns": turns}))
    assert answer.rewritten is not None
    assert answer.rewritten.by == "rules"
    assert answer.rewritten.asked.startswith("When is it given to ")
    assert answer.question.text.startswith("When is warfarin given to ")
    assert "7946" not in answer.model_dump_json()
    assert "Smith" not in answer.model_dump_json()
    assert {one.category: one.count for one in answer.redactions} == {"NAME": 2, "PHONE": 1}


def test_a_question_that_stands_alone_is_not_called_rewritten(two, ask) -> None:
    """Nor is it joined with what was asked before."""
    turns = [{"question": "What is given in an acute asthma attack?", "answer": "Salbutamol."}]
    (answer,) = ask(two, question("What reverses warfarin in major bleeding?", question={"turns": turns}))
    assert answer.rewritten is None
    assert answer.question.text == "What reverses warfarin in major bleeding?"


@pytest.mark.parametrize("mode", ReleaseMode)
def test_no_more_passages_leave_hospitals_than_the_cap(workshop, ask, mode) -> None:
    """Five at each of two hospitals would win; three may leave, and the answer says that a cap ended it."""
    documents = {f"d{n}.md": f"# D\n\n## S{n}\nSepsis care number {n} gives antibiotic {n} hours.\n" for n in range(5)}
    hospitals = [workshop.hospital(name, documents, ReleaseClass.PUBLIC) for name in ("one", "two")]
    merging = {"name": "comparable", "settings": {"near_duplicates": False}}
    coordinator = workshop.coordinator(*(one.remote for one in hospitals), merging=merging, release_mode=mode)
    (answer,) = ask(coordinator, question("sepsis care antibiotic hours", passages=8), question={"passages": 3})
    assert sum(one.passages for one in answer.disclosure.hospitals) == 3 == len(answer.evidence.passages)
    assert answer.reasoner.cut_short
    assert [one.code for one in answer.notices] == ["budget_spent"]
    assert answer.budget.caps.passages == 3


def test_a_spent_budget_ends_in_what_there_is(two, ask) -> None:
    """With three hospitals to be asked, the second sub-question gets one; with two it is not asked at all."""
    one_left, none_left = ask(two, *(question(TWO, sub_questions=4, budget={"hospitals": most}) for most in (3, 2)))
    assert [len(one.asked_of) for one in one_left.parts] == [2, 1]
    assert one_left.parts[1].cut_short
    assert len(none_left.parts) == 1
    assert none_left.text
    assert none_left.reasoner.cut_short
    for answer in (one_left, none_left):
        assert "budget_spent" in {one.code for one in answer.notices}


def test_what_a_conversation_spent_is_counted_over_its_questions(two, ask) -> None:
    """The third question finds nothing left and asks nobody; another conversation has its own."""
    first, second, third = (question("What reverses warfarin in major bleeding?") for _ in range(3))
    conversation = "a" * 32
    for one in (first, second, third):
        one["conversation"] = conversation
    other = question("What reverses warfarin in major bleeding?", conversation="b" * 32)
    answers = ask(two, first, second, third, other, conversation={"hospitals": 3})
    assert [one.budget.spent.hospitals for one in answers] == [2, 1, 0, 2]
    assert answers[2].abstained is not None
    assert answers[2].abstained.code is AbstentionCode.BUDGET_SPENT
    assert {one.conversation for one in answers[:3]} == {conversation}


def test_who_asks_can_narrow_a_cap_but_not_widen_it(two, ask) -> None:
    """The federation's own is in the answer where the asker wanted more."""
    (answer,) = ask(two, question("What reverses warfarin?", budget={"passages": 10_000, "calls": 1}))
    assert answer.budget.caps == QuestionCaps(calls=1).model_copy(update={"calls": 1})


async def test_two_askers_never_see_each_others_conversation(workshop, tmp_path) -> None:
    """Both ask in turn, naming the same conversation; no word of one, not even in what hospitals are asked, is in the
    answers of the other, and neither spends the other's budget."""
    hospital = workshop.hospital("heart", {"warfarin.md": WARFARIN})
    keys = {name: hashlib.sha256(name.encode()).hexdigest() for name in ("ann", "bob")}
    coordinator = workshop.coordinator(
        hospital.remote,
        api_keys=[{"name": name, "sha256": digest} for name, digest in keys.items()],
        budgets={"conversation": {"hospitals": 3}},
    )
    app = create_app(coordinator, tmp_path / "feedback.sqlite")
    words = {"ann": "xylophonine", "bob": "quuxamycin"}
    turns: dict[str, list] = {"ann": [], "bob": []}
    transport = httpx2.ASGITransport(app=app)
    async with (
        app.router.lifespan_context(app),
        httpx2.AsyncClient(transport=transport, base_url="http://api") as client,
    ):
        for text in ("What is the dose of {} in major bleeding?", "And in children?", "When is it stopped?"):
            for name in ("ann", "bob"):
                asked = {"text": text.format(words[name]), "turns": turns[name], "language": "en"}
                response = await client.post(
                    "/v1/ask",
                    json={"question": asked, "conversation": "c" * 32},
                    headers={"authorization": f"Bearer {name}"},
                )
                answer = Answer.model_validate_json(response.content)
                other = words["bob" if name == "ann" else "ann"]
                assert other not in response.text
                assert words[name] in answer.question.text
                assert answer.budget.spent.hospitals == 1
                turns[name].append({"question": answer.question.text, "answer": answer.text[:4000]})


async def test_a_part_can_be_fetched_alone_by_who_asked(workshop, tmp_path) -> None:
    """Under its own id, and by nobody else."""
    hospital = workshop.hospital("heart", {"warfarin.md": WARFARIN, "asthma.md": ASTHMA})
    keys = [{"name": name, "sha256": hashlib.sha256(name.encode()).hexdigest()} for name in ("ann", "bob")]
    app = create_app(workshop.coordinator(hospital.remote, api_keys=keys), tmp_path / "feedback.sqlite")
    transport = httpx2.ASGITransport(app=app)
    async with (
        app.router.lifespan_context(app),
        httpx2.AsyncClient(transport=transport, base_url="http://api") as client,
    ):
        ann, bob = ({"authorization": f"Bearer {name}"} for name in ("ann", "bob"))
        asked = {"question": {"text": TWO, "language": "en"}, "deadline_ms": 60_000, "sub_questions": 4}
        answer = Answer.model_validate_json((await client.post("/v1/ask", json=asked, headers=ann)).content)
        for part in answer.parts:
            alone = await client.get(f"/v1/answers/{part.id}", headers=ann)
            assert Answer.model_validate_json(alone.content).question.text == part.question
            assert (await client.get(f"/v1/answers/{part.id}", headers=bob)).status_code == 404
