"""What the product answers, over HTTP: asked once and kept, then judged, priced and drawn.

Answers are kept whole in the record, so scoring again asks nothing again.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, Self

from fedrag.client import Client
from fedrag.core.answer import Answer, EvidencePassage
from fedrag.core.errors import FedragError
from fedrag.core.question import AskRequest
from fedrag.evaluation.metrics.citations import citation_precision, citation_recall
from fedrag.evaluation.metrics.faithfulness import faithfulness, statements
from fedrag.evaluation.metrics.key_facts import key_fact_recall
from fedrag.evaluation.metrics.outcomes import Outcome
from fedrag.evaluation.metrics.strict_accuracy import coverage
from fedrag.evaluation.pictures import bars, distribution
from fedrag.evaluation.report import Cell, Picture, Table, mean, quantile
from fedrag.evaluation.run import Run

Place = tuple[str, str, str]
"""(hospital, document, section) of a passage; a document is the name of its file."""


class Asked(Protocol):
    """A question, and how it is put."""

    @property
    def id(self) -> str: ...

    @property
    def request(self) -> AskRequest: ...


@dataclass(frozen=True, slots=True)
class Reply:
    """`answer` is None where the question ended in an error, whose `code` is kept. `processor_s` is what all processes
    of the federation computed for it; None where that cannot be measured."""

    answer: Answer | None
    code: str
    processor_s: float | None

    @classmethod
    def read(cls, kept: Mapping[str, object]) -> Self:
        answer = Answer.model_validate(kept["answer"], strict=False) if kept["answer"] else None
        spent = kept["processor_s"]
        return cls(answer, str(kept["code"]), float(str(spent)) if spent is not None else None)


def ask(
    suite: str,
    questions: Sequence[Asked],
    run: Run,
    client: Client,
    processor_s: Callable[[], float | None] = lambda: None,
    what: str = "questions",
) -> dict[str, Reply]:
    """Every question's reply, at most `run.limit` of them, from the record where it holds one. `what` names them where
    a suite asks more than once."""

    def put(question: Asked) -> dict[str, object]:
        before = processor_s()
        answer, code = None, ""
        try:
            answer = client.ask(question.request)
        except FedragError as error:
            code = error.code
        after = processor_s()
        return {
            "answer": answer.model_dump(mode="json") if answer else None,
            "code": code,
            "processor_s": after - before if before is not None and after is not None else None,
        }

    kept = run.recorded(suite, questions, what, put)
    return {question: Reply.read(one) for question, one in kept.items()}


@dataclass(frozen=True, slots=True)
class Judgement:
    """A reply, and whether it is right. `gold` and `key_facts` are empty where the data set has none."""

    reply: Reply
    correct: bool
    gold: frozenset[Place] = frozenset()
    key_facts: tuple[tuple[str, ...], ...] = ()

    @property
    def outcome(self) -> Outcome:
        """An error and an abstention are no answers."""
        answer = self.reply.answer
        answered = answer is not None and answer.abstained is None
        return Outcome(answered, self.correct and answered, answer.confidence if answer else 0.0)


def cited(answer: Answer) -> frozenset[Place]:
    """The passages that its steps cite."""
    numbers = {number for step in answer.steps for number in step.citations}
    return frozenset(
        place(one.node, one.passage.citation.document_name, one.passage.citation.section)
        for one in answer.evidence.passages
        if one.number in numbers
    )


def retrieved(answer: Answer) -> frozenset[Place]:
    """The passages of its evidence."""
    return frozenset(
        place(one.node, one.passage.citation.document_name, one.passage.citation.section)
        for one in answer.evidence.passages
    )


def place(node: str, document: str, section: str) -> Place:
    return node, Path(document).name, section


def free_text_table(groups: Mapping[str, Sequence[Judgement]]) -> Table:
    """Citations, key facts and support of every group; an answer that did not come scores 0 in each."""
    rows: list[tuple[Cell, ...]] = []
    for name, judged in groups.items():
        gold = [one for one in judged if one.gold]
        facts = [one for one in judged if one.key_facts]
        rows.append(
            (
                name,
                len(judged),
                coverage([one.outcome for one in judged]),
                _or_none([citation_precision(_cited(one), one.gold) for one in gold]),
                _or_none([citation_recall(_cited(one), one.gold) for one in gold]),
                _or_none([key_fact_recall(_text(one), one.key_facts) for one in facts]),
                mean([faithfulness(sentences(one)) for one in judged]),
            )
        )
    return Table(
        "Citations, facts and support",
        ("questions", "number", "answered", "citation precision", "citation recall", "key-fact recall", "faithfulness"),
        tuple(rows),
        note="Faithfulness: statements whose numbers, negations and four fifths of the words stand in what they cite,"
        " of all statements; an abstention states nothing and scores 0. Judged by words.",
    )


def price_table(replies: Iterable[Reply]) -> Table:
    """What a question cost; errors cost what is known of them."""
    replies = list(replies)
    answers = [reply.answer for reply in replies if reply.answer]
    spent = [reply.processor_s for reply in replies if reply.processor_s is not None]
    elapsed = [_elapsed_ms(answer) for answer in answers]
    return Table(
        "Price per question",
        ("figure", "value"),
        (
            ("questions, of which ended in an error", f"{len(replies)}, {len(replies) - len(answers)}"),
            ("hospitals asked", mean([float(one.budget.nodes_asked) for one in answers])),
            ("messages", mean([float(one.budget.messages) for one in answers])),
            ("bytes received from hospitals", mean([float(one.budget.bytes_received) for one in answers])),
            (
                "texts released",
                mean([float(sum(node.passages for node in one.disclosure.hospitals)) for one in answers]),
            ),
            ("milliseconds, median", quantile(elapsed, 0.5)),
            ("milliseconds, 95 % of questions", quantile(elapsed, 0.95)),
            ("processor seconds, all processes", mean(spent) if spent else "not measured"),
        ),
    )


def answer_pictures(replies: Iterable[Reply]) -> tuple[Picture, ...]:
    answers = [reply.answer for reply in replies if reply.answer]
    given: Counter[str] = Counter()
    quoted: Counter[str] = Counter()
    for answer in answers:
        numbers = {number for step in answer.steps for number in step.citations}
        for one in answer.evidence.passages:
            given[one.node] += 1
            quoted[one.node] += one.number in numbers
    stages = {
        stage: [sum(one.elapsed_ms for one in answer.timings if one.stage == stage) for answer in answers]
        for stage in dict.fromkeys(one.stage for answer in answers for one in answer.timings)
    }
    number = max(1, len(answers))
    return (
        distribution(
            "Latency",
            "milliseconds",
            {"whole question": [_elapsed_ms(answer) for answer in answers]}
            | {stage: times for stage, times in stages.items() if quantile(times, 0.5) >= 1},
        ),
        bars(
            "Who contributed: passages of evidence per question",
            {node: count / number for node, count in given.most_common()},
            "",
        ),
        bars(
            "Who was cited: passages per question", {node: count / number for node, count in quoted.most_common()}, ""
        ),
    )


def _elapsed_ms(answer: Answer) -> float:
    return sum(timing.elapsed_ms for timing in answer.timings)


def _cited(judged: Judgement) -> frozenset[Place]:
    return cited(judged.reply.answer) if judged.reply.answer else frozenset()


def _text(judged: Judgement) -> str:
    return judged.reply.answer.text if judged.reply.answer else ""


def sentences(judged: Judgement) -> list[tuple[str, str]]:
    """Each statement of the answer with the text of the passages it cites."""
    answer = judged.reply.answer
    if answer is None or answer.abstained is not None:
        return []
    texts = {one.number: f"{_titles(one)} {one.passage.text}" for one in answer.evidence.passages}
    return [(said, " ".join(texts.get(number, "") for number in numbers)) for said, numbers in statements(answer.text)]


def _titles(passage: EvidencePassage) -> str:
    return f"{passage.passage.citation.title} {passage.passage.citation.section}"


def _or_none(values: Sequence[float]) -> Cell:
    return mean(values) if values else "no gold"
