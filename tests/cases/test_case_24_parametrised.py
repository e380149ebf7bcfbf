"""Case 24: reparametrised weights. The effective weight is the planned one, or planning says why it cannot be."""

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations, parametrize, prune

import wellbegun as wb
from wellbegun.errors import WellbegunError

OLD = "ignore:`torch.nn.utils.weight_norm` is deprecated"
pytestmark = [pytest.mark.filterwarnings(OLD), pytest.mark.filterwarnings("ignore:.*weight_norm.*is deprecated")]


def network(wrap=lambda layer: layer) -> nn.Sequential:
    return nn.Sequential(nn.Linear(16, 32), nn.ReLU(), wrap(nn.Linear(32, 32)), nn.ReLU(), nn.Linear(32, 4))


def start(model: nn.Module, **more: object) -> tuple[wb.Plan, torch.Tensor]:
    """The plan, and the weight that the layer in the middle multiplies with."""
    plan = wb.initialize(model, "vector:16", seed=3, **more)
    model.eval()
    model(torch.zeros(1, 16))  # old forms compute the weight in a hook
    return plan, model[2].weight.detach()


PLAIN = [None, {"2.weight": wb.Normal(0.3)}, {"2.weight": wb.XavierUniform()}, {"2.weight": wb.Orthogonal(1.5)}]


@pytest.mark.parametrize("rules", PLAIN, ids=["auto", "normal", "xavier", "orthogonal"])
@pytest.mark.parametrize("form", ["new", "old", "old dim=1"])
def test_weight_norm_holds_exactly_the_planned_weight(form: str, rules: object) -> None:
    wrap = {
        "new": parametrizations.weight_norm,
        "old": nn.utils.weight_norm,
        "old dim=1": lambda layer: nn.utils.weight_norm(layer, dim=1),
    }[form]
    plain, expected = start(network(), rules=rules)
    plan, found = start(network(wrap), rules=rules)
    assert plan["2.weight"].law == plain["2.weight"].law
    # g·v/|v| rounds once more than v does
    assert (found - expected).abs().max() <= 2e-7 * expected.abs().max()


@pytest.mark.parametrize("rules", PLAIN[:3], ids=["auto", "normal", "xavier"])
def test_pruning_multiplies_the_planned_weight_with_its_mask(rules: object) -> None:
    _, expected = start(network(), rules=rules)
    model = network()
    prune.l1_unstructured(model[2], "weight", 0.4)
    mask = model[2].weight_mask.clone()
    assert 0.3 < float((mask == 0).float().mean()) < 0.5
    _, found = start(model, rules=rules)
    assert torch.equal(found, expected * mask)
    assert torch.equal(model[2].weight_mask, mask)


@pytest.mark.parametrize("form", ["new", "old"])
def test_spectral_norm_follows_the_law_up_to_its_scale(form: str) -> None:
    _, expected = start(network())
    model = network(parametrizations.spectral_norm if form == "new" else nn.utils.spectral_norm)
    _, found = start(model)
    ratio = (found / expected).flatten()
    assert (ratio - ratio[0]).abs().max() < 1e-4 * ratio[0]
    # u and v were estimated anew: the largest singular value is 1 in the first pass already
    assert float(torch.linalg.matrix_norm(found.double(), 2)) == pytest.approx(1, rel=1e-2)


def test_the_orthogonal_parametrisation_takes_an_orthogonal_law_only() -> None:
    model = network(parametrizations.orthogonal)
    _, found = start(model)
    assert (found.double() @ found.double().T - torch.eye(32)).abs().max() < 1e-5
    _, expected = start(network(), rules={"2.weight": wb.Orthogonal()})
    assert (found - expected).abs().max() < 1e-5
    for law in (wb.Normal(0.1), wb.Orthogonal(2.0), wb.HeNormal()):
        with pytest.raises(WellbegunError, match=r"2\.weight.*orthogonal"):
            wb.initialize(network(parametrizations.orthogonal), "vector:16", seed=3, rules={"2.weight": law})


class Symmetric(nn.Module):
    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        return weight.triu() + weight.triu(1).T


def test_anything_else_is_an_error() -> None:
    model = network()
    parametrize.register_parametrization(model[2], "weight", Symmetric())
    with pytest.raises(WellbegunError, match=r"(?s)2\.parametrizations\.weight\.original \[32, 32\].*derived: triu"):
        wb.plan(model, "vector:16", seed=3)
