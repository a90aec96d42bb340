"""Claims of similarity, held against the released text."""

import numpy as np
import pytest

from aggregator.claims import boasters
from fedrag.core.protocols import Winner

MINE = "encoder-a"
QUESTION = np.array([1, 0], dtype=np.float32)


class Toy:
    """A text has cosine 0.3 with the question, one that says "near" 0.8, one that says "noise" none."""

    comparable_with = MINE

    @property
    def identity(self):
        return self

    def encode_passages(self, texts):
        cosines = [0.0 if "noise" in text else 0.8 if "near" in text else 0.3 for text in texts]
        return np.array([[one, (1 - one * one) ** 0.5] for one in cosines], dtype=np.float32)


def won(offered) -> Winner:
    return Winner(offered.node, offered.offer)


@pytest.mark.parametrize(
    ("value", "means", "lie"),
    [
        (0.3, MINE, False),
        (0.39, MINE, False),  # precision, redaction
        (0.41, MINE, True),
        (-0.5, MINE, False),  # modesty is no lie
        (1.0, MINE, True),
        (0.59, f"{MINE}+words/own", False),  # (0.3 + 0.4) / 1.4, were all words in common
        (0.61, f"{MINE}+words/own", True),
        (1.0, "encoder-b", False),  # nobody here can tell
        (None, "", False),
    ],
)
def test_a_similarity_that_the_text_cannot_have_is_a_lie(offer, release, value, means, lie):
    """By the cosine alone, or with the most that common words can add."""
    winner = won(offer("a", "p", similarity=value, encoder=means))
    found = boasters([winner], [release("a", p="About feet.")], QUESTION, Toy())
    assert found == ({"a"} if lie else set())


@pytest.mark.parametrize(
    ("title", "text", "lie"),
    [
        ("", "About feet.", True),
        ("near", "About feet.", False),  # heading and text, as hospitals encode by default
        ("noise", "All near.", False),  # text alone
        ("near", "Mostly noise.", False),  # heading alone
        ("noise", "About feet.", True),
    ],
)
def test_a_hospital_may_encode_heading_text_or_both(offer, release, title, text, lie):
    """A claim of 0.8 is true when any of them bears it out."""
    made = release("a", p=text)
    (passage,) = made.passages
    titled = passage.model_copy(update={"citation": passage.citation.model_copy(update={"title": title})})
    made = made.model_copy(update={"passages": (titled,)})
    found = boasters([won(offer("a", "p", similarity=0.8, encoder=MINE))], [made], QUESTION, Toy())
    assert found == ({"a"} if lie else set())


def test_each_hospital_answers_for_its_own_winners(offer, release):
    """One lie among true claims is enough; another hospital's are not held against it; what did not win is not read."""
    winners = [won(offer(node, name, similarity=0.8, encoder=MINE)) for node, name in ("ap", "aq", "bp")]
    releases = [release("a", p="All near.", q="About feet.", r="Feet."), release("b", p="All near too.")]
    assert boasters(winners, releases, QUESTION, Toy()) == {"a"}
    assert boasters([winners[0], winners[2]], releases, QUESTION, Toy()) == frozenset()


def test_what_was_not_released_cannot_be_held_against_anyone(offer, release):
    """A winner without its text, and a text of another hospital under the same handle."""
    winner = won(offer("a", "p", similarity=1.0, encoder=MINE))
    assert boasters([winner], [], QUESTION, Toy()) == frozenset()
    assert boasters([winner], [release("b", p="About feet.")], QUESTION, Toy()) == frozenset()


def test_a_second_text_under_the_same_handle_does_not_bear_out_the_first(offer, release):
    """Evidence is the first one (`gather`), so the first one is held against the claim."""
    winner = won(offer("a", "p", similarity=0.8, encoder=MINE))
    lie, alibi = release("a", p="About feet."), release("a", p="All near.")
    both = lie.model_copy(update={"passages": (*lie.passages, *alibi.passages)})
    assert boasters([winner], [both], QUESTION, Toy()) == {"a"}
    assert boasters([winner], [lie, alibi], QUESTION, Toy()) == {"a"}
