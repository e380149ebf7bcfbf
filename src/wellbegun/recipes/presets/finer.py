"""FINER: sines whose frequency grows with the signal, and biases that choose it."""

from __future__ import annotations

import numpy as np

from wellbegun.errors import PlanError
from wellbegun.graph.graph import Graph, Operation
from wellbegun.laws import FanInUniform, Uniform
from wellbegun.recipes.presets.analytic import positive_number
from wellbegun.recipes.presets.preset import Line, Preset, Site
from wellbegun.recipes.presets.siren import siren_weight
from wellbegun.recipes.proposal import Proposal

_POINTS = np.linspace(-1.5, 1.5, 61)


class Finer(Preset):
    """FINER's starting weights: SIREN's, and first biases from a range that sets the frequencies of the network.

    >>> import torch
    >>> from wellbegun import plan
    >>> class Layer(torch.nn.Linear):
    ...     def forward(self, x):
    ...         z = super().forward(x)
    ...         return torch.sin(30 * (z.abs() + 1) * z)
    >>> model = torch.nn.Sequential(Layer(2, 256), Layer(256, 256), torch.nn.Linear(256, 1))
    >>> made = plan(model, "vector:2", seed=7, recipe="finer(omega_0=30, first_bias=5)")
    >>> made["0.bias"].law, made["1.weight"].law
    (Uniform(low=-5.0, high=5.0), Uniform(low=-0.005103104, high=0.005103104))

    Need: networks of coordinates (images, sounds, fields)
    Formula: for sin(omega_0·(|z| + 1)·z) with z = W·x + b: first layer W ~ U(±1/n), later layers U(±sqrt(6/n)/omega_0),
        n = fan_in; first biases U(±first_bias), the others U(±1/sqrt(n)).
    Use it for: FINER's networks; a larger first_bias reaches higher frequencies, where (|z| + 1)·z is steeper.
    Not for: plain sines (siren) and other networks: an error names what was found.
    Parts: any part is drawn alone.
    Args:
        omega_0: the factor inside of the sines, above 0.
        first_bias: bound k of the first layer's biases, above 0; left out: as the other layers.
    Source: Liu et al. (2024), "FINER: Flexible Spectral-Bias Tuning in Implicit Neural Representation by
        Variable-periodic Activation Functions", and its published code.
    """

    name_only = "finer"
    source = "Liu et al. (2024), FINER, and its published code"
    code = "(omega_0=30, first_bias=5)"

    def __init__(self, omega_0: float = 30.0, first_bias: float | None = None) -> None:
        super().__init__()
        self.omega_0 = positive_number("finer@1", "omega_0", omega_0)
        self.first_bias = None if first_bias is None else positive_number("finer@1", "first_bias", first_bias)

    def prepare(self, graph: Graph) -> None:
        """Check the activations, and find the first layers."""
        steps = [step for step in graph.operations if step.kind == "activation"]
        wrong = sorted({step.detail for step in steps if not self._is_finer(graph, step)})
        if wrong or not steps:
            raise PlanError(
                f"finer@1 is for networks of sin({self.omega_0:g}·(|z| + 1)·z), and this one has "
                f"{', '.join(wrong) or 'no activation'}; for plain sines use siren, or give omega_0"
            )
        self._first = {
            operation.weight
            for operation in graph.weight_operations()
            if operation.inputs and graph.source(operation.inputs[0]).kind == "input"
        }
        indices = {operation.index for operation in graph.weight_operations() if operation.weight in self._first}
        self._first_biases = {
            name for name, uses in graph.uses.items() if uses[0].role == "bias" and uses[0].operation in indices
        }

    def lines(self) -> tuple[Line, ...]:
        """Biases as nn.Linear has them."""
        return (Line(("bias",), FanInUniform(), "biases as the published code leaves them, U(±1/sqrt(fan_in))"),)

    def special(self, site: Site) -> Proposal | None:
        """Weights and first biases by their place."""
        name = site.variable.name
        if name in self._first_biases and self.first_bias is not None:
            reason = f"first biases in ±{self.first_bias:g}, which sets how high the frequencies reach"
            return Proposal(Uniform(-self.first_bias, self.first_bias), reason, self.source)
        return siren_weight(site, "FINER", self.omega_0, name in self._first, self.source)

    def _is_finer(self, graph: Graph, step: Operation) -> bool:
        if step.detail not in graph.functions:
            return False
        made = graph.functions[step.detail](_POINTS)
        return bool(np.allclose(made, np.sin(self.omega_0 * (np.abs(_POINTS) + 1) * _POINTS), atol=1e-6))
