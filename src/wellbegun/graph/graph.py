"""What one forward pass showed: operations in order, and which of them uses which parameter."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from wellbegun.laws import Fans
from wellbegun.theory import Activation, find_activation

if TYPE_CHECKING:
    from wellbegun.graph.variable import Variable

WEIGHT_KINDS = frozenset({"linear", "convolution", "transposed convolution", "bilinear", "embedding"})

SQUASHERS = frozenset({"sigmoid", "logsigmoid", "hardsigmoid"})
"""Activations that turn logits into probabilities when they end a model."""


@dataclass(frozen=True)
class Operation:
    """One step of the forward pass.

    Attributes:
        index: position in the order of execution.
        kind: "input", "linear", "convolution", "transposed convolution", "bilinear", "embedding", "norm", "activation",
            "add", "multiply", "scale", "shift", "view", "pool", "dropout", "concat", "matmul", "attention" (queries,
            keys and values are its inputs), "softmax", "noise", "rsqrt", "parameter" (computed from parameters alone)
            or "other".
        detail: the activation's name, or PyTorch's name of the operation; "token" for a parameter that enters the
            network as a signal.
        inputs: indices of the operations whose results it takes: signals first, then what was computed from
            parameters alone.
        shape: of its (first) result.
        weight: the parameter it multiplies with, for the kinds in `WEIGHT_KINDS`; "" if what it multiplies with was
            computed from parameters in other ways than by a scale, a cast or a concatenation.
        factor: of a "scale".
        kept: of a "dropout" at work: share of the values that it keeps, and divides by that share.
        second_moment: of an "input" whose values were given, and of the result of a "norm" that is not 1 (1/d behind
            an L2 normalisation of d numbers).
        scalars: the numbers and texts among its arguments, by position or keyword: ((1, 1.702),) for x * 1.702.
        parameters: the parameters and buffers that it takes as they are, or views of them.
        measured: second moment of its (first) result, where the pass ran on the model's own numbers.
    """

    index: int
    kind: str
    detail: str
    inputs: tuple[int, ...]
    shape: tuple[int, ...]
    weight: str = ""
    factor: float = 1.0
    kept: float = 1.0
    second_moment: float | None = None
    scalars: tuple[tuple[int | str, float | str], ...] = ()
    parameters: tuple[str, ...] = ()
    measured: float | None = None


@dataclass(frozen=True)
class Use:
    """One use of a parameter or buffer by one operation.

    Where the result of a weight operation is cut and the parts go different ways (packed queries, keys and values,
    gates, a fused gate and up projection), there is one use for each part.

    Roles:
        "linear weight", "convolution weight", "transposed convolution weight", "bilinear weight": contracted with a
            signal. "embedding weight": looked up by index.
        "bias": added behind a weight operation, along its outputs.
        "normalisation scale", "normalisation shift", "running mean", "running variance".
        "input weight of gates", "recurrent weight", "projection weight", "gate bias": of torch.nn's recurrent layers;
            `gates` names the equal blocks of rows.
        "multiplied", "divided", "added": elementwise with a signal. "scalar gate": one number that multiplies a signal.
        "position table": one row for each position, added to a signal, or joined to its features.
        "bias table": added to the scores of an attention, looked up or not.
        "attention sink": scores of its own, beside those of an attention.
        "token": rows that enter the network as a signal (class token, learned queries, mask token).
        "activation slope": of PReLU. "counter": an integer that counts calls. "updated": written by the forward pass.
            "index": integers that say which rows are taken. "other": anything else.
        "derived: exp, neg": what is used was computed from it by these steps; `serves` is the role of the result.
        "ambiguous: ...": a weight of three or more dimensions of which no reading is certain; it has no fans.

    Attributes:
        variable: its name.
        role: one of the above.
        operation: index of the operation.
        detail: PyTorch's name of the operation.
        fans: of a weight or bias; of the part, if it is one.
        inputs_first: whether the weight of a matrix product is stored as [inputs, outputs], as in `x @ W`.
        axes: what each dimension of the parameter serves as, one letter each: "o" outputs, "i" inputs, "b" a stack of
            separate weights (experts), "k" taps of a kernel, "v" rows that are looked up, "." none of these, "?"
            unknown. "oi" for nn.Linear, "io" for `x @ W`, "oikk" for a 2-d convolution, "bio" for stacked experts. ""
            if not known.
        region: (start, stop) in each dimension, of the part of the parameter that this use is about; None: all of it,
            or a part that is no rectangle (interleaved heads), for which `part` is True.
        padding_row: row of a look-up table that stands for padding, and is zero.
        part: whether the use is about a part of the parameter.
        factor: the number that the parameter is multiplied with before it is used.
        offset: of a normalisation's scale: the number that is added to the parameter, 1 where it is stored as 1 + w.
        gates: names of the equal blocks of rows of a recurrent layer's parameter, in order.
        serves: of a derived parameter: the role of what was computed from it.
    """

    variable: str
    role: str
    operation: int
    detail: str
    fans: Fans | None = None
    inputs_first: bool = False
    axes: str = ""
    region: tuple[tuple[int, int], ...] | None = None
    padding_row: int | None = None
    part: bool = False
    factor: float = 1.0
    offset: float = 0.0
    gates: tuple[str, ...] = ()
    serves: str = ""


@dataclass(frozen=True)
class Graph:
    """Operations, the variables they use, and the operations whose results the model returns.

    Attributes:
        variables: every parameter and buffer of the model.
        operations: in the order of execution.
        uses: of each variable that the forward pass uses.
        outputs: indices of the operations whose results the model returns.
        unused: of each variable that the forward pass does not use and whose module's type says what it is for: that
            use, with the operation -1.
        functions: the activations that are written out in the model and have no name, by their formula.
    """

    variables: tuple[Variable, ...]
    operations: tuple[Operation, ...]
    uses: dict[str, tuple[Use, ...]] = field(default_factory=dict)
    outputs: tuple[int, ...] = ()
    unused: dict[str, Use] = field(default_factory=dict)
    functions: Mapping[str, Callable[[npt.NDArray[np.float64]], npt.NDArray[np.float64]]] = field(default_factory=dict)

    def activation(self, operation: Operation) -> str | Activation:
        """Return an activation's name, or the activation itself where the model has it written out and it has none."""
        if operation.detail not in self.functions:
            return operation.detail
        if operation.detail not in self._activations:
            self._activations[operation.detail] = find_activation(self.functions[operation.detail])
        return self._activations[operation.detail]

    @cached_property
    def _activations(self) -> dict[str, Activation]:
        return {}

    @cached_property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of each variable, by its name."""
        return {variable.name: variable.shape for variable in self.variables}

    def weight_operations(self) -> Iterator[Operation]:
        """The operations that multiply with a parameter, in order."""
        return (operation for operation in self.operations if operation.kind in WEIGHT_KINDS and operation.weight)

    def consumers(self, index: int) -> list[Operation]:
        """The operations that take the result of this one."""
        return self._consumers.get(index, [])

    @cached_property
    def _consumers(self) -> dict[int, list[Operation]]:
        found: dict[int, list[Operation]] = {}
        for operation in self.operations:
            for index in dict.fromkeys(operation.inputs):
                found.setdefault(index, []).append(operation)
        return found

    def depends(self, index: int, on: int) -> bool:
        """Whether the result of an operation depends on that of an earlier one."""
        seen, waiting = {index}, [index]
        while waiting:
            for before in self.operations[waiting.pop()].inputs:
                if before == on:
                    return True
                if before > on and before not in seen:
                    seen.add(before)
                    waiting.append(before)
        return False

    def source(self, index: int) -> Operation:
        """The operation that decides what flows here: views, dropout, shifts and factors on data are looked through."""
        operation = self._behind(index, ("view", "dropout", "shift"))
        if operation.kind == "scale":
            data = self._behind(operation.index, ("view", "dropout", "shift", "scale"))
            return data if data.kind == "input" else operation
        return operation

    def is_assumed_data(self, index: int) -> bool:
        """Whether this is data that was not given, at most moved, shifted and scaled: nobody knows its size."""
        source = self.source(index)
        return source.kind == "input" and source.second_moment is None

    def _behind(self, index: int, kinds: tuple[str, ...]) -> Operation:
        operation = self.operations[index]
        while operation.kind in kinds and operation.inputs:
            operation = self.operations[operation.inputs[0]]
        return operation
