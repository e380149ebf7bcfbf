"""wb.write_checkpoint: a plan as safetensors files, without a model and without holding a tensor."""

from __future__ import annotations

import functools
import hashlib
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wellbegun.errors import ArgumentError, OutputError
from wellbegun.plans import Plan, write_text_atomically
from wellbegun.targets.checkpoint.content import Bytes, Content
from wellbegun.targets.checkpoint.folder import Folder
from wellbegun.targets.checkpoint.partial import PartialFile, page_memory, sync_folder
from wellbegun.targets.checkpoint.progress import Report, shown
from wellbegun.targets.checkpoint.shards import INDEX, Shard, deal, index_text, parse_part, parse_size, split
from wellbegun.targets.checkpoint.tensors import FileTensor, check_dtype, file_tensors, planned_ranges
from wellbegun.targets.fit import check_plan
from wellbegun.targets.unmet import warn_of_unmet

if TYPE_CHECKING:
    import torch

CHUNK, BUFFERS = 32 << 20, 3
"""Bytes that are drawn and written at a time, and how many of these pieces of memory there are."""


@dataclass(frozen=True)
class WrittenCheckpoint:
    """What `write_checkpoint` did.

    Attributes:
        files: the files that are there now and belong to this writer, the index last if there is one.
        bytes: written in this call.
        tensors: in the writer's files.
        skipped: those of the files that an earlier call had finished.
        seconds: it took.
        part: (i, n), which of how many writers this was.
    """

    files: tuple[Path, ...]
    bytes: int
    tensors: int
    skipped: tuple[Path, ...]
    seconds: float
    part: tuple[int, int]


def write_checkpoint(
    plan: Plan,
    folder: str | Path,
    *,
    max_shard_bytes: int | str = "5GB",
    dtype: Any = None,
    part: str | None = None,
    resume: bool = False,
    overwrite: bool = False,
    model: torch.nn.Module | None = None,
    values: Mapping[str, Any] | None = None,
    progress: Report | None = None,
) -> WrittenCheckpoint:
    """Write what a plan says as safetensors files: as a stream, in bounded memory, the same bytes for any writers.

    >>> import tempfile, torch
    >>> from safetensors.numpy import load_file
    >>> from wellbegun.recipes import plan
    >>> from wellbegun.targets import to_numpy
    >>> made = plan(lambda: torch.nn.Linear(64, 10), seed=7)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     done = write_checkpoint(made, folder)
    ...     weight = load_file(done.files[0])["weight"]
    >>> done.files[0].name, bool((weight == to_numpy(made, "weight")).all())
    ('model.safetensors', True)

    One file is called model.safetensors; several are model-00001-of-0000n.safetensors, with an index. A file appears
    under its name when it is whole and on the disk. What an interruption leaves is finished by `resume=True`.

    Memory: three pieces of 32 MiB. Laws that shape a whole block (orthogonal and other structured ones) need one of
    their tensors in memory besides, and may differ in the last bits between machines (see docs/sampler.md).

    Args:
        plan: what to write: its parameters and the buffers that a state dict holds, each tied tensor once. A weight
            that the model computes from others (weight_norm) is written as its layer uses it.
        folder: where; it is made if its parent is there.
        max_shard_bytes: bytes of numbers in a file, or text such as "5GB" or "500MiB". A larger tensor has a file of
            its own.
        dtype: storage type of the floating-point tensors ("bfloat16", torch.bfloat16); each entry's own if left out.
        part: "i/n": this is the i-th of n writers, which need not know of one another. Each writes whole files, about
            the same number of bytes, and the same index.
        resume: keep what an interrupted call with the same arguments finished, and go on.
        overwrite: replace a checkpoint that is there. Its files are kept until the first new one is whole.
        model: whose state dict the files shall hold, on meta too (`wb.skeleton()`): gives the values of buffers that
            the plan keeps, and, for a model of transformers, the names that its `save_pretrained` would use.
        values: {name: array} of the tensors whose own value the plan keeps, instead of `model`.
        progress: called now and then with (bytes written, bytes to write). If left out, a bar with rate and time left
            is shown on a terminal after two seconds.

    Raises:
        ArgumentError: an argument is not allowed.
        ApplyError: a tensor cannot be written: it has no value, or its type cannot hold the law. All are listed.
        OutputError: the folder holds another checkpoint, the disk is full, or permission is missing. The message says
            how to go on.

    Source: the safetensors format, https://huggingface.co/docs/safetensors.
    """
    begin = time.monotonic()
    check_plan(plan)
    warn_of_unmet(plan)
    if resume and overwrite:
        raise ArgumentError("resume keeps what is there and overwrite replaces it: choose one")
    if model is not None and values is not None:
        raise ArgumentError("pass model or values, not both: the model gives the values of its buffers")
    number, most, stored = parse_part(part), parse_size(max_shard_bytes), check_dtype(dtype)
    if model is None:
        tensors = file_tensors(plan, planned_ranges(plan), values or {}, stored)
    else:
        from wellbegun.targets.checkpoint.from_model import model_tensors

        tensors = model_tensors(plan, model, stored)
    shards = split(tensors, most, metadata(plan, tensors))
    path, mine = Path(folder), deal(shards, number)
    skipped, written = write_shards(plan, path, shards, mine, resume, overwrite, progress)
    index = [path / INDEX] if len(shards) > 1 else []
    return WrittenCheckpoint(
        files=(*(path / shard.name for shard in mine), *index),
        bytes=written,
        tensors=sum(len(shard.tensors) for shard in mine),
        skipped=tuple(path / name for name in skipped),
        seconds=time.monotonic() - begin,
        part=number,
    )


def write_shards(
    plan: Plan,
    path: Path,
    shards: Sequence[Shard],
    mine: Sequence[Shard],
    resume: bool,
    overwrite: bool,
    progress: Report | None = None,
    chunk: int = CHUNK,
) -> tuple[list[str], int]:
    """Write those of a checkpoint's files that are one writer's; return the names of the finished, and bytes written.

    Args:
        plan, path: what to write, and the folder.
        shards: all files of the checkpoint.
        mine: those to write.
        resume, overwrite, progress: as for `write_checkpoint`.
        chunk: bytes that are drawn and written at a time, whole pages.
    """
    index = index_text(shards) if len(shards) > 1 else None
    done = 0
    try:
        folder = Folder(path, shards, index)
        folder.check(mine, resume=resume, overwrite=overwrite)
        skipped = [shard.name for shard in mine if resume and shard.name in folder.finished]
        left = [shard for shard in mine if shard.name not in skipped]
        total = sum(shard.size for shard in left)
        if not overwrite:  # what will be replaced makes room
            folder.check_room(total)
        folder.make()
        largest = max((shard.size for shard in left), default=0)
        ring = [page_memory(min(chunk, largest)) for _ in range(BUFFERS)]
        with shown(progress) as report:
            for shard in left:
                tell = functools.partial(_tell, report, done, total)
                done += _write_shard(Content(plan, shard), path / shard.name, ring, chunk, folder.clear, tell)
        if index is not None:
            write_text_atomically(path / INDEX, index)
            sync_folder(path)
    except OSError as error:
        raise OutputError(_stopped(path, error, mine)) from None
    return skipped, total


def metadata(plan: Plan, tensors: Sequence[FileTensor]) -> dict[str, str]:
    """Return the texts in the header of every file: what the numbers come from, so that nothing else is mixed in."""
    texts = {
        "format": "pt",
        "wellbegun.plan": plan.hash,
        "wellbegun.sampler": str(plan.sampler),
        "wellbegun.seed": str(plan.seed),
    }
    given = hashlib.sha256()
    for tensor in tensors:
        if tensor.value is not None:
            given.update(f"{tensor.name} {tensor.start} {tensor.value.dtype.name}\n".encode())
            given.update(tensor.value.tobytes())
    if any(tensor.value is not None for tensor in tensors):
        texts["wellbegun.values"] = given.hexdigest()
    return texts


def _write_shard(
    content: Content,
    target: Path,
    ring: Sequence[Bytes],
    chunk: int,
    before_publishing: Callable[[], None],
    report: Callable[[int], None],
) -> int:
    """Write one file: pieces are drawn by this thread and its helpers while another thread writes the ones before."""
    file = PartialFile(target, chunk)
    try:
        # a thread that never writes two pieces at a time: the file grows from the front, without holes
        with ThreadPoolExecutor(1, thread_name_prefix="wellbegun-write") as writer:
            pending: deque[Future[int]] = deque()
            done = 0
            for turn, position in enumerate(range(0, content.size, chunk)):
                if len(pending) == len(ring):
                    done += pending.popleft().result()
                    report(done)
                memory = ring[turn % len(ring)][: min(chunk, content.size - position)]
                content.draw(memory, position)
                pending.append(writer.submit(file.put, memory, position))
            for future in pending:
                done += future.result()
                report(done)
        before_publishing()
        file.publish(content.size)
    finally:
        file.close()
    return content.size


def _tell(report: Report, before: int, total: int, done: int) -> None:
    report(before + done, total)


def _stopped(path: Path, error: OSError, mine: Sequence[Shard]) -> str:
    """What went wrong, what is there, and how to go on."""
    why = error.strerror or str(error)
    there = sum((path / shard.name).exists() for shard in mine) if path.is_dir() else 0
    state = f"{there} of {len(mine)} files are whole" if len(mine) > 1 else "the file is not whole"
    return (
        f"cannot write the checkpoint in {str(path)!r}: {why}. {state}; no half-written file has a final name. When "
        "the cause is removed, call again with resume=True (--resume): what is there is kept"
    )
