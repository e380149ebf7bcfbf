"""Writing a part of a stream into a GPU's memory, by Triton: the same numbers as on the CPU, to the bit."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from wellbegun.errors import ArgumentError, MissingExtraError
from wellbegun.sampler.layout import ELEMENT_DRAW, TILE, counter_tag

if TYPE_CHECKING:
    from wellbegun.sampler.stream import Stream
    from wellbegun.sampler.window import Window

Kind = Literal["uniform", "normal", "truncated"]

STORAGE = {"float32": 0, "bfloat16": 1, "float16": 2, "float8_e5m2": 3, "float8_e4m3fn": 4}
"""Types that the kernels store, and the number by which the kernels know each."""

_CODES = {"bfloat16": "uint16", "float16": "uint16", "float8_e5m2": "uint8", "float8_e4m3fn": "uint8"}
_WINDOW = ("window_low", "window_high", "near", "far", "upper_tail", "mass")
UNIFORM, NORMAL, REDRAW, QUANTILE = range(4)
_LANES = 128
_MOST_PROGRAMS = 2**31 - 1


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
    if (kind == "truncated") != (window is not None):
        raise ArgumentError(f"a window belongs to the kind 'truncated' and to no other; got {kind!r} and {window!r}")
    if importlib.util.find_spec("triton") is None:
        raise MissingExtraError("triton", "gpu", "filling a tensor in a GPU's memory")
    if rows == 0 or run == 0:
        return

    import triton
    import triton.language as tl

    from wellbegun.sampler import gpu_kernels as kernels

    interpreted = not isinstance(kernels.fill_groups, triton.JITFunction)
    if out.device.type == "cpu" and not interpreted:
        raise ArgumentError("a kernel runs where the tensor lies, and this one lies on the CPU: use the CPU's sampler")
    arguments = {
        "start": start,
        "step": step,
        "pitch": pitch,
        "run": run,
        "tag": counter_tag(purpose, 0),
        "word": stream.word,
        "k0": stream.key[0],
        "k1": stream.key[1],
        "scale": float(scale),
        "shift": float(shift),
        "low": float(low),
        "high": float(high),
        **_window_arguments(window),
        "KIND": _kind(kind, window),
        "STORAGE": STORAGE[storage],
    }
    target = triton.reinterpret(out, getattr(tl, _CODES[storage])) if storage in _CODES else out
    launch = launch_of(start, rows, run, step, redraw=arguments["KIND"] == REDRAW)
    kernel = getattr(kernels, launch.kernel)
    options = {"num_warps": launch.warps, "enable_fp_fusion": False}
    with nullcontext() if interpreted else _current(out.device):
        kernel[(launch.programs,)](target, **arguments, **launch.arguments, **options)


@dataclass(frozen=True)
class Launch:
    """How a part is divided among programs.

    Attributes:
        kernel: "fill_groups", or "fill_elements" for rows much shorter than a tile.
        programs, warps: how many programs, and how many warps each.
        arguments: what that kernel takes besides.
    """

    kernel: str
    programs: int
    warps: int
    arguments: dict[str, int | bool]


def launch_of(start: int, rows: int, run: int, step: int, *, redraw: bool) -> Launch:
    """Choose the kernel that computes the fewest numbers that nobody keeps.

    >>> launch_of(0, 1, 1_000_000, 0, redraw=False)
    Launch(kernel='fill_groups', programs=489, warps=4, arguments={'groups': 489, 'ONE_ROW': True, 'TILES': 8})
    >>> launch_of(0, 1000, 9, 9, redraw=False).kernel
    'fill_elements'
    """
    for tiles, warps in ((1, 1),) if redraw else ((8, 4), (1, 1)):
        groups = _groups(start, rows, run, step, tiles * TILE)
        # a lane that computes a single element costs about twice what an element costs in a group
        if groups * tiles * TILE <= (1.25 if tiles > 1 else 2) * run or rows * groups == 1:
            launch = Launch("fill_groups", rows * groups, warps, {"groups": groups, "ONE_ROW": rows == 1, "TILES": tiles})
            break
    else:
        launch = Launch("fill_elements", -(-rows * run // _LANES), 4, {"count": rows * run, "SIZE": _LANES})
    if launch.programs > _MOST_PROGRAMS:
        raise ArgumentError(f"{rows} rows of {run} elements need more than {_MOST_PROGRAMS} programs; fill them in parts")
    return launch


def _groups(start: int, rows: int, run: int, step: int, size: int) -> int:
    """Return the most groups that a row touches; rows begin at different places of a group unless step divides."""
    if rows == 1 or step % size == 0:
        return (start % size + run - 1) // size + 1
    return (size - 1 + run - 1) // size + 1


def _kind(kind: Kind, window: Window | None) -> int:
    if window is not None:
        return QUANTILE if window.inverse else REDRAW
    return UNIFORM if kind == "uniform" else NORMAL


def _window_arguments(window: Window | None) -> dict[str, float | bool]:
    if window is None:
        return dict.fromkeys(_WINDOW, 0.0) | {"REFLECTED": False}
    return {name: float(getattr(window, name.removeprefix("window_"))) for name in _WINDOW} | {
        "REFLECTED": window.reflected
    }


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
    if not 0 <= start <= 2**63 - max(0, (rows - 1) * step + run):
        raise ArgumentError(f"{rows} rows of {run} elements, {step} apart, from {start} on are outside 0 to 2**63")
