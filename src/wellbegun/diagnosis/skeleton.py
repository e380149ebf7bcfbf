"""A diagnosis of a model that has no weights yet: theory takes the place of the measurement."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from wellbegun.diagnosis.diagnosis import Diagnosis
from wellbegun.diagnosis.facts import Facts, LayerFacts, TensorFacts
from wellbegun.diagnosis.findings import find_faults
from wellbegun.diagnosis.predict import activation_behind, phase_by_plan, predict
from wellbegun.errors import ArgumentError, WellbegunError
from wellbegun.laws import Keep
from wellbegun.plans import Entry, Plan
from wellbegun.recipes import plan as make_plan

if TYPE_CHECKING:
    import torch

    from wellbegun.graph.graph import Graph


def predict_skeleton(model: torch.nn.Module, batch: Any, plan: Plan | None) -> Diagnosis:
    """Return what theory expects of a model on meta, if it is started by a plan.

    Args:
        model: on meta.
        batch: inputs or a spec, as for `wb.plan`; a pair (inputs, targets) loses its targets.
        plan: what the weights will hold; None for what the model's own code would do.

    Raises:
        ArgumentError: there is no plan, and the model's own code cannot be recorded.
        TraceError: the forward pass fails.
    """
    from wellbegun.diagnosis.batches import read_batch
    from wellbegun.graph.trace import trace

    inputs = batch if batch is None or isinstance(batch, str) else read_batch(batch).example
    graph = trace(model, inputs)
    by = "the plan"
    if plan is None:
        by = "what the model's own code does"
        try:
            plan = make_plan(model, inputs, seed=0, recipe="author")
        except WellbegunError as error:
            raise ArgumentError(
                "the model is on meta and has no weights to measure, and what its own code would put there is not "
                f"known ({str(error).splitlines()[0]}); pass plan=, or wb.initialize the model first"
            ) from error
    held = {name: size for entry in plan if (size := _sizes(entry)) is not None for name in (entry.name, *entry.ties)}
    layers = _layers(graph, held)
    phase = phase_by_plan(layers, graph, held)
    facts = Facts(layers=layers, loss=math.nan, tensors=_tensors(plan, graph), phase=phase, predicted=True)
    return Diagnosis(facts, find_faults(facts), by, plan, model, inputs)


def _sizes(entry: Entry) -> tuple[float, float] | None:
    if isinstance(entry.law, Keep):
        return None
    try:
        mean, std = entry.law.moments(entry.shape)
    except NotImplementedError:  # a law whose numbers depend on other tensors
        return None
    return (mean, mean**2 + std**2) if math.isfinite(mean + std) else None


def _layers(graph: Graph, held: dict[str, tuple[float, float]]) -> tuple[LayerFacts, ...]:
    made, found = predict(graph, held), []
    for operation in graph.weight_operations():
        if operation.weight not in held:
            continue
        activation, normalised = activation_behind(graph, operation)
        signal = made.signals[operation.index]
        flows = [made.signals[index] for index in operation.inputs]
        zero = held[operation.weight][1] == 0
        # a zero that is planned passes no gradient on, and opens with the first step
        gradient = made.gradients.get(operation.index, math.nan) or math.nan
        found.append(
            LayerFacts(
                name=operation.weight,
                activation=activation,
                signal=signal,
                mean=0.0,
                activated=math.nan,
                gradient=gradient,
                weight_gradient=math.nan,
                dead=math.nan,
                saturated=math.nan,
                cosine=math.nan,
                twins=math.nan,
                finite=True,
                normalised=normalised,
                starts_at_zero=zero or signal == 0,
                inflow=flows[0] if flows and operation.kind != "embedding" else math.nan,
                width=operation.shape[1 if "convolution" in operation.kind else -1],
                kind="lookup" if operation.kind == "embedding" else operation.kind,
                expected=signal,
                expected_gradient=gradient,
            )
        )
    return tuple(found)


def _tensors(plan: Plan, graph: Graph) -> tuple[TensorFacts, ...]:
    return tuple(
        TensorFacts(
            name=entry.name,
            dtype=entry.dtype,
            size=entry.size,
            mean=held[0],
            std=math.sqrt(max(held[1] - held[0] ** 2, 0.0)),
            matrix=len(entry.shape) > 1,
            used=entry.name in graph.uses,
        )
        for entry in plan
        if entry.kind == "parameter" and (held := _sizes(entry)) is not None
    )
