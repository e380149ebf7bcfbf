"""Whether a tensor's numbers can have come from a law: the check on what can no longer be seen."""

from __future__ import annotations

import math

import numpy as np
import torch

from wellbegun.authors.authored import Authorship
from wellbegun.laws import Constant, Law, Stored

SURE = 8.0
"""Standard errors beyond which a mean or variance is not that of the law."""


def compared(authorship: Authorship, tensor: torch.Tensor) -> Authorship:
    """Return what a layer gives a tensor, without the law where the tensor's numbers contradict it."""
    law = authorship.law
    if law is None or tensor.is_meta or tensor.numel() == 0 or tensor.layout != torch.strided or agrees(law, tensor):
        return authorship
    return Authorship(
        None,
        f"its numbers are not what its layer makes ({authorship.note}): its constructor, or training, has changed them",
    )


def agrees(law: Law, tensor: torch.Tensor) -> bool:
    """Whether the law can have made these numbers.

    >>> from wellbegun.laws import Normal
    >>> numbers = torch.linspace(-2, 2, 1000)
    >>> agrees(Normal(std=1.15), numbers), agrees(Normal(std=0.02), numbers)
    (True, False)
    """
    found = tensor.detach().to("cpu", torch.float64).numpy().reshape(-1)
    if isinstance(law, Constant):
        return bool(np.abs(found - law.value).max() <= 1e-2 * abs(law.value))
    if isinstance(law, Stored):
        return bool(np.allclose(found, law.values.reshape(-1), rtol=1e-2))
    mean, std = law.moments(tuple(tensor.shape))
    bounds = law.bounds()
    if bounds is not None:
        slack = 1e-2 * (bounds[1] - bounds[0])  # narrow types round
        if found.min() < bounds[0] - slack or found.max() > bounds[1] + slack:
            return False
    if std == 0:
        return bool(np.allclose(found, mean))
    kurtosis = max(float(np.mean((found - mean) ** 4)) / std**4, 3.0)
    second = float(np.mean((found - mean) ** 2)) / std**2
    near = abs(found.mean() - mean) < SURE * std / math.sqrt(found.size)
    return near and abs(second - 1) < SURE * math.sqrt(min(kurtosis, 30.0) / found.size) + 0.01
