"""What is kept of answers and learned from verdicts. Oracle: counts by pencil, and a planted reliability."""

import sqlite3
from datetime import UTC, datetime

import numpy as np
import pytest

from aggregator.votes import certify
from aggregator.weights import claims_of, source_weights
from fedrag.config import CoordinatorConfig, FeedbackConfig
from fedrag.core.answer import (
    Answer,
    BudgetUsed,
    DisclosureAccount,
    Evidence,
    EvidencePassage,
    Feedback,
    QueryDisclosure,
    ReasonerReport,
    ReasoningStep,
    Reliability,
)
from fedrag.core.collection import RoutingDecision
from fedrag.core.config import load_toml
from fedrag.core.errors import InputError, IntegrityError, NotFound
from fedrag.core.exchange import Citation, ReleasedPassage
from fedrag.core.question import Question
from fedrag.core.wire import ReleaseClass, new_request_id
from fedrag.feedback import DAY_S, FeedbackStore

CANARY = "zqxcanary"


class Clock:
    def __init__(self) -> None:
        self.now_s = 1_000_000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def opened(tmp_path, clock):
    """Opens the store with these settings, over the same file every time."""
    stores = []

    def open_it(**settings) -> FeedbackStore:
        stores.append(FeedbackStore(tmp_path / "feedback.sqlite", FeedbackConfig(**settings), clock=clock))
        return stores[-1]

    yield open_it
    for store in stores:
        store.close()


def answered(*nodes: str, votes: dict[str, str | None] | None = None, choice: str | None = None) -> Answer:
    """One passage of each hospital, of equal weight, all cited; full of words that must not be kept."""
    passages = tuple(
        EvidencePassage(
            number=number,
            node=node,
            passage=ReleasedPassage(
                handle="0" * 64,
                text=f"{CANARY} text",
                citation=Citation(document_id=CANARY, document_name=CANARY, title=CANARY, locator="char=0,1"),
                release_class=ReleaseClass.PROTOCOL,
            ),
            probability=0.5,
            weight=1 / len(nodes),
        )
        for number, node in enumerate(nodes, start=1)
    )
    evidence = Evidence(
        passages=passages,
        source_weights=source_weights(claims_of((node, 0.5) for node in nodes)),
        few_sources=False,
        method="m",
    )
    return Answer(
        id=new_request_id(),
        question=Question(text=f"{CANARY}?"),
        text=CANARY,
        choice=choice,
        confidence=0.75,
        abstained=None,
        steps=(ReasoningStep(text=CANARY, citations=tuple(range(1, len(nodes) + 1)), uncertainty=0.5),),
        evidence=evidence,
        certificate=certify(evidence, votes or {}, choice),
        coverage=(),
        routing=RoutingDecision(policy="p", ranking=(), selected=(), why=CANARY),
        disclosure=DisclosureAccount(question_shown_to=(), question_shown_as=QueryDisclosure.TEXT, hospitals=()),
        redactions=(),
        reasoner=ReasonerReport(backend="b", model="m", strategy="s"),
        budget=BudgetUsed(nodes_asked=0, messages=0, bytes_received=0, model_tokens=0),
        timings=(),
        notices=(),
        answered_at=datetime.now(UTC),
    )


def judge(store: FeedbackStore, answer: Answer, asker: str = "dr-a", **said: object) -> None:
    store.record(answer.id, Feedback.model_validate({"answer_id": answer.id, **said}), asker)


def test_a_verdict_counts_by_the_weights_of_the_sources(opened) -> None:
    """Four sources of a quarter each: (5 + 1/4) / (10 + 1/4) for the one that helped, 5 / 10.25 for the others."""
    store, answer = opened(), answered("a", "b", "c", "d")
    store.remember(answer, "dr-a")
    assert store.reliability() == {}
    judge(store, answer, correct=True, helpful_citations=[1])
    learned = store.reliability()
    assert learned["a"] == Reliability(mean=5.25 / 10.25, outcomes=1)
    assert [learned[node] for node in "bcd"] == [Reliability(mean=5 / 10.25, outcomes=1)] * 3


def test_a_second_verdict_takes_the_place_of_the_first(opened) -> None:
    """It is as if the first had never been given; an empty one takes it back."""
    store, answer = opened(), answered("a", "b", "c", "d")
    store.remember(answer, "dr-a")
    judge(store, answer, correct=False)
    judge(store, answer, correct=False)
    assert store.reliability()["a"] == Reliability(mean=5 / 10.25, outcomes=1)
    judge(store, answer, correct=True)
    assert store.reliability()["a"] == Reliability(mean=5.25 / 10.25, outcomes=1)
    judge(store, answer)
    assert store.reliability() == {}


@pytest.mark.parametrize(
    ("said", "mean"),
    [
        ({"useful": True}, 6 / 11),
        ({"useful": False}, 5 / 11),
        ({"correct": True, "harmful": True}, 5 / 11),
        ({"correct": True, "useful": False}, 6 / 11),
    ],
)
def test_harm_outweighs_and_use_stands_in_for_correctness(opened, said, mean) -> None:
    """One source of weight 1."""
    store, answer = opened(), answered("a")
    store.remember(answer, "dr-a")
    judge(store, answer, **said)
    assert store.reliability()["a"].mean == pytest.approx(mean)


def test_votes_are_judged_one_by_one(opened) -> None:
    """c would have chosen otherwise than the right answer; d abstained and is cited."""
    store = opened()
    answer = answered("a", "b", "c", "d", votes={"a": "B", "b": "B", "c": "C", "d": None}, choice="B")
    store.remember(answer, "dr-a")
    judge(store, answer, correct=True)
    assert {node: one.mean > 0.5 for node, one in store.reliability().items()} == {
        "a": True,
        "b": True,
        "c": False,
        "d": True,
    }


@pytest.mark.parametrize("stranger", ["dr-b", ""])
def test_only_who_asked_may_judge(opened, stranger) -> None:
    """For anybody else the answer does not exist."""
    store, answer = opened(), answered("a")
    store.remember(answer, "dr-a")
    with pytest.raises(NotFound) as raised:
        judge(store, answer, asker=stranger, correct=True)
    assert raised.value.code == "unknown_answer"
    assert store.reliability() == {}


def test_a_citation_that_the_answer_does_not_have_is_refused_whole(opened) -> None:
    """Nothing of such a verdict counts."""
    store, answer = opened(), answered("a", "b")
    store.remember(answer, "dr-a")
    with pytest.raises(InputError) as raised:
        judge(store, answer, correct=True, helpful_citations=[1, 3])
    assert raised.value.code == "unknown_citation"
    assert store.reliability() == {}


def test_after_its_time_an_answer_can_no_longer_be_judged_but_what_was_learned_stays(opened, clock) -> None:
    """Thirty days and a second; the skeleton is gone from the file with the next answer."""
    store, answer = opened(half_life_days=float("inf")), answered("a")
    store.remember(answer, "dr-a")
    judge(store, answer, correct=True)
    clock.now_s += 30 * DAY_S + 1
    with pytest.raises(NotFound) as raised:
        judge(store, answer, correct=False)
    assert raised.value.code == "unknown_answer"
    store.remember(answered("b"), "dr-a")
    assert store.reliability()["a"].mean == pytest.approx(6 / 11)
    connection = sqlite3.connect(store.path)
    assert connection.execute("SELECT count(*) FROM answers").fetchone() == (1,)
    connection.close()


def test_no_more_answers_are_kept_than_told(opened, clock) -> None:
    """The oldest go first."""
    store, answers = opened(maximum_answers=3), [answered("a") for _ in range(5)]
    for answer in answers:
        clock.now_s += 1
        store.remember(answer, "dr-a")
    for answer in answers[:2]:
        with pytest.raises(NotFound):
            judge(store, answer, correct=True)
    for answer in answers[2:]:
        judge(store, answer, correct=True)
    assert store.reliability()["a"].outcomes == 3


def test_outcomes_fade_and_a_faded_one_is_taken_back_for_what_it_weighs(opened, clock) -> None:
    """Two of weight 1, a half-life later 1/2 each: 6 / 11; one replaced by its fresh opposite: 5.5 / 11.5."""
    store, answers = opened(half_life_days=10), [answered("a"), answered("a")]
    for answer in answers:
        store.remember(answer, "dr-a")
        judge(store, answer, correct=True)
    clock.now_s += 10 * DAY_S
    assert store.reliability()["a"].mean == pytest.approx(6 / 11)
    judge(store, answers[0], correct=False)
    assert store.reliability()["a"].mean == pytest.approx(5.5 / 11.5)


def test_what_was_learned_outlives_the_process(opened) -> None:
    """A second store over the same file knows it, and the verdict can still be replaced."""
    store, answer = opened(), answered("a")
    store.remember(answer, "dr-a")
    judge(store, answer, correct=True)
    again = opened()
    assert again.reliability() == store.reliability()
    judge(again, answer, correct=False)
    assert again.reliability()["a"] == Reliability(mean=5 / 11, outcomes=1)


def test_one_asker_alone_moves_a_source_to_three_quarters_at_most(opened) -> None:
    """Two hundred praises of one, then the same from a second asker: (5 + 20) / 30."""
    store = opened()
    for asker, bound in (("dr-a", 15 / 20), ("dr-b", 25 / 30)):
        for _ in range(200):
            answer = answered("a")
            store.remember(answer, asker)
            judge(store, answer, asker=asker, correct=True)
        assert store.reliability()["a"].mean == pytest.approx(bound)


def test_no_word_of_question_passage_or_document_is_written(opened, tmp_path) -> None:
    """Looked for in every byte of every file."""
    store, answer = opened(), answered("a", "b", votes={"a": "B", "b": "B"}, choice="B")
    store.remember(answer, "dr-a")
    judge(store, answer, correct=True, helpful_citations=[1])
    files = [path.read_bytes() for path in tmp_path.iterdir()]
    assert any(answer.id.encode() in content for content in files)
    assert not any(CANARY.encode() in content for content in files)


def test_a_file_of_another_format_is_refused(opened, tmp_path) -> None:
    """Of a later version; of one before there was a format nothing is used."""
    connection = sqlite3.connect(tmp_path / "feedback.sqlite")
    connection.execute("CREATE TABLE feedback (answer_id TEXT)")
    connection.commit()
    opened().close()
    connection.execute("PRAGMA user_version = 2")
    connection.close()
    with pytest.raises(IntegrityError) as raised:
        opened()
    assert raised.value.code == "state_format"


def test_the_settings_of_a_coordinator_can_say_that_nothing_fades(tmp_path) -> None:
    """TOML has a word for it."""
    path = tmp_path / "coordinator.toml"
    path.write_text('coordinator = "c"\n[feedback]\nhalf_life_days = inf\n')
    assert load_toml(path, CoordinatorConfig).feedback.half_life_days == float("inf")


def test_a_planted_order_of_sources_is_found(opened) -> None:
    """Three sources right 9, 6 and 2 times of 10 by a fixed seed, judged 200 times: the same order."""
    store, draws = opened(half_life_days=float("inf")), np.random.default_rng(0)
    for question in range(200):
        said = {node: "A" if draws.random() < right else "B" for node, right in (("a", 0.9), ("b", 0.6), ("c", 0.2))}
        answer = answered("a", "b", "c", votes=said, choice="A")
        store.remember(answer, f"dr-{question % 20}")
        judge(store, answer, asker=f"dr-{question % 20}", correct=True)
    learned = store.reliability()
    assert learned["a"].mean > learned["b"].mean > learned["c"].mean
