"""Drop-in replacement for torch.nn.init: the same functions, sound and fast; change one import and nothing else.

>>> import torch
>>> import wellbegun.nn_init as init
>>> w = init.kaiming_normal_(torch.empty(3, 5), nonlinearity="relu")

Every random call takes one integer from the generator (torch's default CPU generator if none is passed) and keys its
numbers with it. This is the one place where wellbegun touches a global random state.
"""

from wellbegun.errors import MissingExtraError

try:
    import torch as _torch  # noqa: F401
except ModuleNotFoundError:
    raise MissingExtraError("PyTorch", "torch", "wellbegun.nn_init") from None

from wellbegun.nn_init import constants, elementwise, fans
from wellbegun.nn_init.constants import constant_, dirac_, eye_, ones_, zeros_
from wellbegun.nn_init.deprecated import (
    constant,
    dirac,
    eye,
    kaiming_normal,
    kaiming_uniform,
    normal,
    orthogonal,
    sparse,
    uniform,
    xavier_normal,
    xavier_uniform,
)
from wellbegun.nn_init.elementwise import normal_, trunc_normal_, uniform_
from wellbegun.nn_init.gain import calculate_gain
from wellbegun.nn_init.patterned import orthogonal_, sparse_
from wellbegun.nn_init.scaled import kaiming_normal_, kaiming_uniform_, xavier_normal_, xavier_uniform_

# Not public in torch, and imported from there by many libraries all the same.
_calculate_correct_fan = fans.calculate_correct_fan
_calculate_fan_in_and_fan_out = fans.calculate_fan_in_and_fan_out
_no_grad_fill_ = constants.fill_with
_no_grad_normal_ = elementwise.draw_normal
_no_grad_trunc_normal_ = elementwise.draw_trunc_normal
_no_grad_uniform_ = elementwise.draw_uniform
_no_grad_zero_ = constants.fill_with_zeros

__all__ = [
    "calculate_gain",
    "constant",
    "constant_",
    "dirac",
    "dirac_",
    "eye",
    "eye_",
    "kaiming_normal",
    "kaiming_normal_",
    "kaiming_uniform",
    "kaiming_uniform_",
    "normal",
    "normal_",
    "ones_",
    "orthogonal",
    "orthogonal_",
    "sparse",
    "sparse_",
    "trunc_normal_",
    "uniform",
    "uniform_",
    "xavier_normal",
    "xavier_normal_",
    "xavier_uniform",
    "xavier_uniform_",
    "zeros_",
]
