"""Honest documents of many kinds: what the search for orders must leave alone."""

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Final

SOURCES: Final = (
    ("PubMedQA abstracts", "pubmedqa/corpus_dev.jsonl", "text"),
    ("MedQuAD answers", "medquad_liveqa/corpus.jsonl.gz", "answer"),
    ("clinical notes", "clinical_notes/encounters_dev.jsonl", "note"),
    ("SciFact abstracts", "scifact/corpus.jsonl.gz", "text"),
)


def honest_documents(examples: Path, data: Path | None) -> Iterator[tuple[str, list[str]]]:
    """Kind and texts, of those that are there."""
    yield "the example hospitals'", [one.read_text(encoding="utf-8") for one in sorted(examples.rglob("*.md"))]
    for name, file, field in SOURCES:
        if data is not None and (data / file).is_file():
            yield name, [text for text in _texts(data / file, field) if text]


def _texts(file: Path, field: str) -> Iterator[str]:
    with gzip.open(file, "rt", encoding="utf-8") if file.suffix == ".gz" else file.open(encoding="utf-8") as lines:
        for line in lines:
            yield str(json.loads(line)[field])
