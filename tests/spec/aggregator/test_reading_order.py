"""Neighbouring passages next to each other. Hand-made documents; who won stays as it was."""

import pytest

from aggregator.reading_order import GAP, in_reading_order
from fedrag.core.exchange import Citation, ReleasedPassage
from fedrag.core.protocols import Winner
from fedrag.core.wire import ReleaseClass

DOCUMENT = "Wash your hands. Open the pack. Lay out the swabs. Clean the wound. Close the pack."


@pytest.fixture
def won(offer, handle):
    def make(node, name, start, text, *, document="d", end=None, version=""):
        end = start + len(text) if end is None else end
        citation = Citation(document_id=document, document_name="D", version=version, locator=f"char={start},{end}")
        passage = ReleasedPassage(handle=handle(name), text=text, citation=citation, release_class=ReleaseClass.PUBLIC)
        return Winner(node, offer(node, name).offer), passage

    return make


def shown(joined):
    return [passage.handle.rstrip("_") for _, passage in in_reading_order(joined)]


def quoted(joined):
    return [(passage.text, passage.citation.locator) for _, passage in in_reading_order(joined)]


def test_neighbours_stand_together_where_the_best_of_them_stood(won):
    """Second and fourth follow each other in the document, the fourth comes first there; nobody is added or lost."""
    joined = [
        won("a", "best", 0, "Elsewhere.", document="e"),
        won("a", "later", 120, "Then close the pack."),
        won("b", "between", 0, "Another hospital."),
        won("a", "earlier", 100, "Clean the wound."),
    ]
    assert shown(joined) == ["best", "earlier", "later", "between"]
    assert {id(winner) for winner, _ in in_reading_order(joined)} == {id(winner) for winner, _ in joined}


def test_only_passages_of_one_document_of_one_hospital_are_neighbours(won):
    """The same name in another hospital, another document, another version: the order of the merge."""
    joined = [
        won("a", "one", 100, "Clean the wound."),
        won("b", "two", 80, "Lay out the swabs."),
        won("a", "three", 80, "Lay out the swabs.", document="e"),
        won("a", "four", 80, "Lay out the swabs.", version="2"),
    ]
    assert shown(joined) == ["one", "two", "three", "four"]


@pytest.mark.parametrize(("gap", "together"), [(0, True), (GAP, True), (GAP + 1, False)])
def test_a_heading_may_lie_between_and_no_more(won, gap, together):
    """Where the document goes on unquoted, the order of the merge stands."""
    first = "Clean the wound."
    joined = [
        won("a", "later", len(first) + gap, "Close the pack."),
        won("b", "other", 0, "Something else."),
        won("a", "earlier", 0, first),
    ]
    assert shown(joined) == (["earlier", "later", "other"] if together else ["later", "other", "earlier"])


def test_what_two_neighbours_share_is_quoted_once(won):
    """The later one begins where the earlier one ends, and its locator says so."""
    cut = DOCUMENT.index("Lay"), DOCUMENT.index(" Clean")
    joined = [won("a", "two", cut[0], DOCUMENT[cut[0] :]), won("a", "one", 0, DOCUMENT[: cut[1]])]
    assert quoted(joined) == [
        (DOCUMENT[: cut[1]], f"char=0,{cut[1]}"),
        (DOCUMENT[cut[1] + 1 :], f"char={cut[1] + 1},{len(DOCUMENT)}"),
    ]


def test_a_passage_that_lies_in_its_neighbour_is_left_out(won):
    """All it says is said, also where a third goes on behind both."""
    inside = DOCUMENT.index("Open")
    joined = [
        won("a", "inside", inside, "Open the pack."),
        won("a", "whole", 0, DOCUMENT[:67]),
        won("a", "rest", 60, DOCUMENT[60:]),
    ]
    assert "".join(text for text, _ in quoted(joined)) == DOCUMENT.replace("wound. Close", "wound.Close")
    assert shown(joined) == ["whole", "rest"]


def test_an_overlap_that_the_texts_do_not_show_is_not_believed(won):
    """A locator that lies takes no word away."""
    joined = [won("a", "one", 0, "Clean the wound."), won("a", "two", 5, "Close the pack.")]
    assert [text for text, _ in quoted(joined)] == ["Clean the wound.", "Close the pack."]
    swallowed = [won("a", "one", 0, "Clean the wound.", end=900), won("a", "two", 5, "Close the pack.")]
    assert [text for text, _ in quoted(swallowed)] == ["Clean the wound.", "Close the pack."]


def test_numbers_that_no_document_is_long_enough_for_have_no_neighbours(won):
    """Five thousand digits are more than Python reads: no error, no neighbour."""
    joined = [won("a", "one", 0, "Clean.", end="9" * 5000), won("b", "two", 0, "Lay."), won("a", "three", 7, "Close.")]
    assert shown(joined) == ["one", "two", "three"]
