"""Serving never needs what answers the questions: the gold is gone while real hospitals answer."""

import json
from pathlib import Path

from made_answers import silent

from fedrag.evaluation import run_suite
from fedrag.evaluation.run import Half, Run
from fedrag.evaluation.suites import pubmedqa

TOPICS = {
    "statins": ("cardiology", "yes", "Statins lowered the rate of stroke in 400 adults after infarction."),
    "zinc": ("paediatrics", "no", "Zinc did not shorten the common cold in 120 children."),
    "yoga": ("psychiatry", "maybe", "Yoga and sleep were loosely related among 60 nurses."),
    "heparin": ("cardiology", "yes", "Heparin reduced thrombosis after hip surgery in 800 patients."),
}


def package(folder: Path) -> Path:
    """Four questions and their abstracts at three hospitals."""
    folder.mkdir(parents=True)
    corpus, questions = [], []
    for number, (topic, (node, answer, text)) in enumerate(TOPICS.items()):
        corpus.append({"doc_id": str(number), "node": node, "text": text})
        questions.append(
            {
                "query_id": f"q{number}",
                "question": f"Does {topic} help?",
                "answer": answer,
                "long_answer": f"canary-{number}",
                "gold_doc_id": str(number),
                "node": node,
            }
        )
    for name, lines in (("corpus_dev", corpus), ("questions_dev", questions)):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return folder


def test_hospitals_answer_while_the_gold_is_gone(tmp_path, monkeypatch) -> None:
    """The whole package is moved away before the first question is put; every question is answered over HTTP all the
    same, and nothing that the run wrote down holds the conclusion that decides the label."""
    held = package(tmp_path / "data" / "pubmedqa")
    ask = pubmedqa.ask

    def asked_without_gold(*arguments: object) -> object:
        held.rename(tmp_path / "away")
        try:
            return ask(*arguments)
        finally:
            (tmp_path / "away").rename(held)

    monkeypatch.setattr(pubmedqa, "ask", asked_without_gold)
    run = Run(
        data=tmp_path / "data", limit=None, half=Half.SEEN, output=tmp_path / "runs", progress=silent, command="test"
    )
    report = run_suite("pubmedqa", run)
    accuracy = {row[0]: row[1] for row in report.findings.tables[0].rows}
    assert accuracy["questions"] == 4
    assert accuracy["constant: always yes"] == 0.5
    price = next(dict(table.rows) for table in report.findings.tables if table.title == "Price per question")
    assert price["questions, of which ended in an error"] == "4, 0"
    assert price["texts released"] > 0
    written = [path for path in (tmp_path / "runs").rglob("*") if path.is_file()]
    assert len(written) > 4
    assert not [path for path in written if b"canary-" in path.read_bytes()]
