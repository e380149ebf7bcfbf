"""Matrix products: mm, bmm and their like, which F.linear, matmul, einsum and tensordot arrive as."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from wellbegun.graph.by_type import bilinear_fans
from wellbegun.graph.operations.parameters import compute
from wellbegun.graph.operations.weights import weigh
from wellbegun.laws import Fans

if TYPE_CHECKING:
    from wellbegun.graph.call import Call
    from wellbegun.graph.recorder import Recorder

PRODUCTS = {
    "mm": (0, 1),
    "bmm": (0, 1),
    "addmm": (1, 2),
    "baddbmm": (1, 2),
    "addbmm": (1, 2),
    "mv": (0, 1),
    "addmv": (1, 2),
    "dot": (0, 1),
    "vdot": (0, 1),
    "linear": (0, 1),
    "_grouped_mm": (0, 1),
    "grouped_mm": (0, 1),
}
"""Positions of the two factors among the arguments."""


def product(recorder: Recorder, call: Call) -> None:
    """Record a product of matrices, vectors or stacks of matrices."""
    left, right = (call.args[position] for position in PRODUCTS[call.name])
    if "grouped" in call.name and left.ndim + right.ndim < 5:  # groups of terms of the sum, and not of weights
        _mixed(recorder, call)
        return
    bias = call.args[0] if PRODUCTS[call.name] == (1, 2) else None
    if call.name == "linear":
        bias = call.argument(2, "bias")
    right_letters = "oi" if call.name == "linear" else {1: "i", 2: "io", 3: "bio"}[right.ndim]
    if recorder.sources(left) and recorder.sources(right):
        if _is_layer(recorder, right, right_letters) or _is_spread(recorder, left):
            recorder.enter(left)
        elif _is_spread(recorder, right):
            recorder.enter(right)
        else:
            compute(recorder, call)
            return
    if recorder.sources(right):
        sizes = dict(zip(right_letters, right.shape, strict=True))
        fans = Fans(max(sizes["i"], 1), max(sizes.get("o", 1), 1))
        result_axis = -1 if "o" in sizes else None
        _weigh(recorder, call, left, right, right_letters, fans, result_axis, bias, -1)
    elif recorder.sources(left):
        letters = {1: "i", 2: "oi", 3: "boi"}[left.ndim]
        sizes = dict(zip(letters, left.shape, strict=True))
        fans = Fans(max(sizes["i"], 1), max(sizes.get("o", 1), 1))
        result_axis = None if "o" not in sizes else -1 if right.ndim == 1 else -2
        _weigh(recorder, call, right, left, letters, fans, result_axis, bias, -1 if right.ndim == 1 else -2)
    else:
        index = recorder.record(call, "matmul", (left, right, bias))
        recorder.use_all(recorder.sources(bias), "added", index, call.name)


def _weigh(
    recorder: Recorder,
    call: Call,
    value: Any,
    weight: torch.Tensor,
    letters: str,
    fans: Fans,
    result_axis: int | None,
    bias: Any,
    bias_axis: int,
) -> None:
    if call.name == "addbmm":  # the stack is summed over, so it is a second dimension of inputs
        letters, fans = letters.replace("b", "i"), Fans(fans.fan_in * weight.shape[0], fans.fan_out)
    bias_letters = ""
    if isinstance(bias, torch.Tensor):
        marks = ["b" if axis < bias.ndim - 2 else "." for axis in range(bias.ndim)]
        if bias.ndim:
            marks[max(bias_axis, -bias.ndim)] = "o"
        bias_letters = "".join(marks)
    first = _inputs_first(recorder, weight, letters)
    weigh(
        recorder, call, "linear", (value,), weight, letters, fans,
        result_axis=result_axis, bias=bias, bias_letters=bias_letters, inputs_first=first,
    )  # fmt: skip


def bilinear(recorder: Recorder, call: Call) -> None:
    """Record F.bilinear's core: pairs of inputs weighed and summed."""
    first, weight, second = call.args[:3]
    if recorder.sources(weight) and weight.ndim == 3:
        fans = bilinear_fans(tuple(weight.shape))
        weigh(recorder, call, "bilinear", (first, second), weight, "oii", fans, result_axis=-1)
    else:
        _mixed(recorder, call)


def _mixed(recorder: Recorder, call: Call) -> None:
    index = recorder.record(call, "other", call.tensors)
    for tensor in call.tensors:
        recorder.use_all(recorder.sources(tensor), "other", index, call.name)


def _inputs_first(recorder: Recorder, weight: torch.Tensor, letters: str) -> bool:
    """Whether the parameter's dimension of inputs comes before that of its outputs."""
    source = recorder.sources(weight)[0]
    reading = source.shadow.read(letters) if source.shadow is not None else None
    axes = "".join(reading.letters) if reading is not None else letters
    inputs, outputs = axes.find("i"), axes.find("o")
    return inputs >= 0 and (outputs < 0 or inputs < outputs)


def _is_layer(recorder: Recorder, weight: torch.Tensor, letters: str) -> bool:
    """Whether a parameter is the weight of a layer of torch.nn, and used as that layer uses it."""
    for source in recorder.sources(weight):
        variable = recorder.variables.get(source.variable)
        if variable is None or variable.typed is None or source.shadow is None or source.derived:
            continue
        reading = source.shadow.read(letters)
        if reading is not None and "".join(reading.letters) == variable.typed.axes and variable.typed.axes == "oi":
            return True
    return False


def _is_spread(recorder: Recorder, value: torch.Tensor) -> bool:
    """Whether what was made from parameters is repeated over a batch, as learned queries are."""
    plain = (source for source in recorder.sources(value) if not source.derived)
    tops = [source.shadow.levels[-1] for source in plain if source.shadow is not None]
    return any(size > 1 and step == 0 for top in tops for size, step in zip(top.shape, top.stride(), strict=True))
