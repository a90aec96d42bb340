"""FeB4RAG: which of sixteen search engines to ask, from a sentence about each."""

import csv
import io
import json
from collections import defaultdict
from typing import Final

from fedrag.evaluation.data.package import Files, Origin, Package, RawFile, RecordFile, json_lines

_ENGINES: Final = "dataset/engines/engines.csv"
_RELEVANCE: Final = "dataset/qrels/BEIR-QRELS-RS.txt"
_REQUESTS: Final = "dataset/queries/requests.jsonl"
_SOURCES: Final = "dataset/queries/rid_mapping.tsv"


def convert(files: Files, drawn: str) -> dict[str, bytes]:
    """Engines, and the development half of the requests with every engine's relevance, in the files' own order.

    `drawn`: the ids of that half.
    """
    engines = (
        {
            "engine": row["name"],
            "description": row["Description"].strip(),
            "vertical": row["vertical"],
            "retriever": row["model"],
        }
        for row in csv.DictReader(io.StringIO(files[_ENGINES].decode(), newline=""))
    )
    relevance: dict[str, dict[str, int]] = defaultdict(dict)
    for line in files[_RELEVANCE].decode().splitlines():
        request, _, engine, grade = line.split()
        relevance[request][engine] = int(grade)
    sources = {row[0]: row[1:] for row in csv.reader(files[_SOURCES].decode().splitlines(), delimiter="\t")}
    half = set(drawn.split())
    requests = (
        {
            "query_id": request["_id"],
            "text": request["text"],
            "origin_engine": sources[request["_id"]][0],
            "origin_query": sources[request["_id"]][1],
            "engine_relevance": relevance[request["_id"]],
        }
        for request in map(json.loads, files[_REQUESTS].splitlines())
        if request["_id"] in half
    )
    return {"engines.jsonl": json_lines(engines), "requests_dev.jsonl": json_lines(requests)}


PACKAGE: Final = Package(
    name="feb4rag_selection",
    what="375 requests, 16 search engines in a sentence or two each, and every engine's relevance to each request.",
    licence="Apache License 2.0 (LICENSE of the repository).",
    citation=(
        "Wang et al., FeB4RAG: evaluating federated search in the context of retrieval augmented generation, "
        "arXiv 2402.11891, 2024."
    ),
    made=(
        "Requests joined with the engines' relevance and with where each request came from. `origin_engine` nearly "
        "gives the answer away and is never a feature. Relevance is a language model's. Half of the requests, and "
        "none that was made from a SciFact claim."
    ),
    origins=(
        Origin(
            "ielab/FeB4RAG",
            "b0fe9e19eddac3586fd54d30aebbb5d3d0d72118",
            (
                RawFile(_ENGINES, 6524, "972f87da1163738f6ed155d0c77ca57aeeaf23b240ec53512f9306ba51acac6d"),
                RawFile(_RELEVANCE, 223299, "b00810e4d88f2210f2c7239b4748e2f79b33968c407768f02adad50a89519aae"),
                RawFile(_REQUESTS, 101690, "3b910a98964d688ae603dab6e568826f1be940814888de073c994fcb8cd02dcb"),
                RawFile(_SOURCES, 20773, "6b863fe2958b0e5243e021ce174e14d34bd6035a9e05d7b63cf3d07c8d64d69c"),
            ),
        ),
    ),
    records=(
        RecordFile("engines.jsonl", 16, 5919, "90343287686db72aab631f7ed7b3aedaf0dc7d2bee512c60f74c43cf7a369376"),
        RecordFile(
            "requests_dev.jsonl", 375, 169726, "af95f95eb69492a481cd8dc43242bafbac70124165af73d65518dfc1d89faa80"
        ),
    ),
    convert=convert,
)
