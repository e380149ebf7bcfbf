"""Watching one forward and one backward pass: facts are taken as values appear, and no activation is kept."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from wellbegun.diagnosis import measure
from wellbegun.diagnosis.attentions import Attentions
from wellbegun.diagnosis.bundle import Answer, Bundle
from wellbegun.diagnosis.by_tensor import ByTensor
from wellbegun.diagnosis.facts import LayerFacts
from wellbegun.diagnosis.functions import (
    ACTIVATIONS,
    ATTENTION,
    COMPOSED,
    CONVOLUTIONS,
    LOOKUPS,
    MATRIX_PRODUCTS,
    NORMS,
    PASSES,
    PRODUCTS,
    RECURRENT,
    SUMS,
    opened,
)
from wellbegun.diagnosis.kept import Written
from wellbegun.diagnosis.spread import Spreads
from wellbegun.diagnosis.streams import Streams
from wellbegun.diagnosis.watched import Gate, Watched

FEWEST_INPUTS = 8
"""With fewer inputs, a unit that is zero for all of them may be no dead unit, and a mean cosine says little."""

_Followed = tuple[tuple[Watched, bool], ...]
"""The layers without an activation whose output a tensor holds, each with whether a normalisation was passed."""

_Weights = list[tuple[torch.Tensor, tuple[str, ...]]]


class Probe(TorchFunctionMode):
    """Sees every function that takes a weight, the activation behind it, attentions and residual sums."""

    def __init__(
        self,
        parameters: Mapping[str, torch.Tensor],
        buffers: Iterable[torch.Tensor] = (),
        *,
        inputs: int | None = None,
    ) -> None:
        """Watch parameters.

        Args:
            parameters: by name.
            buffers: of the model, which are no data.
            inputs: their number, if other processes run other inputs.
        """
        super().__init__()
        self._inputs = inputs
        self.layers: list[Watched] = []
        self.taken: set[str] = set()
        self.written = Written(parameters.values())
        self._seen: set[str] = set()
        self._gates: list[Gate] = []
        self._parameters = parameters
        self._buffers = {id(buffer): buffer for buffer in buffers}  # held, so that no other tensor takes their ids
        self._known = {id(parameter): (name,) for name, parameter in parameters.items()}
        self._bundle = Bundle()
        self._derived: ByTensor[tuple[str, ...]] = ByTensor()
        self._followed: ByTensor[_Followed] = ByTensor()
        self._upstream: ByTensor[int] = ByTensor()
        self._moments: ByTensor[Answer[Any]] = ByTensor()
        self.attentions = Attentions(self._behind)
        self.streams = Streams(self._moment, self._bundle)

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs, full = kwargs or {}, getattr(func, "__name__", "")
        if full in COMPOSED:
            with self:
                return opened(func)(*args, **kwargs)
        self.written.before(full, args, kwargs)
        result = func(*args, **kwargs)
        changed = args[0] if full == "__setitem__" else result
        results = [tensor for tensor in tensors_in(changed) if tensor.is_floating_point()]
        if results:
            self._see(full if full.startswith("__") else full.rstrip("_"), args, kwargs, results)
        return result

    def settle(self) -> None:
        """Measure what waits; after the backward pass, and before anything is asked of the probe."""
        self._bundle.settle()

    def facts(self, moments: Mapping[str, float], inputs: int | None) -> tuple[LayerFacts, ...]:
        """Return the facts of every layer, after the backward pass.

        Args:
            moments: second moment of the gradient of every parameter that got one.
            inputs: number of inputs in the batch, where it is known.
        """
        open_gates = [gate for gate in self._gates if any(moments.get(name, 0.0) > 0 for name in gate.names)]
        few = inputs is not None and inputs < FEWEST_INPUTS
        return tuple(self._facts(layer, moments, open_gates, few) for layer in self.layers)

    def unseen(self) -> tuple[str, ...]:
        """Return the parameters of two or more dimensions that no function took that the probe understands."""
        return tuple(name for name, p in self._parameters.items() if p.ndim > 1 and name not in self._seen)

    def made_of(self) -> dict[str, tuple[str, ...]]:
        """Return, for each layer's weight that is computed from several parameters, all of them."""
        return {layer.name: layer.names for layer in self.layers if len(layer.names) > 1}

    def spreads(self) -> Spreads:
        """Return the histograms of all layers, which are counted when they are looked at."""
        samples = [
            (layer.output.value.sample, None if layer.behind is None else layer.behind.value.sample)
            for layer in self.layers
        ]
        return Spreads(samples, FEWEST_INPUTS)

    def _facts(self, layer: Watched, moments: Mapping[str, float], open_gates: Sequence[Gate], few: bool) -> LayerFacts:
        gate = next((gate for gate in open_gates if gate.upstream >> layer.index & 1), None)
        if layer.zero and not layer.joined:
            gate = None  # zero behind zero, one after the other: that is no branch which waits for its turn
        weight_gradient = math.nan
        if any(self._parameters[name].requires_grad for name in layer.names):
            # what the loss does not depend on gets no gradient, which is another matter than one of zero
            reached = [moments[name] for name in layer.names if name in moments]
            weight_gradient = max(reached) if reached else math.nan if moments else 0.0
        gradient = layer.gradient
        if layer.received is None and not moments and self._trains(layer):
            gradient = 0.0
        alive = weight_gradient > 0 and layer.twin_gradients <= 0.5
        output, behind = layer.output.value, layer.behind and layer.behind.value
        return LayerFacts(
            name=layer.name,
            activation=layer.activation,
            signal=output.second,
            mean=output.sizes.mean,
            activated=behind.second if behind else output.second,
            gradient=gradient,
            weight_gradient=weight_gradient,
            dead=math.nan if few else behind.dead if behind else 0.0,
            saturated=behind.saturated if behind else 0.0,
            cosine=math.nan if few else output.sizes.cosine,
            twins=math.nan if layer.enlarged else output.twins,
            finite=output.sizes.finite,
            normalised=layer.normalised,
            starts_at_zero=layer.zero and (alive or gate is not None),
            waits_for=gate.names[0] if gate else "",
            norm=layer.norm,
            inflow=math.nan if layer.inflowing is None else layer.inflowing.value.second,
            width=layer.width,
            tokens=output.places,
            branch=layer.branch,
            kind=layer.kind,
        )

    def _trains(self, layer: Watched) -> bool:
        """Whether the gradient at the layer's output is of use to a parameter."""
        at_work = (layer, *(other for other in self.layers if layer.upstream >> other.index & 1))
        return any(self._parameters[name].requires_grad for each in at_work for name in each.names)

    def _see(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any], results: list[torch.Tensor]) -> None:
        data: list[torch.Tensor] = []
        weights: _Weights = []
        made_of: dict[str, None] = {}
        upstream = 0
        tensors = tensors_in(args) + tensors_in(kwargs)
        for tensor in tensors:
            names = self._names(tensor)
            if names is None:
                data.append(tensor)
                upstream |= self._behind(tensor)
            elif names:
                weights.append((tensor, names))
                made_of |= dict.fromkeys(names)
        self.taken.update(made_of)
        if not data and tensors:  # made of parameters and buffers alone
            for result in results:
                self._derived[result] = tuple(made_of)
            return
        result = results[0]
        matrices = [(tensor, found) for tensor, found in weights if tensor.ndim > 1]
        for tensor in results:
            if self._buffers:
                self._buffers.pop(id(tensor), None)  # data was written into it
            if any(tensor is other for other in data):
                self._moments.pop(tensor)
        if name in PASSES or name in ATTENTION:
            self._seen.update(one for _, found in weights for one in found)
            self._note_gates(_scales(name, kwargs, weights), upstream)
            if name in PRODUCTS and len(data) > 1:
                self._note_zero_signals(data)
            if name in SUMS and len(data) == 2:
                self.streams.add(data, [self._behind(tensor) for tensor in data], result, self.layers)
            if name in PASSES:
                self._follow(name, data, results, _scales(name, kwargs, weights))
            else:
                self.attentions.fused(data, args, kwargs)
        elif name in RECURRENT and matrices:
            self._note_gates(matrices, upstream)
            upstream |= self._watch_recurrent(name, args, matrices, data, result, upstream)
        elif matrices and len(results) == 1 and result.ndim > 1:
            zero = _is_zero(matrices[0][0])
            self._note_gates(matrices[1:] if not zero else matrices, upstream)
            axis, kind = (1, "convolution") if name in CONVOLUTIONS else (-1, "linear")
            kind = "lookup" if name in LOOKUPS else kind
            upstream |= self._watch(matrices[0][1], zero, axis, kind, data, result, upstream)
            self.layers[-1].enlarged = self._is_enlarged(*matrices[0])
        else:
            self._note_gates(matrices, upstream)
            if name in ACTIVATIONS:
                self._activate(name, data, result)
            elif name == "softmax":
                self.attentions.soften(args, kwargs, data[0], result)
            elif name in MATRIX_PRODUCTS and len(data) > 1:
                self.attentions.multiply(data, result)
        if upstream:
            for result in results:
                self._upstream[result] = upstream | self._behind(result)

    def _behind(self, tensor: torch.Tensor) -> int:
        """Bits of the layers that a tensor comes from."""
        return self._upstream.get(tensor) or 0

    def _names(self, tensor: torch.Tensor) -> tuple[str, ...] | None:
        """The parameters that a tensor is made of, () for a buffer, None for anything that was computed from data."""
        if id(tensor) in self._buffers:
            return ()
        return self._known.get(id(tensor)) or self._derived.get(tensor)

    def _is_enlarged(self, weight: torch.Tensor, names: tuple[str, ...]) -> bool:
        return weight.numel() > sum(self._parameters[name].numel() for name in names)

    def _note_gates(self, factors: Iterable[tuple[torch.Tensor, tuple[str, ...]]], upstream: int) -> None:
        self._gates += [Gate(names, upstream) for factor, names in factors if upstream and _is_zero(factor)]

    def _note_zero_signals(self, factors: list[torch.Tensor]) -> None:
        """A signal that is zero because its layer is gates what it multiplies (adaLN-Zero)."""
        for factor in factors:
            made_by = self._behind(factor)
            zero = [layer for layer in self.layers if made_by >> layer.index & 1 and layer.zero]
            if zero and _is_zero(factor):
                gated = [self._behind(other) for other in factors if other is not factor]
                self._gates += [Gate(zero[-1].names, upstream & ~(1 << zero[-1].index)) for upstream in gated]

    def _follow(self, name: str, data: list[torch.Tensor], results: list[torch.Tensor], scales: _Weights) -> None:
        """Carry what is known of the inputs over to the results."""
        rescaled = name in NORMS
        self.attentions.carry(data, results)
        if name not in SUMS and not rescaled:
            self.streams.carry(data, results)
        if name in PRODUCTS and len(data) > 1:
            whole = [tensor for tensor in data if tensor.numel() == results[0].numel()]
            if len(whole) != 1:
                return  # a product of two signals is neither
            data, rescaled = whole, True
        followed = [(layer, norm) for tensor in data for layer, norm in self._followed.get(tensor) or ()]
        if name in SUMS and len(data) > 1:
            for layer, _ in followed:
                layer.joined = True
        elif rescaled:
            for layer, _ in followed:
                layer.normalised |= not layer.joined
                layer.norm = next((found[0] for _, found in scales), layer.norm)
        kept = {layer.index: (layer, norm or rescaled) for layer, norm in followed if not layer.activation}
        for result in results if kept else ():
            self._followed[result] = tuple(kept.values())

    def _activate(self, name: str, data: list[torch.Tensor], result: torch.Tensor) -> None:
        found: dict[int, Answer[measure.Activated]] = {}
        seen = result if result.ndim > 1 else result.reshape(-1, 1)  # one unit, whose axis was squeezed away
        for layer, normalised in self._followed.first(data) or ():
            if not layer.activation:
                layer.activation, layer.normalised = name, normalised or layer.normalised
                axis = layer.unit_axis % seen.ndim
                if axis not in found:
                    found[axis] = self._bundle.ask(measure.each_activated, seen, name, axis)
                layer.behind = self._moments[result] = found[axis]
        self._followed.pop(result)  # it worked in place

    def _moment(self, tensor: torch.Tensor) -> Answer[Any]:
        """The second moment of a tensor, measured once."""
        found = self._moments.get(tensor)
        if found is None:
            found = self._moments[tensor] = self._bundle.ask(measure.each_moment, tensor)
        return found

    def _watch_recurrent(
        self,
        name: str,
        args: tuple[Any, ...],
        matrices: _Weights,
        data: list[torch.Tensor],
        result: torch.Tensor,
        upstream: int,
    ) -> int:
        names = tuple(dict.fromkeys(one for _, found in matrices for one in found))
        time_first = not name.endswith("_cell") and result.ndim == 3 and args[-1] is False
        zero = all(_is_zero(tensor) for tensor, _ in matrices)
        seen = result.transpose(0, 1) if time_first else result
        return self._watch(names, zero, -1, "recurrent", data, result, upstream, seen=seen)

    def _watch(
        self,
        names: tuple[str, ...],
        zero: bool,
        unit_axis: int,
        kind: str,
        data: list[torch.Tensor],
        result: torch.Tensor,
        upstream: int,
        seen: torch.Tensor | None = None,
    ) -> int:
        seen = result if seen is None else seen
        axis = unit_axis % result.ndim
        inflow = next((tensor for tensor in data if tensor.is_floating_point()), None)
        output = self._moments[result] = self._bundle.ask(measure.each_output, seen, axis)
        layer = Watched(
            index=len(self.layers),
            name=names[0],
            names=names,
            upstream=upstream,
            zero=zero,
            unit_axis=unit_axis,
            kind=kind,
            width=result.shape[unit_axis],
            count=result.numel(),
            output=output,
            inflowing=None if inflow is None else self._moment(inflow),
            keys=None if self._inputs is None else measure.unit_keys(result, axis),
        )
        self.layers.append(layer)
        self._seen.update(names)
        self._followed[result] = ((layer, False),)
        if result.grad_fn is not None:
            shared = self._inputs is not None and kind == "lookup" and not upstream and len(result) != self._inputs
            # on the node that made the result: as a hook on the tensor, which takes four times as long to set
            result.grad_fn.register_prehook(self._receiver(layer, result.output_nr, shared))
        return 1 << layer.index

    def _receiver(self, layer: Watched, output: int, shared: bool) -> Callable[[Sequence[torch.Tensor | None]], None]:
        """What looks at the gradient of a layer's output when it arrives, among those of its function's outputs."""

        def receive(gradients: Sequence[torch.Tensor | None]) -> None:
            gradient = gradients[output]
            if gradient is None or gradient.numel() == 0:  # an expert that no input was sent to
                return
            layer.received = self._bundle.ask(measure.each_moment, gradient, lasts=True)
            if shared:
                layer.shared_gradient = gradient.detach()
            if layer.zero:
                layer.twin_gradients = measure.twin_share(gradient, layer.unit_axis, moving=True)

        return receive


def _scales(name: str, kwargs: Mapping[str, Any], weights: _Weights) -> _Weights:
    """The parameters among a passing function's arguments that multiply its input."""
    if name in PRODUCTS:
        return weights
    if name not in NORMS:
        return []
    if "weight" in kwargs:
        return [(tensor, names) for tensor, names in weights if tensor is kwargs["weight"]]
    return weights[:1]  # torch's norms take the weight before the bias


def tensors_in(value: Any) -> list[torch.Tensor]:
    """The tensors in a function's arguments or in its result, in the order in which they stand there."""
    if isinstance(value, torch.Tensor):
        return [value]
    if isinstance(value, dict):
        value = value.values()
    elif not isinstance(value, (tuple, list)):
        return []
    found = []
    for one in value:
        if isinstance(one, torch.Tensor):
            found.append(one)
        elif isinstance(one, (tuple, list, dict)):
            found += tensors_in(one)
    return found


def _is_zero(tensor: torch.Tensor) -> bool:
    """Whether a tensor is zero throughout; one number settles it for most."""
    found = tensor.detach()
    return not (found.numel() and found[(0,) * found.ndim].item()) and not found.any()
