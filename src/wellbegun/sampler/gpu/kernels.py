"""The Triton kernels that write a part of a stream. Imported only when used: the module needs Triton.

A *group* is the work of one program: TILES tiles of LANES counters, side by side. Groups are aligned in the logical
tensor, so their block numbers never carry into the high counter word, and everything inside a group is 32-bit.

Integers are not specialised on their values: a kernel is compiled once for each law and storage type. What alignment
could win, stores of 16 bytes, costs an exchange between threads, and the time is in the arithmetic.
"""

from __future__ import annotations

import triton
import triton.language as tl

from wellbegun.sampler import layout
from wellbegun.sampler.gpu import codes
from wellbegun.sampler.gpu.quantile import quantile
from wellbegun.sampler.gpu.steps import clamp, direction, philox, radius, stored, symmetric_uniform

LANES, TILE, MAX_ATTEMPTS = tl.constexpr(layout.LANES), tl.constexpr(layout.TILE), tl.constexpr(layout.MAX_ATTEMPTS)
UNIFORM, NORMAL = tl.constexpr(codes.UNIFORM), tl.constexpr(codes.NORMAL)
REDRAW, QUANTILE = tl.constexpr(codes.REDRAW), tl.constexpr(codes.QUANTILE)


@triton.jit
def _normals(block_low, block_high, tag, word, k0, k1):
    """The four standard normals of each counter."""
    x0, x1, x2, x3 = philox(block_low, block_high, tag, word, k0, k1)
    r, s = radius(x0), radius(x2)
    a, b = direction(x1)
    c, d = direction(x3)
    return r * a, r * b, s * c, s * d


@triton.jit
def _counter(index):
    """Which output word an element takes, and the two words of its block."""
    block = (index // TILE) * LANES + index % LANES
    return (index // LANES).to(tl.int32) % 4, block.to(tl.uint32), (block >> 32).to(tl.uint32)


@triton.jit
def _own_word(own, block_low, block_high, tag, word, k0, k1):
    """Of each counter the output word `own`."""
    x0, x1, x2, x3 = philox(block_low, block_high, tag, word, k0, k1)
    return tl.where(own < 2, tl.where(own == 0, x0, x1), tl.where(own == 2, x2, x3))


@triton.jit
def _own_normal(own, block_low, block_high, tag, word, k0, k1):
    """Of each counter the one standard normal that belongs to output word `own`."""
    x0, x1, x2, x3 = philox(block_low, block_high, tag, word, k0, k1)
    a, b = direction(tl.where(own < 2, x1, x3))
    return radius(tl.where(own < 2, x0, x2)) * tl.where((own & 1) == 0, a, b)


@triton.jit
def _own_redrawn(own, block_low, block_high, tag, word, k0, k1, low, high, attempt):
    """Of each counter the standard normal of output word `own`, drawn from `attempt` on until it is inside."""
    value = _own_normal(own, block_low, block_high, tag + attempt, word, k0, k1)
    again = _outside(value, low, high)
    attempt += 1
    while (tl.max(again.to(tl.int32), axis=0) > 0) & (attempt < MAX_ATTEMPTS):
        value = tl.where(again, _own_normal(own, block_low, block_high, tag + attempt, word, k0, k1), value)
        again = _outside(value, low, high)
        attempt += 1
    return clamp(value, low, high)


@triton.jit
def _outside(value, low, high):
    return (value < low) | (value > high)


@triton.jit
def _finished(value, scale, shift, low, high, STORAGE: tl.constexpr):
    return stored(clamp(value * scale + shift, low, high), STORAGE)


@triton.jit(do_not_specialize=["capacity", "start", "step", "pitch", "run", "groups", "tag", "word", "k0", "k1"])
def fill_groups(
    out, listed, counter, capacity: tl.int32,
    start: tl.int64, step: tl.int64, pitch: tl.int64, run: tl.int64, groups: tl.int32,
    tag: tl.uint32, word: tl.uint32, k0: tl.uint32, k1: tl.uint32,
    scale: tl.float32, shift: tl.float32, low: tl.float32, high: tl.float32,
    window_low: tl.float32, window_high: tl.float32,
    near: tl.float64, far: tl.float64, upper_tail: tl.float64, mass: tl.float64,
    KIND: tl.constexpr, REFLECTED: tl.constexpr, STORAGE: tl.constexpr, ONE_ROW: tl.constexpr, TILES: tl.constexpr,
    LISTS: tl.constexpr,
):  # fmt: skip
    """Program (row, group) writes the part of a row that lies in one group: for each word, LANES neighbours a tile."""
    SIZE: tl.constexpr = TILES * TILE
    tag, word, k0, k1 = tag.to(tl.uint32), word.to(tl.uint32), k0.to(tl.uint32), k1.to(tl.uint32)
    group = tl.program_id(0)
    row = group.to(tl.int64) * 0
    first = start.to(tl.int64)  # logical index of the row's first element
    if not ONE_ROW:
        row = (group // groups).to(tl.int64)
        group = group % groups
        first = first + row * step
        out = out + row * pitch
    base = (first // SIZE + group) * SIZE  # logical index of the group's first element
    begin = tl.maximum(first - base, 0).to(tl.int32)
    end = tl.minimum(run + (first - base), SIZE).to(tl.int32)
    if end <= 0:
        return
    lane = tl.arange(0, TILES * LANES)
    block_low, block_high = (base >> 2).to(tl.uint32) + lane.to(tl.uint32), (base >> 34).to(tl.uint32)

    if KIND == UNIFORM:
        x0, x1, x2, x3 = philox(block_low, block_high, tag, word, k0, k1)
        v0, v1, v2, v3 = symmetric_uniform(x0), symmetric_uniform(x1), symmetric_uniform(x2), symmetric_uniform(x3)
    elif KIND == QUANTILE:
        x0, x1, x2, x3 = philox(block_low, block_high, tag, word, k0, k1)
        v0 = quantile(x0, near, far, upper_tail, mass, REFLECTED)
        v1 = quantile(x1, near, far, upper_tail, mass, REFLECTED)
        v2 = quantile(x2, near, far, upper_tail, mass, REFLECTED)
        v3 = quantile(x3, near, far, upper_tail, mass, REFLECTED)
    else:
        v0, v1, v2, v3 = _normals(block_low, block_high, tag, word, k0, k1)
    place = lane + (lane // LANES) * (TILE - LANES)  # of output word 0; the others follow LANES apart
    m0 = (place >= begin) & (place < end)
    m1 = (place + LANES >= begin) & (place + LANES < end)
    m2 = (place + 2 * LANES >= begin) & (place + 2 * LANES < end)
    m3 = (place + 3 * LANES >= begin) & (place + 3 * LANES < end)
    if KIND == REDRAW:
        o0, o1 = m0 & _outside(v0, window_low, window_high), m1 & _outside(v1, window_low, window_high)
        o2, o3 = m2 & _outside(v2, window_low, window_high), m3 & _outside(v3, window_low, window_high)
        pending = tl.max((o0 | o1 | o2 | o3).to(tl.int32), axis=0)
        if LISTS:
            c0, c1, c2 = o0.to(tl.int32), o1.to(tl.int32), o2.to(tl.int32)
            here = c0 + c1 + c2 + o3.to(tl.int32)
            total = tl.sum(here, axis=0)
            taken = tl.atomic_add(counter, total, sem="relaxed")
            slot = taken + tl.cumsum(here, axis=0) - here
            number = (row * run + (base - first)).to(tl.int32) + place
            tl.store(listed + slot, number, mask=o0 & (slot < capacity))
            slot += c0
            tl.store(listed + slot, number + LANES, mask=o1 & (slot < capacity))
            slot += c1
            tl.store(listed + slot, number + 2 * LANES, mask=o2 & (slot < capacity))
            slot += c2
            tl.store(listed + slot, number + 3 * LANES, mask=o3 & (slot < capacity))
            # a full list is no harm: what did not fit is redrawn here, and what did is written twice, alike
            pending = tl.where(taken + total > capacity, pending, 0)
        attempt = 1
        while (pending > 0) & (attempt < MAX_ATTEMPTS):
            n0, n1, n2, n3 = _normals(block_low, block_high, tag + attempt, word, k0, k1)
            v0, v1 = tl.where(o0, n0, v0), tl.where(o1, n1, v1)
            v2, v3 = tl.where(o2, n2, v2), tl.where(o3, n3, v3)
            o0, o1 = o0 & _outside(v0, window_low, window_high), o1 & _outside(v1, window_low, window_high)
            o2, o3 = o2 & _outside(v2, window_low, window_high), o3 & _outside(v3, window_low, window_high)
            pending = tl.max((o0 | o1 | o2 | o3).to(tl.int32), axis=0)
            attempt += 1
        v0, v1 = clamp(v0, window_low, window_high), clamp(v1, window_low, window_high)
        v2, v3 = clamp(v2, window_low, window_high), clamp(v3, window_low, window_high)

    v0, v1 = _finished(v0, scale, shift, low, high, STORAGE), _finished(v1, scale, shift, low, high, STORAGE)
    v2, v3 = _finished(v2, scale, shift, low, high, STORAGE), _finished(v3, scale, shift, low, high, STORAGE)
    target = out + (base - first) + place
    if (begin == 0) & (end == SIZE):
        tl.store(target, v0)
        tl.store(target + LANES, v1)
        tl.store(target + 2 * LANES, v2)
        tl.store(target + 3 * LANES, v3)
    else:
        tl.store(target, v0, mask=m0)
        tl.store(target + LANES, v1, mask=m1)
        tl.store(target + 2 * LANES, v2, mask=m2)
        tl.store(target + 3 * LANES, v3, mask=m3)


@triton.jit(do_not_specialize=["start", "step", "pitch", "run", "count", "tag", "word", "k0", "k1"])
def fill_elements(
    out, start: tl.int64, step: tl.int64, pitch: tl.int64, run: tl.int32, count: tl.int64,
    tag: tl.uint32, word: tl.uint32, k0: tl.uint32, k1: tl.uint32,
    scale: tl.float32, shift: tl.float32, low: tl.float32, high: tl.float32,
    window_low: tl.float32, window_high: tl.float32,
    near: tl.float64, far: tl.float64, upper_tail: tl.float64, mass: tl.float64,
    KIND: tl.constexpr, REFLECTED: tl.constexpr, STORAGE: tl.constexpr, SIZE: tl.constexpr,
):  # fmt: skip
    """Each lane writes one element: for rows so short that most of a group would lie outside them."""
    tag, word, k0, k1 = tag.to(tl.uint32), word.to(tl.uint32), k0.to(tl.uint32), k1.to(tl.uint32)
    number = tl.program_id(0).to(tl.int64) * SIZE  # of the program's first element, counted over all rows
    lane = tl.arange(0, SIZE)
    valid = lane < tl.minimum(count - number, SIZE).to(tl.int32)
    column = (number % run).to(tl.int32) + lane
    row = number // run + column // run
    column = column % run
    index = start + row * step + column
    own, block_low, block_high = _counter(index)

    if KIND == UNIFORM:
        value = symmetric_uniform(_own_word(own, block_low, block_high, tag, word, k0, k1))
    elif KIND == QUANTILE:
        own_word = _own_word(own, block_low, block_high, tag, word, k0, k1)
        value = quantile(own_word, near, far, upper_tail, mass, REFLECTED)
    elif KIND == NORMAL:
        value = _own_normal(own, block_low, block_high, tag, word, k0, k1)
    else:
        value = _own_redrawn(own, block_low, block_high, tag, word, k0, k1, window_low, window_high, 0)
    tl.store(out + row * pitch + column, _finished(value, scale, shift, low, high, STORAGE), mask=valid)


@triton.jit(do_not_specialize=["start", "step", "pitch", "run", "tag", "word", "k0", "k1", "capacity"])
def redraw_listed(
    out, listed, counter, capacity: tl.int32,
    start: tl.int64, step: tl.int64, pitch: tl.int64, run: tl.int32,
    tag: tl.uint32, word: tl.uint32, k0: tl.uint32, k1: tl.uint32,
    scale: tl.float32, shift: tl.float32, low: tl.float32, high: tl.float32,
    window_low: tl.float32, window_high: tl.float32, STORAGE: tl.constexpr, SIZE: tl.constexpr,
):  # fmt: skip
    """Redraw the elements that `fill_groups` listed: few, and side by side, they no longer hold up their neighbours."""
    tag, word, k0, k1 = tag.to(tl.uint32), word.to(tl.uint32), k0.to(tl.uint32), k1.to(tl.uint32)
    count = tl.minimum(tl.load(counter), capacity)
    at = tl.program_id(0) * SIZE
    while at < count:
        valid = at + tl.arange(0, SIZE) < count
        number = tl.load(listed + at + tl.arange(0, SIZE), mask=valid, other=0)
        row, column = (number // run).to(tl.int64), number % run
        own, block_low, block_high = _counter(start + row * step + column)
        value = _own_redrawn(own, block_low, block_high, tag, word, k0, k1, window_low, window_high, 1)
        tl.store(out + row * pitch + column, _finished(value, scale, shift, low, high, STORAGE), mask=valid)
        at += tl.num_programs(0) * SIZE
