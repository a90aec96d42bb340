"""Data packages that suites read, made from their public origins: docs/data.md.

One file per package: where its raw files lie, pinned; and `convert`, a pure function from their bytes to records.
"""

from typing import Final

from fedrag.core.errors import InputError
from fedrag.evaluation.data import (
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
from fedrag.evaluation.data.package import Package

PACKAGES: Final[tuple[Package, ...]] = (
    medquad_liveqa.PACKAGE,
    medquad_crossnode.PACKAGE,
    pubmedqa.PACKAGE,
    scifact.PACKAGE,
    mirage.PACKAGE,
    feb4rag_selection.PACKAGE,
    llm_routing.PACKAGE,
    asq_phi.PACKAGE,
    meddocan.PACKAGE,
    presidio_synth.PACKAGE,
    clinical_notes.PACKAGE,
)


def package(name: str) -> Package:
    """`medquad-liveqa` names `medquad_liveqa`. Raises InputError(unknown_package)."""
    for one in PACKAGES:
        if one.name == name.replace("-", "_"):
            return one
    raise InputError(
        f"no data package {name!r}; there are: {', '.join(one.name for one in PACKAGES)}", code="unknown_package"
    )
