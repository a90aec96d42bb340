"""ASQ-PHI: clinicians' queries with identifiers in them."""

import json
from typing import Final

from fedrag.evaluation.data.package import Files, Origin, Package, RawFile, RecordFile, json_lines

_QUERIES: Final = "data/synthetic_clinical_queries.txt"


def convert(files: Files, drawn: str) -> dict[str, bytes]:
    """The development half, in the file's order, each identifier with its place in the text.

    `drawn`: the numbers of that half, counted from 0.
    """
    half = {int(number) for number in drawn.split()}
    blocks = files[_QUERIES].decode().split("===QUERY===")[1:]
    return {
        "queries_dev.jsonl": json_lines(
            _query(number, blocks[number]) for number in range(len(blocks)) if number in half
        )
    }


def _query(number: int, block: str) -> dict[str, object]:
    text, tags = (part.strip() for part in block.split("===PHI_TAGS==="))
    found = [_place(text, json.loads(line)) for line in tags.splitlines() if line.strip()]
    found.sort(key=lambda one: len(text) if one["start"] is None else int(str(one["start"])))
    return {"id": f"ASQ{number:04d}", "text": text, "phi": found, "hard_negative": not found}


def _place(text: str, tag: dict[str, str]) -> dict[str, object]:
    """Where the value first stands; nowhere, where the text has it in other words."""
    value = tag["value"]
    start = text.find(value)
    place = (start, start + len(value)) if start >= 0 else (None, None)
    return {"type": tag["identifier_type"], "value": value, "start": place[0], "end": place[1]}


PACKAGE: Final = Package(
    name="asq_phi",
    what="526 synthetic queries of clinicians, with the identifiers in them, and look-alikes without any.",
    licence="MIT (LICENSE of the repository); written by a language model, no real patient.",
    citation="Weatherhead, Golovko and McCaffrey, ASQ-PHI, Data in Brief (PMC12926592).",
    made=(
        "Half of the queries with identifiers and half of those without. Each tagged value is looked up in its text; "
        "one that is not there as written has no place. One generator and one style: what works here "
        "need not work elsewhere."
    ),
    origins=(
        Origin(
            "JamesWeatherhead/asq-phi",
            "0142713601188362c6ea9f18a49c8dce9eb43c29",
            (RawFile(_QUERIES, 371903, "cf00e424b8d2347d019f9f34e2ad1510cb4d853605410f8314bef44df8021fc8"),),
        ),
    ),
    records=(
        RecordFile(
            "queries_dev.jsonl", 526, 224933, "7492a60b2279f9eaf10ace25ffbeb2c96d67f3884a6bc3f375081cb4f859202e"
        ),
    ),
    convert=convert,
)
