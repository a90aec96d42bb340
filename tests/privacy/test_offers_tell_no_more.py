"""What an offer tells of a collection whose text does not leave as it is: a bucket, and nothing by place, date or size.

Oracle: the same passages in a collection that releases them as they are, whose offers say how similar they are.
"""

import itertools
import time
from datetime import date

import pytest

from fedrag.core.deadline import Deadline
from fedrag.core.exchange import OfferRequest, Offers, Processor, ProcessorPlace, ReleaseRequest
from fedrag.core.question import PassageFilter
from fedrag.core.sketch import sketch_of
from fedrag.core.wire import ReleaseClass
from retriever_node.assemble import assemble
from retriever_node.documents import Passage
from retriever_node.ingest import ingest
from retriever_node.node import RetrieverNode
from retriever_node.policy import Grant
from retriever_node.search import Found
from retriever_node.served import Candidate, told

WORDS = ("warfarin", "bleeding", "reversed", "vitamin", "slowly", "family", "canteen", "ward", "letter", "clinic")
DOCUMENTS = {
    f"d{at}.md": f"---\neffective: 20{10 + at}-01-01\n---\n\n## Part {at}\n\nNote {at} is about {' and '.join(some)}.\n"
    for at, some in enumerate(itertools.islice(itertools.combinations(WORDS, 4), 0, 60, 4))
}
QUESTION = "warfarin bleeding reversed vitamin"
BUCKETS = {0.125, 0.375, 0.625, 0.875}
PASSAGE = 'version = 1\n[[rules]]\nname = "one"\nclasses = ["protocol"]\nrelease = "passage"\n'


def made(workshop, node: str, policy: str = PASSAGE, *, redact: bool = False) -> RetrieverNode:
    hospital = workshop.hospital(node, DOCUMENTS, ReleaseClass.PROTOCOL, policy)
    if not redact:
        return hospital.node
    text = hospital.home.config.read_text(encoding="utf-8")
    hospital.home.config.write_text(
        text.replace('release_class = "protocol"', 'release_class = "protocol"\nredact = true'), encoding="utf-8"
    )
    again = assemble(hospital.home)
    workshop.opened.append(again)
    (served,) = again.collections.values()
    source = workshop.folder / node / "documents"
    ingest(source, "documents", again.store, again.encoder, redaction=served.redaction)
    again.refresh()
    return again


def offered(node: RetrieverNode, k: int = 200, **changes: object) -> Offers:
    request = OfferRequest(
        request_id="a" * 32, coordinator="test-coordinator", node=node.id, vector=None, text=QUESTION, k=k,
        comparable_with="", deadline_ms=5_000,
    ).model_copy(update=changes)  # fmt: skip
    return node.offers(request, Deadline(time.monotonic() + 5))


def texts(node: RetrieverNode, offers: Offers) -> list[str]:
    """Of the offers, in their order."""
    request = ReleaseRequest(
        request_id="a" * 32, coordinator="test-coordinator", node=node.id, deadline_ms=5_000,
        handles=tuple(offer.handle for offer in offers.offers),
        processor=Processor(model="m", place=ProcessorPlace.TRUST_DOMAIN),
    )  # fmt: skip
    released = {one.handle: one.text for one in node.release(request, Deadline(time.monotonic() + 5)).passages}
    return [released[offer.handle] for offer in offers.offers]


def test_as_they_are_offers_say_how_similar_they_are(workshop) -> None:
    """The behaviour beside which the others are held: exact, in order of similarity, with sketches."""
    offers = offered(made(workshop, "plain")).offers
    similarities = [one.similarity.value for one in offers if one.similarity]
    assert len(similarities) == len(DOCUMENTS) > 10
    assert similarities == sorted(similarities, reverse=True)
    assert len(set(similarities)) > 4
    assert all(one.sketch for one in offers)


def test_a_collection_that_redacts_tells_buckets(workshop) -> None:
    """No similarity, at most four probabilities, not increasing; sketches of what would leave."""
    node = made(workshop, "redacting", redact=True)
    offers = offered(node)
    assert len(offers.offers) == len(DOCUMENTS)
    assert [one.similarity for one in offers.offers] == [None] * len(DOCUMENTS)
    buckets = [one.probability for one in offers.offers]
    assert set(buckets) <= BUCKETS
    assert buckets == sorted(buckets, reverse=True)
    small = offered(node, k=15)
    assert [one.sketch for one in small.offers] == [sketch_of(text) for text in texts(node, small)]


def test_the_order_within_a_bucket_tells_nothing(workshop) -> None:
    """Asked again, passages of one bucket stand in another order, though their similarities are the same; those of
    several buckets stay apart."""
    node = made(workshop, "redacting", redact=True)
    asked = [offered(node, k=15) for _ in range(4)]
    found = [texts(node, offers) for offers in asked]
    told_of = [
        dict(zip(some, [one.probability for one in of.offers], strict=True))
        for some, of in zip(found, asked, strict=True)
    ]
    assert len({tuple(some) for some in found}) > 1
    assert all(one == told_of[0] for one in told_of)


@pytest.mark.parametrize("k", [1, 3, 10])
def test_how_many_are_offered_depends_on_how_many_are_asked_for(workshop, k: int) -> None:
    """Not on how similar they are."""
    node = made(workshop, "redacting", redact=True)
    assert len(offered(node, k).offers) == k
    assert len(offered(node, k, text="an unrelated matter").offers) == k


def test_no_limit_of_dates_finds_anything_that_is_redacted(workshop) -> None:
    """Or is cited without its date: whatever the limit, though each document has one; without a limit all are there."""
    plain, redacting = made(workshop, "plain"), made(workshop, "redacting", redact=True)
    for year in (2000, 2012, 2030):
        for limit in ({"effective_from": date(year, 1, 1)}, {"effective_until": date(year, 1, 1)}):
            wanted = PassageFilter(**limit)
            assert offered(redacting, filter=wanted).offers == ()
    assert 0 < len(offered(plain, filter=PassageFilter(effective_from=date(2014, 6, 1))).offers) < len(DOCUMENTS)
    cited = workshop.hospital("cited", DOCUMENTS, ReleaseClass.PROTOCOL, PASSAGE + 'cite_as = "St. Example"\n').node
    assert len(offered(cited).offers) == len(DOCUMENTS)
    assert offered(cited, filter=PassageFilter(effective_from=date(2000, 1, 1))).offers == ()
    by_class = PassageFilter(release_classes=(ReleaseClass.PROTOCOL,))
    assert len(offered(redacting, filter=by_class).offers) == len(DOCUMENTS)


def test_what_is_dropped_for_its_content_looks_like_nothing_found(workshop, monkeypatch) -> None:
    """Passages that lack a form are searched for, and then dropped: the answer has the bytes of an empty one, and of
    one from a hospital whose rules are for others."""
    from retriever_node import finding

    full = made(workshop, "full", redact=True)
    searched = []
    search = finding.search

    def counting(*args):
        searched.append(search(*args))
        return searched[-1]

    monkeypatch.setattr(finding, "search", counting)
    full.store.forget_redacted("documents")
    told_of = {"dropped": offered(full)}
    assert [len(found) for found in searched] == [len(DOCUMENTS)]
    told_of["for others"] = offered(made(workshop, "others", PASSAGE + 'roles = ["system"]\n'))
    told_of["empty"] = offered(workshop.hospital("none", {}, ReleaseClass.PROTOCOL, PASSAGE).node)
    sizes = {
        name: len(one.model_copy(update={"node": "x", "receipt": None}).model_dump_json())
        for name, one in told_of.items()
    }
    assert len(set(sizes.values())) == 1, sizes


EXTRACT = PASSAGE.replace('"passage"', '"extract"') + 'cite_as = "St. Example"\n'
LETTER = {
    "wicket.md": "---\ntitle: Wicket\neffective: 2020-01-01\n---\n\n## Brimstone\n\nThe canteen closes early. "
    "Warfarin bleeding is reversed with vitamins. Mrs. Vennerholm complained about the food. Her family was told.\n"
}


def test_an_extract_is_all_that_leaves(workshop) -> None:
    """One sentence of four, cited under the hospital's name; the rest of the passage and its document's names are in no
    byte of offers or release."""
    node = workshop.hospital("heart", LETTER, ReleaseClass.PROTOCOL, EXTRACT).node
    offers = offered(node)
    (offer,) = offers.offers
    said = "Warfarin bleeding is reversed with vitamins."
    assert (offer.similarity, offer.sketch) == (None, sketch_of(said))
    assert offer.probability in BUCKETS
    request = ReleaseRequest(
        request_id="a" * 32, coordinator="test-coordinator", node="heart", deadline_ms=5_000, handles=(offer.handle,),
        processor=Processor(model="m", place=ProcessorPlace.TRUST_DOMAIN),
    )  # fmt: skip
    release = node.release(request, Deadline(time.monotonic() + 5))
    (passage,) = release.passages
    assert passage.text == said
    citation = passage.citation
    assert (citation.document_name, citation.title, citation.section, citation.version) == ("St. Example", "", "", "")
    left = (offers.model_dump_json() + release.model_dump_json()).casefold()
    assert not [word for word in ("wicket", "brimstone", "canteen", "vennerholm", "family") if word in left]


def test_an_extract_is_chosen_for_the_question_of_the_offer(workshop) -> None:
    """The stretch is sealed into the handle: other questions, other sentences, and none without one."""
    node = workshop.hospital("heart", LETTER, ReleaseClass.PROTOCOL, EXTRACT).node
    for question, said in (("canteen closes", "canteen"), ("family told", "family"), ("complained food", "Vennerholm")):
        (text,) = texts(node, offered(node, text=question))
        assert said in text
        assert len(text) < 60


def test_a_handle_made_for_a_whole_passage_opens_no_extract(workshop) -> None:
    """Nor the other way: whoever changes the rule, changes the version that is sealed in."""
    hospital = workshop.hospital("heart", LETTER, ReleaseClass.PROTOCOL, PASSAGE)
    offers = offered(hospital.node)
    hospital.home.policy.write_text(EXTRACT)
    with pytest.raises(Exception, match="policy changed"):
        texts(hospital.node, offers)


def candidate(name: str, probability: float, *, coarse: bool) -> Candidate:
    passage = Passage(1, "c", name, name, "", "", "", None, 0, 1, "x")
    return Candidate(Found("c", passage, probability, "e", probability), Grant(""), name, (0, 0), coarse)


@pytest.mark.parametrize(
    ("exact", "coarse", "k", "order"),
    [
        ((0.2, 0.9, 0.5), (), 2, (0.2, 0.9)),
        ((0.9, 0.5), (0.99, 0.02), 9, (0.9, 0.875, 0.5, 0.125)),
        ((0.9, 0.5), (0.99, 0.76, 0.74), 3, (0.9, 0.875, 0.875)),
        ((), (0.26, 0.49, 0.25), 9, (0.375, 0.375, 0.375)),
        ((0.875,), (0.8,), 1, (0.875,)),
    ],
)
def test_places_follow_from_what_is_told(exact, coarse, k: int, order) -> None:
    """Exact ones alone stay as they were found. Beside coarse ones all stand by what is told of each, and who is left
    out is told the least of."""
    found = told(
        [candidate(f"e{at}", one, coarse=False) for at, one in enumerate(exact)],
        [candidate(f"c{at}", one, coarse=True) for at, one in enumerate(coarse)],
        k,
    )
    assert tuple(one.probability for one in found) == order


def test_who_is_left_out_of_a_bucket_is_left_to_chance() -> None:
    """By handle, which is random, not by what was compared."""
    first, second = candidate("b", 0.99, coarse=True), candidate("a", 0.76, coarse=True)
    assert told([], [first, second], 1) == (second,)
