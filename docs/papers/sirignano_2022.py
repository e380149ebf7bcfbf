"""Sirignano and Spiliopoulos (2022), arXiv 1907.04108: a wide layer learns like a linear differential equation.

python docs/papers/sirignano_2022.py [--quick | --write]
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy import special

import wellbegun as wb
from paper import COLOURS, Paper, Results, number, table

Array = NDArray[np.float64]

IMAGES, SQUARED_LENGTH = 20, 2.0
TIME, STEP = 20.0, 0.4
SGD_TIME = 5.0
LONG_WIDTH, LONG_TIME = 1024, 300.0
FLOW_WIDTHS = (16, 64, 256, 1024, 4096, 16384)
SGD_WIDTHS = (16, 64, 256, 1024)
BOUND = math.sqrt(3.0)
"""Readout weights are uniform on ±BOUND, so bounded, of mean 0 and variance 1."""


@dataclass(frozen=True)
class Data:
    """What is learnt: rows x, targets y, and the matrix A of the limit, in closed form.

    f = erf has E f(w·x) f(w·x') and E f'(w·x) f'(w·x') in closed form for w ~ N(0, I), so that the limit carries no
    sampling error (Williams 1997).
    """

    x: Array
    y: Array
    start: Array
    kernel: Array

    @classmethod
    def load(cls) -> Data:
        """Take the first digits of scikit-learn's set, each of the same length: odd ones are 1, even ones are -1."""
        from sklearn.datasets import load_digits

        digits = load_digits()
        x = digits.data[:IMAGES] - digits.data.mean(0)
        x *= math.sqrt(SQUARED_LENGTH) / np.linalg.norm(x, axis=1, keepdims=True)
        products = x @ x.T
        scale = 1 + 2 * SQUARED_LENGTH
        values = 2 / math.pi * np.arcsin(2 * products / scale)
        slopes = 4 / math.pi / np.sqrt(scale**2 - 4 * products**2)
        return cls(x, np.where(digits.target[:IMAGES] % 2, 1.0, -1.0), values, values + products * slopes)

    def limit(self, h: Array, time: float) -> Array:
        """Return what the equation dh/dt = A (y - h) / M makes of outputs h, each row one network, after some time."""
        rates, axes = np.linalg.eigh(self.kernel / len(self.y))
        return self.y + (h - self.y) @ (axes * np.exp(-rates * time)) @ axes.T


def networks(width: int, seeds: range) -> tuple[Array, Array]:
    """Return hidden weights (seeds, width, pixels) and readout weights (seeds, width) as the paper starts them."""
    hidden, readout = np.empty((len(seeds), width, 64)), np.empty((len(seeds), width))
    for place, seed in enumerate(seeds):
        wb.fill(hidden[place], wb.Normal(std=1.0), seed=seed, name=f"hidden.{width}")
        wb.fill(readout[place], wb.Uniform(-BOUND, BOUND), seed=seed, name=f"readout.{width}")
    return hidden, readout


def outputs(sums: Array, readout: Array) -> Array:
    """Return g(x) = N^(-1/2) · sum of readout · erf(W·x) of all images from the sums W·x, a row for each network."""
    return np.asarray((readout[:, None, :] @ special.erf(sums))[:, 0] / math.sqrt(readout.shape[1]))


def slope_of_erf(sums: Array) -> Array:
    """Return the derivative of erf."""
    return 2 / math.sqrt(math.pi) * np.exp(-(sums**2))


def flow(width: int, seed: int, data: Data, time: float = TIME) -> dict[str, Any]:
    """Follow one network by the gradient of all images, in small Runge-Kutta steps, and compare it with the limit.

    A hidden weight only ever moves along the images, W + a·x, so that a (units, images) says all of it.
    """
    hidden, readout = networks(width, range(seed, seed + 1))
    begin, gram, root = hidden @ data.x.T, data.x @ data.x.T, math.sqrt(width)
    a = np.zeros_like(begin)

    def velocity(a: Array, readout: Array) -> tuple[Array, Array]:
        sums = begin + a @ gram
        missing = (data.y - outputs(sums, readout)) / (IMAGES * root)
        return slope_of_erf(sums) * (readout[:, :, None] * missing[:, None, :]), special.erf(sums) @ missing[0]

    first = outputs(begin, readout)
    now, losses = first, [float(np.mean((first - data.y) ** 2))]
    for _ in range(round(time / STEP)):
        one = velocity(a, readout)
        two = velocity(a + STEP / 2 * one[0], readout + STEP / 2 * one[1])
        three = velocity(a + STEP / 2 * two[0], readout + STEP / 2 * two[1])
        four = velocity(a + STEP * three[0], readout + STEP * three[1])
        a = a + STEP / 6 * (one[0] + 2 * two[0] + 2 * three[0] + four[0])
        readout = readout + STEP / 6 * (one[1] + 2 * two[1] + 2 * three[1] + four[1])
        now = outputs(begin + a @ gram, readout)
        losses.append(float(np.mean((now - data.y) ** 2)))
    return {
        "error": rms(now - data.limit(first, time)),
        "movement": math.sqrt(float(np.sum(a @ gram * a)) / hidden.size),
        "losses": losses,
        "limit_losses": [float(np.mean((data.limit(first, STEP * i) - data.y) ** 2)) for i in range(len(losses))],
    }


def sgd(width: int, seeds: range, data: Data) -> list[float]:
    """Train as the paper does, one image a step at rate 1/N for N·T steps; return the distances to the limit."""
    hidden, readout = networks(width, seeds)
    sums, gram, root, every = hidden @ data.x.T, data.x @ data.x.T, math.sqrt(width), np.arange(len(seeds))
    first = outputs(sums, readout)
    images = np.stack([np.random.default_rng(s).integers(IMAGES, size=round(width * SGD_TIME)) for s in seeds])
    for chosen in images.T:  # another image for each network
        seen = sums[every, :, chosen]
        units = special.erf(seen)
        missing = (data.y[chosen] - (readout * units).sum(1) / root)[:, None] / (width * root)
        sums += (missing * readout * slope_of_erf(seen))[:, :, None] * gram[chosen][:, None, :]
        readout += missing * units
    distance = outputs(sums, readout) - data.limit(first, SGD_TIME)
    return [rms(row) for row in distance]


def rms(values: Array) -> float:
    """Return the root of the mean square."""
    return float(np.sqrt(np.mean(np.square(values))))


def measure(quick: bool) -> Results:
    """Follow networks of growing width by gradient flow and by SGD."""
    data = Data.load()
    rates = np.linalg.eigvalsh(data.kernel / IMAGES)
    long = None if quick else flow(LONG_WIDTH, 0, data, LONG_TIME)
    return {
        "rates": [float(rates[0]), float(rates[-1])],
        "flow": {str(n): [flow(n, seed, data) for seed in range(8)] for n in FLOW_WIDTHS[: 4 if quick else None]},
        "sgd": {str(n): sgd(n, range(8 if quick else 16), data) for n in SGD_WIDTHS[: 3 if quick else None]},
        "long": [] if long is None else [long["losses"][-1], long["limit_losses"][-1]],
        "start": starts(data, 200 if quick else 2000),
    }


def starts(data: Data, count: int) -> dict[str, list[float]]:
    """Return the variance of the first output over many networks over that of the limit, for a few widths."""
    ratios = {}
    for width in (16, 256):
        parts = [networks(width, range(first, first + 100)) for first in range(0, count, 100)]
        values = np.concatenate([outputs(hidden @ data.x.T, readout) for hidden, readout in parts])
        ratios[str(width)] = [float(np.mean(values**2) / np.trace(data.start) * IMAGES)]
    return ratios


def slope(by_width: dict[str, list[float]]) -> tuple[float, float]:
    """Return the slope of log(error) over log(width): mean over the seeds and its standard error.

    Each seed gives one slope by least squares through all widths; seeds share nothing, so their spread is the error.
    """
    x = np.log([float(width) for width in by_width])
    y = np.log(np.array(list(by_width.values())))
    slopes = ((x - x.mean()) @ (y - y.mean(0))) / np.sum((x - x.mean()) ** 2)
    return float(slopes.mean()), float(slopes.std(ddof=1) / math.sqrt(len(slopes)))


def series(results: Results) -> dict[str, dict[str, list[float]]]:
    """Return the three quantities that shrink with the width, each by width and seed."""
    return {
        "gradient flow": {n: [one["error"] for one in ones] for n, ones in results["flow"].items()},
        "SGD": results["sgd"],
        "movement": {n: [one["movement"] for one in ones] for n, ones in results["flow"].items()},
    }


def tables(results: Results) -> dict[str, str]:
    """Return the page's tables."""
    kept = series(results)
    widths = list(results["flow"])
    rows = [[n, *(number(rms(np.array(each[n]))) if n in each else "–" for each in kept.values())] for n in widths]
    fits = [f"{mean:.3f} ± {error:.3f}" for mean, error in map(slope, kept.values())]
    head = ["width N", "distance to the limit, gradient flow", "distance to the limit, SGD", "movement of a weight"]
    return {"Width": table(head, [*rows, ["slope", *fits]])}


def page(results: Results) -> str:
    """Return the page."""
    flows, fast = results["flow"], results["rates"]
    widest = flows[str(FLOW_WIDTHS[-1])][0]
    narrow = flows[str(FLOW_WIDTHS[0])][0]
    (mean, error), (sgd_mean, sgd_error), (moved, moved_error) = map(slope, series(results).values())
    spread = results["start"]
    return f"""# Sirignano and Spiliopoulos (2022): very wide networks become a simple equation

Justin Sirignano and Konstantinos Spiliopoulos, "Scaling Limit of Neural Networks with the Xavier Initialization and
Convergence to a Global Minimum", arXiv 1907.04108, version 3. Every number on this page comes from
[sirignano_2022.py](sirignano_2022.py), which takes less than a minute on one core and writes the page anew with
`--write`.

## What the paper says

Take one hidden layer of N units and divide its output by √N, as Xavier's rule does through the size of the weights:

> g(x) = N^(-1/2) · Σ C_i · f(W_i · x)

The weights start independent; the C_i have mean 0 and are bounded. Train on M fixed examples by SGD with rate 1/N,
and count N steps as one unit of time. As N grows, the outputs h = (g(x_1), ..., g(x_M)) follow a linear differential
equation,

> dh/dt = A (y - h) / M,

from a random Gaussian start. The matrix A is fixed from the first step on (later called the neural tangent kernel):
A_jk = E f(W·x_j) f(W·x_k) + x_j·x_k · E C² f'(W·x_j) f'(W·x_k). If A has no eigenvalue 0, the training loss goes to
0. So with this scaling a wide network finds a global minimum, although the loss of a finite network has many valleys.
The network's distance to the limit should shrink like N^(-1/2).

## What we see

{IMAGES} real handwritten digits (odd against even), f = erf, for which A has a closed form, W ~ N(0, 1), C uniform on
±√3. Two ways to train: gradient flow on all images up to time {TIME:g} (Runge-Kutta, 8 seeds), and the paper's own
SGD, one image a step at rate 1/N, up to time {SGD_TIME:g} ({len(results["sgd"]["16"])} seeds). Distance to the limit
is the root mean square over the images of h_N(T) - h(T), both from the same start; the table shows root mean squares
over the seeds:

{tables(results)["Width"]}

![Distance to the limit by width, and the loss in time](figures/sirignano_2022_both.svg)

- **The rate is N^(-1/2).** The slope of log(distance) over log(N) is {mean:.3f} ± {error:.3f} for gradient flow and
  {sgd_mean:.3f} ± {sgd_error:.3f} for SGD (mean over seeds ± standard error; each seed gives one slope over all
  widths).
- **Single weights hardly move.** Their movement shrinks at the same rate ({moved:.3f} ± {moved_error:.3f}): at N =
  16,384 a weight of size 1 moves by {number(widest["movement"])} while the network learns the same as ever. Such a
  network keeps the features that it was started with ("lazy training").
- **The loss goes to 0, at the speed of A.** The eigenvalues of A/M lie between {number(fast[0])} and
  {number(fast[1])}, all above 0. The loss of seed 0 falls from {number(widest["losses"][0])} to
  {number(widest["losses"][-1])} at N = 16,384, where the equation says {number(widest["limit_losses"][-1])}; at N =
  16 it ends at {number(narrow["losses"][-1])}, where the equation from that start says
  {number(narrow["limit_losses"][-1])}. The slowest direction needs a time of about 1/{number(fast[0])}, so zero loss
  takes patience, however wide the network is: at time {LONG_TIME:g} a network of width {LONG_WIDTH:,} has
  {number(results["long"][0])} (equation {number(results["long"][1])}).
- **The start is the Gaussian one in size.** The variance of the outputs over many networks is
  {number(spread["16"][0])} (N = 16) and {number(spread["256"][0])} (N = 256) times that of the limit.

## What it is good for, and where it ends

The paper explains why wide networks with Xavier's scaling train so reliably: near the start they are linear in their
weights. The other side of it is that nothing new is learnt inside. With 1/N in place of 1/√N at the output (mean
field) the weights move by a size that does not shrink, which is what muP builds on. The limit is for one hidden layer
with N → ∞ while depth and data stay fixed; at the widths of practice the distance above is what is left over.

## What to do today

At the start the scaling is nothing extra: a readout of variance 1/N gives the same outputs, and any rule that divides
by the fan gives that. (To train alike, the readout would need a rate N times smaller than the hidden weights: where
the factor 1/√N stands matters for learning, not for the start.)

```python
import numpy as np

import wellbegun as wb

width = 4096
hidden, readout = np.empty((width, 64)), np.empty((1, width))
wb.fill(hidden, wb.Normal(std=1.0), seed=7, name="hidden")
wb.fill(readout, wb.LecunUniform(), seed=7, name="readout", fans=wb.Fans(fan_in=width, fan_out=1))
assert abs(readout.var() * width - 1) < 0.1  # U(±sqrt(3/N)): C_i / √N of the paper
```

- A wide network that is started at the right scale needs no luck: use `auto`, and spend the effort on the learning
  rate.
- If a network trains but its hidden layers hardly change, it is in this limit: a narrower network, a larger learning
  rate or another scaling of the output (muP) makes it learn features.
"""


def figures(results: Results) -> dict[str, Figure]:
    """Return the page's figure: distance by width, and the loss in time."""
    figure = Figure(figsize=(10, 4))
    left, right = figure.subplots(1, 2)
    marks = (("gradient flow", "blue", "o"), ("SGD", "red", "s"), ("movement", "green", "^"))
    for name, colour, marker in marks:
        each = series(results)[name]
        x = np.array([float(n) for n in each])
        y = np.array([rms(np.array(values)) for values in each.values()])
        label = "movement of a weight" if name == "movement" else f"distance to the limit, {name}"
        left.loglog(x, y, marker, color=COLOURS[colour], label=label, ms=6)
        for n, values in each.items():
            left.loglog([float(n)] * len(values), values, ".", color=COLOURS[colour], ms=2.5, alpha=0.5)
        middle = math.exp(float(np.mean(np.log(y) + np.log(x) / 2)))
        left.loglog(x, middle * x**-0.5, color=COLOURS[colour], lw=1.2)
    left.set(xlabel="width N")
    left.set_title("All shrink like N^(-1/2) (lines)", size=11, loc="left")
    left.legend(frameon=False, fontsize=9, loc="lower left")
    for n, colour in (("16", "red"), ("256", "pink"), ("16384", "blue")):
        one = results["flow"][n][0]
        times = STEP * np.arange(len(one["losses"]))
        right.semilogy(times, one["losses"], color=COLOURS[colour], lw=1.8, label=f"network, N = {int(n):,}")
        right.semilogy(times, one["limit_losses"], color=COLOURS[colour], ls=":", lw=1.6)
    right.plot([], [], color="grey", ls=":", label="the equation, same start")
    right.set(xlabel="time (N SGD steps each)", xlim=(0, TIME))
    right.set_title("Mean squared error on the digits", size=11, loc="left")
    right.legend(frameon=False, fontsize=9)
    figure.tight_layout()
    return {"both": figure}


PAPER = Paper(name="sirignano_2022", measure=measure, tables=tables, page=page, figures=figures)

if __name__ == "__main__":
    PAPER.main()
