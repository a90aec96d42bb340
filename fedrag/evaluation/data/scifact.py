"""SciFact: scientific claims and the abstracts they cite."""

import ast
import csv
import io
import re
from collections.abc import Iterator
from typing import Any, Final

from fedrag.evaluation.data.archive import zip_member
from fedrag.evaluation.data.package import Files, Origin, Package, RawFile, RecordFile, json_lines

_ARCHIVE: Final = "data/scifact.zip"
_MOST_BYTES: Final = 16 << 20
_QUOTED: Final = re.compile(r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"", re.DOTALL)
"""A list is written as numpy prints an array of strings: quoted as in Python, parted by space alone."""


def convert(files: Files, drawn: str) -> dict[str, bytes]:
    """All abstracts; the official training claims with what they cite and the evidence in it.

    `drawn`: for every abstract in turn, the digit of the shard that holds it.
    """
    shards = "".join(drawn.split())
    abstracts = (_abstract(row, shard) for row, shard in zip(_rows(files, "corpus_train.csv"), shards, strict=True))
    claims: dict[str, dict[str, Any]] = {}
    for row in _rows(files, "claims_train.csv"):  # a row for each piece of evidence
        cited = re.findall(r"\d+", row["cited_doc_ids"])
        blank = {"query_id": row["id"], "claim": row["claim"], "cited_doc_ids": cited, "evidence": []}
        claim = claims.setdefault(row["id"], blank)
        if row["evidence_doc_id"]:
            sentences = [int(number) for number in re.findall(r"\d+", row["evidence_sentences"])]
            label = row["evidence_label"]
            claim["evidence"].append({"doc_id": row["evidence_doc_id"], "label": label, "sentences": sentences})
    judgements = (
        {"query_id": claim["query_id"], "doc_id": cited, "grade": 1}
        for claim in claims.values()
        for cited in claim["cited_doc_ids"]
    )
    return {
        "corpus.jsonl.gz": json_lines(abstracts),
        "queries_dev.jsonl": json_lines(claims.values()),
        "qrels_dev.jsonl": json_lines(judgements),
    }


def _abstract(row: dict[str, str], shard: str) -> dict[str, object]:
    sentences = [str(ast.literal_eval(quoted)).strip() for quoted in _QUOTED.findall(row["abstract"])]
    return {
        "doc_id": row["doc_id"],
        "node": f"node{shard}",
        "title": row["title"],
        "text": " ".join(sentences),
        "sentences": sentences,
        "structured": row["structured"] == "True",
    }


def _rows(files: Files, name: str) -> Iterator[dict[str, str]]:
    text = zip_member(files[_ARCHIVE], name, most_bytes=_MOST_BYTES).decode()
    return csv.DictReader(io.StringIO(text, newline=""))


PACKAGE: Final = Package(
    name="scifact",
    what="809 scientific claims, the abstracts they cite and the evidence there; 5,183 abstracts.",
    licence="claims and evidence CC BY 4.0, abstracts ODC-By 1.0 (LICENSE.md of allenai/scifact, whose data this is).",
    citation="Wadden et al., Fact or fiction: verifying scientific claims, EMNLP 2020.",
    made=(
        "The official training claims; the official development claims, which BEIR calls SciFact's test split, are "
        "left out. Relevant means cited, not supporting: 38 % of the claims have no evidence in what they cite. `node` "
        "is one of eight shards of like content. The repository below holds the data set's CSV export."
    ),
    origins=(
        Origin(
            "sumithra-p-v/claimverifier",
            "b42f1c3444b28884ddcfadffafbfe223646c6c37",
            (RawFile(_ARCHIVE, 2872024, "a798a7046af0f6fa04476448459ce7cafeea5bd90d4d99c53a0e27dc5e1a4673"),),
        ),
    ),
    records=(
        RecordFile(
            "corpus.jsonl.gz", 5183, 15706524, "a6f102efebba5604c126e98a747c6b24fd47a8201b7773ef6befcaf01ce0a590"
        ),
        RecordFile(
            "queries_dev.jsonl", 809, 196845, "166b7ced5d0b2cd3faf614fec315c6c94116d3c241b12feb6b95c914f101dd1a"
        ),
        RecordFile("qrels_dev.jsonl", 919, 49398, "6177a03b7852582271f02612ae3c2bfdf770e615fbd239a3a5081e73fcf93a88"),
    ),
    convert=convert,
)
