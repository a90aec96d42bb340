"""Questions to language models, from recorded answers: MMLU by two models, GSM8K by six, MIRAGE by four arms.

What a model costs is not in the data. MMLU: a list price per call, for a letter is all that is answered. GSM8K:
characters written, at a price each. MIRAGE: characters written, once all alike and once at a list price each.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from fedrag.core.config import Config
from fedrag.encoders import ENCODERS
from fedrag.evaluation.model_routing import ModelTask, measure
from fedrag.evaluation.report import Findings
from fedrag.evaluation.run import Run, records

CALL: Final = {"mixtral-8x7b": 0.24, "gpt-4-1106": 24.7}
"""Dollars per million tokens, as RouteLLM states them (Ong et al., arXiv 2406.18665)."""
WRITTEN: Final = {
    **CALL,
    "gpt3-6b-finetuning": 0.11,
    "gpt3-175b-finetuning": 3.23,
    "gpt3-6b-verification": 11.0,
    "gpt3-175b-verification": 323.0,
}
"""Of GPT-3: Mixtral's price by active parameters (13 billion). Verification writes a hundred solutions."""
LISTED: Final = {"gpt35_cot": 2.0, "gpt35_rag32": 2.0, "gpt4_cot": 60.0, "gpt4_rag32": 60.0}
"""Dollars per million tokens written, list prices of mid 2023. What a prompt of 32 passages costs is not counted."""
_PARTIES: Final = """\
Parties are made: questions go to ten of them by subject (Dirichlet 0.6), of GSM8K by the steps of its solution, and \
each logs one model per question, mostly one that it likes (Dirichlet 0.45). A party of GSM8K has about 50 questions \
to learn from, of six models."""
_COSTS: Final = """\
Costs are assumptions, and the table of models says which. MMLU's two differ a hundredfold: the cheaper one is nearly \
free. By characters MIRAGE's cheapest arm is its best, and there is nothing to trade."""
_MLP: Final = "The federated MLP of Federate-the-Router is not built: it needs a training loop of many rounds."
_OLD: Final = "Old public questions, and models of 2023: for routing policies, not for the models."


class Settings(Config):
    pass


@dataclass(frozen=True, slots=True)
class ModelRouting:
    def inputs(self, run: Run) -> tuple[Path, ...]:
        routing = run.package("llm_routing")
        return routing / "mmlu_dev.jsonl", routing / "gsm8k_dev.jsonl", run.package("mirage") / "questions_dev.jsonl"

    def evaluate(self, run: Run) -> Findings:
        mmlu, gsm8k, mirage = (records(path)[: run.limit] for path in self.inputs(run))
        encoder = ENCODERS.build("minilm")
        tasks = (
            _task("MMLU", mmlu, lambda one: one["subject"], lambda arm, _: CALL[arm], "list price of a call"),
            _task("GSM8K", gsm8k, lambda one: str(one["solution_steps"]), _written, "characters written, by price"),
            _task("MIRAGE", mirage, _subject, lambda _, made: float(made["output_chars"] or 0), "characters written"),
            _task(
                "MIRAGE, by price",
                mirage,
                _subject,
                lambda arm, made: LISTED[arm] * float(made["output_chars"] or 0),
                "characters written, by list price",
            ),
        )
        found = [measure(task, run, encoder) for task in tasks]
        return Findings(
            tuple(table for one in found for table in one.tables),
            tuple(picture for one in found for picture in one.pictures),
            (_PARTIES, _COSTS, _MLP, _OLD),
        )


def _task(
    name: str,
    asked: Sequence[Mapping[str, Any]],
    subject: Callable[[Mapping[str, Any]], str],
    cost: Callable[[str, Mapping[str, Any]], float],
    unit: str,
) -> ModelTask:
    models = tuple(asked[0]["arms"])
    return ModelTask(
        name=name,
        ids=tuple(one["id"] for one in asked),
        subjects=tuple(map(subject, asked)),
        texts=tuple(one["question"] for one in asked),
        models=models,
        right=np.array([[float(one["arms"][model]["correct"]) for model in models] for one in asked]),
        cost=np.array([[cost(model, one["arms"][model]) for model in models] for one in asked]),
        unit=unit,
    )


def _written(arm: str, made: Mapping[str, Any]) -> float:
    return WRITTEN[arm] * float(made["output_chars"])


def _subject(one: Mapping[str, Any]) -> str:
    return f"{one['dataset']}/{one.get('subject') or ''}"


def build(settings: Settings) -> ModelRouting:  # noqa: ARG001 - has none
    return ModelRouting()
