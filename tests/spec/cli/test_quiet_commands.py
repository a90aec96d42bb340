"""What a command finds worth logging never mixes with what it was asked to print."""

import subprocess
import sys

PROGRAM = """
import logging, structlog, typer
from fedrag import terminal

app = typer.Typer()

@app.command()
def told() -> None:
    structlog.get_logger().info("of_no_interest")
    structlog.get_logger().warning("of_interest")
    library = logging.getLogger("library")
    library.setLevel(logging.DEBUG)
    library.debug("of_no_interest")
    terminal.print_json({"asked": "for"})

terminal.run(app)
"""


def test_logs_stay_on_standard_error_and_quiet() -> None:
    """Standard output is the one document asked for; of the log only what warns is there, apart from it."""
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    assert done.stdout == '{\n  "asked": "for"\n}\n'
    assert "of_interest" in done.stderr
    assert "of_no_interest" not in done.stderr
