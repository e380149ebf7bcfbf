"""The tape: operations on memory that is not computed, so that any part of it can be carried out later."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch.utils._pytree import tree_leaves, tree_map

from wellbegun.authors.expression import Expression
from wellbegun.authors.region import Layout
from wellbegun.errors import ArgumentError
from wellbegun.laws import Law, Stored, TruncatedNormal
from wellbegun.sampler import WHOLE, Draw, Stream, write


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
    what was there; `key` names its random numbers in replays that go by place, where something better than its place
    on the tape is known.
    """

    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    keywords: dict[str, Any]
    results: tuple[Ref, ...]
    writes: frozenset[int]
    drawn: Expression | None = None
    covers: bool = False
    key: str = ""

    @property
    def is_random(self) -> bool:
        """Whether it takes random numbers."""
        return self.drawn is not None or torch.Tag.nondeterministic_seeded in getattr(self.function, "tags", ())


@dataclass
class Tape:
    """All steps of a recording, and how large each memory is, in bytes."""

    steps: list[Step] = field(default_factory=list)
    sizes: dict[int, int] = field(default_factory=dict)

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
        taken: dict[int, str] | None = None,
    ) -> torch.Tensor:
        """Carry out what decides a tensor, on the CPU, with the random numbers of (seed, name).

        The k-th draw takes its numbers from the sampler's stream "name/k" where it is a law; others (permutations,
        Bernoulli) come from a torch generator whose seed is one of that stream's words.

        Args:
            wanted: the tensor.
            seed, name: of its random numbers.
            known: by id of a draw, the tensor that it ends up in, and its law: the numbers are then that tensor's, so
                that the gains of a weight normalisation are the norms of the directions that will be written.
            by_place: count draws by their place on the tape, so that they have these numbers in every replay.
            taken: {id of a step: stream of its numbers} in earlier replays, which it keeps in this one; new ones are
                added.
        """
        player = _Player(seed, name, known or {}, self.sizes, taken if taken is not None else {})
        if by_place:
            player.taken = {
                id(step): f"{name}/{step.key or place}" for place, step in enumerate(self.steps) if step.is_random
            }
        for step in self.slice_for(wanted.memory):
            player.run(step)
        return player.tensor(wanted).clone()


class _Player:
    """Memory of a replay."""

    def __init__(
        self,
        seed: int,
        name: str,
        known: Mapping[int, tuple[str, Law]],
        sizes: Mapping[int, int],
        taken: dict[int, str],
    ) -> None:
        self.known, self.sizes, self.taken = known, sizes, taken
        self.seed, self.name, self.draws = seed, name, 0
        self.stream = Stream.of(seed, name)
        self.storages: dict[int, torch.UntypedStorage] = {}

    def tensor(self, ref: Ref) -> torch.Tensor:
        if ref.memory not in self.storages:
            memory = torch.zeros(self.sizes[ref.memory], dtype=torch.uint8)  # what nobody writes is 0 in every replay
            self.storages[ref.memory] = memory.untyped_storage()
        size, stride, offset = ref.layout
        return torch.empty(0, dtype=ref.dtype).set_(self.storages[ref.memory], offset, size, stride)

    def run(self, step: Step) -> None:
        if step.is_random:
            self.stream = Stream.of(self.seed, self.taken.setdefault(id(step), f"{self.name}/{self.draws}"))
            self.draws += 1
        if self._known(step) or self._draw(step):
            return

        def real(leaf: Any) -> Any:
            return self.tensor(leaf) if isinstance(leaf, Ref) else leaf.tensor if isinstance(leaf, Given) else leaf

        arguments, keywords = tree_map(real, (step.arguments, step.keywords))
        with torch.no_grad(), _seeded(self.stream if step.is_random else None):
            made = step.function(*arguments, **_on_cpu(keywords))
        leaves = [leaf for leaf in tree_leaves(made) if isinstance(leaf, torch.Tensor)]
        for ref, leaf in zip(step.results, leaves, strict=False):
            target = self.tensor(ref)
            if target.data_ptr() != leaf.data_ptr():
                target.copy_(leaf)

    def _known(self, step: Step) -> bool:
        """Write the numbers of the tensor that a draw ends up in."""
        if id(step.drawn) not in self.known or len(step.results) != 1:
            return False
        name, law = self.known[id(step.drawn)]
        write_law(self.tensor(step.results[0]), law, Stream.of(self.seed, name))
        return True

    def _draw(self, step: Step) -> bool:
        """Write numbers of the sampler, where the draw is a law."""
        if step.drawn is None or len(step.results) != 1:
            return False
        target = self.tensor(step.results[0])
        if step.drawn.kind in ("law", "truncated"):
            try:
                write_law(target, _whole_law(step.drawn), self.stream)
            except ArgumentError:  # a window that nothing lies in: torch's own function says what it thinks of it
                return False
            return True
        if step.drawn.kind not in ("normal", "uniform"):
            return False
        make = Draw.normal if step.drawn.kind == "normal" else Draw.uniform
        _write_draw(target, make(*step.drawn.arguments), self.stream)
        return True


def _whole_law(drawn: Expression) -> Law:
    if drawn.kind == "law":
        law: Law = drawn.arguments[0]
        return law
    mean, std, low, high = drawn.arguments
    return TruncatedNormal(std, low, high, mean, match_std=False)


def write_law(target: torch.Tensor, law: Law, stream: Stream) -> None:
    """Write a law's numbers into a whole CPU tensor, rounded to its type."""
    shape = tuple(target.shape)
    whole = str(target.dtype).removeprefix("torch.") in WHOLE
    precision = np.float64 if target.dtype == torch.float64 or whole else np.float32
    points = None if law.structured else law.points(shape)
    if not law.structured and points is None:
        _write_draw(target, law.element_draw(), stream)
        return
    if isinstance(law, Stored):
        values = np.array(law.values)
    elif law.structured:
        values = np.array(law.block(stream, shape, precision))
    else:
        assert points is not None
        values = np.zeros(shape, precision)
        values.reshape(-1)[points[0]] = points[1]
    with torch.no_grad():
        target.copy_(torch.from_numpy(values))


def _write_draw(target: torch.Tensor, draw: Draw, stream: Stream) -> None:
    """Write an element-wise draw; both parts of a complex number."""
    wide = target.dtype in (torch.float64, torch.complex128) or not (
        target.dtype.is_floating_point or target.is_complex()
    )
    parts = []
    for part in draw.complex_parts() if target.is_complex() else (draw,):
        parts.append(np.empty(target.numel(), np.float64 if wide else np.float32))
        write(parts[-1], part, stream, 0)
    values = [torch.from_numpy(part).view(target.shape) for part in parts]
    with torch.no_grad():
        target.copy_(torch.complex(*values) if target.is_complex() else values[0])


@contextmanager
def _seeded(stream: Stream | None) -> Iterator[None]:
    """Let torch's own random functions take their numbers from a stream's key, its global state untouched."""
    if stream is None:
        yield
        return
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(int(stream.key[0]))
        yield


def _on_cpu(keywords: dict[str, Any]) -> dict[str, Any]:
    keywords = {name: value for name, value in keywords.items() if name != "generator"}
    return keywords | {"device": torch.device("cpu")} if keywords.get("device") is not None else keywords
