"""Presidio's synthetic sentences: general text with identifiers of many countries."""

import json
from typing import Any, Final

from fedrag.evaluation.data.package import Files, Origin, Package, RawFile, RecordFile, json_lines

_SENTENCES: Final = "data/synth_dataset_v2.json"


def convert(files: Files, drawn: str) -> dict[str, bytes]:  # noqa: ARG001 - nothing was drawn
    """All sentences, in the file's order; identifiers in the order of the text."""
    rows = json.loads(files[_SENTENCES])
    return {"sentences_dev.jsonl": json_lines(_sentence(number, row) for number, row in enumerate(rows))}


def _sentence(number: int, row: dict[str, Any]) -> dict[str, object]:
    spans = sorted(row["spans"], key=lambda span: int(span["start_position"]))
    return {
        "id": f"PR{number:04d}",
        "text": row["full_text"],
        "template_id": row["template_id"],
        "phi": [
            {
                "type": span["entity_type"],
                "value": span["entity_value"],
                "start": span["start_position"],
                "end": span["end_position"],
            }
            for span in spans
        ],
    }


PACKAGE: Final = Package(
    name="presidio_synth",
    what="1,500 general sentences made from templates, with the identifiers in them.",
    licence="MIT (LICENSE of the repository); generated, no real person.",
    citation="Microsoft, presidio-research, data/synth_dataset_v2.json.",
    made=(
        "Every sentence of the file. Templates come again with other fillers: split by `template_id`, not by row. "
        "Organizations and nationalities are tagged and are no identifiers under HIPAA."
    ),
    origins=(
        Origin(
            "microsoft/presidio-research",
            "7622dec1e5f7d25dc60b57c28c39f4c4af197018",
            (RawFile(_SENTENCES, 1023794, "ec08a771ba8135314cafb60752b2295212222ba3a4cd75d73811839c699e0012"),),
        ),
    ),
    records=(
        RecordFile(
            "sentences_dev.jsonl", 1500, 425186, "b60751f54cee5a3766d29c2e2b87e47c0cb90b98355d357b57edf68e5c550048"
        ),
    ),
    convert=convert,
)
