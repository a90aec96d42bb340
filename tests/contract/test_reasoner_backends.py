"""Every reasoner back end: answers from released passages only, abstains without any, and never raises."""

import re

import pytest

from fedrag.core.answer import AbstentionCode, Evidence, EvidencePassage
from fedrag.core.deadline import Deadline
from fedrag.core.errors import ConfigError
from fedrag.core.exchange import Citation, ReleasedPassage
from fedrag.core.question import Question
from fedrag.core.wire import ReleaseClass
from fedrag.encoders import ENCODERS
from reasoner.backends import BACKENDS, Backend, Surroundings

# Nobody listens on port 9 (discard): a model back end has to manage without its model.
SETTINGS = {"extractive": {"abstain_below": 0.0}, "openai": {"base_url": "http://127.0.0.1:9/v1", "model": "absent"}}


def build(name: str) -> Backend:
    return BACKENDS.build(name, SETTINGS[name])(Surroundings(ENCODERS.build("hashing"), {}, bytes))


def passages(*texts: str) -> Evidence:
    return Evidence(
        passages=tuple(
            EvidencePassage(
                number=number,
                node="north",
                passage=ReleasedPassage(
                    handle="0" * 64,
                    text=text,
                    citation=Citation(document_id="d", document_name="d", locator="char=0,1"),
                    release_class=ReleaseClass.PUBLIC,
                ),
                probability=0.8,
                weight=1.0,
            )
            for number, text in enumerate(texts, start=1)
        ),
        source_weights={"north": 1.0} if texts else {},
        few_sources=True,
        method="comparable",
    )


@pytest.mark.parametrize("name", BACKENDS.names)
async def test_every_citation_and_quote_resolves(name) -> None:
    """The oracle is the evidence itself: what is quoted is searched for in the passage it cites."""
    released = passages("Adults take 5 mg daily.", "Children take 2 mg daily.")
    backend = build(name)
    made = await backend.reason(Question(text="What do adults take?"), released, Deadline.after_ms(5000))
    await backend.aclose()
    texts = {one.number: one.passage.text for one in released.passages}
    assert all(set(step.citations) <= set(texts) for step in made.steps)
    for quoted, number in re.findall(r"“([^”]*)” \[(\d+)\]", made.text):
        assert quoted in texts[int(number)]
    assert 0 <= made.confidence <= 1
    assert (made.text == "") is (made.abstained is not None)


@pytest.mark.parametrize("name", BACKENDS.names)
async def test_without_passages_every_back_end_abstains(name) -> None:
    """`no_evidence`, whatever the question."""
    backend = build(name)
    made = await backend.reason(
        Question(text="What?", options={"A": "x", "B": "y"}), passages(), Deadline.after_ms(5000)
    )
    await backend.aclose()
    assert made.abstained is not None
    assert made.abstained.code is AbstentionCode.NO_EVIDENCE
    assert (made.text, made.choice) == ("", None)


@pytest.mark.parametrize("name", BACKENDS.names)
async def test_a_choice_is_one_of_the_options(name) -> None:
    """The one the only passage names."""
    backend = build(name)
    question = Question(text="Which drug do adults take?", options={"A": "heparin", "B": "aspirin", "C": "iron"})
    made = await backend.reason(question, passages("Adults take aspirin."), Deadline.after_ms(5000))
    await backend.aclose()
    assert made.abstained is not None or made.choice == "B"


@pytest.mark.parametrize("name", BACKENDS.names)
async def test_the_processor_is_named(name) -> None:
    """Release policies decide on it, so it is never empty."""
    backend = build(name)
    assert backend.processor.model
    await backend.aclose()


@pytest.mark.parametrize("name", BACKENDS.names)
def test_an_unknown_setting_is_refused(name) -> None:
    """A misspelt key is an error."""
    with pytest.raises(ConfigError):
        BACKENDS.build(name, SETTINGS[name] | {"misspelt": 1})
