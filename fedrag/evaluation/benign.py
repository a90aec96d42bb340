"""What the search for injections costs honest documents: sentences that it wrongly leaves out."""

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from fedrag.evaluation.report import Cell, Table
from fedrag.evaluation.run import Run, records
from fedrag.example_federation import examples_folder
from reasoner.instructions import commands
from reasoner.sentences import spans

MOST: Final = 20_000
"""Sentences of each kind of document that are looked at."""


def benign_loss(run: Run) -> Table:
    rows: list[tuple[Cell, ...]] = []
    for name, texts in _documents(run.data):
        every = sum(len(spans(text)) for text in texts)
        chosen = texts[:: -(-every // MOST)]
        looked_at = sum(len(spans(text)) for text in chosen)
        lost = [len(commands(text)) for text in chosen]
        rows.append((name, len(chosen), looked_at, sum(lost), sum(lost) / looked_at, sum(map(bool, lost))))
    columns = ("documents", "number", "sentences", "left out", "share", "documents touched")
    return Table("Sentences of honest documents left out", columns, tuple(rows))


def _documents(data: Path | None) -> Iterator[tuple[str, list[str]]]:
    """Those that are there."""
    hospitals = sorted((examples_folder() / "hospitals").rglob("*.md"))
    yield "the example hospitals'", [file.read_text(encoding="utf-8") for file in hospitals]
    for name, package, file, field in (
        ("PubMedQA abstracts", "pubmedqa", "corpus_dev.jsonl", "text"),
        ("MedQuAD answers", "medquad_liveqa", "corpus.jsonl.gz", "answer"),
        ("clinical notes", "clinical_notes", "encounters_dev.jsonl", "note"),
        ("SciFact abstracts", "scifact", "corpus.jsonl.gz", "text"),
    ):
        if data is not None and (data / package / file).is_file():
            yield name, [str(one[field]) for one in _records(data / package / file) if one[field]]


def _records(path: Path) -> list[dict[str, object]]:
    if path.suffix != ".gz":
        return records(path)
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]
