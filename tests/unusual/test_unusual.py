"""Hand-written models through the whole package: planned, accounted for, written over NaN, run, measured, recorded."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from typing import Any

import pytest
import torch

import wellbegun as wb
from wellbegun.errors import UnplannedError

from . import activations, generative, language, layers, sequence, vision
from .case import Case
from .walk import (
    author_faults,
    excess,
    measured,
    named,
    not_finite,
    one_thread,
    poisoned,
    run,
    siblings,
    unaccounted,
)

MODULES = (language, vision, sequence, generative, layers, activations)
CASES = {case.name: case for module in MODULES for case in module.CASES}

UNSEEN = frozenset(
    (
        "s4d lru selective_scan crf stylegan glow planar kan gcn arcface noisy_dueling bayes tensor_train "
        "learned_slopes"
    ).split()
)
"""Models with parameters of a meaning of their own, drawn or computed in constructors that nobody has watched."""

FAR = {
    "relu_squared": "the size of a row enters at its eighth power, and differs from row to row",
    "tanh_shrink_by_hand": "as for relu_squared: near 0 it is a cube",
    "x_erf": "as for relu_squared, to a smaller degree",
    "log_cosh": "as for relu_squared, to a smaller degree",
    "sin_gated": "as for relu_squared, to a smaller degree",
    "tcn": "sums of what ReLU has passed on, cut again by ReLU, are not normal: 0.31 over 24 seeds",
    "maxout_gem": "a generalised mean, of which no second moment is known",
    "selective_scan": "a decay by exp of a product, taken for 1",
}
"""Models whose loss starts more than 0.3 above ln K, and why."""


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    with one_thread():
        yield


def plan_of(case: Case, model: Any = None, **how: Any) -> wb.Plan:
    args, kwargs = case.example()
    inputs = kwargs if not args else args[0] if len(args) == 1 and isinstance(args[0], torch.Tensor) else args
    return wb.plan(case.build if model is None else model, inputs, seed=0, **how)


@pytest.mark.parametrize("name", CASES)
def test_model(name: str) -> None:
    case = CASES[name]
    plan = plan_of(case)
    model = poisoned(plan, case.build())
    assert not unaccounted(plan, model)
    wb.apply(plan, model)
    assert not_finite(model) == []
    assert all(bool(torch.isfinite(result).all()) for result in run(case, model))
    for tensor, (fan_in, fan_out) in case.fans.items():
        fans = plan[tensor].fans
        assert fans is not None
        assert (fans.fan_in, fans.fan_out) == (pytest.approx(fan_in), pytest.approx(fan_out)), tensor
    for tensor, law in case.laws.items():
        assert repr(plan[tensor].law) == law, plan[tensor].reason
    if case.classes:
        start = excess(case, plan)
        start = excess(case, plan, seeds=24) if start > 0.25 and name not in FAR else start  # four seeds leave ±0.06
        assert start > -0.05
        assert start < 0.3 or name in FAR
        if start > 0.3:  # and no reason promises anything else
            assert not any("within 0.3" in entry.reason for entry in plan) or name in (
                "x_erf",
                "sin_gated",
                "selective_scan",
            )


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.author])
def test_recorded_laws_are_what_the_constructor_does(name: str) -> None:
    case = CASES[name]
    plan = plan_of(case, recipe="author")
    model = poisoned(plan, case.build())
    assert not unaccounted(plan, model)
    assert author_faults(case, plan, builds=3) == []
    wb.apply(plan, model)
    assert not_finite(model) == []


@pytest.mark.parametrize("name", [name for name in CASES if not name.startswith("deep_")])
def test_the_plan_is_that_of_the_model_however_it_is_met(name: str) -> None:
    case = CASES[name]
    plan = plan_of(case)
    with wb.skeleton():
        hollow = case.build()
    assert plan_of(case, hollow).hash == plan.hash
    if name in UNSEEN:
        with pytest.raises(UnplannedError, match="no code was seen"):
            plan_of(case, case.build())
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        met = siblings(case)
    assert len({plan_of(case, model).hash for model in met.values()}) == 1


SURE = ("estimate", "by at most that")


@pytest.mark.parametrize(
    "name", ["nanogpt", "rotary", "convnext", "tcn", "wavenet", "siren", "neural_ode", "odd_containers"]
)
def test_sizes_are_those_that_the_plan_aims_at(name: str) -> None:
    case = CASES[name]
    plan = plan_of(case)
    for tensor, (aim, reached) in measured(case, plan).items():
        known = not any(word in plan[tensor].reason for word in SURE) and plan[tensor].uses == 1
        if known and aim and tensor != "stages.4.dw.weight":  # 7 by 7 on an image of 4 by 4: half of it is border
            assert abs(math.log(reached / aim)) < math.log(1.7), (tensor, aim, reached)


def test_special_parameters_are_the_authors() -> None:
    """Decay rates, temperatures, transitions, splines: never a rule for weights."""
    special = {
        "s4d": ("log_dt", "C", "log_A_real", "A_imag", "D"),
        "lru": ("nu_log", "theta_log", "gamma_log", "B", "D"),
        "selective_scan": ("A_log", "D"),
        "crf": ("start", "end", "transitions"),
        "swin": ("att.0.logit_scale",),
        "siamese": ("temperature", "bias"),
        "kan": ("layers.0.spline_weight", "layers.0.spline_scaler"),
        "planar": ("u.0", "log_sigma", "log_pi"),
        "maxout_gem": ("p",),
        "glow": ("steps.1.lower", "steps.1.log_s", "steps.1.upper"),
    }
    for name, tensors in special.items():
        plan = plan_of(CASES[name])
        for tensor in tensors:
            assert "the author's own values" in plan[tensor].reason, (name, tensor, plan[tensor].reason)


def test_every_name_is_known() -> None:
    assert set(FAR) | UNSEEN <= set(CASES)
    assert len(CASES) >= 60
    assert all(len(dict(named(CASES[name].build()))) for name in ("crf", "kan"))
