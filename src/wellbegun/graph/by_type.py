"""What a module's type says about its parameters: for those that no operation uses, and for gates."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from torch import nn

from wellbegun.graph.graph import Use
from wellbegun.laws import Fans

if TYPE_CHECKING:
    from wellbegun.graph.variable import Variable

GATES: tuple[tuple[type[nn.Module], tuple[str, ...]], ...] = (
    (nn.LSTM, ("input", "forget", "cell", "output")),
    (nn.LSTMCell, ("input", "forget", "cell", "output")),
    (nn.GRU, ("reset", "update", "new")),
    (nn.GRUCell, ("reset", "update", "new")),
    (nn.RNNBase, ("hidden",)),
    (nn.RNNCellBase, ("hidden",)),
)
"""Gates of torch.nn's recurrent layers, in the order in which they lie in the rows of each parameter."""

_NORMS = (
    nn.LayerNorm,
    nn.GroupNorm,
    nn.RMSNorm,
    nn.modules.batchnorm._NormBase,
)
_NORM_ROLES = {
    "weight": "normalisation scale",
    "bias": "normalisation shift",
    "running_mean": "running mean",
    "running_var": "running variance",
    "num_batches_tracked": "counter",
}
_STATISTICS = frozenset({"running mean", "running variance", "counter"})
_CONVOLUTIONS = nn.modules.conv._ConvNd
_TRANSPOSED = nn.modules.conv._ConvTransposeNd


@dataclass(frozen=True)
class TypedRole:
    """Role, fans, axes and gates of a parameter by the type of the module that holds it; see `Use`."""

    role: str
    fans: Fans | None = None
    axes: str = ""
    gates: tuple[str, ...] = ()
    padding_row: int | None = None


def role_by_type(module: nn.Module, attribute: str, tensor: torch.Tensor) -> TypedRole | None:
    """Say what a parameter or buffer is for, as far as the module's type is one of torch.nn's.

    >>> role_by_type(nn.GRU(8, 4), "weight_hh_l0", torch.empty(12, 4)).gates
    ('reset', 'update', 'new')
    """
    attribute = attribute.removesuffix("_orig")  # where torch.nn.utils.prune keeps a weight
    if tensor.numel() == 0:
        return None
    if isinstance(module, (nn.RNNBase, nn.RNNCellBase)):
        return _recurrent(module, attribute, tensor)
    if isinstance(module, nn.MultiheadAttention):
        return _attention(attribute, tensor)
    if isinstance(module, _NORMS):
        role = _NORM_ROLES.get(attribute)
        return TypedRole(role, axes="o" * (tensor.ndim == 1)) if role else None
    if isinstance(module, nn.PReLU):
        return TypedRole("activation slope", axes="o") if attribute == "weight" else None
    if attribute not in ("weight", "bias"):
        return None
    made = _weighted(module)
    if made is None:
        return None
    return made if attribute == "weight" else TypedRole("bias", made.fans, "o")


def _weighted(module: nn.Module) -> TypedRole | None:
    # not module.weight, which a parametrisation would compute
    weight = module._parameters.get("weight", module._parameters.get("weight_orig"))
    shape = tuple(weight.shape) if isinstance(weight, torch.Tensor) else ()
    if 0 in shape:
        return None
    if isinstance(module, nn.Linear) and len(shape) == 2:
        return TypedRole("linear weight", Fans(shape[1], shape[0]), "oi")
    if isinstance(module, nn.Bilinear) and len(shape) == 3:
        return TypedRole("bilinear weight", bilinear_fans(shape), "oii")
    if isinstance(module, (nn.Embedding, nn.EmbeddingBag)) and len(shape) == 2:
        return TypedRole("embedding weight", Fans(shape[1], shape[1]), "vo", padding_row=module.padding_idx)
    if isinstance(module, _CONVOLUTIONS) and len(shape) > 2:
        transposed = isinstance(module, _TRANSPOSED)
        fans = convolution_fans(shape, module.stride, module.groups, transposed)
        kind = "transposed convolution" if transposed else "convolution"
        return TypedRole(f"{kind} weight", fans, ("io" if transposed else "oi") + "k" * (len(shape) - 2))
    return None


def _recurrent(module: nn.RNNBase | nn.RNNCellBase, attribute: str, tensor: torch.Tensor) -> TypedRole | None:
    gates = next(names for kind, names in GATES if isinstance(module, kind))
    if attribute.startswith("weight_hr"):
        return TypedRole("projection weight", Fans(tensor.shape[1], tensor.shape[0]), "oi")
    if attribute.startswith("bias_"):
        return TypedRole("gate bias", axes="o", gates=gates)
    if not attribute.startswith("weight_"):
        return None
    fans = Fans(tensor.shape[1], tensor.shape[0] // len(gates))
    role = "recurrent weight" if attribute.startswith("weight_hh") else "input weight of gates"
    return TypedRole(role, fans, "oi", gates)


def _attention(attribute: str, tensor: torch.Tensor) -> TypedRole | None:
    if attribute == "in_proj_weight":
        return TypedRole("linear weight", Fans(tensor.shape[1], tensor.shape[0] // 3), "oi")
    if attribute.endswith("_proj_weight"):
        return TypedRole("linear weight", Fans(tensor.shape[1], tensor.shape[0]), "oi")
    if attribute == "in_proj_bias":
        return TypedRole("bias", axes="o")
    return TypedRole("token") if attribute in ("bias_k", "bias_v") else None


def convolution_fans(
    shape: tuple[int, ...],
    stride: int | Sequence[int],
    groups: int,
    transposed: bool,
    sizes: tuple[Sequence[int], Sequence[int]] | None = None,
) -> Fans:
    """Products per output, and gradients per input, away from the borders.

    >>> convolution_fans((64, 1, 3, 3), (1, 1), 64, transposed=False)
    Fans(fan_in=9, fan_out=9)

    Args:
        shape: of the weight.
        stride: one for all dimensions or one for each.
        groups: number of separate convolutions.
        transposed: whether inputs are spread over outputs.
        sizes: of the places that it reads and writes; where there is a single one, there is a single tap. (A
            generator that spreads a vector over an image by a kernel of 4 by 4 has no sums over the kernel.)
    """
    taps, rank = shape[2:], len(shape) - 2
    strides = [stride] if isinstance(stride, int) else list(stride)
    steps = strides if len(strides) == rank else strides[:1] * rank
    reads, writes = sizes if sizes is not None else ((0,) * rank, (0,) * rank)
    if transposed:  # weight is (in, out/groups, *taps); each output meets taps/stride of the kernel's taps
        met = math.prod(1.0 if n == 1 else k / step for n, k, step in zip(reads, taps, steps, strict=True))
        spread = math.prod(1.0 if n == 1 else k for n, k in zip(writes, taps, strict=True))
        return Fans(shape[0] // groups * met, shape[1] * spread)
    met = math.prod(1.0 if n == 1 else k for n, k in zip(reads, taps, strict=True))
    # each input is met by taps/stride of them
    spread = math.prod(1.0 if n == 1 else k / step for n, k, step in zip(writes, taps, steps, strict=True))
    return Fans(shape[1] * met, shape[0] // groups * spread)


def bilinear_fans(shape: tuple[int, ...]) -> Fans:
    """Of x1ᵀ W_o x2: all pairs of inputs meet in an output; gradients are counted on average over both inputs.

    >>> bilinear_fans((5, 3, 4))
    Fans(fan_in=12, fan_out=17.5)
    """
    outputs, first, second = shape
    return Fans(first * second, outputs * (first + second) / 2)


def by_module_types(variable: Variable | None, uses: tuple[Use, ...]) -> tuple[Use, ...]:
    """Give the parameters of recurrent layers, and the statistics of normalisations, their roles.

    Those of a recurrent layer have one use for each operation, for all gates together; statistics, which a layer may
    read, average and write in many steps, have one.
    """
    typed = variable.typed if variable is not None else None
    if typed is not None and typed.role in _STATISTICS:
        return (replace(uses[0], role=typed.role, serves=""),)
    if typed is None or not (typed.gates or typed.role == "projection weight"):
        return uses
    found = {use.operation: use for use in uses}
    return tuple(
        replace(use, role=typed.role, fans=typed.fans, axes=typed.axes, gates=typed.gates, region=None, part=False)
        for use in found.values()
    )


def unused_by_type(variables: tuple[Variable, ...], used: dict[str, tuple[Use, ...]]) -> dict[str, Use]:
    """What the variables that the forward pass does not use are for, by the types of their modules.

    Where the type is none of torch.nn's, a module of the same class that was used tells: experts that no token went to.
    """
    found = {}
    told: dict[tuple[object, ...], Use | None] = {}
    for variable in variables:
        for use in used.get(variable.name, ()) if variable.kind == "parameter" else ():
            known = told.setdefault(_kind(variable), use)
            if known is not None and (known.role, known.fans, known.axes) != (use.role, use.fans, use.axes):
                told[_kind(variable)] = None  # not all of them are used alike
    for variable in variables:
        typed = variable.typed
        if variable.name in used:
            continue
        twin = told.get(_kind(variable))
        if typed is not None:
            found[variable.name] = Use(
                variable.name,
                typed.role,
                -1,
                variable.owner,
                typed.fans,
                axes=typed.axes,
                padding_row=typed.padding_row,
                gates=typed.gates,
            )
        elif twin is not None:
            found[variable.name] = replace(twin, variable=variable.name, operation=-1, detail=variable.owner)
    return found


def _kind(variable: Variable) -> tuple[object, ...]:
    """Equal for tensors of the same shape that are the same attribute of modules of the same class."""
    return variable.types[:1], variable.attribute, variable.shape
