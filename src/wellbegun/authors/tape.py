"""The tape: operations on memory that is not computed, so that any part of it can be carried out later."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch.utils._pytree import tree_leaves, tree_map

from wellbegun.authors.expression import Expression
from wellbegun.authors.region import Layout
from wellbegun.laws import Law
from wellbegun.sampler import Draw, Stream, write


@dataclass(frozen=True)
class Ref:
    """A tensor over recorded memory."""

    memory: int
    layout: Layout
    dtype: torch.dtype


@dataclass(frozen=True)
class Given:
    """A tensor of known numbers, as they were then."""

    tensor: torch.Tensor


@dataclass(frozen=True)
class Step:
    """One operation: a function of torch, its arguments with tensors as Ref or Given, and where its results lie.

    `drawn` is the draw that it makes, where that is one; `covers` says that it fills a whole memory without a look at
    what was there.
    """

    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    keywords: dict[str, Any]
    results: tuple[Ref, ...]
    writes: frozenset[int]
    drawn: Expression | None = None
    covers: bool = False

    @property
    def is_random(self) -> bool:
        """Whether it takes random numbers."""
        return self.drawn is not None or torch.Tag.nondeterministic_seeded in getattr(self.function, "tags", ())


@dataclass
class Tape:
    """All steps of a recording, and how large each memory is (in elements of its own type)."""

    steps: list[Step] = field(default_factory=list)

    def slice_for(self, memory: int) -> list[Step]:
        """The steps that decide what a memory holds in the end, in order."""
        needed, found = {memory}, []
        for step in reversed(self.steps):
            if step.writes & needed:
                found.append(step)
                if step.covers:
                    needed -= step.writes
                leaves = tree_leaves((step.arguments, step.keywords))
                written = step.writes if step.covers else frozenset()
                needed.update(leaf.memory for leaf in leaves if isinstance(leaf, Ref) and leaf.memory not in written)
        return found[::-1]

    def play(
        self,
        wanted: Ref,
        seed: int,
        name: str,
        known: Mapping[int, tuple[str, Law]] | None = None,
        by_place: bool = False,
    ) -> torch.Tensor:
        """Carry out what decides a tensor, on the CPU, with the random numbers of (seed, name).

        The k-th draw takes its normal and uniform numbers from the sampler's stream "name/k"; other numbers
        (permutations, Bernoulli) come from a torch generator whose seed is one of that stream's words.

        Args:
            wanted: the tensor.
            seed, name: of its random numbers.
            known: by id of a draw, the tensor that it ends up in, and its law: the numbers are then that tensor's, so
                that the gains of a weight normalisation are the norms of the directions that will be written.
            by_place: count draws by their place on the tape, so that they have these numbers in every replay.
        """
        player = _Player(seed, name, known or {})
        places = {id(step): place for place, step in enumerate(self.steps)} if by_place else {}
        for step in self.slice_for(wanted.memory):
            player.run(step, places.get(id(step)))
        return player.tensor(wanted).clone()


class _Player:
    """Memory of a replay."""

    def __init__(self, seed: int, name: str, known: Mapping[int, tuple[str, Law]]) -> None:
        self.known = known
        self.seed, self.name, self.draws = seed, name, 0
        self.stream = Stream.of(seed, name)
        self.storages: dict[int, torch.UntypedStorage] = {}

    def tensor(self, ref: Ref) -> torch.Tensor:
        size, stride, offset = ref.layout
        width = ref.dtype.itemsize
        reach = offset + 1 + sum((n - 1) * s for n, s in zip(size, stride, strict=True))
        storage = self.storages.get(ref.memory)
        if storage is None or storage.nbytes() < reach * width:
            grown = torch.zeros(reach * width, dtype=torch.uint8).untyped_storage()
            if storage is not None:
                grown[: storage.nbytes()] = storage
            storage = self.storages[ref.memory] = grown
        return torch.empty(0, dtype=ref.dtype).set_(storage, offset, size, stride)

    def run(self, step: Step, place: int | None) -> None:
        if step.is_random:
            self.stream = Stream.of(self.seed, f"{self.name}/{self.draws if place is None else place}")
            self.draws += 1

        def real(leaf: Any) -> Any:
            return self.tensor(leaf) if isinstance(leaf, Ref) else leaf.tensor if isinstance(leaf, Given) else leaf

        arguments, keywords = tree_map(real, (step.arguments, step.keywords))
        with torch.no_grad():
            drawn = self._known(step)
            if drawn is None:
                drawn = self._draw(step.function, arguments, keywords)
            if drawn is not None:
                made = drawn
            else:
                if _takes_generator(step.function):
                    keywords = keywords | {"generator": torch.Generator().manual_seed(self.stream.key[0])}
                made = step.function(*arguments, **_on_cpu(keywords))
        leaves = [leaf for leaf in tree_leaves(made) if isinstance(leaf, torch.Tensor)]
        for ref, leaf in zip(step.results, leaves, strict=False):
            target = self.tensor(ref)
            if target.data_ptr() != leaf.data_ptr():
                target.copy_(leaf)

    def _known(self, step: Step) -> torch.Tensor | None:
        """The numbers of the tensor that a draw ends up in."""
        if id(step.drawn) not in self.known or len(step.results) != 1:
            return None
        name, law = self.known[id(step.drawn)]
        target = self.tensor(step.results[0])
        precision = np.float64 if target.dtype == torch.float64 else np.float32
        values = np.empty(tuple(target.shape), precision)
        if law.structured:
            values = law.block(Stream.of(self.seed, name), values.shape, precision)
        else:
            law.draw(values.reshape(-1), Stream.of(self.seed, name), 0)
        return target.copy_(torch.from_numpy(values))

    def _draw(self, function: Any, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> torch.Tensor | None:
        """Normal and uniform numbers by the sampler."""
        name = getattr(getattr(function, "overloadpacket", None), "__name__", "")
        if name not in ("normal_", "uniform_") or arguments[0].dtype not in (torch.float32, torch.float64):
            return None
        numbers = dict(zip(("mean", "std") if name == "normal_" else ("from", "to"), arguments[1:], strict=False))
        numbers |= {key: value for key, value in keywords.items() if key != "generator"}
        if name == "normal_":
            draw = Draw.normal(float(numbers.get("mean", 0.0)), float(numbers.get("std", 1.0)))
        else:
            draw = Draw.uniform(float(numbers.get("from", 0.0)), float(numbers.get("to", 1.0)))
        buffer = torch.empty(arguments[0].numel(), dtype=arguments[0].dtype)
        write(buffer.numpy(), draw, self.stream, 0)
        arguments[0].copy_(buffer.view(arguments[0].shape))
        return arguments[0]  # type: ignore[no-any-return]


def _takes_generator(function: Any) -> bool:
    schema = getattr(function, "_schema", None)
    if schema is not None:
        return any(argument.name == "generator" for argument in schema.arguments)
    return getattr(function, "__module__", "") == "torch.nn.init" and function.__name__ != "sparse_"


def _on_cpu(keywords: dict[str, Any]) -> dict[str, Any]:
    return keywords | {"device": torch.device("cpu")} if keywords.get("device") is not None else keywords
