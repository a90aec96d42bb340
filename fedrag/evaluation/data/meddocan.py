"""MEDDOCAN: clinical cases in Spanish with identifiers written in."""

from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Final

from fedrag.evaluation.data.package import Files, Origin, Package, RecordFile, Tree, json_lines

_FOLDS: Final = ("train", "dev")


def convert(files: Files, drawn: str) -> dict[str, bytes]:  # noqa: ARG001 - the folds are the official ones
    """The official training and development folds; identifiers in the order of the text."""
    return {"documents_dev.jsonl.gz": json_lines(_documents(files))}


def _documents(files: Files) -> Iterator[dict[str, object]]:
    for fold in _FOLDS:
        for path in sorted(name for name in files if name.startswith(f"corpus/{fold}/") and name.endswith(".txt")):
            annotations = files[path.removesuffix(".txt") + ".ann"].decode()
            yield {
                "id": PurePosixPath(path).stem,
                "fold": fold,
                "text": files[path].decode(),
                "phi": _identifiers(annotations),
            }


def _identifiers(annotations: str) -> list[dict[str, object]]:
    """Of brat's stand-off lines, `T1<tab>TYPE 12 16<tab>text`, the ones for text spans."""
    found: list[tuple[int, int, str, str]] = []
    for line in annotations.split("\n"):
        if line.startswith("T"):
            _, span, value = line.split("\t")
            kind, start, end = span.split(" ")
            found.append((int(start), int(end), kind, value))
    found.sort(key=lambda one: one[0])
    return [{"type": kind, "value": value, "start": start, "end": end} for start, end, kind, value in found]


PACKAGE: Final = Package(
    name="meddocan",
    what="750 clinical cases in Spanish, with 17,134 marked identifiers.",
    licence="CC BY 4.0 (LICENSE of the repository); published case reports, their identifiers made up.",
    citation=(
        "Marimon et al., Automatic de-identification of medical texts in Spanish: the MEDDOCAN track, corpus, "
        "guidelines, methods and evaluation of results, IberLEF 2019."
    ),
    made=(
        "The official training fold (500) and development fold (250); the official test fold is left out. Sex, country "
        "and age are marked and are no identifiers under HIPAA's Safe Harbor: say which types a score covers."
    ),
    origins=(
        Origin(
            "PlanTL-GOB-ES/SPACCC_MEDDOCAN",
            "783a6df385c975b328c99bcffb54196a9ba4078a",
            Tree(
                r"corpus/(train|dev)/brat/[\w.-]+\.(txt|ann)",
                files=1500,
                bytes=2940350,
                sha256="0c908536cf40cd7bef1e770077c4ec3f450b9a218fa062a19771403bc769acbd",
            ),
        ),
    ),
    records=(
        RecordFile(
            "documents_dev.jsonl.gz", 750, 3686175, "1d3f21942eefa1c33791b0515f15fab00b6f2868523b75e3eb7c3193f43e5a16"
        ),
    ),
    convert=convert,
)
