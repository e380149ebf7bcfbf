"""A plan: one entry for every parameter and buffer of a network. Data, not code."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wellbegun.errors import ArgumentError, closest_names, join_names
from wellbegun.laws import MeanCompensation
from wellbegun.plans.entry import Entry
from wellbegun.plans.identity import entry_identity
from wellbegun.plans.multiplier import Multiplier, multiplier_identity
from wellbegun.sampler import SAMPLER_VERSION, check_seed

if TYPE_CHECKING:
    from wellbegun.plans.diff import PlanDiff
    from wellbegun.plans.table import PlanView


@dataclass(frozen=True)
class Plan:
    """What every parameter and buffer of a network will hold, before anything is written.

    Attributes:
        entries: one for each tensor, in the order of the model's state.
        seed: with the names it decides every random number.
        recipe: the policy that made the plan, with its version ("auto@0").
        sampler: version of the sampler's definition.
        multipliers: numbers that the recipe wants in the forward pass, where no tensor holds them (muP, DeepNorm).
    """

    entries: tuple[Entry, ...]
    seed: int
    recipe: str
    sampler: int = SAMPLER_VERSION
    multipliers: tuple[Multiplier, ...] = ()

    def __post_init__(self) -> None:
        check_seed(self.seed)
        index: dict[str, Entry] = {}
        for entry in self.entries:
            for name in (entry.name, *entry.ties):
                if name in index:
                    raise ArgumentError(f"a plan holds each tensor once; twice here: {name}")
                index[name] = entry
        object.__setattr__(self, "_index", index)
        for entry in self.entries:
            needed = entry.law.companion
            if needed is None:
                continue
            if needed not in self or self[needed].law.keeps or isinstance(self[needed].law, MeanCompensation):
                raise ArgumentError(f"{entry.name}: {entry.law!r} needs a planned weight of that name")
            entry.law.check_companion(entry.shape, self[needed].shape)

    def __len__(self) -> int:
        return len(self.entries)

    def __iter__(self) -> Iterator[Entry]:
        return iter(self.entries)

    def __contains__(self, name: object) -> bool:
        return name in self._names

    def __getitem__(self, name: str) -> Entry:
        found = self._names.get(name)
        if found is not None:
            return found
        near = closest_names(str(name), self._names)
        offer = f"; did you mean {join_names(near)}?" if near else ""
        raise KeyError(f"the plan has no entry {name!r}{offer}")

    @property
    def _names(self) -> dict[str, Entry]:
        """Every name with its entry, further names of tied tensors too."""
        index: dict[str, Entry] = self.__dict__["_index"]
        return index

    def __str__(self) -> str:
        from wellbegun.plans.table import plan_text

        return plan_text(self)

    def __rich__(self) -> PlanView:
        from wellbegun.plans.table import PlanView

        return PlanView(self)

    def _repr_html_(self) -> str:
        from wellbegun.plans.html import plan_html

        return plan_html(self)

    def with_seed(self, seed: int) -> Plan:
        """Return the same plan for another seed."""
        return replace(self, seed=seed)

    @property
    def unmet(self) -> tuple[Multiplier, ...]:
        """The multipliers that the forward pass did not have when the plan was made: the model must use them."""
        return tuple(multiplier for multiplier in self.multipliers if not multiplier.met)

    def explain(self, name: str) -> str:
        """Return everything the plan knows about one tensor, in a few lines."""
        from wellbegun.plans.table import entry_text

        return entry_text(self, self[name])

    def diff(self, other: Plan) -> PlanDiff:
        """Return what differs from another plan: print it, iterate over it, or ask for its `findings`.

        Seeds, reasons and storage types do not count. It is false where the plans agree: `if plan.diff(other): ...`
        """
        from wellbegun.plans.diff import PlanDiff

        if not isinstance(other, Plan):
            raise ArgumentError(f"diff compares with another plan, got {type(other).__name__}")
        return PlanDiff(self, other)

    def param_groups(
        self, lr: float, *, weight_decay: float = 0.0, eps: float = 1e-8, model: Any = None
    ) -> list[dict[str, Any]]:
        """Return the parameter groups of an optimizer, with the factors that the recipe has for each parameter.

        Decay is for weights of two or more dimensions (matrices, kernels, look-up tables); biases, normalisation and
        other single vectors are in groups without. Most recipes want one learning rate for all; those that scale it by
        tensor (`mup`, `completep`, `spectral`) have a group for each factor.

        Args:
            lr: learning rate that the factors multiply: that of the base model.
            weight_decay: of the parameters that decay is for, times their factor.
            eps: Adam's epsilon that the factors multiply; in the groups only if the recipe scales it.
            model: where the plan was applied. With it, "params" holds tensors, as torch.optim takes them; without,
                "names" alone says which parameters are meant.

        Raises:
            ArgumentError: lr, weight_decay or eps is negative, or the model lacks a parameter of the plan.
        """
        from wellbegun.plans.optimizer import param_groups

        return param_groups(self, lr, weight_decay, eps, model)

    @property
    def hash(self) -> str:
        """Hash of names, shapes, laws and versions; not of seed, reasons or storage type."""
        content: list[object] = [self.recipe, self.sampler, [entry_identity(entry) for entry in self.entries]]
        if self.multipliers:
            content.append(multiplier_identity(self.multipliers))
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()

    def save(self, path: str | Path) -> None:
        """Write the plan as JSON, with large stored numbers in a file beside it; it appears whole or not at all."""
        from wellbegun.plans.file import save_plan

        save_plan(self, path)
