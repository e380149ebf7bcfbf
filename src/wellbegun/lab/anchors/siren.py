"""SIREN: a photograph as a field, fitted by sines with their own starting weights, and with PyTorch's."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from wellbegun.lab.anchors.anchor import Anchor, Asked, Table
from wellbegun.lab.anchors.gate import Gate
from wellbegun.lab.anchors.training import fit, start
from wellbegun.lab.measured_page import COLOURS, Results, number
from wellbegun.lab.networks import build_network
from wellbegun.lab.networks.siren import Siren
from wellbegun.lab.task import PEAK, Split, Task
from wellbegun.lab.tasks.image import SIDE, photograph

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DEPTH, WIDTH, OMEGA = 3, 128, 30.0
PIXELS, STEPS = 64, 150
HELD_OUT = 0.2
"""Share of the pixels that is not trained on."""
RATES = (3e-4, 1e-3, 3e-3)
BIASES = OMEGA**2 / (3 * WIDTH)
"""What biases of U(±1/sqrt(width)), as the published code leaves them, add to the second moment inside of a sine."""
PHASES = 1 + BIASES - math.exp(-2 * (1 + BIASES))
"""Second moment inside of each sine but the first, for an infinite width: the solution of q = 1 - exp(-2q) + BIASES
(one step from 1 + BIASES, which is exact to 1e-5)."""

ARMS = {
    "SIREN": (OMEGA, "siren"),
    "the same sines, torch's weights": (OMEGA, "torch@1"),
    "sines without the factor 30, torch's weights": (1.0, "torch@1"),
    "ReLU, torch's weights": (None, "torch@1"),
}
"""Factor inside of the sines, none for ReLU; and recipe."""


def picture(side: int) -> Task:
    """Return the photograph at a smaller size; a fifth of its pixels is held out."""
    grey = photograph().reshape(side, SIDE // side, side, SIDE // side).mean((1, 3)) / 127.5 - 1
    down, right = np.meshgrid(*[np.linspace(-1, 1, side)] * 2, indexing="ij")
    places = np.stack([down.flatten(), right.flatten()], 1).astype(np.float32)
    values, order = grey.reshape(-1, 1).astype(np.float32), np.random.default_rng(0).permutation(side**2)
    held, kept = np.split(order, [round(HELD_OUT * side**2)])
    rest, pixels = (Split(places[chosen], values[chosen]) for chosen in (held, kept))
    source = "'china.jpg' by D. Buechele, with scikit-learn"
    return Task("image", f"a photograph of {side}×{side}", source, "CC BY 2.0", "field", 1, pixels, rest, rest)


def network(arm: str, task: Task, seed: int) -> torch.nn.Module:
    """Return the network of an arm with its starting weights."""
    omega, recipe = ARMS[arm]
    if omega is None:
        return start(build_network("mlp", task, depth=DEPTH, width=WIDTH, activation="relu"), task, recipe, seed)
    made = build_network("siren", task, depth=DEPTH, width=WIDTH, activation="sine", omega=omega)
    return start(made, task, recipe, seed)


def phases(task: Task, seed: int) -> float:
    """Return the second moment of what goes into the sines behind the first layer, before training."""
    model = network("SIREN", task, seed)
    assert isinstance(model, Siren)
    moments, x = [], torch.from_numpy(task.train.inputs)
    with torch.no_grad():
        for layer in model.hidden:
            inside = model.omega * layer(x)
            moments.append(float(inside.double().square().mean()))
            x = torch.sin(inside)
    return float(np.mean(moments[1:]))


def measure(asked: Asked) -> Results:
    """Fit the photograph by each arm: at three learning rates with one seed, and at the best of them with two more."""
    task = picture(16 if asked.quick else PIXELS)
    steps, more = (60, ()) if asked.quick else (STEPS, (1, 2))
    rates = RATES[1:2] if asked.quick else RATES
    count = asked.counter(len(ARMS) * (len(rates) + len(more)) * steps)

    def fitted(arm: str, rate: float, seed: int) -> dict[str, Any]:
        model = network(arm, task, seed)
        pixels = len(task.train)
        done = fit(model, task, rate=rate, steps=steps, batch=pixels, seed=seed, optimizer="adam", on_step=count)
        return {"curve": decibels([*done.losses, final(model, task)]), "held out": done.score}

    curves: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for arm in ARMS:
        curves[arm] = {f"{rate:g}": [fitted(arm, rate, 0)] for rate in rates}
        best = max(rates, key=lambda rate: curves[arm][f"{rate:g}"][0]["curve"][-1])
        curves[arm][f"{best:g}"] += [fitted(arm, best, seed) for seed in more]
    return {"curves": curves, "phases": [phases(task, seed) for seed in range(1 if asked.quick else 3)]}


def final(model: torch.nn.Module, task: Task) -> float:
    """Return the mean squared error on the pixels that were trained on."""
    with torch.no_grad():
        errors = model(torch.from_numpy(task.train.inputs)) - torch.from_numpy(task.train.targets)
    return float(errors.square().mean())


def decibels(losses: Sequence[float]) -> list[float]:
    """Return the PSNR of mean squared errors."""
    return [float(10 * np.log10(PEAK**2 / loss)) for loss in losses]


def best_rate(results: Results, arm: str) -> str:
    """Return the learning rate at which an arm came farthest with its first seed."""
    return str(max(results["curves"][arm], key=lambda rate: results["curves"][arm][rate][0]["curve"][-1]))


def reached(results: Results, arm: str) -> list[float]:
    """Return the PSNR at the end for each seed, at the arm's best rate."""
    return [float(run["curve"][-1]) for run in results["curves"][arm][best_rate(results, arm)]]


def held_out(results: Results, arm: str) -> list[float]:
    """Return the PSNR on the pixels that were held out for each seed, at the same rate."""
    return [float(run["held out"]) for run in results["curves"][arm][best_rate(results, arm)]]


def gap(results: Results, other: str, what: Callable[[Results, str], list[float]] = reached) -> float:
    """Return how far SIREN is above another start in dB, mean over the seeds."""
    return float(np.mean(what(results, "SIREN")) - np.mean(what(results, other)))


def tables(results: Results) -> list[Table]:
    """Return what each arm reached."""
    rates = list(results["curves"]["SIREN"])
    rows = []
    for arm in ARMS:
        by_rate = [f"{results['curves'][arm][rate][0]['curve'][-1]:.1f}" for rate in rates]
        rows.append([arm, told(reached(results, arm)), told(held_out(results, arm)), *by_rate])
    head = ["network", "fit, best rate", "pixels held out", *(f"fit at {rate}, one seed" for rate in rates)]
    return [Table(head, rows, "PSNR in dB, mean (lowest to highest)")]


def told(values: list[float]) -> str:
    """Return a mean, and the lowest and highest."""
    return f"{np.mean(values):.1f} ({min(values):.1f}–{max(values):.1f})"


def headline(results: Results) -> str:
    """Return what came out."""
    fits, held = ([f"{np.mean(what(results, arm)):.1f}" for arm in ARMS] for what in (reached, held_out))
    return (
        f"the fit is {fits[0]} dB for SIREN, {fits[3]} dB for ReLU; pixels held out: {held[0]} dB, {held[3]} dB, and "
        f"{held[1]} dB for the same sines with torch's weights"
    )


def findings(results: Results) -> str:
    """Return what to make of it."""
    measured = float(np.mean(results["phases"]))
    sines, plain, relu = list(ARMS)[1:]
    return f"""The fit of SIREN is {gap(results, relu):.0f} dB above that of ReLU. It is not the sines alone: without
the
factor of 30 and with torch's weights they fit {gap(results, plain):.0f} dB worse. With the factor, torch's weights fit
as fast for a hundred steps before they turn back ({np.mean(reached(results, sines)):.0f} dB at the end), and this is
where a fit misleads: on pixels that were held out they have {np.mean(held_out(results, sines)):.1f} dB, less than any
other, and SIREN {np.mean(held_out(results, "SIREN")):.1f} dB.
Torch's weights are 30/sqrt(6), twelve times, larger than SIREN's: such a network learns pixels by heart, and knows
nothing of what lies between.

What goes into each sine has a second moment q that solves q = 1 - exp(-2q) + b in a wide network, where b is what the
biases add; the paper's theorem has b = 0, and q = 0.797. The published code (and `siren` here) leaves the biases at
U(±1/sqrt(n)) and multiplies them with 30 too, so that b = 300/n: {number(BIASES)} at this width of {WIDTH}, more than
all weights together. So q is {number(PHASES)}; measured: {measured:.2f}. That does no harm: the second moment of the
gradient grows by 1 + exp(-2q) with each layer, which is 1.2 without biases and {1 + math.exp(-2 * PHASES):.3f} with
them."""


def figure(results: Results) -> Figure:
    """Draw the PSNR while fitting, at each arm's best rate."""
    from matplotlib.figure import Figure

    drawn = Figure(figsize=(7, 3.8))
    axes = drawn.subplots()
    for arm, colour in zip(ARMS, ("black", "red", "blue", "green"), strict=True):
        for seed, run in enumerate(results["curves"][arm][best_rate(results, arm)]):
            axes.plot(run["curve"], color=COLOURS[colour], lw=1.3, label=None if seed else arm)
    axes.set(xlabel="step of Adam", ylabel="PSNR of the pixels learnt, dB", xlim=(0, STEPS))
    axes.set_title(f"A photograph of {PIXELS}×{PIXELS} fitted, three seeds", size=11, loc="left")
    axes.legend(frameon=False, loc="upper left")
    drawn.tight_layout()
    return drawn


SIREN = Anchor(
    name="siren",
    title="SIREN: sines fit a photograph, and with their own weights know what lies between its pixels",
    source=(
        'Sitzmann, Martel, Bergman, Lindell and Wetzstein (2020), "Implicit Neural Representations with Periodic '
        'Activation Functions", section 3.2 and figure 1.'
    ),
    reported=(
        "A photograph of 256×256 is fitted to about 50 dB where ReLU networks stay at 20 to 30 dB (read off the "
        "figure); without the proposed weights, sines do not train well."
    ),
    setup=(
        f"A real photograph (from scikit-learn), {PIXELS}×{PIXELS} grey values, is learnt as a function of the place: "
        f"{DEPTH} hidden layers of {WIDTH}, sin(30·(W·x + b)) or ReLU, {STEPS} steps of Adam on four fifths of "
        "the pixels, all at once; the others are held out. Three learning rates with one seed, two more "
        "seeds at each network's best rate."
    ),
    differs=(
        f"The picture has {PIXELS}×{PIXELS} pixels and not 256×256 or 512×512, the network a quarter of the paper's "
        "weights, and training stops long before it is done. The paper tells the fit of the pixels that were learnt; "
        "pixels held out are our addition."
    ),
    minutes=1,
    measure=measure,
    tables=tables,
    gates=(
        Gate(
            "SIREN minus ReLU with torch's weights, fit, dB",
            lambda r: gap(r, "ReLU, torch's weights"),
            at_least=20,
            quick=False,
        ),
        Gate(
            "SIREN minus the same sines with torch's weights, fit, dB",
            lambda r: gap(r, list(ARMS)[1]),
            at_least=20,
            quick=False,
        ),
        Gate(
            "the same on pixels held out, dB",
            lambda r: gap(r, list(ARMS)[1], held_out),
            at_least=10,
            quick=False,
        ),
        Gate(
            f"second moment inside of the sines, over {number(PHASES)}",
            lambda r: float(np.mean(r["phases"])) / PHASES,
            at_least=0.9,
            at_most=1.1,
        ),
    ),
    headline=headline,
    findings=findings,
    figure=figure,
    methods=("siren",),
)
