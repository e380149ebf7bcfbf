"""Adapters made of a weight's own factors, or of one rotation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from wellbegun.errors import ArgumentError
from wellbegun.laws import Orthogonal, Stored
from wellbegun.sampler import Draw, Stream, write
from wellbegun.tuning.loaded import array_of, numbers_of

if TYPE_CHECKING:
    from wellbegun.tuning.lora import Adapter

WEAK = 0.1
"""Factor of the random parts of the orthogonal start in A and in B, as PEFT has it."""


def split_weight(one: Adapter, method: str, name: str) -> tuple[Stored, Stored, Stored]:
    """Return A, B and W - s·B·A for the largest singular directions (pissa) or the QR factors (olora) of W.

    Args:
        one: the adapter.
        method: "pissa" or "olora".
        name: of W, for messages.

    Raises:
        ArgumentError: W or s is not known, or the shapes do not fit.
    """
    if one.base is None or not name:
        raise ArgumentError(
            f"{one.layer}: {method} splits the layer's weight, and none is called base_layer, base or weight"
        )
    if one.scaling is None or one.scaling <= 0:
        raise ArgumentError(
            f"{one.layer}: {method} needs the factor of B·A above 0; give the layer `scaling` or `alpha`"
        )
    weight = numbers_of(one.base, name, method)
    weight = weight.T if one.transposed else weight
    wanted = (one.up.shape[0], one.down.shape[1])
    if one.down.ndim != 2 or tuple(weight.shape) != wanted:
        raise ArgumentError(f"{name}: {method} splits matrices of shape {list(wanted)}, this has {list(weight.shape)}")
    if one.rank > min(weight.shape):
        raise ArgumentError(f"{one.layer}: rank {one.rank} is more than the weight of shape {list(weight.shape)} has")
    if method == "pissa":
        left, values, right = torch.linalg.svd(weight, full_matrices=False)
        roots = (values[: one.rank] / one.scaling).sqrt()
        up, down = left[:, : one.rank] * roots, roots[:, None] * right[: one.rank]
    else:
        q, r = torch.linalg.qr(weight)
        up, down = q[:, : one.rank], r[: one.rank]
    up, down = up.to(one.up.dtype), down.to(one.down.dtype)  # the rest is what the stored ones leave
    rest = weight.double() - one.scaling * (up.double() @ down.double())
    rest = (rest.T if one.transposed else rest).to(weight.dtype)
    return _stored(down), _stored(up), Stored(array_of(rest))


def orthogonal_pair(one: Adapter, seed: int, name: str) -> tuple[Stored, Stored]:
    """Return A and B with B·A = 0: random mixtures of the odd and of the even rows of one random rotation.

    Args:
        one: the adapter.
        seed: of the plan.
        name: of A, which keys the random numbers.
    """
    rank = one.rank
    if rank % 2 or one.down.ndim != 2:
        raise ArgumentError(
            f"{one.layer}: the orthogonal start needs matrices of an even rank, got {list(one.down.shape)}"
        )
    rotation = Orthogonal().block(Stream.of(seed, f"{name}/rotation"), (rank, rank), np.float64)
    mixed = []
    for part, size, rows in (("A", one.down.shape[1], rotation[1::2]), ("B", one.up.shape[0], rotation[::2])):
        random = np.empty((size, rank // 2), np.float32)
        write(random.reshape(-1), Draw.normal(0.0, 1.0), Stream.of(seed, f"{name}/{part}"), 0)
        mixed.append(WEAK * random.astype(np.float64) @ rows)
    return Stored(np.ascontiguousarray(mixed[0].T), "float32"), Stored(mixed[1], "float32")


def _stored(tensor: torch.Tensor) -> Stored:
    wide = torch.float64 if tensor.dtype == torch.float64 else torch.float32
    return Stored(array_of(tensor.to(wide)))
