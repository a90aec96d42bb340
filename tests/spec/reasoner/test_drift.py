"""Who no longer answers as it did when it was judged: found by what it says beside the others, told apart from whom it
drags along, and let back in."""

import math
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import pytest

from reasoner.drift import ALARM, ODDS, Drift, evidence, leading
from reasoner.source_answer import SourceAnswer
from reasoner.training.fit_votes import Judged, fit_votes, whole
from reasoner.vote_model import VoteModel, feature_names
from reasoner.weighted_vote import SourceAnswers

OPTIONS = ("A", "B", "C", "D")
GOOD = {"east": 0.85, "north": 0.8, "south": 0.75, "west": 0.7}
Lie = Callable[[str, np.random.Generator], str]


def wrong(right: str, drawn: np.random.Generator) -> str:
    return "B" if right == "A" else "A"


def asked(
    count: int, seed: int, good: dict[str, float] = GOOD, liars: Sequence[str] = (), lie: Lie = wrong
) -> list[Judged]:
    """Honest sources are right this often, and otherwise choose any other option."""
    drawn, made = np.random.default_rng(seed), []
    for _ in range(count):
        right = OPTIONS[drawn.integers(4)]
        others = [option for option in OPTIONS if option != right]
        said = {
            source: lie(right, drawn)
            if source in liars
            else right
            if drawn.random() < share
            else others[drawn.integers(3)]
            for source, share in good.items()
        }
        made.append(Judged({source: SourceAnswer(choice) for source, choice in said.items()}, OPTIONS, right))
    return made


def judged(cases: Sequence[Judged]) -> VoteModel:
    return whole(fit_votes(tuple(cases[0].answers), cases), cases)


@pytest.fixture(scope="module")
def model() -> VoteModel:
    return judged(asked(600, 1))


def follow(model: VoteModel, cases: Sequence[Judged], drift: Drift | None = None) -> list[Drift]:
    """What is believed after each question."""
    drift, beliefs, sources = drift or Drift(), [], frozenset(model.sources)
    known: dict[object, float | None] = {}

    def of(changed: frozenset[str], said: SourceAnswers) -> float | None:
        key = changed, frozenset(said.items())  # the same answers come often
        if key not in known:
            known[key] = evidence(model, said, changed)
        return known[key]

    for one in cases:
        drift = drift.after(sources, partial(of, said=one.answers))
        beliefs.append(drift)
    return beliefs


def one_coefficient(sources: tuple[str, ...], weight: float, usual: tuple[tuple[int, int], ...]) -> VoteModel:
    """A word counts this much, whoever says it."""
    count = len(feature_names(sources))
    coefficients = (weight,) * len(sources) + (0.0,) * (count - len(sources))
    return VoteModel(sources=sources, coefficients=coefficients, judged=0, usual=dict.fromkeys(sources, usual))


def test_evidence_is_the_log_of_how_much_likelier_the_choice_is() -> None:
    """By hand. The two others choose A, which leads the next by 1.5 nats: the third of four kinds, in which x agreed in
    80 of 100 questions. p = 81/102 less a standard error; changed, the odds are a quarter."""
    model = one_coefficient(("x", "y", "z"), 0.75, ((0, 0), (0, 0), (80, 100), (0, 0)))
    said: SourceAnswers = {"x": SourceAnswer("B"), "y": SourceAnswer("A"), "z": SourceAnswer("A")}
    led = leading(model, {"y": said["y"], "z": said["z"]})
    assert led is not None
    assert (led.choice, led.clearly) == ("A", 2)
    mean = 81 / 102
    p = mean - math.sqrt(mean * (1 - mean) / 103)
    less = (p / (1 - p) / ODDS) / (1 + p / (1 - p) / ODDS)
    assert evidence(model, said, frozenset({"x"})) == pytest.approx(math.log((1 - less) / (1 - p)))
    agreeing = said | {"x": SourceAnswer("A")}
    assert evidence(model, agreeing, frozenset({"x"})) == pytest.approx(math.log(less / p))
    assert evidence(model, said, frozenset()) == 0.0


def test_silence_tells_nothing() -> None:
    """Of who chose nothing, and where fewer than two others chose something."""
    model = one_coefficient(("x", "y", "z"), 1.0, ((5, 10),) * 4)
    said: SourceAnswers = {"x": SourceAnswer(None), "y": SourceAnswer("A"), "z": SourceAnswer("A")}
    assert evidence(model, said, frozenset({"x"})) == 0.0
    assert evidence(model, said, frozenset({"y"})) is None


@pytest.mark.parametrize("liar", sorted(GOOD))
def test_a_source_that_turns_is_left_out_soon(model, liar: str) -> None:
    """Honest for 100 questions, wrong from then on: found within 40, nobody else is, and it stays out."""
    beliefs = follow(model, asked(100, 2) + asked(300, 3, liars=(liar,)))
    assert all(not one.left_out for one in beliefs[:100])
    found = next(at for at, one in enumerate(beliefs) if one.left_out)
    assert 100 < found < 140
    assert all(one.left_out == {liar} for one in beliefs[found:])


def test_random_answers_are_found_too(model) -> None:
    """No lie at all, only no longer any knowledge."""
    beliefs = follow(model, asked(200, 4, liars=("east",), lie=lambda _, drawn: OPTIONS[drawn.integers(4)]))
    assert beliefs[-1].left_out == {"east"}


@pytest.mark.parametrize("known", [40, 600])
def test_honest_sources_keep_their_say(known: int) -> None:
    """ALARM is one false alarm at most in 5,000 questions of each source, of which there are four: so many in 3,000
    questions of two votes, also where little was judged."""
    beliefs = [follow(judged(asked(known, 10 + seed)), asked(3000, 20 + seed)) for seed in range(2)]
    assert sum(sum(one[-1].alarms.values()) for one in beliefs) <= 4 * 2 * 3000 / 5000


def test_who_is_honest_again_is_counted_again(model) -> None:
    """After 60 lies, within 150 honest answers, and not at the first."""
    drift = follow(model, asked(60, 30, liars=("west",)))[-1]
    assert drift.left_out == {"west"}
    beliefs = follow(model, asked(150, 40), drift)
    assert next(at for at, one in enumerate(beliefs) if not one.left_out) > 10


@pytest.mark.parametrize("times", [1, 2, 3])
def test_each_time_it_takes_longer(times: int) -> None:
    """A nat for it at each question: ALARM nats after the first time, and twice as many after each further one."""
    drift = Drift(left_out=frozenset("x"), alarms={"x": times})
    for _ in range(math.ceil(2 ** (times - 1) * ALARM)):
        assert drift.left_out
        drift = drift.after(frozenset("wxyz"), told(dict.fromkeys(map(frozenset, "wxyz"), -1.0)))
    assert not drift.left_out
    assert drift.alarms == {"x": times}


def test_two_that_turn_are_found_one_after_the_other() -> None:
    """Of five, each with wrong answers of its own."""
    five = GOOD | {"centre": 0.8}
    beliefs = follow(
        judged(asked(600, 5, five)),
        asked(300, 6, five, liars=("east", "west"), lie=lambda right, drawn: OPTIONS[OPTIONS.index(right) - 1]),
    )
    assert beliefs[-1].left_out == {"east", "west"}


def test_a_majority_always_counts(model) -> None:
    """Three of four answer at random: one is left out at most."""
    beliefs = follow(
        model, asked(500, 7, liars=("east", "north", "south"), lie=lambda _, drawn: OPTIONS[drawn.integers(4)])
    )
    assert all(len(one.left_out) <= 1 for one in beliefs)


def told(values: dict[frozenset[str], float]) -> Callable[[frozenset[str]], float | None]:
    return lambda changed: values.get(changed, 0.0)


def test_nobody_is_left_out_while_it_may_be_another() -> None:
    """Two look as if they had changed, the one hardly more: none is left out, however sure it is that one has. Once it
    is apart from the other, it is."""
    x, y, drift = frozenset("x"), frozenset("y"), Drift()
    for _ in range(30):
        drift = drift.after(frozenset("wxyz"), told({x: 1.0, y: 0.95}))
    assert drift.left_out == frozenset()
    assert drift.suspicion("x") == 1.0
    for _ in range(5):
        drift = drift.after(frozenset("wxyz"), told({x: 1.0}))
    assert drift.left_out == x


def test_who_was_left_out_by_mistake_changes_places_with_the_liar() -> None:
    """x is out; what is said fits better with y having changed: after ALARM nats y is out and x counts."""
    x, y = frozenset("x"), frozenset("y")
    drift = Drift(left_out=x, alarms={"x": 1})
    for _ in range(math.ceil(ALARM)):
        assert drift.left_out == x
        drift = drift.after(frozenset("wxyz"), told({x: 1.0, y: 2.0}))
    assert drift.left_out == y
    assert drift.alarms == {"x": 1, "y": 1}


def test_nobody_takes_the_place_of_one_who_is_honest_again() -> None:
    """x was left out twice and takes long to be counted again; y does not look changed, only less as before than x."""
    drift = Drift(left_out=frozenset("x"), alarms={"x": 2})
    honest = {frozenset("x"): -0.5, frozenset("y"): -0.1, frozenset("w"): -0.5, frozenset("z"): -0.5}
    for _ in range(math.ceil(2 * ALARM / 0.5)):
        assert drift.left_out == {"x"}
        drift = drift.after(frozenset("wxyz"), told(honest))
    assert drift.left_out == frozenset()


def test_whoever_can_be_counted_again_is_before_another_is_accused() -> None:
    """x is out and answers as before; w or y seem to have changed, nobody knows which of them."""
    drift = Drift(left_out=frozenset("x"), alarms={"x": 1})
    for _ in range(math.ceil(ALARM)):
        drift = drift.after(frozenset("wxyz"), told({frozenset("x"): -1.0, frozenset("w"): 2.0, frozenset("y"): 2.0}))
    assert not drift.left_out


def test_sums_never_fall_below_nothing() -> None:
    """Page's sum: a thousand honest answers buy no credit, so a turn is found as fast as on the first day."""
    x, drift = frozenset("x"), Drift()
    for _ in range(1000):
        drift = drift.after(frozenset("wxyz"), told({x: -1.0}))
    for _ in range(math.ceil(ALARM)):
        assert not drift.left_out
        drift = drift.after(frozenset("wxyz"), told({x: 1.0}))
    assert drift.left_out == x


def test_what_is_believed_is_kept_as_text(model) -> None:
    """And goes on from there as if it had never been written down."""
    cases = asked(30, 3, liars=("east",))
    middle = follow(model, cases[:10])[-1]
    again = Drift.model_validate_json(middle.model_dump_json())
    assert again == middle
    assert follow(model, cases[10:], again)[-1] == follow(model, cases)[-1]


def test_an_operator_counts_it_again() -> None:
    """Nothing is held against it then."""
    drift = Drift(left_out=frozenset("x"), alarms={"x": 3, "y": 1}, sums=((frozenset("xy"), 2.0),))
    assert drift.counting("x") == Drift(alarms={"y": 1})
