"""The spectral condition: every matrix stretches a vector by what its two sides ask for, at any width."""

from __future__ import annotations

import math

from wellbegun.errors import ArgumentError
from wellbegun.graph.graph import Use
from wellbegun.laws import Normal, Zeros
from wellbegun.recipes.presets.analytic import positive_number
from wellbegun.recipes.presets.parts import law_by_parts, parts_of
from wellbegun.recipes.presets.preset import GATES, WEIGHTS, Preset, Site
from wellbegun.recipes.proposal import Proposal

_OPTIMIZERS = ("adam", "sgd")
_LOOKED_UP = ("embedding weight", "position table", "token")


class Spectral(Preset):
    """The spectral condition: every matrix starts with the norm sqrt(outputs/inputs), whatever the width.

    >>> import torch
    >>> from wellbegun import plan
    >>> model = torch.nn.Sequential(torch.nn.Linear(64, 256), torch.nn.ReLU(), torch.nn.Linear(256, 4))
    >>> made = plan(model, "vector:64", seed=7, recipe="spectral")
    >>> round(made["0.weight"].std * (8 + 16), 5), made["0.weight"].lr_factor  # sqrt(256/64) = 2; a 64th
    (2.0, 0.015625)

    Need: widths and depths that share learning rates
    Domain: shared rates
    Formula: W normal with std gain·sqrt(out/in)/(sqrt(in) + sqrt(out)), the size at which the largest singular value of
        a large matrix is gain·sqrt(out/in); rows of look-up tables N(0, gain²); biases 0. Learning rates: 1/in for
        Adam, out/in for SGD; of tables and biases 1 for Adam, and their width for SGD. A convolution is the matrix of
        its whole patch: in = channels·taps.
    Use it for: one rule for all layers from which muP's widths follow, without a base width: features move alike at
        every width. `plan.param_groups(lr)` has the rates; lr is then about the relative size of a step.
    Not for: weights alone, without the rates: half of the condition is about the step. A plain network halves its
        signal in every square layer, and more behind ReLU, until training aligns the layers: normalise, or raise the
        gain. Scales of normalisation keep the rate that they are given.
    Args:
        gain: the norm over sqrt(outputs/inputs), above 0; the condition leaves it free.
        optimizer: "adam" or "sgd", which decides the learning rates.
    Source: Yang, Simon and Bernstein (2023), "A Spectral Condition for Feature Learning" (norms of weights and
        of their updates). The form for convolutions is our reading: the product of a patch with a matrix.
    """

    name_only = "spectral"
    source = "Yang, Simon and Bernstein (2023), A Spectral Condition for Feature Learning"

    def __init__(self, gain: float = 1.0, optimizer: str = "adam") -> None:
        super().__init__()
        self.gain = positive_number("spectral@1", "gain", gain)
        if optimizer not in _OPTIMIZERS:
            raise ArgumentError(f"spectral@1: optimizer must be 'adam' or 'sgd', got {optimizer!r}")
        self.optimizer = optimizer

    def special(self, site: Site) -> Proposal | None:
        """Every tensor by its two sides."""
        role = site.role
        if role in _LOOKED_UP and site.variable.shape:
            return self._table(site)
        if role in ("bias", "gate bias"):
            size = site.variable.shape[0] if site.variable.shape else 1
            return Proposal(Zeros(), "biases start at 0", self.source, lr_factor=self._rate(1, size))
        uses = parts_of(site.graph, site.variable.name)
        if role not in (*WEIGHTS, *GATES) or not uses:
            return None
        inputs, outputs = max((_sides(site, use) for use in uses), key=lambda sides: sides[1])
        rate = self._rate(inputs, outputs)
        law = law_by_parts(uses, lambda use: self._law(*_sides(site, use)))
        reason = (
            f"spectral: the largest singular value is about {self.gain:g}·sqrt({outputs:g}/{inputs:g}) = "
            f"{self.gain * math.sqrt(outputs / inputs):.4g}; {self.optimizer}'s learning rate ×{rate:.4g}"
        )
        return Proposal(law, reason, self.source, lr_factor=rate)

    def _law(self, inputs: float, outputs: float) -> Normal:
        return Normal(self.gain * math.sqrt(outputs / inputs) / (math.sqrt(inputs) + math.sqrt(outputs)))

    def _table(self, site: Site) -> Proposal:
        width = site.variable.shape[-1]
        tied = any(use.role == "linear weight" for use in site.uses)
        rate = self._rate(1, width)
        if tied:
            std, said = self.gain / width, f"a table that is the output layer too: rows for its logits, 1/{width}"
            return Proposal(
                Normal(std), f"spectral: {said}; learning rate ×{1 / width:.4g}", self.source, lr_factor=1 / width
            )
        reason = f"spectral: a looked-up row has numbers of size {self.gain:g}; learning rate ×{rate:.4g}"
        return Proposal(Normal(self.gain), reason, self.source, lr_factor=rate)

    def _rate(self, inputs: float, outputs: float) -> float:
        return 1 / inputs if self.optimizer == "adam" else outputs / inputs


def _sides(site: Site, use: Use) -> tuple[float, float]:
    """Inputs that meet in one output, and outputs of one product: of one group, and without the taps of a kernel."""
    assert use.fans is not None
    if "k" not in use.axes:
        return use.fans.fan_in, use.fans.fan_out
    outputs = site.variable.shape[use.axes.index("o")]
    if site.role == "convolution weight":
        operation = site.graph.operations[use.operation]
        channels = site.graph.operations[operation.inputs[0]].shape[1]
        outputs //= max(channels // site.variable.shape[use.axes.index("i")], 1)
    return use.fans.fan_in, outputs
