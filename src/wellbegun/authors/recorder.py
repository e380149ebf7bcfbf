"""The recorder: sees every operation while an author's code runs, and computes only what no random number touches."""

from __future__ import annotations

import sys
from types import FrameType
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

from wellbegun.authors.complexes import JOINS, joined
from wellbegun.authors.expression import NOTHING, OPAQUE, Expression, constant
from wellbegun.authors.memory import Cell, Memory, Piece, Value
from wellbegun.authors.operations import CONSTANTS, COPIES, EMPTIES, expression_of, meaning
from wellbegun.authors.origin import Origin
from wellbegun.authors.region import Layout, box_of, whole
from wellbegun.authors.schema import SMALL, device_of, hollow, is_view, one_number, shapes_of, write_places, written_by
from wellbegun.authors.tape import Given, Ref, Step, Tape, write_law
from wellbegun.authors.wholes import find_whole
from wellbegun.laws import Law

KEEPS_ORIGIN = COPIES | {"copy"}
"""Operations whose results were made where their argument was."""

FILLS = frozenset(
    "copy_ fill_ zero_ normal_ uniform_ exponential_ trunc_normal_ orthogonal_ sparse_ dirac_ write_law".split()
)
"""In-place operations that do not read what they overwrite."""

SHARED = KEEPS_ORIGIN | {"normal", "randn", "randn_like", "mul", "div", "empty", "empty_like", "new_empty"}
"""Operations that mean the same for complex numbers, whose two parts share the variance."""

LOOKED_AT = "looked at"
"""Name of the streams whose numbers code gets to see when it asks for a random value while it is recorded."""


class Recorder(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Memory that random numbers go into is not filled but written down: what it would hold, and how.

    Every other tensor is computed as usual. A storage that is not known here is an ordinary one.
    """

    def __init__(self, seed: int = 0) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.seed = seed
        self.tape = Tape()
        self.memories: dict[int, Memory] = {}
        self.count = 0
        self.looked_at: set[int] = set()
        self.lookers: set[str] = set()
        self.fixed: dict[int, torch.UntypedStorage] = {}
        self.copies: dict[int, torch.UntypedStorage] = {}
        self._inside: FrameType | None = None

    def memory(self, tensor: torch.Tensor) -> Memory | None:
        """The recorded memory behind a tensor, None for an ordinary tensor."""
        return self.memories.get(tensor.untyped_storage()._cdata) if tensor.layout == torch.strided else None

    def value(self, tensor: torch.Tensor) -> Value:
        """What a tensor holds."""
        memory = self.memory(tensor)
        if memory is None:
            everything = whole(tuple(tensor.shape))
            one = one_number(tensor)
            return (Piece(everything, Expression("given", (tensor,)) if one is None else constant(one)),)
        if tensor.dtype != memory.dtype:
            return (Piece(whole(tuple(tensor.shape)), OPAQUE),)
        return memory.read(Layout.of(tensor))

    def watch(self, tensor: torch.Tensor, expression: Expression = NOTHING, origin: Origin | None = None) -> Memory:
        """Take a tensor's storage as memory that is not computed."""
        storage = tensor.untyped_storage()
        memory = Memory(self.count, storage, Layout.of(tensor), tensor.dtype)
        self.count += 1
        self.memories[storage._cdata] = memory
        self.tape.sizes[memory.number] = storage.nbytes()
        if expression.kind != "nothing":
            everything = whole(memory.base.size)
            memory.cells.append(Cell(everything, everything, expression, origin))
        return memory

    def is_fixed(self, tensor: torch.Tensor) -> bool:
        """Whether an ordinary tensor was computed from random numbers that the code has looked at."""
        return tensor.layout == torch.strided and tensor.untyped_storage()._cdata in self.fixed

    def is_copy(self, tensor: torch.Tensor) -> bool:
        """Whether an ordinary tensor was copied (a deepcopy of a layer registers nothing)."""
        return tensor.layout == torch.strided and tensor.untyped_storage()._cdata in self.copies

    def _keep(self, table: dict[int, torch.UntypedStorage], made: Any) -> None:
        for leaf in tree_leaves(made):
            if isinstance(leaf, torch.Tensor) and leaf.layout == torch.strided:
                table[leaf.untyped_storage()._cdata] = leaf.untyped_storage()

    def ref(self, tensor: torch.Tensor) -> Ref | Given:
        """The tensor as the tape knows it."""
        memory = self.memory(tensor)
        if memory is None:
            return Given(tensor.detach().clone())
        return Ref(memory.number, Layout.of(tensor), tensor.dtype)

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        name = func.overloadpacket.__name__
        if is_view(func):
            made = func(*args, **kwargs)
            if name == "set_":
                self._keep(self.copies, made)
            return made
        tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)]
        lazy = any(self.memory(tensor) is not None for tensor in tensors)
        lazy = lazy or (bool(tensors) and tensors[0].is_meta and bool(write_places(func)))
        random = torch.Tag.nondeterministic_seeded in func.tags
        to_meta = name == "_to_copy" and device_of(args, kwargs) == "meta" and not tensors[0].is_meta
        if not (lazy or random or to_meta or name in EMPTIES or name in CONSTANTS):
            made = func(*args, **kwargs)
            if self.fixed and any(self.is_fixed(tensor) for tensor in tensors):
                self._keep(self.fixed, made)
            if name == "clone":
                self._keep(self.copies, made)
            return made
        if lazy or random:
            inside = self._whole(func, args, kwargs)
            if inside is not None:
                return inside[0]
            if not random and self._settled(tensors) and not self._stays(name, args):
                for tensor in tensors:
                    self.settle(tensor)
                return func(*args, **kwargs)
        return self._record(func, name, args, kwargs, random)

    def _record(self, func: Any, name: str, args: tuple[Any, ...], kwargs: dict[str, Any], random: bool) -> Any:
        shapes, needs_numbers = shapes_of(func, args, kwargs)
        if needs_numbers:
            made = func(*self.numbers(args), **self.numbers(kwargs))
            self._keep(self.fixed, made)
            return made
        written = [argument for argument in written_by(func, args, kwargs) if isinstance(argument, torch.Tensor)]
        if not written:
            leaves = [leaf for leaf in tree_leaves(shapes) if isinstance(leaf, torch.Tensor)]
            if (
                name in (EMPTIES | CONSTANTS)
                and device_of(args, kwargs) != "meta"
                and (
                    not leaves[0].dtype.is_floating_point
                    or leaves[0].numel() == 0
                    or (name in CONSTANTS and leaves[0].numel() <= SMALL)
                )
            ):
                return func(*args, **self.numbers(kwargs))
            on_meta = device_of(args, kwargs) == "meta"
            made = tree_map(lambda x: hollow(x) if isinstance(x, torch.Tensor) and not on_meta else x, shapes)
            targets = [leaf for leaf in tree_leaves(made) if isinstance(leaf, torch.Tensor)]
            for target in targets:
                if target.numel():
                    self.watch(target)
        else:
            made, targets = (written[0] if len(written) == 1 else tuple(written)), written
        plain = name if name.startswith("__") else name.rstrip("_")
        value = None
        if len(targets) == 1 and "out" not in kwargs and (plain in SHARED or not targets[0].is_complex()):
            value = meaning(plain, args, kwargs, self._operand, tuple(targets[0].shape), bool(written))
            if value is not None and targets[0].is_complex() and any(p.expression.kind == "opaque" for p in value):
                value = None
            whole_numbers = not (targets[0].dtype.is_floating_point or targets[0].is_complex())
            if value is not None and whole_numbers and not all(p.expression.is_constant for p in value):
                value = None  # rounded on the way
        if value is None and plain in JOINS and not written and targets[0].is_complex():
            value = joined(plain, args, self._operand, targets[0].shape)
        if name == "eye" and "out" in kwargs:
            from wellbegun.laws import Identity

            value = (Piece(whole(tuple(targets[0].shape)), Expression("law", (Identity(),))),)
        arguments, keywords = tree_map(self._taped, (args, kwargs))
        for target in targets:
            if target.numel():
                self._write(target, value or (Piece(whole(tuple(target.shape)), OPAQUE),), plain in KEEPS_ORIGIN)
        if name not in EMPTIES:
            drawn = value[0].expression if random and value is not None else None
            self._tape(func, arguments, keywords, targets, drawn)
        return made

    def take(self, target: torch.Tensor, law: Law) -> None:
        """Write down that a tensor is filled with a law, by a function of wellbegun that writes memory by itself."""
        expression = expression_of(law, target.numel())
        if expression.is_constant:
            with torch.no_grad():
                target.fill_(expression.arguments[0])
            return
        self._write(target, (Piece(whole(tuple(target.shape)), expression),))
        self._tape(write_law, (self.ref(target),), {}, [target], expression)

    def _write(self, target: torch.Tensor, value: Value, copied: bool = False) -> None:
        if all(piece.expression.kind == "nothing" for piece in value):
            return
        origin = Origin.here()
        memory = self.memory(target)
        if memory is None:
            memory = self._unsettle(target)
        if target.dtype != memory.dtype:
            value = (Piece(whole(tuple(target.shape)), OPAQUE),)
        pieces = tuple(Piece(p.box, p.expression, p.origin if copied else None) for p in value)
        memory.write(Layout.of(target), pieces, origin)

    def _unsettle(self, target: torch.Tensor) -> Memory:
        """Random numbers go into a tensor that was computed: from now on it is recorded, its numbers so far given."""
        if target.is_meta:
            return self.watch(target.detach())
        storage = target.untyped_storage()
        count = storage.nbytes() // target.dtype.itemsize
        if target._base is not None and target._base.dtype == target.dtype:
            target = target._base
        flat = torch.empty(0, dtype=target.dtype, device=target.device).set_(storage, 0, (count,), (1,))
        dense = target.numel() == count
        given = target.detach().clone() if dense else flat.clone()
        one = one_number(given)
        expression = Expression("given", (given,)) if one is None else constant(one)
        memory = self.watch(target.detach() if dense else flat, expression)
        ref = Ref(memory.number, memory.base, memory.dtype)
        self.tape.steps.append(
            Step(torch.ops.aten.copy_.default, (ref, Given(given)), {}, (), frozenset({memory.number}))
        )
        return memory

    def _tape(
        self, func: Any, arguments: Any, keywords: Any, targets: list[torch.Tensor], drawn: Expression | None = None
    ) -> None:
        refs = tuple(ref for ref in map(self.ref, targets) if isinstance(ref, Ref))
        name = getattr(getattr(func, "overloadpacket", func), "__name__", "")
        covers = name in FILLS and len(targets) == 1 and self._is_all(targets[0])
        self.tape.steps.append(
            Step(func, arguments, keywords, refs, frozenset(ref.memory for ref in refs), drawn, covers)
        )

    def _is_all(self, target: torch.Tensor) -> bool:
        """Whether a tensor is the whole of its memory."""
        memory = self.memory(target)
        return memory is not None and box_of(memory.base, Layout.of(target)) == whole(memory.base.size)

    def _whole(self, func: Any, args: Any, kwargs: Any) -> tuple[Any] | None:
        """Handle what happens inside a function that is seen as a whole."""
        found = find_whole(sys._getframe(2))
        if found is None:
            self._inside = None
            return None
        frame, (target, expression, function, arguments) = found
        if frame is not self._inside:
            self._inside = frame
            self._write(target, (Piece(whole(tuple(target.shape)), expression),))
            self._tape(function, (self.ref(target),), arguments, [target], expression)
        written = [argument for argument in written_by(func, args, kwargs) if isinstance(argument, torch.Tensor)]
        if written:
            for tensor in written:
                if self.memory(tensor) is None:
                    self.watch(tensor, OPAQUE)
            return (written[0],)
        if torch.Tag.data_dependent_output in func.tags:
            return (False,)
        shapes, _ = shapes_of(func, args, kwargs)
        made = tree_map(lambda leaf: hollow(leaf) if isinstance(leaf, torch.Tensor) else leaf, shapes)
        for leaf in tree_leaves(made):
            if isinstance(leaf, torch.Tensor):
                self.watch(leaf, OPAQUE)
        return (made,)

    def _settled(self, tensors: list[torch.Tensor]) -> bool:
        """Whether no random number has touched any of the tensors."""
        memories = [memory for memory in map(self.memory, tensors) if memory is not None]
        return not any(tensor.is_meta for tensor in tensors) and all(
            memory.cells and all(cell.expression.is_constant for cell in memory.cells) and memory.is_full
            for memory in memories
        )

    def _stays(self, name: str, args: tuple[Any, ...]) -> bool:
        """Whether memory that holds one number need not be computed for this operation."""
        if name.rstrip("_") in {"neg", "clone", "_to_copy", "zero"}:
            return True
        ordinary = [t for t in args if isinstance(t, torch.Tensor) and self.memory(t) is None and t.numel() > 1]
        return name.rstrip("_") in {"fill", "copy", "mul", "div", "add", "sub"} and not ordinary

    def settle(self, tensor: torch.Tensor) -> None:
        """Compute a memory that holds numbers only, in its place."""
        memory = self.memory(tensor)
        if memory is None:
            return
        del self.memories[memory.storage._cdata]
        size, stride, offset = memory.base
        base = torch.empty(0, dtype=memory.dtype, device=tensor.device).set_(memory.storage, offset, size, stride)
        for cell in memory.cells:
            base[tuple(slice(*edge) for edge in cell.box)].fill_(cell.expression.arguments[0])

    def numbers(self, values: Any) -> Any:
        """Replace recorded tensors by numbers, drawn with a seed of their own: somebody wants to see them."""

        def real(leaf: Any) -> Any:
            if not isinstance(leaf, torch.Tensor) or self.memory(leaf) is None:
                return leaf
            if self._settled([leaf]):
                self.settle(leaf)
                return leaf
            ref = self.ref(leaf)
            assert isinstance(ref, Ref)
            self.lookers.add(Origin.here().function)
            self.looked_at |= {number for step in self.tape.slice_for(ref.memory) for number in step.writes}
            return self.tape.play(ref, self.seed, LOOKED_AT, by_place=True)

        return tree_map(real, values)

    def _operand(self, leaf: Any) -> Value:
        if isinstance(leaf, torch.Tensor):
            return self.value(leaf)
        return (Piece((), OPAQUE if isinstance(leaf, complex) else constant(float(leaf))),)

    def _taped(self, leaf: Any) -> Any:
        return self.ref(leaf) if isinstance(leaf, torch.Tensor) else leaf
