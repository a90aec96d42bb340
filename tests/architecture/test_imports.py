"""The house rules that a machine can hold."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("fedrag", "retriever_node", "router", "aggregator", "reasoner")
SOURCES = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]


def test_imports_run_one_way() -> None:
    """The contracts in pyproject.toml hold (import-linter)."""
    linter = Path(sys.executable).parent / "lint-imports"
    done = subprocess.run([linter, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("statement", "forbidden"),
    [
        ("import fedrag", "fedrag."),
        (
            "import retriever_node.service, retriever_node.assemble",
            "router aggregator reasoner torch onnx transformers",
        ),
        ("import fedrag.api.app", "fedrag.evaluation torch transformers sentence_transformers onnx"),
        ("import fedrag.cli", "faiss onnxruntime torch fedrag.evaluation fedrag.assemble"),
    ],
    ids=["fedrag imports nothing", "node", "api", "command line starts light"],
)
def test_a_fresh_interpreter_loads_no_more_than_it_should(statement: str, forbidden: str) -> None:
    """What a process imports is what its container must hold."""
    program = f"import sys\n{statement}\nprint('\\n'.join(sorted(sys.modules)))"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
    modules = loaded.stdout.split()
    for name in forbidden.split():
        found = [module for module in modules if module == name or module.startswith(name.rstrip(".") + ".")]
        assert not found, f"{statement} loads {found[:3]}"


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_product_code_neither_asserts_nor_prints_nor_draws_from_global_random(path: Path) -> None:
    """`assert` vanishes under -O, `print` bypasses the log, the global generator makes runs differ."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        assert not isinstance(node, ast.Assert), f"assert in line {node.lineno}"
        if isinstance(node, ast.Import):
            assert "random" not in {one.name for one in node.names}, f"global random in line {node.lineno}"
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            assert called != "print", f"print in line {node.lineno}"
            seeded = called.startswith("np.random.default_rng(") or called == "np.random.default_rng"
            assert seeded or not called.startswith("np.random."), f"line {node.lineno}"
