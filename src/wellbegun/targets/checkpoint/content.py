"""The bytes of one file of a checkpoint, drawn wherever they are asked for."""

from __future__ import annotations

import bisect
import itertools

import numpy as np
from numpy.typing import NDArray

from wellbegun.laws import Keep
from wellbegun.plans import Plan
from wellbegun.sampler import storage_type
from wellbegun.targets.array import Array, fill_entry
from wellbegun.targets.checkpoint.shards import Shard
from wellbegun.targets.checkpoint.tensors import FileTensor
from wellbegun.targets.parts import needs_whole

Bytes = NDArray[np.uint8]


class Content:
    """What a file holds, as one long row of bytes; any stretch of it can be drawn alone.

    A law that shapes a whole block (orthogonal) is drawn whole when the first of its elements is asked for, and kept
    until another tensor is.
    """

    def __init__(self, plan: Plan, shard: Shard) -> None:
        self._plan, self._shard = plan, shard
        self._header = np.frombuffer(shard.header, np.uint8)
        sizes = [tensor.bytes for tensor in shard.tensors]
        self._begins = list(itertools.accumulate(sizes, initial=len(shard.header)))
        self._whole: tuple[str, Array] | None = None

    @property
    def size(self) -> int:
        """Bytes of the file."""
        return self._begins[-1]

    def draw(self, out: Bytes, position: int) -> None:
        """Write the file's bytes from a position on into memory.

        Args:
            out: contiguous; as many bytes as it has are written.
            position: a multiple of 8, as the length of `out` is unless the file ends there.
        """
        stop = position + out.size
        if position < len(self._header):
            part = self._header[position:stop]
            out[: part.size] = part
        index = max(bisect.bisect_right(self._begins, position) - 1, 0)
        while index < len(self._shard.tensors) and self._begins[index] < stop:
            begin, end = self._begins[index : index + 2]
            first, last = max(begin, position), min(end, stop)
            if first < last:
                tensor = self._shard.tensors[index]
                memory = out[first - position : last - position].view(storage_type(tensor.dtype))
                self._draw_elements(memory, tensor, (first - begin) // tensor.itemsize)
            index += 1

    def _draw_elements(self, out: Array, tensor: FileTensor, first: int) -> None:
        start = tensor.start + first
        law = tensor.entry.law
        if tensor.value is not None and isinstance(law, Keep):
            out[...] = tensor.value[start : start + out.size].astype(out.dtype)
        elif needs_whole(law) or law.keeps:
            out[...] = self._whole_of(tensor)[start : start + out.size]
        else:
            fill_entry(out, self._plan, tensor.entry, start)

    def _whole_of(self, tensor: FileTensor) -> Array:
        if self._whole is None or self._whole[0] != tensor.entry.name:
            self._whole = None  # its memory is free before the next takes some
            values = np.empty(tensor.entry.shape, storage_type(tensor.dtype))
            if tensor.value is not None:  # a part of it stays
                values[...] = tensor.value.reshape(values.shape).astype(values.dtype)
            fill_entry(values, self._plan, tensor.entry, (0,) * values.ndim)
            self._whole = tensor.entry.name, values.reshape(-1)
        return self._whole[1]
