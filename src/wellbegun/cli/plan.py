"""wellbegun plan: the plan of a model that the user names as module:factory."""

from __future__ import annotations

import importlib
import json
import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from wellbegun.errors import ArgumentError


def plan_command(
    model: Annotated[str, typer.Argument(help="module:factory, a function without arguments that builds the model.")],
    inputs: Annotated[
        str, typer.Option("--input", help="vector:64, image:3x224x224, tokens:16 or float:1x16000.")
    ] = "",
    recipe: Annotated[str, typer.Option(help="auto, or one method for all weights.")] = "auto",
    seed: Annotated[int, typer.Option(min=0, help="Decides, with the names, every number.")] = 0,
    json_file: Annotated[str, typer.Option("--json", metavar="FILE", help="Write the plan; '-' for stdout.")] = "",
) -> None:
    """Show what every parameter and buffer of a model would hold, and why."""
    from wellbegun.plans import plan_to_record
    from wellbegun.recipes import plan

    made = plan(load_factory(model), inputs or None, seed=seed, recipe=recipe)
    if json_file == "-":
        print(json.dumps(plan_to_record(made), indent=1))
        return
    Console().print(made)
    if json_file:
        made.save(Path(json_file))


def load_factory(text: str) -> Any:
    """Import the factory that the user names; this is the one place where the command runs the user's code.

    Raises:
        ArgumentError: no such module or factory.
    """
    name, colon, factory = text.partition(":")
    if not colon or not name or not factory:
        raise ArgumentError(f"MODEL must be module:factory, for example my_models:build, got {text!r}")
    sys.path.insert(0, os.getcwd())
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name.split(".")[0] and error.name != name:
            raise
        raise ArgumentError(f"there is no module {name!r} here or among the installed ones") from None
    finally:
        sys.path.remove(os.getcwd())
    if not callable(getattr(module, factory, None)):
        raise ArgumentError(f"module {name!r} has no function {factory!r}")
    return getattr(module, factory)
