"""Networks of sines."""

from __future__ import annotations

import math
import re

from wellbegun.errors import ArgumentError, PlanError
from wellbegun.graph.graph import Graph, Operation
from wellbegun.laws import FanInUniform, Uniform
from wellbegun.recipes.presets.preset import Line, Preset, Site
from wellbegun.recipes.proposal import Proposal

_SIGNAL = ("linear weight", "convolution weight")


class Siren(Preset):
    """SIREN's starting weights: uniform, so that every sine of a deep network sees phases of the same spread.

    >>> import torch
    >>> from wellbegun import plan
    >>> class Sine(torch.nn.Linear):
    ...     def forward(self, x):
    ...         return torch.sin(30 * super().forward(x))
    >>> model = torch.nn.Sequential(Sine(2, 256), Sine(256, 256), torch.nn.Linear(256, 1))
    >>> made = plan(model, "vector:2", seed=7, recipe="siren(omega_0=30)")
    >>> made["0.weight"].law, made["1.weight"].law
    (Uniform(low=-0.5, high=0.5), Uniform(low=-0.005103104, high=0.005103104))

    Need: networks of coordinates (images, sounds, fields)
    Formula: first layer W ~ U(±1/n), so that omega_0·W·x has the frequencies of the data; later layers
        W ~ U(±sqrt(6/n)/omega_0); n = fan_in; biases U(±1/sqrt(n)), as the published code leaves them.
    Use it for: implicit representations of images, sounds, shapes and solutions: sin(omega_0·(W·x + b)).
    Not for: networks without sines, which is an error. omega_0 belongs to the model: where it multiplies in the forward
        pass it is read from there, and an argument that disagrees is an error.
    Args:
        omega_0: the factor inside of the sines. Left out: what the forward pass multiplies with, 1 if nothing.
    Source: Sitzmann et al. (2020), "Implicit Neural Representations with Periodic Activation Functions", section 3.2
        and supplement 1.5, and the published code (first layer ±1/n).
    """

    name_only = "siren"
    source = "Sitzmann et al. (2020), section 3.2 and the published code"
    code = "(omega_0=30)"

    def __init__(self, omega_0: float | None = None) -> None:
        super().__init__()
        is_number = isinstance(omega_0, (int, float)) and not isinstance(omega_0, bool)
        if omega_0 is not None and not (is_number and 0 < omega_0 < math.inf):
            raise ArgumentError(f"siren@1: omega_0 must be a number above 0, got {omega_0!r}")
        self.omega_0 = omega_0

    def prepare(self, graph: Graph) -> None:
        """Find the layers in front of sines, the first of them, and the factor between."""
        self._first: set[str] = set()
        factors: dict[str, float] = {}
        for operation in graph.weight_operations():
            factor = _factor(graph, operation)
            if factor is not None:
                factors[operation.weight] = factor
            if operation.inputs and graph.source(operation.inputs[0]).kind == "input":
                self._first.add(operation.weight)
        if not factors:
            raise PlanError("siren@1 is for networks of sines, and no layer of this model is followed by torch.sin")
        inside = {name: factor for name, factor in factors.items() if name not in self._first} or factors
        found = set(inside.values())
        if len(found) > 1:
            raise PlanError(f"siren@1: the sines have different factors: {_listed(inside)}; use rules for some of them")
        factor = found.pop()
        if self.omega_0 is not None and not math.isclose(self.omega_0, factor, rel_tol=1e-4):
            raise PlanError(
                f"siren@1: omega_0 is {self.omega_0:g}, but the model multiplies by {factor:g} before its sines"
            )
        self._omega = factor

    def lines(self) -> tuple[Line, ...]:
        """Biases as nn.Linear has them."""
        return (Line(("bias",), FanInUniform(), "biases as the published code leaves them, U(±1/sqrt(fan_in))"),)

    def special(self, site: Site) -> Proposal | None:
        """Weights by their place."""
        return siren_weight(site, "SIREN", self._omega, site.variable.name in self._first, self.source)


def siren_weight(site: Site, whose: str, omega: float, is_first: bool, source: str) -> Proposal | None:
    """Return what a layer of a network of sines holds, by its place; None for other tensors."""
    if site.role not in _SIGNAL or site.fans is None:
        return None
    inputs = site.fans.fan_in
    if is_first:
        return Proposal(_within(1 / inputs), f"{whose}'s first layer: U(±1/{inputs:g})", source)
    reason = f"{whose}'s layer behind a sine: U(±sqrt(6/{inputs:g})/{omega:g})"
    return Proposal(_within(math.sqrt(6 / inputs) / omega), reason, source)


def _factor(graph: Graph, operation: Operation) -> float | None:
    """What the result of a layer is multiplied with before its sine, or None if no sine follows."""
    factor, index = 1.0, operation.index
    while True:
        step = next((s for s in graph.consumers(index) if s.kind in ("scale", "view", "shift", "activation")), None)
        if step is None:
            return None
        if step.kind == "activation":
            sine = re.fullmatch(r"sin(?:_([-+.e\d]+))?", step.detail)  # "sin_30": the factor as part of the function
            return factor * float(sine[1] or 1.0) if sine else None
        factor *= step.factor if step.kind == "scale" else 1.0
        index = step.index


def _within(bound: float) -> Uniform:
    return Uniform(-bound, bound)


def _listed(factors: dict[str, float]) -> str:
    return ", ".join(f"{factor:g} behind {name}" for name, factor in factors.items())
