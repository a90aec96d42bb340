"""The small trained heads: arithmetic, the shipped file, and how they are fitted."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

import reasoner
from fedrag.core.errors import InputError
from fedrag.encoders import ENCODERS
from reasoner.answerability import ANSWERABLE_FEATURES
from reasoner.conclusion import CONFIDENCE_FEATURES
from reasoner.confidence import MODEL_FEATURES
from reasoner.heads import FILE, Head, load, logit, sigmoid, softmax
from reasoner.options import OPTION_FEATURES
from reasoner.statements import SUPPORT_FEATURES
from reasoner.training import cases, fit_heads
from reasoner.training.maximum_posterior import Decision, fit, yes_or_no
from reasoner.verdict import LEANING_FEATURES, UNDECIDED_FEATURES


def test_a_head_is_a_weighted_sum_through_a_sigmoid() -> None:
    """1 + 2·3 - 1·4 = 3, and 1 / (1 + e^-3) = 0.952574."""
    head = Head(features=("a", "b"), coefficients=(2.0, -1.0), intercept=1.0)
    assert head.logit((3.0, 4.0)) == 3.0
    assert head.probability((3.0, 4.0)) == pytest.approx(0.952574, abs=1e-6)


def test_a_head_with_a_coefficient_missing_is_refused() -> None:
    """As many coefficients as features."""
    with pytest.raises(ValidationError):
        Head(features=("a", "b"), coefficients=(1.0,))


@given(st.floats(-1e6, 1e6))
def test_sigmoid_stays_inside_its_range(value) -> None:
    """No overflow, never quite 0 or 1."""
    assert 0 < sigmoid(value) < 1


@given(st.floats(0.01, 0.99))
def test_logit_undoes_sigmoid(probability) -> None:
    """Away from the margins they are inverse."""
    assert sigmoid(logit(probability)) == pytest.approx(probability)


def test_softmax_of_equal_values_is_uniform_and_survives_large_ones() -> None:
    """Shifted by the largest, so nothing overflows."""
    assert softmax([1000.0, 1000.0]) == (0.5, 0.5)


def test_the_shipped_heads_fit_the_code_that_uses_them() -> None:
    """Feature by feature, in order; and the file says what it was fitted on and how well that went."""
    heads = load()
    assert heads.support.features == SUPPORT_FEATURES
    assert heads.option.features == OPTION_FEATURES
    assert heads.leaning.features == LEANING_FEATURES
    assert heads.undecided.features == UNDECIDED_FEATURES
    assert heads.answerable.features == ANSWERABLE_FEATURES
    assert heads.confidence.model.features == MODEL_FEATURES
    for head in (heads.confidence.choice, heads.confidence.verdict, heads.confidence.text):
        assert head.features == CONFIDENCE_FEATURES
    assert {"by", "data", "questions", "encoder", "cross_validated"} <= set(heads.fitted)


def test_the_signs_of_the_shipped_heads_make_sense() -> None:
    """More alike, more agreeing, better known: never less probable."""
    heads = load()
    sign = dict(zip(heads.answerable.features, heads.answerable.coefficients, strict=True))
    assert sign["sentence"] > 0 > sign["unknown"]
    assert all(value > 0 for value in heads.option.coefficients)
    assert heads.leaning.coefficients[0] > 0
    assert dict(zip(heads.support.features, heads.support.coefficients, strict=True))["similarity"] > 0


def test_the_fit_is_the_minimum_a_grid_finds() -> None:
    """Two parameters, six examples: no point of a fine grid has a lower penalised loss."""
    data = [(0.1, False), (0.4, True), (0.5, False), (0.7, True), (0.9, True), (0.2, False)]
    examples = [yes_or_no((value,), label) for value, label in data]
    mean, deviation = np.array([0.5, 0.0]), np.array([2.0, 1.0])

    def loss(slope: float, intercept: float) -> float:
        total = ((slope - 0.5) / 2) ** 2 / 2 + intercept**2 / 2
        for value, label in data:
            z = slope * value + intercept
            total += math.log1p(math.exp(-z if label else z))
        return total

    theta = fit(examples, mean, deviation)
    grid = min(loss(a / 50, b / 50) for a in range(-100, 300) for b in range(-150, 150))
    assert loss(*theta) <= grid
    assert loss(*theta) == pytest.approx(grid, abs=1e-3)


def test_a_choice_is_fitted_like_the_binary_case_it_contains() -> None:
    """Two alternatives that differ by x are a binary decision about x."""
    pairs = [Decision(np.array([[1.0], [0.0]]), 0), Decision(np.array([[2.0], [2.5]]), 1)]
    binary = [Decision(np.array([[1.0], [0.0]]), 0), Decision(np.array([[0.5], [0.0]]), 0)]
    prior = np.array([0.0]), np.array([1.0])
    assert fit(pairs, *prior) == pytest.approx(fit(binary, *prior))


def _seen_ids(wanted: bool, count: int) -> list[str]:
    return [name for name in (f"q{number}" for number in range(100)) if cases.seen(name) is wanted][:count]


@pytest.fixture
def gold_files(tmp_path, evidence) -> tuple[Path, Path]:
    """Four seen questions and one unseen, with evidence for each."""
    seen, (unseen,) = _seen_ids(True, 4), _seen_ids(False, 1)
    records = [
        {"format": "choice", "text": "How much for adults?", "options": {"A": "5 mg", "B": "2.5 mg"}, "answer": "A"},
        {"format": "yes_no_maybe", "text": "May adults take it?", "answer": "yes"},
        {"format": "free_text", "text": "How much for adults?", "answer": "5 mg"},
        {"format": "free_text", "text": "What of zanubrutinib?", "answer": "", "answerable": False},
        {"format": "free_text", "text": "Held out?", "answer": "secret"},
    ]
    questions, found = [], []
    for name, record in zip([*seen, unseen], records, strict=True):
        answerable = record.get("answerable", True)
        gold = [{"node": "a", "document": "sheets/1.md", "section": "Section"}] if answerable else []
        facts = [["5 mg"]] if answerable else []
        questions.append({"id": name, "answerable": answerable, "gold": gold, "key_facts": facts, "extra": 1} | record)
        released = evidence(("a", "Adults may take 5 mg daily. It is kept cold."), ("b", "Children may take 2.5 mg."))
        renamed = released.model_dump(mode="json")
        renamed["passages"][0]["passage"]["citation"]["document_name"] = "1.md"
        found.append({"id": name, "evidence": renamed})
    folder = tmp_path / "questions"
    folder.mkdir()
    (folder / "all.jsonl").write_text("\n".join(map(json.dumps, questions)), encoding="utf-8")
    (tmp_path / "evidence.jsonl").write_text("\n".join(map(json.dumps, found)), encoding="utf-8")
    return folder, tmp_path / "evidence.jsonl"


def test_the_unseen_half_never_reaches_the_fit(gold_files) -> None:
    """Five questions lie in the files; the four seen ones are loaded."""
    loaded = cases.load(*gold_files)
    assert len(loaded) == 4
    assert all(cases.seen(case.example.id) for case in loaded)
    assert "secret" not in repr(loaded)


def test_gold_is_found_by_node_document_and_section(gold_files) -> None:
    """Answerable ones hold their gold passage; taken away, they do not, and numbers start at 1 again."""
    loaded = cases.load(*gold_files)
    assert [case.held for case in loaded] == [case.example.answerable for case in loaded]
    held = next(case for case in loaded if case.held)
    bare = cases.without_gold(held)
    assert bare is not None
    assert [(one.number, one.node) for one in bare.evidence.passages] == [(1, "b")]
    assert not bare.held


def test_a_broken_line_is_named_by_file_and_number_and_never_quoted(gold_files) -> None:
    """Gold files are private to whoever fits."""
    folder, evidence_file = gold_files
    with (folder / "all.jsonl").open("a", encoding="utf-8") as file:
        file.write("\n{not json, canary")
    with pytest.raises(InputError, match=r"all\.jsonl, line 6: not JSON") as raised:
        cases.load(folder, evidence_file)
    assert "canary" not in str(raised.value)


def test_fitting_twice_gives_the_same_file_and_leaves_the_shipped_one_alone(gold_files, tmp_path, capsys) -> None:
    """Deterministic; the output validates as heads."""
    shipped = Path(reasoner.__file__).parent / FILE
    before = shipped.read_bytes()
    questions, found = gold_files
    for name in ("one.json", "two.json"):
        arguments = ["--questions", str(questions), "--evidence", str(found), "--encoder", "hashing"]
        assert fit_heads.main([*arguments, "--output", str(tmp_path / name)]) == 0
    assert (tmp_path / "one.json").read_bytes() == (tmp_path / "two.json").read_bytes()
    assert shipped.read_bytes() == before
    assert json.loads((tmp_path / "one.json").read_text())["fitted"]["questions"] == 4
    assert '"unanswerable"' in capsys.readouterr().out


def test_key_facts_count_in_any_of_their_wordings() -> None:
    """Case does not matter, the number does."""
    assert fit_heads.holds("Give 5 MG daily", ("five mg", "5 mg"))
    assert not fit_heads.holds("Give 6 mg daily", ("five mg", "5 mg"))


def test_the_hashing_encoder_is_known_to_the_command() -> None:
    """The command takes any encoder by name."""
    assert "hashing" in ENCODERS.names
