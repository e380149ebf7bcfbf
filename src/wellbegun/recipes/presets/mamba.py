"""Mamba and Mamba-2: the starts of decay rates, steps of time and skips that no generic rule may touch."""

from __future__ import annotations

import math
from collections.abc import Mapping

from wellbegun.graph.graph import Graph
from wellbegun.graph.variable import Variable
from wellbegun.laws import Mamba2Decay, Ones, S4DReal, TimeStepBias, Uniform
from wellbegun.recipes.presets.on_top import OnTop
from wellbegun.recipes.proposal import Proposal


class Mamba(OnTop):
    """Mamba's and Mamba-2's own parameters as published, whatever rule the other weights have.

    >>> import torch
    >>> from wellbegun import plan
    >>> class Heads(torch.nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.inside = torch.nn.Linear(8, 8)
    ...         self.A_log, self.dt_bias = torch.nn.Parameter(torch.zeros(8)), torch.nn.Parameter(torch.zeros(8))
    ...     def forward(self, x):
    ...         step = torch.nn.functional.softplus(self.inside(x) + self.dt_bias)
    ...         return torch.exp(-step * torch.exp(self.A_log))
    >>> made = plan(Heads(), "vector:8", seed=7, recipe="mamba(base='torch')")
    >>> made["dt_bias"].initializer, made["A_log"].initializer
    ('TimeStepBias(low=0.001)', 'Mamba2Decay(low=1.0)')

    Need: recurrent and state-space networks
    Formula: A_log of two dimensions ln(1, 2 ... N) along the states, of one dimension ln U(1, 16); dt_bias, and the
        bias of dt_proj, the inverse softplus of log-uniform steps in [low, high], at least floor; the weight of dt_proj
        U(±1/sqrt(rank)); D = 1; everything else as the base says.
    Use it for: models that hold these parameters under these names (Mamba, Mamba-2, gated delta networks) and whose
        own initialisation code is missing or not trusted. auto takes the author's values where it sees them.
    Not for: models that name them otherwise (rules with wb.S4DReal() and wb.TimeStepBias() do), and models without any:
        an error.
    Parts: any part is computed alone.
    Args:
        low, high: of the steps of time, 0 < low < high.
        floor: smallest step.
        base: the recipe for everything else.
    Source: Gu and Dao (2023), Mamba; Dao and Gu (2024), Mamba-2; their published code (mamba_simple.py, mamba2.py).
    """

    name_only = "mamba"
    source = "Gu and Dao (2023); Dao and Gu (2024); their published code"

    def __init__(self, low: float = 0.001, high: float = 0.1, floor: float = 1e-4, base: str = "auto") -> None:
        super().__init__(base)
        self.steps = TimeStepBias(low, high, floor)

    def change(self, graph: Graph, proposals: Mapping[str, Proposal]) -> dict[str, Proposal]:  # noqa: ARG002
        """By the name of each parameter."""
        made = {variable.name: found for variable in graph.variables if (found := self._one(variable)) is not None}
        if not any(name.rpartition(".")[2] == "A_log" for name in made):
            raise self.fails("this model has no parameter A_log; give its decay rates a rule, such as wb.S4DReal()")
        return made

    def _one(self, variable: Variable) -> Proposal | None:
        path, _, attribute = variable.name.rpartition(".")
        owner = path.rpartition(".")[2]
        if variable.kind != "parameter":
            return None
        if attribute == "A_log" and len(variable.shape) == 2:
            return Proposal(S4DReal(), "decay rates 1, 2, 3 ... along the states, as logarithms", self.source)
        if attribute == "A_log" and len(variable.shape) == 1:
            return Proposal(
                Mamba2Decay(), "a decay rate for each head, uniform in 1 to 16, as a logarithm", self.source
            )
        if attribute == "dt_bias" or (owner == "dt_proj" and attribute == "bias"):
            reason = f"softplus makes steps of time of it, log-uniform in {self.steps.low:g} to {self.steps.high:g}"
            return Proposal(self.steps, reason, self.source)
        if owner == "dt_proj" and attribute == "weight" and len(variable.shape) == 2:
            bound = 1 / math.sqrt(variable.shape[1])
            return Proposal(Uniform(-bound, bound), f"steps of time from the input: U(±{bound:.4g})", self.source)
        if attribute == "D" and len(variable.shape) == 1:
            return Proposal(Ones(), "the skip past the states starts open: 1", self.source)
        return None
