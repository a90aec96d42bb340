"""ACI-BENCH and MTS-Dialog: fictional visits, as dialogue and as note."""

import csv
import io
import re
from collections.abc import Iterator
from typing import Final

from fedrag.evaluation.data.package import Files, Origin, Package, RawFile, RecordFile, json_lines

_ACI: Final = "data/challenge_data/{}.csv"
_ACI_FOLDS: Final = ("train", "valid", "clinicalnlp_taskB_test1")
_MTS: Final = {
    "TestSet-1": "Main-Dataset/MTS-Dialog-TestSet-1-MEDIQA-Chat-2023.csv",
    "TrainingSet": "Main-Dataset/MTS-Dialog-TrainingSet.csv",
    "ValidationSet": "Main-Dataset/MTS-Dialog-ValidationSet.csv",
}
_NAMES: Final = {
    "patient_first_name": "patient_firstname",
    "patient_family_name": "patient_familyname",
    "doctor_name": "doctor_name",
}
"""Kind of identifier → column of the metadata."""

_PATIENT: Final = {
    "gender": "patient_gender",
    "age": "patient_age",
    "chief_complaint": "cc",
    "other": "2nd_complaints",
}


def convert(files: Files, drawn: str) -> dict[str, bytes]:  # noqa: ARG001 - the folds are the official ones
    """Full visits of ACI-BENCH with the names known from their metadata, then short visits of MTS-Dialog."""
    return {"encounters_dev.jsonl": json_lines((*_full_visits(files), *_short_visits(files)))}


def _full_visits(files: Files) -> Iterator[dict[str, object]]:
    for fold in _ACI_FOLDS:
        known = {row["encounter_id"]: row for row in _rows(files[_ACI.format(f"{fold}_metadata")])}
        for row in _rows(files[_ACI.format(fold)]):
            metadata = known[row["encounter_id"]]
            yield {
                "doc_id": row["encounter_id"],
                "node": f"site_{row['dataset']}",
                "source": "aci-bench",
                "fold": fold,
                "note": row["note"],
                "dialogue": row["dialogue"],
                "section": None,
                "patient": {name: metadata[column] or None for name, column in _PATIENT.items()},
                "known_identifiers": [
                    {
                        "kind": kind,
                        "value": metadata[column].strip(),
                        "in_note": _places(metadata[column].strip(), row["note"]),
                        "in_dialogue": _places(metadata[column].strip(), row["dialogue"]),
                    }
                    for kind, column in _NAMES.items()
                    if metadata[column].strip()
                ],
            }


def _short_visits(files: Files) -> Iterator[dict[str, object]]:
    for fold, path in _MTS.items():
        for row in _rows(files[path]):
            yield {
                "doc_id": f"MTS_{fold}_{row['ID']}",
                "node": "site_mts",
                "source": "mts-dialog",
                "fold": fold,
                "note": row["section_text"].strip(),
                "dialogue": row["dialogue"].strip(),
                "section": row["section_header"],
                "patient": None,
                "known_identifiers": [],
            }


def _places(name: str, text: str) -> list[tuple[int, int]]:
    """Start and end wherever the name stands as a whole word, in capitals or not."""
    return [found.span() for found in re.finditer(rf"\b{re.escape(name)}\b", text, re.IGNORECASE)]


def _rows(content: bytes) -> Iterator[dict[str, str]]:
    return csv.DictReader(io.StringIO(content.decode(), newline=""))


PACKAGE: Final = Package(
    name="clinical_notes",
    what="1,628 fictional visits as dialogue and as note; in 123 of them names are known and marked.",
    licence="CC BY 4.0 (README.md of either repository); role-played or written for the purpose, no real patient.",
    citation=(
        "Yim et al., ACI-BENCH: a novel ambient clinical intelligence dataset for benchmarking automatic visit note "
        "generation, Scientific Data, 2023; Ben Abacha et al., An empirical study of clinical note generation from "
        "doctor-patient encounters, EACL 2023."
    ),
    made=(
        "Training, validation and first test folds of both; the later test folds are left out. Only the names of the "
        "metadata are marked: dates, places and relatives are not. MTS notes are one section each, many of them alike."
    ),
    origins=(
        Origin(
            "wyim/aci-bench",
            "b909b2bb9cf1d19de08df15cddde7bd0179665e4",
            (
                RawFile(
                    _ACI.format("train"), 611240, "6c778d4ac5e6cc6f1964786f9286e8d765c210f22ed6b57f83aff8497409cea4"
                ),
                RawFile(
                    _ACI.format("train_metadata"),
                    5443,
                    "7da650e223f04ff6bf1666cb62d52ebd83ce71ecfc4b2311cbe64d9f3ab19d83",
                ),
                RawFile(
                    _ACI.format("valid"), 177400, "6629e89e3fb409d2b3eceab60dc7b32fe1d3fb8d4e07795039284965522aa4d0"
                ),
                RawFile(
                    _ACI.format("valid_metadata"),
                    1783,
                    "ae4c7eef6fc97e22f447c33e4546691715821e2a671ab53d80eb1ee5598e2914",
                ),
                RawFile(
                    _ACI.format("clinicalnlp_taskB_test1"),
                    349998,
                    "5cc4008e68545f84913744a8e493a58bdf17ba7e1b7a0be46d6943d6bfca9471",
                ),
                RawFile(
                    _ACI.format("clinicalnlp_taskB_test1_metadata"),
                    3195,
                    "6960581701816c6dbe1aea8a53df6cff2f1ca92b24b036f6303242ca681cbafd",
                ),
            ),
        ),
        Origin(
            "abachaa/MTS-Dialog",
            "3ff0801933608d6f570468c13125125fb5cabdea",
            (
                RawFile(_MTS["TestSet-1"], 162806, "b4d38dd2c99b2e9860099abcf653f1e0f3e9b69f9fcc45be2a2699b37a4d2f37"),
                RawFile(
                    _MTS["TrainingSet"], 1041071, "65a28681dd59fc159681ea026e44610f2af7bc64a0e7f892d763eb03d9f503dc"
                ),
                RawFile(
                    _MTS["ValidationSet"], 74054, "227206520c4534381c0d7fba6d3f09319a9af5a6d9603a93c0341af1198e3958"
                ),
            ),
        ),
    ),
    records=(
        RecordFile(
            "encounters_dev.jsonl", 1628, 2772016, "6a00a528851cb70daac97f62de29ada6656e253065537096988a4a1a1df48a3d"
        ),
    ),
    convert=convert,
)
