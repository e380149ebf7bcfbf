"""The figure of one law: its density and draws, or its matrix and singular values, or its values in order."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from card_figures.drawing import FAINT, MAIN, OTHER, Axis, Matrix, Panel, around, picture
from wellbegun.laws import (
    ChronoBias,
    Constant,
    Fans,
    Initializer,
    Law,
    Mamba2Decay,
    Method,
    Normal,
    PriorBias,
    TimeStepBias,
    TruncatedNormal,
    Uniform,
)
from wellbegun.targets import fill

FANS = Fans(64, 64)
DRAWS, BINS = (64, 256), 36
SIDE = 24
"""Rows and columns of a matrix that is shown."""

VALUES = (ChronoBias, Mamba2Decay, PriorBias, TimeStepBias)
"""Laws of single vectors, which could fill a matrix too."""


def law_figure(method: Method) -> str:
    """Return the figure of an initializer."""
    given = method.make()
    law = given.law(FANS) if given.needs_fans else given.law(None)
    title = f"{method.name}: {given!r}"
    if isinstance(law, Constant):
        return _values(title, law, (12,), "every value is the same")
    if isinstance(law, Normal | Uniform | TruncatedNormal):
        return _density(title, given, law)
    shape = (4 * SIDE,) if issubclass(method.kind, VALUES) else _shape(law)
    if len(shape) == 1:
        return _values(title, law, shape, "the values of one draw, from the smallest")
    return _matrix(method.name, law, shape)


def _density(title: str, given: Initializer, law: Normal | Uniform | TruncatedNormal) -> str:
    drawn = _drawn(law, DRAWS, FANS).ravel()
    mean, std = law.moments(DRAWS)
    low, high = (mean - 4 * std, mean + 4 * std) if isinstance(law, Normal) else (mean - 2.4 * std, mean + 2.4 * std)
    heights, edges = np.histogram(drawn, BINS, (low, high), density=True)
    x = np.linspace(low, high, 161)
    y = density(law, x)
    fans = f", fan_in = fan_out = {FANS.fan_in:g}" if given.needs_fans else ""
    panel = Panel(
        Axis(low, high, f"value of {law!r}{fans}"), Axis(0, 1.15 * float(y.max()), "density"), title, 420, 160
    )
    panel.bars(list(edges), list(heights), f"{drawn.size:,} draws")
    panel.line(zip(x, y, strict=True), MAIN, "density of the law")
    for sign, text in ((-1, ""), (1, f"std {std:.4g}")):
        panel.upright(mean + sign * std, text)
    return picture([panel], f"Draws of {law!r} against its density")


def density(law: Normal | Uniform | TruncatedNormal, x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the density of a law."""
    if isinstance(law, Uniform):
        return np.where((x >= law.low) & (x <= law.high), 1 / (law.high - law.low), 0.0)
    bell = np.exp(-(((x - law.mean) / law.std) ** 2) / 2) / (law.std * math.sqrt(2 * math.pi))
    if isinstance(law, Normal):
        return bell
    low, high = law.mean + law.low * law.std, law.mean + law.high * law.std
    inside = (math.erf(law.high / math.sqrt(2)) - math.erf(law.low / math.sqrt(2))) / 2
    return np.where((x >= low) & (x <= high), bell / inside, 0.0)


def _matrix(name: str, law: Law, shape: tuple[int, ...]) -> str:
    block = _drawn(law, shape, Fans(float(shape[1] * math.prod(shape[2:])), float(shape[0])))
    middle = tuple(size // 2 for size in shape[2:])
    matrix = block[(slice(None), slice(None), *middle)]
    where = f", the middle tap of {' x '.join(map(str, shape[2:]))}" if middle else ""
    found = np.linalg.svd(matrix, compute_uv=False)
    std = float(np.sqrt((matrix**2).mean())) or 1.0
    usual = np.linalg.svd(_drawn(Normal(std), matrix.shape, None), compute_uv=False)
    places = range(1, len(found) + 1)
    top = 1.1 * float(max(found.max(), usual.max()))
    panel = Panel(
        Axis(0, len(found) + 1, "number, from the largest"), Axis(0, top, "singular value"), "singular values"
    )
    panel.dots(zip(places, usual, strict=True), OTHER, "independent normal numbers of this size")
    panel.dots(zip(places, found, strict=True), MAIN, name)
    shown = Matrix(matrix, name, f"{shape[0]} outputs, {shape[1]} inputs{where}")
    return picture([shown, panel], f"A matrix drawn from {law!r} and its singular values")


def _values(title: str, law: Law, shape: tuple[int, ...], caption: str) -> str:
    values = np.sort(_drawn(law, shape, FANS).ravel())
    low, high = around([*values, 0.0])
    panel = Panel(Axis(0, values.size + 1, caption), Axis(low, high, "value"), title, 420, 160)
    panel.line([(0, 0.0), (values.size + 1, 0.0)], FAINT)
    panel.dots(zip(range(1, values.size + 1), values, strict=True), MAIN, f"{values.size} values")
    return picture([panel], f"Values of {law!r}")


def _shape(law: Law) -> tuple[int, ...]:
    """The simplest shape that a law can fill."""
    for shape in ((SIDE, SIDE), (SIDE, SIDE, 3, 3), (4 * SIDE,)):
        try:
            law.check_shape(shape)
            _drawn(law, shape, FANS)
        except ValueError:
            continue
        return shape
    raise AssertionError(f"{law!r} fills none of the shapes that are shown")


def _drawn(law: Law, shape: tuple[int, ...], fans: Fans | None) -> NDArray[np.float64]:
    out = np.empty(shape, np.float32)
    fill(out, law, seed=7, name="weight", fans=fans if law.needs_fans else None)
    return out.astype(np.float64)
