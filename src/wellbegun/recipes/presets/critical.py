"""Critical points as methods: with independent biases, stable ones only, and with the mean taken out."""

from __future__ import annotations

import math
from functools import lru_cache

from wellbegun.errors import PlanError
from wellbegun.graph.graph import Operation
from wellbegun.laws import MeanCompensation, Normal
from wellbegun.recipes.chain import Chain
from wellbegun.recipes.fixed import ZERO_BIAS
from wellbegun.recipes.layers import Layers
from wellbegun.recipes.origin import origin
from wellbegun.recipes.presets.analytic import Analytic, activation_behind, positive_number
from wellbegun.recipes.proposal import Proposal
from wellbegun.recipes.signal import Feed
from wellbegun.theory import Activation, CriticalPoint, critical, mean_compensated, moments


class Critical(Analytic):
    """A critical point: weights that keep the gradient, and random biases that hold the signal there.

    >>> import torch
    >>> from wellbegun import plan
    >>> layers = [torch.nn.Linear(100, 100), torch.nn.Tanh(), torch.nn.Linear(100, 100), torch.nn.Tanh()]
    >>> model = torch.nn.Sequential(*layers, torch.nn.Linear(100, 10))
    >>> made = plan(model, "vector:100", seed=7, recipe="critical(q=1)")
    >>> made["2.weight"].law, made["2.bias"].law
    (Normal(std=0.14674136), Normal(std=0.38854167))

    Need: deep networks without normalisation
    Formula: behind an activation f: Var(W) = 1/(fan_in·E f'²), b ~ N(0, q - E f²/E f'²), z ~ N(0, q); the first layer
        brings the data there, Var(W) = (q - Var b)/(fan_in·E x²); the output layer has the same weights and bias 0.
    Use it for: deep plain networks, at a q of your choice: a small one is nearly linear, a large one is not.
    Not for: softplus and sigmoid, which have no such point (an error says so; use mean_compensated), layers without
        biases where the point needs some, networks of several activations, residual networks. It takes unstable points
        too (GELU below q = 3.56): stable_critical refuses them.
    Parts: as the distribution allows: any part alone, but orthogonal weights are drawn whole.
    Args:
        q: second moment of the pre-activations, above 0.
        distribution: "normal", "uniform", "truncated_normal" or "orthogonal".
    Source: Schoenholz, Gilmer, Ganguli and Sohl-Dickstein (2017), "Deep Information Propagation", eq. 6; Pennington,
        Schoenholz and Ganguli (2017) for orthogonal weights.
    """

    name_only = "critical"
    source = "Schoenholz et al. (2017), eq. 6"

    def __init__(self, q: float = 1.0, distribution: str = "normal") -> None:
        super().__init__(distribution)
        self.q: float | None = positive_number(f"{self.name_only}@1", "q", q)

    def point(self, activation: Activation) -> CriticalPoint:
        """Return the critical point of an activation."""
        return critical(activation, q=self.q, stable=False)

    def layer(self, layers: Layers, operation: Operation, feed: Feed, chain: Chain) -> dict[str, Proposal]:
        """Behind an activation by its critical point; elsewhere what brings the signal to the next one's."""
        behind = activation_behind(operation, chain)
        if feed.activation and behind not in ("", feed.activation):
            raise PlanError(
                f"{self.name}: {operation.weight} stands between {feed.activation} and {behind}, and a critical point "
                "is that of one activation; use gain_forward or auto"
            )
        name = feed.activation or behind
        if not name:
            return self._linear(layers, operation, feed)
        point = _point(self, layers.activation(name))
        std = math.sqrt(point.bias_variance) if behind else 0.0
        if std and not layers.biases(operation):
            raise PlanError(
                f"{self.name}: {operation.weight} has no bias, and the critical point of {name} at q = {point.q:.4g} "
                f"needs biases of standard deviation {std:.4g}; give the layer a bias, or use gain_forward"
            )
        if not feed.activation:
            variance, before, after = (point.q - point.bias_variance) / feed.second_moment, feed.second_moment, point.q
            reason = f"{origin(feed)}; brings it to the critical point of {name}, second moment {point.q:.4g}"
        else:
            at = moments(layers.activation(name), point.q)
            carried = at.variance if point.mean_compensated else at.second
            variance, before = point.weight_variance, at.second
            after = variance * carried + std**2
            kind = "a stable" if point.stable else "an unstable"
            reason = (
                f"fed by {name} at {kind} critical point, second moment {point.q:.4g}: variance 1/E f'² = "
                f"{variance:.4g} keeps the gradient, a small deviation of the signal grows {point.length_slope:.4g} "
                "times a layer"
            )
        made = {
            operation.weight: Proposal(self.weights(layers, operation, variance), reason, self.source, before, after)
        }
        for bias in layers.biases(operation):
            made[bias] = self.bias(layers, operation, point, std, bool(feed.activation))
        return made

    def bias(self, layers: Layers, operation: Operation, point: CriticalPoint, std: float, fed: bool) -> Proposal:  # noqa: ARG002
        """Return what a bias holds."""
        if not std:
            return ZERO_BIAS
        why = f"biases of std {std:.4g} hold the signal of {point.activation} at second moment {point.q:.4g}"
        return Proposal(Normal(std), why, self.source)

    def _linear(self, layers: Layers, operation: Operation, feed: Feed) -> dict[str, Proposal]:
        reason = f"{origin(feed)}; no activation on either side, so it keeps the second moment at 1"
        rule = self.weights(layers, operation, 1 / feed.second_moment)
        return {operation.weight: Proposal(rule, reason, self.source, feed.second_moment, 1.0)}


class StableCritical(Critical):
    """The stable critical point: signals that are too large or too small return to it by themselves.

    >>> import torch
    >>> from wellbegun import plan
    >>> layers = [torch.nn.Linear(64, 64), torch.nn.GELU(), torch.nn.Linear(64, 64), torch.nn.GELU()]
    >>> model = torch.nn.Sequential(*layers, torch.nn.Linear(64, 10))
    >>> made = plan(model, "vector:64", seed=7, recipe="stable_critical(q=4)")
    >>> made["2.weight"].law, made["2.bias"].law
    (Normal(std=0.17571771), Normal(std=0.43171158))

    Need: deep networks without normalisation
    Formula: that of critical, at q = 1 where chi_q = d q'/d q <= 1 there, else at 1.1 times the smallest q where it is:
        GELU from q = (3 + sqrt(17))/2 = 3.56 on, Mish 1.67, hardswish 4.80, SiLU 14.3.
    Use it for: deep plain networks of GELU, SiLU, Mish, tanh, ELU, and of ReLU, where it is He's rule.
    Not for: softplus and sigmoid, which have no critical point with random biases: use mean_compensated. Layers without
        biases, networks of several activations, residual networks.
    Parts: as the distribution allows: any part alone, but orthogonal weights are drawn whole.
    Evidence: 60 layers of GELU on digits, four seeds: 85 to 88% at q = 4 where He's rule and the forward gain stay at 8
        to 10% (wellbegun's pilot).
    Args:
        q: second moment of the pre-activations; left out: the smallest stable one as above. An unstable q is refused.
        distribution: "normal", "uniform", "truncated_normal" or "orthogonal".
    Source: Schoenholz et al. (2017), eq. 6; Roberts, Yaida and Hanin (2021), "The Principles of Deep Learning Theory",
        chapter 5, for the half-stable points.
    """

    name_only = "stable_critical"
    source = "Schoenholz et al. (2017), eq. 6; Roberts, Yaida and Hanin (2021), chapter 5"

    def __init__(self, q: float | None = None, distribution: str = "normal") -> None:
        super().__init__(1.0 if q is None else q, distribution)
        self.q = None if q is None else self.q

    def point(self, activation: Activation) -> CriticalPoint:
        """Return the critical point of an activation, if it is stable."""
        return critical(activation, q=self.q, stable=True)


class MeanCompensated(Critical):
    """The critical point with the activation's mean taken out: it exists for every activation, sigmoid included.

    >>> import torch
    >>> from wellbegun import plan
    >>> layers = [torch.nn.Linear(64, 64), torch.nn.Sigmoid(), torch.nn.Linear(64, 64), torch.nn.Sigmoid()]
    >>> model = torch.nn.Sequential(*layers, torch.nn.Linear(64, 10))
    >>> made = plan(model, "vector:64", seed=7, recipe="mean_compensated(q=0.2)")
    >>> made["2.bias"].law
    MeanCompensation(weight='2.weight', mean=0.5, std=0.022653619)

    Need: deep networks without normalisation
    Formula: behind an activation f: Var(W) = 1/(fan_in·E f'²), b = -E f·(row sums of W) + N(0, q - Var f/E f'²), so
        that W·f + b = W·(f - E f) + noise at step 0; z ~ N(0, q). The first layer brings the data to q.
    Use it for: deep plain networks of sigmoid, softplus and other functions that are mostly their mean, which have no
        other critical point. It exists at every q because Var f <= q·E f'² (Gaussian Poincaré inequality).
    Not for: convolutions (a bias per channel cannot know what zero padding leaves out), layers without biases: refused.
    Parts: any part of the weights as their distribution allows; a bias needs the values of its layer's weight, which
        each process draws again.
    Args:
        q: second moment of the pre-activations, above 0; sigmoid wants it small.
        distribution: "normal", "uniform", "truncated_normal" or "orthogonal".
    Source: wellbegun's pilot (2026), rules k and l; Chernoff (1981) for the inequality; Schoenholz et al. (2017),
        eq. 6, with Var f in place of E f².
    """

    name_only = "mean_compensated"
    source = "wellbegun's pilot (2026), rules k and l; Schoenholz et al. (2017), eq. 6, with Var f in place of E f²"

    def point(self, activation: Activation) -> CriticalPoint:
        """Return the critical point of an activation whose mean is taken out."""
        assert self.q is not None
        return mean_compensated(activation, q=self.q)

    def bias(self, layers: Layers, operation: Operation, point: CriticalPoint, std: float, fed: bool) -> Proposal:
        """Return what a bias holds: behind an activation also what takes its mean out."""
        if not fed:
            return super().bias(layers, operation, point, std, fed)
        law = MeanCompensation(operation.weight, point.mean, std, layers.use(operation).inputs_first)
        why = f"takes the mean {point.mean:.4g} of {point.activation} out, so that only what varies is passed on"
        return Proposal(law, why, self.source)

    def layer(self, layers: Layers, operation: Operation, feed: Feed, chain: Chain) -> dict[str, Proposal]:
        """As at any critical point, if the layer's bias can take the mean out."""
        if feed.activation and operation.kind != "linear":
            raise PlanError(
                f"{self.name}: {operation.weight} is a {operation.kind}, and a bias can take the mean out of a matrix "
                "product only; use stable_critical or auto"
            )
        made = super().layer(layers, operation, feed, chain)
        if feed.activation and not layers.biases(operation):
            raise PlanError(
                f"{self.name}: {operation.weight} has no bias that could take the mean of {feed.activation} out"
            )
        return made


@lru_cache(maxsize=64)
def _point(rule: Critical, activation: Activation) -> CriticalPoint:
    return rule.point(activation)
