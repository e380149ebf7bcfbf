"""The figure of one method that looks at data or gradients: a start before it and behind it."""

from __future__ import annotations

from collections.abc import Callable

import torch

from card_figures import of_loaded
from card_figures.drawing import MAIN, OTHER, Axis, Panel, picture
from card_figures.networks import NETWORKS
from card_figures.of_recipes import SEED, compared, profile
from wellbegun.plans import Plan
from wellbegun.recipes import plan
from wellbegun.targets import apply
from wellbegun.tuning import calibrate, equal_rates, gradinit, metainit, plan_adapters, standardize

SHOWN = NETWORKS[4]
DATA_ALONE = ("calibrate", "standardize", "equal_rates")
Tuned = Callable[[Plan, torch.nn.Module, object], Plan]


def tuning_figure(name: str) -> str:
    """Return the figure of a method by its name."""
    own: dict[str, Callable[[], str]] = {
        "adapters": _adapters,
        "new_tokens": of_loaded.new_tokens_figure,
        "profile_admin": of_loaded.profile_admin_figure,
        "swim": of_loaded.swim_figure,
        "upcycle": of_loaded.upcycle_figure,
        "weight_selection": of_loaded.weight_selection_figure,
    }
    return own[name]() if name in own else _before_and_after(name)


def _before_and_after(name: str) -> str:
    ways: dict[str, tuple[str, Tuned]] = {
        "calibrate": ("auto", calibrate),
        "standardize": ("auto", standardize),
        "equal_rates": ("normal(std=0.3)", equal_rates),
        "metainit": ("normal(std=0.3)", lambda made, model, batch: metainit(made, model, batch, steps=60)),
        "gradinit": ("normal(std=0.2)", lambda made, model, batch: gradinit(made, model, batch, steps=40)),
    }
    recipe, tune = ways[name]
    generator = torch.Generator().manual_seed(SEED)
    inputs = torch.randn(256, 64, generator=generator).abs()
    targets = torch.randint(0, 10, (256,), generator=generator)
    torch.manual_seed(SEED)
    model = SHOWN.build()
    before = plan(model, inputs, seed=SEED, recipe=recipe)
    after = tune(before, model, inputs if name in DATA_ALONE else (inputs, targets))
    profiles = ((f"behind {name}", profile(SHOWN, after), MAIN), (f"{recipe}, before", profile(SHOWN, before), OTHER))
    return compared(profiles, f"{name}, before and behind it", SHOWN.name, f"{name} of {recipe} on {SHOWN.name}")


class Adapted(torch.nn.Module):
    """A linear layer with a low-rank part beside it, as PEFT makes them."""

    def __init__(self) -> None:
        super().__init__()
        self.base_layer = torch.nn.Linear(48, 48)
        self.lora_A, self.lora_B = torch.nn.Linear(48, 8, bias=False), torch.nn.Linear(8, 48, bias=False)
        self.scaling = 1.0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.base_layer(x) + self.scaling * self.lora_B(self.lora_A(x))


def _adapters() -> str:
    """Singular values of what the pair adds to the weight, for the starts that there are."""
    panels = []
    for method in ("kaiming", "pissa"):
        torch.manual_seed(SEED)
        layer = Adapted()
        base = torch.linalg.svdvals(layer.base_layer.weight.detach().double())[:16].tolist()
        apply(plan_adapters(layer, seed=SEED, method=method), layer, overwrite=True)
        product = layer.lora_B.weight.detach().double() @ layer.lora_A.weight.detach().double()
        pair = torch.linalg.svdvals(product)[:16].tolist()
        top = 1.1 * max(base + pair)
        panel = Panel(Axis(0, 17, "number, from the largest"), Axis(0, top, "singular value"), f"adapters: {method}")
        panel.dots(enumerate(base, start=1), OTHER, "the trained weight")
        panel.dots(enumerate(pair, start=1), MAIN, "B·A, what the pair adds")
        panels.append(panel)
    return picture(panels, "Singular values of a weight and of the pair beside it")
