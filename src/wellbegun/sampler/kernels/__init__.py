"""The definition compiled for the CPU with Numba: equal to the NumPy reference bit for bit.

No fast-math and no contraction: every operation rounds as IEEE 754 says. Each kernel works in batches that stay in the
first-level cache: random words, then standard draws, then scale, shift, bounds and the rounding to storage. The loops
over lanes have a constant length and constant distances, which is what lets LLVM vectorise them.
"""

from wellbegun.sampler.kernels.fill import fill
from wellbegun.sampler.kernels.kinds import Normal, Quantile, Redraw, Uniform
from wellbegun.sampler.kernels.rounding import VIEWS

__all__ = ["VIEWS", "Normal", "Quantile", "Redraw", "Uniform", "fill"]
