"""What a description counts for follows from what was seen, and from nothing it says."""

from dataclasses import replace

import numpy as np
import pytest

from fedrag.core.collection import EncoderIdentity
from fedrag.evaluation import hijacked_courses
from fedrag.evaluation.hijacking import Attack, Forgery, World
from fedrag.evaluation.newcomers import Known, newcomer
from router.density import Density, moved
from router.evidence import LIKELY, SURE, WHOLE, Seen, Sums, Trial
from router.record import DENIED, Record, Standing
from router.surprise import HELD, MOST, log_odds, surprises
from router.trust import Trust, sighting

DIMENSION = 48
NODES = tuple(f"hospital-{at}" for at in range(8))
ENCODER = EncoderIdentity(
    name="made",
    weights_sha256="0" * 64,
    precision="fp32",
    dimension=DIMENSION,
    maximum_tokens=128,
    languages=("en",),
)


def near(centre, number, random, width=0.11):
    rows = centre + width * random.standard_normal((number, DIMENSION))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture(scope="module")
def world() -> World:
    """Eight hospitals with a topic each, and public questions about every topic."""
    random = np.random.default_rng(7)
    shared = random.standard_normal(DIMENSION)
    centres = [random.standard_normal(DIMENSION) + 0.5 * shared for _ in NODES]
    centres = [centre / np.linalg.norm(centre) for centre in centres]
    held = {node: near(centre, 120, random) for node, centre in zip(NODES, centres, strict=True)}
    questions = [near(centre, 25, random) for centre in centres]
    relevant = tuple(frozenset({node}) for node in NODES for _ in range(25))
    pool = np.concatenate([near(centre, 40, random) for centre in centres])
    return World(ENCODER, NODES, held, np.concatenate(questions), relevant, pool)


@pytest.mark.parametrize("number", [1, 2])
@pytest.mark.parametrize("forgery", [Forgery.MEAN, Forgery.PROXIES, Forgery.WORDS])
def test_forged_descriptions_win_nothing_from_the_first_question(world, forgery, number) -> None:
    """Believed, they hijack; seen through, they are not among the first three at a single question."""
    attack = Attack(NODES[1 : 1 + number], NODES[0], forgery)
    questions = list(range(25))
    believing = hijacked_courses.undefended(world, attack, questions, seed=0)
    course, trust = hijacked_courses.defended(world, attack, questions, seed=0)
    assert np.mean(believing.hijacked(attack.malicious, 3)) > 0.5
    assert sum(course.hijacked(attack.malicious, 3)) == 0
    assert all(trust.standing(node) is Standing.BELIEVED for node in NODES if node not in attack.malicious)
    assert all(trust.standing(node) is not Standing.BELIEVED for node in attack.malicious)


def test_who_turns_after_the_audit_loses_it_at_once(world) -> None:
    """The jump is seen in the description itself, before any probe."""
    attack = Attack((NODES[1],), NODES[0], Forgery.PROXIES, late=True)
    course, trust = hijacked_courses.defended(world, attack, list(range(25)), seed=0)
    assert sum(course.hijacked(attack.malicious, 3)) == 0
    assert trust.standing(NODES[1]) is not Standing.BELIEVED


def test_honest_hospitals_lose_nothing(world) -> None:
    believing, trusting, trust = hijacked_courses.honest_recall(world, list(range(0, 200, 5)), seed=0)
    assert trusting == believing
    assert {trust.standing(node) for node in NODES} == {Standing.BELIEVED}


@pytest.mark.parametrize(("known", "most"), [(Known.BELIEVED, 0), (Known.AUDITED, 0), (Known.ASKED, 20)])
def test_a_newcomer_is_chosen_for_its_own_topics(world, known, most) -> None:
    made = newcomer(world, NODES[3], known, seed=1)
    assert made.before is not None
    assert made.before <= most


def test_what_is_not_seen_counts_for_nothing(world) -> None:
    """Neither claims nor passages make up for it."""
    record = Record.beginning(Density(world.held[NODES[0]][:3], np.array([1e9, 1e9, 1e9])))
    assert record.standing is Standing.AUDIT
    assert record.counted().sum() == 0


def test_the_operators_word_counts_until_the_description_jumps(world) -> None:
    claims = Density(world.held[NODES[0]][:5], np.full(5, 20.0))
    elsewhere = Density(world.held[NODES[4]][:5], np.full(5, 20.0))
    record = Record.beginning(claims, vouched=True)
    assert record.counted().sum() == 100
    assert record.describing(claims) is record
    assert record.describing(elsewhere).counted().sum() == 0


def test_what_moved_is_the_share_of_passages_beyond_the_bound() -> None:
    """One of two clusters of 30 and 10 passages went to the other side of the sphere: a quarter, or three."""
    here, there = np.eye(DIMENSION, dtype=np.float32)[:2]
    before = Density(np.stack([here, there]), np.array([30.0, 10.0]))
    assert moved(Density(np.stack([here, -there]), np.array([30.0, 10.0])), before) == pytest.approx(0.25)
    assert moved(Density(np.stack([-here, there]), np.array([30.0, 10.0])), before) == pytest.approx(0.75)
    assert moved(Density(np.stack([here, there]), np.array([100.0, 39.0])), before) == 0
    assert moved(Density(np.stack([here, there]), np.array([121.0, 0.0])), before) == 1


def test_shares_of_what_was_shown_follow_its_similarity() -> None:
    """exp(.06 / .06) = e times as much for a passage .06 more like the question."""
    seen = sighting(np.zeros(4, dtype=np.float32), {"a": np.array([0.56]), "b": np.array([0.5]), "c": np.array([])})
    assert seen.found["a"] / seen.found["b"] == pytest.approx(np.e)
    assert sum(seen.found.values()) == pytest.approx(1)
    assert seen.found["c"] == 0
    assert seen.best == {"a": 0.56, "b": 0.5}


def test_one_lie_is_the_whole_organisations(world) -> None:
    """Its other hospital is believed nothing either; one of another organisation is."""
    records = {node: Record.beginning(Density(world.held[node][:5], np.full(5, 9.0)), vouched=True) for node in NODES}
    records[NODES[0]] = replace(records[NODES[0]], denied=DENIED)
    trust = Trust(records, {NODES[0]: "trust-a", NODES[1]: "trust-a"})
    assert [trust.standing(node) for node in NODES[:3]] == [
        Standing.DISTRUSTED,
        Standing.DISTRUSTED,
        Standing.BELIEVED,
    ]


def test_distrust_fades_slowly(world) -> None:
    record = replace(Record.beginning(Density(world.held[NODES[0]][:5], np.full(5, 9.0)), vouched=True), denied=5.0)
    assert record.faded(0.9).standing is Standing.DISTRUSTED
    assert record.faded(0.5).standing is Standing.BELIEVED


def cluster(random, number=60, length=0.6):
    """Unit vectors about a mean of this length, in 384 dimensions of which 60 vary."""
    rows = np.zeros((number, 384))
    rows[:, 0] = length
    across = random.standard_normal((number, 60))
    rows[:, 1:61] = across / np.linalg.norm(across, axis=1, keepdims=True) * np.sqrt(1 - length**2)
    return rows.astype(np.float32)


def surprise(claims, question, *best):
    return surprises(claims, claims.means(question), np.array(best)).tolist()


def test_members_surprise_as_often_as_they_should() -> None:
    """Of held-out members as questions: x is about exponential with the mean 1, and never above what HELD allows."""
    random = np.random.default_rng(0)
    made = []
    for _ in range(200):
        rows = cluster(random)
        held, question = rows[:-1], rows[-1]
        claims = Density(held.mean(axis=0, keepdims=True), np.array([59.0]))
        made += surprise(claims, question, (held @ question).max())
    assert 0.2 < np.mean(made) < HELD
    assert np.mean(np.array(made) > 6) < 0.02


def test_other_documents_surprise_and_more_so_the_more_are_claimed() -> None:
    """Documents of another topic, described by the mean of this one."""
    random = np.random.default_rng(0)
    rows = cluster(random)
    others = np.roll(cluster(random), 100, axis=1)
    others[:, 0] += 0.25
    others /= np.linalg.norm(others, axis=1, keepdims=True)
    mean, question = rows[:-1].mean(axis=0, keepdims=True), rows[-1]
    best = (others @ question).max()
    ((modest,), (bold,)) = (surprise(Density(mean, np.array([mass])), question, best) for mass in (59.0, 590.0))
    assert modest > 3 * HELD
    assert bold == pytest.approx(min(MOST, 10 * modest), rel=0.01)
    assert log_odds(modest) < 0 < log_odds(HELD)


def test_one_question_cannot_refute_alone_nor_long_praise_protect() -> None:
    """Sums of log-odds stop at ±SURE: after a hundred good questions two or three bad ones bring it down."""
    good, bad = (
        Seen(np.ones(1), claimed=1.0, found=1.0, odds=odds, telling=1.0, denied=0.0)
        for odds in (log_odds(0.0), log_odds(MOST))
    )
    assert log_odds(MOST) > -SURE
    sums = Sums.nothing(1)
    for _ in range(100):
        sums = sums.plus(np.array([1.0, 0.0]), good)
    assert sums.supported[0]
    for _ in range(3):
        sums = sums.plus(np.array([1.0, 0.0]), bad)
    assert not sums.supported[0]
    assert sums.refuted(1e9)[0]


def test_claims_above_what_its_own_offers_admit_of_are_lies(world) -> None:
    """The best of a cluster is at least as like a question as its mean."""
    query = world.held[NODES[0]][0]
    trust = Trust({"liar": Record.beginning(Density(query[None, :], np.array([50.0])))})
    for _ in range(3):
        trust = trust.after(sighting(query, {"liar": np.array([0.3])}), about="liar")
    assert trust.standing("liar") is Standing.DISTRUSTED


def seen(*, claimed=1.0, found=1.0, odds=0.0, telling=1.0, of=(1.0,)) -> Seen:
    return Seen(np.array(of), claimed, found, odds, telling, denied=0.0)


@pytest.fixture
def two() -> Record:
    """Claims 30 passages here and 10 there."""
    return Record.beginning(Density(np.eye(4, dtype=np.float32)[:2], np.array([30.0, 10.0])))


@pytest.mark.parametrize(("trial", "counted"), [(Trial.PROBE, 40), (Trial.OTHERS, 0), (Trial.QUESTION, 40)])
def test_probes_of_others_claims_support_nothing(two, trial, counted) -> None:
    """All that was claimed was found, ten times, at each of both."""
    for _ in range(10):
        two = two.after(seen(odds=1.0, of=(1.0, 1.0)), trial)
    assert two.counted().sum() == counted


def test_what_it_really_has_does_not_keep_a_broad_claim_alive(two) -> None:
    """Found at a hundred probes of others, which lie about its own documents; missed at three where it claims."""
    for _ in range(100):
        two = two.after(seen(odds=log_odds(0.0), of=(1.0, 0.0)), Trial.OTHERS)
    for _ in range(3):
        two = two.after(seen(found=0.02, odds=log_odds(MOST), of=(1.0, 0.0)), Trial.PROBE)
    assert two.standing is Standing.AUDIT


def test_small_claims_are_looked_at_together_unless_refuted() -> None:
    """Four with log-odds of 1 each come to more than ten to one; one of them refuted, the other three do still."""
    record = Record.beginning(Density(np.eye(4, dtype=np.float32), np.full(4, 10.0)))
    counted = []
    for of in np.eye(4):
        record = record.after(seen(claimed=0.05, found=0.05, odds=1.0, of=of), Trial.PROBE)
        counted.append(record.counted().sum())
    assert counted == [0, 0, 40, 40]
    for _ in range(2):
        record = record.after(seen(odds=log_odds(MOST), found=0.0, of=np.eye(4)[3]), Trial.PROBE)
    assert record.counted().tolist() == [10, 10, 10, 0]


def test_others_that_hold_more_refute_nobody_who_holds_what_it_claims() -> None:
    """A tenth of what was claimed was found: refuted, where its own passages do not speak for it; else open."""
    for odds, refuted in ((0.0, True), (LIKELY / WHOLE, False)):
        sums = Sums.nothing(1)
        for _ in range(round(WHOLE)):
            sums = sums.plus(np.array([1.0, 0.0]), seen(found=0.1, odds=odds))
        sums = Sums(sums.claimed, sums.found, np.round(sums.odds, 9))
        assert sums.refuted(WHOLE)[0] == refuted
        assert not sums.supported[0]


def test_a_question_tells_as_much_as_others_would_have_failed_at_it() -> None:
    """A small hospital claims next to nothing beside a large one. Where two others lack what it holds a probe tells
    all, where they have the same no more than the share that is claimed."""
    random = np.random.default_rng(0)
    rows = cluster(random)
    query, mean = rows[-1], rows[:-1].mean(axis=0, keepdims=True)
    small = Record.beginning(Density(mean, np.array([59.0])))
    large = Record.beginning(Density(mean, np.array([1e6])), vouched=True)
    best = float((rows[:-1] @ query).max())
    for others, tells in ((best - 0.35, True), (best, False)):
        shown = {"small": best, "large": others, "other": others}
        trust = Trust({"small": small, "large": large})
        after = trust.after(sighting(query, {node: np.array([one]) for node, one in shown.items()}), about="small")
        odds = float(after.records["small"].sums[Trial.PROBE].odds[0])
        assert (odds > 1) == tells
        assert (odds < 0.01) == (not tells)
