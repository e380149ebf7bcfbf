"""Scale can never be mistaken: std, variance and gain are different keyword names, and a bare `scale` exists nowhere.

3.6 as a variance instead of a standard deviation is a real fault in the wild (Kumar's rule for sigmoid).
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from typing import Any

import pytest

import wellbegun as wb
from wellbegun import nn_init
from wellbegun.errors import ArgumentError
from wellbegun.laws import LAWS, METHODS, find_method
from wellbegun.recipes.presets import PRESETS
from wellbegun.tuning.cards import TUNINGS

BARE = frozenset({"scale", "scales", "scale_factor", "sigma", "var", "stddev", "magnitude"})


def public() -> Iterator[tuple[str, Any]]:
    """Everything that a user can call: public names and their public methods, laws, recipes, tunings, nn_init."""
    found: dict[str, Any] = {f"wb.{name}": getattr(wb, name) for name in wb.__all__}
    found |= {f"nn_init.{name}": getattr(nn_init, name) for name in nn_init.__all__}
    found |= {f"law {law.__name__}": law for law in LAWS} | {f"method {m.name}": m.kind for m in METHODS}
    found |= {f"recipe {preset.name_only}": preset for preset in PRESETS}
    found |= {f"tuning {tuning.name}": tuning.function for tuning in TUNINGS}
    theory = importlib.import_module("wellbegun.theory")
    found |= {f"theory.{name}": getattr(theory, name) for name in theory.__all__}
    yield from found.items()
    for name, thing in found.items():
        if inspect.isclass(thing):
            methods = inspect.getmembers(thing, inspect.isroutine)
            yield from ((f"{name}.{m}", f) for m, f in methods if not m.startswith("_") and inspect.isfunction(f))


def parameters(thing: Any) -> list[str]:
    return list(inspect.signature(thing).parameters) if callable(thing) else []


EVERY = list(public())


def test_the_walk_sees_the_public_api() -> None:
    names = {name for name, _ in EVERY}
    assert {"wb.plan", "wb.fill", "wb.Normal", "recipe siren", "method variance_scaling", "law Orthogonal"} <= names
    assert len(names) > 150


@pytest.mark.parametrize(("name", "thing"), EVERY, ids=[name for name, _ in EVERY])
def test_no_public_argument_is_a_bare_scale(name: str, thing: Any) -> None:
    assert not BARE & set(parameters(thing)), name


def test_no_command_has_a_bare_scale() -> None:
    cli = importlib.import_module("wellbegun.cli")
    names = [module.name for module in pkgutil.iter_modules(cli.__path__)]
    functions = [
        function
        for name in names
        for label, function in inspect.getmembers(importlib.import_module(f"wellbegun.cli.{name}"), inspect.isfunction)
        if label.endswith("_command")
    ]
    assert len(functions) >= 5
    for function in functions:
        assert not BARE & set(parameters(function)), function


def test_a_scale_says_which_one_it_is() -> None:
    """The same number under three names is three laws, and any other name is refused."""
    fans = wb.Fans(100, 100)
    assert wb.VarianceScaling(variance=4.0).law(fans) == wb.Normal(std=0.2)
    assert wb.XavierNormal(gain=4.0).law(fans) == wb.Normal(std=0.4)
    assert wb.Normal(std=4.0).law(fans) == wb.Normal(std=4.0)
    with pytest.raises(TypeError):
        wb.VarianceScaling(scale=4.0)  # type: ignore[call-arg]
    with pytest.raises(ArgumentError, match="its arguments: variance"):
        find_method("variance_scaling").make(scale=4)
