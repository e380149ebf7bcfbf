"""Self-normalising networks."""

from __future__ import annotations

from wellbegun.errors import PlanError
from wellbegun.graph.graph import Graph
from wellbegun.laws import LecunNormal, Normal
from wellbegun.recipes.layers import find_outputs
from wellbegun.recipes.presets.preset import WEIGHTS, Line, Preset, zero_biases


class Selu(Preset):
    """A self-normalising network: LeCun's weights, which make mean 0 and variance 1 a fixed point of SELU.

    >>> import torch
    >>> from wellbegun import plan
    >>> model = torch.nn.Sequential(torch.nn.Linear(64, 100), torch.nn.SELU(), torch.nn.Linear(100, 10))
    >>> plan(model, seed=7, recipe="selu")["2.weight"].law
    Normal(std=0.1)

    Need: deep networks without normalisation
    Formula: W ~ N(0, 1/fan_in), biases 0; E selu(z) = 0 and E selu(z)² = 1 for z ~ N(0, 1), so one layer hands mean 0
        and variance 1 on to the next, and deviations shrink.
    Use it for: plain networks of SELU, with inputs of mean 0 and variance 1, and AlphaDropout in place of dropout.
    Not for: networks with another activation, which is an error; with normalisation or shortcuts, which take the place
        of what SELU does. torch's gain for SELU, 3/4, is another point: there the signal shrinks to 2% of it.
    Parts: any part is drawn alone.
    Source: Klambauer, Unterthiner, Mayr and Hochreiter (2017), "Self-Normalizing Neural Networks", sections 2 and 4.
    """

    name_only = "selu"
    source = "Klambauer et al. (2017), section 4"

    def prepare(self, graph: Graph) -> None:
        """Refuse networks with other activations."""
        outputs = find_outputs(graph)
        inside = [
            step.detail
            for step in graph.operations
            if step.kind == "activation" and not any(graph.source(index).index in outputs for index in step.inputs)
        ]
        others = sorted(set(inside) - {"selu"})
        if others or not inside:
            found = f"this model has {', '.join(others)}" if others else "this model has no activation"
            raise PlanError(f"selu@1 is for networks of SELU alone, and {found}")

    def lines(self) -> tuple[Line, ...]:
        """One rule for all layers."""
        return (
            Line(WEIGHTS, LecunNormal(), "SELU keeps mean 0 and variance 1 behind weights of variance 1/fan_in"),
            Line(("embedding weight",), Normal(1.0), "rows of variance 1, SELU's fixed point"),
            zero_biases(),
        )
