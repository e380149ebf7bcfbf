"""Checkpoints that cannot be streamed: the model is drawn in memory, and its own library writes it."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from wellbegun.cli.stages import stages
from wellbegun.errors import OutputError

if TYPE_CHECKING:
    import torch

    from wellbegun.plans import Plan

WEIGHTS, PLAN = "model.safetensors", "plan.json"


def write_whole(
    plan: Plan,
    model: torch.nn.Module,
    out: Path,
    is_transformers: bool,
    max_shard: str,
    dtype: str | None,
    why: str,
    quiet: bool,
) -> dict[str, Any]:
    """Draw the whole model in memory and let its own library write it."""
    import torch

    from wellbegun.targets import apply

    begin = time.monotonic()
    Console(stderr=True, highlight=False).print(f"the model is drawn in memory: {why}", style="yellow", soft_wrap=True)
    with stages(quiet) as stage:
        stage("drawing the numbers")
        apply(plan, model if dtype is None else model.to(getattr(torch, dtype)), overwrite=True)
        stage("writing")
        files = write_folder(out, lambda folder: _write(folder, plan, model, is_transformers, max_shard))
    size = sum(files.values())
    seconds = round(time.monotonic() - begin, 3)
    return {"files": files, "skipped": [], "part": "1/1", "seconds": seconds, "bytes": size, "streamed": False}


def write_folder(out: Path, write: Callable[[Path], None]) -> dict[str, int]:
    """Let `write` fill a folder beside the target, then put it in place; nothing is left behind if it fails.

    Returns:
        Names and sizes of the files.

    Raises:
        OutputError: the disk is full, or permission is missing.
    """
    from wellbegun.targets.checkpoint.shards import INDEX, is_weights

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
            for old in out.iterdir():  # an index and files of an older checkpoint would be taken for these
                if is_weights(old.name) and old.name not in files:
                    old.unlink()
            for name in sorted(files, key=lambda name: (is_weights(name), name == INDEX)):  # the weights come last
                (made / name).replace(out / name)
    except OSError as error:
        raise OutputError(f"cannot write {str(out)!r}: {error.strerror or error}") from None
    finally:
        shutil.rmtree(made, ignore_errors=True)
    return files


def _write(folder: Path, plan: Plan, model: torch.nn.Module, is_transformers: bool, max_shard: str) -> None:
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    from wellbegun.targets.checkpoint.shards import parse_size

    try:
        if is_transformers:
            from transformers.utils import logging

            logging.disable_progress_bar()  # type: ignore[no-untyped-call]
            model.save_pretrained(folder, max_shard_size=parse_size(max_shard))  # type: ignore[operator]
        else:
            state = model.state_dict(keep_vars=True)
            first = {id(tensor): name for name, tensor in reversed(state.items())}  # a tied tensor once
            tensors = {name: state[name].detach().contiguous() for name in first.values()}
            save_file(tensors, folder / WEIGHTS, metadata={"format": "pt"})
    except SafetensorError as error:  # what the disk said, in the library's own words
        raise OutputError(f"cannot write the weights: {error}") from None
    plan.save(folder / PLAN)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
