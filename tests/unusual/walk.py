"""What is checked of every hand-written model, by means that share nothing with how plans are made."""

from __future__ import annotations

import copy
import math
import re
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

import wellbegun as wb
from wellbegun.laws import Keep, Stored

from .case import Case

PRODUCTS = frozenset({"mm", "addmm", "bmm", "baddbmm", "convolution", "_trilinear", "embedding"})


def logical(name: str) -> str:
    """A parametrised weight by the name that the layer uses it by."""
    name = re.sub(r"parametrizations\.([^.]+)\..*$", r"\1", name)
    return re.sub(r"(weight|bias)_(g|v|orig)$", r"\1", name)


def named(model: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Parameters and buffers, under each of their names."""
    yield from model.named_parameters(remove_duplicate=False)
    yield from model.named_buffers(remove_duplicate=False)


def unaccounted(plan: wb.Plan, model: nn.Module) -> set[tuple[str, ...]]:
    """Tensors that are not in exactly one entry, with all their names."""
    names: dict[int, set[str]] = defaultdict(set)
    for name, tensor in named(model):
        names[id(tensor)].add(logical(name))
    present = {tuple(sorted(group)) for group in names.values()}
    planned = [tuple(sorted({entry.name, *entry.ties})) for entry in plan]
    assert len(planned) == len(set(planned))
    return present ^ set(planned)


def poisoned(plan: wb.Plan, model: nn.Module) -> nn.Module:
    """The model, with NaN in all that the plan writes."""
    kept = {name for entry in plan if isinstance(entry.law, Keep) for name in (entry.name, *entry.ties)}
    with torch.no_grad():
        for name, tensor in named(model):
            if logical(name) not in kept and (tensor.is_floating_point() or tensor.is_complex()):
                tensor.fill_(math.nan)
    return model


def not_finite(model: nn.Module) -> list[str]:
    """Names of tensors that hold NaN."""
    return [n for n, t in named(model) if (t.is_floating_point() or t.is_complex()) and bool(t.isnan().any())]


def run(case: Case, model: nn.Module) -> list[Tensor]:
    """The floating-point tensors that a forward pass gives."""
    args, kwargs = case.example()
    torch.manual_seed(0)
    with torch.no_grad():
        out = model(*args, **kwargs)
    leaves = [leaf for leaf in tree_leaves(out) if isinstance(leaf, Tensor)]
    return [leaf for leaf in leaves if leaf.is_floating_point() or leaf.is_complex()]


class _Measure(TorchDispatchMode):
    """Mean squares behind products with a parameter, known by the parameter's memory."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.owner = {t.untyped_storage().data_ptr(): n for n, t in model.named_parameters()}
        self.found: dict[str, list[float]] = defaultdict(list)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if func.overloadpacket.__name__ in PRODUCTS:
            for arg in args:
                if isinstance(arg, Tensor) and arg.ndim > 1 and isinstance(result, Tensor) and result.numel():
                    name = self.owner.get(arg.untyped_storage().data_ptr())
                    if name is not None:
                        self.found[name].append(float(result.abs().double().square().mean()))
        return result


def measured(case: Case, plan: wb.Plan, seeds: int = 4) -> dict[str, tuple[float, float]]:
    """(aimed at, reached) mean squares behind each weight, geometric means over seeds; the first use counts."""
    logs: dict[str, list[float]] = defaultdict(list)
    for seed in range(seeds):
        model = case.build()
        wb.apply(plan.with_seed(seed), model, overwrite=True)
        args, kwargs = case.example()
        with torch.no_grad(), _Measure(model) as measure:
            model(*args, **kwargs)
        for name, sizes in measure.found.items():
            logs[name].append(math.log(sizes[0]) if sizes[0] > 0 else -math.inf)
    aims = {entry.name: entry.after for entry in plan}
    return {
        name: (after, math.exp(sum(found) / len(found)))
        for name, found in logs.items()
        if (after := aims.get(name)) is not None
    }


def excess(case: Case, plan: wb.Plan, seeds: int = 4) -> float:
    """How far the loss starts above ln K, for targets drawn at random."""
    found = []
    for seed in range(seeds):
        model = case.build()
        wb.apply(plan.with_seed(seed), model, overwrite=True)
        logits = next(leaf for leaf in run(case, model) if leaf.shape[-1] == case.classes).double()
        found.append(float((logits.logsumexp(-1) - logits.mean(-1)).mean()) - math.log(case.classes))
    return sum(found) / len(found)


def author_faults(case: Case, plan: wb.Plan, builds: int = 6, limit: float = 6.0) -> list[str]:
    """Where the law that was recorded differs from what the constructor really does, in mean or size."""
    pools: dict[str, list[Tensor]] = defaultdict(list)
    for seed in range(builds):
        torch.manual_seed(1000 + seed)
        for name, tensor in dict(named(case.build())).items():
            pools[name].append(tensor.detach())
    faults = []
    for entry in plan:
        if entry.name not in pools or isinstance(entry.law, (Keep, Stored)) or "complex" in entry.dtype:
            continue
        real = torch.stack(pools[entry.name]).double()
        mine = torch.stack(
            [torch.from_numpy(wb.to_numpy(plan.with_seed(s), entry.name).astype("float64")) for s in range(builds)]
        )
        n = real.numel()
        spread = max(float(real.std()) if n > 1 else 0.0, float(mine.std()) if n > 1 else 0.0, 1e-7)
        off = abs(float(real.mean() - mine.mean())) / (spread * math.sqrt(2 / n))
        if off > limit and abs(float(real.mean() - mine.mean())) > 1e-6:
            faults.append(f"{entry.name}: mean {float(mine.mean()):.4g}, really {float(real.mean()):.4g} ({entry.law})")
        wide = abs(math.log((float(mine.square().mean()) + 1e-14) / (float(real.square().mean()) + 1e-14)))
        if wide > limit * math.sqrt(4 / n) + 1e-3:
            sizes = (float(values.square().mean()) for values in (mine, real))
            faults.append("{}: E x² {:.4g}, really {:.4g} ({})".format(entry.name, *sizes, entry.law))
    return faults


def siblings(case: Case) -> dict[str, nn.Module]:
    """The same model, got at in other ways, none of which its plan may depend on."""
    torch.manual_seed(3)
    model = case.build()
    return {"real": model, "deep copy": copy.deepcopy(model), "compiled": torch.compile(model)}  # type: ignore[dict-item]


@contextmanager
def one_thread() -> Iterator[None]:
    """Small models are faster on one core."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
