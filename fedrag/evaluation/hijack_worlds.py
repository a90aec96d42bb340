"""Where hijacks are tried: hospitals by specialty or by source, with topics of their own that overlap."""

import gzip
import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np

from fedrag import probes
from fedrag.core.protocols import Encoder
from fedrag.core.wire import NodeId
from fedrag.evaluation.corpus import node_id
from fedrag.evaluation.hijacking import World
from fedrag.evaluation.run import Run, records

HOSPITALS: Final = 8
RELEASED: Final = 2_000
"""Titles of public documents that hospitals released before, of all of them; for MedQuAD, whose documents have some."""


def inputs(run: Run) -> tuple[Path, ...]:
    answered, crossnode = run.package("pubmedqa"), run.package("medquad_crossnode")
    return (
        answered / "corpus_dev.jsonl",
        answered / "questions_dev.jsonl",
        run.package("medquad_liveqa") / "corpus.jsonl.gz",
        crossnode / "queries_dev.jsonl",
        crossnode / "qrels_dev.jsonl",
    )


def pubmedqa(run: Run, encoder: Encoder) -> World:
    corpus, questions = (records(path) for path in inputs(run)[:2])
    kept = [one for one in corpus if one["node"] != "other"]
    sizes = Counter(str(one["node"]) for one in kept)
    names = sorted(name for name, _ in sizes.most_common(HOSPITALS))
    asked = [one for one in questions if one["node"] in names]
    cached = run.vectors(encoder)
    return World(
        encoder.identity,
        tuple(map(node_id, names)),
        {
            node_id(name): cached.passages([one["text"] for one in kept if one["node"] == name], "encoding abstracts")
            for name in names
        },
        cached.queries([one["question"] for one in asked]),
        tuple(frozenset({node_id(one["node"])}) for one in asked),
        cached.queries(probes.listed(), "encoding probes"),
    )


def medquad(run: Run, encoder: Encoder) -> World:
    path, asked, judgements = inputs(run)[2:]
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        answered: list[Mapping[str, Any]] = [one for one in map(json.loads, lines) if one["has_answer"]]
    grades = records(judgements)
    relevant: dict[str, set[NodeId]] = {}
    for one in grades:
        if one["grade"] > 0:
            relevant.setdefault(one["query_id"], set()).add(node_id(one["node"]))
    used = Counter(node for held in relevant.values() for node in held)
    names = sorted(name for name, _ in used.most_common(HOSPITALS))
    queries = [one for one in records(asked) if relevant.get(one["query_id"], set()) & set(names)]
    cached = run.vectors(encoder)
    held = {
        name: cached.passages(
            [one["question"] for one in answered if node_id(one["node"]) == name], "encoding questions"
        )
        for name in names
    }
    everything = np.concatenate([held[name] for name in names])
    owners = [name for name in names for _ in held[name]]
    random = np.random.default_rng(run.seed)
    released = random.permutation(len(everything))[:RELEASED]
    listed = cached.queries(probes.listed(), "encoding probes")
    return World(
        encoder.identity,
        tuple(names),
        held,
        cached.queries([one["text"] for one in queries]),
        tuple(frozenset(relevant[one["query_id"]]) for one in queries),
        np.concatenate([listed, everything[released]]),
        (*(None for _ in listed), *(owners[row] for row in released)),
    )
