from __future__ import annotations

import math
import re
import sys
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pytest

from wellbegun.diagnosis.facts import Finding, LayerFacts
from wellbegun.errors import MissingExtraError, OutputError
from wellbegun.lab.outcome.result import Arm, Comparison, Interval, NetworkResult, Run
from wellbegun.lab.outcome.scale import Scale
from wellbegun.lab.report.figures import log_or_edge, mean_curve, power, spread
from wellbegun.lab.report.page import (
    duration,
    number,
    percent,
    plain,
    points,
    render_page,
    write_page,
)

# method: (final accuracy, growth of the signal and of the gradient per layer, signal at layer 1)
METHODS = {
    "zeros": (0.101, 1.0, 1.0, 0.0),
    "equal": (0.219, 0.9, 0.8, 0.3),
    "normal(std=1)": (0.134, 60.0, 55.0, 60.0),
    "uniform": (0.102, 0.05, 0.05, 0.05),
    "fan_in_uniform": (0.873, 0.45, 0.4, 0.3),
    "xavier": (0.941, 0.9, 0.93, 0.9),
    "he": (0.948, 1.05, 1.1, 1.8),
    "lecun": (0.939, 0.92, 0.9, 0.95),
    "orthogonal": (0.957, 0.98, 1.01, 1.0),
    "auto": (0.962, 1.0, 1.0, 1.0),
}
RATES = (0.003, 0.01, 0.03, 0.1)
LAYERS = 20
VOID = {"meta", "br", "link", "img", "input", "hr"}


def layers(growth: float, back: float, first: float, nan: bool) -> tuple[LayerFacts, ...]:
    found = []
    for layer in range(LAYERS):
        signal = first * growth**layer * (1 + 0.1 * math.sin(3 * layer + growth))
        gradient = 1e-4 * back ** (LAYERS - 1 - layer) if first else 0.0
        if nan and layer > 11:
            signal, gradient = (math.inf, math.nan) if layer < 16 else (math.nan, math.nan)
        fine = math.isfinite(signal)
        facts = (signal, 0.0, signal, gradient, gradient, 0.0, 0.1, 0.5, 0.0, fine)
        found.append(LayerFacts(f"layers.{layer}.weight", "tanh", *facts))
    return tuple(found)


def run(method: str, seed: int, rate: float, final: float, stopped: bool) -> Run:
    steps = tuple(range(0, 401, 20))[: 6 if stopped else None]
    quick = {0.003: 0.4, 0.01: 0.8, 0.03: 1.0, 0.1: 0.6}[rate]
    wobble = 0.01 * math.sin(7 * seed + len(method))
    curve = tuple(
        0.1 + (final - 0.1) * quick * (1 - math.exp(-step / (60 + 12 * len(method)))) + wobble for step in steps
    )
    reached = next((step for step, value in zip(steps, curve, strict=True) if value >= 0.8), None)
    why = "the loss is not finite" if stopped else ""
    return Run(seed, rate, steps, tuple(2.3 * (1 - x) for x in curve), curve, final + wobble, why, reached)


def arm(method: str) -> Arm:
    final, growth, back, first = METHODS[method]
    nan = method == "normal(std=1)"
    runs = tuple(run(method, seed, rate, final, nan) for rate in RATES for seed in range(3))
    half = 0.006 + 0.002 * (len(method) % 4)
    findings: tuple[Finding, ...] = ()
    if method in ("zeros", "equal"):
        message = "all 64 units of the layer equal each other on every input, so that they can never differ"
        findings = (Finding("symmetric", "error", "layers.0.weight", message, "draw the weights at random"),)
    if method == "zeros":
        message = "the gradient of the loss is 0 in 19 of 20 layers"
        findings += (Finding("no gradient", "error", "layers.0.weight", message, "start from other weights"),)
    if nan:
        message = "the signal grows 60-fold a layer and is not finite from layer 13 on"
        findings = (
            Finding("non-finite", "error", "layers.12.weight", message, "divide by the fan-in"),
            Finding("exploding", "error", "layers.1.weight", message, "divide by the fan-in"),
            Finding("saturated", "warning", "layers.2.weight", "91% of the values are flat", "use smaller weights"),
        )
    if growth < 0.5:
        message = f"the signal falls to {growth:g} of itself in each layer"
        findings = (Finding("vanishing", "error", "layers.1.weight", message, "use wellbegun's 'auto'"),)
    if method == "lecun":
        findings = (Finding("vanishing", "note", "layers.9.weight", "the signal falls slowly", ""),)
    plan = f"plan by {method} · 40 tensors, 81,354 numbers · seed 0\n\n tensor   shape   law   std   reason\n"
    row = "  64×64  Normal(0, 0.125)  0.125  keeps the signal at 1, for the derivative of tanh at 0 is 1\n"
    plan += "".join(f" layers.{k}.weight{row}" for k in range(40))
    return Arm(
        method=method,
        rule=f"{method.split('(')[0].title()}()",
        plan_text=plan,
        learning_rate=0.03,
        score=Interval(final, final - half, final + half),
        working_rates=tuple(RATES[: 3 if final > 0.9 else 1 if final > 0.5 else 0]),
        steps_to_target=140.0 if final > 0.9 else 320.0 if final > 0.8 else None,
        loss=math.nan if nan else 2.303,
        layers=layers(growth, back, first, nan),
        findings=findings,
        runs=runs,
    )


def network(activation: str) -> NetworkResult:
    return NetworkResult(
        name=f"{activation}, {LAYERS} hidden layers of 64 units",
        activation=activation,
        depth=LAYERS,
        width=64,
        arms=tuple(arm(method) for method in METHODS),
        winner="auto",
        best_other="orthogonal",
        auto_minus_best=Interval(0.005, -0.002, 0.012),
        width_one=0.223,
        sentences=(
            "auto reached 96.2% on the test images, orthogonal 95.7%: the difference may be luck.",
            "zeros never left 10.1%: all units of a layer are the same, and no gradient reaches the weights.",
            "equal stays at 21.9%, close to the 22.3% of the same network with <one> unit a layer & no more.",
            "normal(std=1) makes the signal grow 60-fold a layer, until it is not a number in layer 13.",
        ),
    )


@pytest.fixture(scope="module")
def comparison() -> Comparison:
    return Comparison(
        task="digits",
        description="1,797 handwritten digits of 8×8 grey values in 10 classes, from scikit-learn "
        "(UCI Optical Recognition of Handwritten Digits, E. Alpaydin and C. Kaynak, CC BY 4.0).",
        settings={"chance": 0.1, "target": 0.8, "steps": 400, "learning_rates": list(RATES), "quick": False},
        networks=(network("tanh"), network("relu")),
        seconds=312.4,
        versions={"wellbegun": "0.1.0", "torch": "2.6.0"},
    )


@pytest.fixture(scope="module")
def page(comparison: Comparison) -> str:
    return render_page(comparison)


class Balance(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def parsed(page: str) -> Balance:
    parser = Balance()
    parser.feed(page)
    parser.close()
    return parser


def test_is_balanced_html_with_unique_ids(page: str) -> None:
    parser = parsed(page)
    assert parser.open == []
    ids = [attrs["id"] for _, attrs in parser.seen if "id" in attrs]
    assert len(ids) == len(set(ids))
    targets = [str(attrs["href"]) for _, attrs in parser.seen if "href" in attrs]
    targets += [f"#{target}" for target in re.findall(r"url\(#([^)]+)\)", page)]
    assert targets
    assert {target.removeprefix("#") for target in targets} <= set(ids)


def test_loads_nothing_from_elsewhere(page: str) -> None:
    parser = parsed(page)
    assert {"script", "link", "iframe", "img"}.isdisjoint(tag for tag, _ in parser.seen)
    assert all(str(attrs.get("href", "#")).startswith("#") and "src" not in attrs for _, attrs in parser.seen)
    assert not re.search(r"https?://|@import|url\((?!#)", page)


def test_shows_every_method_and_accuracy(page: str) -> None:
    text = parsed(page).text
    for method, (final, *_) in METHODS.items():
        assert text.count(method) >= 8  # per network: table, four figures
        assert f"{final:.1%}" in text
    for words in (
        "96.2%",
        "never",
        "3 of 4",
        "0 of 4",
        "non-finite",
        "not a number",
        "+0.5 points",
        "draw the weights",
    ):
        assert words in text
    assert "nan" not in re.findall(r"[a-z]+", text)
    assert page.count('role="img"') == page.count("aria-label=") - page.count('role="region"') == 10


def test_includes_the_plan_of_the_winner_only(comparison: Comparison, page: str) -> None:
    text = parsed(page).text
    assert comparison.networks[0].arm("auto").plan_text in text
    assert "plan by he" not in text


def test_escapes_what_it_is_given(comparison: Comparison, page: str) -> None:
    evil = '<script>alert("1")</script>'
    assert "&lt;one&gt; unit a layer &amp; no more" in page
    first = comparison.networks[0]
    bad = replace(first.arms[0], method=evil, plan_text=evil, rule=evil)
    changed = replace(first, arms=(bad, *first.arms[1:]), name=evil, sentences=(evil,), winner=evil)
    text = render_page(replace(comparison, networks=(changed,), description=evil, task=evil, settings={evil: evil}))
    assert "<script" not in text
    assert parsed(text).open == []


def test_is_deterministic_and_leaves_the_users_style_alone(comparison: Comparison, page: str) -> None:
    import matplotlib

    with matplotlib.rc_context({"font.size": 30, "svg.hashsalt": "mine", "axes.grid": True}):
        assert render_page(comparison) == page
        assert matplotlib.rcParams["svg.hashsalt"] == "mine"


def test_says_when_it_was_interrupted(comparison: Comparison, page: str) -> None:
    assert "interrupted" not in page
    assert "was interrupted" in render_page(replace(comparison, interrupted=True))


def test_shows_what_there_is_of_an_interrupted_comparison(comparison: Comparison) -> None:
    nothing = math.nan
    bare = replace(
        comparison.networks[0].arms[3],
        score=Interval(nothing, nothing, nothing),
        runs=(),
        layers=(),
        working_rates=(),
    )
    empty = replace(comparison.networks[0], arms=(bare,), winner="", width_one=None, auto_minus_best=None)
    for networks in ((), (empty,), (replace(empty, arms=()),)):
        text = render_page(replace(comparison, networks=networks, interrupted=True, settings={}))
        assert "No training was finished." in text
        assert parsed(text).open == []


def test_writes_the_page_or_says_why_not(comparison: Comparison, page: str, tmp_path: Path) -> None:
    write_page(comparison, tmp_path / "page.html")
    assert (tmp_path / "page.html").read_text("utf-8") == page
    with pytest.raises(OutputError, match="missing"):
        write_page(comparison, tmp_path / "missing" / "page.html")


@pytest.mark.parametrize("library", ["jinja2", "matplotlib"])
def test_names_the_extra_that_is_missing(comparison: Comparison, library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(MissingExtraError, match=rf"{library}.*wellbegun\[report\]"):
        render_page(comparison)


def test_a_stopped_run_counts_with_its_last_value() -> None:
    short = Run(0, 0.1, (0, 10), (1.0, 1.0), (0.2, 0.4), 0.4, "stopped", None)
    whole = Run(1, 0.1, (0, 10, 20), (1.0, 1.0, 1.0), (0.2, 0.6, math.nan), 0.8, "", None)
    other = Run(2, 0.1, (0, 10, 20), (1.0, 1.0, 1.0), (0.2, 0.8, 0.9), 0.9, "", 20)
    three = replace(arm("he"), learning_rate=0.1, runs=(short, whole, other))
    steps, means, lows, highs = zip(*mean_curve(three), strict=True)
    assert steps == (0, 10, 20)
    assert means == pytest.approx((0.2, 0.6, 1.9 / 3))
    assert (lows, highs) == ((0.2, 0.4, 0.4), (0.2, 0.8, 0.9))


def test_labels_keep_their_distance_and_order() -> None:
    places = spread([0.5, 0.5, 0.1, 0.52, 1.0, 0.99], 0.1, 0.0, 1.0)
    ordered = sorted(places)
    assert all(b - a >= 0.1 - 1e-12 for a, b in pairwise(ordered))
    assert places[2] == pytest.approx(0.1)
    assert min(places) >= 0
    assert max(places) <= 1 + 1e-12
    assert places[5] < places[4]
    assert sum(sorted(places)[1:4]) / 3 == pytest.approx((0.5 + 0.5 + 0.52) / 3)


def test_values_no_logarithm_can_show_go_to_the_edges() -> None:
    values = (0.0, 1e-21, 1e-20, 1.0, 1e11, math.inf, math.nan)
    low, high = -math.inf, math.inf
    assert [log_or_edge(value) for value in values] == [low, low, -20, 0, high, high, high]


def test_numbers_read_as_people_write_them() -> None:
    written = [number(x) for x in (0.0, 0.98, 2.0, 58.3, 1250.0, 3.14e-12, 2e7, math.inf, -math.inf, math.nan)]
    assert written == ["0", "0.98", "2.0", "58", "1,250", "3.1×10⁻¹²", "2.0×10⁷", "∞", "−∞", "not a number"]
    assert power(-30) == "10⁻³⁰"
    assert (percent(0.9567), percent(math.nan)) == ("95.7%", "none")
    assert Scale().bounds(Interval(0.99, 0.97, 1.01)) == "97.0–100.0%"
    assert points(Interval(-0.01, -0.02, 0.0), Scale()) == "−1.0 points (−2.0 to +0.0)"
    assert [duration(x) for x in (3.21, 312.4, 7300.0)] == ["3.2 s", "5 min 12 s", "2 h 1 min"]
    assert plain([True, 0.1, {"a": (1, "b")}]) == "yes, 0.1, a: 1, b"
