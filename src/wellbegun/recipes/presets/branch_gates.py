"""Learnt factors on residual branches: one number (ReZero, SkipInit), or one for each channel (LayerScale)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from wellbegun.errors import ArgumentError
from wellbegun.graph.graph import Graph
from wellbegun.laws import Constant, Zeros
from wellbegun.recipes.attention import find_attentions
from wellbegun.recipes.presets.on_top import OnTop
from wellbegun.recipes.presets.residual import Branch, find_branches
from wellbegun.recipes.proposal import Proposal


class _Gated(OnTop):
    """A preset about the learnt factors behind the last weight of each branch."""

    wanted: ClassVar[str]
    instead: ClassVar[str]

    def gates(self, graph: Graph) -> list[str]:
        """Return the factors, one name or more for each branch.

        Raises:
            PlanError: a branch has none; it is named.
        """
        branches = find_branches(graph)
        if not branches:
            raise self.fails("this model has no residual branch")
        found, bare = [], []
        for branch in branches:
            names = [name for name in _factors(graph, branch) if self.is_gate(graph, name)]
            found += names
            if not names:
                bare.append(graph.operations[branch.weights[-1]].weight or f"operation {branch.weights[-1]}")
        if bare:
            shown = ", ".join(bare[:3]) + (f" and {len(bare) - 3} more" if len(bare) > 3 else "")
            share = f"{len(bare)} of {len(branches)} residual branches have no {self.wanted}"
            raise self.fails(f"{share}: behind {shown}; {self.instead}")
        return list(dict.fromkeys(found))

    def is_gate(self, graph: Graph, name: str) -> bool:
        """Whether a factor is of the kind that the recipe is about."""
        raise NotImplementedError


class SkipInit(_Gated):
    """SkipInit and ReZero: each residual branch is multiplied by one learnt number, and that number starts at 0.

    >>> import torch
    >>> from wellbegun import plan
    >>> class Block(torch.nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.layer, self.alpha = torch.nn.Linear(16, 16), torch.nn.Parameter(torch.ones(()))
    ...     def forward(self, x):
    ...         return x + self.alpha * torch.relu(self.layer(x))
    >>> made = plan(torch.nn.Sequential(Block(), Block()), "vector:16", seed=7, recipe="skip_init(base='he')")
    >>> made["1.alpha"].law, made["1.layer.weight"].law
    (Constant(value=0.0), Normal(std=0.35355338))

    Need: residual networks
    Formula: x + alpha·f(x) with alpha = 0; everything else as the base says.
    Use it for: residual networks of hundreds to thousands of branches, and residual networks without normalisation: at
        step 0 the network is its shortcuts, signal and gradient pass through unchanged.
    Not for: networks without such a number: `zero_residual` and `fixup` need none. In the first step only alpha has a
        gradient in a branch, the weights inside follow when alpha has moved.
    Args:
        base: the recipe for everything else.
    Source: De and Smith (2020), "Batch Normalization Biases Residual Blocks Towards the Identity Function in Deep
        Networks", section 4 (SkipInit); Bachlechner et al. (2020), "ReZero is All You Need", equation 1.
    """

    name_only = "skip_init"
    source = "De and Smith (2020), section 4; Bachlechner et al. (2020), equation 1"
    wanted = "learnt number that multiplies them"
    instead = "write x + self.alpha * f(x) with alpha a parameter of one number, or use zero_residual, which needs none"

    def __init__(self, base: str = "auto") -> None:
        super().__init__(base)

    def is_gate(self, graph: Graph, name: str) -> bool:
        """One number."""
        return all(size == 1 for size in graph.shapes[name])

    def change(self, graph: Graph, proposals: Mapping[str, Proposal]) -> dict[str, Proposal]:  # noqa: ARG002
        """Set the numbers to 0."""
        gates = self.gates(graph)
        reason = f"SkipInit, ReZero: the factor of each of {len(gates)} residual branches starts at 0"
        return {name: Proposal(Zeros(), reason, self.source) for name in gates}


class LayerScale(_Gated):
    """LayerScale: a learnt factor for each channel of a residual branch, which starts small.

    >>> import torch
    >>> from wellbegun import plan
    >>> class Block(torch.nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.norm, self.layer = torch.nn.LayerNorm(16), torch.nn.Linear(16, 16)
    ...         self.gamma = torch.nn.Parameter(torch.ones(16))
    ...     def forward(self, x):
    ...         return x + self.gamma * torch.relu(self.layer(self.norm(x)))
    >>> model = torch.nn.Sequential(*(Block() for _ in range(20)))
    >>> plan(model, "vector:16", seed=7, recipe="layer_scale")["3.gamma"].law
    Constant(value=1e-05)

    Need: residual networks
    Formula: x + diag(gamma)·f(norm(x)), gamma = 0.1 for networks of up to 18 layers, 1e-5 for up to 24, 1e-6 for more;
        a layer is one attention with its feed-forward branch, or one branch where there is no attention.
    Use it for: deep vision transformers and their kin, with the factors that CaiT, DeiT III and ConvNeXt have.
    Not for: networks without such factors (an error that names the branches). Without normalisation inside of the
        branches use `skip_init` or `fixup`.
    Args:
        value: what gamma starts at; left out: by the number of layers, as published.
        base: the recipe for everything else.
    Source: Touvron et al. (2021), "Going deeper with Image Transformers" (CaiT), section 2.
    """

    name_only = "layer_scale"
    source = "Touvron et al. (2021), CaiT, section 2"
    wanted = "learnt factor for each channel"
    instead = "add a parameter gamma of the width, x + self.gamma * f(x), or use zero_residual, which needs none"

    def __init__(self, value: float | None = None, base: str = "auto") -> None:
        super().__init__(base)
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if value is not None and not (is_number and 0 <= value < 1e3):
            raise ArgumentError(f"layer_scale@1: value must be a number of at least 0, got {value!r}")
        self.value = value

    def is_gate(self, graph: Graph, name: str) -> bool:
        """One number for each channel."""
        return sum(size > 1 for size in graph.shapes[name]) == 1

    def change(self, graph: Graph, proposals: Mapping[str, Proposal]) -> dict[str, Proposal]:  # noqa: ARG002
        """Set the factors."""
        gates = self.gates(graph)
        layers = len(find_attentions(graph)) or len(find_branches(graph))
        published = 0.1 if layers <= 18 else 1e-5 if layers <= 24 else 1e-6
        value = published if self.value is None else float(self.value)
        why = f"{layers} layers" if self.value is None else f"given; published for {layers} layers: {published:g}"
        reason = f"LayerScale: the factors of a residual branch start at {value:g} ({why})"
        return {name: Proposal(Constant(value), reason, self.source) for name in gates}


def _factors(graph: Graph, branch: Branch) -> list[str]:
    """The parameters that multiply what a branch ends with, element by element."""
    last = max(branch.ends, default=branch.weights[-1])
    inside = {index for index in branch.steps if index > last}
    return [
        name
        for name, uses in graph.uses.items()
        if any(use.role in ("multiplied", "scalar gate") and use.operation in inside for use in uses)
    ]
