"""Random programs of in-place operations: a recording does what PyTorch does, to the bit, and leaves the rest alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

import wellbegun as wb
from wellbegun.laws import Keep

ROWS, COLUMNS = 6, 5

Operation = Callable[[Any], object]


class Three(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        numbers = torch.arange(1.0, ROWS * COLUMNS + 1).reshape(ROWS, COLUMNS)
        self.a, self.b = nn.Parameter(numbers), nn.Parameter(numbers.sqrt())
        self.register_buffer("c", -numbers)


def place() -> st.SearchStrategy[Any]:
    """An index of rows and columns: a rectangle, every second row, a list."""
    row = st.integers(0, ROWS - 1)
    rows = st.one_of(
        row,
        st.tuples(row, st.integers(1, ROWS)).map(lambda pair: slice(pair[0], pair[0] + pair[1])),
        st.just(slice(None)),
        st.just(slice(None, None, 2)),
        st.lists(row, min_size=1, max_size=3, unique=True),
    )
    columns = st.one_of(st.just(slice(None)), st.integers(1, COLUMNS).map(lambda stop: slice(0, stop)))
    return st.tuples(rows, columns)


def operation() -> st.SearchStrategy[tuple[str, Operation]]:
    name, value = st.sampled_from("abc"), st.sampled_from([0.0, 1.0, -2.5])

    def fill(n: str, where: Any, v: float) -> Operation:
        return lambda m: getattr(m, n).__setitem__(where, v)

    def in_place(n: str, where: Any, function: str, v: float) -> Operation:
        return lambda m: getattr(getattr(m, n)[where], function)(v)

    def copy(n: str, other: str, where: Any) -> Operation:
        return lambda m: getattr(m, n)[where].copy_(getattr(m, other)[where])

    def whole(n: str, other: str, v: float) -> Operation:
        return lambda m: getattr(m, n).copy_(getattr(m, other).flip(0).cumsum(1) * v)

    def replace(n: str, v: float) -> Operation:
        def code(m: Any) -> None:
            getattr(m, n).data = torch.full((ROWS, COLUMNS), v)

        return code

    def look(n: str, other: str) -> Operation:
        def code(m: Any) -> None:
            if getattr(m, other).sum() > 10:
                getattr(m, n).clamp_(max=3)

        return code

    functions = st.sampled_from(["mul_", "add_", "fill_"])
    return st.one_of(
        st.builds(fill, name, place(), value),
        st.builds(in_place, name, place(), functions, value),
        st.builds(copy, name, name, place()),
        st.builds(whole, name, name, value),
        st.builds(replace, name, value),
        st.builds(look, name, name),
    )


@settings(max_examples=200)
@given(program=st.lists(operation(), min_size=1, max_size=7))
def test_programs_without_random_numbers(program: list[Operation]) -> None:
    plain, model = Three(), Three()
    with wb.recording(model, seed=1) as recorded, torch.no_grad():
        for step in program:
            step(model)
        for tensor in (model.a, model.b, model.c):  # something is written in any case
            tensor[0, 0] = 7.0
    with torch.no_grad():
        for step in program:
            step(plain)
        for tensor in (plain.a, plain.b, plain.c):
            tensor[0, 0] = 7.0
    for name, tensor in plain.state_dict().items():
        assert torch.equal(tensor, model.state_dict()[name]), name
    again = Three()
    wb.apply(recorded.plan, again)
    for name, tensor in plain.state_dict().items():
        assert torch.equal(tensor, again.state_dict()[name]), name


@settings(max_examples=100)
@given(
    program=st.lists(operation(), max_size=4),
    first=place().filter(lambda where: not isinstance(where[0], list)),
    draws=st.sampled_from(["normal_", "uniform_"]),
)
def test_programs_with_random_numbers(program: list[Operation], first: Any, draws: str) -> None:
    """Twice the same; what is neither drawn nor computed from draws is as PyTorch has it."""
    found = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        model = Three()
        with wb.recording(model, seed=1) as recorded, torch.no_grad():
            getattr(model.a[first], draws)()
            for step in program:
                step(model)
        found.append(model.state_dict())
    for name, tensor in found[0].items():
        assert torch.equal(tensor, found[1][name])
        assert tensor.isfinite().all()
        if isinstance(recorded.plan[name].law, Keep):
            assert torch.equal(tensor, Three().state_dict()[name])
