"""What both command lines share: progress with rate and ETA, plain errors, exit codes, structured logs."""

import json
import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

import structlog
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, TextColumn, TimeRemainingColumn
from rich.progress import Task as ProgressTask
from rich.text import Text

from fedrag.core.errors import FedragError
from fedrag.core.logs import without_error_text
from fedrag.core.wire import Wire

out: Final = Console(highlight=False)
err: Final = Console(stderr=True, highlight=False)


class _Rate(ProgressColumn):
    def render(self, task: ProgressTask) -> Text:
        return Text(f"{task.speed:,.0f}/s" if task.speed else "–/s")


@contextmanager
def progress(what: str) -> Iterator[Callable[[int, int], None]]:
    """A progress bar on standard error; the value is called with (done, total)."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        _Rate(),
        TextColumn("eta"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=err) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def print_json(value: Wire | dict[str, object]) -> None:
    """One JSON document on standard output, for programs."""
    text = value.model_dump_json(indent=2) if isinstance(value, Wire) else json.dumps(value, indent=2, default=str)
    typer.echo(text)


def print_line(value: dict[str, str]) -> None:
    """One JSON line on standard output, for the program that started us."""
    typer.echo(json.dumps(value))


def configure_logging(level: int = logging.INFO) -> None:
    """JSON lines on standard error: one event name per fact, fields rather than sentences."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso"),
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    # What libraries log goes the same way; warnings and worse, and of errors their type alone.
    foreign = logging.StreamHandler(sys.stderr)
    foreign.setLevel(logging.WARNING)
    foreign.addFilter(without_error_text)
    foreign.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(),
            ],
            foreign_pre_chain=[structlog.processors.add_log_level, structlog.processors.TimeStamper(fmt="iso")],
        )
    )
    logging.basicConfig(level=logging.WARNING, handlers=[foreign], force=True)


def run(app: typer.Typer) -> None:
    """Run a command line; an expected failure is one line with its code, and its own exit code.
    What a command finds worth logging stays on standard error, and quiet but for warnings; servers say more."""
    configure_logging(logging.WARNING)
    try:
        app()
    except FedragError as error:
        err.print(f"error ({error.code}): {error.message}", style="red", markup=False)
        raise SystemExit(error.exit_code) from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None
