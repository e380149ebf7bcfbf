"""What a recording leaves in the tensors of a model that held numbers before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch

from wellbegun.authors.authored import Authorship
from wellbegun.authors.expression import DRAWS, Expression
from wellbegun.authors.held import HELD, HeldRecorder
from wellbegun.authors.judge import from_laws, replayed
from wellbegun.authors.memory import Memory, Value
from wellbegun.authors.region import Box, Layout, whole
from wellbegun.authors.resolve import element_law, trimmed
from wellbegun.authors.tape import Ref
from wellbegun.laws import Constant, Dirac, Identity, Keep, Law, Patched

KEPT = Authorship(Keep(), "the code of the block does not write it", stands=True)


@dataclass(frozen=True)
class Outcome:
    """What one tensor holds after the code has run.

    Attributes:
        authorship: the law, with a note; without a law there is no telling what the tensor would hold.
        stream: name of the tensor whose numbers it is made of: its own, unless the code copies another's.
        shape: the logical one.
    """

    authorship: Authorship
    stream: str
    shape: tuple[int, ...]


def outcomes(recorder: HeldRecorder, tensors: Mapping[str, torch.Tensor]) -> dict[str, Outcome]:
    """Say what each tensor holds; tensors that the code makes of one draw keep that in common.

    Args:
        recorder: that has seen the code run.
        tensors: each once, by the name that keys its numbers.
    """
    made = {name: _without_laws(recorder, tensors, name) for name in tensors}
    made |= _doubled(tensors)
    open_ = {name: tensor for name, tensor in tensors.items() if made[name] is None}
    shared = _Shared(recorder, open_)
    for name, tensor in open_.items():
        if name not in shared.replays:
            made[name] = from_laws(recorder, name, tensor, None, True, {})
    taken: dict[int, str] = {}
    for name, tensor in open_.items():
        if made[name] is None:
            made[name] = replayed(recorder, name, tensor, shared.known, taken)
    found = {}
    for name, authorship in made.items():
        assert authorship is not None
        stream = shared.streams.get(name, name)
        if stream != name:
            authorship = replace(
                authorship, note=f"{authorship.note}; of the numbers of {stream}, which the code copies"
            )
        found[name] = Outcome(authorship, stream, tuple(tensors[name].shape))
    return found


def _without_laws(recorder: HeldRecorder, tensors: Mapping[str, torch.Tensor], name: str) -> Authorship | None:
    """What a tensor holds that no draw has touched, or that is written in parts; None for all others."""
    tensor = tensors[name]
    if tensor.numel() == 0:
        return Authorship(Constant(0.0), "has no elements", stands=True)
    memory = recorder.memory(tensor)
    if memory is None:
        held = recorder.loaded.get(tensor.untyped_storage()._cdata) if tensor.layout == torch.strided else None
        if held is not None and same_bits(tensor, held.numbers()):
            return KEPT
        done = from_laws(recorder, "", tensor, None, True, {})
        assert done is not None
        if done.law is None or done.replayed:
            return done
        before = " from the numbers that it had before" if held is not None else ""
        return replace(done, note=f"computed by the code of the block{before}")
    if not any(cell.expression is HELD for cell in memory.cells):
        return None
    if Layout.of(tensor) == memory.base:
        if all(cell.expression is HELD for cell in memory.cells):
            return KEPT
        law = _over_held(recorder, memory, [other for key, other in tensors.items() if key != name])
        if law is not None:
            origin = next(cell.origin for cell in memory.cells if cell.expression is not HELD)
            return Authorship(law, f"written in a part by {origin}; the rest keeps its numbers")
    recorder.load(memory)
    return _without_laws(recorder, tensors, name)


def _over_held(recorder: HeldRecorder, memory: Memory, others: list[torch.Tensor]) -> Law | None:
    """Laws in rectangles, and the rest as it was; None where a rectangle has no law of its own."""
    patches: list[tuple[Box, Law]] = []
    elsewhere: set[int] | None = None
    for cell in memory.cells:
        if cell.expression is HELD:
            continue
        value = memory.read(memory.base.narrowed(cell.box))
        law = element_law(value[0].expression) if len(value) == 1 else None
        draws = _draws_of(value)
        if draws and elsewhere is None:
            seen = [other for other in others if recorder.memory(other) is not None]
            elsewhere = set().union(*(_draws(recorder, other, recorder.value(other)) for other in seen))
        if law is None or law.structured or isinstance(law, Identity | Dirac) or draws & (elsewhere or set()):
            return None
        patches.append((trimmed(cell.box, memory.base.size), law))
    return Patched(Keep(), tuple(sorted(patches, key=lambda patch: patch[0])))


def _draws_of(value: Value) -> set[int]:
    return {id(n) for piece in value for n in piece.expression.nodes() if n.kind in DRAWS or n.kind == "law"}


def same_bits(one: torch.Tensor, other: torch.Tensor) -> bool:
    """Whether two tensors on the CPU agree in every bit, those of nan too."""
    flat = [tensor.detach().resolve_conj().contiguous().reshape(-1).view(torch.uint8) for tensor in (one, other)]
    return one.dtype == other.dtype and one.shape == other.shape and torch.equal(*flat)


def _doubled(tensors: Mapping[str, torch.Tensor]) -> dict[str, Authorship]:
    """Authorships without a law for tensors that share memory with another one without being the same tensor."""
    first: dict[int, str] = {}
    found = {}
    for name, tensor in tensors.items():
        if tensor.layout == torch.strided and tensor.numel() > 0:
            other = first.setdefault(tensor.untyped_storage()._cdata, name)
            if other != name:
                text = f"the code lets it share memory with {other}; to tie the two, let them be one parameter"
                found[name] = Authorship(None, text)
    return found


class _Shared:
    """Draws that several tensors are made of: code copies a weight, or computes one from another.

    Attributes:
        streams: {tensor: the one whose stream it takes}, where the same law or a multiple of it can do that.
        replays: tensors that only a replay can give what they have in common with others.
        known: {id of a draw: the tensor it ends up in, and its law}, for replays.
    """

    def __init__(self, recorder: HeldRecorder, tensors: Mapping[str, torch.Tensor]) -> None:
        self.streams: dict[str, str] = {}
        self.replays: set[str] = set()
        self.known: dict[int, tuple[str, Law]] = {}
        self._single: dict[str, Expression | None] = {}
        self._shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
        first: dict[int, str] = {}
        for name, tensor in tensors.items():
            value = recorder.value(tensor)
            self._single[name] = _whole_expression(value, tensor)
            draws = _draws(recorder, tensor, value)
            others = sorted({first[draw] for draw in draws if draw in first})
            if recorder.looked_at and _looked_at(recorder, tensor):
                self.replays.add(name)
            elif others:
                self._share(name, others, draws)
            for draw in draws:
                first.setdefault(draw, name)
            self._know(name)
        stale = {name for name, other in self.streams.items() if other in self.replays or name in self.replays}
        self.replays |= stale
        for name in stale:
            del self.streams[name]
        self.known = {draw: (name, law) for draw, (name, law) in self.known.items() if name not in self.replays}

    def _share(self, name: str, others: list[str], draws: set[int]) -> None:
        mine, theirs = self._single[name], self._single[others[0]]
        alike = mine is theirs or (len(draws) == 1 and theirs is not None and len(_nodes(theirs)) == 1)
        if len(others) == 1 and mine is not None and alike and self._shapes[name] == self._shapes[others[0]]:
            self.streams[name] = self.streams.get(others[0], others[0])
            return
        self.replays.add(name)
        self.replays |= {other for other in others if self._single[other] is None or len(self._drawn(other)) != 1}

    def _drawn(self, name: str) -> list[Expression]:
        single = self._single[name]
        return _nodes(single) if single is not None else []

    def _know(self, name: str) -> None:
        drawn = self._drawn(name)
        if len(drawn) == 1:
            law = element_law(drawn[0])
            if law is not None:
                self.known.setdefault(id(drawn[0]), (self.streams.get(name, name), law))


def _nodes(expression: Expression) -> list[Expression]:
    return [node for node in expression.nodes() if node.kind in DRAWS or node.kind == "law"]


def _whole_expression(value: Value, tensor: torch.Tensor) -> Expression | None:
    """The expression of a tensor each of whose elements depends on draws in its own place alone."""
    if len(value) != 1 or value[0].box != whole(tuple(tensor.shape)):
        return None
    expression = value[0].expression
    moved = any(node.kind in ("seen", "opaque", "given", "nothing", "imaginary") for node in expression.nodes())
    return None if moved else expression


def _draws(recorder: HeldRecorder, tensor: torch.Tensor, value: Value) -> set[int]:
    """The draws that a tensor is made of."""
    if not any(node.kind in ("opaque", "given") for piece in value for node in piece.expression.nodes()):
        return _draws_of(value)
    ref = recorder.ref(tensor)
    assert isinstance(ref, Ref)
    steps = recorder.tape.slice_for(ref.memory)
    # a draw without a name is known by its step
    return {id(step.drawn) if step.drawn is not None else id(step) for step in steps if step.is_random}


def _looked_at(recorder: HeldRecorder, tensor: torch.Tensor) -> bool:
    ref = recorder.ref(tensor)
    return isinstance(ref, Ref) and any(
        step.writes & recorder.looked_at for step in recorder.tape.slice_for(ref.memory)
    )
