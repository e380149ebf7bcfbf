"""The one door: which of the files of this package an operation belongs to."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from wellbegun.graph.operations.convolutions import CONVOLUTIONS, convolution
from wellbegun.graph.operations.elementwise import add, multiply, where
from wellbegun.graph.operations.lookups import LOOKUPS, look_up
from wellbegun.graph.operations.norms import NORMS, norm
from wellbegun.graph.operations.others import concatenate, glu, other, slope
from wellbegun.graph.operations.parameters import compute, update
from wellbegun.graph.operations.products import PRODUCTS, bilinear, product
from wellbegun.graph.operations.views import VIEWS, copy, view

if TYPE_CHECKING:
    from wellbegun.graph.call import Call
    from wellbegun.graph.recorder import Recorder

_SHAPE_ONLY = frozenset(
    (
        "zeros_like ones_like empty_like full_like new_zeros new_ones new_empty new_full new_empty_strided "
        "is_same_size sym_size sym_stride sym_numel sym_storage_offset size stride numel"
    ).split()
)
"""Operations that take a shape."""

_NUMBERS = frozenset({"_local_scalar_dense", "is_nonzero", "equal"})
"""Operations that hand a number to Python."""

_FILLS = {"zeros_like": 0.0, "ones_like": 1.0, "zeros": 0.0, "ones": 1.0, "full_like": None, "full": None}
"""Operations that make constants of one number."""

_NOISE = frozenset("bernoulli rand_like randn_like randint_like normal uniform exponential".split())

_FROM_SIGNALS: dict[str, Callable[[Recorder, Call], None]] = {
    "add": add,
    "sub": add,
    "rsub": add,
    "mul": multiply,
    "div": multiply,
    "where": where,
    "cat": concatenate,
    "stack": concatenate,
    "_prelu_kernel": slope,
    "prelu": slope,
    "glu": glu,
}


def describe(recorder: Recorder, call: Call) -> None:
    """Record one operation that has just run."""
    name = call.name
    if name in _FILLS:
        number = _FILLS[name]
        number = number if number is not None else call.argument(1, "fill_value")
        if isinstance(number, (int, float)) and call.results:
            recorder.know_fill(call.results[0], float(number))
    if name in _SHAPE_ONLY:
        return
    if name in _NUMBERS:
        for tensor in call.tensors:
            recorder.ask(tensor)
        return
    if name in _NOISE and not any(recorder.sources(tensor) for tensor in call.tensors):
        recorder.record(call, "noise", ())
        return
    known = [recorder.made(tensor) for tensor in call.tensors]
    if not any(known):
        return
    written = call.args[0] if call.in_place else call.kwargs.get("out")
    if any(source for source in recorder.sources(written)) and recorder.result_of(written) is None:
        update(recorder, call, written)
    elif name in VIEWS:
        view(recorder, call)
    elif name == "copy":
        copy(recorder, call)
    elif name in LOOKUPS:
        look_up(recorder, call)
    elif name in PRODUCTS:
        product(recorder, call)
    elif name == "_trilinear":
        bilinear(recorder, call)
    elif name in CONVOLUTIONS:
        convolution(recorder, call)
    elif name in NORMS:
        norm(recorder, call)
    elif not any(found is not None and not found.sources for found in known):
        compute(recorder, call)
    else:
        _FROM_SIGNALS.get(name, other)(recorder, call)
