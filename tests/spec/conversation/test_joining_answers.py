"""The answers to sub-questions as one: numbers, weights, accounts and what is left open."""

import pytest
from made_answers import made

from fedrag.core.answer import Conflict, ConflictKind, Quote
from fedrag.core.exchange import NodeOutcome, NodeStatus
from fedrag.core.purse import Spent
from fedrag.core.question import AskRequest, Question
from fedrag.joining import Answered, join


def part(text: str, *, only: str | None = None, again: bool = False, **changes) -> Answered:
    """An answer that cites passage 1; `only`: of one hospital's passages; `again`: whose handle was drawn anew."""
    answer = made(AskRequest(question=Question(text=f"About {text}?")), text=f"{text} [1] and [2].")
    evidence = answer.evidence
    if only:
        kept = next(one for one in evidence.passages if one.node == only).model_copy(update={"number": 1, "weight": 1})
        evidence = evidence.model_copy(update={"passages": (kept,), "source_weights": {only: 1.0}})
    if again:
        renewed = [one.passage.model_copy(update={"handle": "f" * 64}) for one in evidence.passages]
        passages = [
            one.model_copy(update={"passage": passage}) for one, passage in zip(evidence.passages, renewed, strict=True)
        ]
        evidence = evidence.model_copy(update={"passages": tuple(passages)})
    return Answered(answer.model_copy(update={"evidence": evidence, **changes}), None, Spent(hospitals=2), False)


def joined(*parts: Answered):
    return join("1" * 32, Question(text="Both?"), parts)


def test_a_passage_is_told_once_however_its_handle_was_drawn() -> None:
    """Two parts with the same two passages have two, and their citations stay."""
    answer = joined(part("A"), part("B", again=True))
    assert [one.number for one in answer.evidence.passages] == [1, 2]
    assert [step.citations for step in answer.steps] == [(1,), (1,)]
    assert answer.text == "About A?\nA [1] and [2].\nAbout B?\nB [1] and [2]."


def test_citations_follow_their_passages() -> None:
    """The second part's only passage is the whole's second; a number that was no citation stays as it is."""
    answer = joined(part("A"), part("B", only="south"))
    assert answer.steps[1].citations == (2,)
    assert answer.steps[1].text == "B [2] and [2]."
    assert answer.parts[1].citations == (2,)
    assert answer.evidence.passages[1].node == "south"


def test_conflicts_point_at_the_same_quotes() -> None:
    """Both sides and which one is newer are numbered anew."""
    swapped = part("B")
    passages = swapped.answer.evidence.passages
    turned = (passages[1].model_copy(update={"number": 1}), passages[0].model_copy(update={"number": 2}))
    quotes = [Quote(citation=1, text="Give 75 mg."), Quote(citation=2, text="Give 5 mg daily.")]
    conflict = Conflict(kind=ConflictKind.NUMBERS, first=quotes[0], second=quotes[1], newer=2)
    evidence = swapped.answer.evidence.model_copy(update={"passages": turned, "conflicts": (conflict,)})
    second = Answered(swapped.answer.model_copy(update={"evidence": evidence}), None, Spent(), False)
    (found,) = joined(part("A"), second).evidence.conflicts
    assert (found.first.citation, found.second.citation, found.newer) == (2, 1, 1)


def test_weights_are_the_mean_under_the_cap_of_all() -> None:
    """South alone, and both alike, are .25 and .75; of two hospitals none has more than a half."""
    answer = joined(part("A"), part("B", only="south"))
    assert answer.evidence.source_weights == pytest.approx({"north": 0.5, "south": 0.5})
    assert [one.weight for one in answer.evidence.passages] == pytest.approx([0.5, 0.5])


def test_what_was_given_away_and_spent_is_added_up() -> None:
    """Twice what each part has, though the passages are the same: they left twice. Every number a hospital gave away
    counts, whatever it is called."""
    first = part("A")
    given = first.answer.disclosure.hospitals[0]
    numbers = [name for name, field in type(given).model_fields.items() if field.annotation is int]
    account = first.answer.disclosure.model_copy(
        update={"hospitals": (given.model_copy(update={name: at for at, name in enumerate(numbers, start=1)}),)}
    )
    both = Answered(first.answer.model_copy(update={"disclosure": account}), None, Spent(), False)
    (told,) = joined(both, both).disclosure.hospitals
    assert [getattr(told, name) for name in numbers] == [2 * at for at in range(1, len(numbers) + 1)]
    assert "traces" in numbers
    answer = joined(part("A"), part("B"))
    assert [(one.node, one.passages, one.text_bytes) for one in answer.disclosure.hospitals] == [("north", 4, 18)]
    assert (answer.budget.nodes_asked, answer.budget.messages) == (4, 8)
    assert {one.stage: one.elapsed_ms for one in answer.timings} == {"encode": 20, "reason": 60}


def test_confidence_is_that_all_answered_parts_are_right() -> None:
    """.8 twice is .64; a part without an answer leaves it and is told of; without any the whole abstains."""
    silent = made(AskRequest(question=Question(text="About C?")), text="", abstained=True)
    without = Answered(silent, 256, Spent(), True)
    assert joined(part("A"), part("B")).confidence == pytest.approx(0.64)
    partly = joined(part("A"), without)
    assert partly.confidence == pytest.approx(0.8)
    assert partly.abstained is None
    assert [one.code for one in partly.notices] == ["part_unanswered"]
    assert (partly.parts[1].allotted, partly.parts[1].cut_short) == (256, True)
    nothing = joined(without, without)
    assert nothing.abstained == silent.abstained
    assert nothing.text == ""


def test_of_each_hospital_the_first_failure_counts() -> None:
    """It answered one part and failed in the other; it was asked in one and not selected in the other."""

    def outcome(status: NodeStatus) -> tuple[NodeOutcome, ...]:
        return (NodeOutcome(node="north", status=status, elapsed_ms=5.0),)

    def after(*statuses: NodeStatus) -> NodeOutcome:
        return joined(*(part("A", coverage=outcome(status)) for status in statuses)).coverage[0]

    assert after(NodeStatus.ANSWERED, NodeStatus.TIMED_OUT).status is NodeStatus.TIMED_OUT
    assert after(NodeStatus.NOT_SELECTED, NodeStatus.ANSWERED).status is NodeStatus.ANSWERED
    assert after(NodeStatus.NOT_SELECTED, NodeStatus.NOT_SELECTED).status is NodeStatus.NOT_SELECTED
    assert after(NodeStatus.ANSWERED, NodeStatus.ANSWERED).elapsed_ms == 10
