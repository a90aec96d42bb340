"""Records and cached vectors: what was made is not made again, and what has changed is."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fedrag.encoders import ENCODERS
from fedrag.evaluation.corpus import Query
from fedrag.evaluation.record import Record
from fedrag.evaluation.run import Half, Run
from fedrag.evaluation.vectors import CachedVectors

QUERIES = [Query("q1", "one"), Query("q2", "two"), Query("q3", "three")]


@contextmanager
def silent(what: str) -> Iterator[object]:
    yield lambda done, total: None


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(
        data=None, limit=None, half=Half.SEEN, output=tmp_path, progress=silent, command="test", identity="inputs-1"
    )


def asked(run: Run, fails_at: str = "") -> tuple[list[str], dict[str, dict[str, object]] | None]:
    """Which questions were put, and what came back."""
    put: list[str] = []

    def measure(query: Query) -> dict[str, object]:
        if query.id == fails_at:
            raise InterruptedError
        put.append(query.id)
        return {"words": len(query.text.split()), "letters": (len(query.text),)}

    try:
        return put, run.recorded("suite", QUERIES, "answers", measure)
    except InterruptedError:
        return put, None


def test_an_interrupted_run_goes_on_where_it_stopped(run: Run) -> None:
    """q1 and q2 were recorded before the fall; the second run asks q3 alone and knows all three."""
    assert asked(run, fails_at="q3") == (["q1", "q2"], None)
    put, results = asked(run)
    assert put == ["q3"]
    assert results == {query.id: {"words": 1, "letters": [len(query.text)]} for query in QUERIES}
    assert asked(run)[0] == []


def test_other_inputs_start_anew(run: Run) -> None:
    """Nothing made from other inputs is believed."""
    asked(run)
    assert asked(replace(run, identity="inputs-2"))[0] == ["q1", "q2", "q3"]


def test_other_options_have_their_own_record(run: Run) -> None:
    """A different seed or layout neither uses nor destroys what is there; a limit only shortens it."""
    asked(run)
    assert asked(replace(run, seed=1))[0] == ["q1", "q2", "q3"]
    assert asked(run)[0] == []
    assert set(asked(replace(run, limit=2))[1]) == {"q1", "q2"}


def test_a_line_cut_in_the_middle_is_asked_again(tmp_path: Path) -> None:
    """As a power cut leaves it."""
    path = tmp_path / "record.jsonl"
    with Record.open(path, "one") as record:
        record.put("q1", {"x": 1})
        record.put("q2", {"x": 2})
    path.write_text(path.read_text()[:-5])
    with Record.open(path, "one") as record:
        assert dict(record) == {"q1": {"x": 1}}
        record.put("q2", {"x": 3})
    with Record.open(path, "one") as record:
        assert dict(record) == {"q1": {"x": 1}, "q2": {"x": 3}}


def test_cached_vectors_are_the_encoder_s_and_are_made_once(tmp_path: Path) -> None:
    """Rows are in the order of the texts, equal texts twice; the second time nothing is encoded."""
    encoder = ENCODERS.build("hashing", {"dimension": 32})
    texts = ["warfarin dose", "asthma", "warfarin dose", *(f"text {number}" for number in range(600))]
    first = CachedVectors(tmp_path, encoder, silent).passages(texts)
    np.testing.assert_array_equal(first, encoder.encode_passages(texts))

    class Broken:
        identity = encoder.identity

    np.testing.assert_array_equal(CachedVectors(tmp_path, Broken(), silent).passages(texts), first)
    other = ENCODERS.build("hashing", {"dimension": 16})
    assert CachedVectors(tmp_path, other, silent).passages(texts[:2]).shape == (2, 16)
    assert CachedVectors(tmp_path, encoder, silent).queries([]).shape == (0, 32)
