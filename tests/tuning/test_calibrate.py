"""What calibration promises: one pass, nothing of the model changed, the same plan each time, dead layers refused."""

from __future__ import annotations

import copy
import dataclasses
import json
import random
from collections import UserDict

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

import wellbegun as wb
from wellbegun.errors import ApplyError, ArgumentError, CalibrationError, TraceError


def data(*shape, seed=0):
    return 2 * torch.rand(*shape, generator=torch.Generator().manual_seed(seed)) - 0.5


def small():
    return nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 8))


class Busy(nn.Module):
    """Writes into buffers, attributes and random states, and drops with a probability that no mode turns off."""

    def __init__(self):
        super().__init__()
        self.first, self.norm, self.last = nn.Linear(16, 32), nn.BatchNorm1d(32), nn.Linear(32, 4)
        self.register_buffer("seen", torch.zeros(1))

    def forward(self, x):
        self.cache = x
        self.seen += 1
        x = F.dropout(self.norm(self.first(x)), 0.3, training=True)
        return self.last(x) * (1 + 0 * (random.random() + np.random.rand()))


def test_the_model_and_the_process_are_as_before():
    torch.manual_seed(3)
    random.seed(3)
    np.random.seed(3)
    model, x = Busy(), data(64, 16)
    model.norm.eval()
    model.last.register_forward_hook(lambda *_: None)
    plan = wb.plan(model, x, seed=1, rules={"seen": wb.Keep()})
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    attributes, hooks = set(vars(model)), dict(model.last._forward_hooks)
    versions = [parameter._version for parameter in model.parameters()]
    before = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist()
    wb.calibrate(plan, model, x)
    after = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist()
    assert torch.equal(before[0], after[0])
    assert before[1:] == after[1:]
    assert all(torch.equal(tensor, state[name]) for name, tensor in model.state_dict().items())
    assert versions == [parameter._version for parameter in model.parameters()]
    assert (model.training, model.norm.training, model.last.training) == (True, False, True)
    assert set(vars(model)) == attributes
    assert model.last._forward_hooks == hooks
    assert torch.backends.mha.get_fastpath_enabled()


def test_the_same_plan_comes_out_whatever_the_model_holds():
    model, x = Busy(), data(64, 16)
    plan = wb.plan(model, x, seed=1, rules={"seen": wb.Keep()})
    first = wb.calibrate(plan, model, x)
    torch.rand(7), random.random()
    wb.apply(plan, model)
    with torch.no_grad():
        model.first.weight.mul_(100)
    model.eval()
    assert wb.calibrate(plan, model, x) == first
    assert wb.calibrate(plan.with_seed(2), model, x) != first


def test_batch_normalisation_uses_the_batch_and_dropout_is_off():
    model = nn.Sequential(nn.Linear(16, 32), nn.BatchNorm1d(32), nn.Dropout(0.5), nn.Linear(32, 4))
    made = wb.calibrate(wb.plan(model, "vector:16", seed=1, recipe="normal(std=3)"), model, data(256, 16), target=1.0)
    found = float(made["3.weight"].reason.split("second moment ")[1].split()[0])
    assert found == pytest.approx(9 * 32, rel=0.3)  # behind statistics of 0 and 1 it would be 9·32·50


def test_a_batch_of_one_has_no_statistics():
    model = nn.Sequential(nn.Linear(16, 32), nn.BatchNorm1d(32))
    with pytest.raises(ArgumentError, match=r"one value for each channel .*larger batch"):
        wb.calibrate(wb.plan(model, seed=1), model, data(1, 16))


def test_the_batch_is_not_written_into():
    model = nn.Sequential(nn.ReLU(inplace=True), nn.Linear(16, 32, bias=False), nn.ReLU(inplace=True), nn.Linear(32, 4))
    x = data(64, 16)
    kept = x.clone()
    wb.calibrate(wb.plan(model, "vector:16", seed=1), model, x)
    assert torch.equal(x, kept)


def test_works_on_meta_with_a_factory_of_the_same_shapes():
    with torch.device("meta"):
        model = small()
    plan, x = wb.plan(model, seed=5), data(64, 16)
    made = wb.calibrate(plan, model, x)
    assert all(parameter.is_meta for parameter in model.parameters())
    assert made == wb.calibrate(plan, small(), x)


def test_the_report_is_in_the_plan_and_survives_a_file(tmp_path):
    model, x = small(), data(256, 16)
    plan = wb.plan(model, seed=5)
    made = wb.calibrate(plan, model, x)
    entry = made["2.weight"]
    factor = entry.law.moments(entry.shape)[1] / plan["2.weight"].law.moments(entry.shape)[1]
    assert entry.reason.startswith(plan["2.weight"].reason + "; calibrated on a batch of 256: second moment ")
    assert entry.reason.endswith(f" -> 1 with factor {factor:.4g}")
    assert entry.initializer == repr(entry.law)
    assert "calibrated     second moment 1 behind" in made.explain("2.weight")
    assert (made.recipe, plan.recipe) == ("auto@0, calibrated", "auto@0")
    assert wb.calibrate(made, model, x).recipe == made.recipe
    assert made.hash != plan.hash
    assert [change.name for change in plan.diff(made)] == ["0.weight", "2.weight", "4.weight"]
    made.save(tmp_path / "plan.json")
    assert wb.load_plan(tmp_path / "plan.json") == made


def test_files_without_the_report_are_read(tmp_path):
    plan = wb.plan(small(), seed=5)
    plan.save(tmp_path / "plan.json")
    record = json.loads((tmp_path / "plan.json").read_text())
    for item in record["entries"]:
        del item["uses"], item["measured"]
    (tmp_path / "plan.json").write_text(json.dumps(record))
    assert wb.load_plan(tmp_path / "plan.json") == plan


@pytest.mark.parametrize(("key", "value"), [("uses", 0), ("uses", True), ("uses", 1.5), ("measured", "1")])
def test_a_damaged_report_is_refused(tmp_path, key, value):
    wb.plan(small(), seed=5).save(tmp_path / "plan.json")
    record = json.loads((tmp_path / "plan.json").read_text())
    record["entries"][0][key] = value
    (tmp_path / "plan.json").write_text(json.dumps(record))
    with pytest.raises(wb.errors.PlanFileError, match=key):
        wb.load_plan(tmp_path / "plan.json")


def test_a_calibrated_plan_is_calibrated():
    model, x = small(), data(256, 16)
    once = wb.calibrate(wb.plan(model, seed=5), model, x)
    twice = wb.calibrate(once, model, x)
    for one, two in zip(once, twice, strict=True):
        assert two.law.moments(two.shape) == pytest.approx(one.law.moments(one.shape), rel=1e-5)


def test_targets_of_entries_are_kept_apart():
    model, x = small(), data(512, 16)
    plan = wb.plan(model, seed=5)
    wanted = {"0.weight": 4.0, "2.weight": 0.25, "4.weight": 0.01}
    entries = tuple(dataclasses.replace(entry, after=wanted.get(entry.name, entry.after)) for entry in plan)
    made = wb.calibrate(dataclasses.replace(plan, entries=entries), model, x)
    for name, moment in wanted.items():
        assert made[name].measured == pytest.approx(moment, rel=1e-5)


# biases


@pytest.mark.parametrize("shape", [(64, 16), (32, 4, 16), (4, 32, 16)])
@pytest.mark.parametrize("turned", [False, True], ids=["one step", "a step of its own"])
def test_a_bias_counts_and_keeps_its_law(shape, turned):
    """nn.Linear adds its bias in a step of its own where the input is not contiguous."""

    class Turned(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(16, 64)

        def forward(self, x):
            return self.layer(x.transpose(0, 1) if turned and x.ndim == 3 else x)

    model, x = Turned(), data(*shape)
    rules = {"layer.bias": wb.Normal(0.5)}
    plan = wb.plan(model, x, seed=1, recipe="he", rules=rules)
    made = wb.calibrate(plan, model, x, target=2.0)
    assert made["layer.bias"].law == wb.Normal(0.5)
    wb.apply(made, model)
    with torch.no_grad():
        assert float(model(x).double().square().mean()) == pytest.approx(2.0, rel=1e-5)
    assert made["layer.weight"].measured == pytest.approx(2.0, rel=1e-5)
    with pytest.raises(CalibrationError, match=r"layer.weight: its bias alone has a second moment of 0\.\d+ .* 0.01"):
        wb.calibrate(plan, model, x, target=0.01)


@pytest.mark.parametrize("turned", [False, True], ids=["one step", "a step of its own"])
def test_biases_that_take_out_a_mean_follow_their_weight(turned):
    class Deep(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = nn.ModuleList([nn.Linear(32, 32) for _ in range(8)])

        def forward(self, x):
            for layer in self.layers:
                x = torch.sigmoid(x @ layer.weight.t() + layer.bias if turned else layer(x))
            return x

    model, x = Deep(), data(256, 32)
    plan = wb.plan(model, x, seed=1)
    made = wb.calibrate(plan, model, x)
    compensated = [entry for entry in made if isinstance(entry.law, wb.MeanCompensation)]
    assert len(compensated) >= 6
    wb.apply(made, model)
    with torch.no_grad():
        for layer, name in zip(model.layers, (f"layers.{i}.weight" for i in range(8)), strict=True):
            x = layer(x)
            assert float(x.double().square().mean()) == pytest.approx(made[name].after, rel=1e-4), name
            x = torch.sigmoid(x)


@pytest.mark.parametrize("turned", [False, True], ids=["one step", "a step of its own"])
def test_a_bias_with_a_mean_is_an_offset(turned):
    model, x = nn.Linear(16, 64), data(128, 16)
    if turned:
        model.forward = lambda x: x @ model.weight.t() + model.bias
    plan = wb.plan(model, x, seed=1, recipe="he", rules={"bias": wb.Constant(5.0)})
    made = wb.calibrate(plan, model, x, target=1.0)
    wb.apply(made, model)
    assert float((model(x) - 5).detach().double().square().mean()) == pytest.approx(1.0, rel=1e-5)
    assert made["weight"].measured == pytest.approx(1.0, rel=1e-5)


def test_the_variance_with_biases():
    model, x = nn.Linear(16, 64), data(128, 16)
    plan = wb.plan(model, x, seed=1, recipe="he", rules={"bias": wb.Normal(0.5)})
    made = wb.calibrate(plan, model, x, target=2.0, centred=True)
    wb.apply(made, model)
    y = model(x).detach().double()
    assert float(y.var(correction=0)) == pytest.approx(2.0, rel=1e-5)
    assert made["weight"].measured == pytest.approx(float(y.square().mean()), rel=1e-5)
    with pytest.raises(CalibrationError, match=r"^weight: its bias alone has a variance of 0\.\d+"):
        wb.calibrate(plan, model, x, target=0.01, centred=True)


# refusals


def test_a_dead_layer_is_named_with_the_cause():
    model, x = small(), data(64, 16)
    plan = wb.plan(model, seed=1, rules={"0.bias": wb.Constant(-100.0)}, recipe="he")
    with pytest.raises(
        CalibrationError, match=r"^2\.weight: every value that reaches it .* is zero.* behind 0\.weight"
    ):
        wb.calibrate(plan, model, x, target=1.0)


def test_a_weight_that_meets_nothing_is_dead():
    model, x = nn.Linear(4, 3, bias=False), torch.zeros(8, 4)
    x[:, 0] = 1
    rules = {"weight": wb.Stored([[0.0, 1, 1, 1]] * 3)}
    with pytest.raises(CalibrationError, match=r"^weight: its result .* is zero for the whole batch: what flows in"):
        wb.calibrate(wb.plan(model, x, seed=1, rules=rules), model, x, target=1.0)


def test_values_that_are_not_finite_are_refused():
    model, x = small(), data(64, 16)
    x[3, 5] = float("inf")
    with pytest.raises(CalibrationError, match=r"^0\.weight: its result \(addmm of shape \[64, 32\]\) is not finite"):
        wb.calibrate(wb.plan(model, seed=1), model, x)


def test_a_target_for_zeros_is_refused_and_zeros_without_are_left_alone():
    model, x = small(), data(64, 16)
    plan = wb.plan(model, seed=1, rules={"4.weight": wb.Zeros()})
    made = wb.calibrate(plan, model, x)
    assert made["4.weight"].law == wb.Constant(0.0)
    assert made["4.weight"].measured == 0.0
    assert made["4.weight"].reason.endswith("; left as it is by calibration: its law is zero")
    assert wb.calibrate(made, model, x)["4.weight"] == made["4.weight"]
    entries = tuple(dataclasses.replace(e, after=1.0 if e.name == "4.weight" else e.after) for e in plan)
    with pytest.raises(CalibrationError, match=r"^4\.weight: the plan aims at a second moment of 1 with weights that"):
        wb.calibrate(dataclasses.replace(plan, entries=entries), model, x)


def test_a_residual_writer_that_starts_at_zero_is_left_alone():
    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.inside, self.up, self.down = nn.Linear(16, 32), nn.Linear(32, 64), nn.Linear(64, 32)
            self.head = nn.Linear(32, 4)

        def forward(self, x):
            x = self.inside(x)
            return self.head(x + self.down(F.relu(self.up(x))))

    model, x = Block(), data(256, 16)
    made = wb.calibrate(wb.plan(model, x, seed=1, rules={"down.weight": wb.Zeros()}), model, x)
    assert made["down.weight"].law == wb.Constant(0.0)
    assert made["head.weight"].measured == pytest.approx(0.5, rel=1e-5)


def test_what_the_batch_does_not_reach_is_left_alone_and_says_so():
    class Routed(nn.Module):
        def __init__(self):
            super().__init__()
            self.experts = nn.ModuleList(nn.Linear(16, 8) for _ in range(2))

        def forward(self, x, everything=True):
            return self.experts[0](x) + (self.experts[1](x) if everything else 0)

    model, x = Routed(), data(64, 16)
    plan = wb.plan(model, x, seed=1)
    made = wb.calibrate(plan, model, {"x": x, "everything": False})
    assert made["experts.1.weight"].law == plan["experts.1.weight"].law
    assert made["experts.1.weight"].reason.endswith("; not calibrated: no product with it ran on the batch")
    assert made["experts.0.weight"].measured == pytest.approx(1.0, rel=1e-5)


def test_a_kept_weight_is_left_alone_and_says_so():
    model, x = small(), data(64, 16)
    plan = wb.plan(model, seed=1, rules={"2.weight": wb.Keep()})
    made = wb.calibrate(plan, model, x, target=1.0)
    assert made["2.weight"].law == wb.Keep()
    assert made["2.weight"].reason.endswith("; left as it is by calibration: the plan keeps its own value")
    assert made["4.weight"].measured == pytest.approx(1.0, rel=1e-5)
    wb.apply(made, model)
    expected = float(model[:3](x).detach().double().square().mean())
    assert made["2.weight"].measured == pytest.approx(expected, rel=1e-5)


def test_a_loop_that_runs_away_is_refused():
    class Loop(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(16, 16, bias=False)

        def forward(self, x):
            for _ in range(4):
                x = (self.layer(x) * 1e6) ** 3
            return x

    model, x = Loop(), data(64, 16)
    with pytest.raises(CalibrationError, match=r"^layer\.weight: its result of shape \[64, 16\] is not finite"):
        wb.calibrate(wb.plan(model, x, seed=1, recipe="he"), model, x, target=1.0)


def test_mappings_that_are_no_dictionaries():
    model, x = small(), data(64, 16)
    plan = wb.plan(model, seed=1)
    assert wb.calibrate(plan, model, UserDict(input=x)) == wb.calibrate(plan, model, x)
    assert wb.calibrate(plan, model, (UserDict(input=x), torch.zeros(64))) == wb.calibrate(plan, model, x)


def test_arguments_are_checked():
    model, x = small(), data(64, 16)
    plan = wb.plan(model, seed=1)
    for batch in ("vector:16", None, (), torch.zeros(2, 16, device="meta")):
        with pytest.raises(ArgumentError, match="batch must hold real inputs"):
            wb.calibrate(plan, model, batch)
    for target in (0, -1.0, True, "1", float("nan"), float("inf")):
        with pytest.raises(ArgumentError, match="target must be a second moment above 0"):
            wb.calibrate(plan, model, x, target=target)
    with pytest.raises(ArgumentError, match="centred must be True or False, got 1"):
        wb.calibrate(plan, model, x, centred=1)
    with pytest.raises(ArgumentError, match=r"by he@0.*pass target=1\.0"):
        wb.calibrate(wb.plan(model, seed=1, recipe="he"), model, x)
    with pytest.raises(ArgumentError, match=r"needs a torch\.nn\.Module, got str"):
        wb.calibrate(plan, "model", x)
    with pytest.raises(ApplyError, match=r"4\.bias: in the plan, not in the model"):
        wb.calibrate(plan, model[:4], x)
    with pytest.raises(ApplyError, match=r"0\.weight: planned shape \[32, 16\], the model has \[32, 15\]"):
        wb.calibrate(plan, nn.Sequential(nn.Linear(15, 32), *model[1:]), x)
    with pytest.raises(TraceError, match=r"Sequential fails on inputs of shape \(64, 15\): RuntimeError"):
        wb.calibrate(plan, model, data(64, 15))
    with pytest.raises(TraceError, match=r"a pair is read as \(inputs, targets\)"):
        wb.calibrate(plan, model, (data(64, 15), torch.zeros(64)))


def test_a_pair_is_inputs_and_targets_as_for_diagnose():
    model, x = small(), data(64, 16)
    plan = wb.plan(model, seed=1)
    assert wb.calibrate(plan, model, (x, torch.zeros(64))) == wb.calibrate(plan, model, x)
    assert wb.calibrate(plan, model, {"input": x}) == wb.calibrate(plan, model, (x,))


def test_a_weight_of_several_uses_is_corrected_in_its_ratio():
    """Bringing the first result of a loop to 1, whatever comes in, would shrink or blow up every later one."""

    class Loop(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(64, 64)

        def forward(self, x):
            for _ in range(6):
                x = torch.relu(self.layer(x))
            return x

    model, x = Loop(), 6 * data(256, 64)
    plan = wb.plan(model, "vector:64", seed=2)
    assert plan["layer.weight"].uses == 6
    made = wb.calibrate(plan, model, x)
    factor = made["layer.weight"].law.moments((64, 64))[1] / plan["layer.weight"].law.moments((64, 64))[1]
    assert factor == pytest.approx(1.0, rel=0.2)
    reason = made["layer.weight"].reason
    assert " times as much flows in as planned at the first of 6 uses, " in reason
    assert wb.calibrate(plan, model, x, target=1.0)["layer.weight"].measured == pytest.approx(1.0, rel=1e-5)
    assert wb.plan(small(), seed=1)["0.weight"].uses == 1


def test_a_copy_of_the_model_is_not_needed():
    """Tied weights stay tied in the run: the second use sees the factor of the first."""

    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.table, self.head = nn.Embedding(50, 32), nn.Linear(32, 50, bias=False)
            self.head.weight = self.table.weight

        def forward(self, tokens):
            return self.head(self.table(tokens))

    model = Tied()
    tokens = torch.arange(200).reshape(8, 25) % 50
    plan = wb.plan(model, tokens, seed=1)
    made = wb.calibrate(plan, model, tokens)
    entry = made["table.weight"]
    assert entry.measured == pytest.approx(entry.after, rel=1e-5)
    wb.apply(made, model)
    logits = float(model(tokens).detach().double().square().mean())
    assert f" at the first of 2 uses, {logits:.4g} at the last" in entry.reason
    assert copy.deepcopy(model).head.weight is not model.head.weight
