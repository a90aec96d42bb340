"""What a coordinator learns of whom to ask, from answers and verdicts. Oracle: `Learned`, told the same by hand."""

import asyncio
from datetime import UTC, datetime

import numpy as np
import pytest
from made_answers import made

from fedrag.core.collection import CollectionDescription, NodeDescription, Prototype
from fedrag.core.exchange import NodeOutcome, NodeStatus
from fedrag.core.protocols import RoutingLimits
from fedrag.core.question import AskRequest, Question
from fedrag.core.wire import ReleaseClass, encode_vector
from fedrag.encoders import ENCODERS
from fedrag.experience import BATCH, FULL_WEIGHT, KeptExperience, RouterExperience, usefulness
from router.catalogue import Catalogue
from router.policies.mixture import MixtureRouting, Settings

ENCODER = ENCODERS.build("hashing", {"dimension": 64})
MEANS = ENCODER.identity.comparable_with
ABOUT = {"north": "warfarin dose bleeding", "south": "eczema cream skin", "west": "warfarin dose bleeding"}
REQUEST = AskRequest(question=Question(text="warfarin dose"))
QUERY = ENCODER.encode_queries(["warfarin dose"])[0]


def description(node, text="", comparable=True):
    vector = 0.9 * ENCODER.encode_passages([ABOUT.get(node, "other")])[0]
    identity = ENCODER.identity if comparable else ENCODER.identity.model_copy(update={"weights_sha256": "f" * 64})
    one = CollectionDescription(
        node=node,
        collection="all",
        version=1,
        encoder=identity,
        release_class=ReleaseClass.PUBLIC,
        passages=40,
        prototypes=(Prototype(vector=encode_vector(vector), mass=40, spread=0.05),),
        text=text,
        described_at=datetime(2026, 1, 1, tzinfo=UTC),
    )
    return NodeDescription(node=node, name=node, public_key="", collections=(one,))


class Coordinator:
    """A catalogue that can change, and what is learned beside it."""

    def __init__(self, path=None, nodes=tuple(ABOUT), **options):
        self.nodes, self.catalogue = list(nodes), Catalogue()
        for node in nodes:
            self.catalogue = self.catalogue.with_description(description(node))
        policy = MixtureRouting(Settings(exploration=0, telling=0))
        self.experience = RouterExperience(policy, ENCODER, lambda: self.catalogue, lambda: self.nodes, path, **options)

    def answered(self, number=1, cited="north", asked=tuple(ABOUT), asker="dr-a"):
        for at in range(number):
            self.experience.observe(asker, QUERY, answer(cited, asked, at))

    def probabilities(self):
        self.experience.settle()
        limits = RoutingLimits(10, 10)
        decision = self.experience.policy().route(QUERY, MEANS, self.catalogue.collections(), limits)
        return {one.node: one.probability for one in decision.ranking}


def answer(cited, asked, number, abstained=False):
    plain = made(REQUEST, text="Give 5 mg.", abstained=abstained)
    passages = tuple(
        one.model_copy(update={"node": cited}) if one.number == 1 else one for one in plain.evidence.passages
    )
    return plain.model_copy(
        update={
            "id": f"{number:032x}",
            "evidence": plain.evidence.model_copy(update={"passages": passages}),
            "coverage": tuple(NodeOutcome(node=node, status=NodeStatus.ANSWERED) for node in asked),
        }
    )


def test_who_was_cited_helped_and_who_only_answered_did_not():
    """Who failed or was not asked says nothing; nor does an answer that cites nobody."""
    plain = answer("north", ("north", "south"), 0)
    failed = (*plain.coverage, NodeOutcome(node="west", status=NodeStatus.TIMED_OUT))
    assert usefulness(plain.model_copy(update={"coverage": failed})) == {"north": 1.0, "south": 0.0}
    assert usefulness(answer("north", ("north", "south"), 0, abstained=True)) == {}


def test_a_hospital_whose_passage_was_folded_into_another_helped_too():
    """It would have been cited in its place."""
    plain = answer("north", ("north", "south"), 0)
    first, *rest = plain.evidence.passages
    folded = (first.model_copy(update={"also_held_by": ("south",)}), *rest)
    evidence = plain.evidence.model_copy(update={"passages": folded})
    assert usefulness(plain.model_copy(update={"evidence": evidence})) == {"north": 1.0, "south": 1.0}


def test_of_two_that_promise_the_same_the_one_that_is_cited_comes_first():
    """After twenty answers; the policy of before is as it was."""
    coordinator = Coordinator()
    before = coordinator.probabilities()
    assert before["north"] == pytest.approx(before["west"])
    old = coordinator.experience.policy()
    coordinator.answered(20)
    after = coordinator.probabilities()
    assert after["north"] > 5 * after["west"]
    assert coordinator.experience.policy() is not old


def test_a_verdict_overrules_what_was_cited_and_can_be_taken_back():
    """West is called helpful, and north not, of twenty answers that cite north; taken back, all is as before."""
    coordinator = Coordinator()
    coordinator.answered(20)
    cited = coordinator.probabilities()
    for at in range(20):
        coordinator.experience.judged(f"{at:032x}", {"north": False, "west": True})
    judged = coordinator.probabilities()
    assert judged["west"] > 5 * judged["north"]
    for at in range(20):
        coordinator.experience.judged(f"{at:032x}", {})
    assert coordinator.probabilities() == pytest.approx(cited, rel=0.02)  # what it counted has faded a little since


def test_verdicts_on_unknown_answers_change_nothing():
    """Nor does one on an answer that cited nobody."""
    coordinator = Coordinator()
    coordinator.answered(5)
    before = coordinator.probabilities()
    coordinator.experience.judged("f" * 32, {"north": False})
    assert coordinator.probabilities() == before


def test_who_asks_a_great_deal_counts_for_little_more():
    """The outcomes of one asker: in full up to FULL_WEIGHT, then like FULL_WEIGHT / n. Ten others outweigh them."""
    coordinator = Coordinator()
    flood = 5 * FULL_WEIGHT
    coordinator.answered(flood)
    coordinator.experience.settle()
    weight = FULL_WEIGHT * (1 + np.sum(1 / np.arange(FULL_WEIGHT + 1, flood + 1)))
    asked = coordinator.experience.policy()._learned.asked.sum(axis=0)
    assert (asked <= weight * 1.001).all()
    assert asked.max() < 0.6 * flood


def test_what_was_learned_outlives_a_restart_and_holds_no_question(tmp_path):
    """The same probabilities from the file, which is its owner's alone; nothing in it is the question's vector."""
    path = tmp_path / "experience.json"
    coordinator = Coordinator(path)
    coordinator.answered(2 * BATCH)
    learned = coordinator.probabilities()
    coordinator.experience.close()
    assert path.stat().st_mode & 0o777 == 0o600
    assert Coordinator(path).probabilities() == pytest.approx(learned, rel=1e-4)
    kept = KeptExperience.model_validate_json(path.read_bytes())
    assert encode_vector(QUERY) not in path.read_text()
    assert kept.askers == {"dr-a": 2 * BATCH}


def test_what_is_written_changes_by_many_questions_at_a_time(tmp_path):
    """Two states of the file that differ by one question would show where it lies."""
    path = tmp_path / "experience.json"
    coordinator = Coordinator(path)
    coordinator.answered(BATCH - 1)
    coordinator.experience.close()
    assert not path.exists()
    coordinator.answered(1)
    coordinator.experience.close()
    assert path.exists()


@pytest.mark.parametrize("content", ["", "{", '{"experience": 3}'])
def test_a_damaged_file_is_nothing_learned(tmp_path, content):
    """And no error."""
    path = tmp_path / "experience.json"
    path.write_text(content)
    assert Coordinator(path).probabilities() == Coordinator().probabilities()


def test_who_leaves_is_forgotten_and_comes_back_as_new():
    """While a hospital that is only out of reach is not."""
    coordinator = Coordinator()
    coordinator.answered(20)
    learned = coordinator.probabilities()
    coordinator.catalogue = coordinator.catalogue.without("west")
    coordinator.probabilities()
    coordinator.catalogue = coordinator.catalogue.with_description(description("west"))
    assert coordinator.probabilities() == pytest.approx(learned)
    coordinator.nodes.remove("west")
    coordinator.catalogue = coordinator.catalogue.without("west")
    coordinator.probabilities()
    coordinator.nodes.append("west")
    coordinator.catalogue = coordinator.catalogue.with_description(description("west"))
    assert coordinator.probabilities()["west"] > 5 * learned["west"]


def test_words_of_a_hospital_that_cannot_be_compared_are_read():
    """Before anything was learned, by the words of its description alone."""
    coordinator = Coordinator(nodes=("south",))
    for node, text in (("x", "warfarin dose"), ("y", "eczema cream")):
        coordinator.nodes.append(node)
        coordinator.catalogue = coordinator.catalogue.with_description(description(node, text, comparable=False))
    made = coordinator.probabilities()
    assert made["x"] > 0.3 > made["y"]


def test_switched_off_it_learns_and_keeps_nothing(tmp_path):
    """Descriptions alone decide."""
    coordinator = Coordinator(tmp_path / "experience.json", learning=False)
    before = coordinator.probabilities()
    coordinator.answered(2 * BATCH)
    assert coordinator.probabilities() == before
    coordinator.experience.close()
    assert not list(tmp_path.iterdir())


async def test_the_task_learns_by_itself_and_keeps_it_when_it_ends(tmp_path):
    """Nothing has to be called but `observe`."""
    path = tmp_path / "experience.json"
    coordinator = Coordinator(path)
    running = asyncio.create_task(coordinator.experience.run())
    coordinator.answered(BATCH)
    policy = coordinator.experience.policy()
    async with asyncio.timeout(10):
        while coordinator.experience.policy() is policy:
            await asyncio.sleep(0.02)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert path.exists()
