"""Biases of output layers that start at what is known of the classes before any image is seen."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from wellbegun.errors import ArgumentError
from wellbegun.laws.basic import Constant
from wellbegun.laws.fans import Fans
from wellbegun.laws.initializer import Initializer, Law
from wellbegun.laws.stored import Stored

SUM = 1e-3
"""What the shares of classes may differ from 1 in sum."""


@dataclass(frozen=True, repr=False)
class PriorBias(Initializer):
    """Output biases that start at the classes' frequencies, so that the first steps are not spent on learning them.

    >>> PriorBias(0.01).law()
    Constant(value=-4.59512)
    >>> PriorBias((0.5, 0.25, 0.25)).law()
    Stored(values=[-0.6931472, -1.3862944, -1.3862944])

    Need: outputs, policies, routers and experts
    Formula: one probability (sigmoid outputs): b = ln(prior/(1 - prior)). Shares of K classes (softmax): b_k = ln
        share_k. With output weights near 0 the loss starts at the entropy of the prior: 0.0560015 for prior = 0.01,
        and not ln 2.
    Use it for: detectors and other heads whose positives are rare; classes of very different sizes.
    Not for: balanced classes, where it is 0 or a constant. Language models: unigram biases have been seen to slow
        training down.
    Args:
        prior: probability of a positive, between 0 and 1, or the share of each class, which are above 0 and sum to 1.
    Source: Lin, Goyal, Girshick, He and Dollár (2017), "Focal Loss for Dense Object Detection", section 4.1.
    """

    prior: float | tuple[float, ...] = 0.01
    needs_fans = False

    def __post_init__(self) -> None:
        shares = self.prior if isinstance(self.prior, (tuple, list)) else (self.prior,)
        for share in shares:
            if isinstance(share, bool) or not isinstance(share, (int, float)) or not 0 < share < 1:
                raise ArgumentError(
                    f"prior must be a probability between 0 and 1, or a tuple of them; got {self.prior!r}"
                )
        if isinstance(self.prior, (tuple, list)):
            if len(shares) < 2 or abs(math.fsum(shares) - 1) > SUM:
                raise ArgumentError(f"the shares of classes must sum to 1, got {math.fsum(shares):.6g}: {shares!r}")
            object.__setattr__(self, "prior", tuple(float(share) for share in shares))

    def law(self, fans: Fans | None = None) -> Law:  # noqa: ARG002
        """Return the constant, or one number for each class."""
        if isinstance(self.prior, tuple):
            return Stored(np.log(np.array(self.prior)), "float32")
        return Constant(math.log(self.prior / (1 - self.prior)))
