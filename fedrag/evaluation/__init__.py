"""Measuring the product itself: real processes, questions over HTTP, baselines from the same run.

Nothing that serves imports this package; gold answers are read here and nowhere else.
"""

from typing import Final, Protocol

from fedrag.core.errors import InputError
from fedrag.core.plugins import PluginKind
from fedrag.evaluation.report import Report
from fedrag.evaluation.run import Run


class Suite(Protocol):
    """One data set, put to the product."""

    def evaluate(self, run: Run) -> Report: ...


SUITES: Final = PluginKind[Suite]("fedrag.evaluation.suites", ("examples", "medquad_liveqa"))


def run_suite(name: str, run: Run) -> Report:
    """Evaluate, and write report.json and report.md into the run's folder. `medquad-liveqa` names `medquad_liveqa`."""
    plugin = name.replace("-", "_")
    if plugin not in SUITES.names:
        known = ", ".join(suite.replace("_", "-") for suite in SUITES.names)
        raise InputError(f"no suite {name!r}; there are: {known}", code="unknown_suite")
    report = SUITES.build(plugin).evaluate(run)
    report.write(run.folder(name))
    return report
