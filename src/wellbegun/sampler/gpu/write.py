"""Writing a part of a stream into a GPU's memory, by Triton: the same numbers as on the CPU, to the bit."""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any, Literal, get_args

from wellbegun.errors import ArgumentError, MissingExtraError
from wellbegun.sampler.gpu.codes import NORMAL, QUANTILE, REDRAW, STORAGE, UNIFORM
from wellbegun.sampler.gpu.launch import LONE_LANES, Launch, Part, launch_of, parts
from wellbegun.sampler.layout import ELEMENT_DRAW, counter_tag

if TYPE_CHECKING:
    from wellbegun.sampler.stream import Stream
    from wellbegun.sampler.window import Window

Kind = Literal["uniform", "normal", "truncated"]

_CODES = {"bfloat16": "uint16", "float16": "uint16", "float8_e5m2": "uint8", "float8_e4m3fn": "uint8"}
_LISTED = 32  # elements that a program of `redraw_listed` takes at a time: one for each thread of a warp
_REDRAWERS = 8192  # programs of `redraw_listed`, which share a list whose length only the device knows


def fill_device(
    out: Any,
    stream: Stream,
    start: int,
    *,
    rows: int,
    run: int,
    pitch: int,
    step: int,
    kind: Kind,
    scale: float,
    shift: float,
    low: float,
    high: float,
    window: Window | None = None,
    purpose: int = ELEMENT_DRAW,
) -> None:
    """Fill a rectangle of a tensor's memory with elements of a stream, on the device where the tensor lies.

    Element (r, c), 0 <= r < rows, 0 <= c < run, is written to out[r·pitch + c] and has the logical index
    start + r·step + c. Its value is min(max(draw·scale + shift, low), high), every operation rounded to float32, then
    rounded once to the type of `out`. Nothing else of `out` is touched, and nothing waits for the device.

    Args:
        out: a contiguous torch vector of a type in `STORAGE`, on a device that Triton compiles for; on the CPU only
            under Triton's interpreter (TRITON_INTERPRET=1).
        stream: where the numbers come from.
        start: index of the first element in the logical tensor.
        rows, run, pitch, step: how many rows of how many elements; how far apart in `out` and in the logical tensor.
        kind: the draw: the symmetric uniform of [-1, 1], the standard normal, or that normal inside `window`.
        scale, shift, low, high: float32 values; the bounds may be infinite. No value may pass the largest number of
            the type of `out`: the caller sees to it.
        window: the window of a truncated draw, and of no other.
        purpose: what the counters are spent on (layout.py).

    Raises:
        ArgumentError: a type that the kernels do not store, a part outside `out` or outside the logical tensor.
        MissingExtraError: Triton is not installed.
    """
    storage = _storage(out)
    _check_part(out, start, rows, run, pitch, step)
    code = _kind(kind, window)
    if rows == 0 or run == 0:
        return
    if importlib.util.find_spec("triton") is None:
        raise MissingExtraError("Triton", "gpu", "filling a tensor in a GPU's memory")
    import triton

    from wellbegun.sampler.gpu import kernels

    interpreted = not isinstance(kernels.fill_groups, triton.JITFunction)
    if out.device.type == "cpu" and not interpreted:
        raise ArgumentError("a kernel runs where the tensor lies, and this one lies on the CPU: use the CPU's sampler")
    arguments = {
        "tag": counter_tag(purpose, 0),
        "word": stream.word,
        "k0": stream.key[0],
        "k1": stream.key[1],
        "scale": float(scale),
        "shift": float(shift),
        "low": float(low),
        "high": float(high),
        "window_low": window.low if window else -math.inf,
        "window_high": window.high if window else math.inf,
        "STORAGE": STORAGE[storage],
    }
    quantile = {
        "near": window.near if window else 0.0,
        "far": window.far if window else 0.0,
        "upper_tail": window.upper_tail if window else 0.0,
        "mass": window.mass if window else 0.0,
        "REFLECTED": window.reflected if window else False,
        "KIND": code,
    }
    misses = 1 - window.mass if window and code == REDRAW else None
    with nullcontext() if interpreted else _current(out.device):
        for part in parts(Part(0, start, rows, run, pitch, step), misses):
            _fill_part(out, part, launch_of(part, misses), arguments, quantile, _CODES.get(storage))


def _fill_part(
    out: Any, part: Part, launch: Launch, arguments: dict[str, Any], quantile: dict[str, Any], code: str | None
) -> None:
    from wellbegun.sampler.gpu import kernels

    target = out[part.offset :] if code is None else _seen_as(out[part.offset :], code)
    common = {"start": part.start, "step": part.step, "pitch": part.pitch, "run": part.run, **arguments}
    exact = {"enable_fp_fusion": False}
    grid, warps = (launch.programs,), launch.warps
    if launch.tiles == 0:
        count = part.rows * part.run
        kernels.fill_elements[grid](
            target, count=count, SIZE=LONE_LANES, **common, **quantile, num_warps=warps, **exact
        )
        return
    shape = {"groups": launch.groups, "TILES": launch.tiles, "ONE_ROW": part.rows == 1}
    listed = counter = target  # without a list, any address will do: nothing is written there
    if launch.capacity:
        listed, counter = _scratch(out, launch.capacity, zeros=False), _scratch(out, 1, zeros=True)
    lists = {"listed": listed, "counter": counter, "capacity": launch.capacity}
    kernels.fill_groups[grid](
        target, **lists, LISTS=launch.capacity > 0, **common, **shape, **quantile, num_warps=warps, **exact
    )
    if launch.capacity:
        programs = min(_REDRAWERS, -(-launch.capacity // _LISTED))
        kernels.redraw_listed[(programs,)](target, **lists, SIZE=_LISTED, **common, num_warps=1, **exact)


def _scratch(out: Any, count: int, *, zeros: bool) -> Any:
    """Return int32 memory beside a tensor, made without naming the framework."""
    make = out.new_zeros if zeros else out.new_empty
    return _seen_as(make(4 * count // out.element_size()), "int32")


def _seen_as(tensor: Any, dtype: str) -> Any:
    import triton
    import triton.language as tl

    return triton.reinterpret(tensor, getattr(tl, dtype))


@contextmanager
def _current(device: Any) -> Iterator[None]:
    """Make the tensor's device the current one: Triton launches on that."""
    from triton.runtime import driver

    before = driver.active.get_current_device()
    driver.active.set_current_device(device.index)
    try:
        yield
    finally:
        driver.active.set_current_device(before)


def _kind(kind: Kind, window: Window | None) -> int:
    if kind not in get_args(Kind):
        raise ArgumentError(f"kind must be one of {', '.join(get_args(Kind))}, not {kind!r}")
    if (kind == "truncated") != (window is not None):
        raise ArgumentError(f"a window belongs to the kind 'truncated' and to no other; got {kind!r} and {window!r}")
    if window is not None:
        return QUANTILE if window.inverse else REDRAW
    return UNIFORM if kind == "uniform" else NORMAL


def _storage(out: Any) -> str:
    name = str(out.dtype).removeprefix("torch.")
    if name not in STORAGE:
        raise ArgumentError(f"the GPU kernels store {', '.join(STORAGE)}, not {name}")
    if out.ndim != 1 or not out.is_contiguous():
        raise ArgumentError(f"out must be a contiguous vector, got shape {tuple(out.shape)}, strides {out.stride()}")
    return name


def _check_part(out: Any, start: int, rows: int, run: int, pitch: int, step: int) -> None:
    if min(rows, run, pitch, step) < 0 or (rows > 1 and pitch < run):
        raise ArgumentError(f"rows must not overlap in out; got {rows} rows of {run} elements, {pitch} apart")
    if rows and run and (rows - 1) * pitch + run > out.numel():
        raise ArgumentError(f"{rows} rows of {run} elements, {pitch} apart, do not fit into {out.numel()} elements")
    last = (rows - 1) * step + run if rows and run else 0
    if not 0 <= start <= 2**63 - last:
        raise ArgumentError(f"{rows} rows of {run} elements, {step} apart, from {start} on are outside 0 to 2**63")
