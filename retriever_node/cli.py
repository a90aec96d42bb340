"""`fedrag-node`: one hospital's command line."""

import typer

from fedrag import terminal
from retriever_node.audit_cli import audit_app
from retriever_node.enrolment_cli import enroll, renew, tool_certificate
from retriever_node.ingest_cli import ingest
from retriever_node.lockout_cli import lockout_app
from retriever_node.owner_cli import budget, describe, search, train_reranker
from retriever_node.policy.commands import policy_app
from retriever_node.releasing_cli import resume_releasing, stop_releasing, trust_clock
from retriever_node.repair_cli import backup, check, repair, restore
from retriever_node.review_cli import review_app
from retriever_node.serving_cli import health, serve
from retriever_node.setup_cli import init

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Run one hospital's node: your documents stay here; text leaves only as your policy allows.\n\n"
    "A first node in four steps: fedrag-node init, fedrag-node ingest, fedrag-node enroll, fedrag-node serve.",
)
for command in (
    *(init, stop_releasing, resume_releasing, enroll, renew, ingest, serve, health, tool_certificate),
    *(search, train_reranker, describe, check, budget, repair, backup, restore, trust_clock),
):
    app.command()(command)
app.add_typer(policy_app, name="policy")
app.add_typer(audit_app, name="audit")
app.add_typer(lockout_app, name="lockout")
app.add_typer(review_app, name="review")


def main() -> None:
    terminal.run(app)
