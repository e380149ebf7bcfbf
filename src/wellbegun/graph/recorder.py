"""The recorder of a forward pass: follows every tensor back to the operation, or the parameters, that it came from."""

from __future__ import annotations

import weakref
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from wellbegun.graph.by_type import by_module_types, unused_by_type
from wellbegun.graph.call import Call
from wellbegun.graph.graph import Graph, Operation, Use
from wellbegun.graph.operations import describe
from wellbegun.graph.rewrite import rewritten
from wellbegun.graph.shadow import Shadow
from wellbegun.graph.slices import Slices, followed
from wellbegun.graph.tracked import Made, Part, Source, Table
from wellbegun.graph.variable import Variable
from wellbegun.laws import Fans

_SUMMED = frozenset({"bias", "added", "token", "position table", "bias table"})
"""Roles that a sum of parameters passes on to each of them."""


class Recorder(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Follows every tensor back to the operation that made it, or to the parameters that it was made from alone."""

    def __init__(
        self,
        variables: Sequence[Variable] = (),
        numbers: Mapping[str, float] | None = None,
        measures: bool = False,
    ) -> None:
        """variables: of the model. numbers: what its buffers of one element hold, where that is known. measures:
        whether second moments of results are taken.
        """
        super().__init__()  # type: ignore[no-untyped-call]
        self.numbers = numbers or {}
        self.measures = measures
        self.variables = {variable.name: variable for variable in variables}
        self.operations: list[Operation] = []
        self.uses: dict[str, list[Use]] = {}
        self._filled: dict[int, tuple[weakref.ref[torch.Tensor], float]] = {}
        self.slices = Slices()
        self.has_affine: set[tuple[int, str]] = set()  # normalisations that have their scale or shift
        self.masks: set[int] = set()  # operations whose results are true or false, or casts of such
        self._table = Table()
        self._asked: set[int] = set()
        self._written: dict[int, int] = {}
        self._kept: list[Any] = []  # storages written in part: their addresses stay theirs

    def know_variable(self, tensor: torch.Tensor, name: str) -> None:
        """Remember that this tensor is a parameter or buffer."""
        self._table.put(tensor, Made(None, (Source(name, Shadow.of(tensor.shape)),)))

    def know_input(self, tensor: torch.Tensor, second_moment: float | None) -> None:
        """Remember that this tensor is an input of the model."""
        index = len(self.operations)
        self.operations.append(Operation(index, "input", "input", (), tuple(tensor.shape), second_moment=second_moment))
        if tensor.dtype == torch.bool:
            self.masks.add(index)
        self._table.put(tensor, Made(index))

    def know(self, tensor: torch.Tensor, made: Made) -> None:
        """Remember where a tensor came from."""
        self._table.put(tensor, made)

    def made(self, value: Any) -> Made | None:
        """What is known of a value; None for constants and anything that is no tensor."""
        made = self._table.get(value)
        if self._written and isinstance(value, torch.Tensor) and (made is None or not made.sources):
            index = self._written.get(_storage(value), -1)
            if made is None and index >= 0:
                return Made(index)
            if made is not None and made.index is not None and index > made.index:
                return Made(index, (), made.parts)
        return made

    def sources(self, value: Any) -> tuple[Source, ...]:
        """The parameters that a value was made from alone; empty for signals and constants."""
        made = self._table.get(value)
        return made.sources if made is not None else ()

    def is_signal(self, value: Any) -> bool:
        """Whether a value depends on the model's inputs (or on rows of parameters that entered as a signal)."""
        made = self.made(value)
        return made is not None and not made.sources

    def result_of(self, value: object) -> int | None:
        """Index of the operation that made a value."""
        made = self.made(value)
        return made.index if made is not None else None

    def source_of(self, value: object) -> Operation | None:
        """The operation that made a value, views looked through."""
        index = self.result_of(value)
        while index is not None and self.operations[index].kind == "view":
            inputs = self.operations[index].inputs
            index = inputs[0] if inputs else None
        return None if index is None else self.operations[index]

    def kind_of(self, value: object) -> str:
        """Kind of the operation that made a value, views looked through; "" for anything else."""
        operation = self.source_of(value)
        return operation.kind if operation is not None else ""

    def record(
        self,
        call: Call,
        kind: str,
        inputs: Sequence[Any],
        *,
        detail: str = "",
        weight: str = "",
        follow: str = "",
        sources: tuple[Source, ...] = (),
        **more: Any,
    ) -> int:
        """Add an operation that has just run, and remember that it made the call's results.

        Args:
            call: the call.
            kind: see `Operation`.
            inputs: tensors; constants among them are left out.
            detail: PyTorch's name unless given.
            weight: the parameter it multiplies with.
            follow: how its result holds outputs of earlier weight operations: "same" if it has the outputs of its
                one signal at the same places, "sum" if those of all signals, "joined" if they were concatenated,
                "apart" if the caller has said which are taken, "" if it mixes them.
            sources: of a result that was made from parameters alone.
            more: further fields of the operation.
        """
        index = len(self.operations)
        made = [found for found in map(self.made, inputs) if found is not None]
        indices = tuple(found.index for found in made if found.index is not None)
        direct = (source for found in map(self._table.get, call.tensors) if found and found.index is None
                  for source in found.sources)  # fmt: skip
        names = tuple(dict.fromkeys(source.variable for source in direct))
        results = call.results
        shape = tuple(results[0].shape) if results else ()
        fields = {"scalars": call.scalars + self._fills(call), "parameters": names, **more}
        if self.measures and results and results[0].is_floating_point():
            fields["measured"] = float(results[0].detach().double().square().mean())
        self.operations.append(Operation(index, kind, detail or call.name, indices, shape, weight, **fields))
        parts: dict[int, Part] = {}
        if not sources:
            parts = followed(self.slices, [found.parts for found in made if not found.sources], follow)
        for tensor in results:
            if tensor.dtype == torch.bool:
                self.masks.add(index)
            known = {at: part.spread(tuple(tensor.shape)) for at, part in parts.items()}
            self._table.put(tensor, Made(index, sources, known))
        if call.in_place and results and not sources:
            self._write(results[0], index)
        return index

    def know_fill(self, tensor: torch.Tensor, number: float) -> None:
        """Remember that a constant holds one number everywhere."""
        self._filled[id(tensor)] = weakref.ref(tensor), number

    def _fills(self, call: Call) -> tuple[tuple[int | str, float | str], ...]:
        """The numbers of constants among the arguments of a choice, by position: max(x, zeros)."""
        if call.name not in ("maximum", "minimum", "where"):
            return ()
        fills = ((place, self._filled.get(id(value))) for place, value in enumerate(call.args))
        known = [(place, fill[1]) for place, fill in fills if fill is not None and fill[0]() is call.args[place]]
        return tuple((place, number) for place, number in known if self.made(call.args[place]) is None)

    def view(self, call: Call, value: torch.Tensor, parts: Sequence[dict[int, Part]]) -> None:
        """Add an operation for each result that shows a signal, or a part of it, in another form; parts: of each."""
        made = self.made(value)
        inputs = () if made is None or made.index is None else (made.index,)
        for tensor, known in zip(call.results, parts, strict=True):
            index = len(self.operations)
            shape = tuple(tensor.shape)
            self.operations.append(Operation(index, "view", call.name, inputs, shape, scalars=call.scalars))
            if self.masks.issuperset(inputs) and inputs:
                self.masks.add(index)
            self._table.put(tensor, Made(index, (), known))

    def ask(self, value: object) -> None:
        """Note that the forward takes a value as a number, and does not compute with it as a signal."""
        index = self.result_of(value)
        if index is not None:
            self._asked.add(index)

    def enter(self, value: torch.Tensor) -> None:
        """Take a parameter, or what was computed from parameters, for a signal from now on: tokens, learned queries."""
        made = self._table.get(value)
        if made is None or not made.sources:
            return
        index = len(self.operations)
        inputs = () if made.index is None else (made.index,)
        names = tuple(dict.fromkeys(source.variable for source in made.sources)) if made.index is None else ()
        self.operations.append(Operation(index, "parameter", "token", inputs, tuple(value.shape), parameters=names))
        self.use_all(made.sources, "token", index, "token")
        self._table.put(value, Made(index))

    def give(self, value: torch.Tensor) -> int | None:
        """Take a value for what the model returns, and return the index of the operation that made it."""
        made = self.made(value)
        if made is None:
            return None
        self.slices.take(made.parts)
        return made.index

    def use(self, name: str, role: str, operation: int, detail: str, fans: Fans | None = None, **more: Any) -> None:
        """Note that an operation uses a parameter or buffer."""
        self.uses.setdefault(name, []).append(Use(name, role, operation, detail, fans, **more))

    def use_all(
        self,
        sources: Sequence[Source],
        role: str,
        operation: int,
        detail: str,
        fans: Fans | None = None,
        letters: str = "",
        blank: str = "",
        **more: Any,
    ) -> None:
        """Note that an operation uses all the parameters that a value was made from.

        Args:
            sources: of the value.
            role: of the value.
            operation: index of the operation.
            detail: PyTorch's name of the operation.
            fans: of the value.
            letters: one for each axis of the value, as in `Use.axes`; "" if that says nothing.
            blank: letter for dimensions of which a single row was taken.
            more: further fields of the use.
        """
        for source in sources:
            rank = len(source.shadow.shape) if source.shadow is not None else -1
            marks = letters if len(letters) == rank else "." * rank
            reading = source.shadow.read(marks) if source.shadow is not None else None
            axes, region = "", None
            empty = blank if blank and not source.derived else "."
            shape = self.variables[source.variable].shape if source.variable in self.variables else ()
            if reading is not None:
                reading = source.whole_rows(reading)
                axes, region = "".join(letter or empty for letter in reading.letters), reading.region
            elif letters:
                axes = "?" * len(shape)
            if role.endswith(" weight") and not source.derived and "?" in axes and len(shape) > 2:
                known = f"ambiguous: {role} whose dimensions cannot be told apart"
                self.use(source.variable, known, operation, detail, None, axes=axes)
                continue
            whole = region is not None and all((0, size) == run for size, run in zip(shape, region, strict=True))
            part = not whole and reading is not None
            fields: dict[str, Any] = {"axes": axes if letters else "", "region": None if whole else region, **more}
            sums = role in _SUMMED and set(source.derived) == {"add"}
            shifted = role == "normalisation scale" and source.derived == ("add",) and source.offset != 0
            fields["offset"] = source.offset
            if source.derived and not (sums or shifted):
                steps = ", ".join(dict.fromkeys(source.derived))
                fields |= {"serves": role}
                self.use(source.variable, f"derived: {steps}", operation, detail, fans, factor=source.factor, **fields)
            else:
                fields |= {"part": part, "factor": source.factor}
                self.use(source.variable, role, operation, detail, fans, **fields)

    def uses_of(self, source: Source) -> list[Use]:
        """The uses of a parameter that were noted so far."""
        return self.uses[source.variable]

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        describe(self, Call(func, args, kwargs or {}, result))
        return result

    def graph(self, variables: tuple[Variable, ...], outputs: tuple[int, ...]) -> Graph:
        """Return what was recorded."""
        uses = self.slices.cut(self.uses)
        self._only_computed_with(uses)
        found = {name: by_module_types(self.variables.get(name), tuple(made)) for name, made in uses.items()}
        whole = Graph(variables, tuple(self.operations), found, outputs, unused_by_type(variables, found))
        return rewritten(whole, {}, frozenset(self._asked))

    def _only_computed_with(self, uses: dict[str, list[Use]]) -> None:
        """A parameter from which something was computed that nothing used has that for its use."""
        for operation in self.operations:
            if operation.kind == "parameter":
                for name in operation.parameters:
                    if name not in uses:
                        use = Use(name, f"derived: {operation.detail}", operation.index, operation.detail)
                        uses[name] = [use]

    def _write(self, tensor: torch.Tensor, index: int) -> None:
        """Remember that an operation wrote into a part of a storage, so that the whole depends on it."""
        if tensor.layout != torch.strided:
            return
        storage = tensor.untyped_storage()
        if tensor.numel() * tensor.element_size() < storage.nbytes():
            self._written[_storage(tensor)] = index
            self._kept.append(storage)


def _storage(tensor: torch.Tensor) -> int:
    return tensor.untyped_storage()._cdata if tensor.layout == torch.strided else -1
