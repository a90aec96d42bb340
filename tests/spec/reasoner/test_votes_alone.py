"""What each hospital would choose alone. Oracle: the whole reasoner, given nothing but that hospital's passages."""

import pytest

from fedrag.core.deadline import Deadline
from fedrag.core.question import Question
from fedrag.encoders import ENCODERS
from fedrag.encoders.remembering import Remembering
from reasoner.backends import BACKENDS, Surroundings
from reasoner.heads import load
from reasoner.statements import read
from reasoner.votes import alone, votes

DRUGS = {"A": "heparin", "B": "aspirin", "C": "iron"}
PASSAGES = (
    ("north", "After a stroke adults take aspirin at once. Aspirin is given for two weeks."),
    ("south", "After a stroke adults take heparin at once."),
    ("east", "Adults take aspirin after a stroke, 300 mg."),
    ("north", "Iron is for anaemia. It is not taken after a stroke."),
    ("west", "The ward opens at nine. Visitors wash their hands."),
)


class Counting:
    """The hashing encoder, and every text it was asked to encode."""

    def __init__(self) -> None:
        self.encoder = ENCODERS.build("hashing")
        self.identity = self.encoder.identity
        self.texts: list[str] = []

    def encode_queries(self, texts):
        return self.encode_passages(texts)

    def encode_passages(self, texts):
        self.texts += texts
        return self.encoder.encode_passages(texts)

    def token_spans(self, text):
        return self.encoder.token_spans(text)


def reasoner(encoder, abstain_below: float = 0.0):
    return BACKENDS.build("extractive", {"abstain_below": abstain_below})(Surroundings(encoder, {}, bytes))


@pytest.mark.parametrize("abstain_below", [0.0, 0.1])
@pytest.mark.parametrize(
    "question",
    [
        Question(text="What do adults take after a stroke?", options=DRUGS),
        Question(text="Do adults take aspirin after a stroke?"),
        Question(text="Is iron taken after a stroke?", options={"A": "yes", "B": "no"}),
    ],
    ids=["options", "closed", "yes and no as options"],
)
async def test_a_vote_is_the_choice_made_without_the_others(evidence, question, abstain_below) -> None:
    """None where it would have abstained; whatever else lies between its passages."""
    together, encoder = evidence(*PASSAGES), ENCODERS.build("hashing")
    backend = reasoner(encoder, abstain_below)
    made = await backend.reason(question, together, Deadline.after_ms(5000))
    assert made.abstained is None
    by_itself = {
        node: (await backend.reason(question, alone(together, node), Deadline.after_ms(5000))).choice
        for node in together.source_weights
    }
    assert made.votes == by_itself
    assert any(made.votes.values())


def test_alone_a_hospitals_passages_stand_first(evidence) -> None:
    """Their place and weight among the others' is forgotten, or the others would have a say in its vote."""
    own = alone(evidence(*PASSAGES), "north")
    assert [(one.number, one.node, one.weight) for one in own.passages] == [(1, "north", 1.0), (2, "north", 1.0)]
    assert own.passages[1].passage.text == PASSAGES[3][1]
    assert own.source_weights == {"north": 1.0}


async def test_hospitals_that_say_different_things_vote_differently(evidence) -> None:
    """By what each holds."""
    question = Question(text="What do adults take after a stroke?", options=DRUGS)
    made = await reasoner(ENCODERS.build("hashing")).reason(question, evidence(*PASSAGES), Deadline.after_ms(5000))
    assert (made.votes["east"], made.votes["south"]) == ("B", "A")


async def test_an_open_question_has_no_votes(evidence) -> None:
    """There is nothing to choose."""
    question = Question(text="What do adults take after a stroke?")
    made = await reasoner(ENCODERS.build("hashing")).reason(question, evidence(*PASSAGES), Deadline.after_ms(5000))
    assert made.votes == {}


async def test_who_abstains_tells_no_votes(evidence) -> None:
    """What was not answered is not answered by the back door."""
    question = Question(text="What do adults take after a stroke?", options=DRUGS)
    made = await reasoner(ENCODERS.build("hashing"), 1.0).reason(question, evidence(*PASSAGES), Deadline.after_ms(5000))
    assert made.abstained is not None
    assert made.votes == {}


async def test_votes_cost_no_encoding(evidence) -> None:
    """Each text is encoded once, though every hospital's are read twice."""
    encoder = Counting()
    question = Question(text="What do adults take after a stroke?", options=DRUGS)
    await reasoner(encoder).reason(question, evidence(*PASSAGES), Deadline.after_ms(5000))
    assert len(encoder.texts) == len(set(encoder.texts))


def test_a_hospital_none_of_whose_sentences_were_read_does_not_vote(evidence) -> None:
    """Time was short: the first two sentences are north's."""
    question, together = Question(text="What do adults take?", options=DRUGS), evidence(*PASSAGES)
    encoder, heads = Remembering(ENCODERS.build("hashing")), load()
    reading = read(question, together, encoder, heads.support, 2)
    given = votes(question, together, reading, encoder, heads, 0.0)
    assert given["north"] == "B"
    assert [given[node] for node in ("east", "south", "west")] == [None] * 3
