"""A law with other laws in rectangles of the tensor: gates, packed projections, rows with a meaning of their own."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wellbegun.errors import ArgumentError
from wellbegun.laws.initializer import Floats, Law
from wellbegun.laws.stored import Stored
from wellbegun.sampler import Stream

Region = tuple[tuple[int, int], ...]
"""(start, stop) in each of the leading dimensions; the others are taken whole."""


@dataclass(frozen=True, repr=False)
class Patched(Law):
    """A law, and other laws for rectangles of the tensor: the forget gate of an LSTM, the padding rows of a table.

    >>> from wellbegun.laws import Constant
    >>> Patched(Constant(0.0), [(((64, 128),), Constant(1.0))])
    Patched(base=Constant(value=0.0), patches=((((64, 128),), Constant(value=1.0)),))

    Formula: element i follows the last patch whose region holds it, else the base. Its number is the one that a whole
        tensor of that law would hold there, so that a patch changes no number outside of it.
    Use it for: several weights or biases in one tensor that need different laws.
    Not for: several tensors: each has an entry of its own. Orthogonal gates of equal size: Orthogonal(blocks=4).
    Args:
        base: of every element that no patch holds; with Keep() those stay as they are, and patches must not overlap.
        patches: pairs (region, law), later ones win. A region holds (start, stop) for each leading dimension. The laws
            of patches are those whose elements do not depend on one another (constant, normal, uniform, truncated), and
            stored numbers in the shape of the region.
    Source: the order of gates in one tensor follows PyTorch's documentation of nn.LSTM (input, forget, cell, output).
    """

    base: Law
    patches: tuple[tuple[Region, Law], ...]
    structured = True

    def __post_init__(self) -> None:
        if not isinstance(self.base, Law) or isinstance(self.base, Patched):
            raise ArgumentError(
                f"base must be a law such as Normal(std=0.02), and not patched itself; got {self.base!r}"
            )
        object.__setattr__(self, "patches", tuple(_patch(pair) for pair in self.patches))
        if self.keeps:
            for (one, _), (other, _) in itertools.combinations(self.patches, 2):
                if all(a < d and c < b for (a, b), (c, d) in zip(one, other, strict=False)):
                    raise ArgumentError(f"patches over Keep() must not overlap, {one} and {other} do")

    @property
    def companion(self) -> str | None:
        """That of the base."""
        return self.base.companion

    @property
    def keeps(self) -> bool:
        """Whether what no patch holds keeps its value."""
        return self.base.keeps

    def writes(self, shape: tuple[int, ...]) -> int:
        """Every element, or those in patches where the others keep their values."""
        if not self.keeps:
            return math.prod(shape)
        return sum(
            math.prod(stop - start for start, stop in region) * math.prod(shape[len(region) :])
            for region, _ in self.patches
        )

    def check_shape(self, shape: tuple[int, ...]) -> None:
        """Raise ArgumentError for regions that do not lie in the tensor."""
        self.base.check_shape(shape)
        for region, _ in self.patches:
            inside = all(stop <= size for (_, stop), size in zip(region, shape, strict=False))
            if len(region) > len(shape) or not inside:
                raise ArgumentError(f"the region {region} does not lie in a tensor of shape {shape}")
        for region, law in self.patches:
            if isinstance(law, Stored):
                law.check_shape((*(stop - start for start, stop in region), *shape[len(region) :]))

    def check_companion(self, shape: tuple[int, ...], companion: tuple[int, ...]) -> None:
        """Raise ArgumentError if the base cannot fill a tensor of this shape from a companion of that shape."""
        self.base.check_companion(shape, companion)

    def block(
        self,
        stream: Stream,
        shape: tuple[int, ...],
        dtype: Any = np.float32,
        companion: Floats | None = None,
        out: NDArray[Any] | None = None,
    ) -> NDArray[Any]:
        """Return the whole tensor."""
        self.check_shape(shape)
        values = whole_block(self.base, stream, shape, dtype, companion, out)
        if not values.flags.writeable:
            values = values.copy()
        for region, law in self.patches:
            if isinstance(law, Stored):
                values[slices(region)] = law.values
                continue
            first, stop = region[0]
            rows = np.empty((stop - first, *shape[1:]), dtype)
            law.draw(rows.reshape(-1), stream, first * math.prod(shape[1:]))
            values[slices(region)] = rows[slices(((0, stop - first), *region[1:]))]
        return values

    def reach(self) -> float:
        """The largest magnitude that any of the laws can have."""
        return max(law.reach() for law in self._laws())

    def bounds(self) -> tuple[float, float] | None:
        """Bounds that hold for every element, or None."""
        found = [(law.value, law.value) if hasattr(law, "value") else law.bounds() for law in self._laws()]
        known = [pair for pair in found if pair is not None]
        if len(known) < len(found):
            return None
        return min(low for low, _ in known), max(high for _, high in known)

    def scaled(self, factor: float) -> Law:
        """Every one of the laws times the factor."""
        patches = tuple((region, law.scaled(factor)) for region, law in self.patches)
        return Patched(self.base.scaled(factor), patches)

    def moments(self, shape: tuple[int, ...]) -> tuple[float, float]:
        """Mean and standard deviation over all elements."""
        shares = self._shares(shape)
        means, stds = zip(*(law.moments(shape) for law in self._laws()), strict=True)
        mean = float(np.dot(shares, means))
        second = float(np.dot(shares, np.square(means) + np.square(stds)))
        return mean, math.sqrt(max(second - mean**2, 0.0))

    def _shares(self, shape: tuple[int, ...]) -> NDArray[Any]:
        """The share of the elements that follows each law, the base first."""
        # between two neighbouring borders of regions all elements of a dimension are alike
        depth = max((len(region) for region, _ in self.patches), default=0)
        borders = []
        for axis in range(depth):
            found = {edge for region, _ in self.patches for pair in region[axis : axis + 1] for edge in pair}
            borders.append(sorted(found | {0, shape[axis]}))
        owner = np.zeros([len(edges) - 1 for edges in borders], np.intp)
        sizes = np.ones((), float)
        for edges in borders:
            sizes = np.multiply.outer(sizes, np.diff(edges) / max(edges[-1], 1))
        for number, (region, _) in enumerate(self.patches, 1):
            owner[tuple(slice(*map(borders[axis].index, pair)) for axis, pair in enumerate(region))] = number
        return np.bincount(owner.reshape(-1), sizes.reshape(-1), minlength=len(self.patches) + 1)

    def _laws(self) -> list[Law]:
        return [self.base, *(law for _, law in self.patches)]


def slices(region: Region) -> tuple[slice, ...]:
    """Return a region as an index."""
    return tuple(slice(start, stop) for start, stop in region)


def whole_block(
    law: Law,
    stream: Stream,
    shape: tuple[int, ...],
    dtype: Any,
    companion: Floats | None = None,
    out: NDArray[Any] | None = None,
) -> NDArray[Any]:
    """Return a law's whole tensor, whether its elements depend on one another or not."""
    if law.structured:
        return law.block(stream, shape, dtype, companion, out)
    values = np.empty(shape, dtype)
    law.draw(values.reshape(-1), stream, 0)
    return values


def _patch(pair: Any) -> tuple[Region, Law]:
    try:
        region, law = pair
        made = tuple((int(start), int(stop)) for start, stop in region)
    except (TypeError, ValueError):
        raise ArgumentError(f"a patch is a pair (((start, stop), ...), law), got {pair!r}") from None
    if not made or not all(0 <= start < stop for start, stop in made):
        raise ArgumentError(f"a region holds pairs 0 <= start < stop, got {region!r}")
    if not isinstance(law, Law) or (law.structured and not isinstance(law, Stored)) or law.companion is not None:
        raise ArgumentError(
            f"the law of a patch must be constant, normal, uniform, truncated normal or stored numbers, got {law!r}"
        )
    return made, law
