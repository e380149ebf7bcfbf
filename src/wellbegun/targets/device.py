"""Filling tensors in a GPU's memory: the same numbers as on the CPU, written where the tensor lies."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from wellbegun.laws import Law, Orthogonal, Patched
from wellbegun.sampler import SHARE, Draw, Stream, storage_type
from wellbegun.sampler.gpu import STORAGE, fill_device
from wellbegun.targets.array import Array, fill_array
from wellbegun.targets.device_orthogonal import fill_orthogonal
from wellbegun.targets.patches import frame, overlap
from wellbegun.targets.rows import Offset, check_part, pieces, rows_of
from wellbegun.targets.storage import check_storage
from wellbegun.targets.tensor import tensor_array, type_name

if TYPE_CHECKING:
    import torch

CHUNK = 16 * SHARE
"""Elements that pass through a buffer at a time."""


def fill_on_device(
    tensor: torch.Tensor,
    law: Law,
    stream: Stream,
    shape: tuple[int, ...],
    offset: Offset,
    companion: Array | None = None,
    master: torch.Tensor | None = None,
) -> int:
    """Fill a tensor on a GPU with a part of a logical tensor and return the number of elements written.

    Element-wise laws and whole orthogonal tensors in float32 and narrower types are drawn on the GPU. Everything else
    is drawn on the CPU and copied: float64 and complex numbers in chunks, other laws that shape a block as that block.

    Args: those of `fill_array`; `tensor` and `master` are torch tensors on one device.
    """
    name, part = type_name(tensor.dtype), tuple(tensor.shape)
    check_storage(name, law)
    law.check_shape(shape)
    check_part(part, shape, offset)
    if tensor.numel() == 0:
        return 0
    plain = tensor.detach()
    if isinstance(law, Patched) and (part == shape or not isinstance(offset, int)):
        corner = (0,) * len(shape) if isinstance(offset, int) else offset
        if not law.keeps:
            fill_on_device(plain, law.base, stream, shape, offset, companion, master)
        patched = 0
        for region, patch in law.patches:
            found = overlap(region, part, corner)
            if found is not None:
                inside, place = found
                inner = None if master is None else master[inside]
                framed = frame(patch, region, shape, place)
                patched += fill_on_device(plain[inside], patch, stream, *framed, None, inner)
        return patched if law.keeps else tensor.numel()
    if isinstance(law, Orthogonal) and name in STORAGE and part == shape:
        drawn = plain if master is None else master
        fill_orthogonal(drawn, law, stream, _draw_run)
        if master is not None:
            plain.copy_(master)
        return tensor.numel()
    if law.structured or law.points(shape) is not None:
        host = plain.to("cpu", copy=True) if law.keeps else plain.new_empty(part, device="cpu")
        values = None if master is None else master.new_empty(part, device="cpu")
        written = fill_array(
            tensor_array(host), law, stream, shape, offset, companion, None if values is None else values.numpy()
        )
        plain.copy_(host)
        if master is not None and values is not None:
            master.copy_(values)
        return written
    draw = law.element_draw()
    if draw.kind == "constant":
        for target in (plain, master):
            if target is not None:
                target.fill_(float(np.float32(draw.shift)))
        return tensor.numel()
    if plain.dim() == 0:  # its one element, counted flat
        plain, part, offset = plain.reshape(1), (1,), offset or 0
    if name in STORAGE:
        draw = draw.within(storage_type(name))
    drawn = plain if master is None else master.reshape(part)
    for index, start, step in rows_of(part, shape, offset):
        _fill_stack(drawn[index], law, draw, stream, start, step)
    if master is not None:
        plain.copy_(drawn)
    return tensor.numel()


def _fill_stack(stack: torch.Tensor, law: Law, draw: Draw, stream: Stream, start: int, step: int) -> None:
    """Write rows, in place where the kernels can, else through buffers on the device or on the CPU."""
    by_kernel = type_name(stack.dtype) in STORAGE
    run = stack.numel() // len(stack)
    if by_kernel and stack.is_contiguous() and step == run:
        _launch(stack, 1, stack.numel(), 0, draw, stream, start, 0)
    elif by_kernel and stack[0].is_contiguous() and (len(stack) == 1 or stack.stride(0) >= run):
        _launch(stack, len(stack), run, stack.stride(0), draw, stream, start, step)
    else:
        for piece, first, apart in pieces(stack, start, step, CHUNK):
            length = piece.numel() // len(piece)
            buffer = piece.new_empty(piece.shape, device=None if by_kernel else "cpu")
            if by_kernel:
                _launch(buffer, len(piece), length, length, draw, stream, first, apart)
            else:
                rows = tensor_array(buffer).reshape(len(piece), length)
                for r, row in enumerate(rows) if apart != length else ((0, rows.reshape(-1)),):
                    fill_array(row, law, stream, (2**63 - 1,), first + r * apart)
            piece.copy_(buffer)


def _draw_run(memory: torch.Tensor, draw: Draw, stream: Stream, start: int) -> None:
    _launch(memory, 1, memory.numel(), 0, draw, stream, start, 0)


def _launch(
    memory: torch.Tensor, rows: int, run: int, pitch: int, draw: Draw, stream: Stream, start: int, step: int
) -> None:
    fill_device(
        memory.as_strided(((rows - 1) * pitch + run,), (1,)),
        stream,
        start,
        rows=rows,
        run=run,
        pitch=pitch,
        step=step,
        kind=draw.kind,  # type: ignore[arg-type]  # constants do not come here
        scale=float(np.float32(draw.scale)),
        shift=float(np.float32(draw.shift)),
        low=draw.low,
        high=draw.high,
        window=draw.window,
        purpose=draw.purpose,
    )
