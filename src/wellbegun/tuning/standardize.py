"""wb.standardize: each channel at mean 0 and variance 1 on a first batch, by its own scale and shift."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from wellbegun.errors import ArgumentError
from wellbegun.graph.framework import check_module
from wellbegun.plans import Plan
from wellbegun.targets.fit import check_plan
from wellbegun.tuning.batch import read_batch
from wellbegun.tuning.notes import marked, noted

if TYPE_CHECKING:
    import torch

SUFFIX = ", standardized"


def standardize(plan: Plan, model: torch.nn.Module, batch: Any, *, layers: str | Iterable[str] = "*") -> Plan:
    """Give every channel of the layers mean 0 and variance 1 on a batch, by a scale and a shift of its own.

    >>> import torch, wellbegun as wb
    >>> data = torch.rand(256, 16, generator=torch.Generator().manual_seed(0))
    >>> model = torch.nn.Sequential(torch.nn.Linear(16, 4), torch.nn.ReLU(), torch.nn.Linear(4, 2))
    >>> better = wb.standardize(wb.plan(model, data, seed=7), model, data)
    >>> done = wb.apply(better, model)
    >>> made = model(data)
    >>> [round(abs(m), 4) for m in made.mean(0).tolist()], [round(v, 4) for v in made.var(0, correction=0).tolist()]
    ([0.0, 0.0], [1.0, 1.0])

    One forward pass on the values that the plan would write. Where a layer's result t = W·x appears, its mean and
    standard deviation in each channel are measured in float64, the layer gets its new scale and shift, and the run
    goes on with the result that they give: every layer is measured behind standardised layers.

    Need: scales measured on data or gradients
    Domain: not normalised
    Formula: with t = V·x, and V what the plan draws, W_c = V_c / sigma_c and b_c = -mu_c / sigma_c. For a layer
        y = s·x + b that has a scale and a shift alone (ActNorm), s_c = 1 / sigma_c and b_c = -mu_c / sigma_c.
    Use it for: networks with weight normalisation or without any normalisation; flows, whose affine layers must not
        look at the batch later (ActNorm). Works where calibration of the whole layer leaves channels apart.
    Not for: layers in front of a batch or layer normalisation, which undoes it. Only the first batch speaks, so take a
        large one. Later layers gain nothing from the plan's own targets any more.
    Args:
        plan: made for this model; its values are drawn anew.
        model: gives the forward pass; it is as before afterwards. On a sharded model plan before sharding: the plan
            that comes out is then applied to parts as any other.
        batch: real inputs, or a pair (inputs, targets).
        layers: names of the layers, or patterns such as "*.actnorm"; several in a list. Linear layers, convolutions
            and layers that compute s·x + b of each channel are taken; others with these names are left alone.
    Source: Salimans and Kingma (2016), "Weight Normalization", section 3, equations 5 and 6; Kingma and Dhariwal
        (2018), "Glow", section 3.1; the first, within-layer step is also that of Krähenbühl et al. (2016), section 3.1,
        whose step between layers is `wb.equal_rates`.

    Returns:
        The plan with `PerChannel` laws for weights and stored numbers for biases, scales and shifts. A layer without a
        bias gets its scale alone. Weights of zeros, tied weights and layers that the batch does not reach are left as
        they are; their reasons say so.

    Raises:
        ArgumentError: no layer has such a name and can be standardised, or the batch has a single value for a channel.
        ApplyError: the plan is for another model.
        CalibrationError: a channel is the same for the whole batch: no scale makes its variance 1.
        TraceError: the model's forward pass fails.
    """
    check_plan(plan)
    model = check_module(model, "standardizing a plan")
    read = read_batch(batch)
    import torch

    from wellbegun.tuning.channels import Channels
    from wellbegun.tuning.running import batch_statistics, forward, on_values
    from wellbegun.tuning.values import by_every_name, planned_values

    values = planned_values(plan, model)
    names = (layers,) if isinstance(layers, str) else tuple(layers)
    with on_values(model, by_every_name(plan, values, model), plan.seed), torch.no_grad(), batch_statistics(model):
        channels = Channels(plan, model, values, names)
        if not channels.found:
            raise ArgumentError(
                f"no linear layer, convolution or layer of a scale and a shift is called {', '.join(names)}; "
                "patterns are those of shells, such as 'blocks.*.up'"
            )
        with channels.watching():
            forward(model, read)
    size = "a batch" if read.size is None else f"a batch of {read.size}"
    made = channels.entries(size)
    entries = tuple(made.get(entry.name) or noted(entry, channels.notes.get(entry.name, "")) for entry in plan)
    return replace(plan, entries=entries, recipe=marked(plan.recipe, SUFFIX))
