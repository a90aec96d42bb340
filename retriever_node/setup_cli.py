"""`fedrag-node init`: a node of its own folder, and what its policy denies from the beginning."""

from pathlib import Path
from typing import Annotated, Final

import typer
from pydantic import ValidationError

from fedrag import terminal
from fedrag.core.config import PluginConfig
from fedrag.core.errors import InputError
from fedrag.core.plugins import describe as describe_error
from fedrag.core.wire import ReleaseClass
from retriever_node.config import CollectionConfig, NodeConfig
from retriever_node.home import NodeHome, create_node

Home = Annotated[Path, typer.Option("--home", envvar="FEDRAG_NODE_HOME", help="The node's own folder.")]
_CLASSES: Final = ", ".join(ReleaseClass)


def init(
    home: Home,
    node: Annotated[str, typer.Option("--id", help="The node's id in the federation: lower case, digits, - . _")],
    folder: Annotated[
        list[str], typer.Option(help=f"PATH=CLASS, once per folder; class is one of {_CLASSES}.", metavar="PATH=CLASS")
    ],
    name: Annotated[str, typer.Option(help="The hospital's name, shown beside its passages.")] = "",
    encoder: Annotated[str, typer.Option(help="The encoder plug-in.")] = "minilm",
    index: Annotated[str, typer.Option(help="The vector index plug-in.")] = "faiss_hnsw",
) -> None:
    """Create a node: its keys, a node.toml with one collection per folder, a policy.toml that says what may leave.

    You choose a class for every folder. `public`: published literature, anyone may read it. `protocol`: your own
    guidance, only to models inside the federation. `patient`: made from records; denied until you write a rule.
    """
    try:
        config = NodeConfig(
            node=node,
            name=name or node,
            encoder=PluginConfig(name=encoder),
            index=PluginConfig(name=index),
            collections=tuple(_collection(entry) for entry in folder),
        )
    except ValidationError as error:
        raise InputError(describe_error(error), code="bad_option") from None
    signer = create_node(NodeHome(home), config)
    terminal.out.print(f"node {node} made in {home}\npublic key {signer.public_key}", markup=False)
    say_denied(NodeHome(home), config)
    terminal.out.print(f"next: fedrag-node ingest --home {home}", markup=False)


def say_denied(place: NodeHome, config: NodeConfig) -> None:
    """Of which collections nothing leaves to anybody, and what would change it."""
    from retriever_node.policy import file

    policy, lines = file.load(place.policy, config), file.rule_lines(place.policy)
    for one in config.collections:
        if not policy.releases(one.id, one.release_class):
            denying = next((rule.name for rule in policy.rules if rule.covers(one.id, one.release_class)), None)
            rule = f"rule {denying!r}, line {lines[denying]}" if denying else f"no rule for class {one.release_class}"
            terminal.out.print(
                f"{one.id}: nothing leaves ({rule} of {place.policy}): "
                f"fedrag-node policy explain --home {place.folder} --collection {one.id}",
                markup=False,
                soft_wrap=True,
            )


def _collection(entry: str) -> CollectionConfig:
    path, separator, chosen = entry.rpartition("=")
    if not separator or chosen not in tuple(ReleaseClass):
        raise InputError(f"choose a class for {entry}: PATH=CLASS with one of {_CLASSES}", code="class_not_chosen")
    folder = Path(path).resolve()
    if not folder.is_dir():
        raise InputError(f"folder {folder} does not exist", code="missing_folder")
    return CollectionConfig(id=folder.name.lower().replace(" ", "-"), folder=folder, release_class=ReleaseClass(chosen))
