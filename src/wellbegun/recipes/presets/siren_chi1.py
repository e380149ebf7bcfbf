"""Networks of sines at the critical point: SIREN's weights at the slope 1."""

from __future__ import annotations

import math

from wellbegun.graph.graph import Graph
from wellbegun.laws import Uniform
from wellbegun.recipes.layers import find_outputs
from wellbegun.recipes.presets.preset import Line, Site, zero_biases
from wellbegun.recipes.presets.siren import Siren
from wellbegun.recipes.proposal import Proposal


class SirenChi1(Siren):
    """SIREN at slope 1: hidden weights smaller by sqrt(2), so that gradients do not explode with depth.

    >>> import torch
    >>> from wellbegun import plan
    >>> class Sine(torch.nn.Linear):
    ...     def forward(self, x):
    ...         return torch.sin(30 * super().forward(x))
    >>> model = torch.nn.Sequential(Sine(2, 300), Sine(300, 300), torch.nn.Linear(300, 1))
    >>> made = plan(model, "vector:2", seed=7, recipe="siren_chi1(omega_0=30)")
    >>> round(made["1.weight"].law.high * 30, 6)  # sqrt(3/300)
    0.1

    Need: networks of coordinates (images, sounds, fields)
    Domain: sines
    Formula: hidden layers W ~ U(±sqrt(3/n)/omega_0), so that n·Var(omega_0·W) = 1 and chi_1 = E cos²(z) tends to 1 from
        below as the signal settles; the first and the last layer are SIREN's, U(±1/n) and U(±sqrt(6/n)/omega_0);
        biases 0.
    Use it for: deep networks of sines without random biases. There SIREN's weights multiply the gradient by 1.0969 (the
        root of 1.2032) in every layer, by 100 in 50 layers; here it falls like 1/sqrt(depth), to a fifth or less. It
        fits more slowly and changes more smoothly between the points that it was given.
    Not for: fitting one image as fast as can be: that is `siren`, whose published biases spread the phases so far
        that its gradients hardly grow either. The signal falls like 1/sqrt(depth) too, as that of
        tanh at its critical point does. Networks without sines (an error).
    Args:
        omega_0: the factor inside of the sines. Left out: what the forward pass multiplies with, 1 if nothing.
    Source: Sitzmann et al. (2020), SIREN, for the network and its two ends; Schoenholz et al. (2017), "Deep Information
        Propagation", for the condition chi_1 = 1. The bound follows from the two: it is our computation.
    """

    name_only = "siren_chi1"
    source = "Sitzmann et al. (2020); Schoenholz et al. (2017) for chi_1 = 1"

    def prepare(self, graph: Graph) -> None:
        """Find the factor, and the layers that make the output."""
        super().prepare(graph)
        self._last = {graph.operations[index].weight for index in find_outputs(graph)}

    def lines(self) -> tuple[Line, ...]:
        """Biases of 0, at which the condition is met."""
        return (zero_biases(),)

    def special(self, site: Site) -> Proposal | None:
        """Hidden weights smaller by the root of 2."""
        name = site.variable.name
        made = super().special(site)
        if made is None or site.fans is None or name in self._first or name in self._last:
            return made
        bound = math.sqrt(3 / site.fans.fan_in) / self._omega
        reason = f"SIREN at slope 1: U(±sqrt(3/{site.fans.fan_in:g})/{self._omega:g}): E cos² of its phases is nearly 1"
        return Proposal(Uniform(-bound, bound), reason, self.source)
