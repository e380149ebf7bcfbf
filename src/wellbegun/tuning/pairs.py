"""Pairs of a layer's inputs between which the targets change, and the weights that they make: SWIM's steps."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from wellbegun.errors import ArgumentError
from wellbegun.graph.graph import Graph
from wellbegun.graph.trace import trace
from wellbegun.laws import Stored
from wellbegun.plans import Plan
from wellbegun.recipes.layers import find_outputs
from wellbegun.sampler import Draw, Stream, write
from wellbegun.tuning.batch import Batch
from wellbegun.tuning.channels import Layer, find_layers

CONSTANTS = {"relu": (1.0, 0.0), "tanh": (math.log(3), math.log(3) / 2)}
"""(s1, s2) by activation, as published."""
_CLOSE = 1e-10
_CARRIES = frozenset({"view", "dropout", "shift", "scale"})
Floats64 = NDArray[np.float64]


class Pairs:
    """The layers that are sampled, and what they were given."""

    def __init__(
        self, plan: Plan, model: nn.Module, values: Mapping[str, torch.Tensor], batch: Batch, ridge: float | None
    ) -> None:
        """Find the layers.

        Args:
            plan: what the values follow.
            model: in which the values will lie.
            values: of every entry, by name; changed in place.
            batch: with targets.
            ridge: for the output layer, or None.
        """
        self._plan, self._values, self._ridge = plan, values, ridge
        self._targets, self._are_classes = _columns(batch.targets)
        self.stored: dict[str, tuple[Stored, str]] = {}
        self.notes: dict[str, str] = {}
        graph = trace(model, batch.keywords or batch.arguments)
        outputs = {graph.operations[index].weight for index in find_outputs(graph)}
        behind = _activations(graph)
        self._constants: list[tuple[Layer, tuple[float, float] | None]] = []
        for layer in find_layers(plan, model):
            if layer.is_affine:
                continue
            if layer.weight in outputs:
                if ridge is not None and isinstance(layer.module, nn.Linear) and layer.bias:
                    self._constants.append((layer, None))
                continue
            function = behind.get(layer.weight, "")
            problem = _problem(plan, layer, function)
            if problem:
                self.notes[layer.weight] = f"not sampled by SWIM: {problem}"
            else:
                self._constants.append((layer, CONSTANTS[function]))

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Make the weights of each layer when its inputs appear."""
        handles = [
            layer.module.register_forward_pre_hook(
                lambda _, inputs, layer=layer, constants=constants: self._see(layer, constants, inputs[0])
            )
            for layer, constants in self._constants
        ]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def _see(self, layer: Layer, constants: tuple[float, float] | None, value: torch.Tensor) -> None:
        if layer.done:
            return
        layer.done = True
        if value.ndim != 2 or len(value) != len(self._targets):
            raise ArgumentError(
                f"{layer.weight} gets inputs of shape {list(value.shape)}, and SWIM pairs rows with the "
                f"{len(self._targets)} targets: it is for layers of [rows, features]"
            )
        rows = value.detach().cpu().double().numpy()
        if constants is None:
            weight, bias = self._solved(rows, self._wanted(layer.weight))
            note = "solved by least squares on the batch, behind sampled features"
        else:
            weight, bias = self._sampled(layer.weight, rows, len(self._values[layer.weight]), *constants)
            note = f"SWIM: {len(weight)} pairs of {len(rows)} inputs, steep pairs first, s1 = {constants[0]:.4g}"
        for name, numbers, said in ((layer.weight, weight, note), (layer.bias, bias, f"{note}; the bias of its pairs")):
            tensor, dtype = self._values[name], "float64" if self._plan[name].dtype == "float64" else "float32"
            stored = Stored(numbers.reshape(tuple(tensor.shape)), dtype)
            tensor.copy_(torch.from_numpy(np.array(stored.values)))
            self.stored[name] = (stored, said)

    def _sampled(self, name: str, rows: Floats64, width: int, s1: float, s2: float) -> tuple[Floats64, Floats64]:
        """Weights and biases of so many pairs, drawn with replacement."""
        count = len(rows)
        if count < 2:
            raise ArgumentError(f"{name}: pairs need at least two rows, the batch has {count}")
        candidates = count * max(1, -(-width // count))
        start = np.arange(candidates) % count
        end = (start + 1 + _whole(self._plan.seed, f"{name}/pairs", candidates, count - 1)) % count
        distance = np.maximum(np.linalg.norm(rows[end] - rows[start], axis=1), _CLOSE)
        change = np.abs(self._targets[end] - self._targets[start]).max(1)
        steepness = (change > 0 if self._are_classes else change) / distance
        steepness[np.linalg.norm(rows[end] - rows[start], axis=1) < _CLOSE] = 0.0  # two equal rows make no direction
        if not steepness.any():
            raise ArgumentError(f"{name}: no pair of its inputs differs where the targets do; take a larger batch")
        edges = np.cumsum(steepness / steepness.sum())
        drawn = np.empty(width, np.float64)
        write(drawn, Draw.uniform(0.0, 1.0), Stream.of(self._plan.seed, f"{name}/chosen"), 0)
        chosen = np.minimum(np.searchsorted(edges, drawn, side="right"), candidates - 1)
        a, b = rows[start[chosen]], rows[end[chosen]]
        weight = s1 * (b - a) / np.square(distance[chosen])[:, None]
        return weight, -(weight * a).sum(1) - s2

    def _wanted(self, name: str) -> Floats64:
        """A column for each output: classes that the batch does not show have zeros."""
        outputs, columns = len(self._values[name]), self._targets.shape[1]
        if columns > outputs or (columns < outputs and not self._are_classes):
            what = f"{columns} classes" if self._are_classes else f"targets of {columns} numbers"
            raise ArgumentError(
                f"{name} has {outputs} outputs, and the batch has {what}; leave `ridge` out, or fit them"
            )
        return np.pad(self._targets, ((0, 0), (0, outputs - columns)))

    def _solved(self, rows: Floats64, targets: Floats64) -> tuple[Floats64, Floats64]:
        """The output layer that is nearest to the targets on the batch."""
        mean, wanted = rows.mean(0), targets.mean(0)
        about = rows - mean
        gram = about.T @ about
        gram[np.diag_indices_from(gram)] += float(self._ridge or 0.0) * max(float(np.trace(gram)) / len(gram), _CLOSE)
        weight = np.linalg.lstsq(gram, about.T @ (targets - wanted), rcond=None)[0].T
        return weight, wanted - weight @ mean


def _whole(seed: int, name: str, count: int, below: int) -> NDArray[np.int64]:
    """Whole numbers from 0 on, below a limit."""
    drawn = np.empty(count, np.float64)
    write(drawn, Draw.uniform(0.0, 1.0), Stream.of(seed, name), 0)
    return np.minimum((drawn * below).astype(np.int64), below - 1)


def _columns(targets: torch.Tensor | None) -> tuple[Floats64, bool]:
    """Targets as columns, classes as one column for each, and whether they are classes."""
    assert targets is not None
    given = targets.detach().cpu().numpy()
    if given.dtype.kind in "iub" and given.ndim == 1:
        if int(given.min()) < 0:
            raise ArgumentError(f"targets of whole numbers are classes, counted from 0; got {int(given.min())}")
        return np.asarray(given[:, None] == np.arange(int(given.max()) + 1), np.float64), True
    columns = given.astype(np.float64).reshape(len(given), -1)
    if not np.isfinite(columns).all():
        raise ArgumentError("targets must be finite numbers")
    return columns, False


def _activations(graph: Graph) -> dict[str, str]:
    """The activation that the result of each weight goes into, "" where there is none or several."""
    found: dict[str, str] = {}
    for operation in graph.weight_operations():
        steps = graph.consumers(operation.index)
        while len(steps) == 1 and steps[0].kind in _CARRIES:
            steps = graph.consumers(steps[0].index)
        details = {step.detail if step.kind == "activation" else "" for step in steps}
        found[operation.weight] = details.pop() if len(details) == 1 else ""
    return found


def _problem(plan: Plan, layer: Layer, function: str) -> str:
    """Why a hidden layer is not sampled, or ""."""
    if not isinstance(layer.module, nn.Linear):
        return "it is no linear layer"
    if not layer.bias:
        return "it has no bias"
    if function not in CONSTANTS:
        return f"it is defined in front of ReLU and tanh, not of {function or 'anything else'}"
    if plan[layer.weight].law.keeps or plan[layer.bias].law.keeps:
        return "the plan keeps its own value"
    if plan[layer.weight].ties or plan[layer.bias].ties:
        return "it is tied"
    return ""
