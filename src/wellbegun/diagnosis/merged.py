"""The facts of several processes, each on its own batch, as facts of all their inputs together."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from wellbegun.diagnosis import measure
from wellbegun.diagnosis.facts import AttentionFacts, Facts, LayerFacts, SpreadFacts, StreamFacts, TensorFacts
from wellbegun.diagnosis.histogram import Histogram, added
from wellbegun.diagnosis.loss import prior_of
from wellbegun.diagnosis.watched import Watched

_SAME = 1e-9
"""Share of the standard deviation by which sums over equal numbers may differ between kinds of hardware."""

_Weighed = Iterable[tuple[float, float]]


@dataclass(frozen=True)
class Sums:
    """What makes the means over one layer's output the means over all processes; see `Watched`."""

    count: int
    keys: torch.Tensor | None
    dead_units: torch.Tensor | None
    shared_gradient: torch.Tensor | None

    @classmethod
    def of(cls, layer: Watched) -> Sums:
        """Return those of a layer, in the memory of the processor."""
        tensors = (layer.keys, layer.dead_units, layer.shared_gradient)
        return cls(layer.count, *(None if tensor is None else tensor.cpu() for tensor in tensors))


@dataclass(frozen=True)
class Part:
    """What one process has measured.

    Attributes:
        facts: on its own batch, but for the gradients of parameters: those are the mean's over all processes.
        sums: of each layer.
        inputs: in its batch; 1 where it is not known.
        frequencies: of the classes among its targets.
    """

    facts: Facts
    sums: tuple[Sums, ...]
    inputs: int
    frequencies: torch.Tensor | None


@dataclass(frozen=True)
class _Use:
    layer: LayerFacts
    sums: Sums
    spread: SpreadFacts
    inputs: int


def merged(parts: Mapping[int, Part]) -> Facts:
    """Return the facts of all inputs together, as the loss's mean over the processes has them.

    Means are weighed by the numbers that they are over. Mean cosines are over the pairs within each process: pairs of
    inputs of two processes are not looked at. Counts are added. Of the tensors, the worst copy is told.

    Args:
        parts: {rank: what it has measured}; all alike on every process, so that all return the same.
    """
    found = list(parts.values())
    first, weights = found[0].facts, [float(part.inputs) for part in found]

    def pairs(numbers: Iterable[float]) -> float:
        return _known_mean(zip(numbers, [weight * (weight - 1) for weight in weights], strict=True))

    frequencies = [part.frequencies for part in found if part.frequencies is not None]
    slopes = [part.facts.jacobian for part in found if part.facts.jacobian is not None]
    jacobian = first.jacobian and replace(
        first.jacobian,
        largest=_mean(zip([one.largest for one in slopes], weights, strict=True)),
        smallest=_mean(zip([one.smallest for one in slopes], weights, strict=True)),
    )
    layers = _uses(found)
    return replace(
        first,
        layers=tuple(_layer(uses, len(found)) for uses in layers),
        loss=_mean((part.facts.loss, 1.0) for part in found),
        prior=prior_of(torch.stack(frequencies).sum(0)) if len(frequencies) == len(found) else math.nan,
        logits=_mean(zip([part.facts.logits for part in found], weights, strict=True)),
        tensors=_tensors(found),
        attentions=_attentions([part.facts.attentions for part in found], weights),
        streams=_streams([part.facts.streams for part in found], weights),
        unseen=tuple(name for name in first.unseen if all(name in part.facts.unseen for part in found)),
        jacobian=jacobian,
        aliases={name: made for part in found for name, made in part.facts.aliases.items()},
        spreads=tuple(_spread([use.spread for use in uses]) for uses in layers),
        data_cosine=pairs(part.facts.data_cosine for part in found),
        differing=_differing(parts),
    )


def _uses(parts: Sequence[Part]) -> list[list[_Use]]:
    """Each layer's n-th use with the n-th uses elsewhere; what no process but one has used stays as it is there."""
    found: dict[tuple[str, int], list[_Use]] = {}
    for part in parts:
        uses: Counter[str] = Counter()
        for layer, sums, spread in zip(part.facts.layers, part.sums, part.facts.spreads, strict=True):
            uses[layer.name] += 1
            found.setdefault((layer.name, uses[layer.name]), []).append(_Use(layer, sums, spread, part.inputs))
    return list(found.values())


def _layer(uses: Sequence[_Use], size: int) -> LayerFacts:
    layers, sums = [use.layer for use in uses], [use.sums for use in uses]
    counts, inputs = [float(each.count) for each in sums], [float(use.inputs) for use in uses]
    first = layers[0]

    def mean(attribute: str) -> float:
        return _mean(zip([getattr(layer, attribute) for layer in layers], counts, strict=True))

    pairs = [number * (number - 1) for number in inputs]
    return replace(
        first,
        signal=mean("signal"),
        mean=mean("mean"),
        activated=mean("activated"),
        inflow=mean("inflow"),
        saturated=mean("saturated"),
        gradient=_gradient(layers, sums, size),
        dead=math.nan if math.isnan(first.dead) else _dead(layers, sums),
        cosine=_known_mean(zip([layer.cosine for layer in layers], pairs, strict=True)),
        tokens=_known_mean(zip([layer.tokens for layer in layers], inputs, strict=True)),
        twins=_twins(layers, sums),
        finite=all(layer.finite for layer in layers),
        starts_at_zero=any(layer.starts_at_zero for layer in layers),
        waits_for=next((layer.waits_for for layer in layers if layer.waits_for), ""),
        branch=any(layer.branch for layer in layers),
    )


def _spread(found: Sequence[SpreadFacts]) -> SpreadFacts:
    """All counts together."""

    def joined(name: str) -> Histogram | None:
        known = [histogram for spread in found if (histogram := getattr(spread, name)) is not None]
        return added(known) if known else None

    return SpreadFacts(joined("before"), joined("between"), joined("behind"))


def _gradient(layers: Sequence[LayerFacts], sums: Sequence[Sums], size: int) -> float:
    """Second moment of the gradient of the losses' mean; an output that all inputs share gets the sum of theirs."""
    held = [each.shared_gradient for each in sums if each.shared_gradient is not None]
    outputs = {(layer.signal, layer.mean, each.count) for layer, each in zip(layers, sums, strict=True)}
    if len(held) == size and len(outputs) == 1 and all(each.shape == held[0].shape for each in held):
        return measure.second_moment(torch.stack([each.double() for each in held]).mean(0))
    arrived = [(layer.gradient, float(each.count)) for layer, each in zip(layers, sums, strict=True)]
    if all(math.isnan(value) for value, _ in arrived):
        return math.nan
    return _mean((0.0 if math.isnan(value) else value, count) for value, count in arrived) / size**2


def _dead(layers: Sequence[LayerFacts], sums: Sequence[Sums]) -> float:
    """Share of units that are dead on every process."""
    masks = [each.dead_units for each in sums if each.dead_units is not None]
    if not masks or any(mask.shape != masks[0].shape for mask in masks):
        return min(layer.dead for layer in layers)
    return float(torch.stack(masks).all(0).double().mean())


def _twins(layers: Sequence[LayerFacts], sums: Sequence[Sums]) -> float:
    """Share of units that equal the same other unit on every process."""
    if any(math.isnan(layer.twins) for layer in layers):
        return math.nan
    keys = [each.keys for each in sums if each.keys is not None and len(each.keys)]
    if not keys or any(key.shape != keys[0].shape for key in keys):
        return min(layer.twins for layer in layers)
    return measure.repeated_share(torch.stack(keys, 1))


def _tensors(parts: Sequence[Part]) -> tuple[TensorFacts, ...]:
    together = zip(*(part.facts.tensors for part in parts), strict=True)
    return tuple(
        replace(
            max(copies, key=lambda facts: (facts.bad, facts.largest, facts.zero, facts.tiny)),
            used=any(facts.used for facts in copies),
            reached=any(facts.reached for facts in copies),
        )
        for copies in together
    )


def _differing(parts: Mapping[int, Part]) -> dict[str, tuple[int, ...]]:
    together = zip(*(part.facts.tensors for part in parts.values()), strict=True)
    told = {}
    for copies in together:
        ranks = [rank for rank, facts in zip(parts, copies, strict=True) if _differs(facts, copies[0])]
        if ranks:
            told[copies[0].name] = tuple(ranks)
    return told


def _differs(one: TensorFacts, other: TensorFacts) -> bool:
    near = _SAME * max(one.std, other.std, abs(one.mean), abs(other.mean))
    if (one.bad, one.zero) != (other.bad, other.zero):
        return True
    return abs(one.std - other.std) > near or abs(one.mean - other.mean) > near


def _attentions(found: Sequence[tuple[AttentionFacts, ...]], weights: Sequence[float]) -> tuple[AttentionFacts, ...]:
    """Means over the processes; where they have not run the same attentions, those of the first."""
    if any(len(each) != len(found[0]) for each in found):
        return found[0]
    return tuple(
        replace(
            same[0],
            **{
                name: _known_mean(zip([getattr(facts, name) for facts in same], weights, strict=True))
                for name in ("scores", "entropy", "places")
            },
        )
        for same in zip(*found, strict=True)
    )


def _streams(found: Sequence[tuple[StreamFacts, ...]], weights: Sequence[float]) -> tuple[StreamFacts, ...]:
    """Means over the processes; where they have not run the same additions, those of the first."""
    if any([stream.writers for stream in each] != [stream.writers for stream in found[0]] for each in found):
        return found[0]

    def mean(same: Sequence[StreamFacts], name: str, average: Any) -> tuple[float, ...]:
        steps = zip(*(getattr(stream, name) for stream in same), strict=True)
        return tuple(average(zip(values, weights, strict=True)) for values in steps)

    return tuple(
        replace(
            same[0],
            branches=mean(same, "branches", _mean),
            sums=mean(same, "sums", _mean),
            tokens=mean(same, "tokens", _known_mean),
        )
        for same in zip(*found, strict=True)
    )


def _mean(weighed: _Weighed) -> float:
    """Mean of what has a weight; a number that is none makes it none."""
    known = [(value, weight) for value, weight in weighed if weight > 0]
    if not known:
        return math.nan
    return sum(value * weight for value, weight in known) / sum(weight for _, weight in known)


def _known_mean(weighed: _Weighed) -> float:
    """Mean of what was measured, nan where nothing was."""
    return _mean((value, weight) for value, weight in weighed if not math.isnan(value))
