"""Weights that are computed from other tensors: what is computed is what was planned."""

import math
import warnings
from collections.abc import Callable

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations, parametrize, prune

import wellbegun as wb
from wellbegun.errors import ApplyError

SHAPES: dict[str, tuple[Callable[[], nn.Module], str]] = {
    "linear": (lambda: nn.Linear(8, 6), "vector:8"),
    "convolution": (lambda: nn.Conv2d(3, 4, 3), "image:3x8x8"),
    "transposed convolution": (lambda: nn.ConvTranspose1d(4, 3, 4), "float:4x16"),
}


def old(kind: str, module: nn.Module, **more: object) -> nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        return getattr(nn.utils, kind)(module, **more)


def planned_weight(plan: wb.Plan, name: str = "weight") -> torch.Tensor:
    return torch.from_numpy(wb.to_numpy(plan, name))


def on_meta(module: nn.Module) -> nn.Module:
    return module.to("meta")


NORMS: dict[str, Callable[[nn.Module], nn.Module]] = {
    "new": parametrizations.weight_norm,
    "new, other dimension": lambda module: parametrizations.weight_norm(module, dim=1),
    "new, one norm": lambda module: parametrizations.weight_norm(module, dim=None),
    "old": lambda module: old("weight_norm", module),
    "old, one norm": lambda module: old("weight_norm", module, dim=None),
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("form", NORMS)
@pytest.mark.parametrize("meta", [False, True])
def test_weight_norm_holds_the_planned_weight(form: str, shape: str, meta: bool) -> None:
    build, inputs = SHAPES[shape]
    bare = wb.plan(build(), inputs, seed=3, recipe="he")
    module = NORMS[form](build())
    if meta:
        module = on_meta(module)
    plan = wb.initialize(module, inputs, seed=3, recipe="he")
    assert {entry.name: entry.law for entry in plan} == {entry.name: entry.law for entry in bare}
    module(torch.ones(SHAPE_OF[shape]))
    found = module.weight.detach()
    assert torch.allclose(found, planned_weight(plan), rtol=1e-6, atol=0)
    exact = (found == planned_weight(plan)).float().mean()
    assert exact > 0.7 if "one norm" in form else exact == 1
    other = NORMS[form](build())
    wb.apply(bare, other)
    other(torch.ones(SHAPE_OF[shape]))
    assert torch.equal(other.weight, module.weight)


SHAPE_OF = {"linear": (1, 8), "convolution": (1, 3, 8, 8), "transposed convolution": (1, 4, 16)}


@pytest.mark.parametrize("form", NORMS)
def test_a_weight_of_zeros_under_weight_norm_is_zero_and_can_learn(form: str) -> None:
    module = NORMS[form](nn.Linear(8, 6))
    wb.initialize(module, "vector:8", seed=3, rules={"weight": wb.Zeros()})
    module(torch.ones(2, 8)).sum().backward()
    assert (module.weight == 0).all()
    assert all(torch.isfinite(p.grad).all() for p in module.parameters())
    assert sum(float(p.grad.abs().sum()) for name, p in module.named_parameters() if name != "bias") > 0


@pytest.mark.parametrize("meta", [False, True])
@pytest.mark.parametrize("form", ["new", "old"])
@pytest.mark.parametrize("shape", SHAPES)
def test_spectral_norm_follows_the_law_up_to_its_scale(shape: str, form: str, meta: bool) -> None:
    build, inputs = SHAPES[shape]
    torch.manual_seed(0)
    module = parametrizations.spectral_norm(build()) if form == "new" else old("spectral_norm", build())
    if meta:
        module = on_meta(module)
    plan = wb.initialize(module, inputs, seed=3, recipe="he")
    state = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    module.eval()(torch.ones(SHAPE_OF[shape]))
    wanted, found = planned_weight(plan), module.weight.detach()
    assert torch.allclose(found / found.norm(), wanted / wanted.norm(), atol=1e-6)
    rows = found.movedim(1 if "transposed" in shape else 0, 0).flatten(1)
    assert float(torch.linalg.matrix_norm(rows, 2)) == pytest.approx(1, abs=0.02)
    torch.manual_seed(1)
    again = parametrizations.spectral_norm(build()) if form == "new" else old("spectral_norm", build())
    wb.initialize(again, inputs, seed=3, recipe="he")
    assert all(torch.equal(value, state[name]) for name, value in again.state_dict().items())


def test_spectral_norm_cannot_hold_zeros() -> None:
    module = parametrizations.spectral_norm(nn.Linear(4, 4))
    with pytest.raises(ApplyError, match="largest singular value, which would be 0"):
        wb.initialize(module, "vector:4", seed=3, rules={"weight": wb.Zeros()})


def test_a_pruned_weight_is_the_planned_one_times_its_mask() -> None:
    module = prune.random_unstructured(nn.Linear(8, 6), "weight", 0.5)
    prune.random_unstructured(module, "weight", 0.5)
    mask = module.weight_mask.clone()
    plan = wb.initialize(module, "vector:8", seed=3)
    assert torch.equal(module.weight_orig, planned_weight(plan))
    assert torch.equal(module.weight, planned_weight(plan) * mask)
    assert torch.equal(module.weight_mask, mask)
    assert 0 < mask.mean() < 1
    assert isinstance(plan["weight_mask"].law, wb.Keep)
    wb.apply(wb.plan(nn.Linear(8, 6), "vector:8", seed=4), module, overwrite=True, strict=False)
    assert torch.equal(module.weight, planned_weight(plan.with_seed(4)) * mask)


@pytest.mark.parametrize("form", ["matrix_exp", "cayley", "householder"])
@pytest.mark.parametrize("size", [(8, 8), (8, 6), (6, 8)])
def test_the_orthogonal_parametrisation_holds_the_planned_matrix(form: str, size: tuple[int, int]) -> None:
    def build() -> nn.Module:
        return parametrizations.orthogonal(nn.Linear(*size), orthogonal_map=form)

    module = build()
    before = torch.get_rng_state()
    plan = wb.initialize(module, f"vector:{size[0]}", seed=3)
    assert isinstance(plan["weight"].law, wb.Orthogonal)
    assert torch.equal(before, torch.get_rng_state())
    assert torch.allclose(module.weight, planned_weight(plan), atol=1e-5)
    again = on_meta(build())
    wb.apply(plan, again)
    assert torch.equal(module.weight, again.weight)
    assert all(torch.equal(value, again.state_dict()[name]) for name, value in module.state_dict().items())


def test_the_orthogonal_parametrisation_takes_nothing_else() -> None:
    module = parametrizations.orthogonal(nn.Linear(6, 6))
    before = module.weight.detach().clone()
    for law in (wb.HeNormal(), wb.Orthogonal(gain=2.0), wb.Zeros()):
        with pytest.raises(ApplyError, match=r"holds Orthogonal\(\) with gain 1 only"):
            wb.initialize(module, "vector:6", seed=3, rules={"weight": law})
    rigid = parametrizations.orthogonal(nn.Linear(6, 6), use_trivialization=False)
    with pytest.raises(ApplyError, match="cannot be set: It is not possible to assign"):
        wb.initialize(rigid, "vector:6", seed=3)
    assert torch.equal(module.weight, before)


class Doubled(nn.Module):
    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        return 2 * weight


def test_other_parametrisations_are_an_error_that_says_what_to_do() -> None:
    module = nn.Sequential(nn.Linear(4, 4))
    plan = wb.plan(module, "vector:4", seed=3)
    parametrize.register_parametrization(module[0], "weight", Doubled())
    with pytest.raises(ApplyError, match=r"0\.weight: computed by a parametrisation that wellbegun cannot set"):
        wb.apply(plan, module)
    # its own tensor can be planned all the same: outputs of second moment 1/2 from a weight that is doubled on the way
    made = wb.plan(module, "vector:4", seed=3)
    assert made["0.parametrizations.weight.original"].std == pytest.approx(0.5 * math.sqrt(0.5 / 4))
    made = wb.initialize(module, "vector:4", seed=3, rules={"*": wb.Normal(std=0.1)})
    assert torch.equal(module[0].weight, 2 * planned_weight(made, "0.parametrizations.weight.original"))


def test_tracing_leaves_parametrised_modules_as_they_were() -> None:
    module = nn.Sequential(
        old("weight_norm", nn.Linear(4, 4)), parametrizations.spectral_norm(nn.Linear(4, 4)), nn.LSTM(4, 4)
    )
    old("weight_norm", module[2], name="weight_hh_l0")
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    plan = wb.plan(module[:2], "vector:4", seed=3)
    assert [entry.name for entry in plan if entry.name.endswith("weight")] == ["0.weight", "1.weight"]
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
    assert len(module[0]._forward_pre_hooks) == 1
    assert not module[0].weight.is_meta
    module(torch.ones(2, 4))[0].sum().backward()


def test_a_recurrent_layer_under_weight_norm() -> None:
    module = old("weight_norm", nn.LSTM(4, 4), name="weight_hh_l0")
    rules = {"*": wb.Zeros(), "weight_*": wb.Orthogonal()}
    plan = wb.initialize(module, torch.zeros(3, 2, 4), seed=3, rules=rules)
    module(torch.ones(3, 2, 4))
    assert torch.allclose(module.weight_hh_l0, planned_weight(plan, "weight_hh_l0"), rtol=1e-6)
    assert any(weight is module.weight_hh_l0 for weight in module._flat_weights)


def test_a_second_application_and_training_states() -> None:
    module = nn.Sequential(parametrizations.weight_norm(nn.Linear(4, 4)), nn.BatchNorm1d(4))
    module[0].parametrizations.weight.original0.requires_grad_(False)
    plan = wb.initialize(module, "vector:4", seed=3)
    assert not module[0].parametrizations.weight.original0.requires_grad
    with pytest.raises(ApplyError, match=r"0\.weight: a plan was already applied to it"):
        wb.apply(plan, module)


def test_fill_missing_in_parametrised_models() -> None:
    plain, normed = nn.Sequential(nn.Linear(4, 4)), nn.Sequential(parametrizations.weight_norm(nn.Linear(4, 4)))
    plan = wb.plan(plain, "vector:4", seed=3)
    missing, _ = normed.load_state_dict(plain.state_dict(), strict=False)
    assert set(missing) == {"0.parametrizations.weight.original0", "0.parametrizations.weight.original1"}
    done = wb.fill_missing(plan, normed, missing)
    assert (done.written, done.kept) == (1, 1)
    assert torch.equal(normed[0].weight, planned_weight(plan, "0.weight"))
    assert torch.equal(normed[0].bias, plain[0].bias)
    with pytest.raises(ApplyError, match=r"original1 was loaded and others not"):
        wb.fill_missing(plan, normed, missing[:1], overwrite=True)


@pytest.mark.parametrize("form", ["new", "old"])
def test_singular_vectors_alone_are_estimated_from_the_loaded_weight(form: str) -> None:
    source = parametrizations.spectral_norm(nn.Linear(4, 4)) if form == "new" else old("spectral_norm", nn.Linear(4, 4))
    plan = wb.plan(source, "vector:4", seed=3)
    loaded = {name: value for name, value in source.state_dict().items() if not name.endswith(("_u", "_v"))}
    module = parametrizations.spectral_norm(nn.Linear(4, 4)) if form == "new" else old("spectral_norm", nn.Linear(4, 4))
    missing, _ = module.load_state_dict(loaded, strict=False)
    done = wb.fill_missing(plan, module, missing)
    assert (done.written, done.kept) == (0, 2)
    assert float(torch.linalg.matrix_norm(module.eval().weight.detach(), 2)) == pytest.approx(1, abs=1e-3)
    name = "parametrizations.weight.original" if form == "new" else "weight_orig"
    assert torch.equal(module.state_dict()[name], source.state_dict()[name])


def test_one_parametrised_layer_under_two_names() -> None:
    layer = parametrizations.weight_norm(nn.Linear(4, 4))
    module = nn.Sequential(layer, nn.ReLU(), layer)
    plan = wb.initialize(module, "vector:4", seed=3)
    assert plan["2.weight"].name == "0.weight"
    assert torch.equal(layer.weight, planned_weight(plan, "0.weight"))


def test_a_table_tied_to_a_head_under_spectral_norm() -> None:
    def build() -> nn.Module:
        table, head = nn.Embedding(8, 4), nn.Linear(4, 8, bias=False)
        head.weight = table.weight
        return nn.Sequential(table, parametrizations.spectral_norm(head))

    module = build()
    plan = wb.initialize(module, "tokens:5", seed=3)
    assert plan["1.weight"].name == "0.weight"
    assert torch.equal(module[0].weight, planned_weight(plan, "0.weight"))
    found = module.eval()[1].weight.detach()
    assert float(torch.linalg.matrix_norm(found, 2)) == pytest.approx(1, abs=1e-3)


def test_a_table_under_weight_norm_keeps_its_padding_row_at_zero() -> None:
    module = parametrizations.weight_norm(nn.Embedding(6, 4, padding_idx=2))
    plan = wb.initialize(module, "tokens:5", seed=3)
    assert (module.weight[2] == 0).all()
    assert torch.equal(module.weight, planned_weight(plan))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
@pytest.mark.parametrize("form", [*NORMS])
def test_weight_norm_in_other_precisions(form: str, dtype: torch.dtype) -> None:
    module = NORMS[form](nn.Linear(8, 6).to(dtype))
    plan = wb.plan(module, torch.ones(2, 8, dtype=dtype), seed=3)
    wb.apply(plan, module)
    module(torch.ones(1, 8, dtype=dtype))
    wanted = torch.empty(6, 8, dtype=dtype)
    wb.fill(wanted, plan["weight"].law, seed=3, name="weight")
    assert torch.allclose(module.weight, wanted, rtol=2**-7 if dtype == torch.bfloat16 else 1e-14, atol=0)


@pytest.mark.parametrize("kind", ["weight_norm", "spectral_norm", "orthogonal"])
def test_what_the_author_draws_is_the_law_of_the_parametrised_weight(kind: str) -> None:
    with wb.skeleton():
        module = nn.Sequential(getattr(parametrizations, kind)(nn.Linear(8, 8)))
    plan = wb.plan(module, "vector:8", seed=3, recipe="author")
    law = (
        wb.Orthogonal()
        if kind == "orthogonal"
        else wb.plan(lambda: nn.Linear(8, 8), seed=3, recipe="author")["weight"].law
    )
    assert plan["0.weight"].law == law
    wb.apply(plan, module)
    assert torch.isfinite(module(torch.ones(2, 8))).all()
