"""The examples that come with the project: four fictional hospitals with documents written for it."""

import tomllib
from importlib.resources import files
from pathlib import Path

from fedrag.core.config import PluginConfig
from fedrag.core.errors import ConfigError
from fedrag.core.wire import ReleaseClass
from retriever_node.config import CollectionConfig, NodeConfig


def examples_folder() -> Path:
    """Inside the installed package, or beside it in a checkout. Raises ConfigError(no_examples)."""
    package = Path(str(files("fedrag")))
    for folder in (package / "examples", package.parent / "examples"):
        if (folder / "federation.toml").is_file():
            return folder
    raise ConfigError("the examples are not installed with this package", code="no_examples")


def example_hospitals(encoder: str = "minilm", index: str = "faiss_hnsw") -> tuple[NodeConfig, ...]:
    """One node per fictional hospital, one collection per folder; notes are `patient`, so they are denied."""
    folder = examples_folder()
    table = tomllib.loads((folder / "federation.toml").read_text(encoding="utf-8"))
    return tuple(
        NodeConfig(
            node=node,
            name=name,
            encoder=PluginConfig(name=encoder),
            index=PluginConfig(name=index),
            collections=tuple(
                CollectionConfig(
                    id=collection,
                    folder=folder / "hospitals" / node / collection,
                    release_class=ReleaseClass(release_class),
                )
                for collection, release_class in table["folders"].items()
            ),
        )
        for node, name in table["hospitals"].items()
    )
