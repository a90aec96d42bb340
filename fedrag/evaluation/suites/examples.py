"""The project's own questions about its fictional hospitals, put to the product as it ships."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from fedrag.config import CoordinatorConfig
from fedrag.core.config import Config
from fedrag.core.question import AskRequest, Question
from fedrag.evaluation.answer_tables import confidence_pictures, confidence_table
from fedrag.evaluation.answers import (
    Judgement,
    Place,
    Reply,
    answer_pictures,
    ask,
    cited,
    free_text_table,
    place,
    price_table,
    retrieved,
)
from fedrag.evaluation.baselines.central_bm25 import CentralBM25
from fedrag.evaluation.judge import judged_table
from fedrag.evaluation.metrics.key_facts import key_fact_recall
from fedrag.evaluation.metrics.word_overlap import content_words, word_overlap
from fedrag.evaluation.processor_time import children_processor_s
from fedrag.evaluation.report import Cell, Findings, Table, mean
from fedrag.evaluation.run import Half, Run, half_of, records
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
    def request(self) -> AskRequest:
        return AskRequest(question=Question(text=self.text, options=dict(self.options)), deadline_ms=60_000)


@dataclass(frozen=True, slots=True)
class Made:
    """What one system made of one question."""

    choice: str | None
    text: str
    cited: frozenset[Place]
    abstained: bool


@dataclass(frozen=True, slots=True)
class Examples:
    def inputs(self, run: Run) -> tuple[Path, ...]:  # noqa: ARG002 - they come with the package
        return (examples_folder(),)

    def evaluate(self, run: Run) -> Findings:
        questions = [gold for gold in load(examples_folder() / "questions") if run.half in (Half.ALL, half_of(gold.id))]
        folder = run.folder(SUITE) / "federation"
        with LocalFederation(folder, example_hospitals(), CoordinatorConfig(coordinator="evaluation")) as federation:
            federation.create()
            with run.progress("hospitals reading their documents") as told:
                federation.ingest(told)
            federation.start()
            with federation.client() as client:
                replies = ask(SUITE, questions, run, client, children_processor_s)
            library = _library(folder, [hospital.node for hospital in federation.hospitals])
        asked = [gold for gold in questions if gold.id in replies]
        made = [outcome(replies[gold.id]) for gold in asked]
        judged = [judgement(gold, replies[gold.id]) for gold in asked]
        answerable = [one for gold, one in zip(asked, judged, strict=True) if gold.answerable]
        outcomes = {"answerable questions": [one.outcome for one in answerable]}
        groups = _groups(asked, judged)
        return Findings(
            tables=(
                _systems(asked, made, library),
                _by_format(asked, made),
                free_text_table(groups),
                *judged_table(SUITE, groups, run),
                confidence_table(outcomes),
                _shape(asked, [replies[gold.id] for gold in asked], library),
                price_table(replies.values()),
            ),
            pictures=(*confidence_pictures(outcomes), *answer_pictures(replies.values())),
            notes=(
                _RULE,
                "Abstaining from an answerable question is wrong, and counts in every mean.",
            ),
        )


def build(settings: Settings) -> Examples:  # noqa: ARG001 - has none
    return Examples()


def load(folder: Path) -> tuple[Gold, ...]:
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
        for path in sorted(folder.glob("*.jsonl"))
        for record in records(path)
    )


def outcome(reply: Reply) -> Made:
    """An error is no answer: nothing chosen, nothing said, and no abstention either."""
    answer = reply.answer
    if answer is None:
        return Made(None, "", frozenset(), abstained=False)
    return Made(answer.choice, answer.text, cited(answer), abstained=answer.abstained is not None)


def judgement(gold: Gold, reply: Reply) -> Judgement:
    wanted = frozenset(place(*one) for one in gold.passages)
    return Judgement(reply, right(gold, outcome(reply)), wanted, gold.key_facts)


def right(gold: Gold, made: Made) -> bool:
    """The one rule of this suite; see the report's notes."""
    if not gold.answerable:
        return made.abstained
    if made.abstained:
        return False
    if gold.format == "free_text":
        return cites_gold(gold, made) and key_fact_recall(made.text, gold.key_facts) == 1
    chosen = gold.options.get(made.choice or "", "") if gold.format == "yes_no_maybe" else made.choice
    return chosen == gold.answer


def cites_gold(gold: Gold, made: Made) -> bool:
    return bool({place(*one) for one in gold.passages} & made.cited)


def _systems(asked: Sequence[Gold], ours: Sequence[Made], library: Sequence[tuple[str, Passage]]) -> Table:
    index = CentralBM25([f"{passage.title} {passage.section} {passage.text}" for _, passage in library])
    systems = {
        "fedrag, embedded reasoner": list(ours),
        "BM25 first passage": [_bm25_first(gold, index, library) for gold in asked],
        "always A / yes": [Made("A", "", frozenset(), abstained=False) for _ in asked],
        "always C / maybe": [Made("C", "", frozenset(), abstained=False) for _ in asked],
        "always abstain": [Made(None, "", frozenset(), abstained=True) for _ in asked],
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


def _by_format(asked: Sequence[Gold], ours: Sequence[Made]) -> Table:
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


def _groups(asked: Sequence[Gold], judged: Sequence[Judgement]) -> dict[str, list[Judgement]]:
    """Answerable questions by format, and all of them."""
    answerable = [(gold, one) for gold, one in zip(asked, judged, strict=True) if gold.answerable]
    groups = {"all answerable": [one for _, one in answerable]}
    for name in ("choice", "yes_no_maybe", "free_text"):
        groups[name.replace("_", "/" if name == "yes_no_maybe" else " ")] = [
            one for gold, one in answerable if gold.format == name
        ]
    return groups


def _shape(asked: Sequence[Gold], replies: Sequence[Reply], library: Sequence[tuple[str, Passage]]) -> Table:
    texts = {
        place(owner, passage.document_name, passage.section): f"{passage.section} {passage.text}"
        for owner, passage in library
    }
    overlaps = [
        word_overlap(gold.text, " ".join(texts.get(place(*one), "") for one in gold.passages))
        for gold in asked
        if gold.answerable
    ]
    found = [
        bool({place(*one) for one in gold.passages} & retrieved(reply.answer)) if reply.answer else False
        for gold, reply in zip(asked, replies, strict=True)
        if gold.answerable
    ]
    return Table(
        "The task",
        ("figure", "value"),
        (
            ("question-passage word overlap, mean", mean(overlaps)),
            ("a gold passage among the evidence", mean(found)),
        ),
    )


def _bm25_first(gold: Gold, index: CentralBM25, library: Sequence[tuple[str, Passage]]) -> Made:
    """Answers with the first passage BM25 finds; among options takes the one that shares most words with it."""
    owner, passage = library[index.search(gold.text, 1)[0]]
    words = content_words(passage.text)
    shared = {letter: len(words & content_words(option)) for letter, option in gold.options.items()}
    choice = max(shared, key=lambda letter: (shared[letter], letter)) if shared else None
    cited = frozenset({place(owner, passage.document_name, passage.section)})
    return Made(choice, passage.text, cited, abstained=False)


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
