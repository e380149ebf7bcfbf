"""Recurrent networks that remember: identity matrices, forget gates that start open, chrono biases."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from wellbegun.errors import ArgumentError
from wellbegun.graph.graph import Graph, Use
from wellbegun.laws import ChronoBias, Constant, Identity, Normal, Patched, Zeros
from wellbegun.recipes.presets.analytic import positive_number
from wellbegun.recipes.presets.on_top import OnTop
from wellbegun.recipes.proposal import Proposal


def _recurrent(graph: Graph, role: str) -> Iterator[tuple[str, Use]]:
    """Every tensor with a role in a recurrent layer, used or not."""
    for name, uses in graph.uses.items():
        if uses and uses[0].role == role:
            yield name, uses[0]
    for name, use in graph.unused.items():
        if use.role == role:
            yield name, use


class Irnn(OnTop):
    """IRNN: the state of a ReLU network is carried on by the identity, so that it stays until something changes it.

    >>> import torch
    >>> from wellbegun import plan
    >>> model = torch.nn.RNN(4, 16, nonlinearity="relu")
    >>> made = plan(model, torch.zeros(5, 1, 4), seed=7, recipe="irnn")
    >>> made["weight_hh_l0"].law, made["weight_ih_l0"].law
    (Identity(gain=1.0), Normal(std=0.001))

    Need: recurrent and state-space networks
    Formula: recurrent weights gain·I, input weights N(0, std²), biases 0; everything else as the base says.
    Use it for: plain recurrent layers of ReLU over long sequences (adding numbers, pixels one by one).
    Not for: tanh, whose state shrinks at every step, and gates: both are refused. Large learning rates: an eigenvalue
        above 1 blows the state up.
    Parts: any part is computed alone.
    Args:
        gain: the number on the diagonal, above 0; a little less than 1 forgets slowly.
        std: of the input weights, at least 0.
        base: the recipe for everything else.
    Source: Le, Jaitly and Hinton (2015), "A Simple Way to Initialize Recurrent Networks of Rectified Linear Units"; std
        0.001 as in the experiments that repeat it (Keras's mnist_irnn).
    """

    name_only = "irnn"
    source = "Le, Jaitly and Hinton (2015)"

    def __init__(self, gain: float = 1.0, std: float = 0.001, base: str = "auto") -> None:
        super().__init__(base)
        self.gain = positive_number("irnn@1", "gain", gain)
        if isinstance(std, bool) or not isinstance(std, (int, float)) or not 0 <= std < math.inf:
            raise ArgumentError(f"irnn@1: std must be a finite number of at least 0, got {std!r}")
        self.std = float(std)

    def change(self, graph: Graph, proposals: Mapping[str, Proposal]) -> dict[str, Proposal]:  # noqa: ARG002
        """Identity, small inputs, no biases."""
        made: dict[str, Proposal] = {}
        for name, use in _recurrent(graph, "recurrent weight"):
            if len(use.gates) > 1:
                raise self.fails(f"{name} has gates ({', '.join(use.gates)}); use forget_bias or chrono")
            behind = _activation(graph, use)
            if behind not in ("", "relu"):
                raise self.fails(f"the state of {name} goes through {behind}; IRNN is for ReLU (nonlinearity='relu')")
            made[name] = Proposal(Identity(self.gain), "carries the state on as it is: the identity", self.source)
        if not made:
            raise self.fails("this model has no recurrent layer")
        for name, _ in _recurrent(graph, "input weight of gates"):
            reason = f"input weights of std {self.std:g}, so that the state is made of its past"
            made[name] = Proposal(Normal(self.std) if self.std else Zeros(), reason, self.source)
        for name, _ in _recurrent(graph, "gate bias"):
            made[name] = Proposal(Zeros(), "a bias of 0 adds nothing to the state at every step", self.source)
        return made


def _activation(graph: Graph, use: Use) -> str:
    """Name of the activation behind a recurrent product and the sum it goes into, "" if the layer is not looked
    into."""
    waiting = [use.operation] if use.operation >= 0 else []
    while waiting:
        for step in graph.consumers(waiting.pop()):
            if step.kind == "activation":
                return step.detail
            if step.kind in ("add", "shift", "view"):
                waiting.append(step.index)
    return ""


class _GateBiases(OnTop):
    """What recipes for the biases of gates share."""

    def gates(self, graph: Graph) -> Iterator[tuple[str, Use, int, bool]]:
        """Yield (name, use, units of the layer, whether it is the second of torch's two biases) of each gate bias."""
        found = False
        for name, use in _recurrent(graph, "gate bias"):
            found = True
            if "forget" not in use.gates or "input" not in use.gates:
                raise self.fails(
                    f"{name} has no forget and input gates (its gates: {', '.join(use.gates) or 'none'}); "
                    "this recipe is for LSTMs"
                )
            size = graph.shapes[name][0]
            yield name, use, size // len(use.gates), name.rpartition(".")[2].startswith("bias_hh")
        if not found:
            raise self.fails("this model has no LSTM with biases")


class ForgetBias(_GateBiases):
    """The forget gate's bias at a number of your choice, so that memory starts with the half-life that it says.

    >>> import torch
    >>> from wellbegun import plan
    >>> made = plan(torch.nn.LSTM(4, 16), torch.zeros(5, 1, 4), seed=7, recipe="forget_bias(value=2)")
    >>> made["bias_ih_l0"].law.patches, made["bias_hh_l0"].law
    (((((16, 32),), Constant(value=2.0)),), Constant(value=0.0))

    Need: recurrent and state-space networks
    Formula: b_f = value in the first of torch's two biases, which are added, and 0 in the second; the other gates 0. A
        unit keeps 1/(1 + exp(-value)) of its state a step: half of it is left after 1 step at 0, 2.2 at 1, 5.5 at 2.
    Use it for: LSTMs; auto sets 1.
    Not for: GRUs and plain recurrent layers, which have no forget gate: refused. Delays of a known length: chrono.
    Parts: any part is computed alone.
    Args:
        value: of the bias, any number.
        base: the recipe for everything else.
    Source: Jozefowicz, Zaremba and Sutskever (2015), "An Empirical Exploration of Recurrent Network Architectures",
        section 2.2.
    """

    name_only = "forget_bias"
    source = "Jozefowicz, Zaremba and Sutskever (2015), section 2.2"

    def __init__(self, value: float = 1.0, base: str = "auto") -> None:
        super().__init__(base)
        self.value = Constant(value)

    def change(self, graph: Graph, proposals: Mapping[str, Proposal]) -> dict[str, Proposal]:  # noqa: ARG002
        """The biases of every LSTM."""
        keeps = 1 / (1 + math.exp(-self.value.value))
        made = {}
        for name, use, width, second in self.gates(graph):
            place = use.gates.index("forget")
            law = Patched(Constant(0.0), ((((place * width, (place + 1) * width),), self.value),))
            reason = f"a forget gate at bias {self.value.value:g} keeps {keeps:.0%} of the memory a step; the others 0"
            other = Proposal(Zeros(), "the second of two biases that are added: 0")
            made[name] = other if second else Proposal(law, reason, self.source)
        return made


class Chrono(_GateBiases):
    """Chrono biases: the units of every LSTM remember for times spread from 1 to the longest that matters.

    >>> import torch
    >>> from wellbegun import plan
    >>> made = plan(torch.nn.LSTM(4, 16), torch.zeros(5, 1, 4), seed=7, recipe="chrono(longest=100)")
    >>> made["bias_ih_l0"].law, made["bias_hh_l0"].law
    (ChronoBias(longest=100.0), Constant(value=0.0))

    Need: recurrent and state-space networks
    Formula: b_f = ln u, u ~ U(1, longest - 1), b_i = -b_f, other gates 0, in the first of torch's two biases; 0 in the
        second; everything else as the base says.
    Use it for: LSTMs on tasks with a known longest delay: copying, adding, sensor data.
    Not for: GRUs and plain recurrent layers: refused.
    Parts: any part is computed alone.
    Args:
        longest: longest delay in steps, above 2.
        base: the recipe for everything else.
    Source: Tallec and Ollivier (2018), "Can recurrent neural networks warp time?", section 2.
    """

    name_only = "chrono"
    source = "Tallec and Ollivier (2018), section 2"
    code = "(longest=100)"

    def __init__(self, longest: float, base: str = "auto") -> None:
        super().__init__(base)
        self.longest = ChronoBias(longest).longest

    def change(self, graph: Graph, proposals: Mapping[str, Proposal]) -> dict[str, Proposal]:  # noqa: ARG002
        """The biases of every LSTM."""
        made = {}
        for name, use, _, second in self.gates(graph):
            law = ChronoBias(self.longest, len(use.gates), use.gates.index("forget"), use.gates.index("input"))
            reason = f"units remember for times spread from 1 to {self.longest:g} steps"
            other = Proposal(Zeros(), "the second of two biases that are added: 0")
            made[name] = other if second else Proposal(law, reason, self.source)
        return made
