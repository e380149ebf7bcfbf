"""wellbegun init: a model's starting weights as a checkpoint, with the plan that made them."""

from __future__ import annotations

import json
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer
from rich.console import Console

from wellbegun.cli.model import MODEL_HELP
from wellbegun.cli.plan import INPUT_HELP, RECIPE_HELP, RULES_HELP
from wellbegun.cli.stages import stages
from wellbegun.cli.whole import PLAN, WEIGHTS, write_whole
from wellbegun.errors import ApplyError, ArgumentError, OutputError

if TYPE_CHECKING:
    import torch

    from wellbegun.plans import Plan


def init_command(
    model: Annotated[str, typer.Argument(help=MODEL_HELP, metavar="MODEL")],
    out: Annotated[Path, typer.Option("--out", metavar="FOLDER", help="Where the checkpoint goes.")],
    inputs: Annotated[str, typer.Option("--input", help=INPUT_HELP)] = "",
    recipe: Annotated[str, typer.Option(help=RECIPE_HELP)] = "auto",
    rules: Annotated[Path | None, typer.Option(help=RULES_HELP)] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Default: a fresh one, which is printed.")] = None,
    max_shard: Annotated[str, typer.Option("--max-shard", metavar="SIZE", help="Numbers in a file at most.")] = "5GB",
    dtype: Annotated[str, typer.Option(help="Storage type, such as bfloat16. Default: the model's own.")] = "",
    part: Annotated[str, typer.Option(metavar="I/N", help="Write the I-th of N parts; needs --seed.")] = "",
    resume: Annotated[bool, typer.Option("--resume", help="Go on where an interrupted run stopped.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace a checkpoint that is there.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print what was written as JSON.")] = False,
) -> None:
    """Write a model's starting weights: safetensors files, plan.json, and config.json for transformers.

    The numbers go from the plan to the disk as a stream: the model is never in memory, however large it is.
    """
    from wellbegun.authors import skeleton
    from wellbegun.cli.model import load_model, read_inputs
    from wellbegun.plans import load_rules
    from wellbegun.recipes import plan
    from wellbegun.targets.checkpoint.shards import parse_part, parse_size
    from wellbegun.targets.checkpoint.tensors import check_dtype

    if resume and force:
        raise ArgumentError("--resume keeps what is there and --force replaces it: choose one")
    parse_part(part or None)
    parse_size(max_shard)
    stored = check_dtype(dtype or None)
    check_folder(out, force, going_on=resume or bool(part))
    earlier = _earlier(out) if resume or part else None
    chosen = load_rules(rules) if rules is not None else None
    build, is_transformers = load_model(model)
    drawn = seed is None and earlier is None
    if part and drawn:
        raise ArgumentError("--part needs --seed: all parts must be drawn with the same one")
    number = seed if seed is not None else earlier.seed if earlier is not None else secrets.randbits(32)
    with stages(quiet=as_json) as stage:
        stage("building the model")
        with skeleton():
            module = build()
        stage("planning")
        made = plan(module, read_inputs(inputs), seed=number, recipe=recipe, rules=chosen)
    if earlier is not None and (earlier.hash, earlier.seed) != (made.hash, made.seed):
        raise OutputError(
            f"{str(out / PLAN)!r} is another plan (seed {earlier.seed}, {earlier.recipe}); this one has seed {number}, "
            f"{made.recipe}. Give the arguments that the checkpoint was begun with, or choose another folder"
        )
    if is_transformers and stored is not None:
        cast(Any, module).config.dtype = stored
    try:
        record = _stream(made, module, out, is_transformers, max_shard, stored, part, resume, force)
    except KeyboardInterrupt:
        Console(stderr=True).print("stopped; the same command with --resume goes on", style="yellow")
        raise
    except _NotAStream as reason:
        if part or resume:
            raise ApplyError(f"--part and --resume need a checkpoint that can be streamed, and {reason}") from None
        record = write_whole(made, module, out, is_transformers, max_shard, stored, str(reason), as_json)
    _show(out, made, number, record, drawn, as_json)


def check_folder(out: Path, force: bool, going_on: bool = False) -> None:
    """Raise OutputError unless a checkpoint can be written there: asked before the model is built.

    Args:
        out: the folder.
        force: what is there may be replaced.
        going_on: a part of the checkpoint may be there already.

    Raises:
        OutputError: it is a file, its parent cannot be written, or it holds a checkpoint already.
    """
    from wellbegun.plans import check_writable
    from wellbegun.targets.checkpoint.shards import is_weights

    if out.is_dir():
        check_writable(out / WEIGHTS)
        there = sorted(path.name for path in out.iterdir())
        if there and not force and not going_on:
            shown = ", ".join(there[:3]) + (" ..." if len(there) > 3 else "")
            hint = "; go on with --resume" if any(is_weights(name) for name in there) else ""
            raise OutputError(
                f"{str(out)!r} is not empty ({shown}); choose another folder, or replace with --force{hint}"
            )
    elif out.exists() or out.is_symlink():
        raise OutputError(f"{str(out)!r} is a file; --out names a folder")
    else:
        check_writable(out)


class _NotAStream(Exception):
    """The checkpoint's tensors are not stretches of planned ones; the text says why."""


def _earlier(out: Path) -> Plan | None:
    """The plan of the run that is gone on with, or of another part of it in the same folder."""
    from wellbegun.plans import load_plan

    return load_plan(out / PLAN) if (out / PLAN).exists() else None


def _stream(
    plan: Plan,
    model: torch.nn.Module,
    out: Path,
    is_transformers: bool,
    max_shard: str,
    dtype: str | None,
    part: str,
    resume: bool,
    force: bool,
) -> dict[str, Any]:
    """Write the plan, the numbers, and the configuration."""
    from wellbegun.targets import write_checkpoint
    from wellbegun.targets.checkpoint.from_model import model_tensors

    try:
        model_tensors(plan, model, dtype)
    except ApplyError as error:
        raise _NotAStream(str(error)) from None
    try:
        out.mkdir(exist_ok=True)
        if force or not (out / PLAN).exists():
            plan.save(out / PLAN)  # first: it holds the seed that --resume needs
    except OSError as error:
        raise OutputError(f"cannot write {str(out)!r}: {error.strerror or error}") from None
    done = write_checkpoint(
        plan,
        out,
        max_shard_bytes=max_shard,
        dtype=dtype,
        part=part or None,
        resume=resume,
        overwrite=force,
        model=model,
    )
    if is_transformers:  # after the numbers: what lies there belongs to this checkpoint, or was refused
        _save_config(model, out)
    beside = [out / name for name in (PLAN, "config.json", "generation_config.json") if (out / name).exists()]
    return {
        "files": {path.name: path.stat().st_size for path in sorted([*beside, *done.files])},
        "skipped": [path.name for path in done.skipped],
        "part": f"{done.part[0]}/{done.part[1]}",
        "seconds": round(done.seconds, 3),
        "bytes": done.bytes,
        "streamed": True,
    }


def _save_config(model: Any, out: Path) -> None:
    """What `save_pretrained` writes besides the numbers."""
    model.config.architectures = [type(model).__name__]
    if model.config.dtype is None:
        model.config.dtype = str(model.dtype).removeprefix("torch.")
    try:
        model.config.save_pretrained(out)
        if model.can_generate():
            model.generation_config.save_pretrained(out)
    except OSError as error:
        raise OutputError(f"cannot write into {str(out)!r}: {error.strerror or error}") from None


def _show(out: Path, plan: Plan, seed: int, record: dict[str, Any], drawn: bool, as_json: bool) -> None:
    from wellbegun.plans.words import bytes_words

    elements = sum(entry.size for entry in plan if entry.persistent)
    if as_json:
        head = {"out": str(out), "seed": seed, "recipe": plan.recipe, "hash": plan.hash}
        print(json.dumps(head | record | {"tensors": len(plan), "elements": elements}, indent=1))
        return
    console = Console(highlight=False)
    origin = f"  (drawn for this run; the same weights again: --seed {seed})" if drawn else ""
    which = "" if record["part"] == "1/1" else f", part {record['part']}"
    rate = record["bytes"] / max(record["seconds"], 1e-9)
    console.print(
        f"[bold]{out}[/]: {len(plan)} tensors by {plan.recipe}, {elements:,} numbers{which}; "
        f"{bytes_words(record['bytes'])} written in {record['seconds']:.1f} s ({bytes_words(int(rate))}/s)",
        soft_wrap=True,
    )
    console.print(f"seed [bold]{seed}[/]{origin}", soft_wrap=True)
    for name, size in record["files"].items():
        kept = "  (was finished)" if name in record["skipped"] else ""
        console.print(f"  {name}  {bytes_words(size)}{kept}", style="dim")
