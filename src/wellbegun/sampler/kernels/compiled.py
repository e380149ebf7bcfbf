"""How kernels are compiled: without the interpreter's lock, and kept on disk where that is possible."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import numba

Function = Callable[..., Any]
OPTIONS: Any = {"nogil": True, "error_model": "numpy"}


def compiled(function: Function) -> Function:
    """Compile a kernel on its first call and keep the result for later processes."""
    try:
        return cast("Function", numba.njit(**OPTIONS, cache=True)(function))
    except RuntimeError:  # no folder that Numba may write its cache to: compile in memory
        return cast("Function", numba.njit(**OPTIONS)(function))


def inlined(function: Function) -> Function:
    """Compile a step that LLVM must inline: a call left in the loop over lanes stops its vectorisation."""
    return cast("Function", numba.njit(**OPTIONS, forceinline=True)(function))
