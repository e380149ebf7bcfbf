"""Small values wait in copies until there are enough of one shape to be measured in one go."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

import torch

from wellbegun.diagnosis.measure import PIECE

SMALL = 1 << 16
"""Bytes up to which a value waits for others: a call of torch takes microseconds, whatever it has to do."""

MOST = 1 << 23
"""Bytes that wait at the same time: copies stay below this, whatever the depth of the network."""

Result = TypeVar("Result")


class Answer(Generic[Result]):
    """What was measured, once it is.

    Attributes:
        value: not there before its bundle was settled.
    """

    __slots__ = ("value",)
    value: Result


class Bundle:
    """Values that wait to be measured, by what is to be measured and by shape.

    >>> bundle = Bundle()
    >>> largest = [bundle.ask(lambda stack: stack.amax(1).tolist(), torch.tensor([float(n), 0.0])) for n in range(3)]
    >>> bundle.settle()
    >>> [answer.value for answer in largest]
    [0.0, 1.0, 2.0]
    """

    def __init__(self) -> None:
        self._waiting: defaultdict[Any, list[tuple[torch.Tensor, Answer[Any]]]] = defaultdict(list)
        self._bytes = 0

    def ask(
        self, measurement: Callable[..., Sequence[Result]], value: torch.Tensor, *options: Any, lasts: bool = False
    ) -> Answer[Result]:
        """Measure a value: at once if it is large, else with others, out of a copy.

        Args:
            measurement: takes values of one shape as one tensor [values, *shape], and the options; returns a list.
            value: is not changed, and may be changed afterwards.
            options: go to the measurement behind the values.
            lasts: nobody writes into the value any more, so that it needs no copy.
        """
        answer: Answer[Result] = Answer()
        size = value.nbytes
        if size > SMALL or not size:
            answer.value = measurement(value.detach().unsqueeze(0), *options)[0]
            return answer
        key = (measurement, options, value.shape, value.dtype, value.device)
        kept = value if lasts else value.detach().clone()
        self._waiting[key].append((kept, answer))
        self._bytes += size
        if self._bytes > MOST:
            self.settle()
        return answer

    @torch.no_grad()
    def settle(self) -> None:
        """Measure all that waits."""
        waiting, self._waiting, self._bytes = self._waiting, defaultdict(list), 0
        for (measurement, options, shape, _, _), values in waiting.items():
            at_once = max(1, PIECE // shape.numel())
            for start in range(0, len(values), at_once):
                some = values[start : start + at_once]
                found = measurement(torch.stack([value for value, _ in some]), *options)
                for (_, answer), one in zip(some, found, strict=True):
                    answer.value = one


def each(measurement: Callable[..., Sequence[Result]], values: Sequence[torch.Tensor]) -> list[Result]:
    """Measure many values, the small ones of a shape together."""
    bundle = Bundle()
    answers = [bundle.ask(measurement, value, lasts=True) for value in values]
    bundle.settle()
    return [answer.value for answer in answers]
