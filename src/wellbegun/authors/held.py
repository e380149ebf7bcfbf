"""A recorder for models that hold numbers: what the code overwrites is written down, what it reads it really gets."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch.utils._pytree import tree_leaves

from wellbegun.authors.expression import Expression
from wellbegun.authors.memory import Cell, Memory
from wellbegun.authors.operations import CONSTANTS, EMPTIES
from wellbegun.authors.origin import Origin
from wellbegun.authors.recorder import FILLS, Recorder
from wellbegun.authors.region import Layout, box_of, intersect
from wellbegun.authors.schema import is_view, write_places
from wellbegun.authors.tape import Given, Ref, Step
from wellbegun.errors import ArgumentError

OVERWRITES = FILLS | {"random_", "bernoulli_", "log_normal_", "cauchy_", "geometric_"}
"""In-place operations that read nothing of what they write."""

SHAPE_ALONE = EMPTIES | CONSTANTS | {"rand_like", "randn_like", "randint_like"}
"""Operations that read no number of their arguments."""

HELD = Expression("held")
"""The number that a tensor of the model has had since before the recording."""


OUTSIDE = "outside of the model"
"""Name of the streams of tensors that code makes and keeps, and that are none of the model's."""


@dataclass(frozen=True)
class Held:
    """What a recorded memory stands for.

    Attributes:
        name: of the model's tensor.
        numbers: returns its numbers as a tensor on the CPU, or raises ArgumentError where they cannot be had.
    """

    name: str
    numbers: Callable[[], torch.Tensor]


class HeldRecorder(Recorder):  # type: ignore[no-untyped-call]
    """Memory that stands for a tensor with numbers of its own keeps them, as far as nobody writes over them.

    Where code reads such numbers, they are copied into the memory, which is an ordinary tensor from then on; so code
    that scales a weight or writes every second row of it does what it would do without a recording.
    """

    def __init__(self, seed: int = 0) -> None:
        super().__init__(seed)
        self.held: dict[int, Held] = {}
        self.loaded: dict[int, Held] = {}
        self._real: dict[int, str] = {}
        self._kept: list[torch.UntypedStorage] = []
        self._context = ""
        self._draws: Counter[str] = Counter()

    def stand_for(self, stand_in: torch.Tensor, held: Held) -> None:
        """Take a tensor's memory as that of a tensor of the model."""
        memory = self.watch(stand_in, HELD)
        self.held[memory.number] = held

    def forbid(self, tensor: torch.Tensor, name: str) -> None:
        """Raise an error where code works on this tensor of the model itself, and not on its stand-in."""
        if type(tensor).__name__ != "DTensor" and tensor.layout == torch.strided:
            try:
                storage = tensor.untyped_storage()
            except (NotImplementedError, RuntimeError):  # a class made of several tensors
                return
            self._real[storage._cdata] = name
            self._kept.append(storage)

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        self._check(func, args, kwargs)
        if not is_view(func):
            for tensor in self._read(func, args, kwargs):
                memory = self.memory(tensor)
                if memory is not None and memory.number in self.held and self._holds(memory, tensor):
                    self.load(memory)
        return super().__torch_dispatch__(func, types, args, kwargs)

    def load(self, memory: Memory) -> None:
        """Put the model's own numbers into the parts of a memory that nobody has written.

        Raises:
            ArgumentError: they cannot be had.
        """
        held = self.held[memory.number]
        try:
            numbers = held.numbers()
        except ArgumentError as error:
            raise ArgumentError(f"{Origin.here()} reads the numbers that {held.name} had before: {error}") from None
        plain = all(cell.expression is HELD or cell.expression.is_constant for cell in memory.cells)
        size, stride, offset = memory.base
        storage = memory.storage
        base = torch.empty(0, dtype=memory.dtype).set_(storage, offset, size, stride)
        cells = []
        for cell in memory.cells:
            index = tuple(slice(*edge) for edge in cell.box)
            if cell.expression is not HELD:
                cells.append(cell)
                if plain:
                    base[index].fill_(cell.expression.arguments[0])
                continue
            given = numbers[index].clone()
            if plain:
                base[index].copy_(given)
                continue
            cells.append(Cell(cell.box, cell.box, Expression("given", (given,)), None))
            ref = Ref(memory.number, Layout.of(base[index]), memory.dtype)
            numbered = frozenset({memory.number})
            self.tape.steps.append(Step(torch.ops.aten.copy_.default, (ref, Given(given)), {}, (), numbered))
        memory.cells = cells
        if plain:
            del self.memories[storage._cdata]
            self.loaded[storage._cdata] = held
            self._kept.append(storage)

    def fill_others(self, tensors: Iterable[torch.Tensor]) -> None:
        """Give tensors that are none of the model's, and that somebody still holds, the numbers that they wait for.

        Args:
            tensors: those of the model, which are filled by a plan.
        """
        planned = {t.untyped_storage()._cdata for t in tensors if t.layout == torch.strided}
        for key, memory in self.memories.items():
            alive = torch._C._storage_Use_Count(key) > 1  # somebody besides this recorder
            if key in planned or memory.number in self.held or not alive or memory.storage.device.type == "meta":
                continue
            made = self.tape.play(Ref(memory.number, memory.base, memory.dtype), self.seed, OUTSIDE, by_place=True)
            size, stride, offset = memory.base
            device = memory.storage.device
            base = torch.empty(0, dtype=memory.dtype, device=device).set_(memory.storage, offset, size, stride)
            with torch.no_grad():
                base.copy_(made)

    def _holds(self, memory: Memory, tensor: torch.Tensor) -> bool:
        """Whether a tensor sees elements that nobody has written."""
        held = [cell.box for cell in memory.cells if cell.expression is HELD]
        seen = box_of(memory.base, Layout.of(tensor)) if tensor.dtype == memory.dtype else None
        return bool(held) if seen is None else any(intersect(box, seen) is not None for box in held)

    def _read(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[torch.Tensor]:
        """The tensors whose numbers an operation needs."""
        name = func.overloadpacket.__name__
        if name in SHAPE_ALONE:
            return []
        leaves = tree_leaves((args, {key: value for key, value in kwargs.items() if key != "out"}))
        tensors = [leaf for leaf in leaves if isinstance(leaf, torch.Tensor)]
        if name in OVERWRITES and tensors and tensors[0] is args[0] and self._is_rectangle(tensors[0]):
            return tensors[1:]
        out = kwargs.get("out")
        return [*tensors, out] if isinstance(out, torch.Tensor) and not self._is_rectangle(out) else tensors

    def _is_rectangle(self, target: torch.Tensor) -> bool:
        """Whether a tensor is a rectangle of its memory, which can be written without the rest being read."""
        memory = self.memory(target)
        return memory is None or (target.dtype == memory.dtype and box_of(memory.base, Layout.of(target)) is not None)

    def _check(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Raise ArgumentError for what would go past the stand-ins."""
        for leaf in tree_leaves((args, kwargs)):
            if not isinstance(leaf, torch.Tensor):
                continue
            if type(leaf).__name__ == "DTensor":
                raise ArgumentError(
                    f"{Origin.here()} works on a DTensor, and inside of wb.recording each parameter has a plain tensor "
                    "of the whole shape for a stand-in; take tensors from the model inside of the block, and make no "
                    "DTensors there"
                )
            if leaf.layout != torch.strided:
                continue
            key = leaf.untyped_storage()._cdata
            if key in self._real:
                raise ArgumentError(
                    f"{Origin.here()} works on {self._real[key]} through a reference from before the block, and not on "
                    "the stand-in that the model has inside of wb.recording; take the tensor from the model inside of "
                    "the block"
                )
            memory = self.memories.get(key)
            if memory is not None and memory.number in self.held:
                self._context = self.held[memory.number].name  # the tensor that draws from here on are for
        for place, name in write_places(func):
            written = args[place] if place < len(args) else kwargs.get(name)
            if isinstance(written, list | tuple) and any(self.memory(tensor) is not None for tensor in written):
                raise ArgumentError(
                    f"{Origin.here()} writes several tensors in one operation ({func.overloadpacket.__name__}), which "
                    "cannot be recorded; write them one by one"
                )

    def _tape(
        self, func: Any, arguments: Any, keywords: Any, targets: list[torch.Tensor], drawn: Expression | None = None
    ) -> None:
        super()._tape(func, arguments, keywords, targets, drawn)
        step = self.tape.steps[-1]
        if step.is_random:
            self.tape.steps[-1] = replace(step, key=f"{self._context}/{self._draws[self._context]}")
            self._draws[self._context] += 1
