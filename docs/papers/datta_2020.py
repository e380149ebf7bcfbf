"""Datta (2020), a survey of activations with Xavier's and He's weights, arXiv 2004.06632: each claim, measured.

python docs/papers/datta_2020.py [--quick | --write]
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from matplotlib.figure import Figure

import wellbegun as wb
from chains import draw, geometric_mean, measured, middle, predicted
from digits import Network, accuracy, load_digits_task, start, train
from paper import COLOURS, Paper, Results, number, percent, table
from wellbegun.lab.network import ACTIVATIONS
from wellbegun.lab.task import Split, Task
from wellbegun.laws import Initializer

WIDTH, DEPTH = 512, 30
LEARNT, CHANCE = 0.9, 0.15
"""Shares of right answers from which a network counts as trained, and up to which as stuck at chance."""

PATIENT = "sigmoid, 5 layers, Xavier, 2,000 steps"
LEAKY = (0.01, 0.2, 0.25)
HE_LEAKY = "he(nonlinearity='leaky_relu_0.2')"


def leaky(slope: float) -> Callable[[torch.Tensor], torch.Tensor]:
    """Return leaky ReLU with this slope on the left; PReLU starts at 0.25 and learns it."""
    return lambda x: torch.nn.functional.leaky_relu(x, slope)


SHIFTED: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "plain sigmoid": torch.sigmoid,
    "sigmoid - 1/2": lambda x: torch.sigmoid(x) - 0.5,
    "4·sigmoid - 2": lambda x: 4 * torch.sigmoid(x) - 2,
    "tanh": torch.tanh,
    "tanh + 1/2": lambda x: torch.tanh(x) + 0.5,
    "tanh + 1": lambda x: torch.tanh(x) + 1,
}

Chain = tuple[str, Callable[[torch.Tensor], torch.Tensor], Initializer, float]
"""An activation's name for the theory, its function, the rule of the weights, and fan_in times their variance."""

CHAINS: dict[str, Chain] = {
    "identity, Xavier": ("identity", lambda x: x, wb.XavierNormal(), 1.0),
    "sigmoid, Xavier": ("sigmoid", torch.sigmoid, wb.XavierNormal(), 1.0),
    "tanh, Xavier": ("tanh", torch.tanh, wb.XavierNormal(), 1.0),
    "relu, Xavier": ("relu", torch.relu, wb.XavierNormal(), 1.0),
    "relu, He": ("relu", torch.relu, wb.HeNormal(), 2.0),
    "gelu, He": ("gelu", ACTIVATIONS["gelu"], wb.HeNormal(), 2.0),
    "silu, He": ("silu", ACTIVATIONS["silu"], wb.HeNormal(), 2.0),
} | {f"leaky {a}, He": (f"leaky_relu_{a}", leaky(a), wb.HeNormal(f"leaky_relu_{a}"), 2 / (1 + a**2)) for a in LEAKY}


def measure(quick: bool) -> Results:
    """Follow signals and gradients through 30 layers, train networks on digits, count dead units, check formulas."""
    task = load_digits_task()
    seeds = range(1 if quick else 2)
    chains = {}
    for name, (activation, function, rule, variance) in CHAINS.items():
        signal, factors = predicted(activation, variance, DEPTH)
        nets = [measured(function, rule, depth=DEPTH, width=WIDTH, seed=s)[:2] for s in range(2 if quick else 8)]
        # the last pre-activation has layer DEPTH's factor before it: gradients are compared from layer 10 to 20
        chains[name] = {
            "predicted": signal,
            "chi": math.prod(factors[10:20]) ** 0.1,
            "measured": [q for q, _ in nets],
            "gradient_factor": [(g[10] / g[20]) ** 0.1 for _, g in nets],
        }
    trained: dict[str, list[float]] = {}
    for key, network, recipe, rate, steps, data in runs(task, quick):
        curves = [train(network, (recipe,), data, rate=rate, seed=seed, steps=steps)[recipe] for seed in seeds]
        trained[key] = [accuracy(curve) for curve in curves]
    return {
        "chains": chains,
        "trained": trained,
        "dead": dead_units(task, quick),
        "formulas": formulas(),
        "collapse": collapse(),
    }


Run = tuple[str, Network, str, float, int, Task]
"""A name, the network, the recipe of its start, learning rate, steps, and the task."""


def runs(task: Task, quick: bool) -> list[Run]:
    """Return what is trained."""
    digits = {part: getattr(task, part) for part in ("train", "validation", "test")}
    parity = replace(task, outputs=2, **{part: Split(s.inputs, s.targets % 2) for part, s in digits.items()})
    found: list[Run] = [
        (f"sigmoid, {depth} layers, Xavier", Network("sigmoid", depth), "xavier", 0.1, 300, task)
        for depth in ((3, 5) if quick else (1, 2, 3, 5, 10))
    ]
    if quick:
        return found
    found += [
        (f"{name}, 10 layers, Xavier", Network("tanh", 10, 64, function), "xavier", 0.01, 300, task)
        for name, function in SHIFTED.items()
    ]
    deep = Network("relu", DEPTH, 64)
    return [
        *found,
        (PATIENT, Network("sigmoid", 5), "xavier", 0.1, 2000, task),
        ("linear, odd or even", Network("tanh", 3, 64, lambda x: x), "xavier", 0.01, 300, parity),
        ("tanh, odd or even", Network("tanh", 3, 64), "xavier", 0.01, 300, parity),
        ("relu, 30 layers, Xavier", deep, "xavier", 0.005, 400, task),
        ("relu, 30 layers, He", deep, "he", 0.005, 400, task),
        ("leaky 0.2, 30 layers, He", replace(deep, function=leaky(0.2)), HE_LEAKY, 0.005, 400, task),
        ("gelu, 30 layers, He", replace(deep, activation="gelu"), "he", 0.005, 400, task),
        ("gelu, 30 layers, auto", replace(deep, activation="gelu"), "auto", 0.005, 400, task),
    ]


def dead_units(task: Task, quick: bool) -> dict[str, float]:
    """Return the share of units that are off for every training image, at the start and after training."""
    rows, labels = torch.from_numpy(task.train.inputs), torch.from_numpy(task.train.targets)
    sums = measured(torch.relu, wb.HeNormal(), depth=DEPTH, width=WIDTH, seed=0, inputs=rows.double())[2]
    found = {f"start, layer {layer}": off(sums[layer]) for layer in (0, 10, 30)}
    for rate in (0.01, 0.3) if quick else (0.01, 0.1, 0.3):
        model = start(Network("relu", 3), "he", task, 0)
        optimizer = torch.optim.SGD(model.parameters(), lr=rate, momentum=0.9)
        order = np.random.default_rng(0)
        for _ in range(200):
            chosen = torch.from_numpy(order.integers(len(rows), size=128))
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(model(rows[chosen]), labels[chosen]).backward()
            optimizer.step()
        with torch.no_grad():
            x, silent = rows, []
            for layer in model.hidden:
                x = torch.relu(layer(x))
                silent.append(off(x))
        found[f"trained, rate {rate:g}"] = float(np.mean(silent))
    return found


def off(sums: torch.Tensor) -> float:
    """Return the share of columns without a positive number."""
    return float((sums <= 0).all(0).double().mean())


def formulas() -> dict[str, float]:
    """Return the variance of drawn weights over that of the survey's formulas: 784 inputs, 1,024 outputs."""
    fans, out = wb.Fans(784, 1024), np.empty((1024, 784))
    xavier, he = 2 / (784 + 1024), 2 / 784
    cases = {
        "Xavier normal": (wb.XavierNormal(), xavier),
        "Xavier uniform": (wb.XavierUniform(), xavier),
        "He normal": (wb.HeNormal(), he),
        "He, slope 0.25": (wb.HeNormal("leaky_relu_0.25"), he / (1 + 0.25**2)),
    }
    ratios = {}
    for name, (rule, expected) in cases.items():
        wb.fill(out, rule, seed=7, name=name, fans=fans)
        ratios[name] = float(out.var() / expected)
    return ratios


def collapse() -> dict[str, float]:
    """Return how far ten linear layers are from the one that is their product, and what two inputs share in ReLU."""
    weights = [np.empty((WIDTH, WIDTH)) for _ in range(10)]
    for layer, weight in enumerate(weights):
        wb.fill(weight, wb.XavierNormal(), seed=0, name=f"layers.{layer}.weight", fans=wb.Fans(WIDTH, WIDTH))
    x = np.random.default_rng(0).standard_normal((64, WIDTH))
    deep, product = x, np.eye(WIDTH)
    for weight in weights:
        deep, product = deep @ weight.T, weight @ product
    one = x @ product.T
    sums = measured(torch.relu, wb.HeNormal(), depth=100, width=1024, seed=0)[2][-1]
    u, v = sums[:32], sums[32:]
    both = ((u <= 0) & (v <= 0)).double().mean()
    cosine = torch.nn.functional.cosine_similarity(u, v).mean()
    return {
        "linear": float(np.abs(deep - one).max() / np.abs(one).max()),
        "both off": float(both),
        "cosine": float(cosine),
    }


@dataclass(frozen=True)
class Claim:
    """A claim of the survey with what was found.

    Attributes:
        text: the claim.
        where: the part of the survey.
        found: what was measured, with numbers and how.
        verdict: from the numbers.
    """

    text: str
    where: str
    found: str
    verdict: str


def judged(good: bool, verdict: str) -> str:
    """Return the verdict, or that the numbers no longer carry it."""
    return verdict if good else "the numbers do not show it"


def claims(results: Results) -> list[Claim]:
    """Return every claim with its measurement; each verdict is computed from the numbers."""
    chain, trained, dead = results["chains"], results["trained"], results["dead"]
    ratio, joint = results["formulas"], results["collapse"]

    def share(key: str) -> str:
        return percent(trained[key])

    def mean(key: str) -> float:
        return float(np.mean(trained[key]))

    def signal(name: str, layer: int = DEPTH) -> float:
        return middle(chain[name], layer)[0]

    def gradient(name: str) -> float:
        return geometric_mean(chain[name]["gradient_factor"])[0]

    sigmoid = {depth: mean(f"sigmoid, {depth} layers, Xavier") for depth in (1, 2, 3, 5, 10)}
    return [
        Claim(
            "An activation has to be non-linear",
            "activations",
            f"Ten linear layers equal their product to {number(joint['linear'])}. Odd or even digits, 3 layers: linear "
            f"{share('linear, odd or even')}, tanh {share('tanh, odd or even')}",
            judged(joint["linear"] < 1e-10 and mean("tanh, odd or even") > mean("linear, odd or even") + 0.03, "holds"),
        ),
        Claim(
            "It should be differentiable, continuous and bounded",
            "activations",
            f"ReLU has a kink and no bound. With He, {DEPTH} layers: {share('relu, 30 layers, He')} on digits",
            judged(mean("relu, 30 layers, He") > LEARNT, "not needed: a kink and no bound do no harm"),
        ),
        Claim(
            "Sigmoid lets gradients vanish",
            "sigmoid",
            f"Squared gradient per layer under Xavier ×{gradient('sigmoid, Xavier'):.4f} (theory "
            f"{chain['sigmoid, Xavier']['chi']:.4f})",
            judged(abs(gradient("sigmoid, Xavier") / chain["sigmoid, Xavier"]["chi"] - 1) < 0.1, "holds"),
        ),
        Claim(
            "tanh is better than sigmoid",
            "tanh",
            f"Squared gradient per layer ×{gradient('tanh, Xavier'):.3f} (sigmoid {gradient('sigmoid, Xavier'):.3f}). "
            f"Ten layers: tanh {share('tanh, 10 layers, Xavier')}, sigmoid {share('plain sigmoid, 10 layers, Xavier')}",
            judged(
                mean("tanh, 10 layers, Xavier") > LEARNT and mean("plain sigmoid, 10 layers, Xavier") < CHANCE, "holds"
            ),
        ),
        Claim(
            "... because it is centred on 0",
            "tanh",
            f"Ten layers. Centred, slope 1/4 (sigmoid - 1/2): {share('sigmoid - 1/2, 10 layers, Xavier')}. "
            f"Centred, slope 1 (4·sigmoid - 2): {share('4·sigmoid - 2, 10 layers, Xavier')}. "
            f"Not centred, slope 1: tanh + 1/2 {share('tanh + 1/2, 10 layers, Xavier')}, "
            f"tanh + 1 {share('tanh + 1, 10 layers, Xavier')}",
            judged(
                mean("sigmoid - 1/2, 10 layers, Xavier") < CHANCE
                and min(mean(f"{f}, 10 layers, Xavier") for f in ("4·sigmoid - 2", "tanh + 1/2")) > LEARNT
                and mean("tanh + 1, 10 layers, Xavier") < LEARNT,
                "does not hold as the reason: the slope of 1/4 is what stops sigmoid. A large mean does harm",
            ),
        ),
        Claim(
            "ReLU does not let gradients vanish",
            "ReLU",
            f"Squared gradient per layer ×{gradient('relu, He'):.3f} under He, "
            f"×{gradient('relu, Xavier'):.3f} under Xavier",
            judged(abs(gradient("relu, He") - 1) < 0.1 and gradient("relu, Xavier") < 0.6, "holds under He's weights"),
        ),
        Claim(
            "ReLU units can die",
            "ReLU (dying ReLU)",
            f"Off for all 1,400 images: at the start {dead['start, layer 0']:.1%} in layer 1, "
            f"{dead['start, layer 30']:.1%} in layer 31. 3 layers after 200 steps: "
            + ", ".join(f"{dead[f'trained, rate {rate}']:.1%} at rate {rate}" for rate in (0.01, 0.1, 0.3)),
            judged(
                dead["start, layer 30"] > 5 * dead["start, layer 0"] + 0.05
                and dead["trained, rate 0.3"] > 0.2 > dead["trained, rate 0.01"],
                "holds: depth kills units before the first step, too large a rate kills them later",
            ),
        ),
        Claim(
            "LReLU and PReLU mend that",
            "LReLU, PReLU",
            f"By definition no unit is without a slope. {DEPTH} layers, slope 0.2, He: "
            f"{share('leaky 0.2, 30 layers, He')} (ReLU {share('relu, 30 layers, He')})",
            judged(mean("leaky 0.2, 30 layers, He") > LEARNT, "holds; ReLU itself trains as well here"),
        ),
        Claim(
            "Xavier: variance 2/(n_in + n_out); uniform bound √6/√(n_in + n_out)",
            "Xavier",
            f"Variance of 802,816 drawn weights over the formula: normal {ratio['Xavier normal']:.4f}, uniform "
            f"{ratio['Xavier uniform']:.4f}",
            judged(all(abs(ratio[f"Xavier {kind}"] - 1) < 0.01 for kind in ("normal", "uniform")), "holds"),
        ),
        Claim(
            "Xavier keeps the signal where the activation is symmetric and about linear near 0",
            "abstract, Xavier",
            f"Second moment after {DEPTH} layers, from 1: linear {signal('identity, Xavier'):.3f}, tanh "
            f"{number(signal('tanh, Xavier'))} (theory {number(chain['tanh, Xavier']['predicted'][-1])}, near "
            f"1/(2·layers))",
            judged(
                abs(signal("identity, Xavier") - 1) < 0.3 and 0.01 < signal("tanh, Xavier") < 0.03,
                "holds: tanh fades, slowly",
            ),
        ),
        Claim(
            "Xavier suits sigmoid",
            "abstract, Xavier",
            "Digits after 300 steps, by number of sigmoid layers: "
            + ", ".join(f"{depth}: {share(f'sigmoid, {depth} layers, Xavier')}" for depth in sigmoid)
            + f". After 2,000 steps, 5: {share(PATIENT)}",
            judged(
                min(sigmoid[1], sigmoid[2], sigmoid[3]) > LEARNT
                and max(sigmoid[5], sigmoid[10]) < CHANCE
                and mean(PATIENT) > LEARNT,
                "holds up to 3 layers; 5 learn late, 10 stay at chance",
            ),
        ),
        Claim(
            "Xavier does not suit ReLU",
            "abstract, He",
            f"Second moment after {DEPTH} layers {number(signal('relu, Xavier'))} (2⁻³⁰ is 9.3·10⁻¹⁰). Digits: "
            f"{share('relu, 30 layers, Xavier')}",
            judged(
                abs(signal("relu, Xavier") * 2**DEPTH - 1) < 0.5 and mean("relu, 30 layers, Xavier") < CHANCE, "holds"
            ),
        ),
        Claim(
            "He: variance 2/n, with slope a 2/((1 + a²)n)",
            "He",
            f"Over the formula: {ratio['He normal']:.4f}; a = 0.25: {ratio['He, slope 0.25']:.4f}",
            judged(all(abs(ratio[k] - 1) < 0.01 for k in ("He normal", "He, slope 0.25")), "holds"),
        ),
        Claim(
            "He suits ReLU, LReLU, PReLU",
            "abstract, He",
            f"Second moment after {DEPTH} layers: ReLU {signal('relu, He'):.2f}, slopes "
            + ", ".join(f"{a}: {signal(f'leaky {a}, He'):.2f}" for a in LEAKY)
            + f" (theory 1; 8 networks of width {WIDTH} scatter). Digits: {share('relu, 30 layers, He')}",
            judged(
                all(0.6 < signal(name) < 1.6 for name in ("relu, He", *(f"leaky {a}, He" for a in LEAKY)))
                and mean("relu, 30 layers, He") > LEARNT,
                "holds for the size of signals",
            ),
        ),
        Claim(
            "(not asked: do inputs stay apart?)",
            "–",
            f"He, 100 ReLU layers: cosine between different inputs {joint['cosine']:.4f} (theory 0.9964); "
            f"{joint['both off']:.1%} of units are off for both (theory 48.7%, independent inputs 25%)",
            judged(joint["cosine"] > 0.98, "a blind spot: all inputs become one"),
        ),
        Claim(
            "(not asked: GELU, SiLU)",
            "–",
            f"He's 2/n: second moment after {DEPTH} layers {number(signal('gelu, He'))} (GELU), "
            f"{number(signal('silu, He'))} (SiLU). GELU on digits: {share('gelu, 30 layers, He')}, with `auto` "
            f"{share('gelu, 30 layers, auto')}",
            judged(
                max(signal("gelu, He"), signal("silu, He")) < 1e-3
                and mean("gelu, 30 layers, auto") > max(LEARNT, mean("gelu, 30 layers, He") + 0.2),
                "a blind spot: He's 2 does not carry over",
            ),
        ),
    ]


def tables(results: Results) -> dict[str, str]:
    """Return the page's tables."""
    if not results["trained"].keys() >= {"gelu, 30 layers, auto"}:  # the short form: the raw numbers alone
        trained = [[key, percent(shares)] for key, shares in results["trained"].items()]
        return {"Chains": chain_table(results), "Trained": table(["network", "right answers"], trained)}
    rows = [[claim.text, claim.where, claim.found, f"**{claim.verdict}**"] for claim in claims(results)]
    return {"Claims": table(["claim", "where", "measured here", "verdict"], rows), "Chains": chain_table(results)}


def chain_table(results: Results) -> str:
    """Return theory and measurement of signal and gradient as a table."""
    rows = []
    for name, kept in results["chains"].items():
        signal, error = middle(kept, DEPTH)
        factor = geometric_mean(kept["gradient_factor"])[0]
        cells = [number(kept["predicted"][-1]), number(signal), f"±{error:.0%}"]
        rows.append([name, *cells, f"{kept['chi']:.4f}", f"{factor:.4f}"])
    head = ["chain", f"signal in layer {DEPTH}: theory", "measured", "error", "gradient per layer: theory", "measured"]
    return table(head, rows)


def page(results: Results) -> str:
    """Return the page."""
    made = tables(results)
    return f"""# Datta (2020): a survey of activations with Xavier's and He's weights, claim by claim

Leonid Datta, "A Survey on Activation Functions and their relation with Xavier and He Normal Initialization", arXiv
2004.06632. Every number on this page comes from [datta_2020.py](datta_2020.py), which takes two minutes on one core
and writes the page anew with `--write`.

## What the paper says

The survey explains what makes an activation good, goes through sigmoid, tanh, ReLU, leaky ReLU (LReLU) and parametric
ReLU (PReLU), and ties them to two rules for the starting weights: Xavier's for functions that are symmetric and
nearly linear around 0, He's for ReLU and its relatives. It has no experiments of its own, so there is no number to
repeat. Each claim can be tried, though.

## What we see

"Where" is the topic under which the survey says it. We had its abstract, its introduction and what others report of
the rest, but not the full text, so no section numbers are given. Verdicts are computed from the numbers: were they to
change, the table would say so.

{made["Claims"]}

How it was taken. *Signal and gradient*: chains of {DEPTH} layers of width {WIDTH} in float64, the first of which
starts at second moment 1; 8 networks, geometric means; the gradient from layer 20 back to layer 10. (A geometric mean
of finite networks lies below the theory for infinite width, for ReLU by about 5·30/(2·512) = 15%.) *Digits*:
scikit-learn's 1,797 real digits, 1,400 to train, 397 to score; SGD with momentum 0.9, batches of 128, two seeds
(mean, lowest and highest); sigmoid by depth: width 128, rate 0.1; ten layers: width 64, rate 0.01, 300 steps; {DEPTH}
layers: width 64, rate 0.005, 400 steps; odd or even: width 64, rate 0.01, 300 steps. *Dead units*: one seed, width
512 at the start, 128 in training. Not tried: that an activation should be cheap to compute, and how PReLU's slope
learns.

![Second moment of sums by layer, theory and measurement](figures/datta_2020_signal.svg)

{made["Chains"]}

## What to do today

- The survey's pairs are right for their time: Xavier with tanh, He with ReLU. Use them to understand, not as a limit.
- Sigmoid inside a deep network fails because its slope is 1/4 at most, and a mean of 1/2 comes on top. `auto` mends
  both; see also [Kumar's rule](kumar_2017.md).
- Neither rule says whether different inputs stay different. `wb.diagnose` does, before the first step:

```python
import torch

import wellbegun as wb

layers = [layer for _ in range(30) for layer in (torch.nn.Linear(64, 64), torch.nn.ReLU())]
model = torch.nn.Sequential(*layers, torch.nn.Linear(64, 10))
batch = torch.randn(256, 64)
wb.initialize(model, batch, seed=7, recipe="he")
print(wb.diagnose(model, batch))  # column "cosine": inputs that had nothing in common end up about 0.9 alike
```

- For GELU, SiLU and whatever comes next, He's 2/n is the wrong number. `wb.gain("gelu")` has the right one for one
  layer, and `auto` knows when that is not enough ([auto.md](../auto.md)).
"""


def figures(results: Results) -> dict[str, Figure]:
    """Return the page's figure: the second moment by layer for every chain that the text compares."""
    figure = Figure(figsize=(8, 4.2))
    axes = figure.subplots()
    shown = ("relu, He", "tanh, Xavier", "gelu, He", "silu, He", "relu, Xavier")
    for name, colour in zip(shown, COLOURS.values(), strict=True):
        draw(axes, name, results["chains"][name], colour)
    axes.set(yscale="log", xlabel="layer", xlim=(0, DEPTH))
    axes.set_title("Second moment of sums by layer (line: theory, dots: measured)", size=11, loc="left")
    figure.tight_layout()
    return {"signal": figure}


PAPER = Paper(name="datta_2020", measure=measure, tables=tables, page=page, figures=figures)

if __name__ == "__main__":
    PAPER.main()
