"""Networks of the anchors: what they compute, and how their starts are spoilt or left incomplete on purpose."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

import wellbegun as wb
from wellbegun.lab.anchors import deepnorm, fixup, fixup_resnet, gradinit, metainit, siren
from wellbegun.lab.anchors.training import fit
from wellbegun.lab.networks import build_network
from wellbegun.lab.tasks import load_task


@pytest.fixture(scope="module")
def digits():
    return load_task("digits")


@pytest.fixture(scope="module")
def images():
    return load_task("digits-images")


@pytest.mark.parametrize("scalars", [True, False])
def test_with_scalars_that_do_nothing_fixups_network_is_the_plain_one(digits, scalars) -> None:
    plain = build_network("residual", digits, depth=3, width=fixup.WIDTH, activation="relu")
    made = fixup.FixupMLP(digits, 3, scalars=scalars)
    with torch.no_grad():
        for block in plain.blocks:
            block.first.bias.zero_()
            block.second.bias.zero_()
    pairs = [(made.input, plain.input), (made.output, plain.output)]
    for i, block in enumerate(plain.blocks):
        pairs += [(made.first[i], block.first), (made.second[i], block.second)]
    for mine, theirs in pairs:
        mine.load_state_dict({name: theirs.state_dict()[name] for name in mine.state_dict()})
    rows = torch.from_numpy(digits.train.inputs[:5])
    assert torch.equal(made(rows), plain(rows))
    with torch.no_grad():
        made.scale[1].fill_(2.0)
    assert not torch.allclose(made(rows), plain(rows))


def test_each_scalar_of_fixup_acts_where_it_stands(digits) -> None:
    made = fixup.FixupMLP(digits, 1, scalars=True)
    values = [0.3, -0.2, 0.5, 0.1]
    with torch.no_grad():
        for shift, value in zip(made.shift, values, strict=True):
            shift.fill_(value)
        made.scale[0].fill_(1.5)
    x = made.input(torch.from_numpy(digits.train.inputs[:5]))
    inside = torch.relu((x + 0.3) @ made.first[0].weight.T - 0.2) + 0.5
    wanted = made.output(torch.relu(x + 1.5 * inside @ made.second[0].weight.T + 0.1))
    assert torch.allclose(made(torch.from_numpy(digits.train.inputs[:5])), wanted, atol=1e-5)


def test_fixup_is_not_given_up_at_its_first_step_where_its_head_hands_nothing_back(digits) -> None:
    plan = fixup.planned(fixup.FIXUP, digits, 2)
    model = fixup.build(fixup.FIXUP, digits, 2)
    wb.apply(plan, model)
    done = fit(model, digits, rate=0.1, steps=12, batch=64, seed=0)
    assert done.stopped == ""
    assert done.losses[0] == pytest.approx(math.log(10), abs=1e-5)
    assert done.losses[-1] < done.losses[0] - 0.1


def test_a_resnet_has_the_layers_and_shapes_of_the_paper(images) -> None:
    form = fixup_resnet.ON_GPU
    model = fixup_resnet.build(fixup_resnet.FIXUP, load_task("digits-images"), form)
    weights = [p for p in model.parameters() if p.ndim > 1]
    assert len(weights) == 6 * form.blocks + 2 == 110
    assert [weights[i].shape[0] for i in (0, 1, 37, 73, 108)] == [16, 16, 32, 64, 64]
    block = fixup_resnet.build(fixup_resnet.BARE, images, fixup_resnet.QUICK).blocks[2]
    with torch.no_grad():
        block.second.weight.zero_()
        x = torch.rand(2, 8, 8, 8)
        y = block(x)
    assert torch.equal(y[:, :8], x[:, :, ::2, ::2])
    assert torch.equal(y[:, 8:], torch.zeros(2, 8, 4, 4))


def test_fixup_of_the_resnet_starts_at_its_shortcuts(images) -> None:
    form = fixup_resnet.QUICK
    plan = fixup_resnet.planned(fixup_resnet.FIXUP, images, form)
    branches = 3 * form.blocks
    assert plan["blocks.1.second.weight"].law == wb.Constant(0.0)
    he = math.sqrt(2 / (form.channels * 9))
    assert plan["blocks.1.first.weight"].std == pytest.approx(he * branches**-0.5, rel=1e-6)
    assert plan["blocks.1.scale"].lr_factor == pytest.approx(0.1)


def test_alpha_is_on_the_shortcut_of_deepnorm_alone() -> None:
    task = load_task("text-small")
    assert [deepnorm.build(arm, task, 8).blocks[0].alpha for arm in deepnorm.ARMS] == [1.0, 2.0, 1.0]
    deep, half = (deepnorm.planned(arm, task, 2) for arm in (deepnorm.DEEP, deepnorm.HALF))
    assert deep.unmet == half.unmet == ()
    assert [entry.law for entry in deep] == [entry.law for entry in half]
    tokens = torch.from_numpy(task.train.inputs[:2])
    model = deepnorm.build(deepnorm.DEEP, task, 2)
    assert torch.equal(model(tokens)[:, :5], model(torch.cat([tokens[:, :40], tokens[:, :24]], 1))[:, :5])


def test_the_second_moment_inside_of_sines_solves_its_equation() -> None:
    assert pytest.approx(1 - math.exp(-2 * siren.PHASES) + siren.BIASES, abs=1e-5) == siren.PHASES
    assert pytest.approx(900 / (3 * siren.WIDTH)) == siren.BIASES
    task = siren.picture(16)
    assert (len(task.train), len(task.test)) == (205, 51)
    together = np.concatenate([task.train.inputs, task.test.inputs])
    assert len(np.unique(together, axis=0)) == 256  # no pixel is in both parts
    assert task.train.targets.min() >= -1
    assert task.train.targets.max() <= 1


def test_a_spoilt_plan_has_its_weights_times_the_fault(digits) -> None:
    good = wb.plan(metainit.build(digits, "relu"), metainit.noise(0)[0], seed=0, recipe="he")
    for fault, allowed in (
        (metainit.FAULTS[0], {10.0}),
        (metainit.FAULTS[1], {0.1}),
        (metainit.FAULTS[2], {4.0, 0.25}),
    ):
        bad = metainit.spoilt(good, fault, 3)
        ratios = {round(bad[entry.name].std / entry.std, 5) for entry in good if len(entry.shape) > 1}
        assert ratios == allowed
        assert bad.seed == 3


def test_a_vgg_halves_its_picture_behind_each_stage(images) -> None:
    model = gradinit.Vgg(images, gradinit.ON_CPU.stages, norm=True)
    assert model(torch.from_numpy(images.train.inputs[:3])).shape == (3, 10)
    assert sum(isinstance(layer, torch.nn.Conv2d) for layer in model.features) == 12
    assert model.features(torch.zeros(1, 1, 8, 8)).shape == (1, 32, 1, 1)


def test_psnr_of_a_field_from_minus_one_to_one() -> None:
    assert siren.decibels([0.04, 4e-4]) == pytest.approx([20.0, 40.0])
    assert np.isclose(siren.decibels([4.0])[0], 0.0)
