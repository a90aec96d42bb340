"""The extractive back end on evidence whose right answer is known by hand."""

import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fedrag.core.answer import AbstentionCode, ConflictKind, Evidence
from fedrag.core.deadline import Deadline
from fedrag.core.question import Question
from fedrag.encoders import ENCODERS
from reasoner.backends import BACKENDS, Surroundings
from reasoner.conclusion import conclude
from reasoner.heads import load
from reasoner.options import score
from reasoner.selection import select
from reasoner.statements import read
from reasoner.verdict import asked_for, decide

ENCODER = ENCODERS.build("hashing")
HEADS = load()


async def reason(question: Question, evidence: Evidence, **settings: object):
    surroundings = Surroundings(ENCODER, {}, bytes)
    backend = BACKENDS.build("extractive", {"abstain_below": 0.0} | settings)(surroundings)
    return await backend.reason(question, evidence, Deadline.after_ms(10_000))


def reading(question: Question, evidence: Evidence):
    return read(question, evidence, ENCODER, HEADS.support)


@pytest.mark.parametrize("letters", [("A", "B", "C"), ("C", "A", "B")])
async def test_the_option_with_the_evidence_s_number_wins_wherever_it_stands(evidence, letters) -> None:
    """5 mg stands in the evidence, 2.5 mg and 50 mg do not; the order of the options does not matter."""
    right, *wrong = letters
    options = {right: "5 mg", wrong[0]: "2.5 mg", wrong[1]: "50 mg"}
    released = evidence(
        ("a", "Adults start apixaban at 5 mg twice daily. Check the kidneys yearly."), ("b", "Wash hands before meals.")
    )
    made = await reason(Question(text="What is the adult dose of apixaban?", options=options), released)
    assert made.choice == right
    assert made.text.startswith(f"{right}. 5 mg\n“Adults start apixaban at 5 mg twice daily.” [1]")


async def test_the_same_amount_in_another_unit_wins(evidence) -> None:
    """0.5 mg is 500 micrograms."""
    options = {"A": "5 mg", "B": "0.5 mg", "C": "50 mg"}
    released = evidence(("a", "Give adrenaline 500 micrograms into the thigh."))
    made = await reason(Question(text="How much adrenaline goes into the thigh?", options=options), released)
    assert made.choice == "B"


def test_option_probabilities_sum_to_one_and_are_ordered(evidence) -> None:
    """A softmax, best first."""
    question = Question(text="What dose?", options={"A": "5 mg", "B": "2 mg", "C": "fifty"})
    scores = score(question.options, reading(question, evidence(("a", "The dose is 2 mg for all."))), HEADS.option)
    assert sum(one.probability for one in scores) == pytest.approx(1)
    assert [one.probability for one in scores] == sorted((one.probability for one in scores), reverse=True)
    assert scores[0].letter == "B"


@pytest.mark.parametrize(
    ("sentence", "expected"),
    [
        ("Adults may take aspirin with warfarin.", "yes"),
        ("Adults must not take aspirin with warfarin.", "no"),
        ("Avoid aspirin in adults who take warfarin.", "no"),
    ],
)
async def test_a_closed_question_takes_the_direction_of_the_evidence(evidence, sentence, expected) -> None:
    """With options and without: the letter, or the word itself."""
    text = "May adults take aspirin with warfarin?"
    released = evidence(("a", sentence))
    with_options = await reason(Question(text=text, options={"A": "no", "B": "maybe", "C": "Yes"}), released)
    assert with_options.choice == {"no": "A", "maybe": "B", "yes": "C"}[expected]
    without = await reason(Question(text=text), released)
    assert without.choice == expected
    assert without.text.startswith(f"{expected.capitalize()}.\n“{sentence}” [1]")


def test_stop_turns_the_question_round(evidence) -> None:
    """Asked whether to stop, "do not stop" means no."""
    question = Question(text="Should warfarin be stopped before dental work?")
    seen = reading(question, evidence(("a", "Do not stop warfarin before dental work.")))
    answers = asked_for(question)
    assert decide(question, answers, seen, (), HEADS.leaning, HEADS.undecided).word == "no"


def test_without_maybe_among_the_options_it_is_not_answered(evidence) -> None:
    """Two options, two probabilities that sum to one."""
    question = Question(text="Is it safe?", options={"A": "Yes", "B": "No"})
    assert set(asked_for(question)) == {"yes", "no"}
    seen = reading(question, evidence(("a", "It is safe."), ("b", "It is not safe.")))
    verdict = decide(question, asked_for(question), seen, (), HEADS.leaning, HEADS.undecided)
    assert verdict.word in {"yes", "no"}
    assert 0.5 <= verdict.probability <= 1


async def test_hospitals_in_conflict_are_both_quoted_and_make_it_a_maybe(evidence, conflict) -> None:
    """Both quotes, both names, and the word differ."""
    first, second = "Adults may take aspirin with warfarin.", "Adults must not take aspirin with warfarin."
    released = evidence(
        ("a", first), ("b", second), conflicts=(conflict((1, first), (2, second), ConflictKind.NEGATION),)
    )
    made = await reason(Question(text="May adults take aspirin with warfarin?"), released)
    assert made.choice == "maybe"
    assert f"The hospitals differ (negation): a says “{first}” [1]; b says “{second}” [2]." in made.text
    assert any(set(step.citations) == {1, 2} and "differ" in step.text for step in made.steps)


async def test_a_conflict_whose_quote_is_not_in_the_passage_is_cited_but_not_quoted(evidence, conflict) -> None:
    """Nothing is shown in quotation marks that no hospital released."""
    released = evidence(
        ("a", "Give 5 mg."), ("b", "Give 9 mg."), conflicts=(conflict((1, "Invented."), (2, "Give 9 mg.")),)
    )
    made = await reason(Question(text="How much is given?"), released)
    assert "Invented" not in made.text
    assert "a says otherwise [1]" in made.text


async def test_both_hospitals_are_quoted_when_both_have_something_to_say(evidence) -> None:
    """Six similar sentences of one hospital do not crowd out the only one of the other."""
    crowd = " ".join(f"Adults with croup take dexamethasone {n} mg on day {n}." for n in range(1, 9))
    released = evidence(("a", crowd), ("b", "Dexamethasone 0.6 mg/kg is our dose for croup in adults."))
    made = await reason(Question(text="What dexamethasone dose for croup in adults?"), released, quotes=4)
    assert {number for step in made.steps for number in step.citations} == {1, 2}


def test_a_repeated_sentence_is_quoted_once_and_a_different_number_is_no_repetition(evidence) -> None:
    """Near-identical wording counts as the same only when its quantities are equal."""
    released = evidence(
        ("a", "Give adults amoxicillin 500 mg daily."),
        ("b", "Give adults amoxicillin 500 mg daily."),
        ("c", "Give adults amoxicillin 250 mg daily."),
    )
    chosen = select(reading(Question(text="Amoxicillin for adults"), released).statements, maximum=6, share=0.01)
    assert sorted(one.citation for one in chosen) == [1, 3]


async def test_a_trusted_source_is_quoted_before_a_distrusted_one(evidence) -> None:
    """Same words, same place but for the weight: support follows the odds of the weights."""
    released = evidence(("a", "Give it at noon to all adults."), ("b", "Give it at dusk to all adults."))
    passages = tuple(
        one.model_copy(update={"weight": weight}) for one, weight in zip(released.passages, (0.1, 0.9), strict=True)
    )
    unequal = released.model_copy(update={"passages": passages})
    question = Question(text="When is it given to adults?")
    before = {one.node: one.support for one in reading(question, released).statements}
    after = {one.node: one.support for one in reading(question, unequal).statements}

    def odds(p: float) -> float:
        return p / (1 - p)

    assert odds(after["a"]) / odds(before["a"]) == pytest.approx(0.2)
    assert odds(after["b"]) / odds(before["b"]) == pytest.approx(1.8)


async def test_no_passages_means_no_evidence(evidence) -> None:
    """Abstained, with its code, without text, and with no confidence."""
    made = await reason(Question(text="What dose?"), evidence())
    assert made.abstained is not None
    assert made.abstained.code is AbstentionCode.NO_EVIDENCE
    assert (made.text, made.choice, made.steps, made.confidence) == ("", None, (), 0.0)


async def test_it_abstains_below_the_threshold_and_answers_above(evidence) -> None:
    """The answerability of this evidence lies between the two thresholds."""
    question, released = Question(text="What is the dose of mefloquine?"), evidence(("a", "Wash hands before meals."))
    seen = reading(question, released)
    answerable = conclude(question, released, seen, HEADS, quotes=6, share=0.25).answerable
    above = await reason(question, released, abstain_below=min(1.0, answerable + 0.01))
    assert above.abstained is not None
    assert above.abstained.code is AbstentionCode.EVIDENCE_INSUFFICIENT
    assert "Wash" not in above.abstained.explanation
    below = await reason(question, released, abstain_below=max(0.0, answerable - 0.01))
    assert below.abstained is None
    assert below.text


def test_evidence_about_the_question_is_more_answerable_than_evidence_about_another(evidence) -> None:
    """The same question, once with its passage and once with a stranger's."""
    question = Question(text="How often is potassium checked on spironolactone?")
    near = evidence(("a", "On spironolactone potassium is checked weekly."), ("b", "Wash hands before meals."))
    far = evidence(("a", "Wash hands before meals."), ("b", "Visitors leave at eight."))
    values = [
        conclude(question, one, reading(question, one), HEADS, quotes=6, share=0.25).answerable for one in (near, far)
    ]
    assert values[0] > values[1]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    passages=st.lists(
        st.tuples(
            st.sampled_from(["a", "b", "c"]), st.text(min_size=1, max_size=300).filter(lambda t: t.isprintable())
        ),
        max_size=6,
    ),
    text=st.sampled_from(["Is it safe?", "How much?", "Which dose for adults weighing 5 kg?"]),
    options=st.sampled_from([{}, {"A": "5 mg", "B": "none"}, {"A": "yes", "B": "no", "C": "maybe"}]),
)
async def test_every_quote_stands_in_the_passage_it_cites_and_the_same_question_gets_the_same_answer(
    evidence, passages, text, options
) -> None:
    """Whatever the evidence: citations resolve, quotes are exact, probabilities are probabilities, nothing is drawn."""
    released, question = evidence(*passages), Question(text=text, options=options)
    made = await reason(question, released)
    by_number = {one.number: one.passage.text for one in released.passages}
    assert all(set(step.citations) <= set(by_number) and step.citations for step in made.steps)
    for quoted, number in re.findall(r"“([^“]*)” \[(\d+)\]", made.text):
        assert quoted in by_number[int(number)]
    assert 0 <= made.confidence <= 1
    assert made.choice is None or made.choice in options or made.choice in {"yes", "no", "maybe"}
    assert made == await reason(question, released)
