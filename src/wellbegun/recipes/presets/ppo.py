"""Policy-gradient networks: orthogonal everywhere, a policy head that starts almost even."""

from __future__ import annotations

import fnmatch
import math
from collections.abc import Sequence

from wellbegun.errors import ArgumentError, PlanError, closest_names, join_names
from wellbegun.graph.graph import Graph
from wellbegun.laws import Orthogonal
from wellbegun.recipes.entries import uses_of
from wellbegun.recipes.presets.preset import GATES, WEIGHTS, Line, Preset, Site, zero_biases
from wellbegun.recipes.proposal import Proposal

_GAINS = {"policy": 0.01, "value": 1.0}


class Ppo(Preset):
    """PPO's starting weights: orthogonal, gain sqrt(2) inside, 0.01 at the policy head, 1 at the value head.

    >>> import torch
    >>> from wellbegun import plan
    >>> class Agent(torch.nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.body, self.pi, self.v = torch.nn.Linear(8, 64), torch.nn.Linear(64, 4), torch.nn.Linear(64, 1)
    ...     def forward(self, x):
    ...         h = torch.tanh(self.body(x))
    ...         return self.pi(h), self.v(h)
    >>> made = plan(Agent(), "vector:8", seed=7, recipe="ppo(policy='pi', value='v')")
    >>> made["pi.weight"].law, made["v.weight"].law
    (Orthogonal(gain=0.01), Orthogonal(gain=1.0))

    Need: outputs, policies, routers and experts
    Formula: W = gain·Q with Q orthogonal: gain sqrt(2) for hidden layers, 0.01 for the policy head, so that every
        action is about equally likely at first, 1 for the value head and for recurrent layers; biases 0.
    Use it for: PPO, A2C and their kin. Each head that is named must be one weight; a name that matches none or
        several, and a weight that is named twice, is an error.
    Not for: off-policy methods such as DDPG, whose heads start at U(±0.003).
    Args:
        policy: name of the policy head: the layer, its weight, or a glob that matches one weight; a list for several.
        value: name of the value head or heads; may be left out where the value network is a model of its own.
    Source: Andrychowicz et al. (2021), "What Matters In On-Policy Reinforcement Learning", section 3.2; CleanRL's and
        OpenAI baselines' PPO (sqrt(2), 0.01, 1).
    """

    name_only = "ppo"
    source = "Andrychowicz et al. (2021), section 3.2; OpenAI baselines, CleanRL"
    code = "(policy='pi', value='v')"

    def __init__(self, policy: str | Sequence[str], value: str | Sequence[str] = ()) -> None:
        super().__init__()
        self._named = {"policy": _names("policy", policy), "value": _names("value", value)}
        if not self._named["policy"]:
            raise ArgumentError("ppo@1: policy must name the policy head, for example ppo(policy='actor.4')")

    def prepare(self, graph: Graph) -> None:
        """Find the heads, each exactly once."""
        weights = [v.name for v in graph.variables if Site(graph, v, uses_of(graph, v.name)).role in WEIGHTS]
        self._heads: dict[str, str] = {}
        for kind, names in self._named.items():
            for name in names:
                hits = [weight for weight in weights if _is_named(weight, name)]
                if len(hits) != 1:
                    raise PlanError(_wrong(kind, name, hits, weights))
                if hits[0] in self._heads:
                    raise PlanError(f"ppo@1: {hits[0]} is named twice, as {self._heads[hits[0]]} and as {kind} head")
                self._heads[hits[0]] = kind

    def lines(self) -> tuple[Line, ...]:
        """Hidden layers."""
        return (
            Line(WEIGHTS, Orthogonal(math.sqrt(2)), "PPO's hidden layers: orthogonal, gain sqrt(2)"),
            Line(GATES, Orthogonal(), "PPO's recurrent layers: orthogonal, gain 1"),
            zero_biases(),
        )

    def special(self, site: Site) -> Proposal | None:
        """The heads."""
        kind = self._heads.get(site.variable.name)
        if kind is None:
            return None
        effect = "so that all actions are about equally likely" if kind == "policy" else "values of second moment 1"
        reason = f"PPO's {kind} head: orthogonal, gain {_GAINS[kind]:g}, {effect}"
        return Proposal(Orthogonal(_GAINS[kind]), reason, self.source)


def _names(what: str, given: object) -> tuple[str, ...]:
    names = (given,) if isinstance(given, str) else given
    if not isinstance(names, (list, tuple)) or not all(isinstance(name, str) and name for name in names):
        raise ArgumentError(f"ppo@1: {what} must be the name of a layer or a list of names, got {given!r}")
    return tuple(names)


def _is_named(weight: str, name: str) -> bool:
    return fnmatch.fnmatchcase(weight, name) or fnmatch.fnmatchcase(weight, f"{name}.weight")


def _wrong(kind: str, name: str, hits: list[str], weights: list[str]) -> str:
    if hits:
        return f"ppo@1: the {kind} head {name!r} must be one weight, and matches {len(hits)}: {', '.join(hits)}"
    near = closest_names(name, [weight.removesuffix(".weight") for weight in weights])
    offer = f"; did you mean {join_names(near)}?" if near else ""
    return f"ppo@1: no weight is called {name!r}, which shall be the {kind} head{offer}"
