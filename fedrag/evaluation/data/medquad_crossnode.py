"""One condition, several owners: queries over MedQuAD that name a condition as no page does."""

from collections import defaultdict
from typing import Any, Final

from fedrag.evaluation.data.medquad_liveqa import MEDQUAD, corpus
from fedrag.evaluation.data.package import Files, Package, RecordFile, json_lines

_WORDING: Final = {
    "causes": "What causes {}?",
    "complications": "What complications can {} have?",
    "exams and tests": "How is {} diagnosed?",
    "frequency": "How common is {}?",
    "genetic changes": "Which genes are involved in {}?",
    "information": "What is {}?",
    "inheritance": "Is {} hereditary?",
    "outlook": "What is the outlook for someone with {}?",
    "prevention": "How can {} be prevented?",
    "research": "What research is being done on {}?",
    "susceptibility": "Who is at risk of {}?",
    "symptoms": "What symptoms does {} cause?",
    "treatment": "How is {} treated?",
}
"""Question type → how it is asked, whichever source answers."""


def convert(files: Files, drawn: str) -> dict[str, bytes]:
    """A query for each line of `drawn`: a UMLS concept, a question type with hyphens for spaces, and which of the
    concept's synonyms asks. Relevant is every document with an answer, that concept and that type."""
    documents: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    synonyms: dict[str, dict[str, None]] = defaultdict(dict)
    for document in corpus(files):
        for concept in document["cuis"] if document["has_answer"] else ():
            documents[concept, document["qtype"]].append(document)
            synonyms[concept] |= dict.fromkeys(document["synonyms"])
    queries: list[dict[str, object]] = []
    judgements: list[dict[str, object]] = []
    for line in drawn.splitlines():
        concept, hyphened, number = line.split()
        kind = hyphened.replace("-", " ")
        synonym = list(synonyms[concept])[int(number)]
        relevant = sorted((one["doc_id"], one["node"]) for one in documents[concept, kind])
        queries.append(
            {
                "query_id": f"XN_{concept}_{hyphened}",
                "text": _WORDING[kind].format(synonym),
                "concept": concept,
                "qtype": kind,
                "synonym": synonym,
                "relevant_nodes": sorted({node for _, node in relevant}),
            }
        )
        judgements += [
            {"query_id": f"XN_{concept}_{hyphened}", "doc_id": document, "grade": 1, "node": node}
            for document, node in relevant
        ]
    return {"queries_dev.jsonl": json_lines(queries), "qrels_dev.jsonl": json_lines(judgements)}


PACKAGE: Final = Package(
    name="medquad_crossnode",
    what="1,061 queries over medquad_liveqa whose answers lie with one or several of nine sources; silver judgements.",
    licence="CC BY 4.0 (MedQuAD's readme.txt); queries and judgements are derived from its annotations.",
    citation=(
        "Ben Abacha and Demner-Fushman, A question-entailment approach to question answering, BMC Bioinformatics "
        "20:511, 2019."
    ),
    made=(
        "Documents with an answer are grouped by UMLS concept and question type, groups of more than twelve left out. "
        "A query names its concept by a synonym that no page of the concept uses and asks in the same words whichever "
        "source answers; everything in the group is relevant. Conditions of the development half. `synonyms` and "
        "`cuis` of the corpus are the answer key: they belong in no index. Needs medquad_liveqa for its documents."
    ),
    origins=(MEDQUAD,),
    records=(
        RecordFile(
            "queries_dev.jsonl", 1061, 231827, "adee9d4069db9fa946df741cb982a4772c7903a60c2a03c0b3ddfbbc632e6a54"
        ),
        RecordFile("qrels_dev.jsonl", 1879, 185880, "5d435c1d59b53d98a5c0153f4cc486c78291d4dea7606741748e831f495bb451"),
    ),
    convert=convert,
)
