"""The examples are what they say: every quote, passage and fact of a gold file stands where it is said to stand."""

import json
import re
from collections import Counter
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
HOSPITALS = ("harbourview", "lindenhof", "oakmere", "st-brannock")


def records(folder: str) -> list[dict]:
    return [
        json.loads(line)
        for path in sorted((EXAMPLES / folder).glob("*.jsonl"))
        for line in path.read_text().splitlines()
    ]


@pytest.fixture(scope="module")
def sections() -> dict[tuple[str, str, str], str]:
    """(node, document, section) → text, read by a few lines of our own rather than by the product."""
    found = {}
    for node in HOSPITALS:
        for path in sorted((EXAMPLES / "hospitals" / node).rglob("*.md")):
            document = path.relative_to(EXAMPLES / "hospitals" / node).as_posix()
            for part in re.split(r"^## ", path.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]:
                heading, _, text = part.partition("\n")
                found[node, document, heading.strip()] = text
    return found


def test_each_hospital_has_enough_of_its_own(sections) -> None:
    """At least 60 passages outside the notes, and notes that must never leave."""
    open_sections = Counter(node for node, document, _ in sections if not document.startswith("notes/"))
    notes = Counter(node for node, document, _ in sections if document.startswith("notes/"))
    assert min(open_sections[node] for node in HOSPITALS) >= 60
    assert min(notes[node] for node in HOSPITALS) >= 8


def test_every_quote_of_a_pair_stands_in_its_section(sections) -> None:
    """Both sides exist, at different hospitals, word for word."""
    pairs = records("conflicts")
    for pair in pairs:
        assert pair["a"]["node"] != pair["b"]["node"], pair["id"]
        for side in (pair["a"], pair["b"]):
            assert side["quote"] in sections[side["node"], side["document"], side["section"]], pair["id"]
    labels = Counter(pair["label"] for pair in pairs)
    assert labels["conflict"] >= 40
    assert labels["compatible"] >= 40


def test_every_fact_stands_in_a_gold_passage(sections) -> None:
    """Of each key fact some surface form is in some gold passage; gold is never a private note."""
    for question in records("questions"):
        gold = [sections[one["node"], one["document"], one["section"]] for one in question["gold"]]
        assert not any(one["document"].startswith("notes/") for one in question["gold"]), question["id"]
        text = " ".join(" ".join(gold).casefold().split())
        for forms in question["key_facts"]:
            assert any(" ".join(form.casefold().split()) in text for form in forms), question["id"]
        assert bool(gold) == question["answerable"], question["id"]
        assert {one["node"] for one in question["gold"]} == set(question["nodes"]), question["id"]


def test_there_are_enough_questions_of_every_kind() -> None:
    """At least 100, with options, yes/no/maybe, several hospitals and unanswerable ones; answers are balanced."""
    questions = records("questions")
    assert len(questions) >= 100
    assert len({question["id"] for question in questions}) == len(questions)
    formats = Counter(question["format"] for question in questions)
    assert min(formats[name] for name in ("choice", "yes_no_maybe", "free_text")) >= 20
    assert sum(len(question["nodes"]) > 1 for question in questions) >= 20
    assert sum(not question["answerable"] for question in questions) >= 15
    letters = Counter(q["answer"] for q in questions if q["format"] == "choice" and q["answerable"])
    assert max(letters.values()) <= 1.5 * min(letters[letter] for letter in "ABCD")
