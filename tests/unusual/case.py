"""One hand-written model, with what is known of it without asking wellbegun."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

Builder = Callable[[], torch.nn.Module]


@dataclass(frozen=True)
class Case:
    """A model to try.

    Attributes:
        name: of the test.
        build: makes it.
        inputs: makes what its forward takes, as (args, kwargs).
        fans: (fan_in, fan_out) counted by hand.
        classes: number of classes, where the (first) output are logits of a loss over so many.
        laws: the law that a tensor must have, by its repr, where nothing else would be right.
        author: whether the recipe "author" is tried too.
    """

    name: str
    build: Builder
    inputs: Callable[[], tuple[tuple[Any, ...], dict[str, Any]]]
    fans: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    classes: int = 0
    laws: Mapping[str, str] = field(default_factory=dict)
    author: bool = True

    def example(self) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """What its forward takes, the same every time."""
        with torch.random.fork_rng():
            torch.manual_seed(1)
            return self.inputs()


def floats(*shape: int) -> Callable[[], tuple[tuple[Any, ...], dict[str, Any]]]:
    """One tensor of normal numbers."""
    return lambda: ((torch.randn(*shape, generator=torch.Generator().manual_seed(1)),), {})


def tokens(vocabulary: int, *shape: int) -> Callable[[], tuple[tuple[Any, ...], dict[str, Any]]]:
    """One tensor of token numbers."""
    return lambda: ((torch.randint(0, vocabulary, shape, generator=torch.Generator().manual_seed(1)),), {})
