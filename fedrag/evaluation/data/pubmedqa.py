"""PubMedQA: yes, no or maybe, with the abstract that answers."""

import json
from typing import Final

from fedrag.evaluation.data.package import Files, Origin, Package, RawFile, RecordFile, json_lines

_QUESTIONS: Final = "data/ori_pqal.json"
_TEST_FOLD: Final = "data/test_ground_truth.json"


def convert(files: Files, drawn: str) -> dict[str, bytes]:
    """Questions and abstracts outside the official test fold, in the order of PubMed ids.

    `drawn`: a line or more per specialty, its name and then the PubMed ids it holds.
    """
    test = json.loads(files[_TEST_FOLD])
    specialties = _specialties(drawn)
    rows = sorted(
        ((id_, row) for id_, row in json.loads(files[_QUESTIONS]).items() if id_ not in test),
        key=lambda one: int(one[0]),
    )
    questions = (
        {
            "query_id": f"PQ{id_}",
            "question": row["QUESTION"],
            "answer": row["final_decision"],
            "long_answer": row["LONG_ANSWER"],
            "gold_doc_id": f"PM{id_}",
            "node": specialties[id_],
            "human_reasoning_required": row["reasoning_required_pred"],
            "human_reasoning_free": row["reasoning_free_pred"],
        }
        for id_, row in rows
    )
    abstracts = (
        {
            "doc_id": f"PM{id_}",
            "node": specialties[id_],
            "text": "\n".join(row["CONTEXTS"]),
            "sections": [
                {"label": label, "text": text} for label, text in zip(row["LABELS"], row["CONTEXTS"], strict=True)
            ],
            "mesh": row["MESHES"],
            "year": row["YEAR"],
        }
        for id_, row in rows
    )
    return {"questions_dev.jsonl": json_lines(questions), "corpus_dev.jsonl": json_lines(abstracts)}


def _specialties(drawn: str) -> dict[str, str]:
    """PubMed id → specialty."""
    found: dict[str, str] = {}
    specialty = ""
    for word in drawn.split():
        if word.isdecimal():
            found[word] = specialty
        else:
            specialty = word
    return found


PACKAGE: Final = Package(
    name="pubmedqa",
    what="500 expert-labelled yes/no/maybe questions, each with the abstract that answers it.",
    licence="MIT (LICENSE of the repository); the contexts are PubMed abstracts.",
    citation="Jin et al., PubMedQA: a dataset for biomedical research question answering, EMNLP-IJCNLP 2019.",
    made=(
        "The 500 questions that are not in the official test fold. A question is parted from its abstract, so that "
        "retrieval can be scored; `long_answer` is the abstract's conclusion and gives the label away: it belongs in "
        "no index and in no prompt. `node` is the abstract's specialty, of eleven, from its MeSH terms."
    ),
    origins=(
        Origin(
            "pubmedqa/pubmedqa",
            "1cbae8e92f72f20c8d3747cbb3bf5bc53554d997",
            (
                RawFile(_QUESTIONS, 2584787, "8b3276be8942ebbd77f3ddcda12c1749bf0e490045a736fd8438ee40cf37a41d"),
                RawFile(_TEST_FOLD, 11414, "939fe566f09017d13b1ca64d2ddfee0bc2374b366048152997669cccedc44d51"),
            ),
        ),
    ),
    records=(
        RecordFile(
            "questions_dev.jsonl", 500, 283724, "91c9007822195c4609914e57bde870a2b5b8d87343089f38af77c3be991662e9"
        ),
        RecordFile(
            "corpus_dev.jsonl", 500, 1575194, "4fc95d003bf568963696b22ecae3acb96005e909a9e1bea807e16af9048e76cb"
        ),
    ),
    convert=convert,
)
