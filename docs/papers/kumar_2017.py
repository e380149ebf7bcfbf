"""Kumar (2017), "On weight initialization in deep neural networks", arXiv 1704.08863: where it helps, and where not.

python docs/papers/kumar_2017.py [--quick | --write]
"""

from __future__ import annotations

from typing import Any

import torch
from matplotlib.figure import Figure

import wellbegun as wb
from chains import draw, measured, middle, predicted
from digits import EVERY, Network, accuracy, load_digits_task, start, train
from paper import COLOURS, Paper, Results, number, percent, table
from wellbegun.lab.network import ACTIVATIONS
from wellbegun.theory import moments

WIDTH, DEPTH, LAYERS = 1024, 20, (1, 5, 20)
GROWING = ("tanh", "sigmoid", "gelu", "silu", "mish", "softplus")
TRAINED = ("gelu", "silu", "mish")
RATE, STEPS = 0.1, 1000
RECIPES = ("xavier", "kumar", "auto")


def variance(activation: str) -> float:
    """Return fan_in times the variance that Kumar's rule gives the weights."""
    return float(WIDTH * wb.Kumar(activation).law(wb.Fans(WIDTH, WIDTH)).moments((WIDTH, WIDTH))[1] ** 2)


def measure(quick: bool) -> Results:
    """Train ten sigmoid layers, deeper ones, and GELU, SiLU and Mish; follow the signal through 20 layers."""
    task = load_digits_task()
    sigmoid: dict[str, Any] = {recipe: {"accuracy": [], "curve": []} for recipe in (RECIPES[:2] if quick else RECIPES)}
    for seed in range(1 if quick else 3):
        for recipe, curve in train(
            Network("sigmoid", 10), tuple(sigmoid), task, rate=RATE, seed=seed, steps=STEPS
        ).items():
            sigmoid[recipe]["accuracy"].append(accuracy(curve))
            sigmoid[recipe]["curve"].append(curve.validation)
    batch = torch.from_numpy(task.train.inputs[:256]), torch.from_numpy(task.train.targets[:256])
    for recipe, kept in sigmoid.items():
        layers = wb.diagnose(start(Network("sigmoid", 10), recipe, task, 0), batch).layers
        kept["gradient_ratio"] = (layers[0].gradient / layers[-1].gradient) ** 0.5
    depths = {}
    for depth in () if quick else (5, 15, 20):
        runs = [train(Network("sigmoid", depth), ("kumar",), task, rate=RATE, seed=s, steps=STEPS) for s in range(2)]
        depths[str(depth)] = [accuracy(run["kumar"]) for run in runs]
    growth = {}
    for activation in ("sigmoid", "gelu", "mish") if quick else GROWING:
        nets = [
            measured(ACTIVATIONS[activation], wb.Kumar(activation), depth=DEPTH, width=WIDTH, seed=seed)[0]
            for seed in range(2 if quick else 8)
        ]
        signal, factors = predicted(activation, variance(activation), DEPTH)
        growth[activation] = {"predicted": signal, "chi": factors[-1], "measured": nets}
    exploding = {}
    for activation in TRAINED[:1] if quick else TRAINED:
        rule = f"kumar(nonlinearity='{activation}')"
        recipes = (rule,) if quick else ("he", rule, "auto")
        curves = train(Network(activation, DEPTH), recipes, task, rate=0.01, seed=0, steps=300)
        exploding[activation] = {
            "kumar" if recipe == rule else recipe: {
                "loss": curve.train_loss[0],
                "accuracy": accuracy(curve),
                "diverged": bool(curve.stopped),
            }
            for recipe, curve in curves.items()
        }
    return {"sigmoid": sigmoid, "depths": depths, "growth": growth, "exploding": exploding}


def tables(results: Results) -> dict[str, str]:
    """Return the page's tables."""
    sigmoid = [
        [recipe, percent(kept["accuracy"]), number(kept["gradient_ratio"])]
        for recipe, kept in results["sigmoid"].items()
    ]
    depths = {int(depth): shares for depth, shares in results["depths"].items()}
    depths[10] = results["sigmoid"]["kumar"]["accuracy"]
    growth = []
    for activation, kept in results["growth"].items():
        cells = [f"{number(kept['predicted'][layer])} · {number(middle(kept, layer)[0])}" for layer in LAYERS]
        error = middle(kept, LAYERS[-1])[1]
        growth.append([activation, number(variance(activation)), *cells, f"±{error:.0%}", number(kept["chi"])])
    exploding = [
        [activation, recipe, number(kept["loss"]), "diverged" if kept["diverged"] else f"{kept['accuracy']:.1%}"]
        for activation, arms in results["exploding"].items()
        for recipe, kept in arms.items()
    ]
    return {
        "Ten sigmoid layers": table(["start", "right answers", "gradient, first layer / last"], sigmoid),
        "Deeper": table(["sigmoid layers", "Kumar"], [[str(d), percent(depths[d])] for d in sorted(depths)]),
        "Growth": table(
            ["activation", "N·variance", *(f"layer {layer}" for layer in LAYERS), "error", "gradient factor"], growth
        ),
        "Training": table(["activation", "start", "loss at step 0", "right answers"], exploding),
    }


def span(curves: list[list[float]]) -> str:
    """Return after how many steps the seeds have 90% right, as a range."""
    steps = sorted(EVERY * next(i for i, share in enumerate(curve) if share >= 0.9) for curve in curves)
    return f"{steps[0]} to {steps[-1]}" if steps[0] < steps[-1] else str(steps[0])


def page(results: Results) -> str:
    """Return the page."""
    made, sigmoid, growth = tables(results), results["sigmoid"], results["growth"]
    kumar, xavier, auto = (sigmoid[name] for name in ("kumar", "xavier", "auto"))
    fixed = growth["sigmoid"]["predicted"][-1]
    return f"""# Kumar (2017): weights from the activation's value and slope at 0

Siddharth Krishna Kumar, "On weight initialization in deep neural networks", arXiv 1704.08863. Every number on this
page comes from [kumar_2017.py](kumar_2017.py), which takes a minute and a half on one core and writes the page anew
with `--write`.

## What the paper says

Xavier's rule takes the activation for a straight line through 0 with slope 1. Kumar keeps the real value g(0) and the
real slope g'(0), and asks that a unit's output has variance 1. For a weight with N inputs that gives

> variance of the weights = 1 / (N · g'(0)² · (1 + g(0)²))

It is 1/N for tanh and 12.8/N for sigmoid: a standard deviation of 3.58/√N, often printed as 3.6/√N. (Taking 3.6 for
the variance is a common slip; it is a standard deviation.) ReLU has no slope at 0; the paper treats it apart and
finds He's 2/N. What the derivation assumes: the activation has a slope at 0, and it may be replaced by its tangent
there, that is, sums stay near 0.

In wellbegun the rule is [`wb.Kumar`](../methods/kumar.md), or `recipe="kumar"` for all weights of a network:

```python
import torch

import wellbegun as wb

model = torch.nn.Sequential(torch.nn.Linear(64, 128), torch.nn.Sigmoid(), torch.nn.Linear(128, 10))
plan = wb.plan(model, torch.randn(256, 64), seed=7, recipe="kumar")
wb.apply(plan, model)
print(plan["2.weight"].law)  # Normal(std=0.3162...): 3.58 / sqrt(128)
```

## Where it shines: ten sigmoid layers

Ten hidden layers of 128 sigmoid units on real handwritten digits (1,400 to train, 397 to score; SGD 0.1, momentum
0.9, batches of 128, {STEPS:,} steps, {len(kumar["accuracy"])} seeds; mean, lowest and highest):

{made["Ten sigmoid layers"]}

![Right answers while training, and the second moment of sums by depth](figures/kumar_2017_both.svg)

Xavier stays at chance: its gradient is {number(xavier["gradient_ratio"])} times as large in the first layer as in the
last. Kumar's larger weights bring that to {number(kumar["gradient_ratio"])}, and the network learns. `auto`, which
did not exist in 2017, does better still: it takes the mean of the sigmoid out with biases ([auto.md](../auto.md)),
its gradient in the first layer is {number(auto["gradient_ratio"])} of that in the last, and it has 90% right after
{span(auto["curve"])} steps where Kumar's rule takes {span(kumar["curve"])} (looked at every {EVERY} steps).

It helps, though not for the reason given. A sigmoid's output cannot have variance 1: it lies between 0 and 1, so 1/4
is the most. Sums do not stay near 0 either. In fact their second moment settles at {fixed:.3f} (theory for wide
layers; 1 is what Xavier's picture has in mind), the outputs have variance {moments("sigmoid", fixed).variance:.3f},
and the squared gradient shrinks to {growth["sigmoid"]["chi"]:.3f} of itself in each layer. That is much better than
Xavier's {number(predicted("sigmoid", 1.0, DEPTH)[1][-1])}, and it is still a shrinking gradient. So the rule has an
end, too (same training, two seeds; three for 10 layers):

{made["Deeper"]}

## Where it explodes: GELU, SiLU, Mish, softplus

For these the slope at 0 is 1/2 (Mish: 3/5), so the rule asks for large weights: 4/N (2.78/N). But the tangent at 0 is
a bad picture of them: to the right their slope goes to 1. As sums grow, the function gives more than its tangent
promised, and the sums grow faster. Second moment of the sums by layer, theory for wide layers · measured (geometric
mean over {len(growth["gelu"]["measured"])} networks of width {WIDTH:,}, float64, with its relative standard error in
layer 20; the first layer starts at 1):

{made["Growth"]}

The gradient factor is what the squared gradient is multiplied by per layer, around layer 20. For tanh all is well:
the signal fades slowly and the factor goes to 1.

What that does to training (20 layers of 128, digits, SGD 0.01, 300 steps, one seed):

{made["Training"]}

## What to do today

- Let `auto` choose: `wb.plan(model, batch, seed=7)`. It knows the exact moments of any activation and needs no
  tangent.
- `wb.Kumar` is there to repeat the paper, and as a quick mend for a plain sigmoid network of up to about 10 layers.
- Not for GELU, SiLU, Mish or softplus. For ReLU and its relatives, and for functions that are flat at 0, `wb.Kumar`
  refuses and says why; `wb.HeNormal` is the rule to use there.
"""


def figures(results: Results) -> dict[str, Figure]:
    """Return the page's figure: learning curves, and the second moment by depth."""
    figure = Figure(figsize=(10, 4))
    curves, signal = figure.subplots(1, 2)
    for recipe, colour in zip(RECIPES, ("red", "blue", "black"), strict=True):
        for seed, curve in enumerate(results["sigmoid"][recipe]["curve"]):
            steps = [min(EVERY * i, STEPS) for i in range(len(curve))]
            curves.plot(steps, curve, color=COLOURS[colour], lw=1.6, label=None if seed else recipe)
    curves.axhline(0.1, color="grey", ls=":", lw=1)
    curves.text(STEPS, 0.115, "guessing", color="grey", ha="right", va="bottom", size=9)
    curves.set(xlabel="training step", ylim=(0, 1.02), xlim=(0, STEPS))
    curves.set_title("Ten sigmoid layers: right answers on digits", size=11, loc="left")
    curves.legend(frameon=False, loc="center right")
    for activation, colour in zip(("tanh", "gelu", "mish", "sigmoid", "silu"), COLOURS, strict=True):
        # silu's name would touch gelu's
        draw(signal, activation, results["growth"][activation], COLOURS[colour], lower=5 * (activation == "silu"))
    signal.set(yscale="log", xlabel="layer", xlim=(0, DEPTH), xticks=range(0, DEPTH + 1, 5))
    signal.set_title("Kumar's rule: second moment of sums (line: theory)", size=11, loc="left")
    figure.tight_layout()
    return {"both": figure}


PAPER = Paper(name="kumar_2017", measure=measure, tables=tables, page=page, figures=figures)

if __name__ == "__main__":
    PAPER.main()
