"""When hospitals are asked to count together, and who is told what came of it."""

import json
from datetime import UTC, datetime
from itertools import pairwise

import numpy as np
import pytest

from fedrag.core.collection import CollectionDescription, EncoderIdentity, NodeDescription
from fedrag.core.errors import Refused, Unavailable
from fedrag.core.masked_sums import Survivors
from fedrag.core.protocols import Reply
from fedrag.core.statistics import EPOCH, KEY, MASK, SEEDS, SURVIVORS, Adoption, Agreement, Entry
from fedrag.core.wire import ReleaseClass
from fedrag.http.signing import Signer, verify
from fedrag.kept_statistics import StatisticsFile
from fedrag.privacy.masked_sums import SIGNED_AS, Contributor
from fedrag.statistics import AGAIN_S, PATIENCE_S, StatisticsWatch
from router.catalogue import Catalogue

ENCODER = EncoderIdentity(
    name="e", weights_sha256="0" * 64, precision="fp32", dimension=2, maximum_tokens=8, languages=("en",)
)
DAY_S = 86_400.0


class Hospital:
    """Counts two passages and one of each of three terms; keeps to the protocol."""

    def __init__(self, node, directory) -> None:
        self.id, self.signer, self.directory = node, Signer.generate(), directory
        self.public_key = self.signer.public_key
        directory[node] = self.public_key
        self.epoch, self.asked, self.refuses = "own", [], ""

    def known(self, node, signed, signature) -> None:
        verify(self.directory[node], SIGNED_AS, signed, signature)

    async def take_part(self, step, request, deadline):
        self.asked.append(step.name)
        if self.refuses == step.name:
            raise Refused("no", code="too_soon")
        about = {"node": self.id, "round": request.round}
        if step is KEY:
            self.part = Contributor(self.id, request.round, lambda raw: self.signer.sign(SIGNED_AS, raw), self.known)
            value = Entry(**about, key=self.part.key(), terms_sha256="1" * 64, terms=3)
        elif step is MASK:
            value = self.part.mask(np.array([2, 9, 1, 1, 1], dtype=np.uint64), request.keys)
        elif step is SURVIVORS:
            self.word = self.part.survived(request.survivors)
            value = Agreement(**about, keys_sha256=self.word.keys_sha256, signature=self.word.signature)
        elif step is SEEDS:
            value = self.part.reveal(
                {
                    node: Survivors(**{**self.word.model_dump(), "node": node, "signature": signature})
                    for node, signature in request.signatures.items()
                }
            )
        else:
            assert step is EPOCH
            self.epoch = request.epoch
            value = Adoption(**about, epoch=request.epoch)
        return Reply(value, 1)

    def description(self, version):
        one = CollectionDescription(
            node=self.id,
            collection="c",
            version=version,
            encoder=ENCODER,
            release_class=ReleaseClass.PUBLIC,
            passages=2,
            term_statistics_epoch=self.epoch,
            described_at=datetime(2026, 1, 1, tzinfo=UTC),
        )
        return NodeDescription(node=self.id, name=self.id, public_key=self.public_key, collections=(one,))


class Town:
    """Members, a catalogue that is brought up to date by hand, and a clock."""

    def __init__(self, path, names, described=None) -> None:
        self.path, self.members, self.now_s, self.version = path, {}, 1_000_000.0, 0
        self.directory: dict = {}
        self.catalogue = Catalogue()
        self.join(*names)
        self.describe(*(names if described is None else described))
        self.watch = self.made()

    def made(self):
        return StatisticsWatch(
            lambda: self.members,
            lambda: self.catalogue,
            StatisticsFile(self.path),
            DAY_S,
            clock=lambda: self.now_s,
            monotonic=lambda: self.now_s,
        )

    def join(self, *names):
        self.members = {**self.members, **{name: Hospital(name, self.directory) for name in names}}

    def describe(self, *names):
        self.version += 1
        for name in names or self.members:
            self.catalogue = self.catalogue.with_description(self.members[name].description(self.version))

    async def look(self, after_s=0.0):
        """Steps that were asked of anyone, in order."""
        self.now_s += after_s
        for one in self.members.values():
            one.asked.clear()
        await self.watch.look()
        return list(dict.fromkeys(step for one in self.members.values() for step in one.asked))

    def epochs(self):
        return {one.epoch for one in self.members.values()}


WHOLE = ["key", "mask", "survivors", "seeds", "epoch"]


@pytest.fixture
def town(tmp_path):
    return lambda *names, **how: Town(tmp_path / "statistics.json", names, **how)


async def test_three_count_at_once_and_again_after_a_day(town) -> None:
    """In between nobody is asked anything, whatever is looked at."""
    three = town("a", "b", "c")
    assert await three.look() == WHOLE
    kept = three.watch.file.read()
    assert kept.shared.numbers().tolist() == [6, 27, 3, 3, 3]
    assert three.epochs() == {kept.shared.epoch}
    assert set(kept.adopted) == {"a", "b", "c"}
    assert three.watch.in_use() == (0, 3)
    three.describe()
    assert three.watch.in_use() == (3, 3)
    assert await three.look(DAY_S - 10) == []
    assert await three.look(10) == WHOLE
    assert three.watch.file.read().shared.epoch != kept.shared.epoch


async def test_two_are_not_asked(town) -> None:
    """Nor are three of which one does not search for words."""
    two = town("a", "b")
    assert await two.look() == []
    two.join("c")
    two.members["c"].epoch = None
    two.describe()
    assert await two.look(PATIENCE_S) == []
    assert two.watch.in_use() == (0, 0)


async def test_the_first_sum_waits_a_minute_for_members_that_are_starting(town) -> None:
    """Who misses it would have to wait for two others."""
    four = town("a", "b", "c", "d", described=("a", "b", "c"))
    assert await four.look() == await four.look(PATIENCE_S - 1) == []
    four.describe()
    assert await four.look() == WHOLE
    assert four.watch.file.read().shared.hospitals == ("a", "b", "c", "d")
    late = town("a", "b", "c", "d", described=("a", "b", "c"))
    late.watch.file = StatisticsFile(None)
    await late.look()
    assert await late.look(PATIENCE_S + 1) == WHOLE


async def test_who_joins_is_told_and_three_that_join_are_counted(town) -> None:
    """One newcomer gets the epoch it was not counted in; the third brings a new sum."""
    six = town("a", "b", "c")
    await six.look()
    first = six.watch.file.read().shared.epoch
    for name in "de":
        six.join(name)
        six.describe()
        assert await six.look(20) == ["epoch"]
        assert six.members[name].epoch == first
    six.join("f")
    six.describe()
    assert await six.look(20) == WHOLE
    assert len(six.watch.file.read().shared.hospitals) == 6


async def test_newcomers_do_not_count_alone_while_the_others_rest(town) -> None:
    """Their sum would take the place of one that holds twice as many hospitals."""
    six = town("a", "b", "c")
    await six.look()
    first = six.watch.file.read().shared
    six.join("d", "e", "f")
    six.describe()
    for name in "abc":
        six.members[name].refuses = "key"
    assert await six.look(20) == ["key", "epoch"]
    assert six.watch.file.read().shared == first


async def test_a_hospital_with_another_epoch_is_told_again_but_not_at_every_look(town) -> None:
    """As after a restore of an old backup; one that declines is asked again ten minutes later."""
    three = town("a", "b", "c")
    await three.look()
    three.describe()
    three.members["b"].epoch, three.members["b"].refuses = "own", "epoch"
    three.describe()
    three.now_s += AGAIN_S + 1
    assert [await three.look(), await three.look(2), await three.look(AGAIN_S)] == [["epoch"], [], ["epoch"]]
    three.members["b"].refuses = ""
    await three.look(AGAIN_S + 1)
    assert three.epochs() == {three.watch.file.read().shared.epoch}


async def test_refusals_are_met_with_growing_patience(town) -> None:
    """Doubling from two seconds, at most an hour, and nothing is kept."""
    three = town("a", "b", "c")
    three.members["b"].refuses = "key"
    tried = [three.now_s for _ in range(400) if await three.look(60.0)]
    pauses = np.diff(tried)
    assert all(later >= earlier for earlier, later in pairwise(pauses))
    assert pauses[0] <= 120
    assert 3600 <= pauses[-1] <= 3660
    assert three.watch.file.read() is None
    with pytest.raises(Unavailable):
        await three.watch.renew()


async def test_a_restart_of_the_coordinator_goes_on_with_what_it_kept(town) -> None:
    """No new sum; and one whose file was altered counts again."""
    three = town("a", "b", "c")
    await three.look()
    three.describe()
    three.watch = three.made()
    assert await three.look(60) == []
    written = json.loads(three.path.read_text())
    written["shared"]["hospitals"] = ["a", "b", "x"]
    three.path.write_text(json.dumps(written))
    three.watch = three.made()
    assert three.watch.file.read() is None
    assert await three.look(60) == WHOLE


async def test_a_hospital_that_signs_wrongly_is_left_out_before_anybody_reveals(town) -> None:
    """A key or a word that would make the others refuse does not keep four others from their sum."""
    five = town("a", "b", "c", "d", "e")
    five.members["e"].signer = Signer.generate()
    assert await five.look() == WHOLE
    assert five.watch.file.read().shared.hospitals == ("a", "b", "c", "d")
