"""Our normals, truncated normals and uniforms against their exact laws, on at least 2^30 draws of each.

Run: python benchmarks/normals.py [--draws 2**30] [--seed 2026]. It prints one line of a table for each statistic: what
was measured, what the law says, and the p-value, two-sided unless it is that of a chi-square, Kolmogorov-Smirnov or
Anderson-Darling statistic (then the chance of one at least as large). About two minutes a law on one core.

Moments (of the draws less their exact mean, over their exact standard deviation), counts in tails, correlations and
pairs use every draw; Kolmogorov-Smirnov and Anderson-Darling 10^7 of them. Pairs for the chi-square of independence are
disjoint: elements i and i + L for every i with i // L even, so for L = 64 the two members of a Box-Muller pair. Exact
probabilities are those of the law with real numbers; what float32 rounds is too small to be seen with so many draws.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import mpmath
import numba
import numpy as np
import scipy.integrate
import scipy.special
import scipy.stats

import wellbegun.sampler as sampler
from wellbegun.sampler import Draw, Stream, Window, write
from wellbegun.sampler.layout import LANES, TILE

CHUNK = 3 << 20
AHEAD = 1024
LAGS = np.array([*range(1, TILE + 1), 1024])
PAIR_LAGS = (1, 2, 64, 128, 192, 256, 1024)
BINS, CELLS = 1024, 64
POWERS = (1, 2, 3, 4, 6, 8)
SUBSAMPLE = 10**7
TENSORS = 512


@dataclass(frozen=True)
class Law:
    """A law to test: what is drawn, in which precision, and where its density lives."""

    name: str
    draw: Draw
    dtype: type
    low: float
    high: float
    normal: bool

    def moments(self) -> tuple[float, float, list[float]]:
        """Mean, standard deviation and moments 0 to 16 of (z - mean) / deviation: integrals with 30 digits."""
        with mpmath.workdps(30):
            density = mpmath.npdf if self.normal else lambda _: mpmath.mpf(1)
            low, high = max(self.low, -40.0), min(self.high, 40.0)
            ends = [low, *(x for x in range(-40, 41) if low < x < high), high]

            def mean_of(f: Callable[[Any], Any]) -> Any:
                return mpmath.quad(lambda x: f(x) * density(x), ends) / mpmath.quad(density, ends)

            mean = mean_of(lambda x: x)
            deviation = mpmath.sqrt(mean_of(lambda x: (x - mean) ** 2))
            standard = [float(mpmath.chop(mean_of(lambda x, k=k: ((x - mean) / deviation) ** k))) for k in range(17)]
            return float(mpmath.chop(mean)), float(deviation), standard

    def cdf(self, z: Any) -> Any:
        """P(Z <= z) of sorted draws, and P(Z > z), each precise where it is small."""
        if not self.normal:
            return (z + 1) / 2, (1 - z) / 2
        ends = scipy.special.ndtr(np.array([self.low, self.high, -self.low, -self.high]))
        if self.low > 0:
            below, above = ends[2] - scipy.special.ndtr(-z), scipy.special.ndtr(-z) - ends[3]
        else:
            below, above = scipy.special.ndtr(z) - ends[0], scipy.special.ndtr(-z) - ends[3]
        mass = ends[2] - ends[3]
        return below / mass, above / mass


def laws() -> list[Law]:
    inf, normal = math.inf, Draw.normal(0.0, 1.0)
    two, far = (Draw.truncated(0.0, 1.0, Window.of(*ends)) for ends in ((-2, 2), (3, 4)))
    return [
        Law("normal, float32", normal, np.float32, -inf, inf, True),
        Law("normal, float64", normal, np.float64, -inf, inf, True),
        Law("truncated ±2, float32", two, np.float32, -2.0, 2.0, True),
        Law("truncated 3 to 4, float64", far, np.float64, 3.0, 4.0, True),
        Law("uniform, float32", Draw.uniform(-1.0, 1.0), np.float32, -1.0, 1.0, False),
    ]


@numba.njit(nogil=True, fastmath=True)
def _sums(z: Any, powers: Any, crossed: Any) -> None:
    """Add the sums of z^1 to z^8, and of x^a · y^b over Box-Muller pairs (x, y) for a, b = 1 to 4."""
    for i in range(z.size):
        p = z[i]
        for k in range(8):
            powers[k] += p
            p *= z[i]
    for first in range(0, z.size, 2 * LANES):
        for lane in range(LANES):
            x, y = z[first + lane], z[first + LANES + lane]
            xs, ys = (x, x * x, x * x * x, x * x * x * x), (y, y * y, y * y * y, y * y * y * y)
            for a in range(4):
                for b in range(4):
                    crossed[a, b] += xs[a] * ys[b]


@numba.njit(nogil=True, fastmath=True)
def _lagged(z: Any, count: int, lags: Any, out: Any) -> None:
    """Add the sums of z[i] · z[i + lag], block by block so that a block stays in the first cache."""
    for first in range(0, count, 2048):
        for k in range(lags.size):
            early, late, total = z[first : first + 2048], z[first + lags[k] : first + lags[k] + 2048], 0.0
            for i in range(2048):
                total += early[i] * late[i]
            out[k] += total


@numba.njit(nogil=True)
def _cells(z: Any, low: float, mass: float, normal: bool, sign: float, out: Any) -> None:
    """Which of BINS equally probable bins each draw falls in."""
    for i in range(z.size):
        u = (0.5 * math.erfc(-sign * z[i] * math.sqrt(0.5)) - low) / mass if normal else (z[i] + 1) / 2
        out[i] = min(max(int(u * BINS), 0), BINS - 1)


@numba.njit(nogil=True)
def _count(cells: Any, count: int, bins: Any, lags: Any, grids: Any) -> None:
    """Count bins, and pairs of coarser cells at disjoint places i, i + lag."""
    for i in range(count):
        bins[cells[i]] += 1
    for k in range(lags.size):
        lag = lags[k]
        for first in range(0, count, 2 * lag):
            for i in range(first, first + lag):
                grids[k, cells[i] // (BINS // CELLS), cells[i + lag] // (BINS // CELLS)] += 1


@numba.njit(nogil=True)
def _beyond(z: Any, bounds: Any, counts: Any) -> None:
    for i in range(z.size):
        for k in range(bounds.size):
            counts[k] += abs(z[i]) > bounds[k]


Row = tuple[str, str, str, float]


def examine(law: Law, seed: int, draws: int) -> Iterator[Row]:
    """Draw once through a tensor that bears the name of the law, and yield the statistics."""
    stream, chunks = Stream.of(seed, law.name), -(-draws // CHUNK)
    n = chunks * CHUNK
    powers, crossed = np.zeros((chunks, 8)), np.zeros((chunks, 4, 4))
    lagged, lagged_squares = np.zeros((chunks, LAGS.size)), np.zeros((chunks, LAGS.size))
    bins, grids = np.zeros(BINS, np.int64), np.zeros((len(PAIR_LAGS), CELLS, CELLS), np.int64)
    bounds, beyond = np.array([3.0, 4.0, 5.0, 6.0]), np.zeros(4, np.int64)
    mean, deviation, exact = law.moments()
    # in a right tail the upper probabilities are the small ones, so bins are numbered from the right there
    sign = -1.0 if law.low > 0 else 1.0
    ends = sorted(0.5 * math.erfc(-sign * x * math.sqrt(0.5)) for x in (law.low, law.high))
    memory, cells = np.empty(CHUNK + AHEAD, law.dtype), np.empty(CHUNK + AHEAD, np.int16)
    for c in range(chunks):
        write(memory, law.draw, stream, c * CHUNK)
        z = memory.astype(np.float64)
        _cells(z, ends[0], ends[1] - ends[0], law.normal, sign, cells)
        _count(cells, CHUNK, bins, np.array(PAIR_LAGS), grids)
        _beyond(z[:CHUNK], bounds, beyond)
        z = (z - mean) / deviation
        _sums(z[:CHUNK], powers[c], crossed[c])
        _lagged(z, CHUNK, LAGS, lagged[c])
        _lagged((z * z - 1) / math.sqrt(exact[4] - 1), CHUNK, LAGS, lagged_squares[c])

    total = [math.fsum(column) for column in powers.T]
    for k in POWERS:
        yield score(f"moment {k}", total[k - 1] / n, exact[k], exact[2 * k] - exact[k] ** 2, n)
    if math.isinf(law.high):
        for bound, count in zip(bounds, beyond, strict=True):
            p = 2 * scipy.special.ndtr(-bound)
            if n * p < 1:
                continue
            yield f"beyond {bound:g} sigma", f"{count}", f"{n * p:.1f}", binomial(int(count), n, p)
    for a in range(1, 5):
        for b in range(1, 5):
            want = exact[a] * exact[b]
            variance = exact[2 * a] * exact[2 * b] - want**2
            yield score(f"pair x^{a} y^{b}", math.fsum(crossed[:, a - 1, b - 1]) / (n / 2), want, variance, n / 2)
    yield chi_square(f"{BINS} bins", bins, n / BINS)
    for lag, grid in zip(PAIR_LAGS, grids, strict=True):
        yield chi_square(f"i and i + {lag}, {CELLS}x{CELLS} cells", grid, n / 2 / CELLS**2)
    for name, sums in (("correlation", lagged), ("correlation of squares", lagged_squares)):
        r = np.array([math.fsum(column) for column in sums.T]) / math.sqrt(n)
        yield from correlations(name, r)
    yield from distances(law, stream)


def score(name: str, got: float, want: float, variance: float, n: float) -> Row:
    """A mean of n independent numbers of known mean and variance."""
    error = math.sqrt(variance / n)
    z = (got - want) / error
    return name, f"{got:.9g} ({z:+.2f} s.e.)", f"{want:.9g} ± {error:.2g}", 2 * float(scipy.special.ndtr(-abs(z)))


def binomial(count: int, n: int, p: float) -> float:
    """Two-sided, with half of the chance of the count itself on either side (mid-p): far out few counts occur."""
    below = float(scipy.stats.binom.cdf(count, n, p) - scipy.stats.binom.pmf(count, n, p) / 2)
    return 2 * min(below, 1 - below)


def chi_square(name: str, counts: Any, expected: float) -> Row:
    value, free = float(((counts - expected) ** 2).sum() / expected), counts.size - 1
    return (
        name,
        f"chi-square {value:.1f}",
        f"{free} ± {math.sqrt(2 * free):.0f}",
        float(scipy.stats.chi2.sf(value, free)),
    )


def correlations(name: str, r: Any) -> Iterator[Row]:
    """Correlations times sqrt(n), at LAGS: each a standard normal number, uncorrelated with one another."""
    total = float((r**2).sum())
    yield (
        f"{name}, lags 1 to 256 and 1024",
        f"chi-square {total:.1f}",
        f"{r.size}",
        float(scipy.stats.chi2.sf(total, r.size)),
    )
    worst = int(np.abs(r).argmax())
    single = 2 * float(scipy.special.ndtr(-abs(r[worst])))
    yield (
        f"{name}, largest (lag {LAGS[worst]})",
        f"{r[worst]:+.2f} s.e.",
        "0",
        -math.expm1(r.size * math.log1p(-single)),
    )
    for lag in (1, 64, 128, 192, 256, 1024):
        z = float(r[list(LAGS).index(lag)])
        yield f"{name}, lag {lag}", f"{z:+.2f} s.e.", "0", 2 * float(scipy.special.ndtr(-abs(z)))


def distances(law: Law, stream: Stream) -> Iterator[Row]:
    """Kolmogorov-Smirnov and Anderson-Darling on four subsamples, which begin at element 0, 2^40, 2^41 and 3·2^40."""
    for part in range(4):
        out = np.empty(SUBSAMPLE, law.dtype)
        write(out, law.draw, stream, part << 40)
        below, above = law.cdf(np.sort(out).astype(np.float64))
        n, rank = SUBSAMPLE, np.arange(1, SUBSAMPLE + 1)
        d = float(max((rank / n - below).max(), (below - (rank - 1) / n).max()))
        yield f"Kolmogorov-Smirnov, part {part}", f"D = {d:.3g}", "", float(scipy.stats.kstwobign.sf(d * math.sqrt(n)))
        inside = (below > 0) & (above > 0)  # a float32 uniform can be -1 or 1 itself, with a chance of 2^-25
        logs = np.log(below[inside]), np.log(above[inside])
        a2 = float(-n - ((2 * rank[inside] - 1) * logs[0] + (2 * (n - rank[inside]) + 1) * logs[1]).sum() / n)
        yield f"Anderson-Darling, part {part}", f"A² = {a2:.3g}", "", 1 - anderson_darling(a2)


def anderson_darling(z: float) -> float:
    """P(A² <= z) in the limit of many draws (Anderson and Darling 1952)."""
    total = 0.0
    for j in range(20):
        c = (4 * j + 1) ** 2 * math.pi**2 / (8 * z)
        f: Callable[[float], float] = lambda w, c=c: math.exp(z / (8 * (w * w + 1)) - c * w * w)  # noqa: E731
        term = scipy.integrate.quad(f, 0, math.inf)[0] * math.exp(-c) * (4 * j + 1)
        total += scipy.special.binom(-0.5, j) * term
    return min(1.0, total * math.sqrt(2 * math.pi) / z)


def between_tensors(seed: int, draws: int) -> Iterator[Row]:
    """All correlations among the normals of 512 tensors, elements of the same index against one another."""
    n = -(-draws // TENSORS)
    streams = [Stream.of(seed, f"layers.{k}.weight") for k in range(TENSORS)]
    gram, step = np.zeros((TENSORS, TENSORS)), 1 << 15
    rows = np.empty((TENSORS, step))
    for first in range(0, n, step):
        for row, stream in zip(rows, streams, strict=True):
            write(row, Draw.normal(0.0, 1.0), stream, first)
        gram += rows @ rows.T
    n = -(-n // step) * step
    r = gram[np.triu_indices(TENSORS, 1)] / math.sqrt(n)
    total = float((r**2).sum())
    p = float(scipy.stats.chi2.sf(total, r.size))
    yield f"{r.size} correlations", f"chi-square {total:.0f}", f"{r.size} ± {math.sqrt(2 * r.size):.0f}", p
    worst = float(np.abs(r).max())
    single = 2 * float(scipy.special.ndtr(-worst))
    yield "the largest of them", f"{worst:.2f} s.e.", "", -math.expm1(r.size * math.log1p(-single))
    spread = (np.diag(gram) - n) / math.sqrt(2 * n)
    total = float((spread**2).sum())
    yield "variances", f"chi-square {total:.0f}", f"{TENSORS} ± 32", float(scipy.stats.chi2.sf(total, TENSORS))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", default="2**30", help="of each law, rounded up to a multiple of 3·2^20")
    parser.add_argument("--seed", type=int, default=2026)
    parser.add_argument("--law", action="append", help="only laws whose name contains this; may be repeated")
    arguments = parser.parse_args()
    sampler.set_num_threads(1)
    draws = 2 ** int(arguments.draws.removeprefix("2**"))
    seen: list[float] = []
    print("| law | statistic | measured | expected | p-value |\n|---|---|---|---|---|")

    def show(name: str, rows: Iterator[Row]) -> None:
        if arguments.law and not any(part in name for part in arguments.law):
            return
        for statistic, got, want, p in rows:
            seen.append(p)
            mark = "" if 1e-3 <= p <= 1 - 1e-3 else " (outside)"
            print(f"| {name} | {statistic} | {got} | {want} | {p:.4f}{mark} |", flush=True)

    for law in laws():
        show(law.name, examine(law, arguments.seed, draws))
    show("normals between tensors, float64", between_tensors(arguments.seed, draws))
    outside = sum(not 1e-3 <= p <= 1 - 1e-3 for p in seen)
    print(f"\n{len(seen)} p-values, {outside} outside [0.001, 0.999], {2e-3 * len(seen):.2f} expected")


if __name__ == "__main__":
    main()
