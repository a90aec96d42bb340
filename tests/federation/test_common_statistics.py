"""Hospitals count together over the product's own service and client: nobody's counts are shown, every hospital's
scores mean the same afterwards, and whatever goes wrong on the way shows nothing."""

import dataclasses
import json
from collections.abc import Callable
from itertools import chain, combinations

import httpx2
import numpy as np
import pytest

from fedrag.core.config import load_toml, write_toml
from fedrag.core.deadline import Deadline
from fedrag.core.errors import ProtocolError, Refused, Unavailable
from fedrag.core.exchange import OfferRequest
from fedrag.core.masked_sums import MaskedVector, Seeds, decode_numbers, encode_numbers
from fedrag.core.statistics import (
    COUNTS,
    EPOCH,
    KEY,
    MASK,
    SEEDS,
    STEPS,
    SURVIVORS,
    Agreed,
    Agreement,
    Keys,
    Round,
    SharedStatistics,
    SurvivorsToSign,
)
from fedrag.core.wire import ReleaseClass, decode_base64, new_request_id
from fedrag.http.client import http_client
from fedrag.http.replicas import ReplicatedNode, RetryBudget
from fedrag.http.signing import Signer
from fedrag.privacy.masked_sums import SIGNED_AS, Contributor, _signed_sum, _stream
from fedrag.statistics import run_round
from retriever_node import audit
from retriever_node.assemble import assemble
from retriever_node.config import NodeConfig, StatisticsConfig
from retriever_node.hybrid import fused, term_index
from retriever_node.ingest import ingest
from retriever_node.search import Query, search
from retriever_node.service import create_app
from retriever_node.terms import terms_of

WORDS = {
    "ashford": "warfarin bleeding reversal vitamin",
    "birch": "warfarin dose gout colchicine",
    "cedar": "asthma inhaler spacer bleeding",
    "dale": "burns dressing water gout",
    "elm": "sepsis antibiotic hour",
    "fern": "stroke aspirin clopidogrel",
    "grove": "insulin glucose",
}
FOUR = ("ashford", "birch", "cedar", "dale")
ORDER = [step.name for step in STEPS]


@dataclasses.dataclass
class Line(httpx2.AsyncBaseTransport):
    """In front of one hospital: remembers every message; from step `dead_from` on nothing comes back, whether it was
    `heard` or not."""

    inner: httpx2.AsyncBaseTransport
    messages: list
    dead_from: str = ""
    heard: bool = False

    async def handle_async_request(self, request):
        step, body = request.url.path.rpartition("/")[2], await request.aread()
        dead = bool(self.dead_from) and ORDER.index(step) >= ORDER.index(self.dead_from)
        if dead and not self.heard:
            raise httpx2.ConnectError("down")
        response = await self.inner.handle_async_request(request)
        content = await response.aread()
        self.messages.append((request.url.host, step, body, content))
        if dead:
            raise httpx2.ReadError("down")
        return httpx2.Response(response.status_code, headers=response.headers, content=content)


@dataclasses.dataclass
class Federation:
    workshop: object
    hospitals: dict
    lines: dict
    nodes: dict
    messages: list

    def counts(self, name):
        rounds = self.hospitals[name].node.statistics.rounds
        return rounds.count(rounds.terms)

    def follow(self):
        for hospital in self.hospitals.values():
            hospital.node.statistics.follow()

    def epochs(self):
        return {
            name: hospital.node.describe().collections[0].term_statistics_epoch
            for name, hospital in self.hospitals.items()
        }

    def restart(self, name):
        old = self.hospitals[name].node
        old.store.close()
        old.state.close()
        self.workshop.opened.remove(old)
        node = assemble(self.hospitals[name].home)
        self.workshop.opened.append(node)
        self.hospitals[name] = dataclasses.replace(self.hospitals[name], node=node)
        self.lines[name].inner = httpx2.ASGITransport(app=create_app(node))
        return node

    async def take(self, name, step, request):
        return (await self.nodes[name].take_part(step, request, Deadline.after_ms(20_000))).value

    async def tell(self, shared):
        for name in self.nodes:
            await self.take(name, EPOCH, shared)
        self.follow()

    def some(self, *names):
        return {name: self.nodes[name] for name in names}


@pytest.fixture
def federation(workshop, tmp_path) -> Callable[..., Federation]:
    """Hospitals that count the words of a list that all of them have: all words there are, unless told otherwise."""

    def make(*names, texts=None, words="", interval_h=0.0, release_class=ReleaseClass.PROTOCOL, **chosen) -> Federation:
        texts = texts or {name: (f"# {name}\n\n{WORDS[name]}", f"# More\n\n{WORDS[name]} guideline") for name in names}
        listed = tmp_path / "words.txt"
        listed.write_text(words or "\n".join(chain.from_iterable(texts.values())) + "\nzoster\n")
        made = Federation(workshop, {}, {}, {}, [])
        for name in names:
            hospital = workshop.hospital(
                name,
                {f"{at:03}.md": text for at, text in enumerate(texts[name])},
                release_class=release_class,
                statistics=StatisticsConfig(**{"terms": listed, "interval_h": interval_h, **chosen}),
            )
            made.hospitals[name] = hospital
            made.lines[name] = Line(httpx2.ASGITransport(app=create_app(hospital.node)), made.messages)
            remote = dataclasses.replace(hospital.remote, client=http_client(transport=made.lines[name]))
            made.nodes[name] = ReplicatedNode([remote], RetryBudget())
        return made

    return make


async def test_the_sum_of_four_is_the_plain_sum(federation) -> None:
    """To the last count, and every hospital names the epoch once it has put it to use."""
    four = federation(*FOUR)
    shared = await run_round(four.nodes)
    assert shared.hospitals == FOUR
    plain = sum(four.counts(name) for name in FOUR)
    assert shared.numbers().tolist() == plain.tolist()
    assert (plain[0], max(plain[COUNTS:])) == (8, 4)
    assert set(four.epochs().values()) == {"own"}
    await four.tell(shared)
    assert set(four.epochs().values()) == {shared.epoch}


@pytest.mark.parametrize(
    ("step", "heard"), [("key", False), ("mask", False), ("survivors", False), ("survivors", True)]
)
async def test_a_hospital_that_goes_away_before_it_reveals_costs_its_own_counts_alone(federation, step, heard) -> None:
    """Whether it heard the last request or not: the sum is that of the three others."""
    four = federation(*FOUR)
    four.lines["birch"].dead_from, four.lines["birch"].heard = step, heard
    shared = await run_round(four.nodes)
    assert shared.hospitals == ("ashford", "cedar", "dale")
    assert shared.numbers().tolist() == sum(four.counts(name) for name in shared.hospitals).tolist()


async def test_a_hospital_that_answers_no_more_once_it_masked_is_made_up_for(federation) -> None:
    """Its masked counts arrived too late: the others' seeds take out what their masks shared with it."""
    four = federation(*FOUR)
    line = four.lines["birch"]
    line.dead_from, line.heard = "mask", True
    shared = await run_round(four.nodes)
    revealed = [Seeds.model_validate_json(content) for _, step, _, content in four.messages if step == "seeds"]
    assert {tuple(one.missing) for one in revealed} == {("birch",)}
    assert shared.numbers().tolist() == sum(four.counts(name) for name in shared.hospitals).tolist()


@pytest.mark.parametrize("heard", [False, True])
async def test_a_hospital_that_does_not_reveal_ends_the_round(federation, heard) -> None:
    """There is no sum, not of the others either, who were in one with it: the next round would differ by it alone."""
    four = federation(*FOUR)
    four.lines["birch"].dead_from, four.lines["birch"].heard = "seeds", heard
    with pytest.raises(Unavailable) as refused:
        await run_round(four.nodes)
    assert refused.value.code == "no_sum"
    four.lines["birch"].dead_from = ""
    assert (await run_round(four.nodes)).hospitals == FOUR


@pytest.mark.parametrize("step", ["key", "mask", "survivors"])
async def test_two_reveal_nothing(federation, step) -> None:
    """Of three one goes away: nobody gives a seed."""
    three = federation("ashford", "birch", "cedar")
    three.lines["birch"].dead_from = step
    with pytest.raises(Unavailable):
        await run_round(three.nodes)
    assert "seeds" not in {step for _, step, _, _ in three.messages}


async def test_nobodys_counts_are_in_the_transcript(federation) -> None:
    """All bytes of a round with a drop-out: no message holds a hospital's counts, and no masked vector minus (or plus)
    any of the streams that were revealed, up to three of them together, is a hospital's counts."""
    four = federation(*FOUR)
    four.lines["dale"].dead_from, four.lines["dale"].heard = "survivors", True
    await run_round(four.nodes)
    plain = {name: four.counts(name) for name in FOUR}
    bodies = b"".join(request + answer for _, _, request, answer in four.messages)
    for counts in plain.values():
        assert encode_numbers(counts).encode() not in bodies
        assert encode_numbers(counts[COUNTS:]).encode() not in bodies
    masked = [MaskedVector.model_validate_json(answer) for _, step, _, answer in four.messages if step == "mask"]
    seeds = [Seeds.model_validate_json(answer) for _, step, _, answer in four.messages if step == "seeds"]
    latest = [one for one in masked if one.round == seeds[0].round]
    length = len(plain["ashford"])
    streams = [_stream(decode_base64(seed), length) for one in seeds for seed in (one.own, *one.missing.values())]
    secret = {counts.tobytes() for counts in plain.values()}
    assert len(latest) == 3
    assert streams
    for one in latest:
        values = decode_numbers(one.values)
        for chosen in chain.from_iterable(combinations(streams, number) for number in range(4)):
            for signs in range(2 ** len(chosen)):
                total = values
                for at, stream in enumerate(chosen):
                    total = total + stream if signs >> at & 1 else total - stream
                assert total.tobytes() not in secret
    alone = decode_numbers(latest[0].values) - streams[0]
    assert _signed_sum(alone, "ashford", "birch", streams[1]).tobytes() not in secret


def _corpus(seed):
    random = np.random.default_rng(seed)
    topics = {name: words.split() for name, words in WORDS.items()}
    everything = sorted(set(chain.from_iterable(topics.values())))
    return {
        name: tuple(
            f"# {' '.join(random.choice(topics[name], 2))}\n\n"
            f"{' '.join(random.choice(topics[name] + everything, int(random.integers(4, 30))))} {name}{at}"
            for at in range(40)
        )
        for name in FOUR
    }


async def test_adopted_statistics_make_many_hospitals_one_central_index(federation) -> None:
    """With all words on the list, an exact index and everyone asked: the same passages in the same order with the same
    similarity, to the last bit, as one index that holds them all; and these are not those of own statistics."""
    four = federation(*FOUR, texts=_corpus(1))
    nodes = {name: hospital.node for name, hospital in four.hospitals.items()}
    encoder = nodes["ashford"].encoder
    there, matrix = [], []
    for name, node in nodes.items():
        ids, vectors = node.store.vectors("documents")
        known = {passage.passage_id: passage for passage in node.store.passages([int(one) for one in ids])}
        there += [(name, known[int(one)]) for one in ids]
        matrix.append(vectors)
    vectors = np.concatenate(matrix)
    central = term_index(
        np.arange(len(there)), lambda rows: [dataclasses.replace(there[r][1], passage_id=r) for r in rows]
    )
    scored = central.scored_with(central.statistics())

    def federated(question, k):
        vector = encoder.encode_queries([question])[0]
        found = [
            (one, name)
            for name, node in nodes.items()
            for one in search([node.collections["documents"].collection], Query(vector, question), k, node.store)
        ]
        found.sort(key=lambda pair: (-pair[0].similarity, pair[1], pair[0].passage.document_id))
        return found[:k]

    def by_hand(question, k):
        cosines = (vectors @ encoder.encode_queries([question])[0]).astype(np.float64)
        similarity = fused(cosines, scored.score(terms_of(question)))
        keys = [(-round(float(similarity[r]), 6), there[r][0], there[r][1].document_id) for r in range(len(there))]
        return [
            (there[r][0], there[r][1].text, similarity[r]) for r in sorted(range(len(there)), key=keys.__getitem__)
        ][:k]

    questions = (
        "warfarin bleeding dose",
        "gout colchicine",
        "stroke aspirin bleeding hour",
        "spacer",
        "guideline water",
    )
    shared = await run_round(four.nodes)
    before = [[one.similarity for one, _ in federated(question, 10)] for question in questions]
    await four.tell(shared)
    after = [federated(question, 10) for question in questions]
    for question, found in zip(questions, after, strict=True):
        expected = by_hand(question, 10)
        assert [one.similarity for one, _ in found] == pytest.approx(
            [similarity for *_, similarity in expected], abs=1e-6
        )
        assert sorted(
            (name, one.passage.text) for one, name in found if one.similarity > found[-1][0].similarity + 1e-6
        ) == (sorted((name, text) for name, text, similarity in expected if similarity > expected[-1][2] + 1e-6))
        assert len({one.comparable_with for one, _ in found}) == 1
    assert before != [[one.similarity for one, _ in found] for found in after]


async def test_terms_that_are_not_on_the_list_keep_the_hospitals_own_statistics(federation) -> None:
    """By hand, among eight passages: a listed term weighs what its count says, another one what the hospital's own
    share of passages says, and one that nobody knows the same everywhere."""
    four = federation(*FOUR, words="warfarin\nbleeding\n")
    await four.tell(await run_round(four.nodes))
    statistics = four.hospitals["birch"].node.collections["documents"].collection._snapshot.scored.statistics
    listed, own = statistics.information(*terms_of("warfarin")), statistics.information(*terms_of("colchicine"))
    assert listed == pytest.approx(np.log(1 + (8 - 4 + 0.5) / (4 + 0.5)))
    assert own == pytest.approx(np.log(1 + (8 - 8 + 0.5) / (8 + 0.5)))
    assert statistics.information("nowher") == pytest.approx(np.log(1 + (8 + 0.5) / 0.5))


async def test_one_or_two_that_join_wait(federation) -> None:
    """With a fourth the sum would tell its counts; the three go on as they were, also where one of them starts anew,
    and with three more there is a sum of six."""
    seven = federation(*WORDS)
    await run_round(seven.some("ashford", "birch", "cedar"))
    seven.restart("birch")
    for joined in (("dale",), ("dale", "elm")):
        with pytest.raises(Unavailable, match="joiners_wait"):
            await run_round(seven.some("ashford", "birch", "cedar", *joined))
    six = await run_round(seven.some("ashford", "birch", "cedar", "dale", "elm", "fern"))
    assert len(six.hospitals) == 6
    with pytest.raises(Unavailable):
        await run_round(seven.some("ashford", "birch", "cedar", "dale", "elm"))


async def test_one_sum_in_an_interval(federation) -> None:
    """Also after a restart; and a later one once the interval has passed."""
    three = federation("ashford", "birch", "cedar", interval_h=24)
    await run_round(three.nodes)
    three.restart("cedar")
    for name in three.nodes:
        with pytest.raises(Refused) as refused:
            await three.take(name, KEY, Round(round=new_request_id()))
        assert refused.value.code == "too_soon"
    for hospital in three.hospitals.values():
        now_s = hospital.node.clock() + 25 * 3600
        hospital.node.statistics.rounds.clock = lambda now_s=now_s: now_s
    assert (await run_round(three.nodes)).hospitals == ("ashford", "birch", "cedar")


async def test_what_cannot_be_written_down_is_not_revealed(federation, monkeypatch) -> None:
    """The disk fails as the sum is entered: no seed leaves, and none on a second try."""
    three = federation("ashford", "birch", "cedar")
    for hospital in three.hospitals.values():
        hospital.node.policy.now()
    monkeypatch.setattr(audit, "append", lambda *_: 1 / 0)
    with pytest.raises(Unavailable):
        await run_round(three.nodes)
    monkeypatch.undo()
    asked = [(host, body, answer) for host, step, body, answer in three.messages if step == "seeds"]
    assert len(asked) == 3
    for host, body, answer in asked:
        assert b"own" not in answer
        with pytest.raises(Refused, match="bad_round"):
            await three.take(host, SEEDS, Agreed.model_validate_json(body))
        with three.hospitals[host].node.state.transaction() as connection:
            assert connection.execute("SELECT count(*) FROM sums").fetchone() == (0,)


async def test_no_step_is_taken_twice_or_out_of_turn(federation) -> None:
    """Every request of a finished round, sent and signed anew, is refused, and so is any step of a round that was not
    begun, and of one that a later one of the same coordinator has ended."""
    three = federation("ashford", "birch", "cedar")
    ended = await three.take("ashford", KEY, Round(round=new_request_id()))
    await run_round(three.nodes)
    spoken = [(step, body) for host, step, body, _ in three.messages if host == "ashford"]
    assert [step for step, _ in spoken] == ["key", "key", "mask", "survivors", "seeds"]
    for step, body in spoken[2:]:
        kind = STEPS[ORDER.index(step)]
        request = kind.asked.model_validate_json(body)
        if step == "survivors":  # said again, it is the same word, which opens nothing
            again = await three.take("ashford", kind, request)
            first = next(content for host, one, _, content in three.messages if (host, one) == ("ashford", step))
            assert again.signature == Agreement.model_validate_json(first).signature
        else:
            with pytest.raises(Refused, match="bad_round"):
                await three.take("ashford", kind, request)
        for other in (new_request_id(), ended.round):
            with pytest.raises(Refused, match="bad_round"):
                await three.take("ashford", kind, request.model_copy(update={"round": other}))


async def test_a_sum_that_cannot_be_is_refused(federation) -> None:
    """More passages with a term than passages, less than the hospital itself counted, other numbers under the epoch's
    name, a sum of two, a sum without it of a round that it was in, or of other terms: nothing of it is kept."""
    four = federation(*FOUR)
    shared = await run_round(four.nodes)
    true, own = shared.numbers(), four.counts("ashford")
    most = true.copy()
    most[COUNTS] = true[0] + 1
    least = true.copy()
    held = int(np.argmax(own[COUNTS:])) + COUNTS
    least[held] = own[held] - 1
    few = np.minimum(true, own)
    few[0] -= 1

    def made(values=true, hospitals=FOUR, terms=shared.terms_sha256):
        return SharedStatistics.of(shared.round, terms, hospitals, values)

    cases = [
        *(made(values) for values in (most, least, few, true[:-1], true[:1])),
        shared.model_copy(update={"values": encode_numbers(true + 1)}),
        made(hospitals=FOUR[:2]),
        made(hospitals=("ashford", "ashford", "ashford")),
        made(hospitals=FOUR[1:]),
    ]
    for case in cases:
        with pytest.raises(Refused, match="implausible_statistics"):
            await four.take("ashford", EPOCH, case)
    with pytest.raises(Refused, match="other_terms"):
        await four.take("ashford", EPOCH, made(terms="0" * 64))
    four.follow()
    assert four.epochs()["ashford"] == "own"


async def test_the_coordinator_believes_no_impossible_sum_either(federation, monkeypatch) -> None:
    """A hospital that gives another seed than it masked with leaves noise, not counts."""
    three = federation("ashford", "birch", "cedar")
    true = Contributor.reveal
    monkeypatch.setattr(
        Contributor,
        "reveal",
        lambda self, agreed: true(self, agreed).model_copy(
            update={"own": "A" * 43 + "="} if self._node == "birch" else {}
        ),
    )
    with pytest.raises(ProtocolError) as refused:
        await run_round(three.nodes)
    assert refused.value.code == "implausible_statistics"


async def test_a_restart_keeps_the_epoch_and_its_calibration(federation) -> None:
    """The node comes back searching with it, with no text encoded for that; ingested since, it is fitted anew."""
    texts = {
        name: tuple(f"# Leaflet {at}\n\n{WORDS[name]} {at}. Take {at} of it twice." for at in range(30))
        for name in FOUR
    }
    four = federation(*FOUR, texts=texts)
    shared = await run_round(four.nodes)
    await four.tell(shared)
    before = four.hospitals["dale"].node.collections["documents"].collection
    again = four.restart("dale").collections["documents"].collection
    assert (again.term_statistics_epoch, again.calibrations) == (shared.epoch, before.calibrations)
    own = four.hospitals["dale"].node.store.calibrations("documents")[1]
    assert again.calibrations.both != own.both
    assert again.calibrations.vectors == own.vectors
    node = four.hospitals["dale"].node
    documents = four.workshop.folder / "dale" / "documents"
    (documents / "new.md").write_text(
        "# New\n\nZoster hurts. It is treated early. Ask about the eye.", encoding="utf-8"
    )
    ingest(documents, "documents", node.store, node.encoder)
    node.refresh()
    assert (again.term_statistics_epoch, again.common.generation < again.generation) == (shared.epoch, True)
    node.statistics.follow()
    assert (again.term_statistics_epoch, again.common.generation) == (shared.epoch, again.generation)


async def test_where_the_calibration_fails_the_hospital_goes_on_with_what_it_has(federation) -> None:
    """It has the epoch, names its own statistics, and searches; once the encoder is well again it uses the epoch."""
    three = federation("ashford", "birch", "cedar")
    node = three.hospitals["birch"].node
    encoder, collection = node.statistics.encoder, node.collections["documents"].collection
    asked = Query(encoder.encode_queries(["gout dose"])[0], "gout dose")
    found = search([collection], asked, 2, node.store)

    def out_of_memory(*_):
        raise Unavailable("no memory", code="unavailable")

    collection.fitted_to = out_of_memory
    shared = await run_round(three.nodes)
    await three.tell(shared)
    assert three.epochs() == {"ashford": shared.epoch, "birch": "own", "cedar": shared.epoch}
    assert search([collection], asked, 2, node.store) == found
    del collection.fitted_to
    node.statistics.follow()
    assert three.epochs()["birch"] == shared.epoch


async def test_another_epoch_takes_the_place_of_the_first_and_another_coordinator_does_not(federation) -> None:
    """A hospital that missed the second still names the first; what is damaged on disk is as good as none."""
    three = federation("ashford", "birch", "cedar")
    first = await run_round(three.nodes)
    await three.tell(first)
    second = await run_round(three.nodes)
    assert second.epoch != first.epoch
    await three.take("ashford", EPOCH, second)
    three.follow()
    assert three.epochs() == {"ashford": second.epoch, "birch": first.epoch, "cedar": first.epoch}
    statistics = three.hospitals["birch"].node.statistics
    with pytest.raises(Refused) as refused:
        statistics.adopt("another", second)
    assert refused.value.code == "epoch_taken"
    with statistics.state.transaction() as connection:
        connection.execute("UPDATE epochs SET statistics = replace(statistics, ?, ?)", (first.round, second.round))
    assert statistics.kept() is None
    three.restart("birch")
    assert three.epochs()["birch"] == "own"
    await three.tell(second)
    assert three.epochs()["birch"] == second.epoch


async def test_who_counts_other_terms_or_nothing_is_left_out(federation, tmp_path) -> None:
    """The three with the same list count; the one without a list refuses, the one with another list is not asked to
    mask, and would refuse."""
    five = federation("ashford", "birch", "cedar", "dale", "elm")
    other = five.hospitals["dale"].node.statistics.rounds
    other.terms = type(other.terms).of(["warfarin"])
    five.hospitals["elm"].node.statistics.rounds.terms = None
    shared = await run_round(five.nodes)
    assert shared.hospitals == ("ashford", "birch", "cedar")
    with pytest.raises(Refused, match="no_terms"):
        await five.take("elm", KEY, Round(round=new_request_id()))
    round_id = new_request_id()
    await five.take("dale", KEY, Round(round=round_id))
    with pytest.raises(Refused, match="other_terms"):
        await five.take("dale", MASK, Keys(round=round_id, terms_sha256=shared.terms_sha256, keys={}, identities={}))


async def test_patient_collections_are_not_counted_and_use_what_others_counted(federation) -> None:
    """Zero passages of theirs in the sum, while their words are scored with the epoch."""
    three = federation("ashford", "birch", "cedar", release_class=ReleaseClass.PATIENT)
    shared = await run_round(three.nodes)
    assert shared.numbers().sum() == 0
    await three.tell(shared)
    collection = three.hospitals["birch"].node.collections["documents"].collection
    assert (collection.term_statistics_epoch, len(collection)) == (shared.epoch, 2)


async def test_what_is_only_released_redacted_is_not_counted(federation) -> None:
    """The words of such a collection are its originals, names among them: none of them goes into a sum."""
    three = federation("ashford", "birch", "cedar")
    assert three.counts("birch").sum() > 0
    home = three.hospitals["birch"].home
    config = load_toml(home.config, NodeConfig)
    redacting = tuple(one.model_copy(update={"redact": True}) for one in config.collections)
    write_toml(home.config, config.model_copy(update={"collections": redacting}))
    three.restart("birch")
    assert three.counts("birch").sum() == 0


async def test_hospitals_that_pin_each_other_take_part_with_nobody_else(federation) -> None:
    """An invented hospital, with a key that its inventor vouches for, is refused where hospitals are pinned, and a
    signature by another key than the pinned one as well."""
    three = federation("ashford", "birch", "cedar")
    inventor = Signer.generate()
    rounds = three.hospitals["ashford"].node.statistics.rounds
    rounds.pinned = {name: three.nodes[name].public_key for name in ("birch", "cedar")}
    round_id = new_request_id()
    entries = {name: await three.take(name, KEY, Round(round=round_id)) for name in three.nodes}
    keys = {name: entry.key for name, entry in entries.items()}
    identities = {name: three.nodes[name].public_key for name in three.nodes}
    terms = entries["ashford"].terms_sha256
    ghost = keys["cedar"].model_copy(update={"node": "ghost"})
    ghost = ghost.model_copy(update={"signature": inventor.sign(SIGNED_AS, ghost.signed())})
    asked = Keys(
        round=round_id,
        terms_sha256=terms,
        keys={**keys, "ghost": ghost},
        identities={**identities, "ghost": inventor.public_key},
    )
    with pytest.raises(Refused, match="unknown_hospital"):
        await three.take("ashford", MASK, asked)
    changed = keys["cedar"].model_copy(update={"signature": inventor.sign(SIGNED_AS, keys["cedar"].signed())})
    asked = Keys(
        round=round_id,
        terms_sha256=terms,
        keys={**keys, "cedar": changed},
        identities={**identities, "cedar": inventor.public_key},
    )
    with pytest.raises(Refused, match="bad_signature"):
        await three.take("ashford", MASK, asked)


async def test_survivors_that_do_not_agree_reveal_nothing(federation) -> None:
    """A coordinator that shows two hospitals different survivors gets a seed of neither."""
    four = federation(*FOUR)
    round_id = new_request_id()
    entries = {name: await four.take(name, KEY, Round(round=round_id)) for name in FOUR}
    asked = Keys(
        round=round_id,
        terms_sha256=entries["dale"].terms_sha256,
        keys={name: entry.key for name, entry in entries.items()},
        identities={name: four.nodes[name].public_key for name in FOUR},
    )
    for name in FOUR:
        await four.take(name, MASK, asked)
    words = {}
    for name, shown in zip(FOUR, (FOUR, FOUR[:3], FOUR, FOUR), strict=True):
        words[name] = await four.take(name, SURVIVORS, SurvivorsToSign(round=round_id, survivors=shown))
    for name, there in (("ashford", FOUR), ("birch", FOUR[:3])):
        agreed = Agreed(round=round_id, signatures={one: words[one].signature for one in there})
        with pytest.raises(Refused, match="bad_signature"):
            await four.take(name, SEEDS, agreed)
    with four.hospitals["ashford"].node.state.transaction() as connection:
        assert connection.execute("SELECT count(*) FROM sums").fetchone() == (0,)


async def test_survivors_share_a_sketch_key_that_no_message_holds(federation) -> None:
    """The same 32 bytes at every hospital of the epoch, kept over a restart; none at one that was not in the sum; and
    neither the key nor its digest is in the transcript."""
    seven = federation(*FOUR)
    three = ("ashford", "birch", "cedar")
    shared = await run_round(seven.some(*three))
    await seven.tell(shared)
    seven.restart("birch")
    held = {name: hospital.node.statistics for name, hospital in seven.hospitals.items()}
    keys = {held[name].sketch_key for name in three}
    assert len(keys) == 1
    key = keys.pop()
    assert len(key) == 32
    assert {held[name].key_id for name in three} == {held["ashford"].key_id}
    assert len(held["ashford"].key_id) == 8
    assert (held["dale"].sketch_key, held["dale"].key_id) == (b"", "")
    spoken = b"".join(request + answer for _, _, request, answer in seven.messages)
    texts = [one for _, _, *both in seven.messages for one in both]
    sealed = [
        decode_base64(value)
        for text in texts
        if b'"sealed"' in text
        for value in _leaves(json.loads(text).get("sealed"))
    ]
    assert len(sealed) == 4  # two from the first hospital, each carried once more
    assert all(key not in one for one in sealed)
    assert held["ashford"].key_id.encode() not in spoken
    made = {
        name: {offer.sketch.key_id for offer in (await offers_of(seven, name)).offers} for name in ("ashford", "dale")
    }
    assert made == {"ashford": {held["ashford"].key_id}, "dale": {""}}


async def offers_of(federation, name):
    request = OfferRequest(
        request_id=new_request_id(),
        coordinator="test-coordinator",
        node=name,
        text="warfarin",
        vector=None,
        comparable_with="",
        k=2,
        deadline_ms=5_000,
    )
    return (await federation.nodes[name].offers(request, Deadline.after_ms(5_000))).value


def _leaves(value):
    if isinstance(value, dict):
        return list(value.values())
    return [value] if value else []


async def test_the_audit_log_names_the_round(federation) -> None:
    """One line per sum, with its round and its coordinator, and no counts."""
    three = federation("ashford", "birch", "cedar")
    shared = await run_round(three.nodes)
    with three.hospitals["birch"].node.state.transaction() as connection:
        lines = [json.loads(line) for line in audit.lines(connection)]
    (told,) = [line for line in lines if line["kind"] != "policy"]
    assert (told["kind"], told["request_id"], told["coordinator"]) == ("statistics", shared.round, "test-coordinator")
