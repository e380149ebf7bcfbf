"""Following what attentions are made of: products of two signals, a softmax, and a product with the values."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch

from wellbegun.diagnosis import attention
from wellbegun.diagnosis.by_tensor import ByTensor
from wellbegun.diagnosis.facts import AttentionFacts
from wellbegun.diagnosis.watched import Softmax, Watched


class Attentions:
    """The attentions that were found so far, fused or written out."""

    def __init__(self, upstream: Callable[[torch.Tensor], int]) -> None:
        """upstream: bits of the layers that a tensor comes from."""
        self._upstream = upstream
        self._found: list[Softmax] = []
        self._products: ByTensor[tuple[int, ...]] = ByTensor()
        self._softmaxes: ByTensor[Softmax] = ByTensor()

    def fused(self, data: Sequence[torch.Tensor], args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Look at one whole attention; the first two of its data are queries and keys."""
        self._found.append(Softmax(attention.of_products(args, kwargs), self._sources(data[:2])))

    def multiply(self, data: Sequence[torch.Tensor], result: torch.Tensor) -> None:
        """Look at a product of two signals: scores of an attention, or its weights times the values."""
        softmax = self._softmaxes.first(data)
        if softmax is not None:
            self._found.append(softmax)
        else:
            self._products[result] = self._sources(data)

    def soften(self, args: tuple[Any, ...], kwargs: dict[str, Any], scores: torch.Tensor, result: torch.Tensor) -> None:
        """Look at a softmax, which is one of an attention if its scores are such a product."""
        axis = kwargs.get("dim", args[1] if len(args) > 1 else None)
        product = self._products.get(scores)
        if scores.ndim > 2 and isinstance(axis, int) and product is not None:
            self._softmaxes[result] = Softmax(attention.of_scores(scores, axis), product)

    def carry(self, data: Sequence[torch.Tensor], results: Iterable[torch.Tensor]) -> None:
        """Masks, scales, casts and dropout leave scores scores, and weights weights."""
        product = self._products.first(data)
        softmax = self._softmaxes.first(data)
        for result in results:
            if product is not None:
                self._products[result] = product
            if softmax is not None:
                self._softmaxes[result] = softmax

    def facts(self, layers: Sequence[Watched]) -> tuple[AttentionFacts, ...]:
        """Return those whose queries or keys come from a layer, and that choose between two places or more."""
        made = []
        for found in self._found:
            sources = sorted((layers[i] for i in found.sources if i >= 0), key=lambda layer: layer.signal)
            if sources and not math.isnan(found.measured[0]):
                made.append(AttentionFacts(sources[-1].name, sources[0].name, *found.measured))
        return tuple(made)

    def _sources(self, data: Sequence[torch.Tensor]) -> tuple[int, ...]:
        """The last layer before each tensor; -1 if there is none."""
        return tuple(self._upstream(tensor).bit_length() - 1 for tensor in data)
