"""AutoInit: mean and variance through the graph, by the formulas of the paper."""

from __future__ import annotations

import math
from collections.abc import Mapping

from wellbegun.authors import Authorship
from wellbegun.errors import ArgumentError
from wellbegun.graph.graph import WEIGHT_KINDS, Graph, Operation
from wellbegun.laws import Normal, VarianceScaling
from wellbegun.laws.scaled import DISTRIBUTIONS
from wellbegun.recipes import recurrent
from wellbegun.recipes.behind import behind_activation, largest_of
from wellbegun.recipes.fixed import ZERO_BIAS, fixed_proposals
from wellbegun.recipes.layers import Layers
from wellbegun.recipes.presets.preset import Preset
from wellbegun.recipes.proposal import Proposal
from wellbegun.recipes.special import special_proposals

Pair = tuple[float, float]
"""Mean and variance."""


class AutoInit(Preset):
    """AutoInit: mean and variance are followed through the graph, and each layer's weights bring them back to 0 and 1.

    >>> import torch
    >>> from wellbegun import plan
    >>> model = torch.nn.Sequential(torch.nn.Linear(64, 128), torch.nn.ReLU(), torch.nn.Linear(128, 10))
    >>> plan(model, "vector:64", seed=7, recipe="autoinit")["2.weight"].law
    Normal(std=0.125)

    Need: one choice for any network
    Formula: Var(W) = 1/(fan_in·(ν + μ²)) with mean μ and variance ν of what flows in, biases 0. Behind a layer (0, 1);
        behind an activation the moments of f(N(μ, ν)); normalisation (0, 1); sum: means and variances added; product:
        Π(ν + μ²) - Πμ²; pooling of k places: ν/k, or the largest of k; concatenation: moments averaged by size.
    Use it for: what a rule that asks for the forward signal alone makes of any graph; comparing with auto, which also
        looks at stability, depth and shortcuts.
    Not for: GELU, SiLU and Mish in depth, where the point is unstable (see gain_forward). Branches count as
        independent, pooled places too, and dropout as absent; a step that has no formula passes mean and variance on,
        and the reason of the next layer says so.
    Parts: any part is drawn alone.
    Args:
        distribution: "normal", "uniform" or "truncated_normal".
    Source: Bingham and Miikkulainen (2023), "AutoInit: Analytic Signal-Preserving Weight Initialization for Neural
        Networks", and the formulas of its published estimators; maxima of k normal numbers exactly and not by
        Monte Carlo.
    """

    name_only = "autoinit"
    source = "Bingham and Miikkulainen (2023), AutoInit"

    def __init__(self, distribution: str = "normal") -> None:
        super().__init__()
        if distribution not in DISTRIBUTIONS:
            raise ArgumentError(f"autoinit@1: distribution must be one of {DISTRIBUTIONS}, got {distribution!r}")
        self.distribution = distribution

    def propose(self, graph: Graph, known: Mapping[str, Authorship] | None = None) -> dict[str, Proposal]:
        """Return proposals for every weight in the order of execution; recurrent layers as `auto` has them."""
        proposals = fixed_proposals(graph, known) | recurrent.propose(graph) | special_proposals(graph, known or {})
        for name, uses in graph.uses.items():
            if all(use.role == "bias" for use in uses):
                proposals[name] = ZERO_BIAS
        layers, found = Layers(graph), _Propagation(graph)
        for operation in graph.operations:
            if operation.weight and operation.weight not in proposals:
                if operation.kind == "embedding":
                    reason = "a look-up table: rows of mean 0 and variance 1"
                    proposals[operation.weight] = Proposal(Normal(1.0), reason, self.source, None, 1.0)
                elif layers.has_fans(operation) and operation.inputs:
                    mean, variance = found[operation.inputs[0]]
                    second = max(variance + mean**2, 1e-12)
                    doubt = found.doubt(operation.inputs[0])
                    reason = (
                        f"mean {mean:.4g} and variance {variance:.4g} flow in{doubt}: variance 1/(fan_in·{second:.4g}) "
                        "makes them 0 and 1"
                    )
                    factor = layers.use(operation).factor ** 2
                    rule = VarianceScaling(1 / (second * factor), "fan_in", self.distribution)
                    proposals[operation.weight] = Proposal(rule, reason, self.source, second, 1.0)
            found.follow(operation)
        return proposals


class _Propagation:
    """Mean and variance of each operation's result."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._found: dict[int, Pair] = {}
        self._guessed: dict[int, str] = {}

    def __getitem__(self, index: int) -> Pair:
        return self._found.get(index, (0.0, 1.0))

    def doubt(self, index: int) -> str:
        """Say what has no formula on the way to a result, "" if all have one."""
        return f" (with {self._guessed[index]}, passed on as it came)" if index in self._guessed else ""

    def follow(self, operation: Operation) -> None:
        """Work out one operation from those before it."""
        incoming = [self[index] for index in operation.inputs]
        made = self._behind(operation, incoming)
        if made is None:
            made = incoming[0] if incoming else (0.0, 1.0)
            self._guessed[operation.index] = operation.detail or operation.kind
        elif operation.kind not in WEIGHT_KINDS and operation.kind != "norm":
            for index in operation.inputs:
                if index in self._guessed:
                    self._guessed.setdefault(operation.index, self._guessed[index])
        self._found[operation.index] = made

    def _behind(self, operation: Operation, incoming: list[Pair]) -> Pair | None:
        kind = operation.kind
        if kind == "input":
            return 0.0, operation.second_moment or 1.0
        if kind in WEIGHT_KINDS:
            return 0.0, 1.0
        if kind == "norm":
            return 0.0, operation.second_moment or 1.0
        if not incoming:
            return 0.0, 1.0
        mean, variance = incoming[0]
        if kind == "activation":
            at = behind_activation(self._graph, operation.detail, variance + mean**2, mean)
            return at.mean, at.variance
        if kind in ("view", "dropout", "noise"):
            return mean, variance
        if kind == "add" and len(incoming) > 1:
            sign = -1.0 if operation.detail in ("sub", "rsub") else 1.0
            return mean + sign * sum(pair[0] for pair in incoming[1:]), sum(pair[1] for pair in incoming)
        if kind == "multiply" and len(incoming) > 1 and operation.detail != "div":
            second = math.prod(variance + mean**2 for mean, variance in incoming)
            product = math.prod(pair[0] for pair in incoming)
            return product, second - product**2
        if kind == "scale":
            return mean * operation.factor, variance * operation.factor**2
        if kind == "shift":
            by = next((value for key, value in operation.scalars if key != "alpha" and isinstance(value, float)), 0.0)
            return (mean - by if operation.detail == "sub" else mean + by), variance
        if kind == "concat":
            sizes = [max(math.prod(self._graph.operations[index].shape), 1) for index in operation.inputs]
            shares = [size / sum(sizes) for size in sizes]
            joined = sum(share * pair[0] for share, pair in zip(shares, incoming, strict=True))
            second = sum(share * (pair[1] + pair[0] ** 2) for share, pair in zip(shares, incoming, strict=True))
            return joined, second - joined**2
        if kind == "softmax":
            return 1 / max(operation.shape[-1:] or (1,)), 1 / max(operation.shape[-1:] or (1,)) ** 2
        if kind == "pool":
            inner = math.prod(self._graph.operations[operation.inputs[0]].shape)
            places = max(round(inner / max(math.prod(operation.shape), 1)), 1)
            if "max" not in operation.detail:
                return mean, variance / places
            top, spread = largest_of(min(places, 4096))
            return mean + top * math.sqrt(variance), variance * spread
        return None
