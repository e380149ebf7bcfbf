"""Everything that needs no reasoning of its own: activations, pooling, softmax, attention as a whole, and the rest."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch

from wellbegun.graph.operations.elementwise import are_scores, varying_axes
from wellbegun.graph.tracked import Part

if TYPE_CHECKING:
    from wellbegun.graph.call import Call
    from wellbegun.graph.recorder import Recorder

_SAME_NAME = frozenset(
    (
        "relu tanh sigmoid silu mish hardswish softplus sin cos abs exp hardsigmoid softshrink hardshrink atan erf"
    ).split()
)
_POOLS = frozenset(
    (
        "max_pool1d max_pool2d max_pool3d max_pool2d_with_indices max_pool3d_with_indices avg_pool1d "
        "avg_pool2d avg_pool3d adaptive_avg_pool1d adaptive_avg_pool2d _adaptive_avg_pool2d "
        "_adaptive_avg_pool3d mean adaptive_max_pool1d adaptive_max_pool2d upsample_nearest2d "
        "upsample_bilinear2d"
    ).split()
)
_SOFTMAX = frozenset("_softmax softmax _log_softmax log_softmax _safe_softmax".split())
_REPLACES = frozenset("index_put _index_put_impl masked_fill masked_scatter index_copy scatter slice_scatter".split())
_ATTENTION = "_scaled_dot_product"


def other(recorder: Recorder, call: Call) -> None:
    """Record an operation by its name."""
    kind, detail = _kind(call)
    roles: dict[int, str] = {}
    inputs: list[Any] = list(call.tensors)
    if kind == "attention":
        inputs = list(call.args[:3])
        roles = {id(tensor): "token" for tensor in inputs}
        roles |= {id(tensor): "bias table" for tensor in call.tensors if id(tensor) not in roles}
    elif kind in ("softmax", "activation"):
        inputs = inputs[:1]
    else:  # what is computed with comes before what only says where
        inputs.sort(key=lambda tensor: not (tensor.is_floating_point() or tensor.is_complex()))
    factor = _spectral_factor(call) if _is_fft(call.name) else 1.0
    follow = "same" if call.is_elementwise or kind == "dropout" else ""
    usual = "token" if call.name in _REPLACES else "other"
    used = [(recorder.sources(tensor), roles.get(id(tensor), usual)) for tensor in call.tensors]
    index = recorder.record(call, kind, inputs, detail=detail, follow=follow, factor=factor)
    for sources, role in used:
        recorder.use_all(sources, role, index, call.name)


def _is_fft(name: str) -> bool:
    """Whether an operation is a Fourier transform."""
    return name.startswith("_fft_")


def _spectral_factor(call: Call) -> float:
    """What a Fourier transform of n numbers does to their size: by Parseval sqrt(n), times its own 1/n or 1/sqrt(n)."""
    dims = list(call.argument(1, "dim", ()))
    long = call.results[0] if call.name == "_fft_c2r" else call.args[0]
    n = math.prod(long.shape[dim] for dim in dims)
    return float(n ** (0.5 - (0.0, 0.5, 1.0)[int(call.argument(2, "normalization", 0))]))


def concatenate(recorder: Recorder, call: Call) -> None:
    """Record a concatenation with at least one signal: parameters in it are tokens, or positions beside features."""
    rank = call.results[0].ndim
    dim = call.argument(1, "dim", 0) % rank
    alone = all(recorder.is_signal(tensor) for tensor in call.tensors)
    used = [(tensor, recorder.sources(tensor)) for tensor in call.tensors]
    sinks = any(recorder.is_signal(tensor) and are_scores(recorder, tensor) for tensor in call.tensors)
    index = recorder.record(call, "concat", call.tensors, follow="joined" if alone else "")
    for tensor, sources in used:
        beside = call.name == "cat" and dim == rank - 1 and len(varying_axes(sources, tensor)) > 1
        role = "attention sink" if sinks else "position table" if beside else "token"
        recorder.use_all(sources, role, index, call.name)


def slope(recorder: Recorder, call: Call) -> None:
    """Record PReLU."""
    index = recorder.record(call, "activation", call.args[:1], detail="prelu", follow="same")
    recorder.use_all(recorder.sources(call.args[1]), "activation slope", index, call.name)


def glu(recorder: Recorder, call: Call) -> None:
    """Record a gated linear unit, whose signal is cut in two."""
    made = recorder.made(call.args[0])
    if made is not None and made.parts:
        dim = call.argument(1, "dim", -1)
        for operation, part in made.parts.items():
            if part.shadow is None:
                recorder.slices.take({operation: part})
            else:
                for half in part.shadow.views(torch.Tensor.chunk, 2, dim):
                    recorder.slices.take({operation: Part(half, part.axis)})
    recorder.record(call, "other", call.tensors[:1], follow="apart")


def _kind(call: Call) -> tuple[str, str]:
    name = call.name
    activation = _activation(call)
    if activation is not None:
        return "activation", activation
    if name.startswith(_ATTENTION):
        return "attention", name
    if name in _POOLS:
        return "pool", name
    if name == "rsqrt":
        return "rsqrt", name
    if name in _SOFTMAX:
        return "softmax", name
    if name in ("native_dropout", "dropout"):
        return "dropout", name
    return "other", name


def _activation(call: Call) -> str | None:
    """The activation's name for the theory, its parameter included ("leaky_relu_0.2")."""
    name = call.name
    numbers = [float(value) for value in call.args[1:] if isinstance(value, (int, float))]
    if name in _SAME_NAME:
        return name if name != "softplus" or not numbers or numbers[0] == 1 else None
    if name == "gelu":
        return "gelu_tanh" if call.kwargs.get("approximate") == "tanh" else "gelu"
    if name == "leaky_relu":
        return _with_number("leaky_relu", numbers[0] if numbers else 0.01, 0.01)
    if name == "hardtanh":
        bounds = numbers or [-1.0, 1.0]
        return "relu6" if bounds == [0, 6] else "hardtanh" if bounds == [-1, 1] else None
    if name == "elu":
        alpha, scale = (numbers + [1.0, 1.0][len(numbers) :])[:2]
        if abs(alpha - 1.6732632423543772) < 1e-9 and abs(scale - 1.0507009873554805) < 1e-9:
            return "selu"
        return _with_number("elu", alpha, 1.0) if scale == 1.0 else None
    if name == "celu":
        return _with_number("celu", numbers[0] if numbers else 1.0, 1.0)
    return "logsigmoid" if name == "log_sigmoid_forward" else None


def _with_number(name: str, number: float, usual: float) -> str:
    return name if number == usual else f"{name}_{number:g}"
