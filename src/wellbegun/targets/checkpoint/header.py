"""The header of a safetensors file."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from wellbegun.errors import ArgumentError

if TYPE_CHECKING:
    from wellbegun.targets.checkpoint.tensors import FileTensor

CODES = {
    "bool": "BOOL",
    "uint8": "U8",
    "int8": "I8",
    "float8_e5m2": "F8_E5M2",
    "float8_e4m3fn": "F8_E4M3",
    "int16": "I16",
    "uint16": "U16",
    "float16": "F16",
    "bfloat16": "BF16",
    "int32": "I32",
    "uint32": "U32",
    "float32": "F32",
    "complex64": "C64",
    "float64": "F64",
    "int64": "I64",
    "uint64": "U64",
}
"""How safetensors calls each storage type."""

LARGEST_HEADER = 100_000_000
"""Bytes of JSON that readers of the format accept."""


def header_bytes(tensors: Sequence[FileTensor], metadata: Mapping[str, str]) -> bytes:
    """Return what a safetensors file begins with: the length of the JSON, then the JSON, padded to 8 bytes.

    >>> header_bytes([], {"format": "pt"})
    b' \\x00\\x00\\x00\\x00\\x00\\x00\\x00{"__metadata__":{"format":"pt"}}'

    Args:
        tensors: in the order in which their elements follow.
        metadata: texts by name.

    Raises:
        ArgumentError: more tensors than the format takes in one file.

    Source: https://huggingface.co/docs/safetensors (format): little-endian, row-major, without gaps.
    """
    record: dict[str, object] = {"__metadata__": dict(metadata)}
    begin = 0
    for tensor in tensors:
        end = begin + tensor.bytes
        record[tensor.name] = {
            "dtype": CODES[tensor.dtype],
            "shape": list(tensor.shape),
            "data_offsets": [begin, end],
        }
        begin = end
    text = json.dumps(record, separators=(",", ":"), ensure_ascii=False).encode("utf-8")
    text += b" " * (-len(text) % 8)
    if len(text) > LARGEST_HEADER:
        raise ArgumentError(
            f"the names of {len(tensors):,} tensors take {len(text):,} bytes, and a safetensors file has room for "
            f"{LARGEST_HEADER:,}; choose a smaller max_shard_bytes"
        )
    return struct.pack("<Q", len(text)) + text
