"""How a conflict is shown at a terminal."""

from datetime import date
from io import StringIO

from made_answers import made
from rich.console import Console

from fedrag.cli.render import render
from fedrag.core.answer import Conflict, ConflictKind, Quote
from fedrag.core.question import AskRequest, Question


def test_both_sides_are_shown_with_hospital_document_version_and_date_and_the_newer_is_named():
    """In one line each; a side without a date is not called newer, and nothing says which is right."""
    answer = made(AskRequest(question=Question(text="Which dose?")), text="Give 5 mg daily.")
    first, second = answer.evidence.passages
    citation = first.passage.citation.model_copy(
        update={"title": "Warfarin", "version": "2.1", "effective_date": date(2024, 3, 1)}
    )
    first = first.model_copy(update={"passage": first.passage.model_copy(update={"citation": citation})})
    conflict = Conflict(
        kind=ConflictKind.SUPERSEDED,
        first=Quote(citation=1, text="Give 5 mg."),
        second=Quote(citation=2, text="Give 9 mg."),
        newer=1,
        relevance=0.7,
    )
    evidence = answer.evidence.model_copy(update={"passages": (first, second), "conflicts": (conflict,)})
    console = Console(width=200, record=True, file=StringIO())
    console.print(render(answer.model_copy(update={"evidence": evidence})))
    lines = [line.strip(" │") for line in console.export_text().splitlines()]
    assert "Hospitals disagree (superseded)" in lines
    at = lines.index("Hospitals disagree (superseded)")
    assert lines[at + 1] == "[1] north · Warfarin · a/warfarin.md · § Dose · v2.1 · 2024-03-01, the newer: “Give 5 mg.”"
    assert lines[at + 2] == "[2] south · b/aspirin.md · § Dose: “Give 9 mg.”"
