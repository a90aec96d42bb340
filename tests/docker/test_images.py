"""What goes into the images, read without an engine."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]


def pins(path: str) -> dict[str, set[str]]:
    """name → pinned versions (several where they depend on the Python version)."""
    found: dict[str, set[str]] = {}
    for name, version in re.findall(r"^([a-z0-9.-]+)==([^ ;\\]+)", (ROOT / path).read_text(), flags=re.MULTILINE):
        found.setdefault(name, set()).add(version)
    return found


@pytest.mark.parametrize("lock", ["docker/node.lock", "docker/export.lock"])
def test_images_hold_what_the_project_was_tested_with(lock) -> None:
    """Every pin is one of the locks that tests run with, at the same version, and each has a hash."""
    whole, part = pins("requirements-dev.lock") | pins("requirements.lock"), pins(lock)
    assert part
    assert {name: whole.get(name) for name in part} == part
    text = (ROOT / lock).read_text()
    assert text.count("--hash=sha256:") >= sum(len(versions) for versions in part.values())


def test_a_node_needs_nothing_but_its_lock(tmp_path) -> None:
    """Served and enrolled in a fresh interpreter, with every package outside docker/node.lock made impossible to
    import."""
    allowed = sorted({name.replace("-", "_") for name in pins("docker/node.lock")})
    script = f"""
import sys
from importlib.metadata import packages_distributions
allowed = set({allowed!r})
def plain(name): return name.lower().replace('-', '_').replace('.', '_')
top = {{module: set(map(plain, names)) for module, names in packages_distributions().items()}}
class Refuse:
    def find_spec(self, name, path=None, target=None):
        known = top.get(name.split('.')[0])
        if known and not known & allowed and 'fedrag' not in known:
            raise ImportError('not in the node image: ' + name)
sys.meta_path.insert(0, Refuse())
import retriever_node.serving, retriever_node.enrolment, retriever_node.cli, retriever_node.ingest
from fedrag.encoders import ENCODERS
ENCODERS.build('hashing')
import retriever_node.indexes.faiss_flat, retriever_node.indexes.faiss_hnsw, fedrag.encoders.minilm
from retriever_node.readers import READERS
import retriever_node.terms
for name in READERS.names: READERS.build(name)
assert not [name for name in sys.modules if name.split('.')[0] in ('router', 'aggregator', 'reasoner', 'torch')]
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-1500:]


def test_what_a_node_imports_of_fedrag_is_copied_into_its_image(tmp_path) -> None:
    """The folders and files named in node.Dockerfile are all that a node, serving, loads of fedrag."""
    copied = re.findall(r"fedrag/(\w+)(?:\.py)?(?= )", (ROOT / "docker" / "node.Dockerfile").read_text())
    script = "import sys, retriever_node.serving, retriever_node.enrolment, retriever_node.cli, retriever_node.ingest\n"
    script += "import fedrag.http.health, fedrag.encoders.minilm\n"
    script += "print(*sorted({name.split('.')[1] for name in sys.modules if name.startswith('fedrag.')}))"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert set(loaded.stdout.split()) <= set(copied)


def test_every_container_is_locked_down() -> None:
    """Read-only root, no capabilities, no new privileges, limits; a hospital is on no network but its own."""
    services = yaml.safe_load((ROOT / "docker" / "compose.yaml").read_text())
    hospitals = {"harbourview", "lindenhof", "st-brannock"}
    for name in hospitals | {"coordinator"}:
        service = services["services"][name]
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert service["mem_limit"]
        assert service["pids_limit"]
    for name in hospitals:
        assert services["services"][name]["networks"] == [name]
        assert services["networks"][name] == {"internal": True}
        assert all(entry.endswith(":ro") for entry in services["services"][name]["volumes"] if "/documents" in entry)
    assert services["services"]["coordinator"]["ports"] == ["127.0.0.1:${FEDRAG_PORT:-8800}:8800"]
