"""A retrieval task measured from end to end on a corpus small enough to know every right figure."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fedrag.core.protocols import NodeOffer, Winner
from fedrag.encoders import ENCODERS
from fedrag.evaluation import contenders
from fedrag.evaluation.corpus import Query
from fedrag.evaluation.report import Findings, Table
from fedrag.evaluation.retrieval import RetrievalTask, measure
from fedrag.evaluation.run import Half, Run
from fedrag.evaluation.simulation import SimulatedFederation
from fedrag.evaluation.splits import Document, lay_out

TOPICS = ("warfarin", "asthma", "sepsis", "migraine", "gout", "eczema")
ENCODER = ENCODERS.build("hashing", {"dimension": 128})


@contextmanager
def silent(what: str) -> Iterator[object]:
    yield lambda done, total: None


def document(number: int) -> Document:
    """Twelve documents per topic; topic t lies at hospital t mod 3."""
    topic = TOPICS[number // 12]
    text = f"{topic} {topic} guideline chapter{number} page{number}"
    return Document(f"d{number}", f"H{number // 12 % 3}", "", text, text, f"d{number}")


DOCUMENTS = tuple(document(number) for number in range(72))
QUERIES = tuple(
    Query(f"q{number}", f"{TOPICS[number % 6]} chapter{(number % 6) * 12 + number % 12}") for number in range(12)
)
TASK = RetrievalTask(
    suite="small",
    documents=DOCUMENTS,
    queries=QUERIES,
    grades={query.id: {f"d{query.text.partition('chapter')[2]}": 1} for query in QUERIES},
)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(data=None, limit=None, half=Half.SEEN, output=tmp_path, progress=silent, command="test", identity="one")


def rows(table: Table) -> dict[str, dict[str, object]]:
    return {str(row[0]): dict(zip(table.columns, row, strict=True)) for row in table.rows}


@pytest.fixture(scope="module")
def findings(tmp_path_factory) -> Findings:
    folder = tmp_path_factory.mktemp("run")
    run = Run(data=None, limit=None, half=Half.SEEN, output=folder, progress=silent, command="test", identity="one")
    return measure(replace(TASK, embed=("text",)), run, ENCODER)


def test_what_everyone_must_find_is_found(findings) -> None:
    """A question that names its document's own word has it first, centrally, in the federation and by words."""
    quality = rows(findings.tables[0])
    for system in ("central exact", "fedrag: broadcast", "central BM25", "oracle: fewest hospitals of equal recall"):
        assert quality[system]["nDCG@10"] == 1.0, system


def test_every_baseline_stands_in_the_table_and_what_is_missing_says_so(findings) -> None:
    """The same rows in every report; a method that does not exist has no number."""
    quality = rows(findings.tables[0])
    wanted = [
        "popularity prior",
        "TF-IDF",
        "RAGRoute",
        "constant: best 2",
        "dense, RRF",
        "BM25, CORI",
        "dense, z-score",
    ]
    for name in wanted:
        assert any(system.startswith(name) for system in quality), name


def test_the_oracle_asks_one_hospital_and_broadcast_all(findings) -> None:
    """Each question has one relevant document at one of three hospitals."""
    price = rows(findings.tables[1])
    assert price["fedrag: broadcast"]["hospitals asked"] == 3.0
    assert price["oracle: fewest hospitals of equal recall"]["hospitals asked"] == 1.0
    assert price["oracle: every hospital that holds some"]["messages"] == 2.0
    assert price["constant: best 2"]["hospitals asked"] == 2.0


def test_the_broadcast_is_the_central_index(findings) -> None:
    """Same ten documents in the same order for every question, by vectors, and by words and vectors with shared
    statistics."""
    losses = rows(findings.tables[2])
    assert losses["same ten documents in the same order"]["value"] == len(QUERIES)
    shared = "words and vectors with shared statistics: same ten in the same order"
    assert losses[shared]["value"] == len(QUERIES)


def test_mixed_encoders_stand_behind_the_other_tables_where_hospitals_can_calibrate(findings) -> None:
    """A question that names its document's own word has it first under one encoder, whatever the way of searching."""
    assert [table.title.partition(",")[0] for table in findings.tables[3:]] == ["Mixed encoders"] * 2
    for table in findings.tables[3:]:
        assert table.rows[0][1] == 1.0


class Reversing:
    """The merge that prefers what is least similar."""

    def merge(self, offers: Sequence[NodeOffer], k: int) -> tuple[Winner, ...]:
        ordered = sorted(offers, key=lambda one: one.offer.similarity.value)
        return tuple(Winner(one.node, one.offer) for one in ordered[:k])


class Dropping:
    """The merge that loses the last hospital's offers."""

    def merge(self, offers: Sequence[NodeOffer], k: int) -> tuple[Winner, ...]:
        kept = [one for one in offers if one.node != "h2"]
        ordered = sorted(kept, key=lambda one: -one.offer.similarity.value)
        return tuple(Winner(one.node, one.offer) for one in ordered[:k])


@pytest.mark.parametrize("broken", [Reversing(), Dropping()], ids=["reversing", "dropping"])
def test_a_broken_merge_shows_in_the_report(broken, run, monkeypatch) -> None:
    """Against the central index in the same table, in quality and in sameness."""

    class Broken(SimulatedFederation):
        @classmethod
        def of(cls, *parts: object, **options: object) -> SimulatedFederation:
            return replace(SimulatedFederation.of(*parts, **options), merging=broken)

    monkeypatch.setattr(contenders, "SimulatedFederation", Broken)
    found = measure(TASK, run, ENCODER)
    quality = rows(found.tables[0])
    assert quality["central exact"]["nDCG@10"] == 1.0
    assert quality["fedrag: broadcast"]["nDCG@10"] < 0.75
    assert rows(found.tables[2])["same ten documents in the same order"]["value"] < len(QUERIES)


def test_a_question_nothing_is_relevant_to_counts_as_zero(run) -> None:
    """Half of the questions lose their judgement: the mean is half, not one."""
    half = {name: grades for name, grades in TASK.grades.items() if int(name[1:]) % 2}
    quality = rows(measure(replace(TASK, grades=half), run, ENCODER).tables[0])
    assert quality["central exact"]["nDCG@10"] == 0.5


def test_planted_copies_are_folded_and_count_once(run) -> None:
    """Copies of long documents with a line added: the federation shows none beside its original."""
    letters = str.maketrans("0123456789", "abcdefghij")
    words = [[f"{number}x{at}".translate(letters) for at in range(60)] for number in range(len(DOCUMENTS))]
    long = [replace(one, text=f"{one.text}. {' '.join(own)}.") for one, own in zip(DOCUMENTS, words, strict=True)]
    found = measure(replace(TASK, documents=tuple(long)), replace(run, split="duplicates"), ENCODER)
    price = rows(found.tables[1])
    assert price["fedrag: broadcast"]["copies in 10"] == 0.0
    assert rows(found.tables[0])["fedrag: broadcast"]["nDCG@10"] == 1.0
    assert found.tables[0].title.endswith("3 hospitals")


def test_a_limit_shortens_the_questions_and_never_the_corpus(run) -> None:
    """The tables say how many questions there were; the hospitals hold what they hold."""
    found = measure(TASK, replace(run, limit=5), ENCODER)
    assert found.tables[0].title == "Retrieval, 5 questions, 3 hospitals"


@pytest.mark.parametrize("split", ["random", "dirichlet-0.1", "dirichlet-10"])
def test_a_split_moves_documents_and_loses_none(split: str) -> None:
    """Every document is at exactly one of the hospitals, and the same seed lays out the same."""
    vectors = ENCODER.encode_passages([one.embedded for one in DOCUMENTS])
    made, same = lay_out(DOCUMENTS, vectors, split, 5, seed=3)
    assert [one.id for one in made] == [one.id for one in DOCUMENTS]
    assert same is vectors
    assert {one.node for one in made} <= {f"hospital-{at:04d}" for at in range(5)}
    assert made == lay_out(DOCUMENTS, vectors, split, 5, seed=3)[0]
    assert made != lay_out(DOCUMENTS, vectors, split, 5, seed=4)[0]


def test_a_small_alpha_keeps_topics_together() -> None:
    """The largest hospital's share of a topic is larger under Dirichlet(0.1) than under Dirichlet(10)."""
    vectors = ENCODER.encode_passages([one.embedded for one in DOCUMENTS])

    def together(split: str) -> float:
        shares = []
        for seed in range(5):
            made, _ = lay_out(DOCUMENTS, vectors, split, 4, seed)
            for topic in range(6):
                owners = [one.node for one in made[topic * 12 : topic * 12 + 12]]
                shares.append(max(owners.count(owner) for owner in set(owners)) / 12)
        return float(np.mean(shares))

    assert together("dirichlet-0.1") > together("dirichlet-10") + 0.15


def test_copies_stand_for_their_original_elsewhere() -> None:
    """A tenth of the documents, each at another hospital, with its original's vector."""
    vectors = ENCODER.encode_passages([one.embedded for one in DOCUMENTS])
    made, after = lay_out(DOCUMENTS, vectors, "duplicates", None, seed=1)
    copies = made[72:]
    assert len(copies) == 7
    for copy, vector in zip(copies, after[72:], strict=True):
        original = DOCUMENTS[int(copy.stands_for[1:])]
        assert copy.node != original.node
        np.testing.assert_array_equal(vector, vectors[int(original.id[1:])])
