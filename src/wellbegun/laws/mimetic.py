"""Factors of an attention's products, drawn together: queries times keys, and values times the output projection."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wellbegun.errors import ArgumentError
from wellbegun.laws.initializer import Floats, Law, scale, single
from wellbegun.sampler import Draw, Stream, write

_QK, _VO = single("alpha_qk", 0.7), single("alpha_vo", 0.4)
_SAMPLE = 96
"""Size of the matrix whose singular values stand for those of any size, in `moments`."""


@dataclass(frozen=True, repr=False)
class MimeticFactor(Law):
    """A factor of alpha·Z + beta·I, whose other factor is drawn from the same stream.

    >>> MimeticFactor("qkv", heads=3)
    MimeticFactor(parts='qkv', heads=3)

    Formula: for each head h of size k, alpha_qk·Z_h + beta_qk·I = U·S·V', and the head's rows of q are the first k
        columns of U·sqrt(S), those of k the first k columns of V·sqrt(S): q'k is the best approximation of rank k. For
        v and o, alpha_vo·Z + beta_vo·I = U·S·V', v = (U·sqrt(S))' and o = V·sqrt(S), so that o·v is exactly its
        transpose. Z is normal with variance 1/d, d the width, and the same for all factors of one stream.
    Use it for: what the recipe `mimetic` gives the weights of an attention.
    Not for: one weight alone: the other factor must have the same stream.
    Parts: a part needs the whole matrix; each process computes it and keeps its share.
    Args:
        parts: "q", "k", "v", "o", or the order of those that one tensor holds, such as "qkv".
        heads: number of heads.
        alpha_qk, beta_qk: of the product of queries and keys.
        alpha_vo, beta_vo: of the product of values and the output projection.
        inputs_first: a matrix stored as [inputs, outputs]; planning reads it from the operation.
    Source: Trockman and Kolter (2023), "Mimetic Initialization of Self-Attention Layers".
    """

    parts: str
    heads: int = 1
    alpha_qk: float = _QK
    beta_qk: float = _QK
    alpha_vo: float = _VO
    beta_vo: float = -_VO
    inputs_first: bool = False
    structured = True

    def __post_init__(self) -> None:
        known = isinstance(self.parts, str) and self.parts and set(self.parts) <= set("qkvo")
        if not known or len(set(self.parts)) < len(self.parts):
            raise ArgumentError(f"parts must be some of the letters q, k, v, o, each once, got {self.parts!r}")
        if isinstance(self.heads, bool) or not isinstance(self.heads, int) or self.heads < 1:
            raise ArgumentError(f"heads must be a whole number above 0, got {self.heads!r}")
        for name in ("alpha_qk", "beta_qk", "alpha_vo", "beta_vo"):
            object.__setattr__(self, name, single(name, getattr(self, name)))
        if not isinstance(self.inputs_first, bool):
            raise ArgumentError(f"inputs_first must be True or False, got {self.inputs_first!r}")

    def check_shape(self, shape: tuple[int, ...]) -> None:
        """Raise ArgumentError unless every part is a square matrix that the heads divide."""
        outputs, width = (shape[::-1] if self.inputs_first else shape) if len(shape) == 2 else (0, 0)
        if not width or outputs != len(self.parts) * width or width % self.heads:
            raise ArgumentError(
                f"{self!r} needs {len(self.parts)} square matrices whose size {self.heads} heads divide, stacked by "
                f"outputs; got shape {tuple(shape)}"
            )

    def block(
        self,
        stream: Stream,
        shape: tuple[int, ...],
        dtype: Any = np.float32,
        companion: Floats | None = None,  # noqa: ARG002
        out: NDArray[Any] | None = None,  # noqa: ARG002
    ) -> NDArray[Any]:
        """Return the parts under one another."""
        self.check_shape(shape)
        width = min(shape)
        made: dict[str, NDArray[np.float64]] = {}
        if set(self.parts) & set("qk"):
            heads = [self._factors(stream, width, head) for head in range(self.heads)]
            size = width // self.heads
            made["q"] = np.concatenate([left[:, :size].T for left, _ in heads])
            made["k"] = np.concatenate([right[:, :size].T for _, right in heads])
        if set(self.parts) & set("vo"):
            left, right = self._factors(stream, width, self.heads)
            made["v"], made["o"] = left.T, right
        whole = np.concatenate([made[part] for part in self.parts])
        return np.ascontiguousarray(whole.T if self.inputs_first else whole, dtype)

    def _factors(self, stream: Stream, width: int, place: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """U·sqrt(S) and V·sqrt(S) of one product; the last place is that of values and output."""
        alpha, beta = (self.alpha_qk, self.beta_qk) if place < self.heads else (self.alpha_vo, self.beta_vo)
        z = np.empty(width * width, np.float32)  # in every precision the same, as directions hang on every bit
        write(z, Draw.normal(0.0, 1.0), stream, place * width * width)
        product = alpha / math.sqrt(width) * z.astype(np.float64).reshape(width, width) + beta * np.eye(width)
        left, values, right = np.linalg.svd(product)
        # a singular vector's sign is a library's choice: the largest number of each is made positive
        signs = np.sign(left[np.abs(left).argmax(0), np.arange(width)])
        return left * signs * np.sqrt(values), right.T * signs * np.sqrt(values)

    def reach(self) -> float:
        """The root of a bound of the largest singular value: no entry of a singular vector exceeds 1."""
        return math.sqrt(max(3 * abs(self.alpha_qk) + abs(self.beta_qk), 3 * abs(self.alpha_vo) + abs(self.beta_vo)))

    def scaled(self, factor: float) -> Law:
        """Not without its other factor, except by the square in both numbers of each product.

        The product of two factors that are both scaled is the product times the square of the factor.
        """
        square = scale(factor) ** 2
        return replace(
            self,
            alpha_qk=self.alpha_qk * square,
            beta_qk=self.beta_qk * square,
            alpha_vo=self.alpha_vo * square,
            beta_vo=self.beta_vo * square,
        )

    def moments(self, shape: tuple[int, ...]) -> tuple[float, float]:
        """Mean and standard deviation of one element; the latter from singular values of one fixed sample."""
        width = max(min(shape), 1)
        sample = np.random.default_rng(0).standard_normal((_SAMPLE, _SAMPLE)) / math.sqrt(_SAMPLE)
        sizes = []
        for part in self.parts:
            alpha, beta = (self.alpha_qk, self.beta_qk) if part in "qk" else (self.alpha_vo, self.beta_vo)
            values = np.linalg.svd(alpha * sample + beta * np.eye(_SAMPLE), compute_uv=False)
            kept = values[: max(_SAMPLE // self.heads, 1)] if part in "qk" else values
            sizes.append(float(kept.mean()) / width)
        return 0.0, math.sqrt(sum(sizes) / len(sizes))
