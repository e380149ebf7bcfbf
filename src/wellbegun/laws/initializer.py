"""What every rule and every law has in common: it becomes a law once the fans are known."""

from __future__ import annotations

import math
from dataclasses import fields
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from wellbegun.errors import ArgumentError
from wellbegun.laws.fans import Fans
from wellbegun.sampler import Draw, Stream, write

Floats = NDArray[np.float32]

_LARGEST = float(np.finfo(np.float32).max)


class Initializer:
    """A named rule: frozen, pure (no hidden counter), and printed as code that makes it again."""

    needs_fans: ClassVar[bool] = True

    def law(self, fans: Fans | None = None) -> Law:
        """Resolve the rule for a weight with these fans into numbers."""
        raise NotImplementedError(f"{type(self).__name__} does not say which law it becomes")

    def __repr__(self) -> str:
        # the first argument always, the others where they differ from their default
        shown = [
            f"{field.name}={_code(getattr(self, field.name))}"
            for position, field in enumerate(fields(self))  # type: ignore[arg-type]
            if position == 0 or getattr(self, field.name) != field.default
        ]
        return f"{type(self).__name__}({', '.join(shown)})"


class Law(Initializer):
    """A fully resolved distribution: nothing left to look up, its numbers rounded to float32."""

    needs_fans = False
    structured: ClassVar[bool] = False
    """True where an element depends on the whole tensor (orthogonal), so that a part needs the whole."""

    apart: ClassVar[bool] = False
    """True where a structured law can give any stretch of its elements without the others."""

    def law(self, fans: Fans | None = None) -> Law:  # noqa: ARG002
        """Return itself: a law has no question left for the fans."""
        return self

    def element_draw(self) -> Draw:
        """What each element asks of the sampler, for a law whose elements do not depend on one another."""
        raise NotImplementedError(f"{type(self).__name__} is drawn as a whole")

    def draw(self, out: NDArray[Any], stream: Stream, start: int, step: int = 0) -> int:
        """Write elements start, start+1, ... into a vector, or into rows that are `step` apart; see sampler.write."""
        return write(out, self.element_draw(), stream, start, step)

    @property
    def keeps(self) -> bool:
        """Whether it leaves the tensor's own value in any element."""
        return False

    def writes(self, shape: tuple[int, ...]) -> int:
        """Number of elements that it writes into a tensor of this shape."""
        return math.prod(shape)

    @property
    def companion(self) -> str | None:
        """Name of another tensor of the plan whose values this law needs, or None."""
        return None

    def block(
        self,
        stream: Stream,
        shape: tuple[int, ...],
        dtype: Any = np.float32,
        companion: Floats | None = None,
        out: NDArray[Any] | None = None,
    ) -> NDArray[Any]:
        """Return the whole tensor, for a structured law.

        Args:
            stream: where its numbers come from.
            shape: of the whole tensor.
            dtype: float32 or float64, the precision of the result; narrower storage is the rounding of float32.
            companion: values of the tensor of the plan that the law needs.
            out: row-major array of this shape and dtype that may be used for the result, and returned.
        """
        raise NotImplementedError(f"{type(self).__name__} is drawn element by element")

    def stretch(self, stream: Stream, shape: tuple[int, ...], first: int, count: int) -> NDArray[np.float64]:
        """Return `count` elements from flat index `first` on, for a law whose elements are drawn apart."""
        raise NotImplementedError(f"{type(self).__name__} is drawn as a whole")

    def points(self, shape: tuple[int, ...]) -> tuple[NDArray[np.int64], float] | None:
        """Return the flat indices of the only elements that are not zero, and their value; None for other laws."""

    def check_shape(self, shape: tuple[int, ...]) -> None:
        """Raise ArgumentError if the law cannot fill a tensor of this shape."""

    def check_companion(self, shape: tuple[int, ...], companion: tuple[int, ...]) -> None:
        """Raise ArgumentError if the law cannot fill a tensor of this shape from a companion of that shape."""

    def bounds(self) -> tuple[float, float] | None:
        """Closed bounds that stored values respect even after rounding, or None."""
        return None

    def reach(self) -> float:
        """Largest magnitude that a value can have, as far as the law itself knows."""
        return max((abs(bound) for bound in self.bounds() or ()), default=0.0)

    def scaled(self, factor: float) -> Law:
        """Return the law of every value times a number above 0: the same stream then gives the same values, scaled.

        Raises:
            ArgumentError: the factor is not above 0, or the law has no numbers to scale.
        """
        raise NotImplementedError(f"{type(self).__name__} does not say how it scales")

    def moments(self, shape: tuple[int, ...]) -> tuple[float, float]:
        """Mean and standard deviation of one element of a tensor of this shape."""
        raise NotImplementedError(f"{type(self).__name__} does not say what its moments are")


def single(name: str, value: float) -> float:
    """Round a law's number to float32, so that two machines agree on it."""
    try:
        # compared as Python floats: a float32 on one side would make NumPy round the other one first, and overflow
        number = math.nan if isinstance(value, (str, bytes)) else float(value)
        # + 0.0 makes 0 of -0: laws that compare equal must give equal bits
        rounded = float(np.float32(number)) + 0.0 if abs(number) <= _LARGEST else math.inf
    except OverflowError:
        rounded = math.inf
    except (TypeError, ValueError):
        raise ArgumentError(f"{name} must be a number, not {value!r}") from None
    if not math.isfinite(rounded):
        raise ArgumentError(f"{name} must be a finite float32 number, not {value!r}")
    return rounded


def scale(factor: float) -> float:
    """Return the number that a law's numbers are multiplied by, if it is above 0."""
    try:
        number = math.nan if isinstance(factor, (str, bytes)) else float(factor)
    except (TypeError, ValueError):
        number = math.nan
    if not 0 < number < math.inf:
        raise ArgumentError(f"a law is scaled by a finite number above 0, got {factor!r}")
    return number


def required(fans: Fans | None, rule: object) -> Fans:
    """Return the fans, or say that this rule cannot work without them."""
    if fans is None:
        raise ArgumentError(f"{rule!r} needs fans: pass fans=Fans(fan_in=..., fan_out=...)")
    return fans


def _code(value: object) -> str:
    if isinstance(value, float):
        if not math.isfinite(value):
            return f"float({str(value)!r})"
        # A law's numbers are float32, and str of a float32 is the shortest text that gives the same float32 back.
        # A rule's numbers (a gain of 5/3) keep all their digits.
        single_precision = abs(value) <= _LARGEST and float(np.float32(value)) == value
        return str(np.float32(value)) if single_precision else repr(float(value))
    return repr(value)
