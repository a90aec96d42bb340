"""An extract is the sentences that bear on the question, and nothing more of the passage."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from fedrag.encoders import ENCODERS
from retriever_node.extract import MAXIMUM_SENTENCES, extracts
from retriever_node.passages import sentence_borders

ENCODER = ENCODERS.build("hashing")


def extract(text: str, question: str) -> str:
    ((start, end),) = extracts([text], ENCODER.encode_queries([question])[0], ENCODER)
    return text[start:end]


PASSAGE = (
    "The ward round begins at eight. Mrs. Example complained about the food. Warfarin bleeding is reversed with "
    "vitamin. The canteen closes at two."
)


def test_the_sentence_that_answers_is_the_extract() -> None:
    """Its neighbours have no word of the question."""
    assert extract(PASSAGE, "How is warfarin bleeding reversed?") == "Warfarin bleeding is reversed with vitamin."
    assert extract(PASSAGE, "canteen closes") == "The canteen closes at two."


def test_neighbours_that_are_as_near_belong_to_it() -> None:
    """At most three, and one stretch: of four sentences with the same words the first three."""
    text = "Give vitamin. Give vitamin. Give vitamin. Give vitamin. The canteen closes at two."
    assert extract(text, "give vitamin") == "Give vitamin. Give vitamin. Give vitamin."


def test_a_distant_sentence_that_is_as_near_does_not_bring_what_lies_between() -> None:
    """Nothing unrelated leaves for the sake of one stretch."""
    text = "Give vitamin K now. Mrs. Example complained about the food. Give vitamin K now."
    assert extract(text, "give vitamin K now") == "Give vitamin K now."


@given(st.lists(st.text("ab .!\n-É", max_size=60), min_size=1, max_size=4), st.text("ab ", max_size=10))
def test_an_extract_is_a_stretch_of_whole_sentences(texts: list[str], question: str) -> None:
    """Of whatever text: never empty where the text is not, within it, at most three sentences, and the same whether it
    is taken alone or with others."""
    texts = [text or "a" for text in texts]
    vector = ENCODER.encode_queries([question or "a"])[0]
    spans = extracts(texts, vector, ENCODER)
    assert len(spans) == len(texts)
    for text, (start, end) in zip(texts, spans, strict=True):
        assert 0 <= start < end <= len(text)
        inside = [border for border in sentence_borders(text) if start < border < end]
        assert len(inside) < MAXIMUM_SENTENCES
        assert extracts([text], vector, ENCODER) == ((start, end),)
    assert extracts([], vector, ENCODER) == ()


def test_the_best_sentence_is_the_one_that_is_most_similar() -> None:
    """Oracle: the cosine of each sentence by itself."""
    sentences = ["Give vitamin K slowly.", "Watch for bleeding.", "Stop warfarin at once.", "Tell the family."]
    text = " ".join(sentences)
    for question in ("stop warfarin", "bleeding", "the family", "vitamin K"):
        vector = ENCODER.encode_queries([question])[0]
        best = sentences[int(np.argmax(ENCODER.encode_passages(sentences) @ vector))]
        assert best in extract(text, question)
