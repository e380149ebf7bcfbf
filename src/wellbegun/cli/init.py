"""wellbegun init: a model's starting weights as a checkpoint, with the plan that made them."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from wellbegun.cli.model import MODEL_HELP
from wellbegun.cli.plan import INPUT_HELP, RECIPE_HELP, RULES_HELP
from wellbegun.errors import OutputError

if TYPE_CHECKING:
    import torch

    from wellbegun.plans import Plan

WEIGHTS, PLAN = "model.safetensors", "plan.json"
_SHARDS = "model.safetensors.index.json"


def init_command(
    model: Annotated[str, typer.Argument(help=MODEL_HELP, metavar="MODEL")],
    out: Annotated[Path, typer.Option("--out", metavar="FOLDER", help="Where the checkpoint goes.")],
    inputs: Annotated[str, typer.Option("--input", help=INPUT_HELP)] = "",
    recipe: Annotated[str, typer.Option(help=RECIPE_HELP)] = "auto",
    rules: Annotated[Path | None, typer.Option(help=RULES_HELP)] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Default: a fresh one, which is printed.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a checkpoint that is there.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print what was written as JSON.")] = False,
) -> None:
    """Write a small model's starting weights: model.safetensors, plan.json, and config.json for transformers."""
    from wellbegun.authors import skeleton
    from wellbegun.cli.model import load_model, read_inputs
    from wellbegun.plans import load_rules
    from wellbegun.plans.words import bytes_words
    from wellbegun.recipes import plan
    from wellbegun.targets import apply

    check_folder(out, force)
    chosen = load_rules(rules) if rules is not None else None
    build, is_transformers = load_model(model)
    drawn = seed is None
    number = secrets.randbits(32) if seed is None else seed
    with _stages(quiet=as_json) as stage:
        stage("building the model")
        with skeleton():
            module = build()
        stage("planning")
        made = plan(module, read_inputs(inputs), seed=number, recipe=recipe, rules=chosen)
        stage("drawing the numbers")
        applied = apply(made, module, overwrite=True)
        stage("writing")
        files = write_folder(out, lambda folder: _write(folder, made, module, is_transformers))
    if as_json:
        record = {"out": str(out), "seed": number, "recipe": made.recipe, "hash": made.hash, "files": files}
        print(json.dumps(record | {"tensors": len(made), "elements": applied.elements}, indent=1))
        return
    console = Console(highlight=False)
    origin = f"  (drawn for this run; the same weights again: --seed {number})" if drawn else ""
    console.print(f"[bold]{out}[/]: {len(made)} tensors by {made.recipe}, {applied.elements:,} numbers written")
    console.print(f"seed [bold]{number}[/]{origin}", soft_wrap=True)
    for name, size in files.items():
        console.print(f"  {name}  {bytes_words(size)}", style="dim")


def check_folder(out: Path, force: bool) -> None:
    """Raise OutputError unless a checkpoint can be written there: asked before the model is built.

    Raises:
        OutputError: it is a file, its parent cannot be written, or it holds a checkpoint already.
    """
    from wellbegun.plans import check_writable

    if out.is_dir():
        check_writable(out / WEIGHTS)
        there = sorted(path.name for path in out.iterdir())
        if _SHARDS in there:
            raise OutputError(f"{str(out)!r} holds a checkpoint in several files ({_SHARDS}); choose another folder")
        if there and not force:
            shown = ", ".join(there[:3]) + (" ..." if len(there) > 3 else "")
            raise OutputError(f"{str(out)!r} is not empty ({shown}); choose another folder, or replace with --force")
    elif out.exists() or out.is_symlink():
        raise OutputError(f"{str(out)!r} is a file; --out names a folder")
    else:
        check_writable(out)


def write_folder(out: Path, write: Callable[[Path], None]) -> dict[str, int]:
    """Let `write` fill a folder beside the target, then put it in place; nothing is left behind if it fails.

    Returns:
        Names and sizes of the files.

    Raises:
        OutputError: the disk is full, or permission is missing.
    """
    try:
        made = Path(tempfile.mkdtemp(dir=out.resolve().parent, prefix=f".{out.name}."))
    except OSError as error:
        raise OutputError(f"cannot write beside {str(out)!r}: {error.strerror}") from None
    try:
        write(made)
        for path in made.iterdir():  # the libraries make private files
            path.chmod(0o666 & ~_umask())
        files = {path.name: path.stat().st_size for path in sorted(made.iterdir())}
        made.chmod(0o777 & ~_umask())
        if not out.exists():
            made.rename(out)
        else:
            for name in sorted(files, key=lambda name: name == WEIGHTS):  # the weights come last
                (made / name).replace(out / name)
    except OSError as error:
        raise OutputError(f"cannot write {str(out)!r}: {error.strerror or error}") from None
    finally:
        shutil.rmtree(made, ignore_errors=True)
    return files


def _write(folder: Path, plan: Plan, model: torch.nn.Module, is_transformers: bool) -> None:
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    try:
        if is_transformers:
            from transformers.utils import logging

            logging.disable_progress_bar()  # type: ignore[no-untyped-call]
            model.save_pretrained(folder, max_shard_size="1000GB")  # type: ignore[operator]
        else:
            state = model.state_dict(keep_vars=True)
            tensors = {entry.name: state[entry.name].detach().contiguous() for entry in plan if entry.name in state}
            save_file(tensors, folder / WEIGHTS, metadata={"format": "pt"})
    except SafetensorError as error:  # what the disk said, in the library's own words
        raise OutputError(f"cannot write the weights: {error}") from None
    plan.save(folder / PLAN)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


@contextmanager
def _stages(quiet: bool) -> Iterator[Callable[[str], None]]:
    """A line that says what is being done and since when, on a terminal."""
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=quiet or not sys.stderr.isatty()) as progress:
        bar = progress.add_task("", total=None)
        yield lambda what: progress.update(bar, description=what)
