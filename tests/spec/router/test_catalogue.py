"""What the router knows, and that nobody can make it know less."""

import pytest

from fedrag.core.errors import IntegrityError, ProtocolError
from router.catalogue import Catalogue


def test_collections_are_ordered_by_node_and_name_whatever_the_order_of_arrival(describe, describe_node):
    """b before a, and z before c inside a: the catalogue sorts both."""
    b = describe_node("b", describe("b", passages=1))
    a = describe_node("a", describe("a", collection="z", passages=1), describe("a", collection="c", passages=1))
    first = Catalogue().with_description(b).with_description(a)
    second = Catalogue().with_description(a).with_description(b)
    expected = [("a", "c"), ("a", "z"), ("b", "all")]
    assert [(one.node, one.collection) for one in first.collections()] == expected
    assert first.collections() == second.collections()


def test_a_catalogue_is_a_value(describe, describe_node):
    """Describing a node makes a new catalogue and leaves the old one as it was."""
    empty = Catalogue()
    full = empty.with_description(describe_node("a", describe("a", passages=1)))
    assert empty.collections() == ()
    assert len(full.collections()) == 1


def test_the_same_description_again_changes_nothing(describe, describe_node):
    """An equal description gives the very same catalogue, so what was derived from it stays valid."""
    catalogue = Catalogue().with_description(describe_node("a", describe("a", passages=1)))
    assert catalogue.with_description(describe_node("a", describe("a", passages=1))) is catalogue


def test_a_newer_version_replaces_and_a_missing_collection_is_withdrawn(describe, describe_node):
    """Version 2 of one collection, and no word of the other."""
    old = describe_node("a", describe("a", collection="x", passages=1), describe("a", collection="y", passages=1))
    new = describe_node("a", describe("a", collection="x", passages=5, version=2))
    collections = Catalogue().with_description(old).with_description(new).collections()
    assert [(one.collection, one.version, one.passages) for one in collections] == [("x", 2, 5)]


def test_a_version_never_goes_backwards(describe, describe_node):
    """An older description is refused, also when the collection had been withdrawn in between."""
    older = describe_node("a", describe("a", passages=1, version=2))
    newer = describe_node("a", describe("a", passages=1, version=3))
    catalogue = Catalogue().with_description(newer)
    for known in (catalogue, catalogue.with_description(describe_node("a"))):
        with pytest.raises(IntegrityError) as refused:
            known.with_description(older)
        assert refused.value.code == "stale_description"


def test_the_same_version_number_of_another_collection_is_no_step_back(describe, describe_node):
    """Versions count per node and collection."""
    catalogue = Catalogue().with_description(describe_node("a", describe("a", passages=1, version=9)))
    catalogue = catalogue.with_description(describe_node("b", describe("b", passages=1, version=1)))
    assert [one.version for one in catalogue.collections()] == [9, 1]


def test_a_collection_described_twice_is_refused(describe, describe_node):
    """Which of the two would count?"""
    with pytest.raises(ProtocolError) as refused:
        Catalogue().with_description(describe_node("a", describe("a", passages=1), describe("a", passages=2)))
    assert refused.value.code == "duplicate_collection"


def test_what_was_refused_is_told_until_the_hospital_is_in_order_again(describe, describe_node):
    """What it had said before stays; saying that again, or something newer, ends it, and so does leaving."""
    older, newer, newest = (describe_node("a", describe("a", passages=1, version=version)) for version in (2, 3, 4))
    catalogue = Catalogue().with_description(newer)
    refused = catalogue.refusing(older)
    assert refused.stale == {"a": older}
    assert refused.collections() is catalogue.collections()
    assert refused.refusing(older) is refused
    for after in (refused.with_description(newer), refused.with_description(newest), refused.without("a")):
        assert not after.stale
