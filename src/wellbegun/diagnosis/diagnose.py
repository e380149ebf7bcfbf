"""wb.diagnose: one forward and one backward pass, and the model is left as it was."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from wellbegun.diagnosis.copies import find_copies
from wellbegun.diagnosis.diagnosis import Diagnosis
from wellbegun.diagnosis.facts import Facts
from wellbegun.diagnosis.findings import find_faults
from wellbegun.diagnosis.loss import Value, loss_of
from wellbegun.errors import ArgumentError
from wellbegun.graph.framework import check_module
from wellbegun.plans import Plan

if TYPE_CHECKING:
    import torch

    from wellbegun.diagnosis.batches import Batch
    from wellbegun.diagnosis.company import Company


def diagnose(
    model: torch.nn.Module,
    batch: Any = None,
    *,
    plan: Plan | None = None,
    loss: Callable[[Any, Any], torch.Tensor] | None = None,
    theory: bool = False,
    jacobian: bool = False,
) -> Diagnosis:
    """Measure the signal and the gradient of every layer before training, and say what is wrong.

    >>> import torch
    >>> model = torch.nn.Sequential(torch.nn.Linear(8, 8), torch.nn.Tanh(), torch.nn.Linear(8, 2))
    >>> found = diagnose(model, (torch.randn(16, 8), torch.zeros(16, dtype=torch.long)))
    >>> [layer.name for layer in found.layers]
    ['0.weight', '2.weight']

    The model runs once forward and once backward, in the mode that it is in, with the same random numbers each time
    (dropout). No activation is kept beyond what the backward pass keeps anyway, but for small samples; all sums are in
    float64.

    On several processes: under DistributedDataParallel, or with parameters that are DTensors (FSDP2's `fully_shard`,
    tensor parallelism), every process calls this on its own batch, and all return the same facts and findings, those of
    the inputs of all processes. Sharded tensors are gathered for the pass, so that each process needs memory for the
    whole weights. Mean cosines are over pairs of inputs of one process.

    Args:
        model: a torch.nn.Module. Its weights, gradients, buffers, mode, hooks and the random states are as before
            afterwards, whatever happens. Of a model on meta (`wb.skeleton()`) nothing can be measured: the second
            moments are predicted by theory, from the plan, and `Diagnosis.predicted` says so.
        batch: inputs, or a pair (inputs, targets). Inputs: a tensor, a tuple of arguments, a dictionary of keywords,
            or a spec ("vector:64", see `wb.plan`), from which random ones are made; None: random ones for what the
            model takes. Two inputs alone, (a, b), would be read as inputs and targets: name them in a dictionary.
        plan: what the weights should hold: deviations are findings, and `Diagnosis.repair` changes this plan.
        loss: takes (output, targets); without it the loss that the output itself brings (transformers, with labels
            in the batch), else the mean cross-entropy for whole-number targets, the mean square for others, and
            without targets the output along a fixed random direction.
        theory: also trace the model and put the second moments that theory expects beside the measured ones.
        jacobian: also take the singular values of the outputs' slopes with respect to the inputs, on a few random
            directions (one more forward pass, a few backward ones).

    Raises:
        ArgumentError: the batch does not fit, the loss is no single number, or the model is in pieces that only another
            library can put together (ZeRO-3, FSDP1, a pipeline's stage).
        TraceError: the model's forward pass fails; its own error is given. Errors in `loss` pass through.
    """
    if hasattr(model, "submod") and hasattr(model, "stage_index"):
        raise ArgumentError(
            "a stage of a pipeline is no model: pass stage.submod, with what this stage takes as the batch; each stage "
            "is then diagnosed as a model of its own. Of the way through all stages only the whole model can tell: "
            "diagnose it before it is split, with the same plan applied"
        )
    given, model = model, check_module(model, "diagnosing a model")
    if plan is not None and not isinstance(plan, Plan):
        raise ArgumentError(f"plan must be a plan (of wb.plan or wb.load_plan), got {type(plan).__name__}")
    from wellbegun.diagnosis.batches import made_batch, read_batch
    from wellbegun.diagnosis.company import company_of, refuse_pieces

    refuse_pieces(given)
    parameters, buffers = dict(model.named_parameters()), dict(model.named_buffers())
    if any(tensor.is_meta for tensor in (*parameters.values(), *buffers.values())):
        from wellbegun.diagnosis.skeleton import predict_skeleton

        return predict_skeleton(model, batch, plan)
    company = company_of(given)
    with company.fails_together():
        made = batch is None or isinstance(batch, str)
        found = made_batch(model, batch) if made else read_batch(batch)
    facts = _measure(model, parameters, buffers, found, plan, loss, jacobian, company)
    if theory or plan is not None:
        from wellbegun.diagnosis.predict import with_theory

        with company.fails_together():
            facts = with_theory(facts, model, found.example, plan, traced=theory)
        facts = next(iter(company.everyone(facts).values()))
    source = ", ".join(dict.fromkeys(company.everyone(found.source).values()))
    if company.size > 1:
        source = f"{source}, on {company.size} processes"
    return Diagnosis(facts, find_faults(facts), source, plan, model, found.example)


def _measure(
    model: torch.nn.Module,
    parameters: Mapping[str, torch.Tensor],
    buffers: Mapping[str, torch.Tensor],
    batch: Batch,
    plan: Plan | None,
    loss: Callable[[Any, Any], torch.Tensor] | None,
    with_jacobian: bool,
    company: Company,
) -> Facts:
    import torch

    from wellbegun.diagnosis import measure
    from wellbegun.diagnosis.batches import run
    from wellbegun.diagnosis.company import put_whole, whole_tensors
    from wellbegun.diagnosis.kept import left_as_it_was
    from wellbegun.diagnosis.merged import Part, Sums, merged
    from wellbegun.diagnosis.planned import planned_names
    from wellbegun.diagnosis.probe import Probe
    from wellbegun.diagnosis.tensors import tensor_facts

    whole = whole_tensors(model)
    named = {name: whole.get(name, parameter) for name, parameter in parameters.items()}
    held = (whole.get(name, buffer) for name, buffer in buffers.items())
    probe = Probe(named, held, inputs=batch.count if company.size > 1 else None)
    slopes = None
    with company.fails_together(), left_as_it_was(model, probe.written):
        put_whole(model, whole)
        with torch.enable_grad():
            with probe:
                output = run(model, batch.copied())
            value = loss_of(output, batch, loss)
            gradients = _gradients(value, named)
        del output
        if with_jacobian:
            from wellbegun.diagnosis.jacobian import jacobian_facts

            slopes = jacobian_facts(model, batch)
    probe.settle()
    moments = company.mean_moments(gradients, named)
    del gradients
    counts = company.everyone(batch.count).values()
    inputs = None if None in counts else sum(number or 0 for number in counts)
    data = [tensor for tensor in batch.tensors if tensor.is_floating_point() and tensor.ndim > 1]
    facts = Facts(
        layers=probe.facts(moments, inputs),
        loss=float(value.loss.detach()),
        classes=value.classes,
        prior=value.prior,
        logits=value.logits,
        tensors=tensor_facts(named, moments, probe.taken, plan, planned_names(model) if plan else {}),
        attentions=probe.attentions.facts(probe.layers),
        streams=probe.streams.facts(),
        copies=find_copies(named),
        unseen=probe.unseen(),
        jacobian=slopes,
        aliases=probe.made_of(),
        spreads=probe.spreads(),
        data_cosine=measure.mean_cosine(data[0]) if data else math.nan,
        inputs=inputs,
    )
    if company.size == 1:
        return facts
    sums = tuple(Sums.of(layer) for layer in probe.layers)
    frequencies = None if value.frequencies is None else value.frequencies.cpu()
    facts = replace(facts, spreads=tuple(facts.spreads))  # counted: samples are not sent
    return merged(company.everyone(Part(facts, sums, batch.count or 1, frequencies)))


def _gradients(value: Value, named: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The gradient of every parameter that got one."""
    import torch

    trained = {name: p for name, p in named.items() if p.requires_grad and value.loss.requires_grad}
    if not trained:
        return {}
    gradients = torch.autograd.grad(value.loss, list(trained.values()), allow_unused=True)
    return {name: found for name, found in zip(trained, gradients, strict=True) if found is not None}
