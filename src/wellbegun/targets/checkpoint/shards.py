"""How a checkpoint is split into files, and which of them each of several writers writes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath

from wellbegun.errors import ArgumentError
from wellbegun.targets.checkpoint.header import header_bytes
from wellbegun.targets.checkpoint.tensors import FileTensor

SINGLE, INDEX = "model.safetensors", "model.safetensors.index.json"

_UNITS = {"": 1, "B": 1} | {
    letter + ("i" if base == 1024 else "") + "B": base**power
    for base in (1000, 1024)
    for power, letter in enumerate("KMGT", 1)
}


@dataclass(frozen=True)
class Shard:
    """One file of a checkpoint.

    Attributes:
        name: of the file.
        tensors: in the order in which their elements follow.
        header: what comes before them.
    """

    name: str
    tensors: tuple[FileTensor, ...]
    header: bytes

    @property
    def size(self) -> int:
        """Bytes of the file."""
        return len(self.header) + sum(tensor.bytes for tensor in self.tensors)


def split(tensors: Sequence[FileTensor], most: int, metadata: Mapping[str, str]) -> list[Shard]:
    """Split tensors into files, in their order: at most so many bytes of elements in each, or one larger tensor."""
    groups: list[list[FileTensor]] = []
    room = 0
    for tensor in tensors:
        if not groups or tensor.bytes > room:
            groups.append([])
            room = most
        groups[-1].append(tensor)
        room -= tensor.bytes
    groups = groups or [[]]
    shards = []
    for number, group in enumerate(groups, 1):
        # widest elements first: each element then lies at a multiple of its size
        order = sorted(group, key=lambda tensor: -tensor.itemsize)
        name = SINGLE if len(groups) == 1 else f"model-{number:05d}-of-{len(groups):05d}.safetensors"
        shards.append(Shard(name, tuple(order), header_bytes(order, metadata)))
    return shards


def index_text(shards: Iterable[Shard]) -> str:
    """Return the index of a checkpoint of several files, as transformers writes it."""
    shards = list(shards)
    placed = [(tensor, shard.name) for shard in shards for tensor in shard.tensors]
    total = {
        "total_parameters": sum(
            tensor.bytes // tensor.itemsize for tensor, _ in placed if tensor.entry.kind == "parameter"
        ),
        "total_size": sum(tensor.bytes for tensor, _ in placed),
    }
    record = {"metadata": total, "weight_map": {tensor.name: name for tensor, name in placed}}
    return json.dumps(record, indent=2, sort_keys=True) + "\n"


def parse_size(size: int | str) -> int:
    """Return a number of bytes.

    >>> parse_size("5GB"), parse_size("1.5 GiB"), parse_size(4096)
    (5000000000, 1610612736, 4096)

    Raises:
        ArgumentError: no size, or none of at least one byte.
    """
    number = 0
    if isinstance(size, int) and not isinstance(size, bool):
        number = size
    elif isinstance(size, str):
        found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*", size)
        units = {unit.lower(): factor for unit, factor in _UNITS.items()}
        if found and found[2].lower() in units:
            number = int(float(found[1]) * units[found[2].lower()])
    if number < 1:
        raise ArgumentError(f"max_shard_bytes must be bytes, or text such as '5GB' or '500MiB'; got {size!r}")
    return number


def parse_part(part: str | None) -> tuple[int, int]:
    """Return which of how many writers this is.

    >>> parse_part("2/16"), parse_part(None)
    ((2, 16), (1, 1))

    Raises:
        ArgumentError: not of the form i/n with 1 <= i <= n.
    """
    if part is None:
        return 1, 1
    found = re.fullmatch(r"\s*(\d+)\s*/\s*(\d+)\s*", part) if isinstance(part, str) else None
    number, count = (int(found[1]), int(found[2])) if found else (0, 0)
    if not 1 <= number <= count:
        raise ArgumentError(f"part must be 'i/n' with 1 <= i <= n, such as '1/16'; got {part!r}")
    return number, count


def deal(shards: Sequence[Shard], part: tuple[int, int]) -> list[Shard]:
    """Return the files that one of several writers writes: each takes about the same number of bytes.

    Raises:
        ArgumentError: there are fewer files than writers.
    """
    number, count = part
    if count > len(shards):
        raise ArgumentError(
            f"part {number}/{count}: the checkpoint has {len(shards)} file{'s' * (len(shards) > 1)}, so at most "
            f"{len(shards)} can write it at a time; choose a smaller max_shard_bytes for more"
        )
    loads, owners = [0] * count, {}
    for shard in sorted(shards, key=lambda shard: (-shard.size, shard.name)):
        least = loads.index(min(loads))
        loads[least] += shard.size
        owners[shard.name] = least + 1
    return [shard for shard in shards if owners[shard.name] == number]


def is_weights(name: str) -> bool:
    """Whether a file of this name belongs to a checkpoint, one that is being written too."""
    plain = re.sub(r"^\.(.*)\.part$", r"\1", PurePath(name).name)
    return plain in (SINGLE, INDEX) or re.fullmatch(r"model-\d{5,}-of-\d{5,}\.safetensors", plain) is not None
