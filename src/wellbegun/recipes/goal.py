"""What a weight operation is to reach: the second moment behind it, and why that one."""

from __future__ import annotations

from dataclasses import dataclass

from wellbegun.graph.graph import Graph
from wellbegun.recipes.streams import Stream, Write, find_streams

LOGITS = 0.5
"""Second moment aimed at behind an output layer: cross-entropy starts at ln K + 0.25 for K classes, so within 0.3."""


@dataclass(frozen=True)
class Goal:
    """The second moment behind a weight operation.

    Attributes:
        target: it.
        purpose: a clause for the entry's reason, "keeps the second moment at 1".
        source: paper or document, where the goal and not the layer decides.
        is_output: whether the operation makes the model's output.
    """

    target: float = 1.0
    purpose: str = "makes the second moment 1 again"
    source: str = ""
    is_output: bool = False


@dataclass(frozen=True)
class Place:
    """Where a weight operation stands in a residual branch.

    Attributes:
        stream: the residual stream.
        write: the addition that the branch ends in.
        position: 0 for the first weight operation of the branch.
        is_writer: whether its result goes straight into the sum.
    """

    stream: Stream
    write: Write
    position: int
    is_writer: bool


class Places:
    """The residual streams of a graph, by the weight operations of their branches."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._found: dict[int, Place] = {}
        for stream in find_streams(graph):
            for write in stream.writes:
                for position, index in enumerate(write.weights):
                    is_writer = index in write.writers
                    if index not in self._found or is_writer:  # an inner stream's own place is the nearer one
                        self._found.setdefault(index, Place(stream, write, position, is_writer))

    def __getitem__(self, index: int) -> Place | None:
        return self._found.get(index)

    def is_bare(self, place: Place) -> bool:
        """Whether no branch of the stream is normalised, nor what the stream is read by, so that sizes add up."""
        last = place.stream.writes[-1].add
        read_by_norm = any(step.kind == "norm" for step in self._graph.consumers(last))
        return len(place.stream.writes) > 1 and not place.stream.normalised and not read_by_norm
