"""Whether taking questions apart helps: those of the examples that rules find to be several, in one and one by one.

    python benchmarks/sub_questions.py         four hospitals as real processes, about two minutes

Printed: how many of the facts that make an answer right are in its text, how often a passage that holds the answer is
among the evidence and among what is cited, how many are right by the rule of the suite `examples`, and what it cost.
"""

import tempfile
from pathlib import Path

from fedrag.config import CoordinatorConfig
from fedrag.core.answer import Answer
from fedrag.evaluation.answers import Reply, place
from fedrag.evaluation.metrics.key_facts import key_fact_recall
from fedrag.evaluation.suites.examples import Gold, cites_gold, load, outcome, right
from fedrag.example_federation import example_hospitals, examples_folder
from fedrag.local_federation import LocalFederation
from reasoner.decomposition import sub_questions


def found(gold: Gold, answer: Answer) -> bool:
    wanted = {place(*one) for one in gold.passages}
    there = {
        place(one.node, one.passage.citation.document_id, one.passage.citation.section)
        for one in answer.evidence.passages
    }
    return bool(wanted & there)


def main() -> None:
    several = [
        one for one in load(examples_folder() / "questions") if not one.options and len(sub_questions(one.text, 4)) > 1
    ]
    with tempfile.TemporaryDirectory() as folder:
        config = CoordinatorConfig(coordinator="evaluation")
        with LocalFederation(Path(folder), example_hospitals(), config) as federation:
            federation.create()
            federation.ingest(lambda *_: None)
            federation.start()
            with federation.client() as client:
                made = {
                    most: [client.ask(one.request.model_copy(update={"sub_questions": most})) for one in several]
                    for most in (1, 4)
                }
    answerable = sum(one.answerable for one in several)
    print(f"{len(several)} questions, {answerable} answerable")
    print("| asked | key facts | gold in evidence | gold cited | right | hospitals asked | passages |\n|" + "---|" * 7)
    for most, answers in made.items():
        pairs = [(gold, answer) for gold, answer in zip(several, answers, strict=True) if gold.answerable]
        facts = sum(key_fact_recall(answer.text, gold.key_facts) for gold, answer in pairs) / len(pairs)
        replies = [(gold, outcome(Reply(answer, "", None))) for gold, answer in zip(several, answers, strict=True)]
        cells = (
            "in one" if most == 1 else "one by one",
            f"{facts:.3f}",
            f"{sum(found(gold, answer) for gold, answer in pairs)} of {len(pairs)}",
            f"{sum(cites_gold(gold, said) for gold, said in replies if gold.answerable)} of {len(pairs)}",
            f"{sum(right(gold, said) for gold, said in replies)} of {len(several)}",
            f"{sum(one.budget.spent.hospitals for one in answers) / len(answers):.1f}",
            f"{sum(one.budget.spent.passages for one in answers) / len(answers):.1f}",
        )
        print(f"| {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
