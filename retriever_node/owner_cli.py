"""`fedrag-node search`, `train-reranker`, `describe`, `budget`: what is in a node, and what was told of it, for its
owner."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from fedrag import terminal
from retriever_node.home import NodeHome, open_config

Home = Annotated[Path, typer.Option("--home", envvar="FEDRAG_NODE_HOME", help="The node's own folder.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document instead.")]


def search(
    home: Home,
    text: Annotated[str, typer.Argument(help="What to look for.")],
    k: Annotated[int, typer.Option("-k", min=1, max=100, help="How many passages.")] = 5,
) -> None:
    """Search your own passages, on this machine, whatever the policy: for the owner's eyes only."""
    from retriever_node.assemble import assemble
    from retriever_node.search import Query
    from retriever_node.search import search as found_by

    node = assemble(NodeHome(home))
    query = Query(node.encoder.encode_queries([text])[0], text)
    collections = [served.collection for served in node.collections.values()]
    for found in found_by(collections, query, k, node.store, node.reranker):
        terminal.out.print(
            f"{found.similarity:.3f}  P(relevant) {found.probability:.2f}  "
            f"{found.collection}/{found.passage.document_name} § {found.passage.section}",
            markup=False,
        )
        terminal.out.print(f"       {found.passage.text[:200]}", markup=False, style="dim")


def train_reranker(
    home: Home,
    output: Annotated[Path, typer.Option(help="The re-ranker: a new folder.")],
    base: Annotated[
        Path | None, typer.Option(help="A model folder to begin from; by default the encoder of `fedrag setup`.")
    ] = None,
    questions: Annotated[int, typer.Option(min=1, help="Questions made of each collection, at most.")] = 2_000,
    epochs: Annotated[int, typer.Option(min=1, max=100, help="How often each is trained on.")] = 1,
    seed: Annotated[int, typer.Option(help="Of the order and of weights that begin by chance.")] = 0,
) -> None:
    """Train a re-ranker on your own passages, on this machine. It remembers what it read: keep it here.

    Needs the extra `training`. Minutes to hours on a processor; the figures at the end say whether it is worth using.
    """
    from retriever_node.assemble import assemble
    from retriever_node.ingest import ingest_settings
    from retriever_node.reranker_training import TrainingSettings, labelled_lists, require_ready, train

    require_ready(output, base)
    place = NodeHome(home)
    node = assemble(place)
    lists = []
    for one in open_config(place).collections:
        fields = ingest_settings(one.reader).embed
        asked = labelled_lists(node.store, node.collections[one.id].collection, node.encoder, fields, questions)
        with terminal.progress(f"questions of {one.id}") as tick:
            for done, made in enumerate(asked, start=1):
                lists.append(made)
                tick(done, min(questions, len(node.collections[one.id].collection)))
    card = train(lists, output, TrainingSettings(base=base, epochs=epochs, seed=seed))
    terminal.out.print(
        f"{output}: trained on {card.questions} questions. On {card.held_out} others the mean reciprocal rank of the "
        f"right passage is {card.read:.3f}; in the order of vectors it was {card.found:.3f}\n"
        'to use it: [reranker] name = "cross_encoder", [reranker.settings] model = "…" in node.toml',
        markup=False,
        soft_wrap=True,
    )


def describe(home: Home) -> None:
    """Print exactly what routers are told about this node."""
    from retriever_node.assemble import assemble

    terminal.print_json(assemble(NodeHome(home)).describe())


def budget(home: Home, as_json: AsJson = False) -> None:
    """What noisy counts have told about patients so far: how many spent how much, without naming anyone."""
    from retriever_node.budget_report import budget_of, sentences
    from retriever_node.renyi import spent
    from retriever_node.state import NodeState

    place = NodeHome(home)
    counts = open_config(place).counts
    state = NodeState(place.state)
    with state.reading() as connection:
        found = spent(connection, budget_of(counts))
    state.close()
    if as_json:
        terminal.print_json(asdict(found))
        return
    for sentence in sentences(found, counts):
        terminal.out.print(sentence, markup=False, soft_wrap=True)
