"""What each PyTorch operation means: its kind, the roles of the parameters it takes, and their fans."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch
from torch.utils._pytree import tree_leaves

from wellbegun.laws import Fans

if TYPE_CHECKING:
    from wellbegun.graph.recorder import Recorder

_SAME_NAME = frozenset(
    (
        "relu tanh sigmoid silu mish hardswish softplus sin cos abs exp hardsigmoid softshrink hardshrink atan erf"
    ).split()
)
_VIEWS = frozenset(
    (
        "view reshape _unsafe_view t transpose permute expand slice select unsqueeze squeeze alias detach "
        "clone contiguous _to_copy flatten split split_with_sizes chunk unbind unflatten narrow as_strided "
        "view_as lift_fresh movedim swapaxes to copy repeat"
    ).split()
)
_SPLITS = frozenset({"split", "split_with_sizes", "chunk"})
_POOLS = frozenset(
    (
        "max_pool1d max_pool2d max_pool3d max_pool2d_with_indices max_pool3d_with_indices avg_pool1d "
        "avg_pool2d avg_pool3d adaptive_avg_pool1d adaptive_avg_pool2d _adaptive_avg_pool2d "
        "_adaptive_avg_pool3d mean adaptive_max_pool1d adaptive_max_pool2d upsample_nearest2d "
        "upsample_bilinear2d"
    ).split()
)
_PRODUCTS = {"mm": (0, 1), "bmm": (0, 1), "addmm": (1, 2), "baddbmm": (1, 2), "mv": (0, 1), "addmv": (1, 2)}


def describe(recorder: Recorder, name: str, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any) -> None:
    """Record one operation that has just run."""
    plain = name if name.startswith("__") else name.rstrip("_")
    tensors = tuple(leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor))
    if plain in _VIEWS:
        _view(recorder, plain, tensors, result)
    elif plain in _PRODUCTS:
        _product(recorder, plain, args, result)
    elif plain == "linear":
        _weighted(recorder, "linear", plain, args[0], args[1], _optional(args, 2), Fans(*args[1].shape[::-1]), result)
    elif plain == "convolution":
        _convolution(recorder, args, result)
    elif plain == "embedding":
        width, row = args[0].shape[-1], args[2] if len(args) > 2 else -1
        fans, padding = Fans(width, width), row if row >= 0 else None
        _weighted(recorder, "embedding", plain, args[1], args[0], None, fans, result, padding_row=padding)
    elif plain in _NORMS:
        _norm(recorder, plain, args, result)
    elif plain in ("add", "sub", "rsub"):
        _sum(recorder, plain, tensors, result)
    elif plain in ("mul", "div"):
        _multiply(recorder, plain, args, tensors, result)
    elif plain == "_prelu_kernel":
        operation = recorder.record("activation", "prelu", (args[0],), result)
        _use_all(recorder, (args[1],), "activation slope", operation, plain)
    elif plain == "bernoulli":
        recorder.record("noise", plain, (), result)
    else:
        _other(recorder, plain, args, kwargs, tensors, result)


def _view(recorder: Recorder, name: str, tensors: tuple[torch.Tensor, ...], result: Any) -> None:
    variable = recorder.variable(tensors[0]) if tensors else None
    if variable is None:
        if tensors and recorder.result_of(tensors[0]) is not None:
            parts = [leaf for leaf in tree_leaves(result) if isinstance(leaf, torch.Tensor)]
            equal = name in _SPLITS and len({part.shape for part in parts}) == 1
            if equal and parts[0].shape[-1] * len(parts) == tensors[0].shape[-1]:
                recorder.split(tensors[0], len(parts))
            recorder.record("view", name, tensors[:1], result)
        return
    for leaf in tree_leaves(result):
        if isinstance(leaf, torch.Tensor):
            recorder.know_variable(leaf, variable)


def _product(recorder: Recorder, name: str, args: tuple[Any, ...], result: Any) -> None:
    left, right = (args[i] for i in _PRODUCTS[name])
    bias = args[0] if name.startswith(("add", "badd")) else None
    inner, outer = left.shape[-1], (right.shape[-1] if right.ndim > 1 else 1)
    if recorder.variable(right) is not None and recorder.variable(left) is None:
        # nn.Linear's weight arrives here as a transposed view; a parameter in `x @ W` has its inputs first
        first = _is_stored_so(right)
        _weighted(recorder, "linear", name, left, right, bias, Fans(inner, outer), result, inputs_first=first)
    elif recorder.variable(left) is not None and recorder.variable(right) is None:
        first = not _is_stored_so(left)
        _weighted(recorder, "linear", name, right, left, bias, Fans(inner, left.shape[-2]), result, inputs_first=first)
    else:
        operation = recorder.record("matmul", name, (left, right), result)
        _use_all(recorder, (left, right, bias), "other", operation, name)


def _is_stored_so(matrix: torch.Tensor) -> bool:
    """Whether a (view of a) parameter has the rows and columns of the parameter, and is not its transpose."""
    return matrix.ndim < 2 or (matrix.stride(-1) == 1 and matrix.stride(-2) >= matrix.shape[-1])


def _weighted(
    recorder: Recorder, kind: str, name: str, value: Any, weight: Any, bias: Any, fans: Fans, result: Any, **more: Any
) -> None:
    variable = recorder.variable(weight)
    inputs = (value,) if variable is not None else (value, weight)
    named = variable if variable is not None and not recorder.is_packed(variable) else ""
    operation = recorder.record(kind if variable else "matmul", name, inputs, result, named)
    if variable is not None:
        recorder.use(variable, f"{kind} weight", operation, name, fans, **more)
    bias_variable = recorder.variable(bias)
    if bias_variable is not None:
        recorder.use(bias_variable, "bias", operation, name, fans)


def _convolution(recorder: Recorder, args: tuple[Any, ...], result: Any) -> None:
    value, weight, bias, stride, _, _, transposed, _, groups = args
    taps, strides = math.prod(weight.shape[2:]), math.prod(stride)
    if transposed:  # weight is (in, out/groups, *taps); each output meets taps/stride of the kernel's taps
        fans = Fans(weight.shape[0] // groups * taps / strides, weight.shape[1] * taps)
    else:  # weight is (out, in/groups, *taps); each input is met by taps/stride of them
        fans = Fans(weight.shape[1] * taps, weight.shape[0] // groups * taps / strides)
    kind = "transposed convolution" if transposed else "convolution"
    _weighted(recorder, kind, "convolution", value, weight, bias, fans, result)


# positions of (scale, shift, running mean, running variance) among the arguments
_NORMS = {
    "native_layer_norm": (2, 3),
    "layer_norm": (2, 3),
    "native_group_norm": (1, 2),
    "native_batch_norm": (1, 2, 3, 4),
    "_native_batch_norm_legit": (1, 2, 3, 4),
    "_native_batch_norm_legit_no_training": (1, 2, 3, 4),
    "_batch_norm_with_update": (1, 2, 3, 4),
    "rms_norm": (2,),
    "_fused_rms_norm": (2,),
}
_NORM_ROLES = ("normalisation scale", "normalisation shift", "running mean", "running variance")


def _norm(recorder: Recorder, name: str, args: tuple[Any, ...], result: Any) -> None:
    operation = recorder.record("norm", name, (args[0],), result)
    for role, position in zip(_NORM_ROLES, _NORMS[name], strict=False):
        _use_all(recorder, (_optional(args, position),), role, operation, name)


def _sum(recorder: Recorder, name: str, tensors: tuple[torch.Tensor, ...], result: Any) -> None:
    variables = [tensor for tensor in tensors if recorder.variable(tensor) is not None]
    values = [tensor for tensor in tensors if recorder.result_of(tensor) is not None]
    if not variables:
        kind = "add" if len(values) > 1 else "shift"
        if values:
            recorder.record(kind, name, tuple(values), result)
        return
    if not values:  # a buffer that counts (BatchNorm's batches), or a sum of parameters
        operation = recorder.record("other", name, (), result)
        role = "counter" if len(tensors) == 1 and not tensors[0].is_floating_point() else "other"
        _use_all(recorder, tuple(variables), role, operation, name)
        return
    kind = recorder.kind_of(values[0])
    is_vector = all(max(tensor.shape, default=1) == tensor.numel() for tensor in variables)
    role = "added"
    if is_vector and kind in ("linear", "convolution", "transposed convolution", "matmul"):
        role = "bias"
    elif is_vector and kind == "norm":
        role = "normalisation shift"
    operation = recorder.record("add" if role == "added" else "shift", name, tuple(values), result)
    _use_all(recorder, tuple(variables), role, operation, name)


def _multiply(
    recorder: Recorder, name: str, args: tuple[Any, ...], tensors: tuple[torch.Tensor, ...], result: Any
) -> None:
    variables = [tensor for tensor in tensors if recorder.variable(tensor) is not None]
    values = [tensor for tensor in tensors if recorder.result_of(tensor) is not None]
    kinds = [recorder.kind_of(value) for value in values]
    if variables:
        role = "normalisation scale" if kinds and kinds[0] == "norm" and name == "mul" else "multiplied"
        operation = recorder.record("norm" if role != "multiplied" else "multiply", name, tuple(values), result)
        _use_all(recorder, tuple(variables), role, operation, name)
    elif len(values) == 1 and len(args) > 1 and isinstance(args[1], (int, float)):
        if kinds[0] == "noise":  # dropout scales its mask
            recorder.record("noise", name, (), result)
            return
        if recorder.is_assumed_data(values[0]):  # what the model makes of data of unknown size is unknown too
            recorder.record("shift", name, tuple(values), result)
            return
        factor = float(args[1]) if name == "mul" else 1.0 / args[1] if args[1] else math.inf
        recorder.record("scale", name, tuple(values), result, factor=factor)
    elif "noise" in kinds:
        signal = tuple(value for value, kind in zip(values, kinds, strict=True) if kind != "noise")
        recorder.record("dropout", name, signal, result)
    elif values:
        recorder.record("multiply", name, tuple(values), result)


def _other(
    recorder: Recorder,
    name: str,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    tensors: tuple[torch.Tensor, ...],
    result: Any,
) -> None:
    activation = _activation(name, args, kwargs)
    if activation is not None:
        kind, detail = "activation", activation
    elif name in _POOLS:
        kind, detail = "pool", name
    elif name == "rsqrt":
        kind, detail = "rsqrt", name
    elif name in ("cat", "stack"):
        kind, detail = "concat", name
    elif name in ("_softmax", "softmax", "_log_softmax"):
        kind, detail = "softmax", name
    elif name in ("native_dropout", "dropout", "bernoulli"):
        kind, detail = "dropout", name
    else:
        kind, detail = "other", name
    known = any(recorder.variable(tensor) is not None or recorder.result_of(tensor) is not None for tensor in tensors)
    if known:
        operation = recorder.record(kind, detail, tensors, result)
        _use_all(recorder, tensors, "other", operation, name)


def _activation(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str | None:
    """The activation's name for the theory, its parameter included ("leaky_relu_0.2")."""
    numbers = [value for value in args[1:] if isinstance(value, (int, float))]
    if name in _SAME_NAME:
        return name
    if name == "gelu":
        return "gelu_tanh" if kwargs.get("approximate") == "tanh" else "gelu"
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


def _use_all(recorder: Recorder, tensors: tuple[Any, ...], role: str, operation: int, detail: str) -> None:
    for tensor in tensors:
        variable = recorder.variable(tensor)
        if variable is not None:
            recorder.use(variable, role, operation, detail)


def _optional(args: tuple[Any, ...], position: int) -> Any:
    return args[position] if position < len(args) else None
