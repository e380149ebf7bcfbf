"""Width: the maximal update parametrisation, with the factors of its optimizer and of its forward pass."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

from wellbegun.errors import ArgumentError
from wellbegun.graph.graph import Graph
from wellbegun.laws import Constant, Zeros
from wellbegun.plans import Multiplier
from wellbegun.recipes.attention import find_attentions
from wellbegun.recipes.by_method import ByMethod
from wellbegun.recipes.factors import forward_factors
from wellbegun.recipes.find import find_recipe
from wellbegun.recipes.presets.on_top import OnTop
from wellbegun.recipes.presets.transformers import OneScale
from wellbegun.recipes.presets.width import HIDDEN, INPUT, OUTPUT, ROUTER, TIED, Widths, find_widths
from wellbegun.recipes.proposal import Proposal

_OPTIMIZERS = ("adam", "sgd")


@dataclass(frozen=True)
class _Scale:
    """What the width does to one weight.

    Attributes:
        values: power of the width for weights that are drawn by their fans.
        fixed: the same for weights that are drawn with one standard deviation at any width.
        adam, sgd: power of the width for the learning rate.
        what: the weight in words.
    """

    values: float
    fixed: float
    adam: float
    sgd: float
    what: str


_SCALES = {
    INPUT: _Scale(0, 0, 0, 1, "it reads the data, a fixed number of inputs"),
    HIDDEN: _Scale(0, -0.5, -1, 0, "both of its sides grow with the width"),
    OUTPUT: _Scale(-0.5, -1, -1, -1, "it makes the output from the whole width"),
    ROUTER: _Scale(-0.5, -1, -1, -1, "it chooses among experts from the whole width"),
    TIED: _Scale(0.5, 0, 0, 1, "a table that is the output layer too"),
}
_MULTIPLIED = _Scale(0.5, 0, 0, 1, "it makes the output, which the forward pass multiplies")


class Mup(OnTop):
    """muP, the maximal update parametrisation: a learning rate that is right for one width is right for all.

    >>> import torch
    >>> from wellbegun import plan
    >>> relu, layer = torch.nn.ReLU(), torch.nn.Linear
    >>> model = torch.nn.Sequential(layer(8, 256), relu, layer(256, 256), relu, layer(256, 4))
    >>> made = plan(model, "vector:8", seed=7, recipe="mup(base_width=64, base='he')")
    >>> [made[f"{i}.weight"].lr_factor for i in (0, 2, 4)], round(made["4.weight"].std, 6)
    ([1.0, 0.25, 0.25], 0.044194)

    Need: widths and depths that share learning rates
    Formula: with m = width/base_width, weights are the base recipe's at the base width, and then hidden weights have
        variance ~1/fan_in and Adam's learning rate times 1/m; the output layer variance ~1/fan_in² and rate 1/m; what
        reads the data, biases and normalisation keep theirs. (SGD: rates m for the first and for biases, 1 for hidden
        weights, 1/m for the output.) A table that is the output layer too keeps its size, and its logits are
        multiplied by 1/m. Attention scores are divided by the size of a head instead of its root, where that grows.
    Use it for: tuning learning rate and scale on a small network, and training a wide one with them. Weights alone are
        half of it: `plan.param_groups(lr)` has the learning rates, and what the forward pass must multiply with is in
        `plan.multipliers`; where it does not, `apply` warns. See docs/guides/mup.md.
    Not for: depth, which is `completep`. A head of fixed size inside of the network that is not recognised as one (a
        layer into a fixed bottleneck) is treated as hidden; weight decay is left as given.
    Args:
        base_width: width of the network that was tuned. The width is that of the output layer's inputs.
        base: recipe that the base width would be started with, "auto", "he", "gpt2", "normal(std=0.02)", ...
        optimizer: "adam" (AdamW, and others that divide by the gradient's size) or "sgd".
        base_head: size of a head in the base network, where the heads grow with the width. Left out: the heads keep
            their size, there are more of them, and attention stays as it is.
        zero_readout: start the output layer at 0, as the authors advise.
        width: the network's width, where no single output layer tells.
    Source: Yang et al. (2022), "Tensor Programs V", tables 3 and 8, definition 4.1 (attention); sections D.2 (zero
        readout).
    """

    name_only = "mup"
    source = "Yang et al. (2022), Tensor Programs V, tables 3 and 8"
    code = "(base_width=64)"

    def __init__(
        self,
        base_width: int,
        base: str = "auto",
        optimizer: str = "adam",
        base_head: int | None = None,
        zero_readout: bool = False,
        width: int | None = None,
    ) -> None:
        super().__init__(base)
        for name, value in (("base_width", base_width), ("base_head", base_head), ("width", width)):
            if (value is not None or name == "base_width") and not (type(value) is int and value > 0):
                raise ArgumentError(f"{self.name_only}@1: {name} must be a whole number above 0, got {value!r}")
        if optimizer not in _OPTIMIZERS:
            raise ArgumentError(f"{self.name_only}@1: optimizer must be 'adam' or 'sgd', got {optimizer!r}")
        self.base_width, self.optimizer = base_width, optimizer
        self.base_head, self.zero_readout, self._width = base_head, bool(zero_readout), width

    def change(self, graph: Graph, proposals: Mapping[str, Proposal]) -> dict[str, Proposal]:
        """Scale weights and learning rates by the width."""
        widths = find_widths(graph)
        times = self._times(widths)
        is_fixed = self._is_fixed()
        factors = forward_factors(graph)
        made = {}
        for name, kind in widths.kinds.items():
            if name in proposals:
                multiplied = kind == OUTPUT and agree(factors.get(("output", name)), 1 / times)
                scale = _MULTIPLIED if multiplied else _SCALES[kind]
                made[name] = self._weight(graph, name, proposals[name], scale, times, is_fixed, kind)
        if self.optimizer == "sgd":
            made |= self._vectors(graph, proposals, widths, times)
        return made

    def multipliers(self, graph: Graph) -> tuple[Multiplier, ...]:
        """Logits of a tied table, and attention where heads grow."""
        widths = find_widths(graph)
        times, factors = self._times(widths), forward_factors(graph)
        made = [
            self._multiplier(factors, "output", name, 1 / times, f"{_share(times)} of the logits: {_SCALES[TIED].what}")
            for name, kind in widths.kinds.items()
            if kind == TIED
        ]
        for attention in find_attentions(graph) if self.base_head is not None else ():
            value = math.sqrt(self.base_head or 1) / attention.head
            reason = (
                f"sqrt({self.base_head})/{attention.head} and not 1/sqrt({attention.head}): queries and keys grow "
                f"alike in training, so that their product grows with the size of a head ({self.base_head} in the base)"
            )
            made.append(self._multiplier(factors, "attention scores", attention.query.weight, value, reason))
        return tuple({(one.place, one.weight): one for one in made}.values())

    def _multiplier(
        self, factors: Mapping[tuple[str, str], float | None], place: str, name: str, value: float, reason: str
    ) -> Multiplier:
        return Multiplier(place, name, value, factors.get((place, name)), f"{self.name_only}: {reason}", self.source)

    def _times(self, widths: Widths) -> float:
        """The width over that of the base."""
        if widths.mixed:
            raise self.fails(f"{widths.mixed[0]} is used at places that the width changes differently; give it a rule")
        width = self._width or widths.width
        if width is None:
            found = ", ".join(f"{name} reads {size}" for name, size in widths.readouts.items())
            what = f"the output layers differ ({found})" if found else "no layer makes the output"
            raise self.fails(f"the network's width is not clear: {what}; give it as width=...")
        return width / self.base_width

    def _is_fixed(self) -> bool:
        """Whether the base draws weights with one standard deviation at any width."""
        recipe = find_recipe(self.base)
        if recipe.name.startswith("author"):
            raise self.fails(
                "the author's own numbers may know the width or not; name a recipe as base, such as 'he' or 'gpt2'"
            )
        if isinstance(recipe, ByMethod):
            given = recipe.initializer
            return not given.needs_fans and not given.law().structured
        return isinstance(recipe, OneScale)

    def _weight(
        self, graph: Graph, name: str, given: Proposal, scale: _Scale, times: float, is_fixed: bool, kind: str
    ) -> Proposal:
        power = scale.fixed if is_fixed else scale.values
        rate = times ** (scale.adam if self.optimizer == "adam" else scale.sgd)
        if kind == TIED and given.after is None and not is_fixed:
            power = 0.0  # the base draws tables without a look at the output
        said = f"{given.reason}; {self.name_only}: {scale.what}"
        said += f", {times:.4g} times that of the base, so" if kind != INPUT else ", so"
        said += f" {self.optimizer}'s learning rate ×{rate:.4g}"
        if kind == OUTPUT and self.zero_readout:
            return Proposal(Zeros(), f"{said}, and it starts at 0", self.source, given.before, 0.0, lr_factor=rate)
        still = power == 0 or times == 1 or given.initializer == Zeros() or given.initializer == Constant(0.0)
        if still:
            return replace(given, reason=said, lr_factor=rate)
        said += f", values ×{times**power:.4g}"
        return replace(self.scaled(graph, name, given, times**power, said), lr_factor=rate)

    def _vectors(
        self, graph: Graph, proposals: Mapping[str, Proposal], widths: Widths, times: float
    ) -> dict[str, Proposal]:
        """Biases, scales and positions under SGD, whose gradients shrink with the width."""
        outputs = {
            operation.index for operation in graph.weight_operations() if widths.kinds.get(operation.weight) == OUTPUT
        }
        made = {}
        for variable in graph.variables:
            uses = graph.uses.get(variable.name, ())
            single = variable.name not in widths.kinds and variable.kind == "parameter"
            if single and uses and variable.name in proposals and not outputs & {use.operation for use in uses}:
                given = proposals[variable.name]
                said = f"{given.reason}; {self.name_only}: sgd's learning rate ×{times:.4g}"
                made[variable.name] = replace(given, reason=said, lr_factor=times)
        return made


def agree(found: float | None, wanted: float) -> bool:
    """Whether the forward pass multiplies the output with what is wanted, and that is not 1."""
    return found is not None and wanted != 1 and math.isclose(found, wanted, rel_tol=1e-4)


def _share(times: float) -> str:
    return f"1/{times:.4g}"
