"""What parameters are going to hold, as far as their rules say so without fans or shape."""

from __future__ import annotations

import math

from wellbegun.laws import Computed, Fans, Stored
from wellbegun.recipes.proposal import Proposal


def bias_moments(proposal: Proposal | None) -> tuple[float, float]:
    """Mean and mean square of a bias to which the author gives values."""
    law = proposal.initializer.law() if proposal is not None and not proposal.initializer.needs_fans else None
    if law is None or (law.structured and not isinstance(law, Stored | Computed)):
        return 0.0, 0.0
    mean, std = law.moments(())
    # where parts of it differ (a forget gate's), one mean says nothing
    return (mean, mean**2 + std**2) if math.isfinite(mean + std) and abs(mean) > std else (0.0, 0.0)


def element_second_moment(proposal: Proposal | None, fans: Fans | None = None) -> float | None:
    """Mean square of what a parameter is going to hold, where its rule says so without its shape."""
    if proposal is None or (proposal.initializer.needs_fans and fans is None):
        return None
    law = proposal.initializer.law(fans)
    if law.structured:
        return None
    try:
        mean, std = law.moments(())
    except NotImplementedError:
        return None
    return mean**2 + std**2 if math.isfinite(mean + std) else None
