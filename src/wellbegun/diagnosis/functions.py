"""How the probe reads torch's functions, by name (without the underscore of the in-place forms)."""

from __future__ import annotations

from collections.abc import Callable
from types import FunctionType
from typing import Any

_EACH_DIMENSION = (
    "max_pool{}d avg_pool{}d lp_pool{}d adaptive_max_pool{}d adaptive_avg_pool{}d fractional_max_pool{}d dropout{}d"
)

ACTIVATIONS = frozenset(
    (
        "relu tanh sigmoid gelu silu mish elu selu celu leaky_relu hardtanh relu6 hardswish hardsigmoid "
        "softplus softsign logsigmoid sin cos erf atan prelu rrelu softshrink hardshrink tanhshrink"
    ).split()
)

NORMS = frozenset("batch_norm layer_norm group_norm instance_norm rms_norm local_response_norm normalize".split())
"""What sets the scale of its input anew."""

SUMS = frozenset("add __add__ __iadd__ __radd__ sub __sub__ __isub__ subtract".split())

PRODUCTS = frozenset("mul __mul__ __imul__ __rmul__ multiply div __truediv__ __itruediv__ divide true_divide".split())
"""Followed where the other factor is a number, a parameter, or smaller than the result."""

JOINS = frozenset("cat concat concatenate stack where".split())

CONVOLUTIONS = frozenset("conv1d conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d".split())

RECURRENT = frozenset("lstm gru rnn_tanh rnn_relu lstm_cell gru_cell rnn_tanh_cell rnn_relu_cell".split())
"""Whole recurrent layers, and one step of them: several weights in one function."""

LOOKUPS = frozenset(("embedding", "embedding_bag"))

MATRIX_PRODUCTS = frozenset("matmul __matmul__ __rmatmul__ bmm baddbmm einsum".split())

COMPOSED = frozenset(("multi_head_attention_forward",))
"""Functions of torch that are written in Python: what they call is watched in their place."""

ATTENTION = frozenset(("scaled_dot_product_attention",))
"""Takes what parameters made (a mask), and is no layer."""

_MOVES = frozenset(
    (
        "view reshape flatten unflatten transpose permute contiguous unsqueeze squeeze movedim swapaxes swapdims clone "
        "expand expand_as repeat narrow select __getitem__ __get__ chunk split tensor_split unbind flip roll "
        "type float half bfloat16 double to type_as view_as reshape_as channel_shuffle pixel_shuffle pixel_unshuffle"
    ).split()
)

_FILTERS = frozenset(
    (
        "dropout alpha_dropout feature_alpha_dropout feature_dropout pad interpolate upsample clamp clip clamp_min "
        "clamp_max neg __neg__ masked_fill nan_to_num"
    ).split()
    + [name.format(dimension) for name in _EACH_DIMENSION.split() for dimension in (1, 2, 3)]
)

PASSES = _MOVES | _FILTERS | NORMS | SUMS | PRODUCTS | JOINS
"""What may stand between a layer and its activation."""


def opened(function: Any) -> Callable[..., Any]:
    """The same function without its first question, whether somebody else takes the call: its body runs."""
    names = [name for name in function.__globals__ if name.startswith("has_torch_function")]
    answers: dict[str, Any] = dict.fromkeys(names, lambda *_: False)
    made = FunctionType(
        function.__code__,
        function.__globals__ | answers,
        function.__name__,
        function.__defaults__,
        function.__closure__,
    )
    made.__kwdefaults__ = function.__kwdefaults__
    return made
