"""`fedrag evaluate`."""

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import typer

from fedrag import terminal
from fedrag.cli.encoder import set_up_encoder
from fedrag.core.errors import InputError
from fedrag.evaluation import run_all, run_suite
from fedrag.evaluation.model_server import ModelServer
from fedrag.evaluation.report import overview
from fedrag.evaluation.run import Half, Run, Service

OWN: Final = "own"
ALL: Final = "all"


@dataclass(frozen=True, slots=True)
class Choices:
    """What was typed."""

    suite: str | None
    limit: int | None
    half: Literal["seen", "unseen", "all"]
    seed: int
    nodes: int | None
    split: str | None
    questions: Path | None
    url: str | None
    key: str
    authority: Path | None
    central_url: str | None
    model_url: str | None
    model: str | None
    model_key: str
    judge_url: str | None
    judge: str | None
    judge_key: str
    output: Path
    data: Path | None


def evaluate(chosen: Choices, *, as_json: bool) -> None:
    """Measure one suite, or the asker's own questions, and print the report."""
    suite, service = _suite(chosen)
    if service is None:
        set_up_encoder()
    run = Run(
        data=chosen.data,
        limit=chosen.limit,
        half=Half(chosen.half),
        output=chosen.output,
        progress=terminal.progress,
        command=_command(suite, chosen),
        seed=chosen.seed,
        nodes=chosen.nodes,
        split=chosen.split,
        service=service,
        model=_server("model", chosen.model_url, chosen.model, chosen.model_key),
        judge=_server("judge", chosen.judge_url, chosen.judge, chosen.judge_key),
    )
    if suite == ALL:
        reports, missing = run_all(run)
        for report in reports:
            typer.echo(report.as_text())
        typer.echo(overview(reports, [(name, error.code) for name, error in missing]).as_markdown())
        typer.echo(f"on one page, with pictures: {run.output / 'report.html'}")
        return
    report = run_suite(suite, run)
    if as_json:
        terminal.print_json(report.as_json())
    else:
        typer.echo(report.as_text())
        typer.echo(f"with pictures: {run.folder(suite) / 'report.html'}")


def _suite(chosen: Choices) -> tuple[str, Service | None]:
    """Its name, and the service to put questions to. Raises InputError(bad_option)."""
    service = (
        Service(chosen.url, chosen.key, chosen.authority, chosen.questions, chosen.central_url) if chosen.url else None
    )
    if chosen.questions is None:
        if chosen.suite is None or chosen.suite == OWN:
            raise InputError("name a suite, or give --questions and --url", code="bad_option")
        return chosen.suite, service
    if service is None or chosen.suite not in (None, OWN):
        raise InputError("--questions go with --url, and without a suite", code="bad_option")
    return OWN, service


def _server(what: str, url: str | None, model: str | None, key: str) -> ModelServer | None:
    """Raises InputError(bad_option) for one without the other."""
    if (url is None) != (model is None):
        raise InputError(f"--{what}-url and --{what} go together", code="bad_option")
    return ModelServer(url, model, key) if url is not None and model is not None else None


def _command(suite: str, chosen: Choices) -> str:
    """As it would be typed again; never a key."""
    parts = ["fedrag", "evaluate"]
    parts += [] if suite == OWN else [suite]
    parts += [] if chosen.half == "seen" else ["--half", chosen.half]
    questions = chosen.questions.name if chosen.questions else None
    for name, value in (
        ("questions", questions),
        ("url", chosen.url),
        ("central-url", chosen.central_url),
        ("model-url", chosen.model_url),
        ("model", chosen.model),
        ("judge-url", chosen.judge_url),
        ("judge", chosen.judge),
        ("limit", chosen.limit),
        ("nodes", chosen.nodes),
        ("split", chosen.split),
    ):
        parts += [] if value is None else [f"--{name}", str(value)]
    parts += ["--seed", str(chosen.seed)] if chosen.seed else []
    return shlex.join(parts)
