"""Residual streams, found from the operations: what is added to what, and which weights write into the sum."""

from __future__ import annotations

from dataclasses import dataclass

from wellbegun.graph.graph import WEIGHT_KINDS, Graph, Operation

CARRIES = frozenset({"view", "dropout", "shift", "scale"})
"""Operations that hand a stream on: the same numbers, at most at another place or size."""

_COLLECTS = CARRIES | {"add", "multiply", "pool", "other", "concat"}
"""Operations between a writing weight and the stream: experts summed up, a gate, rows put back in their order."""


@dataclass(frozen=True)
class Write:
    """One addition to a residual stream.

    Attributes:
        add: the operation that adds.
        trunk: the operation whose result the stream had before.
        operand: the operation that hands that on to the sum, at most through views, dropout, shifts and factors.
        writers: weight operations whose results reach the sum through no further weight, activation or normalisation.
        weights: weight operations inside of the branch, in order.
        normalised: whether the branch holds a normalisation.
        gates: learnt factors between the writers and the stream (LayerScale and its kin).
    """

    add: int
    trunk: int
    operand: int
    writers: tuple[int, ...]
    weights: tuple[int, ...]
    normalised: bool
    gates: tuple[str, ...] = ()


@dataclass(frozen=True)
class Stream:
    """A residual stream: additions that each take the sum of the one before.

    Attributes:
        start: the operation whose result is the stream before the first write.
        writes: in order.
        count: number of writes: two layers that are summed before they are added count as two.
        normalised: whether any branch holds a normalisation, so that the size of the stream does not reach its inside.
    """

    start: int
    writes: tuple[Write, ...]
    count: int
    normalised: bool


def find_streams(graph: Graph) -> list[Stream]:
    """Return the residual streams of a graph, each addition in exactly one.

    A stream ends where anything but an addition takes over: behind a normalisation (post-norm networks) or a layer
    that changes the width begins the next one.
    """
    gates = _gates(graph)
    writes: dict[int, Write] = {}
    found: dict[int, list[Write]] = {}
    starts: dict[int, int] = {}
    ends: dict[int, int] = {}
    for operation in graph.operations:
        if operation.kind != "add" or len(operation.inputs) < 2:
            continue
        write = _write(graph, operation, gates, writes)
        if write is None:
            continue
        writes[operation.index] = write
        first = ends.pop(write.trunk, None)
        if first is None:
            first = operation.index
            found[first], starts[first] = [], write.trunk
        found[first].append(write)
        ends[operation.index] = first
    return [_stream(graph, starts[first], members) for first, members in found.items()]


def residual_writers(graph: Graph) -> dict[str, int]:
    """Return each weight that writes into a residual stream, with the number of writes on that stream."""
    return {
        graph.operations[index].weight: stream.count
        for stream in find_streams(graph)
        for write in stream.writes
        for index in write.writers
    }


def carried(graph: Graph, index: int) -> Operation:
    """The operation that made what a stream holds here: views, dropout, shifts and plain factors are looked through."""
    operation = graph.operations[index]
    while operation.kind in CARRIES and operation.inputs:
        operation = graph.operations[operation.inputs[0]]
    return operation


def _stream(graph: Graph, start: int, writes: list[Write]) -> Stream:
    names = [{graph.operations[index].weight for index in write.writers} for write in writes]
    count = sum(max(1, len(weights)) for weights in names)
    return Stream(start, tuple(writes), count, any(write.normalised for write in writes))


def _write(graph: Graph, add: Operation, gates: dict[int, list[str]], writes: dict[int, Write]) -> Write | None:
    """Read an addition as a write into a stream: one operand is an ancestor of the other."""
    operands = [(carried(graph, index).index, index) for index in add.inputs[:2]]
    if graph.operations[add.inputs[0]].shape != graph.operations[add.inputs[1]].shape:
        return None  # masks and tables that are spread over the rows are no streams
    for (trunk, operand), (_, branch) in (sorted(operands), sorted(operands, reverse=True)):
        # a parallel branch reads the stream before the write that comes first in the code
        starts = [trunk, writes[trunk].trunk] if trunk in writes else [trunk]
        for start in starts:
            inside = _between(graph, start, branch)
            weights = tuple(index for index in inside if graph.operations[index].kind in WEIGHT_KINDS)
            if branch in inside and weights:
                writers, passed = _writers(graph, branch, inside, gates)
                normalised = any(graph.operations[index].kind == "norm" for index in inside)
                return Write(add.index, trunk, operand, writers, weights, normalised, passed)
    return None


def _between(graph: Graph, start: int, end: int) -> list[int]:
    """The operations on the ways from one operation to a later one, in order; empty if there is none."""
    seen, waiting = {end}, [end]
    while waiting:
        for index in graph.operations[waiting.pop()].inputs:
            if index > start and index not in seen:
                seen.add(index)
                waiting.append(index)
    reached = {start}
    for index in sorted(seen):
        if any(before in reached for before in graph.operations[index].inputs):
            reached.add(index)
    reached.discard(start)
    return sorted(reached)


def _writers(
    graph: Graph, branch: int, inside: list[int], gates: dict[int, list[str]]
) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """The last weight operations of a branch, and the learnt factors behind them."""
    members, seen, waiting = set(inside), {branch}, [branch]
    writers: list[int] = []
    passed: list[str] = []
    while waiting:
        index = waiting.pop()
        operation = graph.operations[index]
        if operation.kind in WEIGHT_KINDS:
            writers.append(index)
        elif operation.kind in _COLLECTS:
            passed += gates.get(index, [])
            for before in operation.inputs:
                if before in members and before not in seen:
                    seen.add(before)
                    waiting.append(before)
    return tuple(sorted(writers)), tuple(dict.fromkeys(passed))


def _gates(graph: Graph) -> dict[int, list[str]]:
    """The parameters that each operation multiplies a signal with, element by element."""
    found: dict[int, list[str]] = {}
    for name, uses in graph.uses.items():
        for use in uses:
            if use.role in ("multiplied", "scalar gate"):
                found.setdefault(use.operation, []).append(name)
    return found
