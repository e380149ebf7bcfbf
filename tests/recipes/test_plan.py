"""wb.plan: every tensor exactly once or an error that names it; recipes by name; rules and aliases."""

import pytest
import torch
from torch import nn

import wellbegun as wb
from wellbegun.errors import ArgumentError, PlanError, UnknownNameError, UnplannedError, UnusedRuleError


class Raw(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(8, 8)
        self.position = nn.Parameter(torch.rand(1, 8))
        self.gate = nn.Parameter(torch.rand(8))
        self.idle = nn.Parameter(torch.rand(3))
        self.register_buffer("mask", torch.ones(8), persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer((x + self.position) * self.mask) * self.gate


@pytest.mark.parametrize("recipe", ["auto", "he", "orthogonal"])
def test_what_nothing_accounts_for_is_named(recipe: str) -> None:
    with pytest.raises(UnplannedError) as caught:
        wb.plan(Raw(), "vector:8", seed=0, recipe=recipe)
    text = str(caught.value)
    for part in ("3 of 6", "position [1, 8]", "added", "gate [8]", "multiplied", "idle [3]", "not used", "rules="):
        assert part in text
    assert "mask" not in text


def test_rules_account_for_it() -> None:
    rules = {"position": wb.Normal(0.02), "re:gate|idle": wb.Ones()}
    made = wb.plan(Raw(), "vector:8", seed=0, rules=rules)
    assert sorted(entry.name for entry in made) == sorted(
        name for name, _ in (*Raw().named_parameters(), *Raw().named_buffers())
    )
    assert made["mask"].law == wb.Keep()
    assert made["position"].reason == "your rule 'position'"
    assert made["gate"].role == "multiplied"
    assert made["idle"].role == "unused parameter"


def test_a_computed_buffer_on_meta_is_not_guessed() -> None:
    with torch.device("meta"):
        model = Raw()
    with pytest.raises(UnplannedError, match="mask"):
        wb.plan(model, "vector:8", seed=0, rules={"re:position|gate|idle": wb.Ones()})


def test_a_factory_shows_what_its_constructor_does() -> None:
    made = wb.plan(Raw, "vector:8", seed=0)
    assert made["gate"].law == wb.Uniform(0.0, 1.0)
    assert "Raw.__init__" in made["gate"].reason
    assert made["idle"].role.startswith("unused")


class Standing(Raw):
    """Special tensors that hold one number everywhere: somebody has put it there."""

    def __init__(self) -> None:
        super().__init__()
        for tensor, value in ((self.position, 0.0), (self.gate, 1e-5), (self.idle, 1.0)):
            nn.init.constant_(tensor, value)


def test_numbers_that_stand_everywhere_are_kept() -> None:
    made = wb.plan(Standing(), "vector:8", seed=0)
    laws = [made[name].law for name in ("position", "gate", "idle")]
    assert laws == [wb.Constant(0.0), wb.Constant(1e-5), wb.Constant(1.0)]
    assert "it holds 1e-05 everywhere" in made["gate"].reason


def test_rules_that_do_not_fit_their_tensor() -> None:
    with pytest.raises(PlanError, match=r"0\.bias \[3\].*two dimensions"):
        wb.plan(nn.Sequential(nn.Linear(8, 3)), "vector:8", seed=0, rules={"0.bias": wb.Orthogonal()})
    with pytest.raises(PlanError, match=r"position \[1, 8\].*needs fans.*add"):
        wb.plan(Raw(), "vector:8", seed=0, rules={"*": wb.HeNormal()})
    with pytest.raises(UnusedRuleError, match="closest"):
        wb.plan(nn.Linear(8, 3), "vector:8", seed=0, rules={"wieght": wb.Zeros()})


def test_biases_take_rules_with_fans() -> None:
    made = wb.plan(nn.Linear(16, 4), "vector:16", seed=0, rules={"*": wb.FanInUniform()})
    assert made["bias"].law == wb.Uniform(-0.25, 0.25)


def test_aliases_keep_numbers() -> None:
    old = wb.plan(nn.Sequential(nn.Linear(8, 4)), "vector:8", seed=0)
    renamed = nn.Sequential()
    renamed.add_module("first", nn.Linear(8, 4))
    plain = wb.plan(renamed, "vector:8", seed=0)
    aliased = wb.plan(renamed, "vector:8", seed=0, aliases={"first.weight": "0.weight"})
    assert (wb.to_numpy(aliased, "first.weight") == wb.to_numpy(old, "0.weight")).all()
    assert (wb.to_numpy(plain, "first.weight") != wb.to_numpy(old, "0.weight")).any()
    assert "'0.weight'" in aliased.explain("first.weight")


@pytest.mark.parametrize("aliases", [{"nope": "0.weight"}, ["weight"], {"weight": 3}, "weight"])
def test_bad_aliases(aliases: object) -> None:
    with pytest.raises(ArgumentError, match="aliases"):
        wb.plan(nn.Linear(8, 3), "vector:8", seed=0, aliases=aliases)


def test_recipes_by_method() -> None:
    model = nn.Sequential(nn.Linear(50, 20), nn.ReLU(), nn.BatchNorm1d(20), nn.Linear(20, 5))
    made = wb.plan(model, "vector:50", seed=0, recipe="he")
    assert made.recipe == "he@0"
    assert made["0.weight"].law == wb.Normal(std=0.2)
    assert made["0.bias"].law == wb.Constant(0.0)
    assert made["2.weight"].law == wb.Constant(1.0)
    assert made["0.weight"].source
    assert wb.plan(model, "vector:50", seed=0, recipe="Kaiming").hash == made.hash
    assert wb.plan(model, "vector:50", seed=0, recipe="normal(std=0.02)")["3.weight"].law == wb.Normal(0.02)
    torch_like = wb.plan(model, "vector:50", seed=0, recipe="fan_in_uniform")
    assert torch_like["3.bias"].law.high == pytest.approx(20**-0.5)
    gains = wb.plan(model, "vector:50", seed=0, recipe="orthogonal")
    assert gains["0.weight"].law == wb.Orthogonal(1.0)
    assert wb.plan(model, "vector:50", seed=0, recipe="orthogonal(gain=0.5)")["3.weight"].law == wb.Orthogonal(0.5)


@pytest.mark.parametrize(("recipe", "closest"), [("xaiver", "xavier"), ("orthogonl", "orthogonal"), ("autoo", "auto")])
def test_unknown_recipes_offer_the_closest(recipe: str, closest: str) -> None:
    with pytest.raises(UnknownNameError, match=f"did you mean.*'{closest}'"):
        wb.plan(nn.Linear(2, 2), seed=0, recipe=recipe)


@pytest.mark.parametrize(
    "recipe", ["normal(0.02)", "normal(std=", "he(gain=2)", "normal(std='x')", "normal(std=-1)", 3, wb.Zeros()]
)
def test_recipes_that_cannot_be_read(recipe: object) -> None:
    with pytest.raises(ArgumentError):
        wb.plan(nn.Linear(2, 2), seed=0, recipe=recipe)


def test_bad_seeds_stop_before_tracing() -> None:
    for seed in (-1, 2**64, 1.0, None, True):
        with pytest.raises(ArgumentError):
            wb.plan(nn.Linear(2, 2), seed=seed)
