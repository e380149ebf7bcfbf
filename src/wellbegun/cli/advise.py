"""wellbegun advise: the methods that suit a model best, with reasons; the exit status says if one is sound."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console

from wellbegun.cli.diagnose import FAULTY
from wellbegun.cli.model import MODEL_HELP
from wellbegun.cli.plan import INPUT_HELP


def advise_command(
    model: Annotated[str, typer.Argument(help=MODEL_HELP, metavar="MODEL")],
    inputs: Annotated[str, typer.Option("--input", help=INPUT_HELP)] = "",
    most: Annotated[int, typer.Option(min=1, help="How many choices.")] = 3,
    shared_rates: Annotated[
        bool, typer.Option("--shared-rates", help="Learning rates shall carry over to other widths: try muP too.")
    ] = False,
    seed: Annotated[int, typer.Option(min=0, help="Of the plans that are tried.")] = 0,
    json_file: Annotated[str, typer.Option("--json", metavar="FILE", help="Write as JSON; '-' for stdout alone.")] = "",
) -> None:
    """Say which methods suit a model best, and why: exit status 0, 1 if none makes it sound, 2 for a wrong command.

    Each method starts a copy of the model, which runs once forward and once backward, on random inputs. A model of more
    than 20 million parameters is judged by theory.
    """
    from wellbegun.advice import advise
    from wellbegun.cli.model import load_model, read_inputs
    from wellbegun.plans import check_writable, write_text_atomically

    to_file = json_file not in ("", "-")
    if to_file:
        check_writable(json_file)
    build, _ = load_model(model)
    with Console(stderr=True).status("") as status:
        found = advise(
            build,
            read_inputs(inputs),
            most=most,
            shared_rates=shared_rates,
            seed=seed,
            on_method=lambda recipe: status.update(f"trying {recipe}"),
        )
    if json_file == "-":
        print(found.to_json())
    else:
        console = Console()
        console.print(*found.renderables(), sep="\n")
        _show_command(console, model, inputs, found.best.recipe)
    if to_file:
        write_text_atomically(json_file, found.to_json() + "\n")
    if not found.healthy:
        raise typer.Exit(FAULTY)


def _show_command(console: Console, model: str, inputs: str, recipe: str) -> None:
    """How to see what every tensor would hold."""
    given = ["--input", inputs] if inputs else []
    import shlex

    command = shlex.join(["wellbegun", "plan", model, *given, "--recipe", recipe])
    console.print(f"\nThe first choice, tensor by tensor: {command}", style="dim", markup=False, highlight=False)
