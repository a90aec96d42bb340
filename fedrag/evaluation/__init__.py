"""Measuring the product itself, against baselines from the same run.

Nothing that serves imports this package; gold answers are read here and nowhere else.
"""

import time
from dataclasses import replace
from pathlib import Path
from typing import Final, Protocol

from fedrag.core.errors import ConfigError, FedragError, InputError
from fedrag.core.plugins import PluginKind
from fedrag.evaluation.circumstances import circumstances, digest_of, product_sha256
from fedrag.evaluation.report import Findings, Report, write_all
from fedrag.evaluation.run import Run, Tally


class Suite(Protocol):
    """One data set, put to the product."""

    def inputs(self, run: Run) -> tuple[Path, ...]:
        """Files and folders whose content decides the result.

        Raises ConfigError(no_data), InputError(missing_folder): a missing input prints no number.
        """
        ...

    def evaluate(self, run: Run) -> Findings: ...


SUITES: Final = PluginKind[Suite](
    "fedrag.evaluation.suites",
    (
        "examples",
        "poisoning",
        "injection",
        "hijack",
        "medquad_liveqa",
        "medquad_crossnode",
        "pubmedqa",
        "scifact",
        "feb4rag",
        "mirage_recorded",
        "model_routing",
        "mirage_traces",
        "phi",
        "sovereignty",
        "mirage",
        "own",
    ),
)


NEEDS_SERVICE: Final = ("mirage", "own")
"""Suites that are put to a federation which is running already."""


def suite_names() -> tuple[str, ...]:
    """As they are typed: `medquad-liveqa` names `medquad_liveqa`."""
    return tuple(name.replace("_", "-") for name in SUITES.names)


def run_all(run: Run) -> tuple[tuple[Report, ...], tuple[tuple[str, FedragError], ...]]:
    """Every suite that needs no running service, in one report.html, report.md and report.json; and by error those
    whose data is missing."""
    reports: list[Report] = []
    missing: list[tuple[str, FedragError]] = []
    for name in suite_names():
        if name.replace("-", "_") in NEEDS_SERVICE:
            continue
        try:
            reports.append(run_suite(name, replace(run, command=run.command.replace(" all", f" {name}", 1))))
        except (ConfigError, InputError) as error:
            missing.append((name, error))
    write_all(run.output, reports, [(name, error.code) for name, error in missing])
    return tuple(reports), tuple(missing)


def run_suite(name: str, run: Run) -> Report:
    """Evaluate, and write report.json, report.md and report.html into the run's folder."""
    if name not in suite_names():
        raise InputError(f"no suite {name!r}; there are: {', '.join(suite_names())}", code="unknown_suite")
    suite = SUITES.build(name.replace("-", "_"))
    inputs = {path: digest_of(path) for path in suite.inputs(run)}
    identity = "/".join((name, product_sha256(), *inputs.values(), run.digest(name)))
    began, processor = time.perf_counter(), time.process_time()
    run = replace(run, identity=identity, tally=Tally())
    findings = suite.evaluate(run)
    spent_s = time.perf_counter() - began, time.process_time() - processor
    report = Report(name, findings, circumstances(run, inputs, spent_s), spent_s[0], str(run.tally))
    report.write(run.folder(name))
    return report
