"""Residual streams are found from what is added to what, in any code and under any names."""

import torch
from torch import nn
from torch.nn import functional as F

from wellbegun.graph.trace import trace
from wellbegun.recipes.streams import find_streams, residual_writers


class Blocks(nn.Module):
    """A stem, blocks of a form given by a function, a head."""

    def __init__(self, depth: int, make: type[nn.Module], width: int = 16) -> None:
        super().__init__()
        self.stem, self.head = nn.Linear(8, width), nn.Linear(width, 4)
        self.blocks = nn.ModuleList(make(width) for _ in range(depth))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x)
        for block in self.blocks:
            x = block(x)
        return self.head(x)


class PreNorm(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm, self.up, self.down = nn.LayerNorm(width), nn.Linear(width, 32), nn.Linear(32, width)
        self.drop = nn.Dropout(0.1)

    def branch(self, x: torch.Tensor) -> torch.Tensor:
        return self.drop(self.down(torch.relu(self.up(self.norm(x)))))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.branch(x)


class BranchFirst(PreNorm):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.branch(x)
        y += x
        return y


class PostNorm(PreNorm):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.norm(x + self.down(torch.relu(self.up(x))))


class Bare(PreNorm):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.down(torch.relu(self.up(x)))


class Parallel(PreNorm):
    """Two branches that read the same normalised stream: summed first, or added one after the other."""

    def __init__(self, width: int, together: bool = True) -> None:
        super().__init__(width)
        self.other, self.together = nn.Linear(width, width), together

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.norm(x)
        first, second = self.other(y), self.down(torch.relu(self.up(y)))
        return x + (first + second) if self.together else (x + first) + second


class OneAfterTheOther(Parallel):
    def __init__(self, width: int) -> None:
        super().__init__(width, together=False)


class Scaled(PreNorm):
    def __init__(self, width: int) -> None:
        super().__init__(width)
        self.gamma = nn.Parameter(torch.full((width,), 1e-5))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.gamma * self.branch(x)


class NormAtTheEnd(PreNorm):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.norm(self.down(torch.relu(self.up(x))))


def found(make: type[nn.Module], depth: int = 3) -> tuple[list[int], dict[str, int]]:
    graph = trace(Blocks(depth, make), "vector:8")
    return [stream.count for stream in find_streams(graph)], residual_writers(graph)


def names(depth: int, *last: str) -> set[str]:
    return {f"blocks.{i}.{name}.weight" for i in range(depth) for name in last}


def test_writes_are_counted_along_the_stream() -> None:
    for make in (PreNorm, BranchFirst, Bare):
        counts, writers = found(make)
        assert counts == [3], make
        assert writers == dict.fromkeys(names(3, "down"), 3), make


def test_a_normalised_sum_ends_the_stream() -> None:
    counts, writers = found(PostNorm)
    assert counts == [1, 1, 1]
    assert set(writers.values()) == {1}


def test_parallel_branches_are_two_writes() -> None:
    for make in (Parallel, OneAfterTheOther):
        counts, writers = found(make)
        assert counts == [6], make
        assert writers == dict.fromkeys(names(3, "down", "other"), 6), make


def test_a_learnt_factor_is_named() -> None:
    graph = trace(Blocks(2, Scaled), "vector:8")
    (stream,) = find_streams(graph)
    assert [write.gates for write in stream.writes] == [("blocks.0.gamma",), ("blocks.1.gamma",)]
    assert set(residual_writers(graph)) == names(2, "down")


def test_a_branch_that_ends_in_a_normalisation_has_no_writer() -> None:
    counts, writers = found(NormAtTheEnd)
    assert counts == [3]
    assert writers == {}


def test_sums_that_are_no_streams() -> None:
    class Sums(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b, self.head = nn.Linear(8, 16), nn.Linear(8, 16), nn.Linear(16, 16)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y = self.a(x) + self.b(x)  # two branches of one input, neither of which is the input
            scores = F.softmax(y @ y.transpose(0, 1) + torch.ones(2, 2, device=x.device), -1)
            return self.head(scores @ y)

    assert find_streams(trace(Sums(), "vector:8")) == []


def test_a_network_of_two_streams() -> None:
    """A convolutional network whose second stage is wider: the stream begins again behind the change."""

    class Stages(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.change, self.second = Blocks(2, PreNorm), nn.Linear(4, 8), Blocks(4, PreNorm)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.second(self.change(self.first(x)))

    graph = trace(Stages(), "vector:8")
    assert [stream.count for stream in find_streams(graph)] == [2, 4]
