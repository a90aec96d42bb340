"""The contract of `VectorIndex`, over every plug-in. Oracle: every similarity computed with numpy in doubles."""

import json
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import ClassVar

import faiss
import numpy as np
import pytest

from fedrag.core.errors import ConfigError, IntegrityError, MissingExtra
from fedrag.core.protocols import Neighbours, RemovesRows, VectorIndex
from fedrag.core.wire import FloatMatrix
from retriever_node.indexes import INDEXES

DIMENSION = 48


def clustered(rows: int, seed: int = 1) -> FloatMatrix:
    """Unit vectors around one topic per twenty rows."""
    random = np.random.default_rng(seed)
    topics = random.normal(size=(max(1, rows // 20), DIMENSION))
    vectors = topics[random.integers(len(topics), size=rows)] + 0.5 * random.normal(size=(rows, DIMENSION))
    return unit(vectors)


def unit(vectors: np.ndarray) -> FloatMatrix:
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def exact(vectors: FloatMatrix, query: FloatMatrix, k: int) -> tuple[list[int], list[float]]:
    """The k best positions and similarities, by definition."""
    similarities = [float(np.float32(np.dot(row.astype(np.float64), query.astype(np.float64)))) for row in vectors]
    order = sorted(range(len(vectors)), key=lambda position: (-similarities[position], position))[:k]
    return order, [similarities[position] for position in order]


def recall(found: Neighbours, vectors: FloatMatrix, queries: FloatMatrix, k: int) -> float:
    hits = [len({*row} & {*exact(vectors, query, k)[0]}) for row, query in zip(found.positions, queries, strict=True)]
    return sum(hits) / (k * len(queries))


ANYWHERE = {"faiss_gpu": {"require_gpu": False}}
"""Settings with which a plug-in runs on any machine, where its defaults want more."""
APPROXIMATE = [
    ("faiss_hnsw", {"exact_below": 500}),
    ("faiss_ivf", {"exact_below": 500, "probes": 96}),
    ("faiss_ivf", {"exact_below": 500, "codes": "flat", "lists": 40, "probes": 32}),
    ("hnswlib", {"exact_below": 500}),
]
"""Settings with which a plug-in approximates the corpora below, beside its defaults, with which it may not.
The queries below are near no topic of the rows: for these many lists must be looked at."""
CHOICES = [*((name, ANYWHERE.get(name, {})) for name in INDEXES.names), *APPROXIMATE]


@pytest.fixture(params=CHOICES, ids=str)
def make(request: pytest.FixtureRequest) -> Callable[[], VectorIndex]:
    """Makes an empty index."""
    return lambda: INDEXES.build(*request.param)


@pytest.fixture
def index(make: Callable[[], VectorIndex]) -> VectorIndex:
    return make()


def test_similarities_are_exact_and_ordered(index):
    """Whatever rows are found, their similarity is the true one, and they are in its order with ties by position."""
    vectors, queries = clustered(1500), clustered(25, seed=2)
    index.build(vectors)
    found = index.search(queries, 10)
    assert found.positions.shape == found.similarities.shape == (25, 10)
    assert (found.positions.dtype, found.similarities.dtype) == (np.int64, np.float32)
    for query, positions, similarities in zip(queries, found.positions, found.similarities, strict=True):
        true = vectors[positions].astype(np.float64) @ query.astype(np.float64)
        np.testing.assert_allclose(similarities, true, atol=1e-7)
        assert list(zip(-similarities, positions, strict=True)) == sorted(zip(-similarities, positions, strict=True))


def test_recall_against_exact_search(index):
    """At least 0.99 of the true ten nearest of 1,500 rows."""
    vectors, queries = clustered(1500), clustered(50, seed=2)
    index.build(vectors)
    assert recall(index.search(queries, 10), vectors, queries, 10) >= 0.99


@pytest.mark.parametrize("rows", [1, 7, 300])
def test_small_collections_are_exact(index, rows):
    """Position by position and bit by bit the oracle's answer."""
    vectors, queries = clustered(rows), clustered(20, seed=2)
    index.build(vectors)
    found = index.search(queries, 10)
    for query, positions, similarities in zip(queries, found.positions, found.similarities, strict=True):
        order, values = exact(vectors, query, 10)
        assert positions[positions >= 0].tolist() == order
        np.testing.assert_allclose(similarities[: len(order)], values, atol=1e-7)


@pytest.mark.parametrize("rows", [3, 600])
def test_asking_for_more_than_there_is(index, rows):
    """All rows come, each once; the rest is -1 with a similarity below every other."""
    vectors = clustered(rows)
    index.build(vectors)
    found = index.search(vectors[:2], rows + 5)
    for positions, similarities in zip(found.positions, found.similarities, strict=True):
        assert sorted(positions[:rows]) == list(range(rows))
        assert (positions[rows:] == -1).all()
        assert (similarities[rows:] == -np.inf).all()


def test_empty_index(index):
    """Nothing indexed, or no rows: no neighbour, no error."""
    for _ in range(2):
        found = index.search(clustered(3), 4)
        assert (found.positions == -1).all()
        assert found.positions.shape == (3, 4)
        index.build(np.empty((0, DIMENSION), dtype=np.float32))


def test_no_queries(index):
    """No question, no rows."""
    index.build(clustered(700))
    assert index.search(np.empty((0, DIMENSION), dtype=np.float32), 4).positions.shape == (0, 4)


def test_equal_rows_tie_by_position(index):
    """Eight equal rows far apart: their similarity is equal to the bit, and the first ones are chosen."""
    vectors = clustered(1200)
    places = list(range(5, 1200, 150))
    vectors[places] = vectors[5]
    index.build(vectors)
    found = index.search(vectors[[5]], 8)
    assert found.positions[0].tolist() == places
    assert len(set(found.similarities[0].tolist())) == 1


def test_a_similarity_does_not_depend_on_the_company(index):
    """The same passage has the same similarity, to the bit, in a small index and in a large one."""
    vectors, queries = clustered(2000), clustered(5, seed=2)
    index.build(vectors)
    large = index.search(queries, 5)
    other = clustered(40, seed=3)
    for query, positions, similarities in zip(queries, large.positions, large.similarities, strict=True):
        small = np.concatenate([other, vectors[positions]])
        index.build(small)
        found = index.search(query[None, :], len(small))
        by_position = dict(zip(found.positions[0].tolist(), found.similarities[0].tolist(), strict=True))
        assert [by_position[len(other) + n] for n in range(5)] == similarities.tolist()


def test_build_replaces(index):
    """The second build is all there is."""
    index.build(clustered(900))
    second = clustered(12, seed=4)
    index.build(second)
    assert index.search(second[[3]], 20).positions[0].max() == 11


def test_the_same_rows_give_the_same_answers(index):
    """Two builds of the same rows answer alike."""
    vectors, queries = clustered(3000), clustered(40, seed=2)
    answers = []
    for _ in range(2):
        index.build(vectors)
        answers.append(index.search(queries, 10))
    np.testing.assert_array_equal(answers[0].positions, answers[1].positions)
    np.testing.assert_array_equal(answers[0].similarities, answers[1].similarities)


def test_searches_from_many_threads_agree(index):
    """Eight threads searching at once get what one gets."""
    vectors, queries = clustered(2000), clustered(64, seed=2)
    index.build(vectors)
    alone = [index.search(query[None, :], 10).positions[0].tolist() for query in queries]
    together: dict[int, list[int]] = {}

    def search(first: int) -> None:
        for number in range(first, len(queries), 8):
            together[number] = index.search(queries[number][None, :], 10).positions[0].tolist()

    threads = [threading.Thread(target=search, args=(first,)) for first in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [together[number] for number in range(len(queries))] == alone


def test_rows_that_no_edge_leads_to_are_reached(index):
    """Six hundred equal rows and one other: a graph may leave the other unreachable, a list may be short; the answer
    may not."""
    vectors = np.repeat(clustered(1), 600, axis=0)
    vectors = np.concatenate([vectors, clustered(1, seed=9)])
    index.build(vectors)
    assert sorted(index.search(vectors[[-1]], 601).positions[0]) == list(range(601))


@pytest.mark.parametrize("rows", [1, 450, 1500])
def test_saved_and_loaded_it_answers_the_same(make, tmp_path, rows):
    """Loaded over memory-mapped rows: the same positions and similarities, to the bit; and saved again, the same."""
    vectors, queries = clustered(rows), clustered(40, seed=2)
    index = make()
    index.build(vectors)
    np.save(tmp_path / "vectors.npy", vectors)
    mapped = np.load(tmp_path / "vectors.npy", mmap_mode="r")
    for turn in range(2):
        folder = tmp_path / f"saved-{turn}"
        folder.mkdir()
        index.save(folder)
        loaded = make()
        loaded.load(folder, mapped)
        for k in (1, 10, rows + 3):
            before, after = index.search(queries, k), loaded.search(queries, k)
            np.testing.assert_array_equal(before.positions, after.positions)
            np.testing.assert_array_equal(before.similarities, after.similarities)
        index = loaded


_ELSEWHERE = """
import sys, json, numpy as np
from pathlib import Path
from retriever_node.indexes import INDEXES
folder = Path(sys.argv[1])
queries, vectors = np.load(folder / "queries.npy"), np.load(folder / "vectors.npy", mmap_mode="r")
for number, (name, settings) in enumerate(json.loads(sys.argv[2])):
    index = INDEXES.build(name, settings)
    index.load(folder / str(number), vectors)
    found = index.search(queries, 10)
    print(json.dumps([found.positions.tolist(), found.similarities.tolist()]))
"""


def test_another_process_loads_what_this_one_saved(tmp_path):
    """Every plug-in, in one fresh interpreter: the answers of this one."""
    vectors, queries = clustered(1500), clustered(20, seed=2)
    np.save(tmp_path / "vectors.npy", vectors)
    np.save(tmp_path / "queries.npy", queries)
    answers = []
    for number, (name, settings) in enumerate(CHOICES):
        index = INDEXES.build(name, settings)
        index.build(vectors)
        (tmp_path / str(number)).mkdir()
        index.save(tmp_path / str(number))
        found = index.search(queries, 10)
        answers.append([found.positions.tolist(), found.similarities.tolist()])
    command = [sys.executable, "-c", _ELSEWHERE, str(tmp_path), json.dumps(CHOICES)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert [json.loads(line) for line in done.stdout.splitlines()] == answers


def test_files_of_other_rows_are_refused(make, tmp_path):
    """More rows than were saved, or longer ones: an error, or, where nothing is saved, the right answers."""
    index = make()
    index.build(clustered(1200))
    index.save(tmp_path)
    others = clustered(1300, seed=5)
    for vectors in (others, unit(np.pad(others, ((0, 0), (0, 2))))[:1200]):
        loaded = make()
        try:
            loaded.load(tmp_path, vectors)
        except (IntegrityError, OSError):
            continue
        assert not list(tmp_path.iterdir())
        assert loaded.search(vectors[[7]], 1).positions.tolist() == [[7]]


def test_rows_can_be_removed_where_an_index_says_so(make, tmp_path):
    """Without a third of its rows, from memory and from a file: recall against the exact answer over the rest, numbered
    anew; the index it came from answers as before."""
    vectors, queries = clustered(2400), clustered(40, seed=2)
    index = make()
    if not isinstance(index, RemovesRows):
        return
    index.build(vectors)
    index.save(tmp_path)
    loaded = make()
    loaded.load(tmp_path, vectors)
    gone = np.arange(0, 2400, 3)
    rest = np.delete(vectors, gone, axis=0)
    for whole in (index, loaded):
        before = whole.search(queries, 10)
        fewer = whole.without(gone, rest)
        again = fewer.without(np.array([0, 1599]), rest[1:-1])
        np.testing.assert_array_equal(whole.search(queries, 10).positions, before.positions)
        assert recall(fewer.search(queries, 10), rest, queries, 10) >= 0.99
        assert recall(again.search(queries, 10), rest[1:-1], queries, 10) >= 0.99
        assert sorted(fewer.search(rest[:1], len(rest)).positions[0]) == list(range(len(rest)))
        assert make().without(np.array([], dtype=np.int64), rest[:0]).search(queries, 3).positions.max() == -1


def test_some_index_removes_rows():
    """So that the test above tests something."""
    assert [name for name, choice in CHOICES if isinstance(INDEXES.build(name, choice), RemovesRows)]


def test_a_gpu_that_is_required_and_missing_is_an_error(monkeypatch):
    """FAISS for processors: the extra to install. FAISS for GPUs that sees none: what to do instead."""
    monkeypatch.setattr(faiss, "get_num_gpus", lambda: 0)
    monkeypatch.delattr(faiss, "StandardGpuResources", raising=False)
    with pytest.raises(MissingExtra, match="faiss-gpu"):
        INDEXES.build("faiss_gpu")
    monkeypatch.setattr(faiss, "StandardGpuResources", object, raising=False)
    with pytest.raises(ConfigError, match="require_gpu") as missing:
        INDEXES.build("faiss_gpu")
    assert missing.value.code == "no_gpu"


def test_what_a_gpu_answers_is_ordered_as_the_processor_orders_it(monkeypatch):
    """A stand-in with FAISS's GPU interface and its limit of 2,048 results: every call keeps it, more come from the
    processor, and the answers are exact search's."""

    class OneGpu(faiss.IndexFlatIP):
        calls: ClassVar[list[int]] = []

        def __init__(self, resources: object, dimension: int) -> None:
            super().__init__(dimension)

        def search(self, queries, k):
            assert k <= 2048
            self.calls.append(k)
            return super().search(queries, k)

    monkeypatch.setattr(faiss, "get_num_gpus", lambda: 1)
    monkeypatch.setattr(faiss, "StandardGpuResources", object, raising=False)
    monkeypatch.setattr(faiss, "GpuIndexFlatIP", OneGpu, raising=False)
    vectors, queries = clustered(3000), clustered(4, seed=2)
    vectors[100:160] = vectors[7]
    on_gpu, exactly = INDEXES.build("faiss_gpu"), INDEXES.build("faiss_flat")
    on_gpu.build(vectors)
    exactly.build(vectors)
    for asked in (queries, vectors[[7]]):
        for k in (1, 10, 2047, 3000):
            np.testing.assert_array_equal(on_gpu.search(asked, k).positions, exactly.search(asked, k).positions)
    assert OneGpu.calls


@pytest.mark.parametrize("name", INDEXES.names)
def test_unknown_settings_are_refused(name):
    """A misspelt setting is an error that names it."""
    with pytest.raises(ConfigError, match="efsearch"):
        INDEXES.build(name, {"efsearch": 3})
