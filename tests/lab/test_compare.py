"""wb.compare: small real comparisons, interruption, bad input, and the figures of the main job."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

import wellbegun as wb
from wellbegun.diagnosis import Finding
from wellbegun.errors import ArgumentError, UnknownNameError
from wellbegun.lab import Comparison, comparison_to_record
from wellbegun.lab.outcome.verdict import explain
from wellbegun.lab.report.page import render_page
from wellbegun.lab.report.table import comparison_renderables

SMALL = {"depth": 6, "width": 16, "quick": True}


@pytest.fixture(scope="module")
def small() -> Comparison:
    return wb.compare("digits", ["zeros", "equal", "he", "auto"], seeds=2, activations=["relu"], **SMALL)


def test_every_method_seed_and_rate_was_run(small) -> None:
    (network,) = small.networks
    assert [arm.method for arm in network.arms] == ["zeros", "equal", "he", "auto"]
    for arm in network.arms:
        assert {(run.seed, run.learning_rate) for run in arm.runs} == {(s, r) for s in (0, 1) for r in (0.005, 0.02)}
        assert len(arm.chosen_runs()) == 2
        assert arm.score.low <= arm.score.mean <= arm.score.high
    assert not small.interrupted
    assert small.settings["steps"] == 120


def test_results_are_what_the_runs_say(small) -> None:
    (network,) = small.networks
    for arm in network.arms:
        means = {rate: sum(r.validation[-1] for r in arm.runs if r.learning_rate == rate) / 2 for rate in (0.005, 0.02)}
        assert means[arm.learning_rate] == max(means.values())
        assert arm.score.mean == pytest.approx(sum(r.test_score for r in arm.chosen_runs()) / 2)
    best = max(network.arms, key=lambda arm: arm.score.mean)
    assert network.winner == best.method
    auto, other = network.arm("auto"), network.arm(network.best_other)
    assert network.auto_minus_best.mean == pytest.approx(auto.score.mean - other.score.mean)


def test_symmetry_is_shown(small) -> None:
    (network,) = small.networks
    assert network.arm("zeros").score.mean <= 0.15
    assert network.arm("equal").score.mean == pytest.approx(network.width_one, abs=0.02)
    assert network.arm("auto").score.mean > 0.8


def test_the_same_comparison_gives_the_same_numbers(small) -> None:
    again = wb.compare("digits", ["zeros", "equal", "he", "auto"], seeds=2, activations=["relu"], **SMALL)
    assert [arm.score for arm in again.networks[0].arms] == [arm.score for arm in small.networks[0].arms]


def test_a_method_does_not_depend_on_its_company(small) -> None:
    alone = wb.compare("digits", ["he"], seeds=2, activations=["relu"], **SMALL).networks[0].arm("he")
    assert alone.score.mean == pytest.approx(small.networks[0].arm("he").score.mean, abs=0.005)


def test_sentences_are_made_from_the_measurements(small) -> None:
    (network,) = small.networks
    text = " ".join(network.sentences)
    best = network.arm(network.winner)
    assert f"{best.score.mean:.1%}" in text
    assert "Symmetry stopped zeros" in text
    assert f"{network.width_one:.1%}" in text
    assert f"{max(layer.signal for layer in best.hidden):.2g}" in text


def test_record_is_json_and_complete(small) -> None:
    record = json.loads(json.dumps(comparison_to_record(small), allow_nan=False))
    (network,) = record["networks"]
    zeros = network["methods"]["zeros"]
    assert zeros["step0"]["forward_last"] == 0
    assert "symmetric" in {finding["kind"] for finding in zeros["findings"]}
    assert network["methods"]["auto"]["step0"]["backward_first"] > 0
    assert set(network["auto_minus_best"]) == {"mean", "low", "high"}
    assert record["versions"]["wellbegun"] == wb.__version__


def test_interruption_keeps_what_is_finished() -> None:
    def interrupt(done: int, total: int, what: str) -> None:
        if done > 0.6 * total:
            raise KeyboardInterrupt

    partial = wb.compare("digits", ["he", "auto"], seeds=2, activations=["relu"], on_progress=interrupt, **SMALL)
    assert partial.interrupted
    assert {run.seed for arm in partial.networks[0].arms for run in arm.runs} == {0}
    assert "Interrupted" in str(comparison_renderables(partial)[0])
    whole = wb.compare("digits", ["he", "auto"], seeds=1, activations=["relu"], **SMALL)
    assert partial.networks[0].arm("he").score == whole.networks[0].arm("he").score


def test_interruption_before_anything_is_finished_is_passed_on() -> None:
    def interrupt(done: int, total: int, what: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        wb.compare("digits", ["he"], seeds=1, activations=["relu"], on_progress=interrupt, **SMALL)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"methods": ["hee"]}, UnknownNameError, "did you mean 'he'"),
        ({"task": "digit"}, UnknownNameError, "did you mean 'digits'"),
        ({"activations": ["tan"]}, UnknownNameError, "did you mean 'tanh'"),
        ({"seeds": 0}, ArgumentError, "seeds must be at least 1"),
        ({"methods": []}, ArgumentError, "at least one method"),
        ({"methods": ["he", "he"]}, ArgumentError, "twice"),
        ({"methods": ["glorot", "xavier"]}, ArgumentError, "twice"),
        ({"methods": ["auto", "AUTO"]}, ArgumentError, "twice"),
        ({"depth": 0}, ArgumentError, "depth"),
        ({"width": 0}, ArgumentError, "width"),
        ({"methods": ["normal(sdt=1)"]}, ArgumentError, "sdt"),
    ],
)
def test_bad_input_is_refused_before_any_work(change, error, message) -> None:
    arguments = {"task": "digits", "methods": ["he"], "seeds": 1} | change
    with pytest.raises(error, match=message):
        wb.compare(**arguments, on_progress=lambda *_: pytest.fail("work was done"))


def test_names_are_canonical() -> None:
    (network,) = wb.compare("digits", ["Equal", "AUTO", "Kaiming"], seeds=1, activations=["relu"], **SMALL).networks
    assert [arm.method for arm in network.arms] == ["equal", "auto", "he"]
    assert network.auto_minus_best is not None
    assert network.width_one is not None


def test_where_nothing_learns_nobody_wins() -> None:
    comparison = wb.compare("digits", ["zeros", "normal(std=0)"], seeds=1, activations=["tanh", "relu"], **SMALL)
    network = comparison.networks[0]
    assert network.winner is None
    assert all(arm.working_rates == () for arm in network.arms)
    assert network.sentences[0].startswith("No method learnt: the best, zeros, reached 8.8%")
    assert "nan" not in " ".join(network.sentences)
    page = render_page(comparison)
    assert "no method learnt" in page
    assert "tag best" not in page.split("</style>")[1]


def test_a_method_that_does_not_fit_is_named() -> None:
    with pytest.raises(ArgumentError, match="mirrored_orthogonal does not fit this network"):
        wb.compare("digits", ["he", "mirrored_orthogonal"], seeds=1, activations=["relu"], depth=2, width=7, quick=True)


def test_each_method_is_planned_and_measured_once(monkeypatch) -> None:
    import wellbegun.diagnosis

    calls, real = [], wellbegun.diagnosis.diagnose
    monkeypatch.setattr(wellbegun.diagnosis, "diagnose", lambda *a, **k: calls.append(1) or real(*a, **k))
    wb.compare("digits", ["he", "auto"], seeds=3, activations=["relu"], **SMALL)
    assert len(calls) == 2


@pytest.mark.slow
def test_auto_is_not_inferior_to_the_best_other_method() -> None:
    """The figures of the main job, in the full form (about a minute on two cores)."""
    comparison = wb.compare("digits", seeds=5)
    assert [network.activation for network in comparison.networks] == ["tanh", "relu"]
    for network in comparison.networks:
        assert network.auto_minus_best.low > -0.03
        assert network.arm("zeros").score.mean <= 0.15
        assert network.arm("equal").score.mean == pytest.approx(network.width_one, abs=0.02)
        assert "vanishing" in {f.kind for f in network.arm("fan_in_uniform").findings if f.level == "error"}
        assert network.arm("fan_in_uniform").score.mean <= 0.15
        assert network.arm("auto").findings == ()
    tanh = comparison.networks[0]
    assert "saturated" in {f.kind for f in tanh.arm("normal(std=1)").findings if f.level == "error"}


@pytest.mark.parametrize(
    ("kind", "words"),
    [("overflow", "Overflow stopped zeros"), ("rank collapse", "Tokens that became alike stopped zeros")],
)
def test_every_kind_of_finding_can_be_the_reason(small, kind: str, words: str) -> None:
    (network,) = small.networks
    faulty = replace(
        network.arm("zeros"), findings=(Finding(kind, "error", "0.weight", "what was measured", "mend it"),)
    )
    told = explain(replace(network, arms=(faulty, *network.arms[1:])))
    (sentence,) = [sentence for sentence in told if sentence.startswith(words)]
    assert sentence.endswith(": what was measured.")
