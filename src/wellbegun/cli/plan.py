"""wellbegun plan: what every tensor of a model would hold, and why; or how two plans of it differ."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from wellbegun.cli.model import MODEL_HELP

if TYPE_CHECKING:
    from wellbegun.plans import Plan, PlanDiff

INPUT_HELP = (
    "What its forward takes: vector:64, image:3x224x224, tokens:16 or float:1x16000; several by name, "
    "image=image:3x8x8,text=tokens:16. Default: from the configuration, or guessed from the first layer."
)
RECIPE_HELP = (
    "auto; author, for what the model's own code does; a preset such as gpt2@1; or one method for all weights, such as "
    "'normal(std=0.02)'. See: wellbegun methods."
)
RULES_HELP = "TOML file of rules that override the recipe: tables 'rule' with match = '*.bias' and init = 'zeros'."


def plan_command(
    model: Annotated[str, typer.Argument(help=MODEL_HELP, metavar="MODEL")],
    inputs: Annotated[str, typer.Option("--input", help=INPUT_HELP)] = "",
    recipe: Annotated[str, typer.Option(help=RECIPE_HELP)] = "auto",
    rules: Annotated[Path | None, typer.Option(help=RULES_HELP)] = None,
    seed: Annotated[int, typer.Option(min=0, help="Decides, with the names, every number.")] = 0,
    json_file: Annotated[str, typer.Option("--json", metavar="FILE", help="Write as JSON; '-' for stdout alone.")] = "",
    diff: Annotated[
        str, typer.Option("--diff", metavar="OTHER", help="Compare with another recipe, or with a plan's file.")
    ] = "",
) -> None:
    """Show what every parameter and buffer of a model would hold, and why."""
    from wellbegun.cli.model import load_model, read_inputs
    from wellbegun.plans import check_writable, load_rules, plan_to_record, write_text_atomically
    from wellbegun.recipes import plan

    to_file = json_file not in ("", "-")
    if to_file:
        check_writable(json_file)
    chosen = load_rules(rules) if rules is not None else None
    build, _ = load_model(model)
    given = read_inputs(inputs)
    made = plan(build, given, seed=seed, recipe=recipe, rules=chosen)
    shown: Plan | PlanDiff = made
    record: dict[str, Any] | None = None
    if diff:
        shown = made.diff(_other(diff, lambda name: plan(build, given, seed=seed, recipe=name)))
        record = diff_to_record(shown)
    if json_file == "-":
        print(json.dumps(record or plan_to_record(made), indent=1, ensure_ascii=False))
        return
    Console().print(shown)
    if to_file and record is not None:
        write_text_atomically(json_file, json.dumps(record, indent=1, ensure_ascii=False) + "\n")
    elif to_file:
        made.save(json_file)


def diff_to_record(diff: PlanDiff) -> dict[str, Any]:
    """Return the differences of two plans as plain data."""
    changes = [
        {
            "name": change.name,
            "what": change.what,
            "std_ratio": change.ratio,
            "first": None if change.first is None else repr(change.first.law),
            "second": None if change.second is None else repr(change.second.law),
        }
        for change in diff
    ]
    findings = [
        {"level": f.level, "plan": f.plan, "title": f.title, "text": f.text, "names": list(f.names)}
        for f in diff.findings
    ]
    recipes = {"first": diff.first.recipe, "second": diff.second.recipe}
    return {"schema": "wellbegun.diff/1", **recipes, "changes": changes, "findings": findings}


def _other(text: str, make: Any) -> Plan:
    """The plan to compare with: a file, if there is one of that name, else a recipe."""
    from wellbegun.plans import load_plan

    made: Plan = load_plan(text) if text.endswith(".json") or Path(text).is_file() else make(text)
    return made
