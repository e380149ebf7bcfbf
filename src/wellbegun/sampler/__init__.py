"""value(seed, name, index): the definition, a NumPy reference and the CPU kernels."""

from wellbegun.sampler.draw import Draw
from wellbegun.sampler.draws import SHARE, write
from wellbegun.sampler.formats import LARGEST, WHOLE, inward, storage_type, type_name
from wellbegun.sampler.householder import orthogonal
from wellbegun.sampler.layout import TILE
from wellbegun.sampler.pattern import smallest_of_columns
from wellbegun.sampler.stream import SAMPLER_VERSION, Stream, check_seed
from wellbegun.sampler.window import Window
from wellbegun.sampler.workers import WORKERS, get_num_threads, set_num_threads

__all__ = [
    "LARGEST",
    "SAMPLER_VERSION",
    "SHARE",
    "TILE",
    "WHOLE",
    "WORKERS",
    "Draw",
    "Stream",
    "Window",
    "check_seed",
    "get_num_threads",
    "inward",
    "orthogonal",
    "set_num_threads",
    "smallest_of_columns",
    "storage_type",
    "type_name",
    "write",
]
