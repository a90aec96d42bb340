"""Cutting documents into passages that the encoder can take in whole."""

from itertools import combinations, pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedrag.encoders.hashing import Hashing
from retriever_node.documents import Document, Section
from retriever_node.passages import MAXIMUM_CHARACTERS, SPECIAL_TOKENS, embedding_text, sentence_borders, split


def document(*texts: str, title: str = "Gout", heading: str = "Signs") -> Document:
    sections, start = [], 0
    for text in texts:
        sections.append(Section(heading, text, start))
        start += len(text) + 2
    return Document("c", "d", "d.md", title, "", None, tuple(sections), "0" * 64)


def sentence(words: int) -> str:
    return "Word" + " word" * (words - 1) + "."


def test_a_section_that_fits_is_one_passage(encoder):
    """Sections are never joined, however short; each is one passage with its heading and its offsets."""
    drafts = split(document("Toe pain.", "Red and hot."), encoder)
    assert [(draft.section, draft.text, draft.start, draft.end) for draft in drafts] == [
        ("Signs", "Toe pain.", 0, 9),
        ("Signs", "Red and hot.", 11, 23),
    ]


def test_embedding_text_by_hand(encoder):
    """Title and heading stand on one line above the text; repeated or missing parts leave no trace."""
    (draft,) = split(document("Toe pain."), encoder)
    assert embedding_text(draft, encoder) == "Gout. Signs\nToe pain."
    assert embedding_text(draft, encoder, ["title"]) == "Gout"
    assert embedding_text(draft, encoder, ["text"]) == "Toe pain."
    (same,) = split(document("Toe pain.", title="Gout.", heading=""), encoder)
    assert embedding_text(same, encoder) == "Gout\nToe pain."
    (twice,) = split(document("Toe pain.", title="Gout", heading="Gout"), encoder)
    assert embedding_text(twice, encoder) == "Gout\nToe pain."


def test_parts_are_near_equal_and_end_with_sentences():
    """Room for 20 tokens: five sentences of 9 words need three parts, and the last is not left with one word over."""
    encoder = Hashing(8, 20 + SPECIAL_TOKENS)
    text = " ".join([*[sentence(9)] * 5, sentence(1)])
    parts = [len(draft.text.split()) for draft in split(document(text, title="", heading=""), encoder)]
    assert parts == [18, 18, 10]


@given(sizes=st.lists(st.integers(1, 9), min_size=1, max_size=9))
def test_cut_is_the_best_of_all_cuts(sizes):
    """Against every possible cut at sentence borders: fewest parts first, then the least sum of squares."""
    room = 12
    text = " ".join(sentence(size) for size in sizes)
    drafts = split(document(text, title="", heading=""), Hashing(8, room + SPECIAL_TOKENS))
    costs = []
    for number in range(len(sizes)):
        for inner in combinations(range(1, len(sizes)), number):
            borders = [0, *inner, len(sizes)]
            parts = [sum(sizes[a:b]) for a, b in pairwise(borders)]
            if max(parts) <= room:
                costs.append((len(parts), sum(part * part for part in parts)))
    found = [len(draft.text.split()) for draft in drafts]
    assert (len(found), sum(part * part for part in found)) == min(costs)
    assert all(draft.text.endswith(".") for draft in drafts)


def test_a_sentence_longer_than_the_window_is_cut_between_words(pieces):
    """Eighteen tokens of room: words of two tokens each stay whole."""
    drafts = split(document(" ".join(["eightlet"] * 30), title="", heading=""), pieces)
    assert {word for draft in drafts for word in draft.text.split()} == {"eightlet"}
    assert sorted(len(draft.text.split()) for draft in drafts) == [7, 7, 8, 8]


def test_a_word_longer_than_the_window_is_cut_between_tokens(pieces):
    """A string of 400 characters without a space is 100 tokens: it is cut at their borders, and nothing is lost."""
    drafts = split(document("x" * 400, title="", heading=""), pieces)
    assert "".join(draft.text for draft in drafts) == "x" * 400
    assert all(draft.start % 4 == 0 for draft in drafts)
    assert max(len(pieces.token_spans(draft.text)) for draft in drafts) <= 18


def test_one_token_of_any_length_is_cut_by_characters(encoder):
    """What a tokeniser takes for one word may be megabytes; a passage holds at most 4,000 characters."""
    drafts = split(document("x" * 9000), encoder)
    assert [len(draft.text) for draft in drafts] == [MAXIMUM_CHARACTERS, MAXIMUM_CHARACTERS, 1000]


def test_text_that_is_not_embedded_is_not_bound_by_the_window(encoder):
    """With embed = ["title"] an answer stays in one piece up to 4,000 characters."""
    text = " ".join([sentence(10)] * 30)
    (draft,) = split(document(text), encoder, ["title"])
    assert draft.text == text
    assert len(split(document(" ".join([text] * 5)), encoder, ["title"])) == 2


def test_a_long_title_line_leaves_room_for_text(pieces):
    """A title of 200 tokens is cut, for embedding only, to half the window."""
    drafts = split(document(" ".join(["word"] * 50), title="long title " * 70), pieces)
    assert drafts[0].title == "long title " * 70
    assert all(len(pieces.token_spans(embedding_text(draft, pieces))) <= 18 for draft in drafts)
    assert sum(len(draft.text.split()) for draft in drafts) == 50


def test_a_passage_prefix_takes_its_share_of_the_window():
    """The prefix that is put before every passage is counted."""
    encoder = Hashing(8, 12)
    encoder.identity = encoder.identity.model_copy(update={"passage_prefix": "one two three "})  # type: ignore[misc]
    drafts = split(document(" ".join([sentence(7)] * 2), title="", heading=""), encoder)
    assert [len(draft.text.split()) for draft in drafts] == [7, 7]


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("Give 2.5 mg. Then wait.", ["Give 2.5 mg. ", "Then wait."]),
        ("Seen by Dr. Smith. Home e.g. Monday.", ["Seen by Dr. Smith. ", "Home e.g. Monday."]),
        ("Stop?) Yes.", ["Stop?) ", "Yes."]),
        ("Doses:\n- one\n- two", ["Doses:\n", "- one\n", "- two"]),
        ("One\n\n  two", ["One\n\n  ", "two"]),
        ("一。二", ["一。", "二"]),
        ("", [""]),
    ],
)
def test_sentences(text, sentences):
    """Sentences, paragraphs and list items, by hand."""
    borders = sentence_borders(text)
    assert [text[a:b] for a, b in pairwise(borders)] == sentences


@settings(deadline=None)
@given(
    texts=st.lists(st.text(alphabet=st.sampled_from(list("abcdE. \n?-é")), min_size=1, max_size=400), max_size=3),
    title=st.text(alphabet=st.sampled_from(list("ab ")), max_size=60),
)
def test_nothing_is_lost_and_everything_fits(pieces, texts, title):
    """Every word of every section is in exactly one passage, at the offsets it names, inside the window."""
    source = document(*(text.strip() or "x" for text in texts), title=title.strip())
    drafts = split(source, pieces)
    for section in source.sections:
        inside = [d for d in drafts if section.start <= d.start and d.end <= section.start + len(section.text)]
        assert "".join("".join(d.text.split()) for d in inside) == "".join(section.text.split())
        assert all(d.text == section.text[d.start - section.start : d.end - section.start] for d in inside)
        assert all(d.text == d.text.strip() != "" for d in inside)
    assert all(len(pieces.token_spans(embedding_text(draft, pieces))) <= 18 for draft in drafts)
    assert list(drafts) == sorted(drafts, key=lambda draft: draft.start)
