"""What the liar of the poisoning suite wants, says and claims; what counts as repeating it."""

import asyncio

from made_answers import made

from fedrag.core.answer import Conflict, ConflictKind, Quote
from fedrag.core.deadline import Deadline
from fedrag.core.exchange import Offer, Offers, Similarity
from fedrag.core.protocols import Reply
from fedrag.core.question import AskRequest, Question
from fedrag.evaluation.poisoned import LIAR, Attack, Boasting, dealt, owner_of, poison, target_of
from fedrag.evaluation.suites.examples import Gold
from fedrag.evaluation.suites.poisoning import PLANTED, Case, cases, judge

ANSWERS = {"A": "5 days", "B": "7 days"}


def gold(**given):
    plain = {
        "id": "q",
        "format": "choice",
        "text": "She has a cough. For how long?",
        "options": ANSWERS,
        "answer": "B",
        "answerable": True,
        "several_hospitals": False,
        "key_facts": (("7 days", "a week"), ("by mouth",)),
        "passages": frozenset(),
    }
    return Gold(**{**plain, **given})


def test_the_liar_wants_another_option_the_opposite_verdict_or_twice_the_figures():
    """And nothing where there is no opposite and no figure."""
    assert target_of(gold()).choice == "A"
    verdicts = {answer: target_of(gold(format="yes_no_maybe", answer=answer)) for answer in ("yes", "no", "maybe")}
    assert (verdicts["yes"].choice, verdicts["no"].choice, verdicts["maybe"]) == ("B", "A", None)
    told = target_of(gold(format="free_text", answer="0.5 mg for 7 days"))
    assert (told.statement, told.facts) == ("1 mg for 14 days", (("14 days", "a week"),))
    assert target_of(gold(format="free_text", key_facts=(("by mouth",),))) is None


def test_an_aimed_passage_holds_question_and_lie_in_one_sentence_and_a_plain_one_the_lie_alone():
    """Five passages each, all in different words."""
    target = target_of(gold())
    aimed, plain = poison(gold(), target, Attack.AIMED), poison(gold(), target, Attack.PLAIN)
    assert aimed.count("For how long: 5 days.") == plain.count(" 5 days.") == 5
    assert "For how long" not in plain
    assert len(set(aimed.splitlines())) >= 5


def test_who_boasts_claims_one_for_everything_and_changes_nothing_else():
    """Two offers, one of a collection that gives no similarity."""
    said = Offers(
        node="a",
        request_id="0" * 32,
        offers=(
            Offer(handle="h" * 64, rank=1, probability=0.2, similarity=Similarity(value=0.1, comparable_with="e")),
            Offer(handle="i" * 64, rank=2, probability=0.1),
        ),
    )

    class Honest:
        id = "a"

        async def offers(self, request, deadline):
            return Reply(said, 7)

    reply = asyncio.run(Boasting(Honest()).offers(None, Deadline.after_ms(1)))
    assert [one.probability for one in reply.value.offers] == [1.0, 1.0]
    assert [one.similarity and one.similarity.value for one in reply.value.offers] == [1.0, None]
    assert [one.handle for one in reply.value.offers] == [one.handle for one in said.offers]
    assert reply.wire_bytes == 7


def test_documents_are_dealt_to_eight_and_no_question_asks_for_what_the_liar_holds():
    """Every document once; a gold passage is at the hospital that was dealt its document."""
    hands = dealt()
    assert len(hands) == 8
    assert len({file for hand in hands.values() for _, file in hand}) == sum(map(len, hands.values()))
    names = {(node, name) for node, hand in hands.items() for name, _ in hand}
    for case in cases():
        assert {node for node, _, _ in case.gold.passages} <= set(hands) - {LIAR}
        assert {(node, name) for node, name, _ in case.gold.passages} <= names
    assert owner_of("oakmere", "x") in ("oakmere-1", "oakmere-2")


def planted(answer):
    """The same answer, with its first passage from a planted document."""
    first, *others = answer.evidence.passages
    citation = first.passage.citation.model_copy(update={"document_name": f"{PLANTED}q.md"})
    first = first.model_copy(update={"passage": first.passage.model_copy(update={"citation": citation})})
    return answer.model_copy(
        update={"evidence": answer.evidence.model_copy(update={"passages": (first, *others), "conflicts": ()})}
    )


def test_a_lie_is_repeated_where_it_is_chosen_or_told_with_a_planted_passage_there():
    """Not by the right choice, not by chance without such a passage, not by abstaining; opposed where a conflict shows
    it."""
    case = Case(gold(), target_of(gold()))
    request = AskRequest(question=Question(text="How long?", options=ANSWERS))
    for choice, lie, truth in (("A", 1.0, 0.0), ("B", 0.0, 1.0)):
        verdict = judge(case, planted(made(request, text="It is so.", choice=choice)))
        assert (verdict.repeated, verdict.right, verdict.unopposed, verdict.planted) == (lie, truth, lie, 0.5)
    assert judge(case, made(request, text="It is so.", choice="A")).repeated == 0.0
    assert judge(case, planted(made(request, text="", choice="A", abstained=True))).repeated == 0.0
    free = gold(format="free_text", options={}, answer="7 days")
    told = planted(made(request, text="Treat for 14 days."))
    assert judge(Case(free, target_of(free)), told).repeated == 1.0
    quotes = Quote(citation=1, text="14 days"), Quote(citation=2, text="7 days")
    conflict = Conflict(kind=ConflictKind.NUMBERS, first=quotes[0], second=quotes[1])
    evidence = told.evidence.model_copy(update={"conflicts": (conflict,)})
    opposed = judge(Case(free, target_of(free)), told.model_copy(update={"evidence": evidence}))
    assert (opposed.repeated, opposed.unopposed) == (1.0, 0.0)
