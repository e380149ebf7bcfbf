"""The network of Xiao's anchor: around a ring a delta-orthogonal kernel is a rotation of pictures; a Gaussian not."""

from __future__ import annotations

import pytest
import torch

from wellbegun.lab.anchors.training import start
from wellbegun.lab.anchors.xiao_2018 import DELTA, GAUSSIAN, RECIPES, DeepCNN
from wellbegun.lab.tasks import load_task


def singular_values(recipe: str) -> torch.Tensor:
    model = start(DeepCNN(4), load_task("digits-images"), recipe, 0).double()
    layer = model.hidden[3]
    maps = torch.eye(256, dtype=torch.float64).reshape(256, 16, 4, 4)
    with torch.no_grad():
        operator = (layer(maps) - layer(torch.zeros_like(maps))).reshape(256, 256)
    return torch.linalg.svdvals(operator)


def test_a_delta_orthogonal_layer_keeps_every_length():
    values = singular_values(RECIPES[DELTA])
    gain = float(values.mean())
    assert gain**2 == pytest.approx(1.08602629250, rel=1e-5)  # 1/E f'² of tanh where the bias variance is 1e-4
    assert float((values / gain - 1).abs().max()) < 1e-5
    assert float(singular_values(RECIPES[GAUSSIAN]).min()) < 0.1 * gain
