"""MIRAGE: exam and research questions, and what four systems answered, with their reasoning."""

import csv
import io
import json
import re
from collections.abc import Iterator
from typing import Any, Final

from fedrag.evaluation.data.halves import halves
from fedrag.evaluation.data.package import Files, Origin, Package, RawFile, RecordFile, Tree, json_lines

_MMLU: Final = (
    "anatomy",
    "clinical_knowledge",
    "college_biology",
    "college_medicine",
    "medical_genetics",
    "professional_medicine",
)
_EDITIONS: Final = (7, 8, 9)
_RELEVANCE: Final = "scripts/train/medrag_relevance/{}_relevant_top_32.json"
_RETRIEVED: Final = "medcorp/RRF-4/"
_ARMS: Final = {
    "gpt35_cot": "cot/OpenAI/gpt-35-turbo-16k/",
    "gpt4_cot": "cot/OpenAI/gpt-4-32k/",
    "gpt35_rag32": f"rag_32/OpenAI/gpt-35-turbo-16k/{_RETRIEVED}",
    "gpt4_rag32": f"rag_32/OpenAI/gpt-4-32k/{_RETRIEVED}",
}
"""Arm → its folder below prediction/DATASET/."""

_CHOICE: Final = re.compile(r'"answer_choice"\s*:\s*"?\s*([A-D])(?![A-Za-z])')
"""Of JSON that may be broken. A letter, or a letter and words; never the first letter of a word."""

_TRACE_CHARACTERS: Final = 6000


def convert(files: Files, drawn: str) -> dict[str, bytes]:
    """Questions in the order of their ids, each with what every arm chose; and the arms' reasoning.

    `drawn`: the halves of mmlu, medqa and medmcqa; of BioASQ editions 7 to 9 are all in it.
    """
    questions = dict(_chosen(files, halves(drawn)))
    corpora = {
        dataset: json.loads(files[_RELEVANCE.format(dataset)]) for dataset in ("bioasq", "medmcqa", "medqa", "mmlu")
    }
    asked, traces = [], []
    for id_ in sorted(questions):
        question = questions[id_]
        dataset, name = id_.split("/")
        outputs = {arm: _output(files, f"prediction/{dataset}/{folder}", name) for arm, folder in _ARMS.items()}
        arms = {arm: _arm(output, question) for arm, output in outputs.items()}
        relevant = sorted(corpora[dataset].get(name, ()))
        asked.append({"id": id_, "dataset": dataset, **question, "arms": arms, "relevant_corpora": relevant})
        traces.append({"id": id_, "traces": {arm: output[:_TRACE_CHARACTERS] for arm, output in outputs.items()}})
    return {"questions_dev.jsonl": json_lines(asked), "traces_dev.jsonl.gz": json_lines(traces)}


def _arm(output: str, question: dict[str, Any]) -> dict[str, object]:
    """An answer that cannot be read, or names no option, is no choice, and wrong."""
    found = _CHOICE.search(output)
    choice = found[1] if found and found[1] in question["options"] else None
    failed = "{" not in output and "answer_choice" not in output
    return {
        "choice": choice,
        "correct": choice == question["answer"],
        "output_chars": len(output),
        "failed": failed,
    }


def _output(files: Files, folder: str, name: str) -> str:
    """What one arm returned: a list of one text, or of none where the call failed."""
    path = next(path for path in (f"{folder}test_{name}.json", f"{folder}dev_{name}.json") if path in files)
    texts = json.loads(files[path])
    return texts[0] if texts else ""


def _chosen(files: Files, half: dict[str, str]) -> Iterator[tuple[str, dict[str, Any]]]:
    for dataset, read in (("mmlu", _mmlu), ("medqa", _medqa), ("medmcqa", _medmcqa)):
        # not strict: the last hexadecimal digit may have bits to spare
        for (name, question), chosen in zip(read(files), half[dataset], strict=False):
            if chosen == "1":
                yield f"{dataset}/{name}", question
    yield from ((f"bioasq/{name}", question) for name, question in _bioasq(files))


def _mmlu(files: Files) -> Iterator[tuple[str, dict[str, Any]]]:
    for subject in _MMLU:
        text = files[f"rawdata/mmlu/data/test/{subject}_test.csv"].decode()
        for number, row in enumerate(csv.reader(io.StringIO(text, newline=""))):
            options = dict(zip("ABCD", row[1:5], strict=True))
            yield (
                f"{subject}-{number:03d}",
                {"question": row[0], "options": options, "answer": row[5], "subject": subject},
            )


def _medqa(files: Files) -> Iterator[tuple[str, dict[str, Any]]]:
    lines = files["rawdata/medqa/data_clean/questions/US/4_options/phrases_no_exclude_test.jsonl"].splitlines()
    for number, one in enumerate(map(json.loads, lines)):
        yield (
            f"{number:04d}",
            {
                "question": one["question"],
                "options": one["options"],
                "answer": one["answer_idx"],
                "subject": one["meta_info"],
            },
        )


def _medmcqa(files: Files) -> Iterator[tuple[str, dict[str, Any]]]:
    for one in map(json.loads, files["rawdata/medmcqa/data/dev.json"].splitlines()):
        yield (
            one["id"],
            {
                "question": one["question"],
                "options": {letter: one[f"op{letter.lower()}"] for letter in "ABCD"},
                "answer": "ABCD"[one["cop"] - 1],
                "subject": one["subject_name"],
            },
        )


def _bioasq(files: Files) -> Iterator[tuple[str, dict[str, Any]]]:
    """Questions that are answered yes or no, with the PubMed ids that experts gave as evidence."""
    for edition in _EDITIONS:
        folder = f"rawdata/bioasq/Task{edition}BGoldenEnriched/"
        for path in sorted(path for path in files if path.startswith(folder)):
            for one in json.loads(files[path])["questions"]:
                if one["type"] == "yesno":
                    yield (
                        one["id"],
                        {
                            "question": one["body"],
                            "options": {"A": "yes", "B": "no"},
                            "edition": edition,
                            "answer": {"yes": "A", "no": "B"}[one["exact_answer"].lower()],
                            "pmids": [url.rsplit("/", 1)[-1] for url in one["documents"]],
                        },
                    )


PACKAGE: Final = Package(
    name="mirage",
    what="3,687 medical exam and research questions, what four systems answered, and their reasoning.",
    licence=(
        "MIRAGE public domain notice of the NCBI; its MedQA, MedMCQA and MMLU parts MIT; BioASQ names none there, "
        "public copies say CC BY 2.5; the relevance files MIT (LICENSE of each repository)."
    ),
    citation=(
        "Xiong et al., Benchmarking retrieval-augmented generation for medicine, ACL Findings 2024; Guerraoui et al., "
        "Efficient federated search for retrieval-augmented generation, 2025."
    ),
    made=(
        "Half of MMLU-Med, MedQA-US and MedMCQA, and BioASQ editions 7 to 9; no PubMedQA*. `arms` holds what "
        "GPT-3.5 and GPT-4 chose with and without retrieval, read by a parser of ours: an answer that chooses no "
        "option is wrong, where the benchmark's own scorer counts it as A. `traces_dev.jsonl.gz` holds the first "
        "6,000 characters of what they wrote. `relevant_corpora` says in which corpora the top 32 passages lay. "
        "`pmids` is evidence for the answer: never for a retriever or a model."
    ),
    origins=(
        Origin(
            "Teddy-XiongGZ/MIRAGE",
            "392943af99cd94cafd50a0de2e7fca24bbf65494",
            Tree(
                r"rawdata/(bioasq/Task[789]BGoldenEnriched/\dB\d_golden\.json|medmcqa/data/dev\.json"
                r"|medqa/data_clean/questions/US/4_options/phrases_no_exclude_test\.jsonl|mmlu/data/test/\w+_test\.csv)"
                r"|prediction/(bioasq|medmcqa|medqa|mmlu)/.+\.json",
                files=28675,
                bytes=33928913,
                sha256="f3a2b9d13d5a95d0f651a072235e328367ba0063e6c5d7b120a95e4e3f0c929f",
            ),
        ),
        Origin(
            "sacs-epfl/ragroute",
            "af669811a7ca183d63273da3a2dc1d945ed8eb85",
            (
                RawFile(
                    _RELEVANCE.format("bioasq"),
                    47053,
                    "f96ea964921ed9c2bab1a4cd1f7337c578b834b21316b9181a2975fac38bd8ce",
                ),
                RawFile(
                    _RELEVANCE.format("medmcqa"),
                    380999,
                    "42e0e6362f0148ea541bf7fd573a8d8942bb32dceecdc800d44e43582639f8b0",
                ),
                RawFile(
                    _RELEVANCE.format("medqa"),
                    98303,
                    "26fc129a7e78f70b9867a392f79f7248f21d9b69018c7e2dd0bcd1d299c2b685",
                ),
                RawFile(
                    _RELEVANCE.format("mmlu"),
                    87998,
                    "ebe51b6eeb9c3521265d13798c3ea59b366047392d812f12a9f546de376b9f2f",
                ),
            ),
        ),
    ),
    records=(
        RecordFile(
            "questions_dev.jsonl", 3687, 3253699, "fe8cf41728c951967154f65cf9d3526307f66c9caf3d840b2fd12f62452e35e0"
        ),
        RecordFile(
            "traces_dev.jsonl.gz", 3687, 10882731, "fde230ba378aa76a5f28a42a1e014a3fb65bdc6c2af36e8308ba354ad14b5dbc"
        ),
    ),
    convert=convert,
)
