"""The converters, run on the real origins, make the very records of packages that were made before them.

Needs FEDRAG_DATA, a folder of packages from elsewhere, and FEDRAG_ORIGINS, a folder with one checkout per repository
named `owner+name` (or what `fedrag data fetch` left in `.origins`).
"""

import gzip
import os
from pathlib import Path

import pytest

from fedrag.evaluation.data import PACKAGES
from fedrag.evaluation.data.install import from_folder, make
from fedrag.evaluation.data.package import Package


def folder(variable: str) -> Path:
    if not os.environ.get(variable):
        pytest.skip(f"{variable} names no folder")
    return Path(os.environ[variable])


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.name)
def test_the_converter_makes_the_same_records(package: Package) -> None:
    """Byte for byte, in the same order; of compressed files what they hold. As many lines as are pinned."""
    known, origins = folder("FEDRAG_DATA") / package.name, folder("FEDRAG_ORIGINS")
    if not known.is_dir():
        pytest.skip(f"no {package.name} in FEDRAG_DATA")
    made = make(package, from_folder(origins))
    assert set(made) == {one.name for one in package.records} == {path.name for path in known.glob("*.jsonl*")}
    for one in package.records:
        packed = (known / one.name).read_bytes()
        right = gzip.decompress(packed) if one.name.endswith(".gz") else packed
        assert made[one.name] == right, one.name
        assert (made[one.name].count(b"\n"), len(made[one.name])) == (one.records, one.bytes)
