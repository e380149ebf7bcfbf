"""With every target 1, one forward pass finds what iterative LSUV finds in many."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest
import torch

import wellbegun as wb
from wellbegun.lab.anchors.iterative_lsuv import LAYERS, Lsuv


def load(name):
    spec = importlib.util.spec_from_file_location(f"tuning_{name}", Path(__file__).with_name(f"{name}.py"))
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


networks = load("networks")


@pytest.mark.parametrize("centred", [True, False], ids=["variance", "second moment"])
@pytest.mark.parametrize("name", networks.NAMES)
def test_agrees_with_iterative_lsuv_in_one_pass(name, centred):
    model, data = networks.build(name)
    plan = wb.plan(model, data, seed=3, recipe="orthogonal(gain=1)")
    calls = []
    hook = model.register_forward_hook(lambda *_: calls.append(1))
    made = wb.calibrate(plan, model, data, target=1.0, centred=centred)
    hook.remove()
    assert len(calls) == 1

    layers = [entry for entry in made if entry.measured is not None]
    assert len(layers) >= 3
    what = "variance" if centred else "second moment"
    for entry in layers:
        assert f"{what} " in entry.reason
        assert " -> 1 with factor" in entry.reason
        assert entry.measured == pytest.approx(1.0, abs=0.2 if centred else 1e-5)
    wb.apply(plan, model)
    passes = Lsuv(model, lambda: model(data), centred=centred)()
    assert passes > len(layers)
    for entry in layers:
        theirs = float(model.get_parameter(entry.name).detach().double().square().mean().sqrt())
        assert entry.law.moments(entry.shape)[1] == pytest.approx(theirs, rel=0.01), entry.name


@pytest.mark.parametrize("name", networks.NAMES)
def test_variance_and_second_moment_are_alike(name):
    """Weights have mean zero, so what parts them is the mean that few outputs happen to have."""
    model, data = networks.build(name)
    plan = wb.plan(model, data, seed=3, recipe="orthogonal(gain=1)")
    one, other = (wb.calibrate(plan, model, data, target=1.0, centred=centred) for centred in (True, False))
    for entry in one:
        if entry.measured is not None:
            rel = 0.05 if entry.shape[0] <= 32 else 0.02
            assert entry.std == pytest.approx(other[entry.name].std, rel=rel), entry.name


@pytest.mark.parametrize("name", networks.NAMES)
def test_the_calibrated_plan_gives_what_it_says(name):
    """The plan's own values, in a fresh model: measured apart, by hooks on the modules."""
    model, data = networks.build(name)
    made = wb.calibrate(wb.plan(model, data, seed=4), model, data)
    wb.apply(made, model)
    for module in model.modules():
        module.training = isinstance(module, torch.nn.modules.batchnorm._BatchNorm)
    found: dict[str, float] = {}

    def note(name, inputs, output):
        if all(value.any() for value in inputs):
            found.setdefault(name, float(output.detach().double().square().mean()))

    for path, module in model.named_modules():
        if isinstance(module, LAYERS):
            module.register_forward_hook(lambda m, inputs, output, path=path: note(f"{path}.weight", inputs, output))
    model(data)
    aimed = [entry for entry in made if entry.after is not None]
    assert len(aimed) >= 3
    for entry in aimed:
        assert found[entry.name] == pytest.approx(entry.measured, rel=1e-4), entry.name
        if entry.uses == 1:
            assert entry.measured == pytest.approx(entry.after, rel=1e-5), entry.name
