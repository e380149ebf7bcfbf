"""Residual networks without normalisation: Fixup."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from wellbegun.graph.graph import Graph, Use
from wellbegun.laws import Ones, Zeros
from wellbegun.recipes.layers import find_outputs
from wellbegun.recipes.presets.on_top import OnTop
from wellbegun.recipes.presets.residual import Branch, find_branches
from wellbegun.recipes.proposal import Proposal

_SCALARS = 0.1
"""The published code trains scalar biases and multipliers with a tenth of the learning rate."""


class Fixup(OnTop):
    """Fixup: residual networks of any depth that train at a large learning rate without normalisation.

    >>> import torch
    >>> from wellbegun import plan
    >>> class Block(torch.nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.inside, self.out = torch.nn.Linear(16, 32), torch.nn.Linear(32, 16)
    ...     def forward(self, x):
    ...         return x + self.out(torch.relu(self.inside(x)))
    >>> model = torch.nn.Sequential(*(Block() for _ in range(4)), torch.nn.Linear(16, 10))
    >>> made = plan(model, "vector:16", seed=7, recipe="fixup")
    >>> round(made["0.inside.weight"].std, 6), made["0.out.weight"].law, made["4.weight"].law
    (0.176777, Constant(value=0.0), Constant(value=0.0))

    Need: residual networks
    Formula: with L residual branches of m weights each: the last weight of each branch and the output layer are 0, the
        other weights of a branch are the base's times L^(-1/(2m - 2)), everything outside of branches is the base's.
        Scalar biases start at 0 and the scalar multiplier of a branch at 1; both learn at a tenth of the rate.
    Use it for: residual networks without normalisation, convolutional or not, of ten to thousands of branches.
    Not for: branches with a normalisation, which takes the scale out again: that is `zero_residual`. Transformers with
        attention: `t_fixup`. Fixup's scalar biases and multipliers are parameters that the network must have; where
        they are missing the reason of the branch's last weight says which, and weights alone train, but not as well.
    Args:
        base: the recipe that is scaled, He's normal law as published.
    Source: Zhang, Dauphin and Ma (2019), "Fixup Initialization: Residual Learning Without Normalization", section 3,
        and its published code (a tenth of the learning rate for scalars; its He law takes fan_out, here fan_in).
    """

    name_only = "fixup"
    source = "Zhang, Dauphin and Ma (2019), section 3"

    def __init__(self, base: str = "he") -> None:
        super().__init__(base)

    def change(self, graph: Graph, proposals: Mapping[str, Proposal]) -> dict[str, Proposal]:
        """Scale what is inside of branches, and zero what ends them and the output."""
        branches = find_branches(graph)
        if not branches:
            raise self.fails("this model has no residual branch; for plain chains use auto, or he")
        normalised = next((branch for branch in branches if branch.normalised(graph)), None)
        if normalised is not None:
            raise self.fails(
                f"the branch that ends with {_names(graph, normalised.ends)} holds a normalisation, which takes the "
                "scale of its weights out again; use zero_residual, which starts the last scale of each branch at 0"
            )
        made: dict[str, Proposal] = {}
        for branch in branches:
            made |= self._branch(graph, proposals, branch, len(branches), made)
        made |= self._scalars(graph, branches)
        return made | self._output(graph)

    def _branch(
        self, graph: Graph, proposals: Mapping[str, Proposal], branch: Branch, count: int, made: Mapping[str, Proposal]
    ) -> dict[str, Proposal]:
        weights = [i for i in branch.weights if graph.operations[i].weight and graph.operations[i].kind != "embedding"]
        ends = [index for index in branch.ends if index in weights]
        layers = len(weights) - len(ends) + 1  # parallel layers at the end count as one
        if not ends:
            raise self.fails(f"the branch that is added in operation {branch.add} does not end with a weight")
        found: dict[str, Proposal] = {}
        for index in weights:
            name = graph.operations[index].weight
            if index in ends:
                reason = f"Fixup: 0 ends each of {count} residual branches, so that it adds nothing at first"
                found[name] = Proposal(Zeros(), f"{reason}{self._missing(graph, branch, weights)}", self.source)
                found |= {bias: _zero_bias(self.source) for bias in _biases(graph, index)}
            else:
                factor = count ** (-1 / (2 * layers - 2))
                reason = (
                    f"Fixup: {self.base} times {count}^(-1/(2·{layers} - 2)) = {factor:.4g}, for {count} branches of "
                    f"{layers} weights each: one step moves them all together as far as a single one"
                )
                found[name] = self.scaled(graph, name, self.base_of(proposals, name), factor, reason)
        for name, proposal in found.items():
            if name in made and made[name].initializer != proposal.initializer:
                raise self.fails(f"{name} stands at two places that Fixup treats differently; give it a rule")
        return found

    def _missing(self, graph: Graph, branch: Branch, weights: list[int]) -> str:
        inside = {*branch.steps, branch.add}
        scalars = [use for _, use in _scalar_uses(graph) if use.operation in inside]
        lacks = []
        if not any(use.role == "scalar gate" for use in scalars):
            lacks.append("a scalar multiplier")
        biases = sum(use.role != "scalar gate" for use in scalars)
        if biases < len(weights):
            lacks.append(f"scalar biases (it has {biases})")
        return f"; the branch lacks {' and '.join(lacks)}, which Fixup adds to the network" if lacks else ""

    def _scalars(self, graph: Graph, branches: list[Branch]) -> dict[str, Proposal]:
        made: dict[str, Proposal] = {}
        inside = {index for branch in branches for index in (*branch.steps, branch.add)}
        for name, use in _scalar_uses(graph):
            is_gate = use.role == "scalar gate"
            if is_gate and use.operation not in inside:
                continue
            what = "the scalar multiplier of a branch: 1" if is_gate else "a scalar bias: 0"
            reason = f"Fixup: {what}, at {_SCALARS:g} of the learning rate"
            made[name] = Proposal(Ones() if is_gate else Zeros(), reason, self.source, lr_factor=_SCALARS)
        return made

    def _output(self, graph: Graph) -> dict[str, Proposal]:
        made: dict[str, Proposal] = {}
        for index in find_outputs(graph):
            operation = graph.operations[index]
            uses = graph.uses.get(operation.weight, ())
            if operation.kind in ("linear", "convolution") and operation.weight and len(uses) == 1:
                reason = "Fixup: the output layer starts at 0, so that all classes are equally likely"
                made[operation.weight] = Proposal(Zeros(), reason, self.source)
                made |= {bias: _zero_bias(self.source) for bias in _biases(graph, index)}
        return made


def _scalar_uses(graph: Graph) -> Iterator[tuple[str, Use]]:
    """Parameters of one number, with how each is used: as a factor on a signal, or added to one."""
    for variable in graph.variables:
        uses = graph.uses.get(variable.name, ())
        if variable.kind == "parameter" and uses and all(size == 1 for size in variable.shape):
            whole = uses[0].role == "bias" and uses[0].fans is not None and uses[0].fans.fan_out <= 1
            if {use.role for use in uses} <= {"scalar gate", "added", "bias", "multiplied"} and not whole:
                yield variable.name, uses[0]


def _biases(graph: Graph, index: int) -> list[str]:
    return [
        name
        for name, uses in graph.uses.items()
        if all(use.role == "bias" for use in uses) and any(use.operation == index for use in uses)
    ]


def _zero_bias(source: str) -> Proposal:
    return Proposal(Zeros(), "Fixup: the bias beside a weight of 0 is 0 too", source)


def _names(graph: Graph, ends: tuple[int, ...]) -> str:
    found = [next(iter(graph.operations[i].parameters), graph.operations[i].detail) for i in ends]
    return " and ".join(dict.fromkeys(found)) or "no layer"
