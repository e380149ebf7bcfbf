"""Switch Transformers' small weights, and routers that start even."""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence

from wellbegun.errors import ArgumentError, PlanError
from wellbegun.graph.graph import Graph
from wellbegun.laws import Normal, VarianceScaling, Zeros
from wellbegun.recipes.entries import uses_of
from wellbegun.recipes.presets.analytic import positive_number
from wellbegun.recipes.presets.preset import WEIGHTS, Line, Preset, Site, zero_biases
from wellbegun.recipes.proposal import Proposal


class Switch(Preset):
    """Switch Transformers' start: a tenth of the usual variance in every matrix and expert; routers may start at 0.

    >>> import torch
    >>> from wellbegun import plan
    >>> model = torch.nn.Sequential(torch.nn.Linear(1000, 64), torch.nn.ReLU(), torch.nn.Linear(64, 8))
    >>> plan(model, seed=7, recipe="switch(zero_routers='2')")["2.weight"].law
    Constant(value=0.0)

    Need: outputs, policies, routers and experts
    Formula: W from a normal cut at ±2 sigma, of standard deviation sqrt(variance/fan_in); each expert by its own fans
        and its own numbers; look-up tables N(0, 1); biases 0. Routers that are named: 0, so that every expert is
        equally likely for every token at first.
    Use it for: pre-norm transformers with experts, whose training is unstable at variance 1.
    Not for: networks without normalisation, where a tenth of the variance is lost in every layer. With ties in all its
        logits a router of 0 needs noise, or a rule for ties, to use more than the first expert.
    Parts: any part is drawn alone.
    Args:
        variance: numerator of the variance, above 0: 1 in T5, 0.1 in Switch Transformers.
        zero_routers: name of the routers, a glob, or a list of them, that shall start at 0; each must match a weight.
    Source: Fedus, Zoph and Shazeer (2022), "Switch Transformers", section 2.4 (s = 0.1).
    """

    name_only = "switch"
    source = "Fedus, Zoph and Shazeer (2022), section 2.4"

    def __init__(self, variance: float = 0.1, zero_routers: str | Sequence[str] = ()) -> None:
        super().__init__()
        self.variance = positive_number("switch@1", "variance", variance)
        names = (zero_routers,) if isinstance(zero_routers, str) else tuple(zero_routers)
        if not all(isinstance(name, str) and name for name in names):
            raise ArgumentError(f"switch@1: zero_routers must be names or globs of layers, got {zero_routers!r}")
        self.zero_routers = names

    def prepare(self, graph: Graph) -> None:
        """Find the routers."""
        weights = [v.name for v in graph.variables if Site(graph, v, uses_of(graph, v.name)).role in WEIGHTS]
        self._routers: set[str] = set()
        for name in self.zero_routers:
            hits = {w for w in weights if fnmatch.fnmatchcase(w, name) or fnmatch.fnmatchcase(w, f"{name}.weight")}
            if not hits:
                raise PlanError(f"switch@1: no weight is called {name!r}, which shall be a router; weights: {weights}")
            self._routers |= hits

    def lines(self) -> tuple[Line, ...]:
        """All matrices alike."""
        rule = VarianceScaling(self.variance, "fan_in", "truncated_normal")
        reason = f"Switch's small weights: variance {self.variance:g}/fan_in, cut at ±2 sigma"
        return (
            Line(WEIGHTS, rule, reason),
            Line(("embedding weight",), Normal(1.0), "look-up tables N(0, 1), as in T5"),
            zero_biases(),
        )

    def special(self, site: Site) -> Proposal | None:
        """The routers."""
        if site.variable.name not in self._routers:
            return None
        return Proposal(Zeros(), "a router of 0: every expert is equally likely for every token at first", self.source)
