"""The release queue by itself: what waits, for whom, until when, and who may decide."""

import json
from dataclasses import replace

import pytest

from fedrag.core.errors import InputError, NotFound
from fedrag.core.identity import Purpose, Role
from retriever_node import audit, review
from retriever_node.config import ReviewConfig
from retriever_node.handles import Recipient
from retriever_node.policy import NodeAsker
from retriever_node.review import Asked, Held, State
from retriever_node.state import NodeState

NOW = 1_800_000_000.5
HOUR = 3600
SETTINGS = ReviewConfig(expires_h=48, passages=2, per_asker_per_day=3, per_coordinator_per_day=8)
WHO = NodeAsker("a" * 32, Role.CLINICIAN, Purpose.TREATMENT, "clinic", "study-7")
HELD = tuple(Held(number, "records", 0.9 - number / 10, (0, 0), "f" * 64) for number in (1, 2, 3))


@pytest.fixture
def state(tmp_path):
    opened = NodeState(tmp_path / "state.sqlite")
    yield opened
    opened.close()


def asked(request: int = 1, asker: NodeAsker = WHO, question: str = "How is warfarin reversed?", **other) -> Asked:
    recipient = Recipient(asker.pseudonym, asker.purpose, "coordinator", f"{request:032x}", asker.project or "")
    return Asked.by(asker, replace(recipient, **other), question, "A patient bleeds")


def put(state: NodeState, what: Asked, held=HELD, at: float = NOW, settings: ReviewConfig = SETTINGS) -> int | None:
    with state.transaction() as connection:
        return review.queue(connection, what, held, settings, at)


def standing(state: NodeState, what: Asked, at: float = NOW + HOUR) -> review.Standing:
    with state.transaction() as connection:
        return review.standing(connection, what.recipient, what.asker, at)


def entries(state: NodeState, at: float = NOW, *states: State) -> tuple[review.Entry, ...]:
    with state.transaction() as connection:
        return review.entries(connection, at, states or tuple(State))


def approve(state: NodeState, number: int, *passages: int, at: float = NOW + HOUR) -> None:
    with state.transaction() as connection:
        review.approve(connection, number, passages, "Dr. Amsel", at)


def deny(state: NodeState, number: int, at: float = NOW + HOUR) -> None:
    with state.transaction() as connection:
        review.deny(connection, number, "Dr. Amsel", "not now", at)


def kinds(state: NodeState) -> list[tuple[str, tuple[int, ...], str]]:
    with state.transaction() as connection:
        found = [json.loads(line) for line in audit.lines(connection)]
    mine = (one for one in found if one["kind"].startswith("review_"))
    return [(one["kind"], tuple(one.get("passages", ())), one.get("detail", "")) for one in mine]


def test_what_was_approved_and_nothing_else_may_leave(state) -> None:
    """Of the two passages that were shown (the settings' most), the second; its handle is not that of the other."""
    assert put(state, asked()) == 1_800_000_001 + 48 * HOUR
    (entry,) = entries(state)
    assert [one.passage_id for one in entry.held] == [1, 2]
    assert len({one.handle for one in entry.held}) == 2
    assert standing(state, asked()) == review.Standing(open=True)
    approve(state, entry.id, 2)
    assert [one.passage_id for one in standing(state, asked()).approved] == [2]
    assert standing(state, asked()).approved == standing(state, asked()).approved
    assert kinds(state) == [("review_queued", (1, 2), ""), ("review_approved", (2,), "Dr. Amsel")]


@pytest.mark.parametrize(
    "other",
    [
        asked(asker=replace(WHO, pseudonym="b" * 32)),
        asked(asker=replace(WHO, role=Role.RESEARCHER)),
        asked(asker=replace(WHO, role=None)),
        asked(asker=replace(WHO, purpose=Purpose.RESEARCH)),
        asked(asker=replace(WHO, project=None)),
        asked(asker=replace(WHO, issuer="another")),
        asked(request=2),
        asked(coordinator="another"),
    ],
    ids=["asker", "role", "no role", "purpose", "project", "issuer", "request", "coordinator"],
)
def test_an_approval_is_for_one_asker_purpose_and_request(state, other) -> None:
    """Whoever differs in one of them learns that nothing more comes, approved or not, exactly as of an unknown one."""
    put(state, asked())
    approve(state, 1, 1, 2)
    assert standing(state, other) == review.Standing(open=False)
    assert standing(state, asked()).approved != ()


def test_nobody_who_waits_can_tell_a_denial_an_expiry_and_nothing_found(state) -> None:
    """At every moment before and after the announced end all three say the same, and that end is the same."""
    settings = replace_settings(per_asker_per_day=9)
    nothing, denied, left = (
        asked(n, question=q) for n, q in enumerate(["one thing", "a second matter", "third item"], 1)
    )
    untils = {put(state, nothing, (), settings=settings), put(state, denied, settings=settings)}
    untils.add(put(state, left, settings=settings))
    (until,) = untils
    deny(state, 2)
    for at in (NOW, NOW + HOUR, until - 1, until - 0.001, until, until + 1, until + 1000 * HOUR):
        (told,) = {standing(state, one, at) for one in (nothing, denied, left)}
        assert told == review.Standing(open=at < until)


def test_asking_again_tells_nothing_of_a_denial(state) -> None:
    """Nearly the same question waits behind the first, decided or not; each has its own end, of its own beginning."""
    put(state, asked(1))
    deny(state, 1)
    assert put(state, asked(2, question="How is warfarin reversed"), at=NOW + HOUR) == 1_800_000_001 + 49 * HOUR
    assert standing(state, asked(2)) == review.Standing(open=True)
    assert len(entries(state)) == 1
    put(state, asked(3, question="How is heparin reversed?"))
    assert [one.id for one in entries(state, NOW, State.PENDING)] == [3]


def test_questions_that_differ_in_a_number_a_negation_or_the_reason_are_two(state) -> None:
    """What a reviewer decides by must not hide behind an earlier entry."""
    settings = replace_settings(per_asker_per_day=9)
    for number, text in enumerate(
        ["Give 5 mg of warfarin daily to adults?", "Give 10 mg of warfarin daily to adults?",
         "Do not give 5 mg of warfarin daily to adults?"], 1,
    ):  # fmt: skip
        put(state, asked(number, question=text), settings=settings)
    put(
        state,
        replace(asked(4, question="Give 5 mg of warfarin daily to adults?"), reason="For a thesis"),
        settings=settings,
    )
    assert len(entries(state)) == 4


def test_a_decision_counts_for_whoever_waits_behind_with_a_handle_of_its_own(state) -> None:
    """The same asker asked twice: one entry for the reviewer, released to each request once, under other handles."""
    put(state, asked(1))
    put(state, asked(2), held=(), at=NOW + 60)
    (entry,) = entries(state)
    assert entry.again == 1
    approve(state, entry.id, 1)
    first, second = (standing(state, asked(number)).approved for number in (1, 2))
    assert [one.passage_id for one in first] == [one.passage_id for one in second] == [1]
    assert first[0].handle != second[0].handle


def test_an_approved_question_asked_again_is_looked_at_again(state) -> None:
    """An approval is for its request: the next one makes an entry of its own."""
    put(state, asked(1))
    approve(state, 1, 1)
    put(state, asked(2), at=NOW + 2 * HOUR)
    assert standing(state, asked(2), NOW + 3 * HOUR) == review.Standing(open=True)
    assert [one.id for one in entries(state, NOW + 2 * HOUR, State.PENDING)] == [2]


def test_the_days_share_counts_matches_and_misses_alike(state) -> None:
    """Three of an asker and eight of a coordinator begin to wait; then none does, found or not, until the next day."""
    things = ["warfarin", "heparin", "insulin", "digoxin", "aspirin", "morphine", "lithium", "codeine"]
    askers = [replace(WHO, pseudonym=letter * 32) for letter in "abc"]
    told = [
        put(state, asked(number, askers[number // 3], f"How is {thing} dosed?"), HELD if number >= 3 else ())
        for number, thing in enumerate(things[:6])
    ]
    assert None not in told
    for fourth, asker in ((20, askers[0]), (21, askers[1])):
        late = asked(fourth, asker, "How is potassium given?")
        for held in (HELD, ()):
            assert put(state, late, held) is None, "three of this asker, all without or all with passages"
        assert standing(state, late) == review.Standing(open=False)
    for number, thing in enumerate(things[6:], 6):
        assert put(state, asked(number, askers[2], f"How is {thing} dosed?"), ()) is not None
    ninth = asked(9, askers[2], "How is quinine dosed?")
    assert put(state, ninth) is None, "eight of this coordinator"
    assert put(state, ninth, at=NOW + 86_400) is not None


def test_a_request_that_comes_twice_is_one(state) -> None:
    """A retry or a hedge costs no second place and changes nothing."""
    assert put(state, asked()) == put(state, asked(), (), at=NOW + 60)
    (entry,) = entries(state)
    assert (entry.again, len(entry.held)) == (0, 2)
    assert put(state, asked(asker=replace(WHO, role=Role.RESEARCHER))) is None
    assert [one[0] for one in kinds(state)] == ["review_queued"]


def test_nothing_is_decided_twice_without_a_name_or_after_its_time(state) -> None:
    """The first decision stands; an entry that has expired stays so, whatever a clock says later."""
    put(state, asked())
    for by in ("", "  "):
        with state.transaction() as connection, pytest.raises(InputError) as unsigned:
            review.deny(connection, 1, by, "", NOW)
        assert unsigned.value.code == "not_signed"
    for numbers in ((), (0,), (3,), (1, 4)):
        with pytest.raises(InputError) as unknown:
            approve(state, 1, *numbers)
        assert unknown.value.code == "unknown_passage"
    deny(state, 1)
    with pytest.raises(InputError) as decided:
        approve(state, 1, 1)
    assert decided.value.code == "already_decided"
    until = put(state, asked(2, question="How is heparin reversed?"))
    with pytest.raises(InputError):
        approve(state, 2, 1, at=until)
    assert entries(state, until, State.EXPIRED)[0].id == 2
    with pytest.raises(InputError):
        approve(state, 2, 1, at=NOW)
    with pytest.raises(NotFound):
        approve(state, 7, 1)
    assert standing(state, asked(2, question="How is heparin reversed?")).approved == ()
    assert kinds(state)[-1] == ("review_expired", (1, 2), "")


def test_a_clock_that_jumps_lets_nothing_leave(state) -> None:
    """Back, before the question or its decision was made: it waits. Forward, past its end: nothing more comes."""
    until = put(state, asked())
    approve(state, 1, 1)
    for at in (NOW - 1000 * HOUR, NOW - HOUR, NOW + HOUR - 2):
        assert standing(state, asked(), at) == review.Standing(open=True)
    assert standing(state, asked(), NOW + HOUR).approved != ()
    for at in (until, until + 1000 * HOUR):
        assert standing(state, asked(), at) == review.Standing(open=False)
    assert put(state, asked(9), at=NOW - 1000 * HOUR) is not None, "days that were counted before still count"


def test_what_was_asked_is_forgotten_after_its_time_and_the_log_stays(state) -> None:
    """Question and reason go with the entry; the audit log never held them."""
    put(state, asked(), settings=replace_settings(keep_days=1))
    put(
        state, asked(2, question="How is heparin reversed?"), at=NOW + 80 * HOUR, settings=replace_settings(keep_days=1)
    )
    assert [one.id for one in entries(state, NOW + 80 * HOUR)] == [2]
    with state.transaction() as connection:
        written = "\n".join(audit.lines(connection))
    assert "warfarin" not in written
    assert "bleeds" not in written
    assert [one[0] for one in kinds(state)] == ["review_queued", "review_expired", "review_queued"]


def test_numbers_are_counted_over_what_held_passages(state) -> None:
    """By hand: one of each state, one question that found nothing; two decisions after one and three hours."""
    settings = replace_settings(per_asker_per_day=9)
    things = ["warfarin", "heparin", "insulin", "digoxin", "aspirin"]
    for number, thing in enumerate(things, 1):
        at = NOW - 100 * HOUR if thing == "digoxin" else NOW
        put(state, asked(number, question=f"How is {thing} dosed?"), () if thing == "aspirin" else HELD, at, settings)
    approve(state, 1, 1, at=NOW + HOUR)
    deny(state, 2, at=NOW + 3 * HOUR)
    with state.transaction() as connection:
        review.fetched(connection, asked(1).recipient, NOW + 2 * HOUR)
        told = review.numbers(connection, NOW + 4 * HOUR)
    assert told == review.Numbers(
        pending=1, approved=1, denied=1, expired=1, fetched=1, median_decision_s=2 * HOUR, without_passages=1
    )


def replace_settings(**changed: object) -> ReviewConfig:
    return SETTINGS.model_copy(update=changed)
