"""The definition for a GPU, by Triton: the same bits as on the CPU. Triton is imported only when it is used."""

from wellbegun.sampler.gpu.codes import STORAGE
from wellbegun.sampler.gpu.write import fill_device

__all__ = ["STORAGE", "fill_device"]
