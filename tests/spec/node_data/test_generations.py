"""Built indexes on disk: found again when they are whole and the store's, and as good as absent in every other case.

Oracle: the hits of a collection that has no folder and builds from the store.
"""

import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from structlog.testing import capture_logs

from fedrag.core.collection import Prototype
from fedrag.core.config import PluginConfig
from fedrag.core.protocols import VectorIndex
from fedrag.core.wire import ReleaseClass
from retriever_node import collection as collection_module
from retriever_node.assemble import assemble, open_encoder, open_store
from retriever_node.calibration import Calibration, Calibrations
from retriever_node.collection import Collection, Hit
from retriever_node.config import CollectionConfig, NodeConfig
from retriever_node.documents import Document, PassageDraft
from retriever_node.generations import Rows, SavedGenerations, recipe, remove_others
from retriever_node.home import NodeHome, create_node, open_config
from retriever_node.indexes import INDEXES
from retriever_node.ingest import ingest
from retriever_node.manifest import seal
from retriever_node.prototypes import prototypes
from retriever_node.store import PassageStore

DIMENSION = 64
CHOICES = {
    "faiss_flat": {},
    "faiss_hnsw": {"exact_below": 0},
    "faiss_ivf": {"exact_below": 0, "probes": 60},
    "hnswlib": {"exact_below": 0},
}
QUERIES = np.eye(DIMENSION, dtype=np.float32)[::9]


def unit(seed: int, rows: int) -> np.ndarray:
    vectors = np.random.default_rng(seed).normal(size=(rows, DIMENSION))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def put(store: PassageStore, name: str, vectors: np.ndarray, content: str = "ab") -> None:
    document = Document("c", name, name, "", "1", None, (), content * 32)
    drafts = [PassageDraft("", "", at, at + 1, f"{name} {at}") for at in range(len(vectors))]
    store.put(document, drafts, vectors)


def made(name: str = "faiss_hnsw") -> Callable[[], VectorIndex]:
    return lambda: INDEXES.build(name, CHOICES[name])


def saved_in(folder: Path, name: str = "faiss_hnsw", comparable_with: str = "x") -> SavedGenerations:
    return SavedGenerations(
        folder, recipe(PluginConfig(name=name, settings=CHOICES[name]), comparable_with, words=True)
    )


def searchable(*opening, **named) -> Collection:
    """By words and vectors."""
    return Collection.open(*opening, words=True, **named)


def answers(collection: Collection, k: int = 10) -> list[tuple[Hit, ...]]:
    """By vectors alone, and by words too."""
    return [collection.search(query, k, terms) for query in QUERIES for terms in ((), ("d1", "17", "unheard"))]


def raw(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())


class Counted:
    """An index that counts its builds and loads."""

    builds = 0
    loads = 0

    def __init__(self, name: str = "faiss_flat") -> None:
        self._index = made(name)()

    def build(self, vectors) -> None:
        type(self).builds += 1
        self._index.build(vectors)

    def search(self, queries, k):
        return self._index.search(queries, k)

    def save(self, folder) -> None:
        self._index.save(folder)

    def load(self, folder, vectors) -> None:
        type(self).loads += 1
        self._index.load(folder, vectors)


@pytest.fixture
def counted() -> type[Counted]:
    return type("Counted", (Counted,), {})


@pytest.fixture
def corpus(store) -> PassageStore:
    """Four documents, 240 passages."""
    for number in range(4):
        put(store, f"d{number}", unit(number, 60))
    return store


@pytest.fixture(params=CHOICES)
def kept(request, corpus, tmp_path) -> tuple[str, Path]:
    """A plug-in, and the folder in which a generation of it is saved."""
    searchable(corpus, "c", made(request.param), saved_in(tmp_path / "i", request.param))
    return request.param, tmp_path / "i"


def test_a_saved_generation_is_found_again_without_reading_a_vector(kept, corpus, monkeypatch):
    """Opened a second time, the store is asked for no vector and nothing is built; the hits are the same."""
    name, folder = kept
    expected = answers(searchable(corpus, "c", made(name)))
    monkeypatch.setattr(PassageStore, "stored_vectors", None)
    opened = searchable(corpus, "c", made(name), saved_in(folder, name))
    assert answers(opened) == expected
    assert (len(opened), opened.generation) == (240, corpus.generation("c"))


def test_a_generation_is_for_its_owner_only(kept):
    """Folders 0700, files 0600, one generation, and a manifest beside ids, vectors and what the index saved."""
    _, folder = kept
    (generation,) = folder.iterdir()
    assert {path.stat().st_mode & 0o777 for path in (folder, generation)} == {0o700}
    assert {path.stat().st_mode & 0o777 for path in generation.iterdir()} == {0o600}
    assert {"ids.npy", "vectors.npy", "manifest.json"} <= {path.name for path in generation.iterdir()}


def mutations(folder: Path) -> Iterator[tuple[str, Callable[[], object]]]:
    """Every file: a flipped bit at fifteen offsets, five lengths too short, one too long, gone; and a stranger."""
    for path in sorted(folder.iterdir()):
        whole = path.read_bytes()
        for at in {*np.linspace(0, len(whole) - 1, 15, dtype=int).tolist()}:
            flipped = whole[:at] + bytes([whole[at] ^ 0x10]) + whole[at + 1 :]
            yield f"{path.name} flipped at {at}", lambda path=path, flipped=flipped: path.write_bytes(flipped)
        for length in {0, 1, len(whole) // 3, len(whole) // 2, len(whole) - 1}:
            yield f"{path.name} cut to {length}", lambda path=path, part=whole[:length]: path.write_bytes(part)
        yield f"{path.name} too long", lambda path=path, more=whole + b"\0": path.write_bytes(more)
        yield f"{path.name} gone", path.unlink
    yield "a stranger", lambda: (folder / "more.faiss").write_bytes(b"x")


def test_what_is_damaged_is_never_loaded(kept, corpus, tmp_path, counted):
    """Each damage by itself: the index sees no byte of it, and nothing is raised."""
    name, folder = kept
    (generation,) = folder.iterdir()
    arguments = captured_place(corpus, made(name), saved_in(folder, name))
    whole = tmp_path / "whole"
    shutil.copytree(generation, whole)
    for what, damage in list(mutations(generation)):
        damage()
        assert saved_in(folder, name).open(*arguments, counted(name)) is None, what
        shutil.rmtree(generation, ignore_errors=True)
        shutil.copytree(whole, generation)
    assert counted.loads == 0
    assert saved_in(folder, name).open(*arguments, counted(name)) is not None


def captured_place(store: PassageStore, index: Callable[[], VectorIndex], saved: SavedGenerations) -> tuple[int, str]:
    """Generation and fingerprint with which a collection looks for what is saved."""
    asked: list[tuple[int, str]] = []

    class Asked:
        def open(self, generation: int, content: str, empty: VectorIndex) -> Rows | None:
            asked.append((generation, content))
            return saved.open(generation, content, empty)

    searchable(store, "c", index, Asked())
    return asked[0]


def test_a_damaged_generation_is_built_anew(kept, corpus, monkeypatch):
    """Every tenth damage: the same hits, and the generation on disk is whole again."""
    name, folder = kept
    expected = answers(searchable(corpus, "c", made(name)))
    (generation,) = folder.iterdir()
    for what, damage in list(mutations(generation))[::10]:
        damage()
        assert answers(searchable(corpus, "c", made(name), saved_in(folder, name))) == expected, what
        assert [path.name for path in folder.iterdir()] == [generation.name]
        with monkeypatch.context() as patched:
            patched.setattr(PassageStore, "stored_vectors", None)
            assert answers(searchable(corpus, "c", made(name), saved_in(folder, name))) == expected, what


def test_what_was_made_of_something_else_is_not_taken(corpus, tmp_path, counted):
    """Other settings, another encoder, another content of the same generation, another name: all built anew."""
    folder = tmp_path / "i"
    searchable(corpus, "c", made(), saved_in(folder))
    generation, content = captured_place(corpus, made(), saved_in(folder))
    (place,) = folder.iterdir()
    others = [
        (saved_in(folder, comparable_with="y"), generation, content),
        (saved_in(folder, "faiss_ivf"), generation, content),
        (saved_in(folder), generation, content + "0"),
        (saved_in(folder), generation + 1, content),
    ]
    for saved, number, fingerprint in others:
        place.rename(saved._place(number, fingerprint))
        assert saved.open(number, fingerprint, counted("faiss_hnsw")) is None
        saved._place(number, fingerprint).rename(place)
    assert counted.loads == 0
    assert saved_in(folder).open(generation, content, made()()) is not None


def test_a_store_that_went_back_in_time_is_not_given_another_past(store, tmp_path, encoder):
    """Two stores with a common past come to the same generation with as many passages: each its own hits."""
    put(store, "a", unit(1, 30))
    store.checkpoint()
    copy = tmp_path / "copy.sqlite"
    shutil.copyfile(tmp_path / "node" / "passages.sqlite", copy)
    restored = PassageStore.open(copy, encoder.identity)
    put(store, "b", unit(2, 30), "cd")
    put(restored, "b", unit(3, 30), "ef")
    assert store.generation("c") == restored.generation("c")
    searchable(store, "c", made(), saved_in(tmp_path / "i"))
    expected = answers(searchable(restored, "c", made()))
    assert answers(searchable(restored, "c", made(), saved_in(tmp_path / "i"))) == expected
    assert len(list((tmp_path / "i").iterdir())) == 1
    restored.close()


@pytest.mark.parametrize("name", CHOICES)
def test_forgotten_vectors_are_gone_from_the_raw_files(corpus, tmp_path, name):
    """A canary's numbers are in the files before; after the document is forgotten and the next generation is there, its
    numbers are in none, half-written ones of a killed process included."""
    canary = unit(99, 3)
    put(corpus, "canary", canary)
    folder = tmp_path / "i"
    collection = searchable(corpus, "c", made(name), saved_in(folder, name))
    half = folder / ".new-killed"
    half.mkdir()
    (half / "vectors.npy").write_bytes(canary.tobytes())
    assert all(row.tobytes() in raw(folder) for row in canary)
    corpus.forget("c", "canary")
    assert collection.refresh()
    assert not any(row.tobytes() in raw(folder) or row[:8].tobytes() in raw(folder) for row in canary)
    assert len(list(folder.iterdir())) == 1
    assert answers(collection) == answers(searchable(corpus, "c", made("faiss_flat")))


def test_the_last_document_leaves_nothing_behind(store, tmp_path):
    """An empty collection has no files."""
    put(store, "a", unit(1, 5))
    collection = searchable(store, "c", made(), saved_in(tmp_path / "i"))
    store.forget("c", "a")
    collection.refresh()
    assert list((tmp_path / "i").iterdir()) == []
    assert answers(collection) == [()] * 2 * len(QUERIES)
    assert answers(searchable(store, "c", made(), saved_in(tmp_path / "i"))) == [()] * 2 * len(QUERIES)


def test_collections_that_are_no_longer_served_leave_the_disk(tmp_path):
    """Their folders go, those of the others stay; a missing folder is no error."""
    for name in ("a", "b"):
        (tmp_path / "i" / name / "1-x").mkdir(parents=True)
    remove_others(tmp_path / "i", {"b"})
    assert [path.name for path in (tmp_path / "i").iterdir()] == ["b"]
    remove_others(tmp_path / "absent", {"b"})


def test_a_forgotten_passage_is_in_no_result_from_then_on(kept, corpus):
    """Before any refresh: k results as if it had never been there, however many of the nearest are gone. By words too:
    only the statistics are those of the generation that is searched."""
    name, folder = kept
    collection = searchable(corpus, "c", made(name), saved_in(folder, name))
    for document in ("d1", "d0", "d3"):
        corpus.forget("c", document)
        expected = answers(searchable(corpus, "c", made("faiss_flat")))
        assert answers(collection)[::2] == expected[::2]
        there = set(corpus.vectors("c")[0].tolist())
        assert all(len(hits) == 10 and {hit.passage_id for hit in hits} <= there for hits in answers(collection))
    assert all(len(hits) == 60 for hits in answers(collection, 200))


def test_a_deletion_is_followed_without_building(corpus, tmp_path):
    """faiss_ivf takes the rows out; its hits are exact search's, from memory and from the file."""
    choice = {"exact_below": 0, "probes": 4096, "lists": 8}

    class Spy:
        def __init__(self) -> None:
            self.built = 0

        def __call__(self) -> VectorIndex:
            index = INDEXES.build("faiss_ivf", choice)
            build = index.build

            def counting(vectors) -> None:
                self.built += 1
                build(vectors)

            index.build = counting
            return index

    spy = Spy()
    collection = searchable(corpus, "c", spy, saved_in(tmp_path / "i", "faiss_ivf"))
    corpus.forget("c", "d1")
    assert collection.refresh()
    corpus.forget("c", "d3")
    assert collection.refresh()
    assert spy.built == 1
    expected = answers(searchable(corpus, "c", made("faiss_flat")))
    assert answers(collection) == expected
    assert answers(searchable(corpus, "c", spy, saved_in(tmp_path / "i", "faiss_ivf"))) == expected
    assert spy.built == 1
    put(corpus, "d9", unit(9, 20))
    assert collection.refresh()
    assert spy.built == 2


def test_a_new_calibration_builds_nothing(corpus, tmp_path, counted):
    """It is the store's, not the index's: neither a refresh nor a start builds for it."""
    collection = searchable(corpus, "c", counted, saved_in(tmp_path / "i"))
    corpus.put_calibrations("c", corpus.generation("c"), Calibrations(Calibration(3.0, -1.0)))
    assert collection.refresh()
    opened = searchable(corpus, "c", counted, saved_in(tmp_path / "i"))
    assert opened.calibrations == collection.calibrations == Calibrations(Calibration(3.0, -1.0))
    assert counted.builds == 1


@pytest.mark.parametrize("fault", ["save", "folder"])
def test_a_disk_that_takes_nothing_costs_the_next_start_only(corpus, tmp_path, monkeypatch, fault):
    """The collection answers from memory, says so in the log, and leaves nothing half-written."""
    folder = tmp_path / "i"
    if fault == "folder":
        folder.write_bytes(b"")  # a file where the folder should be
    else:
        searchable(corpus, "c", made(), saved_in(folder))
        put(corpus, "new", unit(7, 3))

        def full(*_: object, **__: object) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(np, "save", full)
    with capture_logs() as logs:
        collection = searchable(corpus, "c", made(), saved_in(folder))
    assert [entry["event"] for entry in logs] == ["index_not_saved"]
    assert answers(collection) == answers(searchable(corpus, "c", made("faiss_flat")))
    assert raw(folder) == b""


hnsw = pytest.mark.parametrize("kept", ["faiss_hnsw"], indirect=True)


@hnsw
def test_prototypes_are_computed_once_per_generation_whatever_starts(kept, corpus, monkeypatch):
    """Oracle: those computed of the stored vectors, to the last bit. A start that finds them computes nothing."""
    name, folder = kept
    expected = prototypes(corpus.stored_vectors("c").vectors)
    first = searchable(corpus, "c", made(name), saved_in(folder, name)).prototypes()
    monkeypatch.setattr(collection_module, "prototypes", None)
    again = searchable(corpus, "c", made(name), saved_in(folder, name)).prototypes()
    assert first == again == expected != ()
    assert {path.stat().st_mode & 0o077 for path in folder.rglob("*")} == {0}


@hnsw
@pytest.mark.parametrize("harm", ["flip", "truncate", "delete", "strange", "other"])
def test_damaged_prototypes_are_computed_again(kept, corpus, harm):
    """And written over: the next start finds them whole. The index beside them is not built again."""
    name, folder = kept
    expected = searchable(corpus, "c", made(name), saved_in(folder, name)).prototypes()
    (file,) = folder.glob("prototypes-*/prototypes.json")
    content = file.read_bytes()
    match harm:
        case "flip":
            file.write_bytes(content.replace(b'"mass":', b'"mass":1', 1))
        case "truncate":
            file.write_bytes(content[:-1])
        case "delete":
            file.unlink()
        case "strange":
            (file.parent / "more.json").write_bytes(b"[]")
        case "other":
            seal(file.parent, "prototypes-2-1-0")
    before = {path: path.stat().st_ino for path in folder.glob("[0-9]*/*")}
    assert searchable(corpus, "c", made(name), saved_in(folder, name)).prototypes() == expected
    assert file.read_bytes() == content
    assert [path.name for path in file.parent.iterdir() if path.name == "more.json"] == []
    assert {path: path.stat().st_ino for path in folder.glob("[0-9]*/*")} == before


@hnsw
def test_prototypes_of_what_is_forgotten_leave_the_disk(kept, corpus):
    """With the generation that they were of, at the refresh and not at the next description; also where the store moves
    on while they are being computed."""
    name, folder = kept
    collection = searchable(corpus, "c", made(name), saved_in(folder, name))
    collection.prototypes()
    corpus.forget("c", "d1")
    collection.refresh()
    assert list(folder.glob("prototypes-*")) == []
    assert collection.prototypes() == prototypes(corpus.stored_vectors("c").vectors)
    assert len(list(folder.iterdir())) == 2


@hnsw
def test_prototypes_that_come_too_late_are_not_kept(kept, corpus, monkeypatch):
    """The store moves on, and the refresh clears up, while they are being computed."""
    name, folder = kept
    collection = searchable(corpus, "c", made(name), saved_in(folder, name))
    expected = prototypes(corpus.stored_vectors("c").vectors)

    def slow(vectors: np.ndarray) -> tuple[Prototype, ...]:
        corpus.forget("c", "d1")
        collection.refresh()
        return prototypes(vectors)

    with monkeypatch.context() as patched:
        patched.setattr(collection_module, "prototypes", slow)
        assert collection.prototypes() == expected
    assert list(folder.glob("prototypes-*")) == []
    assert collection.prototypes() == prototypes(corpus.stored_vectors("c").vectors) != expected


@hnsw
def test_prototypes_that_the_disk_does_not_take_are_told_all_the_same(kept, corpus, monkeypatch):
    """And the log says so."""
    name, folder = kept
    collection = searchable(corpus, "c", made(name), saved_in(folder, name))

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with capture_logs() as logs:
        assert collection.prototypes() == prototypes(corpus.stored_vectors("c").vectors)
    assert [entry["event"] for entry in logs] == ["prototypes_not_saved"]
    assert len(list(folder.iterdir())) == 1


def test_who_calls_during_a_build_builds_nothing_more(corpus, tmp_path, counted):
    """Six callers and one new document: one build. Then nothing is new."""
    collection = searchable(corpus, "c", counted, saved_in(tmp_path / "i"))
    put(corpus, "new", unit(7, 3))
    callers = [threading.Thread(target=collection.refresh) for _ in range(6)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert counted.builds == 2
    assert collection.generation == corpus.generation("c")
    assert not collection.refresh()


def test_searches_during_ingest_and_refresh(corpus, tmp_path, encoder):
    """Two searchers, one ingest that puts and forgets, one refresher with a connection of its own, for two seconds: no
    error, no ghost of a document whose deletion was acknowledged before the search, generations move on, one folder."""
    path, folder = tmp_path / "node" / "passages.sqlite", tmp_path / "i"
    collection = searchable(corpus, "c", made(), saved_in(folder), lambda: PassageStore.open(path, encoder.identity))
    forgotten: set[int] = set()
    errors: list[BaseException] = []
    searches, generations = [0], {collection.generation}
    ends = time.monotonic() + 2

    def watched(work: Callable[[], None]) -> Callable[[], None]:
        def loop() -> None:
            try:
                while time.monotonic() < ends:
                    work()
            except Exception as error:  # noqa: BLE001 - whatever it is, the test reports it
                errors.append(error)

        return loop

    def search() -> None:
        gone = set(forgotten)
        hits = collection.search(QUERIES[searches[0] % len(QUERIES)], 10)
        searches[0] += 1
        ghosts = gone & {hit.passage_id for hit in hits}
        if ghosts or len(hits) != 10:
            raise RuntimeError(f"{len(ghosts)} ghosts, {len(hits)} hits")

    number = iter(range(10**6))

    def ingest() -> None:
        name = f"passing {next(number) % 5}"
        put(corpus, name, unit(next(number), 20))
        before = {int(one) for one in corpus.vectors("c")[0]}
        corpus.forget("c", name)
        forgotten.update(before - {int(one) for one in corpus.vectors("c")[0]})

    def refresh() -> None:
        collection.refresh()
        generations.add(collection.generation)

    threads = [threading.Thread(target=watched(work)) for work in (search, search, ingest, refresh)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert searches[0] > 50
    assert len(generations) > 2
    collection.refresh()
    assert answers(collection) == answers(searchable(corpus, "c", made("faiss_flat")))
    assert len(list(folder.iterdir())) == 1


def test_a_node_keeps_its_indexes_in_its_folder(tmp_path, folder, monkeypatch):
    """Started twice: the second time no vector is read; files of a collection it does not serve are gone."""
    source = folder({"a.md": "# Gout\n\nuric acid in a toe", "b.md": "# Burns\n\ncold water"})
    home = NodeHome(tmp_path / "home")
    served = CollectionConfig(id="c", folder=source, release_class=ReleaseClass.PUBLIC)
    create_node(home, NodeConfig(node="h1", name="h1", encoder=PluginConfig(name="hashing"), collections=(served,)))
    encoder = open_encoder(open_config(home))
    with closing(open_store(home, encoder)) as filled:
        ingest(source, "c", filled, encoder)
    (home.indexes / "gone" / "1-x").mkdir(parents=True)
    query = encoder.encode_queries(["gout toe"])[0]
    hits = []
    for _ in range(2):
        node = assemble(home)
        hits.append(node.collections["c"].collection.search(query, 2))
        node.store.close()
        node.state.close()
        monkeypatch.setattr(PassageStore, "stored_vectors", None)
    assert hits[0] == hits[1] != ()
    assert [path.name for path in home.indexes.iterdir()] == ["c"]


_KILLED = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import test_generations as here
from fedrag.encoders.hashing import Hashing
from retriever_node.store import PassageStore

home, encoder = Path(sys.argv[2]), Hashing(64, 64)
store = PassageStore.open(home / "passages.sqlite", encoder.identity)
for number in range(3):
    here.put(store, f"d{number}", here.unit(number, 40))
steps = ("open", "fsync", "chmod", "rename", "rmdir", "mkdir", "unlink")


def one(point):
    '''The child dies before its call number `point` of the calls that change the disk; True if it came that far.'''
    child = os.fork()
    if not child:
        left = [point]
        def counted(call):
            def counting(*arguments, **named):
                if left[0] == 0:
                    os.kill(os.getpid(), signal.SIGKILL)
                left[0] -= 1
                return call(*arguments, **named)
            return counting
        mine = PassageStore.open(home / "passages.sqlite", encoder.identity)
        for name in steps:
            setattr(os, name, counted(getattr(os, name)))
        here.searchable(mine, "c", here.made(), here.saved_in(home / "i"))
        os._exit(0)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


point = 0
while True:
    here.put(store, "last", here.unit(point, 10))  # another generation each time
    died = one(point)
    expected = here.answers(here.searchable(store, "c", here.made("faiss_flat")))
    assert here.answers(here.searchable(store, "c", here.made(), here.saved_in(home / "i"))) == expected, point
    assert len(list((home / "i").iterdir())) == 1, point
    if not died:
        break
    point += 2
print(point)
"""


def test_a_process_may_be_killed_at_any_step_of_saving(tmp_path):
    """Killed before each call that changes the disk: the next start has the exact hits and one whole generation."""
    command = [sys.executable, "-c", _KILLED, str(Path(__file__).parent), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) >= 15


def test_the_recipe_tells_indexes_apart():
    """Plug-in, settings, encoder and whether words are searched for each change it."""
    plugins = [PluginConfig(name="a"), PluginConfig(name="b"), PluginConfig(name="a", settings={"x": 1})]
    recipes = {
        recipe(plugin, encoder, words=words) for plugin in plugins for encoder in ("e", "f") for words in (True, False)
    }
    assert len(recipes) == 12
    assert os.sep not in "".join(SavedGenerations(Path(), one)._place(1, "c").name for one in recipes)
