"""The names that torch has deprecated since 0.4: those without an underscore at the end."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from wellbegun.nn_init import constants, elementwise, patterned, scaled

_P = ParamSpec("_P")
_R = TypeVar("_R")


def _old(function: Callable[_P, _R]) -> Callable[_P, _R]:
    new_name = function.__name__
    old_name = new_name.removesuffix("_")

    def renamed(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        warnings.warn(
            f"`nn.init.{old_name}` is now deprecated in favor of `nn.init.{new_name}`.", FutureWarning, stacklevel=2
        )
        return function(*args, **kwargs)

    renamed.__name__ = renamed.__qualname__ = old_name
    renamed.__doc__ = f"Call {new_name}, which is the name to use, and say so."
    return renamed


uniform = _old(elementwise.uniform_)
normal = _old(elementwise.normal_)
constant = _old(constants.constant_)
eye = _old(constants.eye_)
dirac = _old(constants.dirac_)
xavier_uniform = _old(scaled.xavier_uniform_)
xavier_normal = _old(scaled.xavier_normal_)
kaiming_uniform = _old(scaled.kaiming_uniform_)
kaiming_normal = _old(scaled.kaiming_normal_)
orthogonal = _old(patterned.orthogonal_)
sparse = _old(patterned.sparse_)
