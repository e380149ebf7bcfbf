"""A process of its own for Triton, which decides once, when it is imported, whether it interprets or compiles.

Reads pickled requests from standard input and answers each on standard output; see `Worker` in conftest.py.
"""

from __future__ import annotations

import contextlib
import pickle
import sys
from types import SimpleNamespace
from unittest import mock

import numpy as np
import torch
import triton
import triton.language as tl

from wellbegun.sampler import gpu
from wellbegun.sampler.gpu import kernels, launch, steps

CODES = {1: torch.uint8, 2: torch.int16, 4: torch.int32}


@triton.jit
def _store_all(values, codes, SIZE: tl.constexpr, STORAGE: tl.constexpr):  # type: ignore[no-untyped-def]
    lane = tl.arange(0, SIZE)
    tl.store(codes + lane, steps.stored(tl.load(values + lane), STORAGE))


def fill(dtype: str, size: int, stream, start: int, *, capacity: int | None = None, **arguments) -> np.ndarray:
    """What a vector of ones-bits holds after `fill_device`, as integers; `capacity` replaces that of the list."""
    out = torch.full((size * getattr(torch, dtype).itemsize,), 255, dtype=torch.uint8).view(getattr(torch, dtype))
    patched = mock.patch.object(launch, "_capacity", return_value=capacity)
    with contextlib.nullcontext() if capacity is None else patched:
        gpu.fill_device(out, stream, start, **arguments)
    return out.view(CODES[out.element_size()]).numpy().view(f"u{out.element_size()}")


def store(dtype: str, values: np.ndarray) -> np.ndarray:
    """What the rounding of the kernels makes of float32 values, as integers; their number must be a power of 2."""
    codes = torch.zeros(values.size, dtype=CODES[getattr(torch, dtype).itemsize])
    unsigned = codes if codes.element_size() == 1 else triton.reinterpret(codes, tl.uint16)
    _store_all[(1,)](torch.from_numpy(values), unsigned, SIZE=values.size, STORAGE=gpu.STORAGE[dtype])
    return codes.numpy().view(f"u{codes.element_size()}")


class DeviceVector:
    """As much of a CUDA tensor as `fill_device` asks for, on a machine that has none."""

    ndim, device = 1, SimpleNamespace(type="cuda", index=0)

    def __init__(self, dtype: torch.dtype, size: int, address: int = 4096) -> None:
        self.dtype, self.size, self.address = dtype, size, address
        self.data, self.shape = self, (size,)

    def __getitem__(self, part: slice) -> DeviceVector:
        return DeviceVector(self.dtype, self.size - part.start, self.address + part.start * self.dtype.itemsize)

    def data_ptr(self) -> int:
        return self.address

    def is_contiguous(self) -> bool:
        return True

    def numel(self) -> int:
        return self.size

    def element_size(self) -> int:
        return self.dtype.itemsize

    def new_empty(self, size: int) -> DeviceVector:
        return DeviceVector(self.dtype, size)

    new_zeros = new_empty


def compiled(dtype: str, size: int, capability: int, stream, start: int, **arguments) -> dict[str, str]:
    """The PTX of every kernel that `fill_device` would launch on a CUDA device, by the kernel's name."""
    found: dict[str, str] = {}
    target = triton.backends.compiler.GPUTarget("cuda", capability, 32)
    driver = mock.Mock(**{"get_current_target.return_value": target, "get_current_device.return_value": 0})
    launched = triton.JITFunction.run

    def compile_only(kernel, *values, **options):
        options["warmup"] = True
        found[kernel.__name__] = launched(kernel, *values, **options).asm["ptx"]

    triton.runtime.driver.set_active(driver)
    with mock.patch.object(triton.JITFunction, "run", compile_only):
        gpu.fill_device(DeviceVector(getattr(torch, dtype), size), stream, start, **arguments)
    return found


def main() -> None:
    answers, sys.stdout = sys.stdout.buffer, sys.stderr
    while True:
        try:
            name, arguments = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        try:
            answer = {"fill": fill, "store": store, "compiled": compiled}[name](**arguments)
        except Exception as error:  # noqa: BLE001 (every error is handed to the test that asked)
            answer = error
        answers.write(pickle.dumps(answer))
        answers.flush()


if __name__ == "__main__":
    assert kernels
    main()
