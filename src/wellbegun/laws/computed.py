"""A small program over random numbers: for starts that no named distribution describes."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wellbegun.errors import ArgumentError
from wellbegun.laws.initializer import Floats, Law, scale, single
from wellbegun.sampler import Draw, Stream, Window, write

MEASURED = 1 << 16
"""Elements from which moments and reach are measured."""

Step = tuple[Any, ...]

_DRAWS = {"normal": 2, "uniform": 2, "truncated": 4}


def _erfinv(x: NDArray[Any]) -> NDArray[Any]:
    from scipy.special import erfinv

    return np.asarray(erfinv(x))


_FUNCTIONS: dict[str, tuple[int, Callable[..., NDArray[Any]]]] = {
    "add": (2, np.add),
    "sub": (2, np.subtract),
    "mul": (2, np.multiply),
    "div": (2, np.divide),
    "pow": (2, np.power),
    "maximum": (2, np.maximum),
    "minimum": (2, np.minimum),
    "neg": (1, np.negative),
    "abs": (1, np.abs),
    "square": (1, np.square),
    "sqrt": (1, np.sqrt),
    "rsqrt": (1, lambda x: 1 / np.sqrt(x)),
    "reciprocal": (1, np.reciprocal),
    "exp": (1, np.exp),
    "expm1": (1, np.expm1),
    "log": (1, np.log),
    "log1p": (1, np.log1p),
    "sin": (1, np.sin),
    "cos": (1, np.cos),
    "tanh": (1, np.tanh),
    "sigmoid": (1, lambda x: 1 / (1 + np.exp(-x))),
    "erfinv": (1, _erfinv),
    "round": (1, np.round),
    "floor": (1, np.floor),
    "ceil": (1, np.ceil),
    "sign": (1, np.sign),
}


@dataclass(frozen=True, repr=False)
class Computed(Law):
    """Each element a function of a few random numbers of its own, written as steps.

    >>> Computed((("uniform", 0.0, 1.0), ("exp", "%0")))
    Computed(steps=(('uniform', 0.0, 1.0), ('exp', '%0')))

    Formula: step k makes the numbers "%k" from earlier ones and from constants; the last step is the tensor. Draws are
        ("normal", mean, std), ("uniform", low, high) and ("truncated", mean, std, low, high), bounds in sigmas;
        functions are add, sub, mul, div, pow, maximum, minimum, neg, abs, square, sqrt, rsqrt, reciprocal, exp, expm1,
        log, log1p, sin, cos, tanh, sigmoid, erfinv, round, floor, ceil and sign.
    Use it for: time steps of state space models (the inverse softplus of log-uniform numbers), clamped normals.
    Not for: values that depend on other elements (softmax, QR): store them.
    Args:
        steps: a sequence of steps.
    Source: draws are float32; functions are evaluated in float64 and rounded once, so that two machines agree up to
        the last bit of their math libraries, which the rounding hides but for ties.
    """

    steps: tuple[Step, ...]
    structured = True
    apart = True

    def __post_init__(self) -> None:
        if not isinstance(self.steps, (list, tuple)) or not self.steps:
            raise ArgumentError(f"steps must be a sequence of steps such as ('normal', 0.0, 1.0), got {self.steps!r}")
        object.__setattr__(self, "steps", tuple(_checked(k, step) for k, step in enumerate(self.steps)))

    def block(
        self,
        stream: Stream,
        shape: tuple[int, ...],
        dtype: Any = np.float32,
        companion: Floats | None = None,  # noqa: ARG002
        out: NDArray[Any] | None = None,  # noqa: ARG002
    ) -> NDArray[Any]:
        """Return the whole tensor."""
        size = int(np.prod(shape))
        values = np.empty(size, dtype)
        for first in range(0, size, MEASURED):  # bounded memory
            last = min(first + MEASURED, size)
            values[first:last] = self._elements(stream, first, last - first, size)
        return values.reshape(shape)

    def stretch(self, stream: Stream, shape: tuple[int, ...], first: int, count: int) -> NDArray[np.float64]:
        """Return a flat stretch."""
        return np.asarray(self._elements(stream, first, count, int(np.prod(shape))), np.float64)

    def reach(self) -> float:
        """The largest magnitude among 65,536 elements."""
        return float(np.abs(_sample(self)).max())

    def scaled(self, factor: float) -> Law:
        """The program with one step more, a product with the factor."""
        number = scale(factor)
        return self if number == 1 else Computed((*self.steps, ("mul", f"%{len(self.steps) - 1}", number)))

    def moments(self, shape: tuple[int, ...]) -> tuple[float, float]:  # noqa: ARG002
        """Mean and standard deviation, measured on 65,536 elements."""
        sample = _sample(self)
        return float(sample.mean()), float(sample.std())

    def record(self) -> dict[str, Any]:
        """Return the steps as lists."""
        return {"steps": [[None if part in _OPEN else part for part in step] for step in self.steps]}

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> Computed:
        """Make the law that `record` described."""
        steps = record.get("steps")
        if set(record) != {"steps"} or not isinstance(steps, list) or not all(isinstance(s, list) for s in steps):
            raise ArgumentError(f"computed values have a list of steps, got {sorted(record)}")
        return cls(tuple(_opened(step) for step in steps))

    def _elements(self, stream: Stream, first: int, count: int, size: int) -> NDArray[Any]:
        """Elements first to first + count; the k-th draw takes its numbers `size`·k further in the stream."""
        made: list[Any] = []
        draws = 0
        with np.errstate(all="ignore"):  # what is not finite is the formula's own affair
            for name, *parts in self.steps:
                if name in _DRAWS:
                    drawn = np.empty(count, np.float32)
                    write(drawn, _draw(name, parts), stream, first + draws * size)
                    made.append(drawn.astype(np.float64))
                    draws += 1
                else:
                    values = [made[int(p[1:])] if isinstance(p, str) else np.float64(p) for p in parts]
                    made.append(_FUNCTIONS[name][1](*values))
        return np.broadcast_to(np.asarray(made[-1]), (count,))


_OPEN = (float("inf"), float("-inf"))


def _opened(step: list[Any]) -> tuple[Any, ...]:
    """A window's open sides are null in JSON."""
    if step[:1] == ["truncated"] and len(step) == 5:
        low, high = (side if side is not None else end for side, end in zip(step[3:], _OPEN[::-1], strict=True))
        return (*step[:3], low, high)
    return tuple(step)


def _checked(k: int, step: Any) -> Step:
    if not isinstance(step, (list, tuple)) or not step or not isinstance(step[0], str):
        raise ArgumentError(f"step {k} must be a name and its arguments, got {step!r}")
    name, *parts = step
    wanted = _DRAWS.get(name) or _FUNCTIONS.get(name, (0,))[0]
    if not wanted:
        known = ", ".join((*_DRAWS, *_FUNCTIONS))
        raise ArgumentError(f"step {k}: no draw or function is called {name!r}; known: {known}")
    if len(parts) != wanted:
        raise ArgumentError(f"step {k}: {name} takes {wanted} arguments, got {parts}")
    made: list[Any] = []
    for part in parts:
        if isinstance(part, str):
            if name in _DRAWS or not (part[:1] == "%" and part[1:].isdigit() and int(part[1:]) < k):
                raise ArgumentError(f"step {k}: {part!r} is no result of an earlier step")
            made.append(part)
        elif isinstance(part, bool) or not isinstance(part, (int, float)):
            raise ArgumentError(f"step {k}: arguments are numbers or earlier results '%0', got {part!r}")
        else:
            made.append(float(part) if part in _OPEN and name == "truncated" else single(f"step {k}", part))
    if name in _DRAWS:
        _draw(name, made)
    return (name, *made)


def _draw(name: str, numbers: list[Any]) -> Draw:
    if name == "uniform":
        if not numbers[0] < numbers[1]:
            raise ArgumentError(f"a uniform draw needs low below high, got {numbers}")
        return Draw.uniform(*numbers)
    if numbers[1] < 0:
        raise ArgumentError(f"a standard deviation must not be negative, got {numbers[1]!r}")
    if name == "normal":
        return Draw.normal(*numbers)
    return Draw.truncated(numbers[0], numbers[1], Window.of(numbers[2], numbers[3]))


@functools.lru_cache(maxsize=64)
def _sample(law: Computed) -> NDArray[Any]:
    return law._elements(Stream.of(0, "moments"), 0, MEASURED, MEASURED)
