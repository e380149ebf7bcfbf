"""wellbegun diagnose: whether a network is fit to be trained; the exit status says so to machines."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from wellbegun.cli.model import MODEL_HELP
from wellbegun.cli.plan import INPUT_HELP, RECIPE_HELP

if TYPE_CHECKING:
    import torch

    from wellbegun.plans import Plan

FAULTY = 1
"""Exit status if there is a finding of level error."""


def diagnose_command(
    model: Annotated[str, typer.Argument(help=MODEL_HELP, metavar="MODEL")],
    inputs: Annotated[str, typer.Option("--input", help=INPUT_HELP)] = "",
    recipe: Annotated[
        str, typer.Option(help=f"Start the model by this recipe first. {RECIPE_HELP} Default: as its own code does.")
    ] = "",
    plan: Annotated[
        Path | None, typer.Option(help="Start the model by this plan first, and compare: a file of wellbegun plan.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the recipe, or of the model's own random numbers.")] = 0,
    jacobian: Annotated[
        bool, typer.Option("--jacobian", help="Also measure how the outputs' slopes treat different directions.")
    ] = False,
    json_file: Annotated[str, typer.Option("--json", metavar="FILE", help="Write as JSON; '-' for stdout alone.")] = "",
    html_file: Annotated[
        str, typer.Option("--html", metavar="FILE", help="Write as one page for a browser: needs no network.")
    ] = "",
    repair: Annotated[str, typer.Option(metavar="FILE", help="Write the plan that mends what was found.")] = "",
) -> None:
    """Say whether a model is fit to be trained: exit status 0 if it is sound, 1 if not, 2 for a wrong command.

    The model runs once forward and once backward, on random inputs.
    """
    from wellbegun.cli.model import load_model, read_inputs
    from wellbegun.diagnosis import diagnose
    from wellbegun.errors import ArgumentError
    from wellbegun.plans import check_writable, load_plan, write_text_atomically

    if recipe and plan is not None:
        raise ArgumentError("--recipe and --plan both say how the model starts; give one of them")
    if html_file:
        from wellbegun.diagnosis.page import require_page

        require_page()
        check_writable(html_file)
    for file in (json_file, repair):
        if file not in ("", "-"):
            check_writable(file)
    planned = load_plan(plan) if plan is not None else None
    build, _ = load_model(model)
    given = read_inputs(inputs)
    network = _built(build, seed)
    if recipe or planned is not None:
        planned = _started(network, given, recipe, planned, seed)
    found = diagnose(network, given, plan=planned, theory=True, jacobian=jacobian)
    if json_file == "-":
        print(found.to_json())
    else:
        Console().print(*found.renderables(), sep="\n")
    if json_file not in ("", "-"):
        write_text_atomically(json_file, found.to_json() + "\n")
    if html_file:
        found.save_html(html_file)
    if repair:
        found.repair(seed=seed).save(repair)
    if not found.healthy:
        raise typer.Exit(FAULTY)


def _built(build: object, seed: int) -> torch.nn.Module:
    """The model as its own code makes it, with random numbers from the seed; a model itself is taken as it is."""
    import torch

    if isinstance(build, torch.nn.Module):
        return build
    assert callable(build)
    torch.manual_seed(seed)
    made: torch.nn.Module = build()
    return made


def _started(network: torch.nn.Module, given: object, recipe: str, planned: Plan | None, seed: int) -> Plan:
    from wellbegun.recipes import plan as make_plan
    from wellbegun.targets import apply

    made = planned if planned is not None else make_plan(network, given, seed=seed, recipe=recipe)
    apply(made, network)
    return made
