"""The project's own questions about its fictional hospitals, put to the product as it ships."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from fedrag.config import CoordinatorConfig
from fedrag.core.answer import Answer
from fedrag.core.config import Config
from fedrag.core.question import AskRequest, Question
from fedrag.evaluation.baselines.central_bm25 import CentralBM25
from fedrag.evaluation.metrics.key_facts import key_fact_recall
from fedrag.evaluation.metrics.word_overlap import content_words, word_overlap
from fedrag.evaluation.report import Cell, Report, Table, mean
from fedrag.evaluation.run import Half, Run
from fedrag.example_federation import example_hospitals, examples_folder
from fedrag.local_federation import LocalFederation
from retriever_node.documents import Passage
from retriever_node.home import NodeHome
from retriever_node.store import PassageStore

YES_NO_MAYBE: Final = {"A": "yes", "B": "no", "C": "maybe"}
SUITE: Final = "examples"
_RULE: Final = """\
right: choice and yes/no/maybe, the right option and no abstention; free text, a gold passage cited and every key fact \
in the answer's text; unanswerable, abstained."""


class Settings(Config):
    pass


@dataclass(frozen=True, slots=True)
class Gold:
    """A question and what counts as its answer; `passages` are (node, document, section)."""

    id: str
    format: str
    text: str
    options: Mapping[str, str]
    answer: str
    answerable: bool
    several_hospitals: bool
    key_facts: tuple[tuple[str, ...], ...]
    passages: frozenset[tuple[str, str, str]]

    @property
    def half(self) -> Half:
        return Half.SEEN if int(hashlib.sha256(self.id.encode()).hexdigest()[0], 16) % 2 == 0 else Half.UNSEEN


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one system made of one question."""

    choice: str | None
    text: str
    cited: frozenset[tuple[str, str, str]]
    abstained: bool


@dataclass(frozen=True, slots=True)
class Examples:
    def evaluate(self, run: Run) -> Report:
        questions = [gold for gold in load(examples_folder() / "questions") if run.half in (Half.ALL, gold.half)]
        folder = run.folder(SUITE) / "federation"
        with LocalFederation(folder, example_hospitals(), CoordinatorConfig(coordinator="evaluation")) as federation:
            federation.create()
            with run.progress("hospitals reading their documents") as told:
                federation.ingest(told)
            federation.start()
            with federation.client() as client:
                answers = [(gold, client.ask(request(gold))) for gold in run.tracked(questions, "questions")]
            library = _library(folder, [hospital.node for hospital in federation.hospitals])
        asked = [gold for gold, _ in answers]
        ours = [outcome(answer) for _, answer in answers]
        return Report(
            suite=SUITE,
            command=run.command,
            inputs_sha256=_digest(examples_folder()),
            tables=(
                _systems(asked, ours, library),
                _by_format(asked, ours),
                _shape(asked, [answer for _, answer in answers], library),
            ),
            notes=(
                _RULE,
                "Abstaining from an answerable question is wrong, and counts in every mean.",
            ),
        )


def build(settings: Settings) -> Examples:  # noqa: ARG001 - has none
    return Examples()


def load(folder: Path) -> tuple[Gold, ...]:
    records = [
        json.loads(line) for path in sorted(folder.glob("*.jsonl")) for line in path.read_text("utf-8").splitlines()
    ]
    return tuple(
        Gold(
            id=record["id"],
            format=record["format"],
            text=record["text"],
            options=record.get("options") or (YES_NO_MAYBE if record["format"] == "yes_no_maybe" else {}),
            answer=record["answer"],
            answerable=record["answerable"],
            several_hospitals=len(record["nodes"]) > 1,
            key_facts=tuple(tuple(forms) for forms in record["key_facts"]),
            passages=frozenset((gold["node"], gold["document"], gold["section"]) for gold in record["gold"]),
        )
        for record in records
    )


def request(gold: Gold) -> AskRequest:
    return AskRequest(question=Question(text=gold.text, options=dict(gold.options)), deadline_ms=60_000)


def outcome(answer: Answer) -> Outcome:
    cited = {number for step in answer.steps for number in step.citations}
    return Outcome(
        choice=answer.choice,
        text=answer.text,
        cited=frozenset(
            _place(passage.node, passage.passage.citation.document_name, passage.passage.citation.section)
            for passage in answer.evidence.passages
            if passage.number in cited
        ),
        abstained=answer.abstained is not None,
    )


def right(gold: Gold, made: Outcome) -> bool:
    """The one rule of this suite; see the report's notes."""
    if not gold.answerable:
        return made.abstained
    if made.abstained:
        return False
    if gold.format == "free_text":
        return cites_gold(gold, made) and key_fact_recall(made.text, gold.key_facts) == 1
    chosen = gold.options.get(made.choice or "", "") if gold.format == "yes_no_maybe" else made.choice
    return chosen == gold.answer


def cites_gold(gold: Gold, made: Outcome) -> bool:
    wanted = {(node, Path(document).name, section) for node, document, section in gold.passages}
    return bool(wanted & made.cited)


def _systems(asked: Sequence[Gold], ours: Sequence[Outcome], library: Sequence[tuple[str, Passage]]) -> Table:
    index = CentralBM25([f"{passage.title} {passage.section} {passage.text}" for _, passage in library])
    systems = {
        "fedrag, embedded reasoner": list(ours),
        "BM25 first passage": [_bm25_first(gold, index, library) for gold in asked],
        "always A / yes": [Outcome("A", "", frozenset(), abstained=False) for _ in asked],
        "always C / maybe": [Outcome("C", "", frozenset(), abstained=False) for _ in asked],
        "always abstain": [Outcome(None, "", frozenset(), abstained=True) for _ in asked],
    }
    groups = {
        "all": [True] * len(asked),
        "choice": [gold.answerable and gold.format == "choice" for gold in asked],
        "yes/no/maybe": [gold.answerable and gold.format == "yes_no_maybe" for gold in asked],
        "free text": [gold.answerable and gold.format == "free_text" for gold in asked],
        "unanswerable": [not gold.answerable for gold in asked],
    }
    rows: list[tuple[Cell, ...]] = [
        (
            name,
            *(
                mean([right(gold, one) for gold, one, member in zip(asked, made, members, strict=True) if member])
                for members in groups.values()
            ),
        )
        for name, made in systems.items()
    ]
    sizes: tuple[Cell, ...] = ("questions", *(sum(members) for members in groups.values()))
    return Table("Share answered right", ("system", *groups), (sizes, *rows))


def _by_format(asked: Sequence[Gold], ours: Sequence[Outcome]) -> Table:
    groups = {
        "choice": [gold.format == "choice" for gold in asked],
        "yes/no/maybe": [gold.format == "yes_no_maybe" for gold in asked],
        "free text": [gold.format == "free_text" for gold in asked],
        "several hospitals": [gold.several_hospitals for gold in asked],
    }
    rows = []
    for name, members in groups.items():
        pairs = [
            (gold, one) for gold, one, member in zip(asked, ours, members, strict=True) if member and gold.answerable
        ]
        rows.append(
            (
                name,
                len(pairs),
                mean([right(gold, one) for gold, one in pairs]),
                mean([cites_gold(gold, one) for gold, one in pairs]),
                mean([key_fact_recall(one.text, gold.key_facts) for gold, one in pairs]),
                mean([one.abstained for _, one in pairs]),
            )
        )
    columns = ("answerable questions", "number", "right", "gold passage cited", "key-fact recall", "abstained")
    return Table("Answerable questions, by kind", columns, tuple(rows))


def _shape(asked: Sequence[Gold], answers: Sequence[Answer], library: Sequence[tuple[str, Passage]]) -> Table:
    texts = {
        _place(owner, passage.document_name, passage.section): f"{passage.section} {passage.text}"
        for owner, passage in library
    }
    overlaps = [
        word_overlap(gold.text, " ".join(texts.get(_place(*place), "") for place in gold.passages))
        for gold in asked
        if gold.answerable
    ]
    retrieved = [
        bool(
            {(node, Path(document).name, section) for node, document, section in gold.passages}
            & {
                _place(one.node, one.passage.citation.document_name, one.passage.citation.section)
                for one in answer.evidence.passages
            }
        )
        for gold, answer in zip(asked, answers, strict=True)
        if gold.answerable
    ]
    elapsed = sorted(sum(timing.elapsed_ms for timing in answer.timings) for answer in answers)
    return Table(
        "The task, and its price",
        ("figure", "value"),
        (
            ("question-passage word overlap, mean", mean(overlaps)),
            ("a gold passage among the evidence", mean(retrieved)),
            ("hospitals asked per question, mean", mean([float(answer.budget.nodes_asked) for answer in answers])),
            ("texts released per question, mean", mean([float(_texts(answer)) for answer in answers])),
            ("milliseconds per question, median", elapsed[len(elapsed) // 2] if elapsed else 0.0),
        ),
    )


def _texts(answer: Answer) -> int:
    return sum(one.passages for one in answer.disclosure.hospitals)


def _bm25_first(gold: Gold, index: CentralBM25, library: Sequence[tuple[str, Passage]]) -> Outcome:
    """Answers with the first passage BM25 finds; among options takes the one that shares most words with it."""
    owner, passage = library[index.search(gold.text, 1)[0]]
    words = content_words(passage.text)
    shared = {letter: len(words & content_words(option)) for letter, option in gold.options.items()}
    choice = max(shared, key=lambda letter: (shared[letter], letter)) if shared else None
    cited = frozenset({_place(owner, passage.document_name, passage.section)})
    return Outcome(choice, passage.text, cited, abstained=False)


def _library(folder: Path, nodes: Sequence[str]) -> tuple[tuple[str, Passage], ...]:
    """Every passage that may leave its hospital at all, read from the nodes' own files."""
    from fedrag.encoders import ENCODERS

    identity = ENCODERS.build("minilm").identity
    library: list[tuple[str, Passage]] = []
    for node in nodes:
        store = PassageStore.open(NodeHome(folder / "nodes" / node).passages, identity)
        for collection in store.collections():
            if collection != "notes":
                ids, _ = store.vectors(collection)
                library += [(node, passage) for passage in store.passages([int(one) for one in ids])]
        store.close()
    return tuple(library)


def _place(node: str, document: str, section: str) -> tuple[str, str, str]:
    return node, Path(document).name, section


def _digest(folder: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            digest.update(path.relative_to(folder).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()
