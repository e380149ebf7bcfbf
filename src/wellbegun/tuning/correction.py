"""Watching one forward pass and correcting each weight when its first result appears."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from wellbegun.errors import CalibrationError
from wellbegun.laws import Keep, MeanCompensation
from wellbegun.plans import Plan
from wellbegun.tuning import operations
from wellbegun.tuning.corrected import Corrected
from wellbegun.tuning.factor import Parts
from wellbegun.tuning.operations import second_moment, variance
from wellbegun.tuning.origins import Origins, is_whole
from wellbegun.tuning.storages import LastProducts


class Correction(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Corrects the values of the planned weights in place while the network runs on them.

    Below autograd and below torch.nn, so that functional calls, packed projections and loops look like layers.
    """

    def __init__(
        self,
        plan: Plan,
        values: Mapping[str, torch.Tensor],
        targets: Mapping[str, float],
        *,
        centred: bool = False,
        ratios: bool = True,
    ) -> None:
        """Get ready for one forward pass.

        Args:
            plan: what the values follow.
            values: of every entry, by name; changed in place.
            targets: second moment to reach behind each weight that shall be corrected.
            centred: reach it with the variance.
            ratios: correct the ratio of output to input of a weight with several uses.
        """
        super().__init__()  # type: ignore[no-untyped-call]
        self.weights: dict[str, Corrected] = {}
        self._plan, self._values, self._targets, self._centred = plan, values, targets, centred
        self._moment = variance if centred else second_moment
        self._origins = Origins(plan, values)
        self._last = LastProducts()
        self._ratios = ratios
        self._compensating: dict[str, dict[str, MeanCompensation]] = {}
        for entry in plan:
            if isinstance(entry.law, MeanCompensation):
                self._compensating.setdefault(plan[entry.law.weight].name, {})[entry.name] = entry.law

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        name = func.overloadpacket.__name__
        leaves = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)]
        if all(self._origins.owner(leaf) is None for leaf in leaves):
            return operations.run(func, args, kwargs)
        if name in operations.SUMS:
            return self._add(func, args, kwargs)
        position = self._weight_position(name, args)
        if position is not None and self._has_data(name, leaves, args[position]):
            return self._multiply(func, args, kwargs, position)
        result = operations.run(func, args, kwargs)
        self._origins.note_copies(name, leaves, result)
        return result

    def _weight_position(self, name: str, args: tuple[Any, ...]) -> int | None:
        """Which argument is the weight: the one parameter with a target, else the only parameter, the bias aside."""
        bias = operations.BIASES.get(name.rstrip("_"))
        found = {
            i: owner
            for i, value in enumerate(args)
            if i != bias and isinstance(value, torch.Tensor) and (owner := self._origins.owner(value)) is not None
        }
        aimed = [i for i, owner in found.items() if owner in self._targets]
        if len(aimed) != 1 and len(found) != 1:
            return None
        position = aimed[0] if len(aimed) == 1 else next(iter(found))
        known = name.rstrip("_") in operations.PRODUCTS
        return position if known or found[position] in self._targets else None

    def _has_data(self, name: str, leaves: list[torch.Tensor], weight: torch.Tensor) -> bool:
        """Whether something else flows in: data, another parameter, or the rows that are looked up."""
        mine = self._origins.owner(weight)
        others = [leaf for leaf in leaves if self._origins.owner(leaf) != mine]
        looks_up = name in operations.TABLES
        return looks_up or any(not self._origins.is_constant(leaf) for leaf in others)

    def _multiply(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], position: int) -> Any:
        name = func.overloadpacket.__name__
        owner = self._origins.owner(args[position])
        assert owner is not None
        weight = self.weights.get(owner) or Corrected(owner, self._targets.get(owner))
        known = name.rstrip("_") in operations.PRODUCTS
        if weight.target is None or weight.reached is not None or (func._schema.is_mutable and not known):
            result = operations.run(func, args, kwargs)
            if known:
                self._note_use(weight, tree_leaves(result)[0])
            return result
        whole = operations.product_alone(func, args, kwargs)
        if not known and not operations.is_proportional(func, args, kwargs, position, whole):
            return operations.run(func, args, kwargs)
        product = tree_leaves(whole)[0]
        measured = self._rows(owner, name, product, args)
        if not measured.numel():
            return operations.run(func, args, kwargs)
        data = [leaf for i, leaf in enumerate(args) if i != position and self._is_signal(name, i, leaf)]
        if not measured.any() and data and not all(leaf.any() for leaf in data):
            if all(self._origins.owner(leaf) is None for leaf in data):
                others = [name for name in self.weights if name != owner]
                weight.starved, weight.behind = True, others[-1] if others else ""
                self.weights[owner] = weight
            return operations.run(func, args, kwargs)

        self.weights[owner] = weight
        bias, added = self._bias(name, args, kwargs, product)
        weight.ratio = self._ratio(weight, data)
        self._correct(weight, measured, bias, f"{name} of shape {list(product.shape)}")
        product.mul_(weight.factor)
        if bias is not None:  # its mean part has followed the weight
            product.add_(bias)
        self._note_reached(weight, self._rows(owner, name, product, args))
        if added is not None:
            product.add_(added)
        elif bias is None:
            self._last.add(product, owner)
        return self._deliver(func, args, kwargs, whole)

    def _add(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """A sum: of a first product and its bias, perhaps, which is corrected again to what both come to."""
        pairs = ((args[0], args[1]), (args[1], args[0])) if len(args) > 1 and not kwargs else ()
        for product, bias in pairs:
            if not isinstance(product, torch.Tensor) or not isinstance(bias, torch.Tensor):
                continue
            name = self._origins.owner(bias)
            if name is None or "bias" not in self._plan[name].role or not self._counts(name) or not bias.any():
                continue
            owner = self._last.take(product)
            if owner is None:
                continue
            weight = self.weights[owner]
            before = weight.factor
            self._correct(weight, product, bias, "with its bias")
            changed = product.mul(weight.factor / before).add_(bias)
            self._note_reached(weight, changed)
            return args[0].copy_(changed) if func._schema.is_mutable else changed
        return operations.run(func, args, kwargs)

    def _correct(self, weight: Corrected, product: torch.Tensor, bias: torch.Tensor | None, result: str) -> None:
        """Find the factor that brings a product and its bias to the target, and multiply the weight by it.

        The product already holds the factor that the weight has so far.
        """
        assert weight.target is not None
        parts = Parts.of(product, bias, self._mean_part(weight.name, bias), self._centred)
        # a bias that stays as it is has its share of the target whatever flows in
        target = weight.target
        if weight.ratio != 1:
            target = parts.rest + max(target - parts.rest, 0.0) * weight.ratio
        weight.found = parts.at(1 / weight.factor)
        if not math.isfinite(weight.found):
            raise CalibrationError(f"{weight.name}: its result ({result}) is not finite; look at what flows into it")
        if parts.square == 0:
            dead = not self._values[weight.name].any()
            cause = "its weights are all zero" if dead else "what flows in meets no weight"
            raise CalibrationError(
                f"{weight.name}: its result ({result}) is zero for the whole batch: {cause}, so no factor makes its "
                f"{self._word()} {target:.4g}; give it a law that is not zero, or no target"
            )
        step = parts.factor_for(target)
        if step is None:
            raise CalibrationError(
                f"{weight.name}: its bias alone has a {self._word()} of {parts.rest:.4g} behind the operation, more "
                f"than the {target:.4g} aimed at; give the bias a smaller law"
            )
        weight.factor *= step
        self._scale(weight.name, step)

    def _word(self) -> str:
        return "variance" if self._centred else "second moment"

    def _scale(self, owner: str, factor: float) -> None:
        """Multiply a weight, wherever it is kept; the mean part of its bias follows."""
        for name, law in self._compensating.get(owner, {}).items():
            shift = (factor - 1) * mean_part(self._values[owner], law)
            for values in self._origins.parameters.alive(name):
                values.add_(shift)
        for values in self._origins.parameters.alive(owner):
            values.mul_(factor)

    def _mean_part(self, owner: str, bias: torch.Tensor | None) -> torch.Tensor | None:
        """The part of a bias that follows the weight, in the bias's shape."""
        name = self._origins.owner(bias) if bias is not None else None
        law = self._compensating.get(owner, {}).get(name or "")
        if bias is None or law is None:
            return None
        return mean_part(self._values[owner], law).reshape(bias.shape)

    def _bias(
        self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any], product: torch.Tensor
    ) -> tuple[torch.Tensor | None, torch.Tensor | None]:
        """What a product adds: (a bias that counts, None), (None, anything else), or (None, None)."""
        plain = name.rstrip("_")
        position = operations.BIASES.get(plain)
        value = args[position] if position is not None and len(args) > position else None
        if not isinstance(value, torch.Tensor) or kwargs.get("beta", 1) == 0 or not value.any():
            return None, None
        value = operations.broadcast(value, plain, product)
        owner = self._origins.owner(value)
        if owner is None or kwargs.get("beta", 1) != 1 or not self._counts(owner):
            return None, value * kwargs.get("beta", 1)
        return value, None

    def _counts(self, name: str) -> bool:
        """Whether a bias is a part of the signal: random about zero, or there to take out a mean.

        One with a mean of its own (a forget gate's 1, the time steps of a state space model) is an offset on purpose,
        which its plan does not count in the second moment that the weight aims at.
        """
        law = self._plan[name].law
        return not isinstance(law, Keep) and law.moments(self._plan[name].shape)[0] == 0

    def _ratio(self, weight: Corrected, data: list[torch.Tensor]) -> float:
        """How much more flows in at a first use than the plan says, for a weight that is used several times.

        The plan of such a weight, as of a recurrent loop, is about the ratio of what comes out to what goes in: that
        ratio is corrected, or every step would repeat the error of the first.
        """
        entry = self._plan[weight.name]
        if not self._ratios or entry.uses < 2 or not entry.before or len(data) != 1:
            return 1.0
        return second_moment(data[0]) / entry.before

    def _is_signal(self, name: str, position: int, value: object) -> bool:
        """Whether an argument is what a product multiplies with the weight."""
        if position == operations.BIASES.get(name.rstrip("_")) or name in operations.TABLES:
            return False
        return isinstance(value, torch.Tensor) and not is_whole(value)

    def _rows(self, owner: str, name: str, result: torch.Tensor, args: tuple[Any, ...]) -> torch.Tensor:
        """The part of a result that counts: rows that stand for padding do not."""
        row = self._plan[owner].zero_row
        return result[args[1] != row] if name == "embedding" and row is not None else result

    def _note_use(self, weight: Corrected, result: torch.Tensor) -> None:
        """Measure the use of a weight that is not, or no longer, corrected."""
        if not result.numel() or is_whole(result):
            return
        self.weights[weight.name] = weight
        if weight.reached is None:
            self._note_reached(weight, result)
        else:
            weight.later.append(self._measure(weight, result))

    def _note_reached(self, weight: Corrected, result: torch.Tensor) -> None:
        weight.reached, weight.second_moment = self._measure(weight, result), second_moment(result)

    def _measure(self, weight: Corrected, result: torch.Tensor) -> float:
        found = self._moment(result)
        if not math.isfinite(found):
            shape = list(result.shape)
            raise CalibrationError(
                f"{weight.name}: its result of shape {shape} is not finite; look at what flows into it"
            )
        return found

    def _deliver(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], whole: Any) -> Any:
        """Put the result where an operation in place, or with `out`, has it."""
        if "out" in kwargs:
            return kwargs["out"].copy_(whole)
        return args[0].copy_(whole) if func._schema.is_mutable else whole


def mean_part(weight: torch.Tensor, law: MeanCompensation) -> torch.Tensor:
    """-mean·(sums of the weight over its inputs), as `MeanCompensation` has it."""
    return -law.mean * weight.double().sum(0 if law.inputs_first else 1)
