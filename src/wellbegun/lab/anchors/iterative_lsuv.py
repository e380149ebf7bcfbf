"""Layer-sequential unit-variance initialization (Mishkin and Matas, 2016), written from its formula.

For each layer in the order of execution: run the network, divide the weight by the square root of the variance of its
output, and again, until the variance is within a tolerance of 1. Every repetition costs a forward pass.
"""

from __future__ import annotations

from collections.abc import Callable

import torch

LAYERS = (
    torch.nn.Linear,
    torch.nn.Bilinear,
    torch.nn.modules.conv._ConvNd,
)


class Lsuv:
    """Runs the algorithm on a model whose weights are already orthogonal; `passes` counts its forward passes."""

    def __init__(
        self, model: torch.nn.Module, run: Callable[[], object], *, tolerance: float = 0.01, centred: bool = True
    ) -> None:
        """`centred=False` looks at the second moment, and not at the variance that the paper has."""
        self.model, self.run, self.tolerance, self.centred, self.passes = model, run, tolerance, centred, 0

    def __call__(self) -> int:
        """Scale every layer and return the number of forward passes."""
        for module in self.model.modules():  # dropout off, statistics of the batch
            module.training = isinstance(module, torch.nn.modules.batchnorm._BatchNorm)
        for layer in self._in_order():
            for _ in range(10):
                variance = self._variance(layer)
                if abs(variance - 1) < self.tolerance:
                    break
                with torch.no_grad():
                    layer.weight /= variance**0.5
        return self.passes

    def _in_order(self) -> list[torch.nn.Module]:
        order: list[torch.nn.Module] = []
        layers = [module for module in self.model.modules() if isinstance(module, LAYERS)]
        hooks = [layer.register_forward_hook(lambda m, *_: order.append(m)) for layer in layers]
        self._forward()
        for hook in hooks:
            hook.remove()
        return list(dict.fromkeys(order))

    def _variance(self, layer: torch.nn.Module) -> float:
        """Of the first output of the layer that some input caused."""
        found: list[float] = []

        def note(_: torch.nn.Module, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
            if all(value.any() for value in inputs):
                values = output.double()
                found.append(float(values.var(correction=0) if self.centred else values.square().mean()))

        hook = layer.register_forward_hook(note)
        self._forward()
        hook.remove()
        return found[0]

    def _forward(self) -> None:
        self.passes += 1
        with torch.no_grad():
            self.run()
