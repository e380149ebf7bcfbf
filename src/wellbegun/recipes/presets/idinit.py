"""IDInit: identities that are padded to every shape."""

from __future__ import annotations

from wellbegun.errors import PlanError
from wellbegun.graph.graph import Graph
from wellbegun.laws import PaddedIdentity
from wellbegun.recipes.presets.analytic import positive_number
from wellbegun.recipes.presets.preset import Line, Preset, Site, zero_biases
from wellbegun.recipes.presets.residual import find_branches
from wellbegun.recipes.proposal import Proposal


class IdInit(Preset):
    """IDInit: every matrix an identity, repeated where it is not square, and almost zero at the end of each branch.

    >>> import torch
    >>> from wellbegun import plan
    >>> class Block(torch.nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.inside, self.out = torch.nn.Linear(16, 64), torch.nn.Linear(64, 16)
    ...     def forward(self, x):
    ...         return x + self.out(torch.relu(self.inside(x)))
    >>> made = plan(torch.nn.Sequential(Block(), Block()), "vector:16", seed=7, recipe="idinit")
    >>> made["0.inside.weight"].law, made["0.out.weight"].law
    (PaddedIdentity(gain=1.0), PaddedIdentity(gain=1e-06))

    Need: residual networks
    Formula: W[i, j] = tau where i = j modulo min(outputs, inputs), else 0; tau = 1, and in the last layer of a residual
        branch 1e-6 on the same places; biases 0.
    Use it for: residual networks of matrix products that shall start as the identity without a seed.
    Not for: convolutions, whose patch-maintaining form is left out: an error. Plain SGD, which cannot tell the units of
        an identity apart: the paper trains with momentum. Transformers' output layers, which would copy single
        features.
    Parts: any part is computed alone.
    Args:
        tau: the number at the ones, above 0.
        epsilon: the number at the ones of the last layer of a branch, above 0.
    Source: Pan et al. (2025), "IDInit: A Universal and Stable Initialization Method for Neural Network Training" (tau
        1, epsilon 1e-6); that the small numbers stand on the places of the ones is our reading of it.
    """

    name_only = "idinit"
    source = "Pan et al. (2025), IDInit"

    def __init__(self, tau: float = 1.0, epsilon: float = 1e-6) -> None:
        super().__init__()
        self.tau = positive_number("idinit@1", "tau", tau)
        self.epsilon = positive_number("idinit@1", "epsilon", epsilon)

    def prepare(self, graph: Graph) -> None:
        """Find the ends of the branches."""
        ends = {index for branch in find_branches(graph) for index in branch.ends}
        self._ends = {operation.weight for operation in graph.operations if operation.index in ends}

    def lines(self) -> tuple[Line, ...]:
        """Biases, and tables, which are no layers."""
        return (zero_biases(),)

    def special(self, site: Site) -> Proposal | None:
        """Weights by their place."""
        if site.role.endswith("convolution weight"):
            raise PlanError(
                f"idinit@1: {site.variable.name} is the kernel of a convolution, for which IDInit has another form "
                "that is left out; use zero_residual(base='hadamard')"
            )
        if site.role != "linear weight":
            return None
        if site.variable.name in self._ends:
            law = PaddedIdentity(self.epsilon)
            return Proposal(
                law, f"ends a residual branch: an identity of {self.epsilon:g}, so it adds nothing", self.source
            )
        return Proposal(PaddedIdentity(self.tau), "an identity, repeated where the layer is not square", self.source)
