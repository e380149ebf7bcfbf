"""Weights whose results are cut: one use for each part, with its own fans and the rows that it is."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from wellbegun.graph.graph import Use
from wellbegun.graph.trace import trace
from wellbegun.laws import Fans


class Packed(nn.Module):
    """One matrix, and what becomes of its result."""

    def __init__(self, rows: int, cut: object, columns: int = 8, bias: bool = True) -> None:
        super().__init__()
        self.layer, self.cut = nn.Linear(columns, rows, bias=bias), cut

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.cut(self.layer(x))


def found(model: nn.Module, inputs: object, name: str = "layer.weight") -> list[Use]:
    return list(trace(model, inputs).uses[name])


def attention(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    return torch.softmax(q @ k.transpose(-1, -2), -1) @ v


def grouped(y: torch.Tensor) -> torch.Tensor:
    """Queries of 8 heads, one head of keys and one of values, 2 numbers each."""
    q, k, v = y.split([16, 2, 2], -1)
    q = q.unflatten(-1, (8, 2)).transpose(1, 2)
    k, v = (part.unsqueeze(1).expand(-1, 8, -1, -1) for part in (k, v))
    return attention(q, k, v)


def rotated(y: torch.Tensor) -> torch.Tensor:
    """Queries and keys turned by their positions in halves, as Llama does."""

    def turn(x: torch.Tensor) -> torch.Tensor:
        first, second = x.chunk(2, -1)
        angle = torch.ones(x.shape[-2], 4, device=x.device)
        return x * angle.cos() + torch.cat((-second, first), -1) * angle.sin()

    q, k, v = (part.unflatten(-1, (2, 4)).transpose(1, 2) for part in y.chunk(3, -1))
    return attention(turn(q), turn(k), v)


CONTIGUOUS = {
    "chunk": (24, lambda y: sum(y.chunk(3, -1)), [(0, 8), (8, 16), (16, 24)]),
    "slices": (24, lambda y: y[..., :8] * y[..., 8:16] * y[..., 16:], [(0, 8), (8, 16), (16, 24)]),
    "narrow": (
        12,
        lambda y: y.narrow(-1, 0, 4).relu() * y.narrow(-1, 4, 4) + y.narrow(-1, 8, 4),
        [(0, 4), (4, 8), (8, 12)],
    ),
    "view and unbind": (24, lambda y: attention(*y.unflatten(-1, (3, 8)).unbind(-2)), [(0, 8), (8, 16), (16, 24)]),
    "permute and select": (
        24,
        lambda y: (lambda z: attention(z[0], z[1], z[2]))(y.unflatten(-1, (3, 2, 4)).permute(2, 0, 3, 1, 4)),
        [(0, 8), (8, 16), (16, 24)],
    ),
    "grouped queries": (20, grouped, [(0, 16), (16, 18), (18, 20)]),
    "rotated": (24, rotated, [(0, 8), (8, 16), (16, 24)]),
    "gate and up": (16, lambda y: F.silu(y[..., :8]) * y[..., 8:], [(0, 8), (8, 16)]),
    "glu": (16, lambda y: F.glu(y, -1), [(0, 8), (8, 16)]),
    "behind an activation": (16, lambda y: torch.mul(*F.gelu(y).chunk(2, -1)), [(0, 8), (8, 16)]),
    "one part left": (16, lambda y: y[..., :4].exp() * y[..., 12:], [(0, 4), (4, 12), (12, 16)]),
    "whole and a part": (16, lambda y: y * y[..., :1], None),
    "positions": (16, lambda y: y[:, :1].exp() * y[:, 1:], None),
}


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("case", CONTIGUOUS)
def test_parts_are_ranges_of_rows(case: str, bias: bool) -> None:
    rows, cut, ranges = CONTIGUOUS[case]
    model = Packed(rows, cut, bias=bias)
    uses = found(model, torch.zeros(2, 3, 8))
    if ranges is None:
        assert [(use.fans, use.region, use.part) for use in uses] == [(Fans(8, rows), None, False)]
        return
    assert [use.region for use in uses] == [(run, (0, 8)) for run in ranges]
    assert [use.fans for use in uses] == [Fans(8, stop - start) for start, stop in ranges]
    assert all(use.part and use.axes == "oi" for use in uses)
    if bias:
        biases = found(model, torch.zeros(2, 3, 8), "layer.bias")
        assert [use.region for use in biases] == [(run,) for run in ranges]
        assert {use.role for use in biases} == {"bias"}


@pytest.mark.parametrize("case", [case for case in CONTIGUOUS if CONTIGUOUS[case][2]])
def test_the_part_of_each_row_is_where_its_numbers_go(case: str) -> None:
    """Each part's fan_out is the number of rows that lie in it, and all rows are in one part."""
    rows, cut, _ = CONTIGUOUS[case]
    uses = found(Packed(rows, cut), torch.zeros(2, 3, 8))
    assert sum(use.fans.fan_out for use in uses) == rows


def test_interleaved_heads_have_fans_and_no_region() -> None:
    def cut(y: torch.Tensor) -> torch.Tensor:  # as GPT-NeoX and BLOOM pack them: for each head its q, k and v
        q, k, v = y.unflatten(-1, (4, 3 * 2)).transpose(1, 2).chunk(3, -1)
        return attention(q, k, v)

    uses = found(Packed(24, cut), torch.zeros(2, 3, 8))
    assert [(use.fans, use.region, use.part) for use in uses] == [(Fans(8, 8), None, True)] * 3


def test_every_second_row_is_a_gate() -> None:
    def cut(y: torch.Tensor) -> torch.Tensor:  # as GPT-OSS packs gate and up
        return F.silu(y[..., ::2]) * (y[..., 1::2] + 1)

    uses = found(Packed(16, cut), torch.zeros(2, 3, 8))
    assert [(use.fans, use.region, use.part) for use in uses] == [(Fans(8, 8), None, True)] * 2


def test_heads_of_grouped_queries_beside_their_keys() -> None:
    def cut(y: torch.Tensor) -> torch.Tensor:  # for each of 2 groups: 3 heads of queries, one of keys, one of values
        y = y.unflatten(-1, (2, 5, 2))
        q, k, v = y[..., :3, :].flatten(2, 3), y[..., 3, :], y[..., 4, :]
        k, v = (part.repeat_interleave(3, 2) for part in (k, v))
        return attention(*(part.transpose(1, 2) for part in (q, k, v)))

    uses = found(Packed(20, cut), torch.zeros(2, 3, 8))
    assert sorted(use.fans.fan_out for use in uses) == [4, 4, 12]


def test_numbers_that_a_rotation_turns_in_pairs_are_one_part() -> None:
    def cut(y: torch.Tensor) -> torch.Tensor:
        q, k = y.chunk(2, -1)
        real, imaginary = q[..., ::2], q[..., 1::2]
        return torch.stack((real * 0.5 - imaginary * 0.8, real * 0.8 + imaginary * 0.5), -1).flatten(-2) * k

    uses = found(Packed(16, cut), torch.zeros(2, 3, 8))
    assert [use.region for use in uses] == [((0, 8), (0, 8)), ((8, 16), (0, 8))]


def test_halves_that_a_rotation_turns_are_one_part() -> None:
    def turn(x: torch.Tensor) -> torch.Tensor:
        first, second = x.chunk(2, -1)
        return torch.cat((first * 0.6 - second * 0.8, first * 0.8 + second * 0.6), -1)

    def cut(y: torch.Tensor) -> torch.Tensor:
        q, k, v = (part.unflatten(-1, (2, 4)).transpose(1, 2) for part in y.chunk(3, -1))
        return attention(turn(q), turn(k), v)

    uses = found(Packed(24, cut), torch.zeros(2, 3, 8))
    assert [use.region[0] for use in uses] == [(0, 8), (8, 16), (16, 24)]
    alone = found(Packed(8, lambda y: turn(y.unflatten(-1, (2, 4))).exp()), torch.zeros(2, 3, 8))
    assert [use.part for use in alone] == [False]


def test_inputs_first_matrices_are_cut_along_their_columns() -> None:
    class Conv1D(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight, self.bias = nn.Parameter(torch.zeros(8, 24)), nn.Parameter(torch.zeros(24))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y = torch.addmm(self.bias, x.view(-1, 8), self.weight).view(2, 3, 24)
            return attention(*y.split(8, -1))

    uses = found(Conv1D(), torch.zeros(2, 3, 8), "weight")
    assert [use.region for use in uses] == [((0, 8), (start, start + 8)) for start in (0, 8, 16)]
    assert all(use.inputs_first and use.axes == "io" for use in uses)


def test_convolutions_are_cut_along_their_channels() -> None:
    class Gated(nn.Module):
        def __init__(self, groups: int) -> None:
            super().__init__()
            self.layer = nn.Conv1d(8, 16, 3, groups=groups)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return F.glu(self.layer(x), 1)

    uses = found(Gated(1), torch.zeros(2, 8, 9))
    assert [(use.fans, use.region[0]) for use in uses] == [(Fans(24, 24), (0, 8)), (Fans(24, 24), (8, 16))]
    uses = found(Gated(8), torch.zeros(2, 8, 9))  # an input meets the channels of its own group, whichever half
    assert [(use.fans, use.region[0]) for use in uses] == [(Fans(3, 6), (0, 8)), (Fans(3, 6), (8, 16))]


def test_parts_of_a_parameter_used_one_by_one() -> None:
    class Sliced(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.zeros(24, 8))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            q, k, v = self.weight.chunk(3)
            return attention(F.linear(x, q), F.linear(x, k), F.linear(x, v))

    uses = found(Sliced(), torch.zeros(2, 3, 8), "weight")
    assert [(use.fans, use.region, use.part) for use in uses] == [
        (Fans(8, 8), ((start, start + 8), (0, 8)), True) for start in (0, 8, 16)
    ]


def test_a_hand_written_cell_cuts_the_sum_of_two_layers() -> None:
    class Cell(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.x, self.h = nn.Linear(8, 16), nn.Linear(4, 16, bias=False)

        def forward(self, x: torch.Tensor, h: torch.Tensor, c: torch.Tensor) -> torch.Tensor:
            i, f, g, o = (self.x(x) + self.h(h)).chunk(4, -1)
            return o.sigmoid() * (f.sigmoid() * c + i.sigmoid() * g.tanh()).tanh()

    graph = trace(Cell(), (torch.zeros(2, 8), torch.zeros(2, 4), torch.zeros(2, 4)))
    assert [use.region[0] for use in graph.uses["h.weight"]] == [(0, 4), (4, 8), (8, 12), (12, 16)]
    assert {use.fans for use in graph.uses["x.weight"]} == {Fans(8, 4)}


def test_a_residual_stream_is_not_cut() -> None:
    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.ModuleList(nn.Linear(8, 8) for _ in range(6))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            for layer in self.layers:
                x = x + layer(F.layer_norm(x, (8,)))
            return x[..., :4] * x[..., 4:]

    graph = trace(Block(), torch.zeros(2, 8))
    assert all(len(uses) == 1 for uses in graph.uses.values())


class Grouped(nn.Module):
    """Queries, keys and values of groups in one weight, of which the keys and values are taken by a list of rows."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv, self.out = nn.Linear(16, 64), nn.Linear(32, 16)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        packed = self.qkv(x).view(*x.shape[:2], 2, 4, 8)
        q, k, v = packed[:, :, :, :-2], packed[:, :, :, [-2]], packed[:, :, :, [-1]]
        heads = [t.expand(q.shape).flatten(2, 3).transpose(1, 2) for t in (q, k, v)]
        return self.out(nn.functional.scaled_dot_product_attention(*heads).transpose(1, 2).flatten(2))


def test_rows_that_a_list_takes_are_known() -> None:
    uses = trace(Grouped(), "float:5x16").uses["qkv.weight"]
    assert {(use.role, use.part) for use in uses} == {("linear weight", True)}
    assert [use.fans for use in uses] == [Fans(16, 32), Fans(16, 16), Fans(16, 16)]


@pytest.mark.parametrize("rows", [[0, 2], [1, 0]])
def test_rows_that_are_no_neighbours_cut_nothing(rows: list[int]) -> None:
    class Picks(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(16, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            h = self.layer(x)
            return h[:, rows].sum() + h[:, :1].relu().sum()

    (use,) = trace(Picks(), "vector:16").uses["layer.weight"]
    assert (use.fans, use.part) == (Fans(16, 3), False)


def test_parts_that_the_model_returns_are_parts() -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(16, 8)

        def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
            return self.layer(x).chunk(2, -1)

    uses = trace(Two(), "vector:16").uses
    assert [use.region for use in uses["layer.weight"]] == [((0, 4), (0, 16)), ((4, 8), (0, 16))]
    assert [use.region for use in uses["layer.bias"]] == [((0, 4),), ((4, 8),)]
