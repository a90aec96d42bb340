"""`fedrag-node`: one hospital's command line."""

import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer
from pydantic import ValidationError

from fedrag import terminal
from fedrag.core.config import PluginConfig
from fedrag.core.errors import ConfigError, InputError
from fedrag.core.plugins import describe as describe_error
from fedrag.core.wire import ReleaseClass
from retriever_node.audit_cli import audit_app
from retriever_node.config import DEFAULT_PORT, CollectionConfig, NodeConfig
from retriever_node.home import NodeHome, create_node, open_certificate, open_config
from retriever_node.lockout_cli import lockout_app
from retriever_node.policy.commands import policy_app
from retriever_node.review_cli import review_app

if TYPE_CHECKING:
    from retriever_node.ingest import IngestReport

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Run one hospital's node: your documents stay here; text leaves only as your policy allows.\n\n"
    "A first node in four steps: fedrag-node init, fedrag-node ingest, fedrag-node enroll, fedrag-node serve.",
)
app.add_typer(policy_app, name="policy")
app.add_typer(audit_app, name="audit")
app.add_typer(lockout_app, name="lockout")
app.add_typer(review_app, name="review")
Home = Annotated[Path, typer.Option("--home", envvar="FEDRAG_NODE_HOME", help="The node's own folder.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document instead.")]
_CLASSES: Final = ", ".join(ReleaseClass)


def main() -> None:
    terminal.run(app)


@app.command()
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
    _say_denied(NodeHome(home), config)
    terminal.out.print(f"next: fedrag-node ingest --home {home}", markup=False)


@app.command("stop-releasing")
def stop_releasing(home: Home, reason: Annotated[str, typer.Option(help="Why, for your own audit log.")]) -> None:
    """Let nothing leave from now on: no offer, text, count, statistic or description, across replicas and restarts.

    What is in flight and not yet charged is denied too. Coordinators are told `releasing_stopped`.
    """
    import time

    from retriever_node import switch
    from retriever_node.state import NodeState

    place = NodeHome(home)
    open_config(place)
    with NodeState(place.state).transaction() as connection:
        switch.stop(connection, reason, time.time())
    terminal.out.print("nothing leaves; to undo it: fedrag-node resume-releasing", markup=False)


@app.command("resume-releasing")
def resume_releasing(home: Home) -> None:
    """Let things leave again as policy.toml says."""
    import time

    from retriever_node import switch
    from retriever_node.state import NodeState

    place = NodeHome(home)
    open_config(place)
    with NodeState(place.state).transaction() as connection:
        resumed = switch.resume(connection, time.time())
    terminal.out.print("the policy decides again" if resumed else "releasing was not stopped", markup=False)


@app.command()
def enroll(
    home: Home,
    coordinator: Annotated[str, typer.Option(help="The coordinator's address, as its operator told you.")],
    url: Annotated[
        list[str], typer.Option(help="Where this node will be reached, https://HOST:PORT; again for each replica.")
    ],
    code: Annotated[
        str, typer.Option(envvar="FEDRAG_ENROLMENT_CODE", help="The one-time code; better in FEDRAG_ENROLMENT_CODE.")
    ],
    authority: Annotated[
        Path | None, typer.Option(help="PEM of whom to trust for TLS at these addresses, where it is not this node.")
    ] = None,
    behind_proxy: Annotated[
        bool, typer.Option("--behind-proxy", help="A proxy of yours ends TLS; the node itself speaks plain HTTP to it.")
    ] = False,
) -> None:
    """Join a federation: prove the one-time code, pin the coordinator. Your keys stay here; safe to repeat.

    With https addresses the node makes its own TLS certificate, signed by its own key, and asks callers for theirs.
    """
    from fedrag.http.invitation import InvitationCode
    from retriever_node.enrolment import Joining, enrol

    joining = Joining.plan(open_config(NodeHome(home)), url, authority, behind_proxy=behind_proxy)
    enrolled = enrol(NodeHome(home), coordinator, InvitationCode.parse(code), joining)
    _note(NodeHome(home), "enrolled", coordinator=enrolled.coordinator)
    terminal.out.print(
        f"joined {enrolled.coordinator}; its key is pinned in {NodeHome(home).config}\n"
        f"next: fedrag-node serve --home {home} --host ADDRESS",
        markup=False,
        soft_wrap=True,
    )


@app.command()
def renew(home: Home) -> None:
    """Make a new TLS certificate now; a running node presents it within seconds. It also does so by itself."""
    place = NodeHome(home)
    certificate = open_certificate(place, open_config(place))
    if certificate is None:
        raise ConfigError("TLS does not begin at this node", code="not_own_certificate")
    certificate.renew()
    terminal.out.print("new certificate made", markup=False)


@app.command()
def ingest(
    home: Home,
    as_json: AsJson = False,
    demonstrations: Annotated[
        Path | None,
        typer.Option(
            help="Only this: worked examples for the model of this hospital, JSON Lines of question, trace, answer."
        ),
    ] = None,
) -> None:
    """Read every folder, encode what is new or changed, forget what is gone. Safe to stop and to repeat."""
    if demonstrations is not None:
        from retriever_node.demonstrations_cli import ingest_demonstrations

        ingest_demonstrations(NodeHome(home), demonstrations, as_json=as_json)
        return
    from retriever_node.assemble import open_encoder, open_store
    from retriever_node.ingest import ingest as ingest_folder
    from retriever_node.ingest import redacted_again
    from retriever_node.redaction import redaction_of

    place = NodeHome(home)
    config = open_config(place)
    encoder = open_encoder(config)
    store = open_store(place, encoder)
    reports: dict[str, IngestReport] = {}
    for collection in config.collections:
        with terminal.progress(f"{config.node}/{collection.id}") as tick:
            reports[collection.id] = ingest_folder(
                collection.folder,
                collection.id,
                store,
                encoder,
                reader=collection.reader,
                redaction=redaction_of(collection),
                readings=place.readings / collection.id,
                progress=tick,
            )
    for collection in config.collections:  # what a later one told of patients of an earlier one
        reports[collection.id] = redacted_again(reports[collection.id], collection.id, store, redaction_of(collection))
    _note_ingest(place, reports)
    unreadable = sum(len(report.unreadable) for report in reports.values())
    if as_json:
        terminal.print_json({name: asdict(report) for name, report in reports.items()})
    else:
        for name, report in reports.items():
            terminal.out.print(
                f"{name}: {report.passages} passages; documents +{report.added} ~{report.changed} "
                f"={report.unchanged} -{report.deleted}; unreadable {len(report.unreadable)}",
                markup=False,
            )
            for bad in report.unreadable:
                terminal.out.print(f"  {bad.path}: {bad.code}: {bad.reason}", markup=False)
            if report.redaction is not None:
                found = ", ".join(f"{one.category} {one.count}" for one in report.redaction.found) or "none"
                terminal.out.print(
                    f"  redacted {report.redaction.redacted} passages, withheld {report.redaction.withheld}; "
                    f"identifiers in their texts: {found}",
                    markup=False,
                    soft_wrap=True,
                )
        if not all(report.compacted for report in list(reports.values())[-1:]):
            terminal.out.print(
                "Deleted text may still be in the store's log, because another process was reading it: "
                "the next ingest takes it out.",
                soft_wrap=True,
            )
    if unreadable:
        raise typer.Exit(9)


@app.command()
def serve(
    home: Home,
    host: Annotated[str | None, typer.Option(help="Address to listen on; off loopback needs TLS.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on; 0 takes a free one.")] = None,
    with_parent: Annotated[
        bool, typer.Option("--with-parent", hidden=True, help="Stop when standard input ends.")
    ] = False,
) -> None:
    """Answer the pinned coordinators until stopped. Prints one JSON line when ready."""
    from retriever_node.serving import serve_node

    serve_node(home, host, port, until_closed=sys.stdin if with_parent else None)


@app.command()
def health(home: Home) -> None:
    """Whether the node of this home serves here and is ready; exit code 8 when it is not."""
    import ssl
    from tempfile import NamedTemporaryFile

    from fedrag.core.config import Tls
    from fedrag.http.health import check_health
    from retriever_node.home import own_root, tool_certificate

    place = NodeHome(home)
    config = open_config(place)
    root, own = own_root(place, config), None
    if config.serve.tls in (Tls.OWN, Tls.FILES):
        own = ssl.create_default_context(cadata=root)
        with NamedTemporaryFile(suffix=".pem") as pem:
            pem.write(tool_certificate(place, config, days=1))
            pem.flush()
            own.load_cert_chain(pem.name)
    terminal.out.print(check_health(config.serve, DEFAULT_PORT, root, own), markup=False)


@app.command("tool-certificate")
def make_tool_certificate(
    home: Home,
    output: Annotated[Path, typer.Option(help="Folder for tool.pem (certificate and key) and root.crt.")],
    days: Annotated[int, typer.Option(min=1, max=3650, help="How long it is good for.")] = 365,
) -> None:
    """Make a certificate for your own monitoring, which reads /health and /metrics; it opens nothing else."""
    import os

    from retriever_node.home import own_root, tool_certificate

    place = NodeHome(home)
    config = open_config(place)
    output.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(output / "tool.pem", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(tool_certificate(place, config, days))
    (output / "root.crt").write_text(own_root(place, config), encoding="utf-8")
    terminal.out.print(f"{output}/tool.pem and root.crt made", markup=False, soft_wrap=True)


@app.command()
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


@app.command("train-reranker")
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


@app.command()
def describe(home: Home) -> None:
    """Print exactly what routers are told about this node."""
    from retriever_node.assemble import assemble

    terminal.print_json(assemble(NodeHome(home)).describe())


@app.command()
def check(home: Home) -> None:
    """Check configuration, policy, keys, passages, indexes, audit chain; exit code 6 when something is damaged."""
    from retriever_node import audit, switch
    from retriever_node.assemble import assemble

    place = NodeHome(home)
    _require_sound(place)
    node = assemble(place)
    with node.state.reading() as connection:
        chain = audit.check(connection)
        stopped = switch.stopped(connection)
    if stopped is not None:
        since, reason = stopped
        terminal.out.print(f"nothing leaves since {since}: {reason}", markup=False, soft_wrap=True)
    _say_denied(place, open_config(place))
    for served in node.collections.values():
        if served.redaction and (lacking := node.store.count_unredacted(served.id, served.redaction.version)):
            terminal.out.print(
                f"{served.id}: {lacking} passages are not offered, they lack a redacted form: fedrag-node ingest",
                markup=False,
                soft_wrap=True,
            )
    terminal.out.print(f"{node.id}: 0 problems; audit chain of {chain.lines} lines intact", markup=False)


@app.command()
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


@app.command()
def repair(home: Home) -> None:
    """Take out what is damaged and can be made again, and say what was done; exit code 6 when something is left.

    The audit log and the ledger are never touched. A store that SQLite cannot read is put aside and what is whole of it
    saved: stop the node for that.
    """
    from datetime import UTC, datetime

    from retriever_node.repair import repair as repair_home

    place = NodeHome(home)
    for sentence in repair_home(place, datetime.now(UTC)):
        terminal.out.print(sentence, markup=False, soft_wrap=True)
    _require_sound(place)
    terminal.out.print("nothing is damaged", markup=False)


@app.command()
def backup(home: Home, output: Annotated[Path, typer.Option(help="The backup: a new folder.")]) -> None:
    """Copy a node, which may serve and ingest meanwhile. The copy holds its private key and every text: guard it."""
    from datetime import UTC, datetime

    from retriever_node.backup import backup as back_up

    about = back_up(NodeHome(home), output, datetime.now(UTC))
    terminal.out.print(f"backup of {about.node} made in {output}", markup=False, soft_wrap=True)


@app.command()
def restore(
    home: Home, source: Annotated[Path, typer.Option("--from", help="The backup: a folder that `backup` made.")]
) -> None:
    """Make a node of a backup, in a new folder; exit code 6 when the backup is damaged. Then ingest."""
    from datetime import UTC, datetime

    from retriever_node.backup import restore as restore_node

    about = restore_node(source, NodeHome(home), datetime.now(UTC))
    terminal.out.print(
        f"{about.node} as it was at {about.made_at.isoformat()}; quotas spent and requests seen since are forgotten\n"
        f"next: fedrag-node ingest --home {home}",
        markup=False,
        soft_wrap=True,
    )


@app.command("trust-clock")
def trust_clock(home: Home) -> None:
    """Say that this machine's clock is right now, after it was wrong: what was charged to days to come counts for
    today, and the node releases again. Nothing is forgotten."""
    import time

    from retriever_node import audit, ledger
    from retriever_node.state import NodeState

    place = NodeHome(home)
    open_config(place)
    state = NodeState(place.state)
    with state.transaction() as connection:
        moved = ledger.trust_clock(connection, time.time())
        audit.note(connection, "clock_trusted", time.time(), figures={"charges": moved})
    state.close()
    terminal.out.print(f"{moved} charges of days to come count for today", markup=False)


def _say_denied(place: NodeHome, config: NodeConfig) -> None:
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


def _note_ingest(place: NodeHome, reports: Mapping[str, "IngestReport"]) -> None:
    for name, report in reports.items():
        counts = {
            "passages": report.passages,
            "added": report.added,
            "changed": report.changed,
            "deleted": report.deleted,
            "unreadable": len(report.unreadable),
        }
        _note(place, "ingest", collection=name, figures=counts)
        if report.redaction is not None:
            redacted = {"redacted": report.redaction.redacted, "withheld": report.redaction.withheld}
            found = {f"found {one.category}": one.count for one in report.redaction.found}
            _note(place, "redaction", collection=name, figures={**redacted, **found})


def _note(
    place: NodeHome,
    kind: str,
    *,
    collection: str = "",
    coordinator: str = "",
    figures: Mapping[str, float] | None = None,
) -> None:
    """A line of the audit log, of what the hospital did by a command."""
    import time
    from contextlib import closing

    from retriever_node import audit
    from retriever_node.state import NodeState

    with closing(NodeState(place.state)) as state, state.transaction() as connection:
        audit.note(connection, kind, time.time(), collection=collection, coordinator=coordinator, figures=figures)


def _require_sound(place: NodeHome) -> None:
    from retriever_node.repair import examine

    findings = examine(place)
    for found in findings:
        terminal.out.print(f"damaged: {found.part}: {found.code} ({found.count})", markup=False)
    if findings:
        raise typer.Exit(6)


def _collection(entry: str) -> CollectionConfig:
    path, separator, chosen = entry.rpartition("=")
    if not separator or chosen not in tuple(ReleaseClass):
        raise InputError(f"choose a class for {entry}: PATH=CLASS with one of {_CLASSES}", code="class_not_chosen")
    folder = Path(path).resolve()
    if not folder.is_dir():
        raise InputError(f"folder {folder} does not exist", code="missing_folder")
    return CollectionConfig(id=folder.name.lower().replace(" ", "-"), folder=folder, release_class=ReleaseClass(chosen))
