"""Weight operations: a signal contracted with a parameter, which may be a part of one or computed from one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from wellbegun.graph.graph import WEIGHT_KINDS
from wellbegun.graph.slices import Cuttable
from wellbegun.graph.tracked import Made

if TYPE_CHECKING:
    from wellbegun.graph.call import Call
    from wellbegun.graph.recorder import Recorder
    from wellbegun.laws import Fans


def weigh(
    recorder: Recorder,
    call: Call,
    kind: str,
    values: Sequence[Any],
    weight: Any,
    letters: str,
    fans: Fans,
    *,
    result_axis: int | None = None,
    shares: bool = True,
    bias: Any = None,
    bias_letters: str = "o",
    blank: str = "b",
    **more: Any,
) -> int:
    """Record a weight operation and the uses of its weight and bias.

    Args:
        recorder: the recorder.
        call: the operation.
        kind: "linear", "convolution" ...; the role is "linear weight" and so on.
        values: the signals it takes.
        weight: a tensor made from parameters alone.
        letters: one for each axis of the weight as the operation takes it, as in `Use.axes`.
        fans: of the whole operation.
        result_axis: the outputs' axis of the result, to follow where they go; None: they are not followed.
        shares: whether a part of the outputs means a part of the gradients for each input.
        bias: a tensor, or None.
        bias_letters: one for each axis of the bias.
        blank: letter of a dimension of which one row was taken.
        more: further fields of the weight's use.
    """
    sources = recorder.sources(weight)
    plain = bool(sources) and not any(source.derived for source in sources)
    name = sources[0].variable if plain and kind in WEIGHT_KINDS else ""
    index = recorder.record(call, kind, (*values, weight, bias), weight=name)
    out_axis = letters.find("o")
    bias_axis = bias_letters.find("o")
    cut = []
    for source in sources:
        recorder.use_all((source,), f"{kind} weight", index, call.name, fans, letters, blank, **more)
        cut.append((source, letters, out_axis))
    for source in recorder.sources(bias):
        recorder.use_all((source,), "bias", index, call.name, fans, bias_letters, ".")
        cut.append((source, bias_letters, bias_axis))
    if result_axis is not None and call.results:
        axis = result_axis % call.results[0].ndim
        parts = recorder.slices.begin(index, call.results[0].shape, axis, fans, shares)
        recorder.know(call.results[0], Made(index, (), parts))
        for source, known, along in cut:
            if along >= 0:
                position = len(recorder.uses_of(source)) - 1
                recorder.slices.add(index, Cuttable(source, position, known, along))
    return index
