"""Convolutions of one to three dimensions, transposed ones too."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wellbegun.graph.by_type import convolution_fans
from wellbegun.graph.operations.weights import weigh

if TYPE_CHECKING:
    from wellbegun.graph.call import Call
    from wellbegun.graph.recorder import Recorder

CONVOLUTIONS = frozenset({"convolution", "_convolution", "convolution_overrideable", "mkldnn_convolution"})


def convolution(recorder: Recorder, call: Call) -> None:
    """Record a convolution."""
    value, weight, bias = call.args[:3]
    if call.name == "mkldnn_convolution":
        (_, stride, _, groups), transposed = call.args[3:7], False
    else:
        (stride, _, _, transposed), groups = call.args[3:7], call.args[8]
    if not recorder.sources(weight):
        index = recorder.record(call, "matmul", (value, weight, bias))
        recorder.use_all(recorder.sources(value), "other", index, call.name)
        recorder.use_all(recorder.sources(bias), "added", index, call.name)
        return
    recorder.enter(value)
    sizes = (tuple(value.shape[2:]), tuple(call.results[0].shape[2:]))
    fans = convolution_fans(tuple(weight.shape), stride, groups, transposed, sizes)
    kind = "transposed convolution" if transposed else "convolution"
    letters = ("io" if transposed else "oi") + "k" * (weight.ndim - 2)
    weigh(recorder, call, kind, (value,), weight, letters, fans, result_axis=1, shares=groups == 1, bias=bias)
