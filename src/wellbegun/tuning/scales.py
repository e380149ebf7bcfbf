"""One factor for each tensor of a plan, and losses and gradients of the network as functions of these factors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from wellbegun.errors import ArgumentError, CalibrationError
from wellbegun.graph.variable import collect_variables
from wellbegun.laws import MeanCompensation
from wellbegun.plans import Entry, Plan
from wellbegun.tuning.batch import Batch
from wellbegun.tuning.correction import mean_part
from wellbegun.tuning.notes import marked, with_law
from wellbegun.tuning.objective import Loss, loss_of
from wellbegun.tuning.running import batch_statistics, forward, on_values
from wellbegun.tuning.values import by_every_name, planned_values

State = dict[str, torch.Tensor]


class Scales:
    """The tensors that get a factor, and the network at any of these factors."""

    def __init__(self, plan: Plan, model: torch.nn.Module, loss: Loss | None, chosen: Callable[[Entry], bool]) -> None:
        """Draw the plan's values.

        Args:
            plan: made for the model.
            model: gives the forward pass.
            loss: of (output, targets), or None for what the targets suggest.
            chosen: says which entries shall get a factor. Of those, zeros and tensors that keep their value get none,
                and neither do biases that follow a weight: they go along with it.

        Raises:
            ArgumentError: no entry can have a factor.
        """
        self.plan, self._model, self._loss = plan, model, loss
        self._values = planned_values(plan, model)
        learns = {variable.name for variable in collect_variables(model) if variable.learns}
        self.learning = [
            e.name
            for e in plan
            if e.kind == "parameter" and e.name in learns and self._values[e.name].is_floating_point()
        ]
        self.names = [name for name in self.learning if chosen(plan[name]) and self._is_free(plan[name])]
        if not self.names:
            raise ArgumentError(f"no tensor of this plan (by {plan.recipe}) has random numbers that a factor can scale")
        self._followers = {
            entry.name: (self.plan[entry.law.weight].name, entry.law)
            for entry in plan
            if isinstance(entry.law, MeanCompensation)
        }

    def ones(self) -> torch.Tensor:
        """Return the factors to begin with, to be derived by."""
        return torch.ones(len(self.names), dtype=torch.float64, requires_grad=True)

    def norm(self, name: str) -> float:
        """Length of the vector of a tensor's planned values."""
        return float(torch.linalg.vector_norm(self._values[name].double()))

    def state(self, factors: torch.Tensor) -> State:
        """Return all values with these factors; differentiable by the factors."""
        by_name = dict(zip(self.names, factors, strict=True))
        made = dict(self._values)
        for name, factor in by_name.items():
            value = self._values[name]
            made[name] = value * factor.to(value.device, value.dtype)
        for name, (weight, law) in self._followers.items():
            if weight in by_name:
                part = mean_part(self._values[weight], law).to(made[name].dtype)
                made[name] = made[name] + (by_name[weight].to(part.device, part.dtype) - 1) * part
        for name in self.learning:
            if not made[name].requires_grad:
                made[name] = made[name].detach().clone().requires_grad_()
        return made

    def loss(self, state: Mapping[str, torch.Tensor], batch: Batch) -> torch.Tensor:
        """Run the network on a state; attention runs as plain products, whose gradients can be derived again."""
        tensors = by_every_name(self.plan, state, self._model)
        with (
            on_values(self._model, tensors, self.plan.seed),
            batch_statistics(self._model),
            sdpa_kernel(SDPBackend.MATH),
        ):
            return loss_of(forward(self._model, batch), batch, self._loss)

    def gradient(self, loss: torch.Tensor, state: Mapping[str, torch.Tensor], names: list[str]) -> list[torch.Tensor]:
        """Derive a loss by tensors of a state, so that the result can be derived again."""
        found = torch.autograd.grad(loss, [state[name] for name in names], create_graph=True, materialize_grads=True)
        return list(found)

    def derived(self, value: torch.Tensor, factors: torch.Tensor, step: int, what: str) -> torch.Tensor:
        """Derive a value by the factors.

        Raises:
            CalibrationError: the value or its derivative is not finite.
        """
        if not torch.isfinite(value):
            raise CalibrationError(
                f"{what} is not finite in step {step}: start from weights that are closer to useful ones"
            )
        (found,) = torch.autograd.grad(value, factors)
        if not torch.isfinite(found).all():
            bad = self.names[int((~torch.isfinite(found)).nonzero()[0])]
            raise CalibrationError(f"the derivative of {what} by the scale of {bad} is not finite in step {step}")
        return found

    def planned(self, factors: torch.Tensor, note: str, suffix: str, source: str) -> Plan:
        """Return the plan with scaled laws.

        Args:
            factors: one for each name.
            note: for the reasons, with the factor as {factor}.
            suffix: for the recipe's name.
            source: of the method.
        """
        by_name = dict(zip(self.names, factors.tolist(), strict=True))

        def changed(entry: Entry) -> Entry:
            factor = by_name.get(entry.name)
            if factor is None:
                return entry
            made = with_law(entry, entry.law.scaled(factor), note.format(factor=f"{factor:.4g}"), source)
            return replace(made, measured=None)

        return replace(self.plan, entries=tuple(map(changed, self.plan)), recipe=marked(self.plan.recipe, suffix))

    def _is_free(self, entry: Entry) -> bool:
        return not entry.law.keeps and entry.law.companion is None and bool(self._values[entry.name].any())


def rows(batch: Batch, first: int, stop: int) -> Batch:
    """Return some rows of a batch: of every tensor that has as many rows as the batch."""
    from torch.utils._pytree import tree_map_only

    size = batch.size

    def cut(tensor: torch.Tensor) -> torch.Tensor:
        return tensor[first:stop] if tensor.ndim and len(tensor) == size else tensor

    arguments, keywords, targets = tree_map_only(torch.Tensor, cut, (batch.arguments, batch.keywords, batch.targets))
    return Batch(arguments, keywords, targets, batch.hint)
