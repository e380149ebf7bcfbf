"""An activation: a name, a float64 array function, and where it is not smooth."""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from wellbegun.errors import ArgumentError, UnknownNameError
from wellbegun.theory.expression import is_expression, is_function, parse_expression
from wellbegun.theory.foreign import array_function, callable_name, probe
from wellbegun.theory.formulas import ALIASES, FORMULAS
from wellbegun.theory.kinks import find_kinks

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Activation:
    """An elementwise function of real numbers.

    >>> Activation("cube", lambda x: x**3)
    Activation(name='cube', kinks=())

    name: what it is called in messages. function: float64 array to float64 array of the same shape.
    kinks: points where the function or a derivative jumps, or where it has a feature narrower than about 0.01; kinks
    left out cost time, not accuracy.
    """

    name: str
    function: Callable[[Array], Array] = field(repr=False)
    kinks: tuple[float, ...] = ()

    def __str__(self) -> str:
        return self.name


def find_activation(activation: str | Callable[..., Any] | Activation, **parameters: float) -> Activation:
    """Return the activation of a name, of an expression in x or of a callable.

    >>> find_activation("leaky_relu", negative_slope=0.2)
    Activation(name='leaky_relu_0.2', kinks=(0.0,))
    >>> find_activation("leaky_relu_0.2") is find_activation("LeakyReLU", negative_slope=0.2)
    True
    >>> find_activation(lambda x: np.clip(x, -1, 1)).kinks
    (-1.0, 1.0)
    >>> find_activation("max(x, 0.2 * x) + (x > 1.2345)").kinks
    (0.0, 1.2345)

    activation: a name (capitals and underscores do not matter; a number at its end is the first parameter) or that of
    a function for expressions ("sign", "step", "floor"), an expression such as "x * tanh(log1p(exp(x)))" (see
    `parse_expression`; nothing of it is run as Python), a NumPy function, a torch function or module, any elementwise
    callable, or an `Activation` (kept as is).
    parameters: those of a named activation, such as `negative_slope`, `alpha`, `beta`, `lambd`.
    UnknownNameError: no such name. ArgumentError: an unknown parameter, or a callable that is not an
    elementwise function, finite on [-6, 6].
    """
    if isinstance(activation, str) and is_expression(activation):
        if parameters:
            raise ArgumentError(
                f"an expression takes no parameters ({', '.join(parameters)}); write the numbers into it"
            )
        return _expressed(activation)
    if isinstance(activation, str) and not parameters and is_function(activation) and not _is_named(activation):
        return _expressed(f"{activation}(x)")
    if isinstance(activation, str):
        name, implied = _resolve_name(activation)
        return _named(name, tuple(sorted(_checked(name, {**implied, **parameters}).items())))
    if not callable(activation) and not isinstance(activation, Activation):
        raise ArgumentError(
            f"an activation is a name, a callable or an Activation, not {type(activation).__name__} {activation!r}"
        )
    if parameters:
        raise ArgumentError(
            f"parameters ({', '.join(parameters)}) are for named activations; bind them to the callable"
        )
    if isinstance(activation, Activation):
        return activation
    function = array_function(activation)
    return Activation(callable_name(activation), function, find_kinks(function))


def activation_names() -> tuple[str, ...]:
    """Return every name that `find_activation` knows, aliases left out.

    >>> "gelu" in activation_names()
    True
    """
    return tuple(FORMULAS)


@functools.lru_cache(maxsize=256)
def _expressed(text: str) -> Activation:
    """Build the activation of an expression; cached so that equal texts give equal values."""
    function = parse_expression(text)
    probe(text, function)
    return Activation(text, function, find_kinks(function))


@functools.lru_cache(maxsize=256)
def _resolve_name(given: str) -> tuple[str, dict[str, float]]:
    """Split a name as given into its canonical name and the parameter that its last number stands for."""
    lookup = _names()
    if _plain(given) in lookup:
        return lookup[_plain(given)], {}
    match = re.fullmatch(r"(.*?)_?(\d+(?:\.\d+)?)", given.strip())
    name = lookup.get(_plain(match[1])) if match else None
    if match is None or name is None or not FORMULAS[name].defaults:
        raise UnknownNameError("activation", given, [*FORMULAS, *ALIASES])
    return name, {next(iter(FORMULAS[name].defaults)): float(match[2])}


@functools.cache
def _names() -> dict[str, str]:
    """Canonical names by what is left of each name, and of each alias, without signs and capitals."""
    return {_plain(name): name for name in FORMULAS} | {_plain(name): target for name, target in ALIASES.items()}


def _is_named(given: str) -> bool:
    return _plain(given) in _names()


def _plain(name: str) -> str:
    return re.sub(r"[\s_-]", "", name).lower()


def _checked(name: str, given: dict[str, float]) -> dict[str, float]:
    """Merge parameters into the defaults, refusing unknown ones and what is not a finite number."""
    defaults = FORMULAS[name].defaults
    for key, value in given.items():
        if key not in defaults:
            allowed = f"it takes {', '.join(defaults)}" if defaults else "it takes none"
            raise ArgumentError(f"the activation {name!r} has no parameter {key!r}; {allowed}")
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise ArgumentError(f"{name}: {key} has to be a finite number, not {value!r}")
    merged = {**defaults, **{key: float(value) for key, value in given.items()}}
    for key in ("alpha", "beta", "a"):
        if merged.get(key) == 0 and (name, key) != ("elu", "alpha"):
            raise ArgumentError(f"{name}: {key} divides, so it cannot be 0")
    return merged


@functools.lru_cache(maxsize=256)
def _named(name: str, parameters: tuple[tuple[str, float], ...]) -> Activation:
    """Build a named activation; cached so that equal requests give equal (and hashable) values."""
    formula, values = FORMULAS[name], dict(parameters)
    changed = {key: value for key, value in values.items() if value != formula.defaults[key]}
    first = next(iter(formula.defaults), "")
    if list(changed) == [first] and values[first] > 0:
        label = f"{name}_{values[first]:.12g}"
    elif changed:
        label = f"{name}({', '.join(f'{key}={value:.12g}' for key, value in changed.items())})"
    else:
        label = name
    function = functools.partial(formula.evaluate, **values) if values else formula.evaluate
    return Activation(label, function, formula.kinks(**values))
