"""Output layers that start at the prior of the classes, on top of another recipe."""

from __future__ import annotations

import math
from collections.abc import Mapping

from wellbegun.errors import ArgumentError
from wellbegun.graph.graph import Graph
from wellbegun.laws import Normal, PriorBias, Zeros
from wellbegun.recipes.layers import Layers
from wellbegun.recipes.presets.on_top import OnTop
from wellbegun.recipes.proposal import Proposal


class Prior(OnTop):
    """The output layer starts at the classes' frequencies: its biases say them, and its weights say almost nothing.

    >>> import torch
    >>> from wellbegun import plan
    >>> model = torch.nn.Sequential(torch.nn.Linear(64, 32), torch.nn.ReLU(), torch.nn.Linear(32, 5))
    >>> made = plan(model, "vector:64", seed=7, recipe="prior(prior=0.01)")
    >>> made["2.weight"].law, made["2.bias"].law
    (Normal(std=0.01), Constant(value=-4.59512))

    Need: outputs, policies, routers and experts
    Formula: output biases ln(prior/(1 - prior)), or ln of the share of each class; output weights N(0, std²);
        everything else as the base says. At std = 0 the loss starts exactly at the entropy of the prior (0.0560015 for
        0.01).
    Use it for: detectors and classifiers whose classes are of very different sizes.
    Not for: balanced classes and language models; output layers without biases: refused.
    Parts: any part is drawn alone.
    Args:
        prior: probability of a positive (sigmoid outputs), or the share of each class (softmax outputs).
        std: of the output weights, at least 0.
        base: the recipe for everything else.
    Source: Lin, Goyal, Girshick, He and Dollár (2017), "Focal Loss for Dense Object Detection", section 4.1.
    """

    name_only = "prior"
    source = "Lin et al. (2017), section 4.1"

    def __init__(self, prior: float | tuple[float, ...] = 0.01, std: float = 0.01, base: str = "auto") -> None:
        super().__init__(base)
        self.bias = PriorBias(tuple(prior) if isinstance(prior, list) else prior)
        if isinstance(std, bool) or not isinstance(std, (int, float)) or not 0 <= std < math.inf:
            raise ArgumentError(f"prior@1: std must be a finite number of at least 0, got {std!r}")
        self.std = float(std)

    def change(self, graph: Graph, proposals: Mapping[str, Proposal]) -> dict[str, Proposal]:  # noqa: ARG002
        """The output layers."""
        layers, made = Layers(graph), {}
        for operation in graph.operations:
            if operation.index not in layers.outputs or not operation.weight:
                continue
            biases = layers.biases(operation)
            if not biases:
                raise self.fails(f"{operation.weight} makes the outputs and has no bias that could hold the prior")
            weight = Normal(self.std) if self.std else Zeros()
            reason = f"output weights of std {self.std:g}, so that the biases say what comes out at first"
            made[operation.weight] = Proposal(weight, reason, self.source)
            for name in biases:
                made[name] = Proposal(self.bias, "outputs start at the prior of the classes", self.source)
        if not made:
            raise self.fails("this model has no output layer that a bias belongs to")
        return made
