"""Singular values of the outputs' slopes with respect to the inputs, on random directions."""

from __future__ import annotations

from typing import Any

import torch
from torch.utils._pytree import tree_leaves, tree_map_only

from wellbegun.diagnosis.batches import Batch, run
from wellbegun.diagnosis.facts import JacobianFacts
from wellbegun.errors import ArgumentError

PROBES, INPUTS = 8, 4
"""Random directions among the outputs, and inputs that are looked at."""


def jacobian_facts(model: torch.nn.Module, batch: Batch) -> JacobianFacts:
    """Project the Jacobian J on random directions of the outputs and take the singular values, for a few inputs.

    They lie within those of J, up to the factor that random directions lose; a range that is wide among a few
    directions is wider among all (Halko, Martinsson and Tropp 2011, arXiv 0909.4061, section 4).

    Raises:
        ArgumentError: no input is a tensor of floating-point numbers.
    """
    data = [leaf for leaf in batch.tensors if leaf.is_floating_point()]
    if not data:
        raise ArgumentError("jacobian=True needs inputs that slopes exist for: floating-point numbers, no tokens")
    chosen = data[0].detach().clone().requires_grad_()

    def swapped(leaf: torch.Tensor) -> Any:
        return chosen.clone() if leaf is data[0] else leaf.clone()  # a forward pass may write into its inputs

    inputs = tree_map_only(torch.Tensor, swapped, (batch.arguments, batch.keywords))
    with torch.enable_grad():
        output = run(model, Batch(inputs[0], inputs[1], None, batch.source))
        held = getattr(output, "logits", output)
        first = next(leaf for leaf in tree_leaves(held) if isinstance(leaf, torch.Tensor) and leaf.requires_grad)
        rows = first.flatten(1)[:INPUTS]
        probes = min(PROBES, rows.shape[1])
        made = torch.Generator().manual_seed(0)
        directions = torch.linalg.qr(torch.randn(rows.shape[1], probes, generator=made, dtype=torch.float64))[0]
        slopes = [
            torch.autograd.grad((rows * direction.to(rows)).sum(), chosen, retain_graph=True)[0][:INPUTS].flatten(1)
            for direction in directions.T
        ]
    values = torch.linalg.svdvals(torch.stack(slopes, 1).double())
    return JacobianFacts(float(values[:, 0].mean()), float(values[:, -1].mean()), probes)
