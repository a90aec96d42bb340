"""Guards: gold stays in this package, inputs are named by hash, a missing input prints no number."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from fedrag.cli.evaluate import Choices, _command, _suite
from fedrag.core.errors import ConfigError, FedragError, InputError
from fedrag.evaluation import SUITES, run_all, run_suite, suite_names
from fedrag.evaluation.circumstances import digest_of
from fedrag.evaluation.run import Half, Run

ROOT = Path(__file__).parents[2]
GOLD = re.compile(r"qrels|questions_dev|queries_dev|requests_dev|long_answer|origin_engine|relevant_corpora|pmids")
CHOICES = Choices(
    suite=None,
    limit=None,
    half="seen",
    seed=0,
    nodes=None,
    split=None,
    questions=None,
    url=None,
    key="the-secret-key",
    authority=None,
    central_url=None,
    model_url=None,
    model=None,
    model_key="the-secret-key",
    judge_url=None,
    judge=None,
    judge_key="the-secret-key",
    output=Path("runs"),
    data=None,
)


@contextmanager
def silent(what: str) -> Iterator[object]:
    yield lambda done, total: None


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(data=tmp_path, limit=None, half=Half.SEEN, output=tmp_path / "runs", progress=silent, command="test")


def test_serving_code_names_no_gold_file() -> None:
    """Whatever answers questions cannot read what answers them: gold is named in the evaluation alone."""
    for package in ("fedrag", "retriever_node", "router", "aggregator", "reasoner"):
        for path in sorted((ROOT / package).rglob("*.py")):
            if "evaluation" not in path.parts:
                assert not GOLD.search(path.read_text(encoding="utf-8")), path


@pytest.mark.parametrize(
    ("suite", "forbidden"),
    [
        ("pubmedqa", r'\["(long_answer|human_reasoning_free|mesh)"\]'),
        ("feb4rag", r'\["(origin_query|vertical)"\]'),
        ("mirage", r'"(pmids|arms)"'),
        ("mirage_recorded", r'\["(pmids|relevant_corpora)"\]'),
        ("medquad_crossnode", r'\["(synonyms?|cuis|qtype|focus|relevant_nodes)"\]'),
        ("medquad_liveqa", r'\["(synonyms|cuis|focus|summary|paraphrase|reference_answers)"\]'),
    ],
)
def test_fields_that_give_the_answer_away_are_never_read(suite: str, forbidden: str) -> None:
    """Not even into a variable."""
    text = (ROOT / "fedrag" / "evaluation" / "suites" / f"{suite}.py").read_text(encoding="utf-8")
    assert not re.search(forbidden, text)


WITH_THE_PACKAGE = {
    "examples": "examples_folder",
    "injection": "examples_folder",
    "poisoning": "examples_folder",
    "sovereignty": "sources",
}
"""Suites whose inputs are never missing, and where they take them from."""


@pytest.mark.parametrize("suite", [name for name in suite_names() if name not in WITH_THE_PACKAGE])
def test_a_missing_input_prints_no_number(suite: str, run) -> None:
    """The suite ends in an error before a report is written."""
    with pytest.raises((ConfigError, InputError)):
        run_suite(suite, run)
    assert not list(run.output.rglob("report.*"))


def test_all_measures_what_it_can_and_names_what_it_cannot(run, monkeypatch) -> None:
    """Without data only the examples could be measured; here they are missing too."""

    def missing(*_: object) -> object:
        raise ConfigError("gone", code="no_examples")

    for suite, inputs in WITH_THE_PACKAGE.items():
        monkeypatch.setattr(f"fedrag.evaluation.suites.{suite}.{inputs}", missing)
    reports, errors = run_all(run)
    assert reports == ()
    assert {name for name, _ in errors} == set(suite_names()) - {"own", "mirage"}
    assert all(isinstance(error, FedragError) for _, error in errors)


def test_a_report_names_its_inputs_by_hash(run, tmp_path) -> None:
    """Another byte in the corpus is another hash, and another run."""
    package = tmp_path / "feb4rag_selection"
    package.mkdir()
    (package / "engines.jsonl").write_text(json.dumps({"engine": "a", "description": "one"}) + "\n")
    before = digest_of(package / "engines.jsonl"), digest_of(package)
    (package / "engines.jsonl").write_text(json.dumps({"engine": "b", "description": "one"}) + "\n")
    assert digest_of(package / "engines.jsonl") != before[0]
    assert digest_of(package) != before[1]
    (package / "engines.jsonl").rename(package / "others.jsonl")
    renamed = digest_of(package)
    (package / "others.jsonl").rename(package / "engines.jsonl")
    assert digest_of(package) != renamed


def test_every_suite_is_a_file_in_the_documentation() -> None:
    """Name, file and row of the document are one."""
    text = (ROOT / "docs" / "evaluation.md").read_text(encoding="utf-8")
    for name in suite_names():
        assert name == "own" or f"| `{name}` |" in text
        assert (ROOT / "fedrag" / "evaluation" / "suites" / f"{name.replace('-', '_')}.py").is_file()
    assert len(SUITES.names) == len(set(SUITES.names))


def test_the_command_line_is_repeated_without_the_key() -> None:
    """A report is published; the key is not."""
    chosen = replace(CHOICES, questions=Path("/somewhere/mine.jsonl"), url="http://127.0.0.1:9", limit=3)
    suite, service = _suite(chosen)
    assert suite == "own"
    assert service is not None
    assert service.key == "the-secret-key"
    assert _command(suite, chosen) == "fedrag evaluate --questions mine.jsonl --url http://127.0.0.1:9 --limit 3"


@pytest.mark.parametrize(
    "chosen",
    [
        CHOICES,
        replace(CHOICES, suite="own"),
        replace(CHOICES, questions=Path("mine.jsonl")),
        replace(CHOICES, suite="scifact", questions=Path("mine.jsonl"), url="http://127.0.0.1:9"),
    ],
)
def test_options_that_do_not_belong_together_are_refused(chosen: Choices) -> None:
    """No suite and no questions; questions without a service, or with a suite."""
    with pytest.raises(InputError):
        _suite(chosen)
