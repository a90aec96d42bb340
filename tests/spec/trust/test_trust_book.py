"""A running coordinator notices what hospitals say out of order, and what comes of it is no more than was seen."""

from datetime import UTC, datetime
from types import SimpleNamespace

import numpy as np
import pytest

from fedrag.core.collection import CollectionDescription, EncoderIdentity, NodeDescription, Prototype
from fedrag.core.errors import IntegrityError
from fedrag.core.wire import encode_vector
from fedrag.http.signing import Signer
from fedrag.kept_trust import TrustStore
from fedrag.trust import TrustBook
from router.catalogue import Catalogue
from router.record import Standing
from router.trust import sighting

ENCODER = EncoderIdentity(
    name="made", weights_sha256="0" * 64, precision="fp32", dimension=4, maximum_tokens=8, languages=("en",)
)
KEY = Signer.generate().public_key


def said(node: str, version: int, previous: CollectionDescription | None = None) -> CollectionDescription:
    """Every version claims a few passages more about the same; what that is, its name says."""
    about = np.eye(4, dtype=np.float32)[0 if node == "oakmere" else 1]
    return CollectionDescription(
        node=node,
        collection="guidelines",
        version=version,
        encoder=ENCODER,
        release_class="public",
        passages=40 + version,
        prototypes=(Prototype(vector=encode_vector(0.8 * about), mass=40 + version, spread=0.1),),
        described_at=datetime(2026, 1, 1, tzinfo=UTC),
        previous=previous.digest if previous else "",
    )


class Watched:
    """The catalogue as `DescriptionWatch` keeps it."""

    def __init__(self) -> None:
        self.now = Catalogue()

    def takes(self, one: CollectionDescription) -> None:
        described = NodeDescription(node=one.node, name=one.node, public_key=KEY, collections=(one,))
        try:
            self.now = self.now.with_description(described)
        except IntegrityError:
            self.now = self.now.refusing(described)


@pytest.fixture
def watched():
    return Watched()


@pytest.fixture
def book(watched, tmp_path):
    """The operator answers for both hospitals before they are seen."""
    store = TrustStore(tmp_path / "trust.sqlite")
    for node in ("oakmere", "ashby"):
        store.declare(node, vouch=True)
    book = TrustBook(store, SimpleNamespace(identity=ENCODER), lambda: watched.now)
    yield book
    book.close()


def standings(book) -> list[Standing]:
    book.settle()
    return [book.trust.standing(node) for node in ("ashby", "oakmere")]


def test_a_rollback_is_noticed_while_the_coordinator_runs(book, watched) -> None:
    """The catalogue refuses the older description; trust hears of it all the same, once, and of nobody else."""
    first = said("oakmere", 1)
    second = said("oakmere", 2, first)
    for one in (said("ashby", 1), first, second):
        watched.takes(one)
        book.follow()
    assert standings(book) == [Standing.BELIEVED, Standing.BELIEVED]
    watched.takes(first)
    assert watched.now.collections()[1] is second
    assert standings(book) == [Standing.BELIEVED, Standing.AUDIT]
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(book, "_link", lambda one: pytest.fail("nothing is new"))
        watched.takes(first)
        assert standings(book) == [Standing.BELIEVED, Standing.AUDIT]


def test_what_follows_a_rollback_in_order_is_no_break_again(book, watched) -> None:
    """Shown once more what it holds, it is believed, and stays so with its next description."""
    first = said("oakmere", 1)
    second = said("oakmere", 2, first)
    for one in (said("ashby", 1), first, second, first):
        watched.takes(one)
        book.follow()
    assert standings(book) == [Standing.BELIEVED, Standing.AUDIT]
    shown = sighting(np.eye(4, dtype=np.float32)[0], {"oakmere": np.array([0.9] * 5), "ashby": np.array([0.2])})
    for _ in range(3):
        book._trust = book.trust.after(shown, about="oakmere")
    watched.takes(said("oakmere", 3, first))
    assert standings(book) == [Standing.BELIEVED, Standing.BELIEVED]
    assert not watched.now.stale
