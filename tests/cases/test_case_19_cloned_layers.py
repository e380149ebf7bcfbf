"""Case 19: layers cloned by deepcopy start equal in torch; planned they differ, and diagnose names the raw ones."""

import itertools

import pytest
import torch
from torch import nn

import wellbegun as wb

pytestmark = pytest.mark.filterwarnings("ignore:enable_nested_tensor is True")


def encoder() -> nn.TransformerEncoder:
    return nn.TransformerEncoder(nn.TransformerEncoderLayer(32, 4, 64, dropout=0.0, batch_first=True), 6)


def batch() -> tuple[torch.Tensor, torch.Tensor]:
    made = torch.Generator().manual_seed(0)
    return torch.randn(8, 10, 32, generator=made), torch.randn(8, 10, 32, generator=made)


def test_six_planned_layers_differ() -> None:
    model = encoder()
    plan = wb.initialize(model, batch()[0], seed=0)
    random = [name for name, p in model.layers[0].named_parameters() if plan[f"layers.0.{name}"].std > 0]
    assert {"self_attn.in_proj_weight", "self_attn.out_proj.weight", "linear1.weight", "linear2.weight"} <= set(random)
    for name in random:
        tensors = [layer.get_parameter(name).detach().flatten() for layer in model.layers]
        for first, second in itertools.combinations(tensors, 2):
            assert not (first == second).any(), name
            assert abs(float(torch.corrcoef(torch.stack([first, second]))[0, 1])) < 5 / first.numel() ** 0.5, name


def test_the_raw_module_is_reported() -> None:
    found = wb.diagnose(encoder(), batch(), loss=nn.functional.mse_loss)
    assert any("6 identical layers" in str(finding) for finding in found.findings), found
    model = encoder()
    wb.initialize(model, batch()[0], seed=0)
    after = wb.diagnose(model, batch(), loss=nn.functional.mse_loss).findings
    assert not any(finding.kind == "copies" for finding in after), after
