"""How long it takes to initialise ViT-B and GPT-2 as they come, and with wellbegun.nn_init in place of torch.nn.init.

Run: python -m pip install -c constraints.txt ".[bench]" && python benchmarks/models.py. Prints one line of JSON for
each model; no test reads it. Nothing is downloaded: the classes of transformers with their default configurations,
random weights.

Substituted are the functions of torch.nn.init as attributes of that module (torch's layers call `init.normal_`), as
names that other modules of torch imported (`from torch.nn.init import xavier_uniform_`), and as entries of the table
that transformers keeps of them (its models call `transformers.initialization`, which looks there).

Measured in the same process, in turns, medians over the turns:
* initialisation: the time inside of these functions, taken by the same wrapper on both sides, from the constructors of
  the layers and from the model's own `_init_weights`, which draws most weights again;
* build: the whole constructor of the model, with the memory that it touches for the first time.
"""

from __future__ import annotations

import argparse
import functools
import json
import platform
import statistics
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import ModuleType

import torch
import transformers
from transformers import initialization

from wellbegun import nn_init

NAMES = [name for name in torch.nn.init.__all__ if name.endswith("_")]
STOCK = {name: getattr(torch.nn.init, name) for name in NAMES}
OURS = {name: getattr(nn_init, name) for name in NAMES}
MODELS: dict[str, Callable[[], torch.nn.Module]] = {
    "ViT-B": lambda: transformers.ViTModel(transformers.ViTConfig()),
    "GPT-2": lambda: transformers.GPT2Model(transformers.GPT2Config()),
}


@dataclass
class Clock:
    """Time spent in initialisation functions, and what they were called for."""

    seconds: float = 0.0
    calls: Counter[str] = field(default_factory=Counter)
    elements: Counter[str] = field(default_factory=Counter)

    def timed(self, name: str, function: Callable[..., torch.Tensor]) -> Callable[..., torch.Tensor]:
        @functools.wraps(function)
        def wrapper(tensor: torch.Tensor, *args: object, **kwargs: object) -> torch.Tensor:
            began = time.perf_counter()
            function(tensor, *args, **kwargs)
            self.seconds += time.perf_counter() - began
            self.calls[name] += 1
            self.elements[name] += tensor.numel()
            return tensor

        return wrapper


@contextmanager
def substituted(functions: dict[str, Callable[..., torch.Tensor]], clock: Clock) -> Iterator[None]:
    """Put timed functions wherever torch and transformers hold those of torch.nn.init."""
    replaced: list[tuple[ModuleType, str]] = []
    table = dict(initialization.TORCH_INIT_FUNCTIONS)
    timed = {name: clock.timed(name, function) for name, function in functions.items()}
    try:
        for module_name, module in list(sys.modules.items()):
            if module_name == "torch" or module_name.startswith("torch."):
                for name, original in STOCK.items():
                    if vars(module).get(name) is original:
                        setattr(module, name, timed[name])
                        replaced.append((module, name))
        initialization.TORCH_INIT_FUNCTIONS.update({name: timed[name] for name in table})
        yield
    finally:
        for module, name in replaced:
            setattr(module, name, STOCK[name])
        initialization.TORCH_INIT_FUNCTIONS.update(table)


def build(
    make: Callable[[], torch.nn.Module], functions: dict[str, Callable[..., torch.Tensor]]
) -> tuple[float, Clock]:
    """Build a model and return the seconds of its whole constructor, and the clock of its initialisation."""
    clock = Clock()
    torch.manual_seed(0)
    with substituted(functions, clock):
        began = time.perf_counter()
        model = make()
        seconds = time.perf_counter() - began
    if not all(bool(parameter.isfinite().all()) for parameter in model.parameters()):
        raise SystemExit("a parameter was left without a number")
    return seconds, clock


def compare(name: str, turns: int) -> dict[str, object]:
    make = MODELS[name]
    build(make, STOCK), build(make, OURS)  # both sides warm: kernels compiled, classes imported
    stock, ours = [], []
    for turn in range(turns):
        for side, functions in ((stock, STOCK), (ours, OURS)) if turn % 2 else ((ours, OURS), (stock, STOCK)):
            side.append(build(make, functions))
    work = [(clock.calls, clock.elements) for _, clock in stock + ours]
    if any(other != work[0] for other in work):
        raise SystemExit("the two sides were not called for the same tensors")
    clock = stock[0][1]
    seconds = {
        "stock_initialisation_s": statistics.median(clock.seconds for _, clock in stock),
        "nn_init_initialisation_s": statistics.median(clock.seconds for _, clock in ours),
        "stock_build_s": statistics.median(whole for whole, _ in stock),
        "nn_init_build_s": statistics.median(whole for whole, _ in ours),
    }
    return {
        "model": name,
        "initialisation_ratio": round(seconds["stock_initialisation_s"] / seconds["nn_init_initialisation_s"], 2),
        "build_ratio": round(seconds["stock_build_s"] / seconds["nn_init_build_s"], 2),
        **{key: round(value, 4) for key, value in seconds.items()},
        "calls": dict(clock.calls),
        "million_elements": {name: round(count / 1e6, 2) for name, count in clock.elements.items()},
        "turns": turns,
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "threads": torch.get_num_threads(),
        "machine": platform.processor() or platform.machine(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--models", default=",".join(MODELS), help="comma-separated, of: " + ", ".join(MODELS))
    parser.add_argument("--turns", type=int, default=5)
    arguments = parser.parse_args()
    for name in arguments.models.split(","):
        print(json.dumps(compare(name, arguments.turns)), flush=True)


if __name__ == "__main__":
    main()
