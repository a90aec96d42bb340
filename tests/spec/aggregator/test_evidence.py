"""Winners and releases to evidence. Hand-made cases with everything visible."""

import numpy as np
import pytest

from aggregator.evidence import gather
from fedrag.core.answer import ConflictKind
from fedrag.core.protocols import Winner


class Alike:
    """An encoder to which all sentences mean the same."""

    def encode_passages(self, texts):
        return np.tile(np.array([1, 0], dtype=np.float32), (len(texts), 1))


def winner(offered, *also):
    return Winner(offered.node, offered.offer, also)


def seen(evidence):
    return [(one.number, one.node, one.passage.handle.rstrip("_")) for one in evidence.passages]


def test_winners_are_joined_with_their_text_in_the_order_of_the_merge(offer, release):
    """Releases arrive in another order; numbers follow the merge, and what the offer said stays with the passage."""
    winners = [
        winner(offer("b", "b1", probability=0.9, similarity=0.7), "c"),
        winner(offer("a", "a1", probability=0.6)),
    ]
    evidence = gather(
        winners, [release("a", a1="About lungs."), release("b", b1="About kidneys.")], Alike(), method="comparable"
    )
    assert seen(evidence) == [(1, "b", "b1"), (2, "a", "a1")]
    first = evidence.passages[0]
    assert (first.passage.text, first.probability, first.similarity.value) == ("About kidneys.", 0.9, 0.7)
    assert first.also_held_by == ("c",)
    assert evidence.method == "comparable"


def test_the_evidence_names_the_method_that_it_is_told(offer, release):
    """Not the default one."""
    evidence = gather([winner(offer("a", "a1"))], [release("a", a1="About lungs.")], Alike(), method="probabilistic")
    assert evidence.method == "probabilistic"


def test_a_winner_without_its_text_is_left_out_and_the_numbers_close_up(offer, release):
    """The node's policy did not honour the second handle."""
    winners = [winner(offer("a", name, rank=rank)) for rank, name in enumerate(("a1", "a2", "a3"), start=1)]
    evidence = gather(winners, [release("a", a1="About lungs.", a3="About feet.")], Alike(), method="comparable")
    assert seen(evidence) == [(1, "a", "a1"), (2, "a", "a3")]


def test_text_that_nobody_asked_for_is_never_cited(offer, release):
    """Another handle, and another hospital's handle: neither gets in, and neither counts for a weight."""
    evidence = gather(
        [winner(offer("a", "a1"))],
        [release("a", a1="About lungs.", a9="Ignore this."), release("evil", a1="Not from a.", e1="Trust me.")],
        Alike(),
        method="comparable",
    )
    assert seen(evidence) == [(1, "a", "a1")]
    assert evidence.passages[0].passage.text == "About lungs."
    assert evidence.source_weights == {"a": 1.0}


def test_a_handle_released_twice_counts_once(offer, release):
    """The first text stands."""
    evidence = gather(
        [winner(offer("a", "a1"))],
        [release("a", a1="First."), release("a", a1="Second.")],
        Alike(),
        method="comparable",
    )
    assert [one.passage.text for one in evidence.passages] == ["First."]


def test_copies_that_only_their_text_shows_are_folded_into_the_better_one(offer, release):
    """Without sketches the merge could not know; the holder is named, has no weight, and others move up."""
    leaflet = "Keep the wound dry for two days and call the ward if it becomes red, hot or painful, or if you feel ill."
    winners = [
        winner(offer("a", "a1", probability=0.9)),
        winner(offer("b", "b1", probability=0.8), "d"),
        winner(offer("c", "c1", probability=0.3)),
    ]
    releases = [
        release("a", a1=leaflet),
        release("b", b1=leaflet.upper()),
        release("c", c1="About feet and their care."),
    ]
    evidence = gather(winners, releases, Alike(), method="comparable")
    assert seen(evidence) == [(1, "a", "a1"), (2, "c", "c1")]
    assert evidence.passages[0].also_held_by == ("b", "d")
    assert set(evidence.source_weights) == {"a", "c"}


def test_sketches_of_different_keys_leave_the_decision_to_the_texts(offer, release):
    """The merge could not compare them; of two with one key it has decided, and a difference it saw stands."""
    leaflet = "Keep the wound dry for two days and call the ward if it becomes red, hot or painful, or if you feel ill."
    releases = [release(node, **{f"{node}1": leaflet}) for node in "abc"]
    keys = {"a": "new", "b": "old", "c": "new"}
    winners = [winner(offer(node, f"{node}1", text=leaflet, key=key)) for node, key in keys.items()]
    evidence = gather(winners, releases, Alike(), method="comparable")
    assert seen(evidence) == [(1, "a", "a1"), (2, "c", "c1")]
    assert evidence.passages[0].also_held_by == ("b",)


def test_numbers_follow_the_reading_order_of_neighbours(offer, release):
    """Third and first of a's document: side by side at the better one's place; conflicts cite the numbers shown."""
    made = release("a", a1="Treat cellulitis for 5 days.", a2="Mark the edge of the redness first.")
    places = ("char=40,68", "char=0,36")
    neighbours = tuple(
        passage.model_copy(
            update={"citation": passage.citation.model_copy(update={"document_id": "d", "locator": place})}
        )
        for passage, place in zip(made.passages, places, strict=True)
    )
    releases = [made.model_copy(update={"passages": neighbours}), release("b", b1="Treat cellulitis for 9 days.")]
    winners = [winner(offer("a", "a1")), winner(offer("b", "b1")), winner(offer("a", "a2", rank=2))]
    evidence = gather(winners, releases, Alike(), method="comparable")
    assert seen(evidence) == [(1, "a", "a2"), (2, "a", "a1"), (3, "b", "b1")]
    assert [(one.first.citation, one.second.citation) for one in evidence.conflicts] == [(2, 3)]


def test_weights_are_shares_of_the_probabilities_under_the_cap(offer, release):
    """Claims 1.2, 0.6, 0.4, 0.2: a is capped at 1/3, the rest is shared 6:4:2 of 2/3, so b has 1/3, c 2/9 and d 1/9."""
    offers = [offer("a", "a1", probability=0.7), offer("a", "a2", rank=2, probability=0.5)]
    offers += [offer("b", "b1", probability=0.6), offer("c", "c1", probability=0.4), offer("d", "d1", probability=0.2)]
    texts = {
        "a1": "Lungs need air.",
        "a2": "Hearts need blood.",
        "b1": "Eyes see.",
        "c1": "Ears hear.",
        "d1": "Feet walk.",
    }
    releases = [release(node, **{name: text for name, text in texts.items() if name[0] == node}) for node in "abcd"]
    evidence = gather([winner(one) for one in offers], releases, Alike(), method="comparable")
    assert evidence.source_weights == pytest.approx({"a": 1 / 3, "b": 1 / 3, "c": 2 / 9, "d": 1 / 9})
    assert [one.weight for one in evidence.passages] == [evidence.source_weights[one.node] for one in evidence.passages]
    assert not evidence.few_sources


@pytest.mark.parametrize(("hospitals", "few"), [("abc", True), ("abcd", False)])
def test_fewer_than_four_sources_are_labelled(offer, release, hospitals, few):
    """With three the cap of a third is what each has anyway."""
    texts = {"a": "Lungs need air.", "b": "Eyes see.", "c": "Ears hear.", "d": "Feet walk."}
    evidence = gather(
        [winner(offer(node, f"{node}1")) for node in hospitals],
        [release(node, **{f"{node}1": texts[node]}) for node in hospitals],
        Alike(),
        method="comparable",
    )
    assert evidence.few_sources is few


def test_conflicts_cite_the_final_numbers(offer, release):
    """The first winner was not released: what were second and third are now 1 and 2."""
    winners = [winner(offer("x", "x1")), winner(offer("a", "a1")), winner(offer("b", "b1"))]
    releases = [release("a", a1="Treat cellulitis for 5 days."), release("b", b1="Treat cellulitis for 9 days.")]
    evidence = gather(winners, releases, Alike(), method="comparable")
    assert [(one.kind, one.first.citation, one.second.citation) for one in evidence.conflicts] == [
        (ConflictKind.NUMBERS, 1, 2)
    ]


def test_no_evidence_is_evidence_too(offer):
    """Nothing won, or nothing was released."""
    for winners in ([], [winner(offer("a", "a1"))]):
        evidence = gather(winners, [], Alike(), method="comparable")
        assert (evidence.passages, evidence.source_weights, evidence.conflicts) == ((), {}, ())
        assert evidence.few_sources
