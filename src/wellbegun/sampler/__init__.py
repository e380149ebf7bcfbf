"""value(seed, name, index): the definition, a NumPy reference and the CPU kernels."""

from wellbegun.sampler.draws import draw_normal, draw_truncated, draw_uniform
from wellbegun.sampler.householder import orthogonal
from wellbegun.sampler.pattern import smallest_of_columns
from wellbegun.sampler.stream import SAMPLER_VERSION, Stream, check_seed
from wellbegun.sampler.window import Window

__all__ = [
    "SAMPLER_VERSION",
    "Stream",
    "Window",
    "check_seed",
    "draw_normal",
    "draw_truncated",
    "draw_uniform",
    "orthogonal",
    "smallest_of_columns",
]
