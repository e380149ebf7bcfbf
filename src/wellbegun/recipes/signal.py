"""How the second moment of the signal travels through a graph, if every weight meets its target."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace

from wellbegun.errors import TheoryError
from wellbegun.graph.graph import WEIGHT_KINDS, Graph, Operation
from wellbegun.graph.primitives import TESTS
from wellbegun.recipes.behind import SILENT, activation_of, behind_activation, exponent_of
from wellbegun.recipes.held import bias_moments, element_second_moment
from wellbegun.recipes.proposal import Proposal
from wellbegun.recipes.streams import carried
from wellbegun.theory import maximum

ASSUMED = 1.0
"""Second moment of an input whose values were not given."""

ALIKE = 0.5
"""Assumed cosine between neighbouring places of an image or sequence: random filters keep that of the data."""

STEEP = 2.5
"""Exponent of the data's size from which on the size behind a chain is an estimate: it differs from row to row."""


BEYOND = 1e4
"""Factor from 1 at which an estimated second moment says more about the estimate than about the network."""


@dataclass(frozen=True)
class Signal:
    """What is known of one operation's result.

    Attributes:
        second_moment: E x².
        mean: E x.
        fresh: whether it is an odd function of weights that nothing else has used, so that its products with any other
            signal average out to zero over the draws of those weights.
        doubt: what makes the second moment an estimate, "" if theory gives it. Sums of branches that share an ancestor,
            pooling, attention and softmax need more than a second moment.
        least: share of the second moment that is left where attention averages evenly over rows that have nothing in
            common: attention passes on at most the size of its values, and at least that over the number of rows.
        power: exponent with which the size of the data, or of the last normalisation's result, goes into this one.
        parts: what weights that stand in a loop have added to it, as (weight, root of its second moment): what one
            weight adds again and again adds up in length.
        roots: the weights of loops that it depends on.
    """

    second_moment: float = ASSUMED
    mean: float = 0.0
    fresh: bool = False
    doubt: str = ""
    least: float = 1.0
    power: float = 1.0
    parts: tuple[tuple[str, float], ...] = ()
    roots: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Feed:
    """What flows into an operation that multiplies with a weight.

    Attributes:
        kind: kind of the operation it comes from ("input", "activation", "norm", "add", "linear", ...).
        activation: name of the activation it comes out of, or "".
        second_moment: of the values.
        measured: whether that rests on data that were given.
        doubt: what makes the second moment an estimate, or "".
    """

    kind: str
    activation: str
    second_moment: float
    measured: bool
    doubt: str = ""


class Signals:
    """The signals of a graph, followed in the order of execution."""

    def __init__(self, graph: Graph, *, noisy: bool = False) -> None:
        """Begin.

        Args:
            graph: of the model.
            noisy: count what dropout adds to the second moment, which a plan leaves out: it is for the network that is
                used in the end.
        """
        self._graph, self._noisy = graph, noisy
        self._found: dict[int, Signal] = {}
        self._factors: dict[int, list[str]] = {}
        self._summands: dict[int, list[str]] = {}
        self._biases: dict[int, list[str]] = {}
        self.looped: set[str] = set()
        found = Counter(operation.weight for operation in graph.operations if operation.kind in WEIGHT_KINDS)
        self._repeated = {weight for weight, count in found.items() if weight and count > 1}
        for name, uses in graph.uses.items():
            for use in uses:
                if use.role == "bias":
                    self._biases.setdefault(use.operation, []).append(name)
                if use.role in ("multiplied", "scalar gate"):
                    self._factors.setdefault(use.operation, []).append(name)
                elif use.role in ("added", "position table", "token"):
                    self._summands.setdefault(use.operation, []).append(name)

    def __getitem__(self, index: int) -> Signal:
        return self._found.get(index, Signal())

    def feed(self, operation: Operation) -> Feed:
        """Return what flows into a weight operation."""
        if not operation.inputs:
            return Feed("constant", "", ASSUMED, False)
        source = self._graph.source(operation.inputs[0])
        if source.kind == "pool" and source.inputs:
            source = self._graph.source(source.inputs[0])
        activation = source.detail if source.kind == "activation" else ""
        measured = source.kind == "input" and source.second_moment is not None
        signal = self[operation.inputs[0]]
        size, doubt = signal.second_moment, signal.doubt
        if operation.kind == "bilinear" and len(operation.inputs) > 1:
            size *= self[operation.inputs[1]].second_moment
        if size < SILENT:
            size, doubt = ASSUMED, doubt or "a signal that starts at zero"
        if doubt and not 1 / BEYOND < size < BEYOND:  # an estimate as far off as this is none
            size = ASSUMED
        return Feed(source.kind, activation, size, measured, doubt)

    def follow(self, operation: Operation, target: float, proposals: Mapping[str, Proposal]) -> None:
        """Work out the signal behind one operation, given those behind the operations before it.

        Args:
            operation: the next one in the order of execution.
            target: second moment that a weight operation is going to reach.
            proposals: what the parameters that are multiplied with or added to signals are going to hold.
        """
        incoming = [self[index] for index in operation.inputs]
        made = self._behind(operation, incoming, target)
        roots = frozenset().union(*(signal.roots for signal in incoming))
        if operation.weight in self._repeated:
            if operation.weight in roots:
                self.looped.add(operation.weight)
                made = replace(made, parts=((operation.weight, math.sqrt(made.second_moment)),))
            roots |= {operation.weight}
        made = replace(made, least=self._least(operation, incoming, made), roots=roots)
        for name in self._factors.get(operation.index, ()):
            size = element_second_moment(proposals.get(name))
            if size is not None:
                made = replace(made, second_moment=made.second_moment * size)
        for name in self._summands.get(operation.index, ()):
            size = element_second_moment(proposals.get(name))
            if size is not None:
                made = replace(made, second_moment=made.second_moment + size)
        for name in self._biases.get(operation.index, ()):
            mean, size = bias_moments(proposals.get(name))
            if mean:  # the targets of auto's own rules hold their biases already
                size += made.second_moment + 2 * mean * made.mean
                made = replace(made, second_moment=size, mean=made.mean + mean, fresh=False)
        self._found[operation.index] = made

    def _behind(self, operation: Operation, incoming: list[Signal], target: float) -> Signal:
        kind = operation.kind
        doubt = next((signal.doubt for signal in incoming if signal.doubt), "")
        if kind == "input":
            return Signal(operation.second_moment or ASSUMED)
        if kind in WEIGHT_KINDS:
            doubt = doubt or ("" if operation.weight else "a weight that is computed from parameters")
            return Signal(target, 0.0, True, doubt if incoming else "", power=incoming[0].power if incoming else 1.0)
        if kind == "norm":
            size = operation.second_moment or 1.0
            return Signal(size, 0.0, bool(incoming) and incoming[0].fresh)
        if kind == "parameter" and operation.detail != "token":  # exp(A_log), say: of one sign
            return Signal()
        if not incoming:
            return Signal(0.0 if operation.detail == "token" else 1.0, 0.0, True)
        first = incoming[0]
        if kind == "activation":
            return self._activated(operation.detail, first, doubt)
        if kind == "add":
            known = self._rotated(operation) or self._straight_through(operation)
            signs = (1.0, -1.0) if operation.detail in ("sub", "rsub") else (1.0, 1.0)
            return known if known is not None else _sum(incoming, doubt, signs)
        if operation.detail == "neg":
            return replace(first, mean=-first.mean)
        if kind == "multiply":
            return self._product(operation, incoming, doubt)
        if kind == "dropout" and self._noisy:  # the mean stays
            return replace(first, second_moment=first.second_moment / operation.kept, doubt=doubt)
        if kind == "softmax":  # n independent normal logits of variance s²: E p² = exp(s²)/n²
            n = max(operation.shape[-1:] or (1,))
            return Signal(math.exp(min(first.second_moment, 8.0)) / n**2, 1 / n, False, doubt or "a softmax")
        if kind == "scale":
            if self._graph.is_assumed_data(operation.index):  # a share of an unknown size is an unknown size
                return replace(first, doubt=doubt)
            parts = tuple((name, size * operation.factor) for name, size in first.parts)
            size, mean = first.second_moment * operation.factor**2, first.mean * operation.factor
            return Signal(size, mean, first.fresh, doubt, power=first.power, parts=parts)
        if kind == "shift":
            is_data = self._graph.source(operation.inputs[0]).kind == "input"  # whose mean nobody has measured
            return replace(first, doubt=doubt) if is_data else _shifted(operation, first, doubt)
        if kind == "concat":
            sizes = [max(math.prod(self._graph.operations[index].shape), 1) for index in operation.inputs]
            shares = [size / sum(sizes) for size in sizes]
            second = sum(share * signal.second_moment for share, signal in zip(shares, incoming, strict=True))
            mean = sum(share * signal.mean for share, signal in zip(shares, incoming, strict=True))
            return Signal(second, mean, all(signal.fresh for signal in incoming), doubt)
        if kind == "matmul":
            return self._matmul(operation, incoming, doubt)
        if kind == "attention":
            value = incoming[min(2, len(incoming) - 1)]
            return Signal(value.second_moment, 0.0, value.fresh, value.doubt or "attention")
        if kind == "pool":
            if "max" in operation.detail:
                return self._largest(operation, first, doubt)
            return Signal(first.second_moment, first.mean, first.fresh, doubt or "pooling", power=first.power)
        if operation.detail == "where":
            chosen = [index for index in operation.inputs if self._graph.source(index).detail not in TESTS]
            kept = [self[index] for index in chosen] or [first]
            size = sum(signal.second_moment for signal in kept) / len(kept)
            return Signal(size, sum(signal.mean for signal in kept) / len(kept), False, doubt or "a choice")
        if kind == "other" and operation.detail in _SUMS:
            return self._summed(operation, incoming, doubt)
        if kind == "other":
            size = first.second_moment * operation.factor**2  # of a Fourier transform
            doubt = doubt or ("" if operation.detail.startswith("_fft") else operation.detail)
            return Signal(size, first.mean, first.fresh, doubt, power=first.power)
        return replace(first, doubt=doubt)

    def _activated(self, detail: str, first: Signal, doubt: str) -> Signal:
        """Behind an activation, of a normal signal with the mean that is known."""
        if detail == "exp" and (doubt or not first.fresh):  # a decay, a share: nothing that a normal law describes
            return Signal(ASSUMED, 0.0, False, doubt or "exp of a signal that is not normal")
        try:
            at = behind_activation(self._graph, detail, first.second_moment, first.mean)
            power = first.power * exponent_of(activation_of(self._graph, detail), first.second_moment)
        except TheoryError:  # exp of a large signal: no number of standard deviations is enough
            return Signal(first.second_moment, 0.0, False, f"{detail} of a large signal")
        if power > STEEP:
            doubt = doubt or f"the power {power:.1f} of the data's size"
        return Signal(at.second, at.mean, False, doubt, power=power)

    def _straight_through(self, operation: Operation) -> Signal | None:
        """Of x + (y - x), where gradients take another way than values (codebooks, hard choices): y."""
        if len(operation.inputs) != 2:
            return None
        first, second = (self._graph.source(index) for index in operation.inputs)
        if operation.detail == "sub":
            return Signal(0.0, 0.0, True) if first.index == second.index else None
        for step, other in ((first, second), (second, first)):
            if step.kind == "add" and step.detail == "sub" and len(step.inputs) == 2:
                taken = self._graph.source(step.inputs[1])
                if taken.index == other.index:
                    return self[step.inputs[0]]
        return None

    def _terms(self, operation: Operation, place: int = 0) -> float:
        inner = self._graph.operations[operation.inputs[place]].shape
        return math.prod(inner) / max(math.prod(operation.shape), 1)

    def _summed(self, operation: Operation, incoming: list[Signal], doubt: str) -> Signal:
        """A sum within a tensor: over features, whose terms are independent, or over places, which are alike."""
        shapes = [self._graph.operations[index].shape for index in operation.inputs]
        onto = len(shapes) > 1 and (
            len(shapes) > 2 if operation.detail == "scatter_add" else len(shapes[1]) == len(operation.shape) > 1
        )
        place = 1 if onto and operation.detail != "sum" else 0  # added to a signal, not to zeros
        terms, inner, first = self._terms(operation, place), shapes[place], incoming[place]
        features = operation.detail == "sum" and operation.shape in (inner[:-1], (*inner[:-1], 1))
        source = self._graph.source(operation.inputs[place])
        # each place multiplied by what a weight of its own has made of the data
        mixed = source.kind == "multiply" and len(source.inputs) > 1 and first.fresh
        alike = 0.0 if features or mixed else ALIKE
        variance = max(first.second_moment - first.mean**2, 0.0)
        size = terms * variance * (1 + max(terms - 1, 0.0) * alike) + terms * max(terms, 1.0) * first.mean**2
        sure = "" if features and first.fresh else "a sum" if features else "a sum over places"
        made = Signal(size, terms * first.mean, first.fresh, doubt or sure, power=first.power)
        return _sum([incoming[0], made], made.doubt) if place else made

    def _largest(self, operation: Operation, first: Signal, doubt: str) -> Signal:
        """Behind a maximum over places, which are alike: of what an activation takes, if one made the signal."""
        top = maximum(round(min(self._terms(operation), 4096)), ALIKE)
        source = self._graph.source(operation.inputs[0])
        before, detail = first, ""
        if source.kind == "activation" and source.inputs:
            before, detail = self[source.inputs[0]], source.detail
        spread = max(before.second_moment - before.mean**2, 0.0)
        mean = before.mean + math.sqrt(spread) * top.mean
        size = spread * (top.second - top.mean**2) + mean**2
        doubt = doubt or "pooling"
        made = Signal(size, mean, False, doubt, power=first.power)
        return replace(self._activated(detail, made, doubt), power=first.power) if detail else made

    def _least(self, operation: Operation, incoming: list[Signal], made: Signal) -> float:
        if not incoming or operation.kind == "norm":
            return 1.0
        if made.doubt == "attention" and not any(signal.doubt == "attention" for signal in incoming):
            scores = self._graph.operations[operation.inputs[0]].shape
            rows = scores[-1] if operation.kind == "matmul" else scores[-2]
            return incoming[-1].least / max(rows, 1)
        if operation.kind == "add":
            total = sum(signal.second_moment for signal in incoming)
            left = sum(signal.second_moment * signal.least for signal in incoming)
            return left / total if total > SILENT else 1.0
        return min(signal.least for signal in incoming)

    def _product(self, operation: Operation, incoming: list[Signal], doubt: str) -> Signal:
        """Of independent factors; a softmax's shares (of routes, of experts) pass on at most what they weigh."""
        shares = [self._is_share(index) for index in operation.inputs]
        if any(shares) and not all(shares):
            kept = next(signal for signal, share in zip(incoming, shares, strict=True) if not share)
            return Signal(kept.second_moment, 0.0, kept.fresh, doubt or "routing")
        if operation.detail == "div" and len(incoming) == 2:
            size = incoming[0].second_moment / max(incoming[1].second_moment, SILENT)
            return Signal(size, 0.0, incoming[0].fresh, doubt or "a quotient of signals")
        size = math.prod(signal.second_moment for signal in incoming)
        mean = math.prod(signal.mean for signal in incoming) if len(incoming) > 1 else 0.0
        fresh = [signal.fresh for signal in incoming]
        independent = len(incoming) < 2 or sum(not is_fresh for is_fresh in fresh) < 2
        power = sum(signal.power for signal in incoming)
        return Signal(size, mean, any(fresh), doubt or ("" if independent else "a product of branches"), power=power)

    def _rotated(self, operation: Operation) -> Signal | None:
        """Of x·cos + y·sin, with y the numbers of x at other places: a rotation (RoPE), which keeps their size."""
        found: dict[str, int] = {}
        for index in operation.inputs:
            product = self._graph.source(index)
            if product.kind != "multiply" or len(product.inputs) != 2:
                return None
            for signal, factor in (product.inputs, product.inputs[::-1]):
                if (name := self._trigonometric(factor)) is not None:
                    found[name] = signal
        return self[found["cos"]] if len(found) == 2 else None

    def _trigonometric(self, index: int) -> str | None:
        """Whether a factor is a cosine or a sine, at most in another form."""
        step = carried(self._graph, index)
        while step.detail not in ("cos", "sin"):
            if step.kind != "parameter" or len(step.inputs) != 1:
                return None
            step = carried(self._graph, step.inputs[0])
        return step.detail

    def _matmul(self, operation: Operation, incoming: list[Signal], doubt: str) -> Signal:
        if len(incoming) < 2:
            return Signal(incoming[0].second_moment, 0.0, incoming[0].fresh, doubt or "a product of signals")
        if self._is_share(operation.inputs[0]):  # attention averages over the rows of the values
            return Signal(incoming[1].second_moment, 0.0, incoming[1].fresh, incoming[1].doubt or "attention")
        if self._is_share(operation.inputs[1]):  # the same, with the values on the left
            return Signal(incoming[0].second_moment, 0.0, incoming[0].fresh, incoming[0].doubt or "attention")
        if not all(signal.fresh for signal in incoming[:2]):
            return Signal(incoming[-1].second_moment, 0.0, False, doubt or "a product of signals")
        shape = self._graph.operations[operation.inputs[0]].shape
        terms = shape[-1] if shape else 1
        return Signal(terms * incoming[0].second_moment * incoming[1].second_moment, 0.0, True, doubt)

    def _is_share(self, index: int) -> bool:
        source = self._graph.source(index)
        while source.kind in ("other", "scale", "multiply") and source.inputs and source.detail in _SELECTS:
            source = self._graph.source(source.inputs[0])
        return source.kind == "softmax"


_SUMS = frozenset({"sum", "index_add", "scatter_add"})
_SELECTS = frozenset("topk gather index_select index div sum sort scatter masked_fill where".split())
"""Operations after which the shares of a softmax are still shares."""


def _sum(incoming: list[Signal], doubt: str, signs: tuple[float, ...] = (1.0, 1.0)) -> Signal:
    """Fresh terms have no product with the others on average; two that are not fresh may be anything.

    What one weight of a loop adds step after step is nearly the same each time, so that lengths add up.
    """
    size = sum(signal.second_moment for signal in incoming)
    means = [sign * signal.mean for sign, signal in zip(signs, incoming, strict=False)]
    cross = sum(means) ** 2 - sum(mean**2 for mean in means)
    added: dict[str, float] = {}
    for sign, signal in zip(signs, incoming, strict=False):
        for name, length in signal.parts:
            cross -= length**2
            added[name] = added.get(name, 0.0) + sign * length
    cross += sum(length**2 for length in added.values())
    known = sum(not signal.fresh for signal in incoming) < 2
    fresh = all(signal.fresh for signal in incoming)
    doubt = doubt or ("" if known else "a sum of branches")
    power = max(signal.power for signal in incoming)
    return Signal(max(size + cross, 0.0), sum(means), fresh, doubt, power=power, parts=tuple(added.items()))


def _shifted(operation: Operation, signal: Signal, doubt: str) -> Signal:
    by = next((value for key, value in operation.scalars if key != "alpha" and isinstance(value, float)), 0.0)
    if operation.detail not in ("add", "sub") or not by:
        return replace(signal, doubt=doubt)
    shift = by if operation.detail == "add" else -by
    size = signal.second_moment + 2 * shift * signal.mean + shift**2
    return Signal(size, signal.mean + shift, False, doubt)
