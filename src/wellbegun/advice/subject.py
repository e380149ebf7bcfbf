"""The model that advice is for: its graph, its batch, and how a plan for it is judged."""

from __future__ import annotations

import copy
import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from wellbegun.advice.attempt import Attempt
from wellbegun.advice.isometry import isometry_score
from wellbegun.advice.traits import deepest_chain, traits_of
from wellbegun.diagnosis import Diagnosis, diagnose
from wellbegun.errors import UnmetMultiplierWarning
from wellbegun.graph.framework import check_module
from wellbegun.graph.graph import Graph
from wellbegun.plans import Plan
from wellbegun.recipes import plan as make_plan
from wellbegun.recipes.chain import Chain

if TYPE_CHECKING:
    import torch

MOST_PARAMETERS = 20_000_000
"""A model with more parameters is judged by theory, on meta: its weights are neither drawn nor copied."""


@dataclass(frozen=True)
class Subject:
    """A model, and what its forward pass takes.

    Attributes:
        given: the model or what builds it, as the user gave it.
        model: built; never written to.
        batch: real inputs, a spec or None, as for `wb.diagnose`.
        seed: of every plan.
    """

    given: torch.nn.Module | Callable[[], torch.nn.Module]
    model: torch.nn.Module
    batch: Any
    seed: int

    @classmethod
    def of(cls, model: Any, batch: Any, seed: int) -> Subject:
        """Build the model if it is not yet."""
        import torch

        from wellbegun.authors import skeleton

        if isinstance(model, torch.nn.Module) or not callable(model):
            return cls(model, check_module(model, "advising on a model"), batch, seed)
        with skeleton():
            built = check_module(model(), "advising on a model")
        if sum(parameter.numel() for parameter in built.parameters()) <= MOST_PARAMETERS:
            with torch.random.fork_rng(devices=[]):
                built = model()
        return cls(model, built, batch, seed)

    @cached_property
    def has_data(self) -> bool:
        """Whether the user gave real inputs."""
        return self.batch is not None and not isinstance(self.batch, str)

    @cached_property
    def inputs(self) -> Any:
        """What `wb.plan` takes."""
        from wellbegun.diagnosis.batches import read_batch

        return read_batch(self.batch).example if self.has_data else self.batch

    @cached_property
    def graph(self) -> Graph:
        """Of the forward pass."""
        from wellbegun.graph.trace import trace

        return trace(self.model, self.inputs)

    @cached_property
    def chain(self) -> Chain | None:
        """The longest row of layers, where nothing but weights and activations lies between input and output."""
        return deepest_chain(self.graph) if "plain" in self.traits else None

    @cached_property
    def traits(self) -> dict[str, str]:
        """What its graph shows."""
        return traits_of(self.graph)

    @cached_property
    def is_measured(self) -> bool:
        """Whether starts are measured; else theory predicts them."""
        size = sum(parameter.numel() for parameter in self.model.parameters())
        return size <= MOST_PARAMETERS and not any(tensor.is_meta for tensor in self.model.parameters())

    def plan(self, recipe: str) -> Plan:
        """Plan by a recipe. Raises: WellbegunError, if the recipe refuses the model."""
        return make_plan(self.given, self.inputs, seed=self.seed, recipe=recipe)

    def judged(self, plan: Plan, recipe: str) -> Attempt:
        """Start a copy of the model by a plan and look at it."""
        found = self._diagnosis(plan)
        score = None if self.chain is None else isometry_score(self.chain, self.graph, plan, found)
        layers = [layer for layer in found.layers if layer.kind != "lookup"]
        ends = [layer.gradient for layer in layers]
        return Attempt(
            plan=plan,
            recipe=recipe,
            findings=found.findings,
            score=score,
            signal=layers[-1].signal if layers else math.nan,
            gradient=ends[0] / ends[-1] if ends and 0 < ends[-1] < math.inf else math.nan,
            source=found.source,
            predicted=found.predicted,
        )

    def _diagnosis(self, plan: Plan) -> Diagnosis:
        import torch

        from wellbegun.targets import apply

        if not self.is_measured:
            return diagnose(self._on_meta, self.inputs, plan=plan)
        model = copy.deepcopy(self.model)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UnmetMultiplierWarning)  # the advice says so itself
            apply(plan, model, overwrite=True)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            return diagnose(model, self.batch)

    @cached_property
    def _on_meta(self) -> torch.nn.Module:
        import torch

        held = [*self.model.parameters(), *self.model.buffers()]
        memo: dict[int, Any] = {}
        for tensor in held:
            empty = torch.empty_like(tensor, device="meta")
            is_parameter = isinstance(tensor, torch.nn.Parameter)
            memo[id(tensor)] = torch.nn.Parameter(empty, tensor.requires_grad) if is_parameter else empty
        return copy.deepcopy(self.model, memo)
