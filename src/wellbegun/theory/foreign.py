"""Callables of other libraries as float64 array functions: NumPy, torch, or one number at a time."""

from __future__ import annotations

import copy
import functools
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from wellbegun.errors import ArgumentError

Array = npt.NDArray[np.float64]
ArrayFunction = Callable[[Array], Array]

PROBE_REACH, PROBE_POINTS = 6.0, 1200
"""Where a callable is tried before it is trusted: a standard normal is inside ±6 but for 2e-9."""

_CALL_ERRORS = (
    TypeError,
    ValueError,
    AttributeError,
    RuntimeError,
    IndexError,
    ArithmeticError,
    NotImplementedError,
)


def array_function(given: Callable[..., Any]) -> ArrayFunction:
    """Return an elementwise callable as a function from float64 array to float64 array.

    >>> import math
    >>> array_function(lambda x: max(math.tanh(x), 0.0))(np.array([-1.0, 0.0]))
    array([0., 0.])

    A torch function or module is called on float64 CPU tensors without gradients; a module is copied, so
    later changes to its parameters do not show. Any other callable is tried with an array, then (if torch is
    loaded) with a float64 and a float32 tensor, then with one number at a time.
    ArgumentError: it cannot be called, changes the shape, is not elementwise or not finite on [-6, 6].
    """
    torch = sys.modules.get("torch")
    if torch is not None and _is_torch(given, torch):
        candidates = [_through_torch(_own_copy(given, torch), torch)]
    else:
        candidates = [_through_numpy(given)]
        if torch is not None:
            candidates += [_through_torch(given, torch), _through_torch(given, torch, "float32")]
        candidates.append(_one_by_one(given))
    failures: list[Exception] = []
    for candidate in candidates:
        try:
            candidate(np.linspace(-1.0, 1.0, 8))
        except _CALL_ERRORS as failure:
            failures.append(failure)
            continue
        probe(callable_name(given), candidate)
        return candidate
    raise ArgumentError(
        f"the activation {callable_name(given)} cannot be called on an array of numbers: "
        f"{type(failures[0]).__name__}: {failures[0]}; give a name or a function of one array, elementwise"
    )


def callable_name(given: Callable[..., Any]) -> str:
    """Return what to call a callable in messages: its own name or that of its class.

    >>> callable_name(np.tanh)
    'tanh'
    """
    if isinstance(given, functools.partial):
        return callable_name(given.func)
    return str(getattr(given, "__name__", type(given).__name__))


def _is_torch(given: Callable[..., Any], torch: Any) -> bool:
    """Tell whether a callable belongs to torch, whose functions take tensors only."""
    while isinstance(given, functools.partial):
        given = given.func
    if isinstance(given, torch.nn.Module):
        return True
    owner = getattr(given, "__self__", None)  # torch.tanh is a method of a class of torch._C without a module
    places = (
        getattr(given, "__module__", None),
        getattr(owner, "__module__", None),
        getattr(owner, "__name__", None),
    )
    return any(str(place or "").partition(".")[0] == "torch" for place in places)


def _own_copy(given: Callable[..., Any], torch: Any) -> Callable[..., Any]:
    """Copy a module to float64 on the CPU in evaluation mode (PReLU has weights, RReLU draws in training)."""
    return copy.deepcopy(given).to("cpu", torch.float64).eval() if isinstance(given, torch.nn.Module) else given


def _through_numpy(given: Callable[..., Any]) -> ArrayFunction:
    def function(x: Array) -> Array:
        with np.errstate(all="ignore"):
            return np.asarray(given(x.copy()), dtype=np.float64)

    return function


def _through_torch(given: Callable[..., Any], torch: Any, dtype: str = "float64") -> ArrayFunction:
    """Call a function on tensors; float32 for one that holds float32 weights and refuses others."""

    def function(x: Array) -> Array:
        with torch.no_grad():
            # a copy, for activations that work in place; double, because NumPy has no bfloat16
            tensor = torch.tensor(x, dtype=getattr(torch, dtype), device="cpu")
            return np.asarray(given(tensor).detach().double().numpy(), dtype=np.float64)

    return function


def _one_by_one(given: Callable[..., Any]) -> ArrayFunction:
    def function(x: Array) -> Array:
        return np.array([float(given(number)) for number in x.ravel().tolist()], dtype=np.float64).reshape(x.shape)

    return function


def probe(name: str, function: ArrayFunction) -> None:
    """Refuse what is not an elementwise, finite function of one number.

    >>> probe("log", np.log1p)
    Traceback (most recent call last):
    wellbegun.errors.ArgumentError: the activation log is not finite on [-6, 6]: f(-6) = nan; ...
    """
    x = np.linspace(-PROBE_REACH, PROBE_REACH, PROBE_POINTS)
    try:
        with np.errstate(all="ignore"):
            y = function(x)
    except _CALL_ERRORS as failure:
        raise ArgumentError(
            f"the activation {name} fails on [-6, 6]: {type(failure).__name__}: {failure}; "
            "it has to be defined for all real numbers"
        ) from failure
    if y.shape != x.shape:
        raise ArgumentError(
            f"the activation {name} changes the shape: {x.shape} became {y.shape}; only elementwise "
            "functions have Gaussian moments (a gated unit is a product: give the function of its gate)"
        )
    if not np.isfinite(y).all():
        worst = x[~np.isfinite(y)][0]
        raise ArgumentError(
            f"the activation {name} is not finite on [-6, 6]: f({worst:.4g}) = {y[~np.isfinite(y)][0]}; "
            "it has to be defined for all real numbers"
        )
    part = slice(PROBE_POINTS // 3, PROBE_POINTS // 2)
    if not np.allclose(function(x[part]), y[part], rtol=1e-9, atol=1e-12):
        raise ArgumentError(
            f"the activation {name} is not elementwise, or draws random numbers: f(x)[i] is not a function "
            "of x[i] alone; give the elementwise part of it"
        )
