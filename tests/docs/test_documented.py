"""Every plug-in, setting, error and abstention is documented, and the documents' Python runs."""

import re
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

from aggregator.methods import MERGE_METHODS
from fedrag.config import CoordinatorConfig
from fedrag.core import errors
from fedrag.core.answer import AbstentionCode
from fedrag.core.config import Config, PluginConfig
from fedrag.core.exchange import NodeStatus
from fedrag.encoders import ENCODERS
from reasoner.backends import BACKENDS
from reasoner.budgets import BUDGET_POLICIES
from retriever_node.config import NodeConfig
from retriever_node.indexes import INDEXES
from retriever_node.policy.rules import Rule
from retriever_node.readers import READERS
from retriever_node.rerankers import RERANKERS
from router.policies import ROUTING_POLICIES

ROOT = Path(__file__).parents[2]
PAGES = {
    "budget-policies.md": BUDGET_POLICIES,
    "encoders.md": ENCODERS,
    "indexes.md": INDEXES,
    "ingest.md": READERS,
    "rerankers.md": RERANKERS,
    "routing-policies.md": ROUTING_POLICIES,
    "merge-methods.md": MERGE_METHODS,
    "reasoner-backends.md": BACKENDS,
}
PLUGINS = [(page, kind, name) for page, kind in PAGES.items() for name in kind.names]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


@pytest.mark.parametrize(("page", "kind", "name"), PLUGINS, ids=lambda value: str(getattr(value, "package", value)))
def test_a_plug_in_has_a_heading_and_every_setting_a_mention(page, kind, name) -> None:
    """File name, configuration name and heading are one; a setting nobody can find does not exist."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    sections = dict(re.findall(r"^## (\S+)\n(.*?)(?=^## |\Z)", text, flags=re.MULTILINE | re.DOTALL))
    assert name in sections, f"docs/{page} has no heading {name}"
    settings = import_module(f"{kind.package}.{name}").Settings.model_fields
    for setting in settings:
        assert f"`{setting}`" in sections[name], f"docs/{page} § {name} does not mention {setting}"


@pytest.mark.parametrize(("page", "kind", "name"), PLUGINS, ids=lambda value: str(getattr(value, "package", value)))
def test_a_plug_in_file_is_listed(page, kind, name) -> None:
    """The loader lists exactly the files of its folder."""
    folder = Path(import_module(kind.package).__file__).parent
    assert (folder / f"{name}.py").is_file()


def _settings(config: type[Config], prefix: str = "") -> Iterator[str]:
    """Every key of a configuration file that is a single value or list; those of sections with the section's name."""
    for name, field in config.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, Config):
            yield from [] if field.annotation is PluginConfig else _settings(field.annotation, f"{name}.")
        else:
            yield prefix + name


@pytest.mark.parametrize(
    ("page", "config"),
    [("node.md", NodeConfig), ("federation.md", CoordinatorConfig), ("policy.md", Rule)],
)
def test_every_key_of_a_configuration_file_has_a_row(page, config) -> None:
    """A key that nobody can find does not exist."""
    rows = re.findall(r"^\| (`[^|]*) \|", (ROOT / "docs" / page).read_text(encoding="utf-8"), flags=re.MULTILINE)
    documented = {name for row in rows for name in re.findall(r"`([^`]+)`", row)}
    assert set(_settings(config)) <= documented


def _classes(base: type) -> list[type]:
    """Those that say anything of their own to a caller; a private kind that is told as its parent is not one."""
    own = [base] if {"code", "status", "exit_code", "retryable"} & set(vars(base)) else []
    return [*own, *(one for sub in base.__subclasses__() for one in _classes(sub))]


@pytest.mark.parametrize("error", [one for one in _classes(errors.FedragError) if one is not errors.FedragError])
def test_an_error_is_in_the_tree_and_in_the_document_with_its_numbers(error) -> None:
    """The drawing in the module's docstring is complete, and docs/errors.md states each class's numbers."""
    assert re.search(rf"{error.__name__} +{error.status} +{error.code}", errors.__doc__ or "")
    retry = "yes" if error.retryable else "no"
    row = rf"\| `{error.__name__}` \| `{error.code}`[^|]* \| {error.status} \| {error.exit_code} \| {retry} \|"
    assert re.search(row, (ROOT / "docs" / "errors.md").read_text(encoding="utf-8"))


def test_every_code_raised_anywhere_is_documented() -> None:
    """`code="…"` in product code names a code that docs/errors.md explains, or one a plug-in's page does."""
    documented = "\n".join(path.read_text(encoding="utf-8") for path in DOCUMENTS)
    for package in ("fedrag", "retriever_node", "router", "aggregator", "reasoner"):
        for path in sorted((ROOT / package).rglob("*.py")):
            for code in re.findall(r'\bcode="([a-z0-9_]+)"', path.read_text(encoding="utf-8")):
                assert f"`{code}`" in documented, f"{path.name} raises {code}"


@pytest.mark.parametrize("value", [*AbstentionCode, *NodeStatus], ids=str)
def test_abstentions_and_outcomes_are_documented(value) -> None:
    """Programs match on them."""
    assert f"`{value}`" in (ROOT / "docs" / "errors.md").read_text(encoding="utf-8")


def _python_blocks() -> list[tuple[str, str]]:
    return [
        (f"{path.name}:{number}", block)
        for path in DOCUMENTS
        for number, block in enumerate(re.findall(r"^```python\n(.*?)^```", path.read_text("utf-8"), re.M | re.S), 1)
    ]


@pytest.mark.parametrize(("place", "block"), _python_blocks(), ids=lambda value: value if ":" in value[:40] else "")
def test_python_in_the_documents_runs(place, block, tmp_path) -> None:
    """As written, in an empty folder."""
    done = subprocess.run([sys.executable, "-c", block], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{place}: {done.stderr}"


def test_links_between_documents_lead_somewhere() -> None:
    """Relative links name files that exist."""
    for path in DOCUMENTS:
        for target in re.findall(r"\]\(([^)#:]+)\)", path.read_text(encoding="utf-8")):
            assert (path.parent / target).exists(), f"{path.name} → {target}"
