"""From a recording to laws and notes, tensor by tensor."""

from __future__ import annotations

import functools
import math
from collections.abc import Container, Mapping

import numpy as np
import torch

from wellbegun.authors.authored import Authored, Authorship
from wellbegun.authors.expression import DRAWS, Expression
from wellbegun.authors.memory import Value
from wellbegun.authors.origin import Origin
from wellbegun.authors.recorder import LOOKED_AT, Recorder
from wellbegun.authors.resolve import law_of
from wellbegun.authors.tape import Ref
from wellbegun.laws import (
    Computed,
    Constant,
    Law,
    Normal,
    Orthogonal,
    Patched,
    Stored,
    TruncatedNormal,
    Uniform,
)
from wellbegun.sampler import WHOLE


def judge(
    recorder: Recorder, tensors: Mapping[str, torch.Tensor], places: Mapping[int, Origin], seen: Container[str]
) -> Authored:
    """Say what each named tensor holds.

    Args:
        recorder: that has seen the code run.
        tensors: by name, before anything is done to them.
        places: by id of the tensor, where it was registered as a parameter or buffer.
        seen: names of the ordinary tensors whose numbers can be relied on.
    """
    canonical: dict[int, str] = {}
    for name, tensor in tensors.items():
        canonical.setdefault(id(tensor), name)
    first_with: dict[int, str] = {}
    known: dict[int, tuple[str, Law]] = {}
    made: dict[str, Authorship] = {}
    for name in canonical.values():
        tensor = tensors[name]
        done = from_laws(recorder, name, tensor, places.get(id(tensor)), name in seen, first_with)
        if done is None:
            continue
        made[name] = done
        draw = _draw_of(recorder, tensor)
        if draw is not None and done.law is not None:
            known.setdefault(id(draw), (name, done.law))
    for name in canonical.values():
        if name not in made:
            made[name] = replayed(recorder, name, tensors[name], known)
    return Authored({name: made[canonical[id(tensor)]] for name, tensor in tensors.items()})


def from_laws(
    recorder: Recorder, name: str, tensor: torch.Tensor, place: Origin | None, seen: bool, first_with: dict[int, str]
) -> Authorship | None:
    """What a tensor holds, None if only a replay can tell."""
    if recorder.memory(tensor) is None:
        if tensor.is_meta or not seen:
            return Authorship(None, "no code was seen that gives it a value")
        if recorder.is_fixed(tensor):
            return Authorship(stored(tensor), f"computed by {place} from random numbers: {_fixed(recorder)}", True)
        return _computed(stored(tensor), place)
    value = recorder.value(tensor)
    origin = _origin(value) or place
    if any(piece.expression.kind == "nothing" for piece in value):
        part = "a part of it is" if len(value) > 1 else "it is"
        maker = f", made by {place}" if place else ""
        return Authorship(None, f"{part} memory that no code was seen to fill{maker}")
    law = law_of(value, tuple(tensor.shape))
    if law is None:
        return None
    note, looked = (
        _note(law, value, origin, name, first_with),
        origin is not None and origin.function in recorder.lookers,
    )
    return Authorship(law, f"{note}; that code looks at random numbers: {_fixed(recorder)}" if looked else note, looked)


def replayed(
    recorder: Recorder,
    name: str,
    tensor: torch.Tensor,
    known: Mapping[int, tuple[str, Law]],
    taken: dict[int, str] | None = None,
) -> Authorship:
    """What a tensor holds that has no law: carried out from the tape (see `Tape.play`)."""
    ref = recorder.ref(tensor)
    assert isinstance(ref, Ref)
    steps = recorder.tape.slice_for(ref.memory)
    if any(step.writes & recorder.looked_at for step in steps):  # what the code did depends on what it saw
        made = recorder.tape.play(ref, recorder.seed, LOOKED_AT, by_place=True)
    else:
        made = recorder.tape.play(ref, recorder.seed, name, known, taken=taken)
    law, origin = stored(made), _origin(recorder.value(tensor))
    if not any(step.is_random for step in steps):
        return _computed(law, origin)
    where = origin or "its constructor"
    note = f"replayed: what {where} does has no law; {_fixed(recorder)}"
    return Authorship(law, note, replayed=True)


def _fixed(recorder: Recorder) -> str:
    return f"the numbers are fixed to seed {recorder.seed}"


def _computed(law: Law | None, origin: Origin | None) -> Authorship:
    note = f"computed by {origin}" if origin else "computed by its constructor"
    return Authorship(law, note if law is not None else f"{note}, and holds nan")


def _origin(value: Value) -> Origin | None:
    return next((piece.origin for piece in value if piece.origin is not None), None)


def _draw_of(recorder: Recorder, tensor: torch.Tensor) -> Expression | None:
    """The draw that a tensor holds as it came."""
    if recorder.memory(tensor) is None:
        return None
    value = recorder.value(tensor)
    expression = value[0].expression
    return expression if len(value) == 1 and expression.kind in (*DRAWS, "law") else None


def stored(tensor: torch.Tensor) -> Law | None:
    """Return the law of a tensor whose numbers are known: a constant, or the numbers themselves."""
    plain = tensor.detach()
    if plain.layout != torch.strided or plain.is_meta:
        return None
    if plain.is_complex():  # a real number everywhere, or the numbers themselves
        one = not plain.imag.any() and plain.numel() > 0 and bool((plain.real == plain.real.reshape(-1)[0]).all())
        if one:
            return stored(plain.real)
    dtype = str(plain.dtype).removeprefix("torch.")
    if plain.numel() == 0:
        return Constant(0.0)
    if plain.dtype.is_floating_point and dtype != "float64":
        plain = plain.float()
    array = plain.resolve_conj().cpu().numpy()
    first = array.reshape(-1)[0]
    real = array.dtype.kind != "c"
    if real and (array == first).all() and math.isfinite(first) and float(np.float32(first)) == first:
        return Constant(float(first))
    if dtype not in WHOLE and np.isnan(array).any():
        return None
    return Stored(array)


def _note(law: Law, value: Value, origin: Origin | None, name: str, first_with: dict[int, str]) -> str:
    draws = [node for piece in value for node in piece.expression.nodes() if node.kind in DRAWS]
    verb = "drawn" if draws or isinstance(law, Orthogonal) else "set"
    text = f"{verb} by {origin}{described(law)}" if origin else f"{verb} by its constructor{described(law)}"
    if isinstance(law, Patched):
        text += f", and other laws in {len(law.patches)} part{'s' if len(law.patches) > 1 else ''} of it"
    if origin is not None and origin.before:
        text += f"; overwrites {origin.before}"
    others = {first_with[id(node)] for node in draws if id(node) in first_with} - {name}
    for node in draws:
        first_with.setdefault(id(node), name)
    if others:
        text += f"; the author's code copies {min(others)}, so that both are equal: here it gets numbers of its own"
    return text


@functools.singledispatch
def described(law: Law) -> str:
    """The law in a few words, for a note."""
    return f" as {law!r}"


@described.register
def _(law: Normal) -> str:
    return f" at N({law.mean:.4g}, {law.std:.4g}²)"


@described.register
def _(law: Uniform) -> str:
    even = math.isclose(law.low, -law.high)
    return f" at U(±{law.high:.4g})" if even else f" at U({law.low:.4g}, {law.high:.4g})"


@described.register
def _(law: TruncatedNormal) -> str:
    return f" at N({law.mean:.4g}, {law.std:.4g}²) cut at {law.low:.4g} and {law.high:.4g} sigma"


@described.register
def _(law: Constant) -> str:
    return f" to {law.value:.6g}"


@described.register
def _(law: Computed) -> str:
    return f" as a function of random numbers ({len(law.steps)} steps)"


@described.register
def _(law: Patched) -> str:
    return described(law.base)
