"""The command `wellbegun`: one sub-command a file, errors as one clear line, exit codes for machines."""

from __future__ import annotations

import sys

import typer
from rich.console import Console

import wellbegun
from wellbegun.cli.anchor import anchor_command
from wellbegun.cli.compare import compare_command, report_command
from wellbegun.cli.data import data_commands
from wellbegun.cli.diagnose import diagnose_command
from wellbegun.cli.gain import gain_command
from wellbegun.cli.init import init_command
from wellbegun.cli.methods import explain_command, methods_command
from wellbegun.cli.plan import plan_command
from wellbegun.errors import WellbegunError

USAGE_ERROR, INTERRUPTED = 2, 130


def build() -> typer.Typer:
    """Put the command together."""
    app = typer.Typer(
        name="wellbegun",
        help="Decides, explains, writes and checks the starting weights of neural networks.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
    )
    app.callback(invoke_without_command=False)(_options)
    app.command("compare")(compare_command)
    app.command("report")(report_command)
    app.command("anchor")(anchor_command)
    app.add_typer(data_commands(), name="data")
    app.command("plan")(plan_command)
    app.command("init")(init_command)
    app.command("diagnose")(diagnose_command)
    app.command("methods")(methods_command)
    app.command("explain")(explain_command)
    app.command("gain")(gain_command)
    return app


def _show_version(wanted: bool) -> None:
    if wanted:
        print(f"wellbegun {wellbegun.__version__}")
        raise typer.Exit()


def _options(
    version: bool = typer.Option(False, "--version", callback=_show_version, is_eager=True, help="Show the version."),
) -> None:
    """Decides, explains, writes and checks the starting weights of neural networks."""


def main() -> None:
    """Run the command; an expected error is one line on stderr and exit status 2, an interruption status 130."""
    try:
        build()()
    except WellbegunError as error:
        Console(stderr=True, highlight=False).print("error:", str(error), style="red", markup=False, soft_wrap=True)
        sys.exit(USAGE_ERROR)
    except KeyboardInterrupt:
        Console(stderr=True).print("interrupted", style="yellow")
        sys.exit(INTERRUPTED)
