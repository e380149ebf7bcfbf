"""Published rules for whole transformers, by what each weight does: queries and keys, values, writers, the rest."""

from __future__ import annotations

import math

from wellbegun.errors import PlanError
from wellbegun.graph.graph import Graph
from wellbegun.laws import Normal, TruncatedNormal
from wellbegun.recipes.attention import find_attentions
from wellbegun.recipes.presets.preset import GATES, TABLES, WEIGHTS, Line, Preset, Site, zero_biases
from wellbegun.recipes.proposal import Proposal
from wellbegun.recipes.streams import find_streams, residual_writers


class SmallInit(Preset):
    """Small weights for pre-norm transformers without warm-up: N(0, 2/(5d)), and 2/(L·sqrt(d)) for residual writers.

    >>> import torch
    >>> from wellbegun import plan
    >>> class Block(torch.nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.norm, self.up, self.down = torch.nn.LayerNorm(40), torch.nn.Linear(40, 80), torch.nn.Linear(80, 40)
    ...     def forward(self, x):
    ...         return x + self.down(torch.relu(self.up(self.norm(x))))
    >>> model = torch.nn.Sequential(*(Block() for _ in range(8)))
    >>> made = plan(model, "vector:40", seed=7, recipe="small_init")
    >>> made["0.up.weight"].law, made["0.down.weight"].law
    (Normal(std=0.1), Normal(std=0.07905694))

    Need: transformers
    Formula: weights and tables N(0, 2/(5d)), the variance of Xavier's rule for a (d, 4d) matrix, with d the width of
        the residual stream; with `wang=True` what writes into a stream of L layers has std 2/(L·sqrt(d)); biases 0.
    Use it for: GPT-NeoX and models that follow it; pre-norm transformers trained without warm-up.
    Not for: networks without a residual stream (an error), whose width this rule asks for. L is half the number of
        residual writes, which are two for each layer.
    Args:
        wang: whether writers have Wang's rule; False: they have the same as all others.
    Source: Nguyen and Salazar (2019), "Transformers without Tears", section 2.2; Wang and Komatsuzaki (2021), GPT-J
        (mesh-transformer-jax); both as in EleutherAI's gpt-neox, init_functions.py.
    """

    name_only = "small_init"
    source = "Nguyen and Salazar (2019), section 2.2; Wang and Komatsuzaki (2021), as in gpt-neox"

    def __init__(self, wang: bool = True) -> None:
        super().__init__()
        self.wang = bool(wang)

    def prepare(self, graph: Graph) -> None:
        """Find the stream's width and its writers."""
        streams = find_streams(graph)
        if not streams:
            raise PlanError("small_init@1: this model has no residual stream, whose width the rule asks for")
        stream = max(streams, key=lambda one: one.count)
        self._width = graph.operations[stream.writes[0].add].shape[-1]
        self._writers = residual_writers(graph) if self.wang else {}

    def lines(self) -> tuple[Line, ...]:
        """One scale for all that does not write."""
        said = f"small init: N(0, 2/(5·{self._width}))"
        return (Line((*WEIGHTS, *TABLES, *GATES), Normal(math.sqrt(2 / (5 * self._width))), said), zero_biases())

    def special(self, site: Site) -> Proposal | None:
        """Writers by the number of layers."""
        writes = self._writers.get(site.variable.name)
        if not writes or site.role not in WEIGHTS:
            return None
        layers = max(writes / 2, 1.0)
        reason = f"Wang's 2/({layers:g}·sqrt({self._width})): one of {writes} writes, two for each layer"
        return Proposal(Normal(2 / (layers * math.sqrt(self._width))), reason, self.source)


class Mitchell(Preset):
    """OLMo's "mitchell" weights: a normal law of 1/sqrt(fan_in) cut at three sigma, and less for later layers' writers.

    >>> import torch
    >>> from wellbegun import plan
    >>> class Block(torch.nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.norm, self.up, self.down = torch.nn.LayerNorm(16), torch.nn.Linear(16, 64), torch.nn.Linear(64, 16)
    ...     def forward(self, x):
    ...         return x + self.down(torch.relu(self.up(self.norm(x))))
    >>> made = plan(torch.nn.Sequential(Block(), Block()), "vector:16", seed=7, recipe="mitchell")
    >>> made["0.up.weight"].law, made["1.down.weight"].law.std
    (TruncatedNormal(std=0.25, low=-3.0, high=3.0, match_std=False), 0.0625)

    Need: transformers
    Formula: N(0, 1/fan_in) cut at ±3 sigma, not corrected for the cut (std 0.98658 of that); what writes into the
        residual stream in layer l = 0, 1, ... N(0, 1/(2·fan_in·(l + 1))); tables N(0, 1/d); biases 0.
    Use it for: OLMo, ModernBERT and models that follow them.
    Not for: post-norm networks. A layer is counted as two writes if the model has attention, else as one.
    Source: OLMo's published code, initialization.py and model.py (attn_out, ff_out).
    """

    name_only = "mitchell"
    source = "OLMo, the published code (initialization.py, model.py)"

    def prepare(self, graph: Graph) -> None:
        """Number the writers by their layer."""
        each = 2 if find_attentions(graph) else 1
        self._layer: dict[str, int] = {}
        for stream in find_streams(graph):
            for position, write in enumerate(stream.writes):
                for index in write.writers:
                    self._layer.setdefault(graph.operations[index].weight, position // each)

    def special(self, site: Site) -> Proposal | None:
        """By fan_in; tables by their width."""
        role = site.role
        if role in WEIGHTS and site.fans is not None:
            size, layer = site.fans.fan_in, self._layer.get(site.variable.name)
        elif role in TABLES and site.variable.shape:
            size, layer = float(site.variable.shape[-1]), None
        else:
            return None
        std = size**-0.5 / (1.0 if layer is None else math.sqrt(2 * (layer + 1)))
        said = f"mitchell: 1/sqrt({size:g})" if layer is None else f"mitchell: 1/sqrt(2·{size:g}·{layer + 1})"
        reason = f"{said}, cut at three sigma" + ("" if layer is None else f"; it writes in layer {layer}")
        return Proposal(TruncatedNormal(std, -3.0, 3.0, match_std=False), reason, self.source)

    def lines(self) -> tuple[Line, ...]:
        """Biases."""
        return (zero_biases(),)
