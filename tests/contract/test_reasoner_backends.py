"""Every reasoner back end: answers from released passages only, abstains without any, and never raises."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import tiny_language_model

from fedrag.core.answer import AbstentionCode, Evidence, EvidencePassage
from fedrag.core.deadline import Deadline
from fedrag.core.errors import ConfigError, MissingExtra
from fedrag.core.exchange import Citation, ReleasedPassage
from fedrag.core.question import Question
from fedrag.core.wire import ReleaseClass
from fedrag.encoders import ENCODERS
from reasoner.backends import BACKENDS, Backend, Surroundings
from reasoner.model_choice import StoredTable

Build = Callable[..., Backend]
REPLY = {"steps": [], "answer": "Aspirin [1].", "choice": "B", "confidence": 0.8, "insufficient": False}


@pytest.fixture(scope="module")
def settings(tmp_path_factory) -> dict[str, dict[str, object]]:
    """Nobody listens on port 9 (discard): a model that is served has to be managed without. A local model is real and
    small, a scripted one gives one reply to everything."""
    folder: Path = tmp_path_factory.mktemp("models")
    script = folder / "script.jsonl"
    script.write_text(json.dumps({"reply": REPLY}), encoding="utf-8")
    tiny = tiny_language_model.write(folder / "tiny")
    return {
        "extractive": {"abstain_below": 0.0},
        "traces": {},
        "openai": {"base_url": "http://127.0.0.1:9/v1", "model": "absent"},
        "local": {"path": tiny, "maximum_tokens": 256},
        "vllm": {"model": str(tiny), "maximum_tokens": 256},
        "scripted": {"replies": script},
        "routed": {"models": {"only": {"name": "scripted", "settings": {"replies": script}}}, "table": _table(folder)},
    }


def _table(folder: Path) -> Path:
    """Of which model to ask: nothing learned."""
    empty = StoredTable(
        comparable_with=ENCODERS.build("hashing").identity.comparable_with, cells=(), models=(), sums=()
    )
    (folder / "models.json").write_text(empty.model_dump_json(), encoding="utf-8")
    return folder / "models.json"


@pytest.fixture
def build(settings) -> Build:
    def built(name: str, **changes: object) -> Backend:
        try:
            made = BACKENDS.build(name, settings[name] | changes)
        except MissingExtra as missing:
            pytest.skip(missing.message)
        return made(Surroundings(ENCODERS.build("hashing"), {}, bytes))

    return built


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
async def test_every_citation_and_quote_resolves(name, build) -> None:
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
async def test_without_passages_every_back_end_abstains(name, build) -> None:
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
async def test_a_choice_is_one_of_the_options(name, build) -> None:
    """The one the only passage names."""
    backend = build(name)
    question = Question(text="Which drug do adults take?", options={"A": "heparin", "B": "aspirin", "C": "iron"})
    made = await backend.reason(question, passages("Adults take aspirin."), Deadline.after_ms(5000))
    await backend.aclose()
    # Weights that were drawn choose freely, but within the options.
    allowed = set(question.options) if name in ("local", "vllm") else {"B"}
    assert made.abstained is not None or made.choice in allowed


@pytest.mark.parametrize("name", BACKENDS.names)
async def test_the_processor_is_named(name, build) -> None:
    """Release policies decide on it, so it is never empty."""
    backend = build(name)
    assert backend.processor.model
    await backend.aclose()


@pytest.mark.parametrize("name", BACKENDS.names)
def test_an_unknown_setting_is_refused(name, build) -> None:
    """A misspelt key is an error."""
    with pytest.raises(ConfigError) as raised:
        build(name, misspelt=1)
    assert raised.value.code == "bad_setting"


@pytest.mark.parametrize(("name", "setting"), [("local", "path"), ("scripted", "replies")])
def test_a_model_that_is_not_there_is_told_when_it_is_built(name, setting, build, tmp_path) -> None:
    """Not at the first question."""
    with pytest.raises(ConfigError) as raised:
        build(name, **{setting: tmp_path / "nothing"})
    assert raised.value.code in ("bad_model", "bad_script")
