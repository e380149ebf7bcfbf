"""One table over every method: shapes, dtypes, layouts, parts, and what every initializer has in common.

Cases 13 (same numbers in every layout and part), 14 and 28 (an initializer is pure: no order, no hidden counter).
"""

from __future__ import annotations

import dataclasses
import inspect
import itertools
import random

import numpy as np
import pytest
import torch

import wellbegun as wb
from wellbegun.errors import ArgumentError
from wellbegun.laws import METHODS, Initializer, Law, find_method, law_from_record, law_to_record
from wellbegun.sampler import LARGEST, storage_type
from wellbegun.targets.tensor import tensor_array

DTYPES = {name: storage_type(name) for name in LARGEST if not name.startswith("complex")}
FANS = wb.Fans(fan_in=20, fan_out=12)
SHAPES = [(12, 20), (1, 2), (6, 4, 3, 2), (40,), (), (2, 0, 3), (12, 12)]
LARGE = [(500, 400), (100, 20, 10, 10), (200_000,), (450, 450)]
LAYOUTS = [
    "contiguous",
    "transposed",
    "strided",
    "backwards",
    "torch",
    "torch transposed",
    "torch strided",
    "channels last",
]
EVERY = [method.make() for method in METHODS]
NAMES = [method.name for method in METHODS]

every_method = pytest.mark.parametrize("initializer", EVERY, ids=NAMES)
every_dtype = pytest.mark.parametrize("dtype", DTYPES)


def fits(initializer, shape):
    try:
        initializer.law(FANS).check_shape(shape)
    except ArgumentError:
        return False
    return True


def shape_for(initializer, shapes=SHAPES):
    """The first shape that fits: a matrix, or a kernel for the laws of convolutions."""
    return next(shape for shape in shapes if fits(initializer, shape))


def is_random(initializer):
    """Whether the numbers come from a stream: constants, identities and other patterns have none."""
    law = initializer.law(FANS)
    patterns = wb.Identity | wb.Dirac | wb.PaddedIdentity | wb.Hadamard | wb.Sinusoidal
    return not isinstance(law, wb.Constant | patterns | wb.S4DReal | wb.S4DLin | wb.HippoLegS)


def fill(out, initializer, name="layer.weight", **where):
    wb.fill(out, initializer, seed=7, name=name, fans=FANS, **where)
    return out


def whole(initializer, shape, dtype, name="layer.weight"):
    return fill(np.zeros(shape, DTYPES[dtype]), initializer, name)


def bits(array):
    return np.ascontiguousarray(array).tobytes()


def target(layout, shape, dtype):
    """An array (or tensor) of a layout, in a store full of -7 whose gaps must stay: (target, store)."""
    kind = DTYPES[dtype]
    if layout == "contiguous":
        store = np.full(shape, -7, kind)
        return store, store
    if layout == "transposed":
        store = np.full(shape[::-1], -7, kind)
        return store.T, store
    if layout == "strided":
        store = np.full([2 * size + 1 for size in shape], -7, kind)
        return store[(..., *(slice(1, 2 * size, 2) for size in shape))], store
    if layout == "backwards":
        store = np.full(shape, -7, kind)
        return store[(..., *(slice(None, None, -1) for _ in shape))], store
    kind = getattr(torch, dtype)
    if layout == "torch":
        store = torch.full(shape, -7, dtype=kind)
        return store, store
    if layout == "torch transposed":
        store = torch.full(shape[::-1], -7, dtype=kind)
        return store.permute(tuple(reversed(range(len(shape))))), store
    if layout == "torch strided":
        store = torch.full([2 * size + 1 for size in shape], -7, dtype=kind)
        return store[(..., *(slice(1, 2 * size, 2) for size in shape))], store
    store = torch.full(shape, -7, dtype=kind).to(memory_format=torch.channels_last)
    return store, store


def numbers(out):
    if isinstance(out, torch.Tensor):
        out = out.contiguous()
        return tensor_array(out)
    return out


@every_method
@every_dtype
@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_gets_the_same_bits(initializer, dtype, layout):
    tried = 0
    for shape in SHAPES:
        if not fits(initializer, shape) or (layout == "channels last" and len(shape) != 4):
            continue
        out, store = target(layout, shape, dtype)
        fill(out, initializer)
        assert bits(numbers(out)) == bits(whole(initializer, shape, dtype))
        gaps = store.numel() - out.numel() if isinstance(store, torch.Tensor) else store.size - out.size
        if gaps:  # what lies between the elements is left alone
            assert int((store == -7).sum()) == gaps + int((out == -7).sum())
        tried += 1
    # a matrix has no channels to put last
    assert tried or (layout == "channels last" and not fits(initializer, (6, 4, 3, 2)))


@every_method
@every_dtype
def test_every_part_equals_that_part_of_the_whole(initializer, dtype):
    for shape in ((12, 20), (6, 4, 3, 2), (40,), (12, 12)):
        if not fits(initializer, shape):
            continue
        all_of_it = whole(initializer, shape, dtype)
        for corner in itertools.product(*((0, size // 2) for size in shape)):
            end = [size if first else size // 2 for first, size in zip(corner, shape, strict=True)]
            region = tuple(slice(a, b) for a, b in zip(corner, end, strict=True))
            part = np.zeros([b - a for a, b in zip(corner, end, strict=True)], DTYPES[dtype])
            assert bits(fill(part, initializer, shape=shape, offset=corner)) == bits(all_of_it[region])
        flat = all_of_it.reshape(-1)
        for first, size in ((0, flat.size), (1, 7), (flat.size - 1, 1), (13, 0), (5, flat.size - 9)):
            part = np.zeros(size, DTYPES[dtype])
            assert bits(fill(part, initializer, shape=shape, offset=first)) == bits(flat[first : first + size])


@every_method
def test_a_part_in_another_layout(initializer):
    """Part and layout at once: some columns (or input channels) of a transposed float16 tensor."""
    shape = shape_for(initializer)
    all_of_it = whole(initializer, shape, "float16")
    if len(shape) == 1:  # a vector has one dimension to be cut in
        first, last = shape[0] // 4, shape[0] // 2 + 1
        part = torch.zeros(2 * (last - first), dtype=torch.float16)[::2]
        fill(part, initializer, shape=shape, offset=(first,))
        assert bits(part.contiguous().numpy()) == bits(all_of_it[first:last])
        return
    first, last = shape[1] // 4, shape[1] // 2 + 1
    store = torch.zeros(*reversed(shape[2:]), last - first, shape[0], dtype=torch.float16)
    part = store.permute(tuple(reversed(range(len(shape)))))
    fill(part, initializer, shape=shape, offset=(0, first, *(0 for _ in shape[2:])))
    assert bits(part.contiguous().numpy()) == bits(all_of_it[:, first:last])


@every_method
def test_pure(initializer):
    """Two names differ, one name repeats; no global generator moves; nothing is remembered."""
    before = random.getstate(), np.random.get_state()[1].tobytes(), torch.get_rng_state().numpy().tobytes()
    shape = shape_for(initializer)
    first = whole(initializer, shape, "float32", "a")
    other = whole(initializer, shape, "float32", "b")
    again = whole(initializer, shape, "float32", "a")
    assert bits(first) == bits(again)
    assert (bits(first) != bits(other)) == is_random(initializer)
    if is_random(initializer):  # zeros of a pattern may meet, numbers never do
        assert np.count_nonzero((first == other) & (first != 0)) == 0
        reseeded = np.zeros(shape, np.float32)
        wb.fill(reseeded, initializer, seed=8, name="a", fans=FANS)
        assert np.count_nonzero((reseeded == first) & (first != 0)) == 0
    after = random.getstate(), np.random.get_state()[1].tobytes(), torch.get_rng_state().numpy().tobytes()
    assert before == after


@every_method
def test_frozen_hashable_equal(initializer):
    twin = type(initializer)(**{f.name: getattr(initializer, f.name) for f in dataclasses.fields(initializer)})
    assert twin == initializer
    assert hash(twin) == hash(initializer)
    assert len({twin, initializer}) == 1
    for field in dataclasses.fields(initializer):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(initializer, field.name, 0.5)
    assert all(initializer != other for other in EVERY if other is not initializer)


@every_method
def test_repr_is_code(initializer):
    names = {name: getattr(wb, name) for name in wb.__all__}
    for value in (initializer, initializer.law(FANS)):
        back = eval(repr(value), {"__builtins__": {"float": float}}, names)
        assert back == value
        assert type(back) is type(value)


@every_method
def test_the_law_survives_its_record(initializer):
    law = initializer.law(FANS)
    assert isinstance(law, Law)
    assert law.law() == law or isinstance(law, wb.TruncatedNormal)
    assert law.law().law() == law.law()
    assert law_from_record(law_to_record(law)) == law


@every_method
def test_float64_refines_the_float32_draw(initializer):
    """The same tensor in more digits, so that a network is the same one in both precisions."""
    shape = shape_for(initializer)
    single, double = (whole(initializer, shape, dtype) for dtype in ("float32", "float64"))
    scale = initializer.law(FANS).moments(shape)[1] + np.abs(double).max()
    np.testing.assert_allclose(single, double, rtol=0, atol=2e-6 * scale)
    digits = np.count_nonzero(double.astype(np.float32) != double)
    if isinstance(initializer.law(FANS), wb.Sinusoidal | wb.S4DReal | wb.S4DLin | wb.HippoLegS):
        assert digits  # no stream, but logarithms, roots and sines
    else:
        assert digits > np.count_nonzero(double) / 2 if is_random(initializer) else digits == 0


@every_method
@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float8_e5m2", "float8_e4m3fn"])
def test_the_master_values_are_what_was_rounded(initializer, dtype):
    shape = shape_for(initializer)
    for view in (np.zeros(shape, DTYPES[dtype]), np.zeros(shape[::-1], DTYPES[dtype]).transpose()):
        master = wb.fill(view, initializer, seed=7, name="layer.weight", fans=FANS, with_master=True)
        assert master.dtype == np.float32
        assert bits(master.astype(DTYPES[dtype])) == bits(view) == bits(whole(initializer, shape, dtype))
        np.testing.assert_allclose(master, whole(initializer, shape, "float32"), rtol=0.13)


@every_method
def test_the_second_moment_is_the_one_promised(initializer):
    shape = shape_for(initializer, LARGE)
    mean, std = initializer.law(FANS).moments(shape)
    values = whole(initializer, shape, "float32").astype(np.float64)
    assert values.mean() == pytest.approx(mean, abs=5 * std / np.sqrt(values.size) + 1e-9)
    assert values.std() == pytest.approx(std, rel=0.01, abs=1e-7)


@pytest.mark.parametrize("method", METHODS, ids=NAMES)
def test_every_card_is_complete(method):
    card = method.card()
    for part in ("summary", "formula", "use", "avoid", "source", "example"):
        assert len(getattr(card, part)) >= 6, part
    assert card.summary.endswith(".")
    assert card.code == repr(method.make())
    assert [name for names, _ in card.arguments for name in names.split(", ")] == list(
        inspect.signature(method.kind).parameters
    )
    assert method.name in card.markdown()


@pytest.mark.parametrize("method", METHODS, ids=NAMES)
def test_every_name_finds_its_method(method):
    for name in (method.name, *method.aliases, method.kind.__name__, method.name.upper()):
        assert find_method(name) is method


def test_every_initializer_is_in_the_table():
    public = {getattr(wb, name) for name in wb.__all__}
    kinds = {kind for kind in public if isinstance(kind, type) and issubclass(kind, Initializer)}
    # two only make sense in a plan; given numbers and fans, programs, laws or factors in one tensor are no methods
    others = {wb.Keep, wb.MeanCompensation, wb.Stored, wb.Computed, wb.Patched, wb.PerChannel, wb.WithFans}
    assert kinds - {method.kind for method in METHODS} == others


def test_one_object_for_fifty_layers_gives_fifty_tensors():
    shared = wb.HeNormal()
    tensors = [bits(whole(shared, (12, 20), "float32", f"layers.{i}.weight")) for i in range(50)]
    assert len(set(tensors)) == 50


@pytest.mark.parametrize("start", [2**34 + 77, 2**40 + 1])
def test_parts_far_inside_a_huge_tensor(start):
    """A tensor of 2^41 elements that nobody could hold: two flat parts overlap in the same numbers."""
    one, other = np.zeros(700, np.float32), np.zeros(300, np.float32)
    fill(one, wb.Normal(1.0), shape=(2**21, 2**20), offset=start)
    fill(other, wb.Normal(1.0), shape=(2**21, 2**20), offset=start + 200)
    assert bits(one[200:500]) == bits(other)
    row, column = divmod(start, 2**20)
    rectangle = fill(np.zeros((1, 50), np.float32), wb.Normal(1.0), shape=(2**21, 2**20), offset=(row, column))
    assert bits(rectangle[0]) == bits(one[:50])
