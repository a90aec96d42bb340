"""What a question is read as, and what follows for whom to ask."""

import pytest

from fedrag.core.collection import RankedNode, RoutingDecision
from fedrag.core.question import Intent
from fedrag.core.wire import ReleaseClass
from router.intent import HURRIED_MS, HURRIED_TARGET, PLAIN, VIEWS, Reading, as_read, limits_for, recognise
from router.training.intent import accuracy
from router.training.phrases import FACT, HELD_OUT, POPULATION, VIEWPOINTS

VIEWPOINT, POPULATIONS = Reading(Intent.VIEWPOINTS, 0.9), Reading(Intent.POPULATION, 0.9)


def test_held_out_phrases_are_read_right_and_mistakes_ask_less_not_more():
    """At least 0.8 of phrases that nothing was fitted to; none of the facts among them is read as something else."""
    share, wrong = accuracy()
    assert share >= 0.8
    assert not [line for line in wrong if line.startswith("fact")]


def test_no_held_out_phrase_was_learned_from():
    """Not even in other letters."""
    learned = {phrase.casefold() for phrase in (*FACT, *VIEWPOINTS, *POPULATION)}
    assert not learned & {phrase.casefold() for phrases in HELD_OUT.values() for phrase in phrases}


@pytest.mark.parametrize(
    ("text", "intent"),
    [
        ("What is the dose of apixaban in atrial fibrillation?", Intent.FACT),
        ("Do the hospitals agree on when to restart apixaban?", Intent.VIEWPOINTS),
        ("How many of our patients with gout are on allopurinol?", Intent.POPULATION),
        ("", Intent.FACT),
        ("zxcv qwer", Intent.FACT),
    ],
)
def test_plain_cases_are_read_as_they_are_meant(text, intent):
    """What says nothing is a fact."""
    assert recognise(text).intent is intent


def test_who_asks_may_say_what_it_is():
    """Whatever the words look like."""
    read = recognise("What is the dose of apixaban?", Intent.POPULATION)
    assert (read.intent, read.probability, read.stated) == (Intent.POPULATION, 1.0, True)


def test_limits_follow_the_intent_under_both_caps():
    """A fact is left to the policy; views want more hospitals, and surer; the asker's cap only lowers the other."""
    fact, views = (limits_for(one, 12, 10_000, 50) for one in (PLAIN, VIEWPOINT))
    assert (fact.maximum_nodes, fact.passages, fact.target, fact.minimum_nodes) == (50, 12, None, 1)
    assert (views.target, views.minimum_nodes) == (0.99, VIEWS)
    assert limits_for(PLAIN, 12, 10_000, 50, 3).maximum_nodes == 3
    assert limits_for(PLAIN, 12, 10_000, 50, 900).maximum_nodes == 50
    assert limits_for(PLAIN, 12, HURRIED_MS - 1, 50).target == HURRIED_TARGET
    assert limits_for(VIEWPOINT, 12, HURRIED_MS - 1, 50).target == 0.99


def test_a_population_question_goes_first_to_who_can_count(describe):
    """Of four hospitals two have records of patients; neither was selected, both are now, before the others, as far as
    the cap goes."""
    nodes = ("a", "b", "c", "d")
    collections = [
        describe(node, ([0.8, 0, 0], 10, 0.1)).model_copy(
            update={"release_class": ReleaseClass.PATIENT if node in "cd" else ReleaseClass.PUBLIC}
        )
        for node in nodes
    ]
    ranking = tuple(RankedNode(node=node, score=1 - at / 10, probability=0.5) for at, node in enumerate(nodes))
    decision = RoutingDecision(policy="p", ranking=ranking, selected=("a", "b"), why="Because.")
    assert as_read(decision, POPULATIONS, collections, 10).selected == ("c", "d", "a", "b")
    assert as_read(decision, POPULATIONS, collections, 3).selected == ("c", "d", "a")
    assert as_read(decision, POPULATIONS, collections, 10).why.endswith(
        "2 hospitals with records of patients come first."
    )
    plain = as_read(decision, PLAIN, collections, 10)
    assert (plain.selected, plain.why, plain.intent) == (("a", "b"), "Because.", Intent.FACT)
