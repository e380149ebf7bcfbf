"""Figures of methods that start from trained weights, from pairs of inputs, or on the shortcuts."""

from __future__ import annotations

import torch

from card_figures.drawing import MAIN, OTHER, Axis, Panel, picture
from wellbegun.recipes import plan
from wellbegun.targets import apply
from wellbegun.tuning import plan_new_tokens, profile_admin, select_weights, swim, upcycle

SEED = 7
OLD, NEW, WIDTH = 400, 40, 64


def new_tokens_figure() -> str:
    """Logits of old and new tokens: rows from N(0, 0.02²) stand out, rows around the mean do not."""
    generator = torch.Generator().manual_seed(SEED)
    centre = torch.randn(WIDTH, generator=generator)
    old = centre * 0.1 + 0.05 * torch.randn(OLD, WIDTH, generator=generator)
    model = torch.nn.Module()
    model.embed = torch.nn.Embedding(OLD + NEW, WIDTH)
    with torch.no_grad():
        model.embed.weight[:OLD] = old
        model.embed.weight[OLD:] = 0.02 * torch.randn(NEW, WIDTH, generator=generator)
    hidden = -2 * centre + torch.randn(1, WIDTH, generator=generator)
    drawn = model.embed.weight.detach().clone()
    apply(plan_new_tokens(model, old=OLD, seed=SEED), model)
    panels = []
    for title, rows in (("rows N(0, 0.02²)", drawn), ("new_tokens", model.embed.weight.detach())):
        logits = (rows @ hidden.T).flatten().tolist()
        room = 0.1 * (max(logits) - min(logits))
        axis = Axis(min(logits) - room, max(logits) + room, "logit")
        panel = Panel(Axis(0, OLD + NEW, "token"), axis, title)
        panel.dots(zip(range(0, OLD, 4), logits[:OLD:4], strict=True), OTHER, "trained (a quarter of them)")
        panel.dots(enumerate(logits[OLD:], start=OLD), MAIN, "new")
        panels.append(panel)
    return picture(panels, "Logits of trained and new tokens")


def weight_selection_figure() -> str:
    """Singular values of a layer: what is selected has the shape of the larger one's, a new draw has not."""

    def build(width: int) -> torch.nn.Sequential:
        return torch.nn.Sequential(torch.nn.Linear(32, width), torch.nn.ReLU(), torch.nn.Linear(width, 8))

    torch.manual_seed(SEED)
    larger, model = build(128), build(64)
    with torch.no_grad():  # training leaves a few large singular values
        u, s, v = torch.linalg.svd(larger[0].weight, full_matrices=False)
        larger[0].weight.copy_(u @ torch.diag(4 * torch.exp(-torch.arange(len(s)) / 6)) @ v)
    start = plan(model, "vector:32", seed=SEED)
    panels = []
    for title, made in (("auto", start), ("weight_selection", select_weights(start, larger))):
        apply(made, model, overwrite=True)
        values = torch.linalg.svdvals(model[0].weight.detach().double()).tolist()
        whole = torch.linalg.svdvals(larger[0].weight.detach().double()).tolist()
        panel = Panel(Axis(0, 33, "number, from the largest"), Axis(1e-3, 10, "singular value", log=True), title)
        panel.dots(enumerate(whole, start=1), OTHER, "the larger layer")
        panel.dots(enumerate(values, start=1), MAIN, "this layer")
        panels.append(panel)
    return picture(panels, "Singular values of a trained layer, and of the smaller one")


class Experts(torch.nn.Module):
    """A router and three experts, all of them asked."""

    def __init__(self) -> None:
        super().__init__()
        self.router = torch.nn.Linear(16, 3, bias=False)
        self.experts = torch.nn.ModuleList(torch.nn.Linear(16, 16) for _ in range(3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        shares = torch.softmax(self.router(x), -1)
        return sum((shares[:, i : i + 1] * expert(x) for i, expert in enumerate(self.experts)), torch.zeros_like(x))


def upcycle_figure() -> str:
    """Outputs of the experts' network against the dense one's: with copies they are the same."""
    torch.manual_seed(SEED)
    dense, model = torch.nn.Sequential(torch.nn.Linear(16, 16)), torch.nn.Sequential(Experts())
    start = plan(model, "vector:16", seed=SEED)
    names = {"0.experts.{}.weight": "0.weight", "0.experts.{}.bias": "0.bias"}
    x = torch.randn(20, 16, generator=torch.Generator().manual_seed(SEED))
    panels = []
    for title, made in (("auto", start), ("upcycle", upcycle(start, dense, names))):
        apply(made, model, overwrite=True)
        with torch.no_grad():
            both = dense(x).flatten()[::2].tolist(), model(x).flatten()[::2].tolist()
        panel = Panel(Axis(-2.5, 2.5, "output of the dense network"), Axis(-2.5, 2.5, "output of the experts"), title)
        panel.line([(-2.5, -2.5), (2.5, 2.5)], OTHER, "equal")
        panel.dots(zip(*both, strict=True), MAIN)
        panels.append(panel)
    return picture(panels, "A network of experts against the dense one that it starts from")


def swim_figure() -> str:
    """A function of one number, and the network without a step of training."""
    x = torch.linspace(-3, 3, 200)[:, None]
    y = torch.sin(2 * x) * torch.exp(-(x**2) / 4)
    panels = []
    for units in (6, 40):
        torch.manual_seed(SEED)
        model = torch.nn.Sequential(torch.nn.Linear(1, units), torch.nn.Tanh(), torch.nn.Linear(units, 1))
        apply(swim(plan(model, x, seed=SEED), model, (x, y), ridge=1e-8), model)
        with torch.no_grad():
            made = model(x)
        panel = Panel(Axis(-3, 3, "x"), Axis(-1.2, 1.2, ""), f"swim: {units} units")
        panel.line([(float(a), float(b)) for a, b in zip(x, y, strict=True)], OTHER, "the data")
        panel.line([(float(a), float(b)) for a, b in zip(x, made, strict=True)], MAIN, "the network, untrained")
        panels.append(panel)
    return picture(panels, "A network from pairs of inputs, before any training")


class Block(torch.nn.Module):
    """A post-norm branch with a learnt factor on its shortcut."""

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.up, self.down = torch.nn.LayerNorm(32), torch.nn.Linear(32, 64), torch.nn.Linear(64, 32)
        self.omega = torch.nn.Parameter(torch.ones(32))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.norm(x * self.omega + self.down(torch.relu(self.up(x))))


def profile_admin_figure() -> str:
    """The factor on each shortcut, and the similarity of two signals that begin almost alike."""
    layers = 16
    model = torch.nn.Sequential(torch.nn.Linear(32, 32), *(Block() for _ in range(layers)))
    data = torch.randn(256, 32, generator=torch.Generator().manual_seed(SEED))
    start = plan(model, data, seed=SEED, recipe="admin")
    profiled = profile_admin(start, model, data)
    closed, measured = (
        [float(made[f"{i}.omega"].law.value) for i in range(1, layers + 1)] for made in (start, profiled)
    )
    top = 1.2 * max(closed + measured)
    panel = Panel(Axis(0, layers + 1, "layer"), Axis(0, top, "omega, on the shortcut"), "profile_admin")
    panel.dots(enumerate(closed, start=1), OTHER, "admin: one number")
    panel.dots(enumerate(measured, start=1), MAIN, "profile_admin: measured")
    shares = Panel(Axis(0, layers + 1, "layer"), Axis(0, 1, "share of the branch in the sum"), "what a layer adds")
    for values, colour, name in ((closed, OTHER, "admin"), (measured, MAIN, "profile_admin")):
        shares.line([(i, 1 / (1 + w * w)) for i, w in enumerate(values, start=1)], colour, name)
    return picture([panel, shares], "Factors on the shortcuts of a post-norm network")
