"""Rules from an activation's moments, layer by layer: what they share, and the forward and the backward gain."""

from __future__ import annotations

import math
from collections.abc import Mapping

from wellbegun.authors import Authorship
from wellbegun.errors import ArgumentError, PlanError, TheoryError
from wellbegun.graph.graph import Graph, Operation
from wellbegun.laws import DeltaOrthogonal, Initializer, Normal, ScaledOrthogonal, VarianceScaling
from wellbegun.laws.scaled import DISTRIBUTIONS
from wellbegun.recipes import recurrent
from wellbegun.recipes.chain import Chain, find_chains
from wellbegun.recipes.fixed import ZERO_BIAS, fixed_proposals
from wellbegun.recipes.held import element_second_moment
from wellbegun.recipes.layers import Layers
from wellbegun.recipes.origin import origin
from wellbegun.recipes.presets.preset import Preset
from wellbegun.recipes.proposal import Proposal
from wellbegun.recipes.signal import Feed, Signals
from wellbegun.recipes.special import special_proposals
from wellbegun.theory import gain

_TABLE = Proposal(Normal(1.0), "a look-up table: rows of second moment 1", "", None, 1.0)


class Analytic(Preset):
    """One walk through the graph in the order of execution, each layer from what really flows into it."""

    def __init__(self, distribution: str = "normal") -> None:
        super().__init__()
        allowed = (*DISTRIBUTIONS, "orthogonal")
        if distribution not in allowed:
            raise ArgumentError(f"{self.name_only}@1: distribution must be one of {allowed}, got {distribution!r}")
        self.distribution = distribution

    def layer(self, layers: Layers, operation: Operation, feed: Feed, chain: Chain) -> dict[str, Proposal]:
        """Return proposals for the weight of one layer, with `before` and `after`, and for its biases."""
        raise NotImplementedError

    def propose(self, graph: Graph, known: Mapping[str, Authorship] | None = None) -> dict[str, Proposal]:
        """Return proposals for every weight in order; recurrent layers and the rest as `auto` has them."""
        proposals = fixed_proposals(graph, known) | recurrent.propose(graph) | special_proposals(graph, known or {})
        for name, uses in graph.uses.items():
            if all(use.role == "bias" for use in uses):
                proposals[name] = ZERO_BIAS
        layers, signals = Layers(graph), Signals(graph)
        chains = {operation.index: chain for chain in find_chains(graph) for operation in chain.operations}
        for operation in graph.operations:
            reached = 1.0
            if operation.kind == "embedding" and operation.weight:
                size = element_second_moment(proposals.setdefault(operation.weight, _TABLE))
                reached = 1.0 if size is None else size
            elif operation.weight and layers.has_fans(operation):
                feed = signals.feed(operation)
                if operation.weight not in proposals:
                    try:
                        proposals |= self.layer(layers, operation, feed, chains[operation.index])
                    except TheoryError as error:
                        raise PlanError(f"{self.name}: {operation.weight}: {error}") from None
                made = proposals[operation.weight]
                if made.before and made.after is not None:
                    reached = made.after * feed.second_moment / made.before
            signals.follow(operation, reached, proposals)
        return proposals

    def weights(self, layers: Layers, operation: Operation, variance: float) -> Initializer:
        """Return the initializer of a weight with fan_in·Var(W) = variance, in the distribution that was asked for."""
        variance /= layers.use(operation).factor ** 2
        if self.distribution != "orthogonal":
            return VarianceScaling(variance, "fan_in", self.distribution)
        if operation.kind == "linear":
            return ScaledOrthogonal(math.sqrt(variance))
        shape = layers.graph.shapes[operation.weight]
        if operation.kind != "convolution" or len(shape) < 3 or shape[0] < shape[1]:
            raise PlanError(
                f"{self.name}: {operation.weight} {list(shape)} is a {operation.kind} that no orthogonal kernel keeps "
                "lengths in; use distribution='normal'"
            )
        return DeltaOrthogonal(math.sqrt(variance * max(1.0, shape[0] / shape[1])))


def activation_behind(operation: Operation, chain: Chain) -> str:
    """Name of the activation behind a weight operation, "" if there is none."""
    return chain.activations[chain.operations.index(operation)]


def positive_number(recipe: str, name: str, value: object) -> float:
    """Return a number above 0 that a recipe was given."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < math.inf:
        raise ArgumentError(f"{recipe}: {name} must be a finite number above 0, got {value!r}")
    return float(value)


class GainForward(Analytic):
    """Forward gains: every layer gives back the second moment that what feeds it has lost.

    >>> import torch
    >>> from wellbegun import plan
    >>> model = torch.nn.Sequential(torch.nn.Linear(64, 64), torch.nn.Tanh(), torch.nn.Linear(64, 10))
    >>> made = plan(model, "vector:64", seed=7, recipe="gain_forward")
    >>> made["0.weight"].law, made["2.weight"].law
    (Normal(std=0.125), Normal(std=0.19906718))

    Need: deep networks without normalisation
    Formula: Var(W) = q/(fan_in·E x²), with E x² the second moment of what flows in: of the data, or E f(z)²,
        z ~ N(0, q), behind an activation f; biases 0.
    Use it for: He's rule for any activation, and the right one for the first layer; networks of a few layers.
    Not for: GELU, SiLU, Mish and hardswish in depth: the second moment is a fixed point that small deviations grow away
        from (d ln q'/d ln q is 1.14 for GELU). Functions with E f = 0 (tanh): the gradient grows, 1.18 a layer squared
        for tanh.
    Parts: as the distribution allows: any part alone, but orthogonal weights are drawn whole.
    Args:
        q: second moment of every pre-activation, above 0.
        distribution: "normal", "uniform", "truncated_normal" or "orthogonal".
    Source: He et al. (2015), section 2.2, with E f² by quadrature.
    """

    name_only = "gain_forward"
    source = "He et al. (2015), section 2.2, with E f² by quadrature"

    def __init__(self, q: float = 1.0, distribution: str = "normal") -> None:
        super().__init__(distribution)
        self.q = positive_number("gain_forward@1", "q", q)

    def layer(self, layers: Layers, operation: Operation, feed: Feed, chain: Chain) -> dict[str, Proposal]:  # noqa: ARG002
        """The same rule everywhere."""
        variance = self.q / feed.second_moment
        reason = f"{origin(feed)}; forward gain {math.sqrt(variance):.4g} makes the second moment {self.q:g}"
        rule = self.weights(layers, operation, variance)
        return {operation.weight: Proposal(rule, reason, self.source, feed.second_moment, self.q)}


class GainBackward(Analytic):
    """Backward gains: the gradient keeps its size from layer to layer, whatever the signal does.

    >>> import torch
    >>> from wellbegun import plan
    >>> model = torch.nn.Sequential(torch.nn.Linear(64, 64), torch.nn.Tanh(), torch.nn.Linear(64, 16))
    >>> plan(model, "vector:64", seed=7, recipe="gain_backward")["2.weight"].law
    Normal(std=0.3668534)

    Need: deep networks without normalisation
    Formula: Var(W) = 1/(fan_out·E f'(z)²), z ~ N(0, q), for a layer fed by the activation f; a layer that no activation
        feeds (the first one) gets q/(fan_in·E x²); biases 0.
    Use it for: seeing what the gradient alone asks for; together with gain_forward it brackets a compromise.
    Not for: networks of changing width, where the signal then grows or shrinks by the ratio of widths, and functions
        whose signal drifts away from q: softplus and sigmoid lose their gradients' balance as soon as it has.
    Parts: as the distribution allows: any part alone, but orthogonal weights are drawn whole.
    Args:
        q: second moment of the pre-activations at which E f'² is taken, above 0.
        distribution: "normal", "uniform", "truncated_normal" or "orthogonal".
    Source: He et al. (2015), eq. 14, with E f'² by quadrature.
    """

    name_only = "gain_backward"
    source = "He et al. (2015), eq. 14, with E f'² by quadrature"

    def __init__(self, q: float = 1.0, distribution: str = "normal") -> None:
        super().__init__(distribution)
        self.q = positive_number("gain_backward@1", "q", q)

    def layer(self, layers: Layers, operation: Operation, feed: Feed, chain: Chain) -> dict[str, Proposal]:  # noqa: ARG002
        """By the derivative of what feeds the layer."""
        if not feed.activation:
            variance = self.q / feed.second_moment
            reason = f"{origin(feed)}; no activation feeds it, so it makes the second moment {self.q:g}"
        else:
            fans, square = (
                layers.fans(operation),
                gain(layers.activation(feed.activation), kind="backward", variance=self.q),
            )
            variance = square**2 * fans.fan_in / fans.fan_out
            reason = (
                f"{origin(feed)}; backward gain {square:.4g}: variance {square**2:.4g}/fan_out, so that the gradient "
                "keeps its size"
            )
        rule = self.weights(layers, operation, variance)
        return {
            operation.weight: Proposal(rule, reason, self.source, feed.second_moment, variance * feed.second_moment)
        }
