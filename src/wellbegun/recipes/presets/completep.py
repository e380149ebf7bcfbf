"""Width and depth: CompleteP, with the factors of AdamW and of the forward pass."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from wellbegun.errors import ArgumentError
from wellbegun.graph.graph import Graph
from wellbegun.plans import Multiplier
from wellbegun.recipes.factors import forward_factors
from wellbegun.recipes.presets.mup import Mup, agree
from wellbegun.recipes.presets.residual import find_branches
from wellbegun.recipes.presets.width import HIDDEN, OUTPUT, ROUTER, find_widths
from wellbegun.recipes.proposal import Proposal
from wellbegun.recipes.streams import Stream, find_streams


class CompleteP(Mup):
    """CompleteP: muP for the depth too, so that a learning rate holds for wider and deeper transformers.

    >>> import torch
    >>> from wellbegun import plan
    >>> class Block(torch.nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.norm, self.up, self.down = torch.nn.LayerNorm(32), torch.nn.Linear(32, 64), torch.nn.Linear(64, 32)
    ...     def forward(self, x):
    ...         return x + 0.5 * self.down(torch.relu(self.up(self.norm(x))))
    >>> model = torch.nn.Sequential(torch.nn.Linear(8, 32), *(Block() for _ in range(4)), torch.nn.Linear(32, 4))
    >>> made = plan(model, "vector:8", seed=7, recipe="completep(base_width=16, base_branches=2)")
    >>> print(made.multipliers[0])
    what 1.down.weight writes into its residual stream: times 0.5, which the forward pass does
    >>> made["1.up.weight"].training
    (0.5, 2.0, 0.25)

    Need: widths and depths that share learning rates
    Formula: with m = width/base_width and l = branches/base_branches: every residual branch is multiplied by
        l^(-alpha); hidden weights N(0, std²/m), AdamW's learning rate times l^(alpha - 1)/m, weight decay times m,
        epsilon times l^(-alpha)/m; biases and normalisation inside of branches: rate l^(alpha - 1), epsilon
        l^(-alpha)/m; all else N(0, std²), rate 1, epsilon 1/m; logits times 1/m. Residual writers are not scaled by
        the depth at the start: the multiplier does that.
    Use it for: pre-norm transformers trained with AdamW, tuned small and then made wider and deeper.
    Not for: post-norm networks (an error), or without the branch multiplier, which weights cannot stand for: `apply`
        warns where the forward pass does not have it. Transformers' Granite takes it as residual_multiplier.
    Args:
        base_width: width of the network that was tuned.
        base_branches: its number of residual branches: two for each layer of a transformer.
        alpha: 1 (CompleteP), or from 0.5 on.
        std: standard deviation of the weights at the base width.
        base_head, zero_readout, width: as for `mup`.
    Source: Dey et al. (2025), "Don't be lazy: CompleteP enables compute-efficient deep transformers", and the code
        published beside it (EleutherAI/nanoGPT-mup), which the factors follow. An output layer that the forward pass
        does not multiply by 1/m has the same in weights: N(0, std²/m²), rate 1/m, decay m, epsilon 1.
    """

    name_only = "completep"
    source = "Dey et al. (2025), CompleteP, and the code published beside it"
    code = "(base_width=64, base_branches=4)"

    def __init__(
        self,
        base_width: int,
        base_branches: int,
        alpha: float = 1.0,
        std: float = 0.02,
        base_head: int | None = None,
        zero_readout: bool = False,
        width: int | None = None,
    ) -> None:
        super().__init__(base_width, f"llama(std={std!r})", "adam", base_head, zero_readout, width)
        if not (type(base_branches) is int and base_branches > 0):
            raise ArgumentError(f"completep@1: base_branches must be a whole number above 0, got {base_branches!r}")
        if isinstance(alpha, bool) or not isinstance(alpha, (int, float)) or not 0.5 <= alpha <= 1:
            raise ArgumentError(f"completep@1: alpha must be a number from 0.5 to 1, got {alpha!r}")
        self.base_branches, self.alpha = base_branches, float(alpha)

    def change(self, graph: Graph, proposals: Mapping[str, Proposal]) -> dict[str, Proposal]:
        """Add what the depth does, and AdamW's other numbers."""
        streams = self._streams(graph)
        widths = find_widths(graph)
        width, factors = self._times(widths), forward_factors(graph)
        depth = max(stream.count for stream in streams) / self.base_branches
        made = super().change(graph, proposals)
        inside = {index for branch in find_branches(graph) for index in branch.steps}
        for variable in graph.variables:
            name, uses = variable.name, graph.uses.get(variable.name, ())
            given = made.get(name) or proposals.get(name)
            if variable.kind != "parameter" or given is None or not uses:
                continue
            deep = all(use.operation in inside for use in uses)
            kind = widths.kinds.get(name, "")
            rate = given.lr_factor * (depth ** (self.alpha - 1) if deep else 1.0)
            decay = width if kind in (HIDDEN, OUTPUT, ROUTER) and given.lr_factor != 1 else 1.0
            epsilon = depth**-self.alpha / width if deep else 1 / width
            if kind == OUTPUT and not agree(factors.get(("output", name)), 1 / width):
                epsilon = 1.0
            said = f"{given.reason}; completep: learning rate ×{rate:.4g}, decay ×{decay:.4g}, epsilon ×{epsilon:.4g}"
            made[name] = replace(given, reason=said, lr_factor=rate, decay_factor=decay, eps_factor=epsilon)
        return made

    def multipliers(self, graph: Graph) -> tuple[Multiplier, ...]:
        """Those of the width, and one for each residual branch."""
        factors, made = forward_factors(graph), {}
        for stream in self._streams(graph):
            value = (stream.count / self.base_branches) ** -self.alpha
            reason = f"({stream.count}/{self.base_branches})^-{self.alpha:g} for {stream.count} residual branches"
            for write in stream.writes:
                for index in write.writers:
                    name = graph.operations[index].weight
                    made[name] = self._multiplier(factors, "residual branch", name, value, reason)
        return (*super().multipliers(graph), *made.values())

    def _streams(self, graph: Graph) -> list[Stream]:
        streams = [stream for stream in find_streams(graph) if stream.count > 1]
        if not streams:
            post = any(
                step.kind == "norm" for stream in find_streams(graph) for step in graph.consumers(stream.writes[-1].add)
            )
            instead = "each branch is followed by a normalisation (post-norm): use deepnorm" if post else "use mup"
            raise self.fails(f"this model has no residual stream of several branches; {instead}")
        return streams
