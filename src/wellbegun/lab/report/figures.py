"""The figures of a comparison, as SVG text that can stand inside a page."""

from __future__ import annotations

import html
import io
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from wellbegun.errors import MissingExtraError
from wellbegun.lab.outcome.result import Arm, NetworkResult
from wellbegun.lab.report.score_axis import ScoreAxis

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Okabe and Ito's palette without yellow (too pale) and black (the winner's), Paul Tol's wine and olive, grey
COLOURS = (
    *("#0072B2", "#D55E00", "#009E73", "#C7619A", "#E69F00"),
    *("#3FA7DE", "#882255", "#857A1E", "#7A7A7A"),
)
DASHES = ("-", (0, (5, 1.6)), (0, (1.2, 1.4)), (0, (6, 1.6, 1.2, 1.6)))
# beyond these, a mean square is as good as zero or as infinite to a network in float32
FLOOR, CEILING = 1e-20, 1e10
WIDTH, TOP, BOTTOM, INK, GREY = 430.0, 28.0, 38.0, "#1d2733", "#5b6673"


def network_figures(network: NetworkResult, chance: float | None = None, key: str = "n") -> dict[str, str]:
    """Draw one network's test scores, learning curves, learning rates, signals and gradients as inline SVG.

    Args:
        network: the result to draw.
        chance: score of guessing, drawn as a line; None for no line.
        key: unique to the network within a page, so that ids differ; same key and result give the same text.

    Returns:
        the drawings "score", "curves", "rates", "signal" and "gradient".

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    names = 22 + 6.6 * max((len(_short(arm.method)) for arm in network.arms), default=0)

    def draw(what: str, title: str, left: float, right: float, painter: Callable[[Axes], None]) -> str:
        return _svg(painter, f"{title}, {network.name}", f"{key}-{what}", len(network.arms), left, right)

    def profiles(what: str, title: str, words: str) -> str:
        return draw(what, title, 52, names + 20, lambda axes: _draw_profiles(axes, network, what, words))

    def scores(axes: Axes) -> None:
        _draw_scores(axes, network, chance)

    return {
        "score": draw("score", network.scale.words.capitalize(), names - 8, 52, scores),
        "rates": draw("rates", "Learning rates", 44, names + 20, lambda axes: _draw_rates(axes, network, chance)),
        "curves": draw("curves", "Learning curves", 44, names + 20, lambda axes: _draw_curves(axes, network, chance)),
        "signal": profiles("signal", "Signal in each layer", "mean square before the activation, log scale"),
        "gradient": profiles("gradient", "Gradient in each layer", "mean square of the gradient, log scale"),
    }


def power(exponent: int) -> str:
    """Return a power of ten as people write it: 10⁻³ for -3."""
    return "10" + str(exponent).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))


def log_or_edge(value: float) -> float:
    """Return log10 of a value; -inf below the floor, inf above the ceiling or for what is not a number."""
    return math.inf if not value <= CEILING else -math.inf if value < FLOOR else math.log10(value)


def mean_curve(arm: Arm) -> list[tuple[int, float, float, float]]:
    """Return step and mean, lowest and highest validation score over the seeds at the chosen rate."""
    tables = [dict(zip(run.steps, run.validation, strict=True)) for run in arm.chosen_runs()]
    points, last = [], dict[int, float]()
    for step in sorted({step for table in tables for step in table}):
        last |= {run: table[step] for run, table in enumerate(tables) if math.isfinite(table.get(step, math.nan))}
        if last:
            points.append((step, sum(last.values()) / len(last), min(last.values()), max(last.values())))
    return points


def spread(wanted: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Return places near the wanted ones, at least a gap apart and, if they fit, from low to high."""
    order = sorted(range(len(wanted)), key=lambda index: wanted[index])
    blocks: list[tuple[float, int]] = []  # isotonic regression of wanted - rank * gap: pool adjacent violators
    for rank, index in enumerate(order):
        blocks.append((wanted[index] - rank * gap, 1))
        while len(blocks) > 1 and blocks[-2][0] >= blocks[-1][0]:
            (second, more), (first, count) = blocks.pop(), blocks.pop()
            blocks.append(((first * count + second * more) / (count + more), count + more))
    levels = [level for level, count in blocks for _ in range(count)]
    top = max(low, high - gap * (len(wanted) - 1))
    places = {index: min(max(levels[rank], low), top) + rank * gap for rank, index in enumerate(order)}
    return [places[index] for index in range(len(wanted))]


def _svg(draw: Callable[[Axes], None], label: str, key: str, arms: int, left: float, right: float) -> str:
    try:
        import matplotlib
        from matplotlib.figure import Figure
    except ImportError:
        raise MissingExtraError("matplotlib", "report", "drawing the page") from None
    height = max(350.0, TOP + BOTTOM + 16 * arms)
    buffer = io.StringIO()
    with matplotlib.rc_context():  # a user's own style must not change the page, nor the page the user's style
        matplotlib.rcdefaults()
        matplotlib.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": key, "font.size": 12, "text.color": INK})
        figure = Figure(figsize=(WIDTH / 72, height / 72), dpi=72)
        inner = ((WIDTH - left - right) / WIDTH, (height - TOP - BOTTOM) / height)
        axes = figure.add_axes((left / WIDTH, BOTTOM / height, *inner))
        axes.spines[["top", "right", "left"]].set_visible(False)
        axes.spines["bottom"].set_color("#b8c0c8")
        axes.tick_params(length=0, labelsize=11, labelcolor=GREY)
        axes.grid(color="#e6eaee", linewidth=0.8)
        axes.set_axisbelow(True)
        draw(axes)
        for patch in (figure.patch, axes.patch):
            patch.set_visible(False)
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    return _inline(buffer.getvalue(), label)


def _inline(svg: str, label: str) -> str:
    """Keep what a page needs of a stand-alone SVG file: no prolog, metadata, global style or unused ids."""
    body = re.sub(r"<metadata>.*?</metadata>|<style .*?</style>|<!--.*?-->", "", svg[svg.index("<svg") :], flags=re.S)
    used = set(re.findall(r'(?:href="|url\()#([^")]+)', body))
    body = re.sub(r' id="([^"]+)"', lambda found: found[0] if found[1] in used else "", body)
    box = " ".join(svg.split('viewBox="', 1)[1].split('"', 1)[0].split())
    words = html.escape(label)
    start = f'<svg viewBox="{box}" role="img" aria-label="{words}"><title>{words}</title>'
    return start + body[body.index(">") + 1 :].replace("xlink:href", "href").strip()


def _short(name: str) -> str:
    return name if len(name) <= 20 else name[:19] + "…"


def _draw_scores(axes: Axes, network: NetworkResult, chance: float | None) -> None:
    arms, scale = network.ranked(), network.scale
    bounds = [bound for arm in arms for bound in (arm.score.mean, arm.score.low, arm.score.high)]
    axis = ScoreAxis.over(scale, [*bounds, *([] if chance is None else [chance])])
    axes.set_xlim(*((axis.low, axis.high) if scale.higher_is_better else (axis.high, axis.low)))
    axes.set_ylim(len(arms) - 0.4, -0.6)
    axes.set_yticks([])
    axes.set_xticks(axis.ticks, axis.labels)
    above, beside = axes.get_xaxis_transform(), axes.get_yaxis_transform()
    for row, (value, words) in enumerate(((chance, "guessing"), (network.width_one, "one unit a layer"))):
        if value is not None and math.isfinite(value):
            axes.axvline(value, color=GREY, linewidth=1, linestyle=(0, (2, 2)), zorder=1.5)
            y = 1 + (4 + 11 * row) / axes.bbox.height
            axes.text(value, y, words, ha="center", size=10.5, color=GREY, transform=above)
    for place, arm in enumerate(arms):
        colour, _, weight = _look(network, arm)
        axes.text(-12 / axes.bbox.width, place, _short(arm.method), **weight, **_RIGHT, transform=beside)
        mean, low, high = (axis.inside(bound) for bound in (arm.score.mean, arm.score.low, arm.score.high))
        text = scale.text(arm.score.mean)
        axes.text(1 + 50 / axes.bbox.width, place, text.partition(" ")[0], **weight, **_RIGHT, transform=beside)
        if text != "none":
            axes.plot([low, high], [place, place], color=colour, linewidth=8, alpha=0.35, solid_capstyle="butt")
            axes.plot([mean], [place], "o", color=colour, markersize=4.5, clip_on=False)


def _score_heights(axes: Axes, network: NetworkResult, values: Iterable[float], chance: float | None) -> ScoreAxis:
    """Make the upright axis one of validation scores, better ones higher up, with a line for guessing."""
    scale = network.scale
    axis = ScoreAxis.over(scale, [*values, *([] if chance is None else [chance])])
    margin = 0.02 * (axis.high - axis.low)
    ends = axis.low - margin, axis.high + margin
    axes.set_ylim(*(ends if scale.higher_is_better else reversed(ends)))
    axes.set_yticks(axis.ticks, axis.labels)
    words = "right answers on validation images" if scale.is_share else f"validation {scale.measure}"
    _top_words(axes, words)
    if chance is not None:
        axes.axhline(chance, color=GREY, linewidth=1, linestyle=(0, (2, 2)), zorder=1.5)
        axes.annotate(
            "guessing",
            (0, chance),
            (4, -11),
            axes.get_yaxis_transform(),
            textcoords="offset points",
            size=10.5,
            color=GREY,
        )
    return axis


def _draw_curves(axes: Axes, network: NetworkResult, chance: float | None) -> None:
    curves = {arm.method: points for arm in network.arms if (points := mean_curve(arm))}
    axes.set_xlim(0, max((points[-1][0] for points in curves.values()), default=1) or 1)
    axis = _score_heights(axes, network, (point[1] for points in curves.values() for point in points), chance)
    axes.set_xlabel("training step", color=GREY, size=11)
    for arm in network.arms:
        if arm.method in curves:
            steps, *heights = zip(*curves[arm.method], strict=True)
            means, lows, highs = ([axis.inside(value) for value in values] for values in heights)
            _line(axes, network, arm, steps, means)
            axes.fill_between(steps, lows, highs, color=_look(network, arm)[0], alpha=0.13, linewidth=0)
            if all(run.stopped for run in arm.chosen_runs()):
                colour = _look(network, arm)[0]
                axes.plot(steps[-1:], means[-1:], "x", color=colour, markersize=8, markeredgewidth=2, clip_on=False)
    ends = {method: (points[-1][0], axis.inside(points[-1][1])) for method, points in curves.items()}
    _label_lines(axes, network, ends)


def _draw_rates(axes: Axes, network: NetworkResult, chance: float | None) -> None:
    """The mean validation score that each method reached with each learning rate; its chosen one is a dot."""
    lines = {arm.method: _by_rate(arm) for arm in network.arms if arm.runs}
    axis = _score_heights(axes, network, (value for line in lines.values() for value in line.values()), chance)
    tried = sorted({rate for line in lines.values() for rate in line})
    places = {rate: math.log10(rate) for rate in tried}
    low, high = (min(places.values()), max(places.values())) if places else (0.0, 1.0)
    axes.set_xlim(low, high if high > low else low + 1)
    axes.set_xticks([places[rate] for rate in tried], [f"{rate:g}" for rate in tried])
    axes.set_xlabel("learning rate, log scale", color=GREY, size=11)
    ends = {}
    for arm in network.arms:
        if arm.method in lines:
            line = lines[arm.method]
            heights = [axis.inside(value) for value in line.values()]
            _line(axes, network, arm, [places[rate] for rate in line], heights)
            chosen = places[arm.learning_rate], axis.inside(line[arm.learning_rate])
            axes.plot(*([value] for value in chosen), "o", color=_look(network, arm)[0], markersize=6, clip_on=False)
            ends[arm.method] = places[max(line)], heights[-1]
    _label_lines(axes, network, ends)


def _by_rate(arm: Arm) -> dict[float, float]:
    """Mean validation score at the end, by learning rate; nan where a run has none."""
    last = {rate: [run.validation[-1] for run in arm.runs if run.learning_rate == rate] for rate in arm.rates}
    return {rate: sum(values) / len(values) for rate, values in last.items()}


def _draw_profiles(axes: Axes, network: NetworkResult, what: str, words: str) -> None:
    lines = {arm.method: [log_or_edge(getattr(facts, what)) for facts in arm.layers] for arm in network.arms}
    lines = {method: values for method, values in lines.items() if values}
    inside = [value for values in lines.values() for value in values if math.isfinite(value)] or [0.0]
    low, high = math.floor(min(inside)), math.ceil(max(inside))
    low, high = (low - 1, high + 1) if high - low < 2 else (low, high)
    every = next(step for step in (1, 2, 3, 5, 10, 20) if (high - low) / step <= 6)
    ticks = {float(tick): power(tick) for tick in range(low, high + 1) if tick % every == 0}
    edge = 0.1 * (high - low)
    bottom, top = low - edge, high + edge
    found = {value for values in lines.values() for value in values}
    for value, place, text in ((-math.inf, bottom, "< " + power(-20)), (math.inf, top, "> " + power(10))):
        if value in found:
            ticks[place] = text
            axes.axhline(place, color="#c9d0d7", linewidth=5, zorder=1.2)
    axes.set_yticks(list(ticks), list(ticks.values()))
    axes.set_ylim(bottom - edge / 3 if -math.inf in found else low, top + edge / 3 if math.inf in found else high)
    last = max((len(values) for values in lines.values()), default=1)
    stride = next((step for step in (1, 2, 5, 10, 20, 50) if last / step <= 6), 100)
    axes.set_xticks([1, *range(max(stride, 2), last + 1, stride)])
    # gradients travel back: drawn in that direction, the lines end at the first layer, where they differ
    back = what == "gradient"
    axes.set_xlim(*((max(last, 2), 1) if back else (1, max(last, 2))))
    way = "from the last back to the first" if back else "from the first to the last"
    axes.set_xlabel(f"layer, {way}", color=GREY, size=11)
    _top_words(axes, words)
    ends = {}
    for arm in network.arms:
        if arm.method in lines:
            values = [min(max(value, bottom), top) for value in lines[arm.method]]
            _line(axes, network, arm, range(1, len(values) + 1), values)
            ends[arm.method] = (1.0, values[0]) if back else (float(len(values)), values[-1])
    _label_lines(axes, network, ends)


_RIGHT: Any = {"ha": "right", "va": "center", "size": 11.5, "parse_math": False}


def _look(network: NetworkResult, arm: Arm) -> tuple[str, Any, dict[str, Any]]:
    """Colour, dashes and weight of a method: the winner stands out, the others go by their place."""
    if arm.method == network.winner:
        return "#000000", DASHES[0], {"weight": "bold"}
    index = network.arms.index(arm)
    return COLOURS[index % len(COLOURS)], DASHES[index % len(DASHES)], {"weight": "normal"}


def _line(axes: Axes, network: NetworkResult, arm: Arm, x: Sequence[float], y: Sequence[float]) -> None:
    colour, dashes, _ = _look(network, arm)
    width = 3.2 if arm.method == network.winner else 1.8
    # dashed lines on top of solid ones, so that lines at the same place can all be seen
    order = 2 + DASHES.index(dashes) / 10
    marker = "o" if len(x) < 3 else ""
    axes.plot(x, y, color=colour, linestyle=dashes, linewidth=width, zorder=order, marker=marker, clip_on=False)


def _label_lines(axes: Axes, network: NetworkResult, ends: Mapping[str, tuple[float, float]]) -> None:
    """Write each method's name to the right of its line, moved apart where lines end together."""
    arms = [arm for arm in network.arms if arm.method in ends]
    (left, right), (low, high) = axes.get_xlim(), axes.get_ylim()
    wide, tall = axes.bbox.width, axes.bbox.height
    heights = [(ends[arm.method][1] - low) / (high - low) for arm in arms]  # of the axes: 0 is the bottom
    for arm, height, place in zip(arms, heights, spread(heights, 15 / tall, 0.0, 1.0), strict=True):
        colour, dashes, weight = _look(network, arm)
        start = (ends[arm.method][0] - left) / (right - left)
        fixed: Any = {"color": colour, "transform": axes.transAxes, "clip_on": False}
        axes.plot([start, 1, 1 + 12 / wide], [height, height, place], linewidth=0.7, **fixed)
        axes.plot([1 + 12 / wide, 1 + 32 / wide], [place, place], linestyle=dashes, linewidth=2.2, **fixed)
        axes.text(
            1 + 36 / wide,
            place,
            _short(arm.method),
            **weight,
            **_RIGHT | {"ha": "left"},
            transform=axes.transAxes,
        )


def _top_words(axes: Axes, words: str) -> None:
    y = 1 + 10 / axes.bbox.height
    axes.text(-36 / axes.bbox.width, y, words, size=11, color=GREY, transform=axes.transAxes)
