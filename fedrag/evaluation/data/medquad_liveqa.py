"""MedQuAD and LiveQA: twelve NIH sources, questions of the public, human judgements."""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath
from typing import Any, Final
from xml.etree.ElementTree import Element

from fedrag.evaluation.data.archive import zip_member
from fedrag.evaluation.data.markup import one_line, parse
from fedrag.evaluation.data.package import Files, Origin, Package, RawFile, RecordFile, Tree, json_lines

_QUESTIONS: Final = "TestDataset/TREC-2017-LiveQA-Medical-Test-Questions-w-summaries.xml"
_JUDGEMENTS: Final = "QA-TestSet-LiveQA-Med-Qrels-2479-Answers"
_JUDGED: Final = f"{_JUDGEMENTS}/All-qrels_LiveQAMed2017-TestQuestions_2479_Judged-Answers.txt"
_MOST_BYTES: Final = 16 << 20

SOURCES: Final = (
    (
        "1_CancerGov_QA",
        "CancerGov",
        "National Cancer Institute: cancer types, treatment, prevention, clinical trials",
    ),
    (
        "2_GARD_QA",
        "GARD",
        "Genetic and Rare Diseases Information Center: rare diseases, symptoms, inheritance",
    ),
    (
        "3_GHR_QA",
        "GHR",
        "Genetics Home Reference: genetic conditions, genes involved, inheritance, frequency",
    ),
    (
        "4_MPlus_Health_Topics_QA",
        "MPlusHealthTopics",
        "MedlinePlus Health Topics: short overviews of common health topics",
    ),
    ("5_NIDDK_QA", "NIDDK", "National Institute of Diabetes and Digestive and Kidney Diseases"),
    ("6_NINDS_QA", "NINDS", "National Institute of Neurological Disorders and Stroke: neurological disorders"),
    ("7_SeniorHealth_QA", "NIHSeniorHealth", "NIH SeniorHealth: conditions of older adults and healthy ageing"),
    (
        "8_NHLBI_QA_XML",
        "NHLBI",
        "National Heart, Lung, and Blood Institute: heart, lung, blood and sleep conditions",
    ),
    ("9_CDC_QA", "CDC", "Centers for Disease Control and Prevention: infectious and foodborne diseases"),
    (
        "10_MPlus_ADAM_QA",
        "ADAM",
        "A.D.A.M. Medical Encyclopedia (question titles only; answers removed by the dataset's authors)",
    ),
    (
        "11_MPlusDrugs_QA",
        "MPlusDrugs",
        "MedlinePlus drug monographs (question titles only; answers removed by the dataset's authors)",
    ),
    (
        "12_MPlusHerbsSupplements_QA",
        "MPlusHerbsSuppls",
        "MedlinePlus herbs and supplements (question titles only; answers removed by the dataset's authors)",
    ),
)
"""Folder, name as the judgements write it, what the source is about."""


def convert(files: Files, drawn: str) -> dict[str, bytes]:
    """Documents in the order of sources and files; the development half of the questions, and their judgements.

    `drawn`: the `qid`s of that half.
    """
    documents = list(corpus(files))
    has_answer = {document["doc_id"]: document["has_answer"] for document in documents}
    half = set(drawn.split())
    asked = [question for question in parse(files[_QUESTIONS]) if question.get("qid") in half]
    judged = zip_member(files[f"{_JUDGEMENTS}.zip"], _JUDGED, most_bytes=_MOST_BYTES).decode()
    return {
        "corpus.jsonl.gz": json_lines(documents),
        "nodes.jsonl": json_lines(_nodes(documents)),
        "queries_dev.jsonl": json_lines(map(_query, asked)),
        "qrels_dev.jsonl": json_lines(_judgements(judged, half, has_answer)),
    }


def corpus(files: Files) -> Iterator[dict[str, Any]]:
    """One document per question-answer pair, known as judgements know it: by its position in its file."""
    for folder, node, _ in SOURCES:
        for path in sorted(name for name in files if name.startswith(f"{folder}/")):
            yield from _page(parse(files[path]), node, f"{node}_{PurePosixPath(path).stem}")


def _page(page: Element, node: str, page_id: str) -> Iterator[dict[str, Any]]:
    for number, pair in enumerate(page.iterfind("QAPairs/QAPair"), start=1):
        question = pair.find("Question")
        answer = paragraphs(pair.findtext("Answer"))
        yield {
            "doc_id": f"{page_id}_Sec{number}",
            "node": node,
            "page_id": page_id,
            "question": one_line(question.text) if question is not None else "",
            "answer": answer,
            "has_answer": bool(answer),
            "qtype": question.get("qtype") if question is not None else None,
            "focus": one_line(page.findtext("Focus")),
            "synonyms": _texts(page, "Synonym"),
            "cuis": _texts(page, "CUI"),
            "semantic_types": _texts(page, "SemanticType"),
            "semantic_group": next(iter(_texts(page, "SemanticGroup")), None),
            "category": next(iter(_texts(page, "Category")), None),
            "url": page.get("url"),
        }


def _texts(page: Element, name: str) -> list[str]:
    return [one_line(one.text) for one in page.iterfind(f"FocusAnnotations//{name}")]


def paragraphs(text: str | None) -> str:
    """A line for each line that says something; runs of other space become one space."""
    return re.sub(r"[^\S\n]+", " ", re.sub(r"\s*\n\s*", "\n", text or "")).strip()


def _nodes(documents: Iterable[dict[str, Any]]) -> Iterator[dict[str, object]]:
    held: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for document in documents:
        held[document["node"]].append(document)
    for _, node, description in SOURCES:
        yield {
            "node": node,
            "description": description,
            "documents": len(held[node]),
            "with_answer": sum(document["has_answer"] for document in held[node]),
            "pages": len({document["page_id"] for document in held[node]}),
            "answer_chars": sum(len(document["answer"]) for document in held[node]),
        }


def _query(question: Element) -> dict[str, object]:
    qid = question.get("qid") or ""
    return {
        "query_id": _query_id(qid),
        "origin_qid": qid,
        "subject": one_line(question.findtext("Original-Question/SUBJECT")),
        "message": one_line(question.findtext("Original-Question/MESSAGE")),
        "paraphrase": one_line(question.findtext("NIST-PARAPHRASE")),
        "summary": one_line(question.findtext("NLM-Summary")),
        "foci": [
            {"text": one_line(focus.text), "category": focus.get("fcategory")}
            for focus in question.iterfind("ANNOTATIONS/FOCUS")
        ],
        "types": sorted({one_line(one.text) for one in question.iterfind("ANNOTATIONS/TYPE")}),
        "reference_answers": [_reference(answer) for answer in question.iterfind("ReferenceAnswers/*")],
    }


def _reference(answer: Element) -> dict[str, object]:
    url = paragraphs(answer.findtext("AnswerURL"))
    text = one_line(answer.findtext("ANSWER")) if may_be_repeated(url) else None
    return {"aid": answer.get("aid"), "url": url, "text": text}


def may_be_repeated(url: str) -> bool:
    """One page of the U.S. government, and no article, book, encyclopedia page or drug label, whose text others own."""
    if not re.match(r"https?://[^/\s]+\.gov/\S*$", url):
        return False
    return not re.search(r"//dailymed\.|/(pubmed|pubmedhealth|pmc|books|ency|druginfo)/", url)


def _judgements(judged: str, half: set[str], has_answer: dict[str, bool]) -> Iterator[dict[str, object]]:
    """Lines `12 3-Incomplete GARD_0000004_Sec1.txt`; grades 1 to 4 become 0 to 3."""
    for line in judged.splitlines():
        number, grade, name = line.split()
        document = name.removesuffix(".txt")
        if f"TQ{number}" in half:
            yield {
                "query_id": _query_id(f"TQ{number}"),
                "doc_id": document,
                "grade": int(grade[0]) - 1,
                "node": document.split("_")[0],
                "open": has_answer[document],
            }


def _query_id(qid: str) -> str:
    return f"LQ{int(qid.removeprefix('TQ')):03d}"


MEDQUAD: Final = Origin(
    "abachaa/MedQuAD",
    "577bd37b96c02d1833b2c9eed2de9f96964e96cb",
    Tree(
        r"\d+_\w+_QA(_XML)?/\w+\.xml|QA-TestSet-LiveQA-Med-Qrels-2479-Answers\.zip",
        files=11275,
        bytes=36715691,
        sha256="d7d71f59ab9dc01ff6229823bfc2e898474d9ff58b062382e5c2fb33f90cd4c6",
    ),
)

PACKAGE: Final = Package(
    name="medquad_liveqa",
    what="Twelve NIH sources as hospitals would be: 47,441 documents, 53 questions of the public, 1,253 judgements.",
    licence=(
        "MedQuAD CC BY 4.0 (its readme.txt); the repository of the questions names none, a public catalogue records "
        "CC BY 4.0 for it."
    ),
    citation=(
        "Ben Abacha and Demner-Fushman, A question-entailment approach to question answering, BMC Bioinformatics "
        "20:511, 2019; Ben Abacha et al., Overview of the medical question answering task at TREC 2017 LiveQA."
    ),
    made=(
        "A document is a question-answer pair, numbered by its position in its file, as the judgements number it. "
        "Three sources have titles alone: the data set's authors took the answers out. A reference answer keeps its "
        "text only where its source is a page of the U.S. government that others do not own. Half of the judged "
        "questions are here. "
        "`summary` and `paraphrase` are experts' words for the question: asking with them is an oracle. `synonyms`, "
        "`cuis` and `focus` are annotations, not text of the sources."
    ),
    origins=(
        MEDQUAD,
        Origin(
            "abachaa/LiveQA_MedicalTask_TREC2017",
            "3f5a42ccbaa0b8ff1c665a6dc23785740ab0f09f",
            (RawFile(_QUESTIONS, 266041, "f6384fcf03e9b1bd0d9a15f6ea1a1aafc9491082e63fef0922ae2d6bc451805b"),),
        ),
    ),
    records=(
        RecordFile(
            "corpus.jsonl.gz", 47441, 43544370, "3def74130df113d015fd149ecd5707ac6f0cabba94235e1a91b6bc08baa2f7e0"
        ),
        RecordFile("nodes.jsonl", 12, 2348, "3757b92f52613821a98a78f018e6b47e589591d1c7903585178c7aacc6bbf0ca"),
        RecordFile("queries_dev.jsonl", 53, 47926, "e93e183c52958b53fdd180bee01f8f92705b06ff806f3662b289085ae0decc9c"),
        RecordFile("qrels_dev.jsonl", 1253, 124351, "b629d5f182f681792679b03670e2139d49d8b1e331b7ff5cfbb63f2e10fa1b1d"),
    ),
    convert=convert,
)
