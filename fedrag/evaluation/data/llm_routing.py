"""Which model was right: MMLU and GSM8K, question by question, with no model at hand."""

import csv
import io
import json
import re
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any, Final

from fedrag.core.errors import IntegrityError
from fedrag.evaluation.data.halves import halves
from fedrag.evaluation.data.package import Files, Origin, Package, RawFile, RecordFile, Tree, json_lines

_MMLU: Final = "routellm/evals/mmlu/responses/mmlu_"
_GSM8K: Final = "routellm/evals/gsm8k/gsm8k_responses.csv"
_PROBLEMS: Final = "grade_school_math/data/test.jsonl"
_SOLUTIONS: Final = "grade_school_math/data/example_model_solutions.jsonl"
_MODELS: Final = {"mixtral-8x7b": "mistralai/Mixtral-8x7B-Instruct-v0.1", "gpt-4-1106": "gpt-4-1106-preview"}
_EARLIER: Final = ("6b_finetuning", "6b_verification", "175b_finetuning", "175b_verification")
_MEDICAL: Final = frozenset(
    {
        "anatomy",
        "clinical_knowledge",
        "college_biology",
        "college_medicine",
        "high_school_biology",
        "human_aging",
        "human_sexuality",
        "medical_genetics",
        "nutrition",
        "professional_medicine",
        "professional_psychology",
        "virology",
    }
)
_PROMPT: Final = re.compile(r"(.*)\nA\. (.*)\nB\. (.*)\nC\. (.*)\nD\. (.*)\nAnswer:", re.DOTALL)


def convert(files: Files, drawn: str) -> dict[str, bytes]:
    """Questions of MMLU by subject and number, problems of GSM8K by number.

    `drawn`: the halves of mmlu and gsm8k.
    """
    half = halves(drawn)
    # not strict: the last hexadecimal digit may have bits to spare
    mmlu = (row for row, chosen in zip(_mmlu(files), half["mmlu"], strict=False) if chosen == "1")
    gsm8k = (row for row, chosen in zip(_gsm8k(files), half["gsm8k"], strict=False) if chosen == "1")
    return {"mmlu_dev.jsonl": json_lines(mmlu), "gsm8k_dev.jsonl": json_lines(gsm8k)}


def _mmlu(files: Files) -> Iterator[dict[str, object]]:
    for path in sorted(path for path in files if path.startswith(_MMLU)):
        subject = PurePosixPath(path).stem.removeprefix("mmlu_")
        for number, row in enumerate(_rows(files[path])):
            parts = _PROMPT.fullmatch(row["prompt"])
            if parts is None:
                raise IntegrityError(f"prompt {number} of {subject} has another form", code="origin_changed")
            yield {
                "id": f"mmlu/{subject}-{number:03d}",
                "subject": subject,
                "medical": subject in _MEDICAL,
                "question": parts[1],
                "options": dict(zip("ABCD", parts.groups()[1:], strict=True)),
                "arms": {arm: {"correct": row[model] == "True"} for arm, model in _MODELS.items()},
            }


def _gsm8k(files: Files) -> Iterator[dict[str, object]]:
    """Three files, joined on the problem's text; the answer as a number without separators."""
    said = {row["prompt"]: row for row in _rows(files[_GSM8K])}
    earlier = {row["question"]: row for row in map(json.loads, files[_SOLUTIONS].splitlines())}
    for number, problem in enumerate(map(json.loads, files[_PROBLEMS].splitlines())):
        question = problem["question"]
        solution, answer = problem["answer"].split("\n#### ")
        arms: dict[str, Any] = {}
        for arm in _EARLIER:
            one = earlier[question][arm]
            name = f"gpt3-{arm.replace('_', '-')}"
            arms[name] = {"correct": one["is_correct"], "output_chars": len(one["solution"])}
        for arm, model in _MODELS.items():
            row = said[question]
            arms[arm] = {"correct": row[model] == "True", "output_chars": len(row[f"{model}_response"])}
        yield {
            "id": f"gsm8k/{number:04d}",
            "question": question,
            "answer": answer.replace(",", ""),
            "solution": solution,
            "solution_steps": solution.count("<<"),
            "arms": arms,
        }


def _rows(content: bytes) -> Iterator[dict[str, str]]:
    return csv.DictReader(io.StringIO(content.decode(), newline=""))


PACKAGE: Final = Package(
    name="llm_routing",
    what="7,061 questions of MMLU and 663 problems of GSM8K, and which of two and of six models were right.",
    licence="RouteLLM Apache License 2.0, grade-school-math MIT (LICENSE of each repository); MMLU itself MIT.",
    citation=(
        "Ong et al., RouteLLM, 2024; Hendrycks et al., Measuring massive multitask language understanding, ICLR 2021; "
        "Cobbe et al., Training verifiers to solve math word problems, 2021."
    ),
    made=(
        "Half of each, the half of MMLU by the same rule as in `mirage`: a question is on one side everywhere. "
        "`solution_steps` counts the calculations written into a solution. The right letter of an MMLU question is not "
        "in the origin."
    ),
    origins=(
        Origin(
            "lm-sys/RouteLLM",
            "0b64fdafe049e596a3f5657c219329f24af24198",
            Tree(
                r"routellm/evals/(mmlu/responses/mmlu_\w+|gsm8k/gsm8k_responses)\.csv",
                files=58,
                bytes=8043859,
                sha256="cf2bde21da7334451566ba3606e98d6035506e375d7a471662e27a7fbe1dc906",
            ),
        ),
        Origin(
            "openai/grade-school-math",
            "3101c7d5072418e28b9008a6636bde82a006892c",
            (
                RawFile(_PROBLEMS, 749738, "3730d312f6e3440559ace48831e51066acaca737f6eabec99bccb9e4b3c39d14"),
                RawFile(_SOLUTIONS, 2563513, "4bc62db838f8418365d51c627bd66294cbdca9fb7f01519cb13f0dce8c51580b"),
            ),
        ),
    ),
    records=(
        RecordFile("mmlu_dev.jsonl", 7061, 4782041, "1ec1dfce26ef7a67ba730504ce4b963a9bf8a3adb1eb640fa4f52bf7b549958e"),
        RecordFile("gsm8k_dev.jsonl", 663, 662364, "38eee66abcaaedf6134fb3da59ab7dc1be53570fa65e518bfe17dd662ad1ae4f"),
    ),
    convert=convert,
)
