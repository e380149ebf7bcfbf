"""Case 18: what is said about 30 ReLU layers as torch starts them, as He would, as `auto` does, and without weights."""

import numpy as np
import pytest
import torch
from torch import nn

import wellbegun as wb


def network() -> nn.Sequential:
    hidden = [layer for _ in range(30) for layer in (nn.Linear(64, 64), nn.ReLU())]
    return nn.Sequential(*hidden, nn.Linear(64, 10))


def batch() -> tuple[torch.Tensor, torch.Tensor]:
    made = torch.Generator().manual_seed(0)
    return torch.randn(64, 64, generator=made), torch.randint(10, (64,), generator=made)


@pytest.mark.parametrize("seed", range(3))
def test_with_torchs_defaults_it_has_collapsed(seed: int) -> None:
    torch.manual_seed(seed)
    found = wb.diagnose(network(), batch())
    collapsed = next(finding for finding in found.findings if finding.kind == "collapsed")
    assert collapsed.level == "error"
    assert f"collapsed at {collapsed.layer}" in found.verdict
    assert 2 <= int(collapsed.layer.partition(".")[0]) <= 12  # well before the last layer, 58
    assert not found.healthy


def test_with_he_the_variance_is_kept_and_the_inputs_are_not() -> None:
    cosines = []
    for seed in range(5):
        model = network()
        wb.initialize(model, batch()[0], seed=seed, recipe="he")
        found = wb.diagnose(model, batch())
        cosines.append(found.layers[-2].cosine)
        assert not [finding for finding in found.findings if finding.kind in ("vanishing", "exploding")]
        if cosines[-1] > 0.95:
            collapsed = next(finding for finding in found.findings if finding.kind == "collapsed")
            assert collapsed.level == "warning"
            assert f"{cosines[-1]:.2f} at 58.weight" in collapsed.message
    assert np.median(cosines) == pytest.approx(0.97, abs=0.02)


def test_with_auto_it_is_sound() -> None:
    model = network()
    wb.initialize(model, batch()[0], seed=0)
    assert wb.diagnose(model, batch()).verdict == "sound: no faults found"


def test_without_weights_theory_says_the_same() -> None:
    with wb.skeleton():
        model = network()
    found = wb.diagnose(model, "vector:64")
    assert found.predicted
    assert found.verdict.startswith("not sound: vanishing at ")
    assert wb.diagnose(model, "vector:64", plan=wb.plan(model, "vector:64", seed=0)).healthy
