"""Each converter turns a small origin, written here in the origin's own format, into records written here by hand."""

import io
import json
import zipfile
from collections.abc import Callable
from typing import Any

import pytest

from fedrag.core.errors import IntegrityError
from fedrag.evaluation.data import (
    PACKAGES,
    asq_phi,
    clinical_notes,
    feb4rag_selection,
    llm_routing,
    meddocan,
    medquad_crossnode,
    medquad_liveqa,
    mirage,
    presidio_synth,
    pubmedqa,
    scifact,
)
from fedrag.evaluation.data.halves import halves
from fedrag.evaluation.data.install import drawn
from fedrag.evaluation.data.markup import parse
from fedrag.evaluation.data.package import Package


def zipped(**files: str) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return packed.getvalue()


def read(made: dict[str, bytes], name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in made[name].decode().split("\n") if line]


PUBMEDQA_ROW = {
    "QUESTION": "Does it help?",
    "CONTEXTS": ["To see.", "It did, 5 µg."],
    "LABELS": ["AIM", "RESULTS"],
    "LONG_ANSWER": "It helps.",
    "MESHES": ["Humans"],
    "YEAR": None,
    "reasoning_required_pred": "yes",
    "reasoning_free_pred": "maybe",
    "final_decision": "yes",
}


def test_pubmedqa_leaves_the_test_fold_out_and_parts_the_question_from_its_abstract() -> None:
    """Ids in numeric order; the conclusion is in the question's record and nowhere in the corpus."""
    rows = {"100": {**PUBMEDQA_ROW, "QUESTION": "Later?"}, "20": PUBMEDQA_ROW, "3": PUBMEDQA_ROW}
    files = {
        "data/ori_pqal.json": json.dumps(rows).encode(),
        "data/test_ground_truth.json": b'{"3": "no"}',
    }
    made = pubmedqa.convert(files, "oncology 20\nneurology 7 100\n  3\n")
    assert [(one["query_id"], one["question"], one["node"]) for one in read(made, "questions_dev.jsonl")] == [
        ("PQ20", "Does it help?", "oncology"),
        ("PQ100", "Later?", "neurology"),
    ]
    assert made["questions_dev.jsonl"].decode().split("\n")[0] == (
        '{"query_id": "PQ20", "question": "Does it help?", "answer": "yes", "long_answer": "It helps.", '
        '"gold_doc_id": "PM20", "node": "oncology", "human_reasoning_required": "yes", '
        '"human_reasoning_free": "maybe"}'
    )
    assert made["corpus_dev.jsonl"].decode().split("\n")[0] == (
        '{"doc_id": "PM20", "node": "oncology", "text": "To see.\\nIt did, 5 µg.", "sections": '
        '[{"label": "AIM", "text": "To see."}, {"label": "RESULTS", "text": "It did, 5 µg."}], '
        '"mesh": ["Humans"], "year": null}'
    )
    assert b"It helps" not in made["corpus_dev.jsonl"]


def test_feb4rag_joins_requests_with_relevance_and_origin_and_keeps_its_half() -> None:
    """Request 2 is not in the development half; engines keep the order of the judgements' file."""
    files = {
        "dataset/engines/engines.csv": b'name,model,Description,vertical\nnf,UAE,"Medical, mostly. ",biomedical\n',
        "dataset/qrels/BEIR-QRELS-RS.txt": b"1 0 nf 20\n2 0 nf 9\n1 0 fiqa 3\n",
        "dataset/queries/requests.jsonl": b'{"_id": "1", "text": "A?", "metadata": {}}\n{"_id": "2", "text": "B?"}\n',
        "dataset/queries/rid_mapping.tsv": b"1\tnf\tPLAIN-23\n2\tfiqa\t7\n",
    }
    made = feb4rag_selection.convert(files, "1 3\n")
    assert read(made, "engines.jsonl") == [
        {"engine": "nf", "description": "Medical, mostly.", "vertical": "biomedical", "retriever": "UAE"}
    ]
    assert made["requests_dev.jsonl"] == (
        b'{"query_id": "1", "text": "A?", "origin_engine": "nf", "origin_query": "PLAIN-23", '
        b'"engine_relevance": {"nf": 20, "fiqa": 3}}\n'
    )


def test_scifact_reads_lists_as_numpy_prints_them_and_gathers_evidence_by_claim() -> None:
    """Two rows are two pieces of evidence for one claim; a claim without evidence still cites; quotes of both kinds."""
    corpus = (
        "doc_id,title,abstract,structured\n"
        '11,One,"[\'It rose.   \\n\'\n ""It\'s 5%.""]",False\n'
        "12,Two,['Only.'],True\n"
    )
    claims = (
        "id,claim,evidence_doc_id,evidence_label,evidence_sentences,cited_doc_ids\n"
        "5,It rises.,11,SUPPORT,[0 2],[11 12]\n"
        "5,It rises.,11,SUPPORT,[7],[11 12]\n"
        "6,It falls.,,,[],[12]\n"
    )
    archive = zipped(**{"corpus_train.csv": corpus, "claims_train.csv": claims})
    made = scifact.convert({"data/scifact.zip": archive}, "3\n0\n")
    assert read(made, "corpus.jsonl.gz") == [
        {
            "doc_id": "11",
            "node": "node3",
            "title": "One",
            "text": "It rose. It's 5%.",
            "sentences": ["It rose.", "It's 5%."],
            "structured": False,
        },
        {
            "doc_id": "12",
            "node": "node0",
            "title": "Two",
            "text": "Only.",
            "sentences": ["Only."],
            "structured": True,
        },
    ]
    assert read(made, "queries_dev.jsonl") == [
        {
            "query_id": "5",
            "claim": "It rises.",
            "cited_doc_ids": ["11", "12"],
            "evidence": [
                {"doc_id": "11", "label": "SUPPORT", "sentences": [0, 2]},
                {"doc_id": "11", "label": "SUPPORT", "sentences": [7]},
            ],
        },
        {"query_id": "6", "claim": "It falls.", "cited_doc_ids": ["12"], "evidence": []},
    ]
    assert [(one["query_id"], one["doc_id"], one["grade"]) for one in read(made, "qrels_dev.jsonl")] == [
        ("5", "11", 1),
        ("5", "12", 1),
        ("6", "12", 1),
    ]


def page(node: str, focus: str, synonyms: tuple[str, ...], pairs: str, category: str = "") -> bytes:
    named = "".join(f"<Synonym>{one}</Synonym>" for one in synonyms)
    return (
        f'<?xml version="1.0" encoding="UTF-8"?><Document id="9" source="{node}" url="https://x.gov/{focus}">'
        f"<Focus> {focus}\n</Focus><FocusAnnotations>{category}<UMLS><CUIs><CUI>C01</CUI></CUIs><SemanticTypes>"
        "<SemanticType>T047</SemanticType></SemanticTypes><SemanticGroup>Disorders</SemanticGroup></UMLS>"
        f"<Synonyms>{named}</Synonyms></FocusAnnotations><QAPairs>{pairs}</QAPairs></Document>"
    ).encode()


def pair(pid: int, kind: str, answer: str) -> str:
    return (
        f'<QAPair pid="{pid}"><Question qid="q" qtype="{kind}">What  is\n it ?</Question>'
        f"<Answer>{answer}</Answer></QAPair>"
    )


MEDQUAD = {
    "2_GARD_QA/0000004.xml": page(
        "GARD",
        "Gout",
        ("Podagra", "Urate"),
        pair(1, "information", "Key  Points\n   - It\t hurts.\n\n  More &amp; more. ")
        + pair(5, "exams and tests", "Look."),
    ),
    "9_CDC_QA/0000397.xml": page("CDC", "Gout, acute", ("Urate", "Big toe"), pair(2, "exams and tests", "Ask.")),
    "10_MPlus_ADAM_QA/0000001.xml": page(
        "ADAM", "Gout", (), pair(1, "information", " \n"), "<Category>Disease</Category>"
    ),
}
JUDGED = "QA-TestSet-LiveQA-Med-Qrels-2479-Answers"
QUESTIONS = b"""<?xml version="1.0"?><Set>
<NLM-QUESTION qid="TQ2"><Original-Question><SUBJECT>gout</SUBJECT><MESSAGE>my  toe
 hurts</MESSAGE></Original-Question><NIST-PARAPHRASE>P?</NIST-PARAPHRASE><NLM-Summary> S? </NLM-Summary>
<ANNOTATIONS><FOCUS fcategory="Problem">gout</FOCUS>
<TYPE>TREATMENT</TYPE><TYPE>CAUSE</TYPE><TYPE>CAUSE</TYPE></ANNOTATIONS>
<ReferenceAnswers>
<RefAnswer aid="A1"><ANSWER> Ice
 it. </ANSWER><AnswerURL> https://www.cdc.gov/gout.html </AnswerURL></RefAnswer>
<ReferenceAnswer aid="A2"><ANSWER>Owned.</ANSWER><AnswerURL>https://medlineplus.gov/ency/1.htm</AnswerURL></ReferenceAnswer>
<ReferenceAnswer aid="A3"><ANSWER>Two.</ANSWER><AnswerURL>1. https://www.cdc.gov/a
 2. https://www.cdc.gov/b</AnswerURL></ReferenceAnswer>
</ReferenceAnswers></NLM-QUESTION>
<NLM-QUESTION qid="TQ3"><Original-Question><SUBJECT>held out</SUBJECT></Original-Question></NLM-QUESTION></Set>"""


def test_medquad_documents_are_numbered_by_position_and_keep_their_lines() -> None:
    """The `pid` 5 is the second pair of its file; a title-only answer is empty; sources come in their own order."""
    documents = list(medquad_liveqa.corpus(MEDQUAD))
    assert documents[0] == {
        "doc_id": "GARD_0000004_Sec1",
        "node": "GARD",
        "page_id": "GARD_0000004",
        "question": "What is it ?",
        "answer": "Key Points\n- It hurts.\nMore & more.",
        "has_answer": True,
        "qtype": "information",
        "focus": "Gout",
        "synonyms": ["Podagra", "Urate"],
        "cuis": ["C01"],
        "semantic_types": ["T047"],
        "semantic_group": "Disorders",
        "category": None,
        "url": "https://x.gov/Gout",
    }
    assert [(one["doc_id"], one["answer"], one["category"]) for one in documents[1:]] == [
        ("GARD_0000004_Sec2", "Look.", None),
        ("CDC_0000397_Sec1", "Ask.", None),
        ("ADAM_0000001_Sec1", "", "Disease"),
    ]


def test_liveqa_questions_keep_their_half_and_only_texts_that_may_be_repeated() -> None:
    """Question 3 stays out; grades 1 to 4 become 0 to 3; an encyclopedia page and a double source lose their text."""
    lines = (
        "2 4-Excellent GARD_0000004_Sec1.txt",
        "2 1-Incorrect ADAM_0000001_Sec1.txt",
        "3 3-Incomplete CDC_0000397_Sec1.txt",
    )
    name = f"{JUDGED}/All-qrels_LiveQAMed2017-TestQuestions_2479_Judged-Answers.txt"
    files = {
        **MEDQUAD,
        "TestDataset/TREC-2017-LiveQA-Medical-Test-Questions-w-summaries.xml": QUESTIONS,
        f"{JUDGED}.zip": zipped(**{name: "\n".join(lines)}),
    }
    made = medquad_liveqa.convert(files, "TQ2")
    assert read(made, "queries_dev.jsonl") == [
        {
            "query_id": "LQ002",
            "origin_qid": "TQ2",
            "subject": "gout",
            "message": "my toe hurts",
            "paraphrase": "P?",
            "summary": "S?",
            "foci": [{"text": "gout", "category": "Problem"}],
            "types": ["CAUSE", "TREATMENT"],
            "reference_answers": [
                {"aid": "A1", "url": "https://www.cdc.gov/gout.html", "text": "Ice it."},
                {"aid": "A2", "url": "https://medlineplus.gov/ency/1.htm", "text": None},
                {"aid": "A3", "url": "1. https://www.cdc.gov/a\n2. https://www.cdc.gov/b", "text": None},
            ],
        }
    ]
    assert read(made, "qrels_dev.jsonl") == [
        {"query_id": "LQ002", "doc_id": "GARD_0000004_Sec1", "grade": 3, "node": "GARD", "open": True},
        {"query_id": "LQ002", "doc_id": "ADAM_0000001_Sec1", "grade": 0, "node": "ADAM", "open": False},
    ]
    nodes = {one["node"]: one for one in read(made, "nodes.jsonl")}
    assert len(nodes) == 12
    counts = ("documents", "with_answer", "pages", "answer_chars")
    assert [nodes["GARD"][name] for name in counts] == [2, 2, 1, len("Key Points\n- It hurts.\nMore & more.") + 5]
    assert [nodes["ADAM"][name] for name in counts] == [1, 0, 1, 0]


@pytest.mark.parametrize(
    ("url", "may"),
    [
        ("https://livertox.nih.gov/Atorvastatin.htm", True),
        ("https://medlineplus.gov/diabetes.html", True),
        ("https://medlineplus.gov/druginfo/meds/a6.html", False),
        ("https://dailymed.nlm.nih.gov/dailymed/drugInfo.cfm?setid=3", False),
        ("https://www.ncbi.nlm.nih.gov/pmc/articles/PMC25/", False),
        ("https://www.ncbi.nlm.nih.gov/books/NBK1124/", False),
        ("https://cdc.gov.example.org/", False),
        ("http://www.mayoclinic.org/x.gov/", False),
    ],
)
def test_whose_text_may_be_repeated(url: str, may: bool) -> None:
    """Government pages only, and none whose text belongs to a publisher."""
    assert medquad_liveqa.may_be_repeated(url) is may


def test_crossnode_asks_by_the_named_synonym_and_finds_every_owner() -> None:
    """Synonym 2 is Big toe, in the order of documents; documents of that type at both owners are relevant."""
    made = medquad_crossnode.convert(MEDQUAD, "C01 exams-and-tests 2\nC01 information 0\n")
    assert made["queries_dev.jsonl"].decode().split("\n")[0] == (
        '{"query_id": "XN_C01_exams-and-tests", "text": "How is Big toe diagnosed?", "concept": "C01", '
        '"qtype": "exams and tests", "synonym": "Big toe", "relevant_nodes": ["CDC", "GARD"]}'
    )
    assert [(one["query_id"], one["doc_id"], one["node"]) for one in read(made, "qrels_dev.jsonl")] == [
        ("XN_C01_exams-and-tests", "CDC_0000397_Sec1", "CDC"),
        ("XN_C01_exams-and-tests", "GARD_0000004_Sec2", "GARD"),
        ("XN_C01_information", "GARD_0000004_Sec1", "GARD"),
    ]


ARM_FOLDERS = (
    "cot/OpenAI/gpt-35-turbo-16k",
    "cot/OpenAI/gpt-4-32k",
    "rag_32/OpenAI/gpt-35-turbo-16k/medcorp/RRF-4",
    "rag_32/OpenAI/gpt-4-32k/medcorp/RRF-4",
)


def mirage_files(outputs: dict[str, tuple[list[str], ...]]) -> dict[str, bytes]:
    """One MMLU file of two questions, two MedQA, one MedMCQA, one BioASQ edition; arms answer as told, else nothing."""
    subjects = ("anatomy", "clinical_knowledge", "college_biology", "college_medicine", "medical_genetics")
    raw: dict[str, str] = {
        f"rawdata/mmlu/data/test/{subject}_test.csv": "" for subject in (*subjects, "professional_medicine")
    }
    raw["rawdata/mmlu/data/test/anatomy_test.csv"] = 'Left?,a,b,c,d,A\n"Which, then?",w,x,y,z,D\n'
    raw["rawdata/medqa/data_clean/questions/US/4_options/phrases_no_exclude_test.jsonl"] = "".join(
        json.dumps({"question": text, "options": {"A": "1", "B": "2"}, "answer_idx": "B", "meta_info": "step1"}) + "\n"
        for text in ("Left out?", "Kept?")
    )
    medmcqa = {"question": "M?", "cop": 3, "opa": "1", "opb": "2", "opc": "3", "opd": "4", "subject_name": "Surgery"}
    raw["rawdata/medmcqa/data/dev.json"] = json.dumps({**medmcqa, "id": "u-1"}) + "\n"
    bioasq = [
        {"id": "b1", "type": "factoid", "body": "What?"},
        {"id": "b2", "type": "yesno", "body": "Is it?", "exact_answer": "No", "documents": ["http://x/pubmed/77"]},
    ]
    raw["rawdata/bioasq/Task8BGoldenEnriched/8B1_golden.json"] = json.dumps({"questions": bioasq})
    relevant = {"bioasq": {}, "medmcqa": {}, "medqa": {"0001": ["wikipedia", "pubmed"]}, "mmlu": {}}
    for dataset, found in relevant.items():
        raw[f"scripts/train/medrag_relevance/{dataset}_relevant_top_32.json"] = json.dumps(found)
    for name, texts in outputs.items():
        dataset, rest = name.split("/")
        for folder, text in zip(ARM_FOLDERS, texts, strict=True):
            raw[f"prediction/{dataset}/{folder}/{rest}.json"] = json.dumps(text)
    return {path: text.encode() for path, text in raw.items()}


def test_mirage_takes_its_half_and_reads_an_unreadable_answer_as_wrong() -> None:
    """Bits 01 of MMLU and MedQA and 1 of MedMCQA: the second, the second, the first; BioASQ yes/no all."""
    said = (
        ['{"answer_choice": "B"}'],  # a letter
        ['{"step_by_step_thinking": "so "it" is", "answer_choice": "B. Two"}'],  # broken JSON, a letter and words
        ['{"answer_choice": "Both of the pairs"}'],  # B is the first letter of a word
        ["The response was filtered"],  # no answer at all
    )
    nothing: tuple[list[str], ...] = ([], ['{"answer_choice": "C"}'], ['{"answer_choice":"E"}'], ["x" * 7000])
    outputs = {
        "medqa/test_0001": said,
        "mmlu/test_anatomy-001": nothing,
        "medmcqa/dev_u-1": nothing,
        "bioasq/test_b2": nothing,
    }
    made = mirage.convert(mirage_files(outputs), "mmlu 4\nmedqa\n  4\nmedmcqa 8\n")
    questions = {str(one["id"]): one for one in read(made, "questions_dev.jsonl")}
    assert list(questions) == ["bioasq/b2", "medmcqa/u-1", "medqa/0001", "mmlu/anatomy-001"]
    assert questions["medqa/0001"] == {
        "id": "medqa/0001",
        "dataset": "medqa",
        "question": "Kept?",
        "options": {"A": "1", "B": "2"},
        "answer": "B",
        "subject": "step1",
        "arms": {
            "gpt35_cot": {"choice": "B", "correct": True, "output_chars": 22, "failed": False},
            "gpt4_cot": {"choice": "B", "correct": True, "output_chars": 66, "failed": False},
            "gpt35_rag32": {"choice": None, "correct": False, "output_chars": 38, "failed": False},
            "gpt4_rag32": {"choice": None, "correct": False, "output_chars": 25, "failed": True},
        },
        "relevant_corpora": ["pubmed", "wikipedia"],
    }
    assert questions["mmlu/anatomy-001"]["question"] == "Which, then?"
    assert questions["mmlu/anatomy-001"]["options"] == {"A": "w", "B": "x", "C": "y", "D": "z"}
    assert questions["mmlu/anatomy-001"]["arms"] == {
        "gpt35_cot": {"choice": None, "correct": False, "output_chars": 0, "failed": True},
        "gpt4_cot": {"choice": "C", "correct": False, "output_chars": 22, "failed": False},
        "gpt35_rag32": {"choice": None, "correct": False, "output_chars": 21, "failed": False},
        "gpt4_rag32": {"choice": None, "correct": False, "output_chars": 7000, "failed": True},
    }
    assert questions["medmcqa/u-1"]["answer"] == "C"
    assert questions["medmcqa/u-1"]["arms"]["gpt4_cot"]["correct"] is True
    assert {name: questions["bioasq/b2"][name] for name in ("edition", "answer", "pmids")} == {
        "edition": 8,
        "answer": "B",
        "pmids": ["77"],
    }
    # of two options C is none
    assert questions["bioasq/b2"]["arms"]["gpt4_cot"]["choice"] is None
    traces = {str(one["id"]): one["traces"] for one in read(made, "traces_dev.jsonl.gz")}
    assert list(traces) == list(questions)
    assert traces["medqa/0001"]["gpt4_rag32"] == "The response was filtered"
    assert [len(text) for text in traces["medmcqa/u-1"].values()] == [0, 22, 21, 6000]


def test_llm_routing_parts_prompts_and_joins_three_files_on_the_problem() -> None:
    """Bit 01 of each: the second question, the second problem; an answer loses its separators."""
    mmlu = (
        "prompt,mistralai/Mixtral-8x7B-Instruct-v0.1,gpt-4-1106-preview\n"
        '"First?\nA. 1\nB. 2\nC. 3\nD. 4\nAnswer:",True,True\n'
        '"Two lines,\nreally?\nA. a\nB. b, c\nC. d\nD. e\nAnswer:",True,False\n'
    )
    problems = [
        {"question": "P?", "answer": "So.\n#### 1"},
        {"question": "Q?", "answer": "5*9=<<5*9=45>>45\nx=<<45*100=4500>>4500\n#### 4,500"},
    ]
    arms = ("6b_finetuning", "6b_verification", "175b_finetuning", "175b_verification")
    earlier = [
        {"question": text, **{arm: {"is_correct": arm == "6b_verification", "solution": "A: 1"} for arm in arms}}
        for text in ("Q?", "P?")
    ]
    answers = (
        "prompt,mistralai/Mixtral-8x7B-Instruct-v0.1,gpt-4-1106-preview,"
        "mistralai/Mixtral-8x7B-Instruct-v0.1_response,gpt-4-1106-preview_response\n"
        "Q?,False,True,no,yes!\nP?,True,True,a,b\n"
    )
    files = {
        "routellm/evals/mmlu/responses/mmlu_anatomy.csv": mmlu.encode(),
        "routellm/evals/gsm8k/gsm8k_responses.csv": answers.encode(),
        "grade_school_math/data/test.jsonl": "\n".join(map(json.dumps, problems)).encode(),
        "grade_school_math/data/example_model_solutions.jsonl": "\n".join(map(json.dumps, earlier)).encode(),
    }
    made = llm_routing.convert(files, "mmlu 4\ngsm8k 4\n")
    assert read(made, "mmlu_dev.jsonl") == [
        {
            "id": "mmlu/anatomy-001",
            "subject": "anatomy",
            "medical": True,
            "question": "Two lines,\nreally?",
            "options": {"A": "a", "B": "b, c", "C": "d", "D": "e"},
            "arms": {"mixtral-8x7b": {"correct": True}, "gpt-4-1106": {"correct": False}},
        }
    ]
    assert read(made, "gsm8k_dev.jsonl") == [
        {
            "id": "gsm8k/0001",
            "question": "Q?",
            "answer": "4500",
            "solution": "5*9=<<5*9=45>>45\nx=<<45*100=4500>>4500",
            "solution_steps": 2,
            "arms": {
                "gpt3-6b-finetuning": {"correct": False, "output_chars": 4},
                "gpt3-6b-verification": {"correct": True, "output_chars": 4},
                "gpt3-175b-finetuning": {"correct": False, "output_chars": 4},
                "gpt3-175b-verification": {"correct": False, "output_chars": 4},
                "mixtral-8x7b": {"correct": False, "output_chars": 2},
                "gpt-4-1106": {"correct": True, "output_chars": 4},
            },
        }
    ]


def test_asq_phi_finds_each_value_in_its_text() -> None:
    """In the order of the text; one that is not there comes last, without a place; number 1 is the other half's."""
    text = (
        '===QUERY===\nMr. Ann B. at St. X on May 3?\n===PHI_TAGS===\n{"identifier_type": "DATE", "value": "May 3"}\n'
        '{"identifier_type": "LOCATION", "value": "Saint X"}\n{"identifier_type": "NAME", "value": "Ann B."}\n\n'
        "===QUERY===\nLeft out?\n===PHI_TAGS===\n\n===QUERY===\nA 55-year-old?\n===PHI_TAGS===\n\n"
    )
    made = asq_phi.convert({"data/synthetic_clinical_queries.txt": text.encode()}, "0 2")
    assert read(made, "queries_dev.jsonl") == [
        {
            "id": "ASQ0000",
            "text": "Mr. Ann B. at St. X on May 3?",
            "phi": [
                {"type": "NAME", "value": "Ann B.", "start": 4, "end": 10},
                {"type": "DATE", "value": "May 3", "start": 23, "end": 28},
                {"type": "LOCATION", "value": "Saint X", "start": None, "end": None},
            ],
            "hard_negative": False,
        },
        {"id": "ASQ0002", "text": "A 55-year-old?", "phi": [], "hard_negative": True},
    ]


def test_presidio_orders_identifiers_by_their_place() -> None:
    spans = [
        {"entity_type": "CITY", "entity_value": "Rome", "start_position": 8, "end_position": 12},
        {"entity_type": "PERSON", "entity_value": "Ann", "start_position": 0, "end_position": 3},
    ]
    rows = [{"full_text": "Ann, in Rome", "masked": "…", "spans": spans, "template_id": 7, "metadata": None}]
    made = presidio_synth.convert({"data/synth_dataset_v2.json": json.dumps(rows).encode()}, "")
    assert made["sentences_dev.jsonl"].decode() == (
        '{"id": "PR0000", "text": "Ann, in Rome", "template_id": 7, "phi": '
        '[{"type": "PERSON", "value": "Ann", "start": 0, "end": 3}, '
        '{"type": "CITY", "value": "Rome", "start": 8, "end": 12}]}\n'
    )


def test_clinical_notes_mark_known_names_as_whole_words() -> None:
    """Ann in capitals or not, never in Annual; an empty name is none; short visits come last and know no names."""
    header = "dataset,encounter_id,dialogue,note\n"
    known = (
        "dataset,encounter_id,id,doctor_name,patient_gender,patient_age,patient_firstname,patient_familyname,cc,"
        "2nd_complaints\n"
    )
    short = "ID,section_header,section_text,dialogue\n"
    aci, mts = "data/challenge_data/", "Main-Dataset/MTS-Dialog-"
    files = {
        f"{aci}train.csv": f"{header}aci,D2N1,[doctor] hi ann,Annual exam of Ann Lee.\n",
        f"{aci}train_metadata.csv": f"{known}aci,D2N1,V1,,female ,,Ann ,Lee,knee,\n",
        f"{aci}valid.csv": header,
        f"{aci}valid_metadata.csv": known,
        f"{aci}clinicalnlp_taskB_test1.csv": header,
        f"{aci}clinicalnlp_taskB_test1_metadata.csv": known,
        f"{mts}TestSet-1-MEDIQA-Chat-2023.csv": f'{short}0,CC,"Cough.","Doctor: Well?\nPatient: A cough. "\n',
        f"{mts}TrainingSet.csv": short,
        f"{mts}ValidationSet.csv": short,
    }
    made = clinical_notes.convert({path: text.encode() for path, text in files.items()}, "")
    assert read(made, "encounters_dev.jsonl") == [
        {
            "doc_id": "D2N1",
            "node": "site_aci",
            "source": "aci-bench",
            "fold": "train",
            "note": "Annual exam of Ann Lee.",
            "dialogue": "[doctor] hi ann",
            "section": None,
            "patient": {"gender": "female ", "age": None, "chief_complaint": "knee", "other": None},
            "known_identifiers": [
                {"kind": "patient_first_name", "value": "Ann", "in_note": [[15, 18]], "in_dialogue": [[12, 15]]},
                {"kind": "patient_family_name", "value": "Lee", "in_note": [[19, 22]], "in_dialogue": []},
            ],
        },
        {
            "doc_id": "MTS_TestSet-1_0",
            "node": "site_mts",
            "source": "mts-dialog",
            "fold": "TestSet-1",
            "note": "Cough.",
            "dialogue": "Doctor: Well?\nPatient: A cough.",
            "section": "CC",
            "patient": None,
            "known_identifiers": [],
        },
    ]


def test_meddocan_takes_the_two_official_folds_and_spans_alone() -> None:
    """Train before dev, by name; notes of the annotators (`#1`) are no identifiers; texts keep their last line feed."""
    files = {
        "corpus/dev/brat/S1.txt": b"Edad: 7.\n",
        "corpus/dev/brat/S1.ann": b"",
        "corpus/train/brat/S2.txt": "Año. Ana, Lugo.\n".encode(),
        "corpus/train/brat/S2.ann": b"T1\tTERRITORIO 10 14\tLugo\nT2\tNOMBRE 5 8\tAna\n#1\tAnnotatorNotes T2\tx\n",
    }
    made = meddocan.convert(files, "")
    assert read(made, "documents_dev.jsonl.gz") == [
        {
            "id": "S2",
            "fold": "train",
            "text": "Año. Ana, Lugo.\n",
            "phi": [
                {"type": "NOMBRE", "value": "Ana", "start": 5, "end": 8},
                {"type": "TERRITORIO", "value": "Lugo", "start": 10, "end": 14},
            ],
        },
        {"id": "S1", "fold": "dev", "text": "Edad: 7.\n", "phi": []},
    ]


@pytest.mark.parametrize(
    "document",
    [
        b'<!DOCTYPE a [<!ENTITY b "boom">]><a>&b;</a>',
        b'<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>',
        '<?xml version="1.0" encoding="UTF-16"?><!DOCTYPE a [<!ENTITY b "boom">]><a>&b;</a>'.encode("utf-16"),
        b"<a><b></a>",
        b"<a>&undeclared;</a>",
        b'<?xml version="1.0" encoding="no-such"?><a/>',
    ],
    ids=["entity", "external", "in another encoding", "not well-formed", "undeclared", "unknown encoding"],
)
def test_xml_that_declares_a_type_or_is_broken_is_refused(document: bytes) -> None:
    """Entities cannot be declared anywhere else, so none is ever expanded."""
    with pytest.raises(IntegrityError) as caught:
        parse(document)
    assert caught.value.code == "bad_xml"


def bits(text: str, *names: str) -> int:
    """Chosen questions of the named sets."""
    return sum(halves(text)[name].count("1") for name in names)


DRAWN: dict[str, tuple[str, Callable[[str], int]]] = {
    "pubmedqa": ("questions_dev.jsonl", lambda text: len({word for word in text.split() if word.isdecimal()})),
    "feb4rag_selection": ("requests_dev.jsonl", lambda text: len(set(text.split()))),
    "scifact": ("corpus.jsonl.gz", lambda text: len("".join(text.split()))),
    "medquad_liveqa": ("queries_dev.jsonl", lambda text: len(set(text.split()))),
    "medquad_crossnode": ("queries_dev.jsonl", lambda text: len(set(text.splitlines()))),
    # BioASQ's 409 are chosen by edition, not drawn
    "mirage": ("questions_dev.jsonl", lambda text: bits(text, "mmlu", "medqa", "medmcqa") + 409),
    "llm_routing": ("mmlu_dev.jsonl", lambda text: bits(text, "mmlu")),
    "asq_phi": ("queries_dev.jsonl", lambda text: len(set(text.split()))),
    "meddocan": ("documents_dev.jsonl.gz", lambda text: 750 + len(text)),  # its folds are the official ones
    "clinical_notes": ("encounters_dev.jsonl", lambda text: 1628 + len(text)),
    "presidio_synth": ("sentences_dev.jsonl", lambda text: 1500 + len(text)),  # nothing is left out
}


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.name)
def test_what_was_drawn_once_fits_the_pinned_records(package: Package) -> None:
    """As many questions, shards or bits as the package has records of them."""
    name, count = DRAWN[package.name]
    assert count(drawn(package.name)) == {one.name: one.records for one in package.records}[name]


def test_halves_are_bits_in_the_order_of_questions() -> None:
    """5 is 0101; digits go on over indented lines; the first question's bit is the highest."""
    assert halves("a 5\nb c\n  0f\n") == {"a": "0101", "b": "110000001111"}
