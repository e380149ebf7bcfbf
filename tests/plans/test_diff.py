"""What differs between two plans, and what explains it."""

from dataclasses import replace

import pytest
import torch
from torch import nn
from transformers import GPT2Config, GPT2LMHeadModel

import wellbegun as wb
from wellbegun.errors import ArgumentError
from wellbegun.laws import Constant, Normal, Orthogonal, Uniform
from wellbegun.plans import Entry, Plan, PlanDiff
from wellbegun.plans.table import plain_text


def entry(name: str, **more: object) -> Entry:
    given = {"kind": "parameter", "shape": (4, 6), "dtype": "float32", "role": "linear weight", "reason": "a reason"}
    return Entry(**({"name": name, "initializer": "", "law": Normal(0.5)} | given | more))


def plan(*entries: Entry, recipe: str = "auto@0", seed: int = 7) -> Plan:
    return Plan(entries, seed, recipe)


def mlp(depth: int) -> nn.Sequential:
    layers = [layer for _ in range(depth) for layer in (nn.Linear(64, 64), nn.ReLU())]
    return nn.Sequential(*layers, nn.Linear(64, 10))


def titles(diff: PlanDiff) -> list[tuple[str, str, str]]:
    return [(finding.level, finding.plan, finding.title) for finding in diff.findings]


def test_differences() -> None:
    first = plan(entry("a"), entry("b"), entry("c", reason="x"))
    second = plan(entry("b", law=Normal(0.25)), entry("c", reason="y"), entry("d"), seed=9)
    diff = first.diff(second)
    assert [(change.name, change.what) for change in diff] == [
        ("a", "only in the first plan"),
        ("b", "std ×0.5"),
        ("d", "only in the second plan"),
    ]
    assert diff["b"].ratio == 0.5
    assert diff["a"].ratio is None
    assert str(diff["b"]) == "b: Normal(std=0.5) → Normal(std=0.25) (std ×0.5)"
    with pytest.raises(KeyError, match="do not differ in 'c'"):
        diff["c"]


def test_no_difference_is_false() -> None:
    made = plan(entry("a", dtype="bfloat16"))
    diff = made.diff(plan(entry("a"), seed=3))
    assert not diff
    assert list(diff) == list(diff.findings) == []
    assert "the same laws for all 1 tensors" in str(diff)
    with pytest.raises(ArgumentError, match="another plan, got str"):
        made.diff("plan.json")


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"stream": "x"}, "stream w → x"),
        ({"ties": ("x",)}, "names not tied → x"),
        ({"zero_row": 1}, "zero row None → 1"),
        ({"shape": (4, 7)}, "shape 4×6 → 4×7"),
        ({"law": Constant(0.0)}, "set to a constant"),
        ({"law": Uniform(-(0.75**0.5), 0.75**0.5)}, "same std, another distribution"),
        ({"law": Normal(0.5, mean=1.0)}, "same std, another distribution"),
    ],
)
def test_every_difference_is_named(change: dict[str, object], what: str) -> None:
    (only,) = plan(entry("w")).diff(plan(replace(entry("w"), **change)))
    assert only.what == what


def test_a_tied_tensor_under_its_other_name_is_the_same_tensor() -> None:
    assert [c.name for c in plan(entry("a", ties=("b",))).diff(plan(entry("b", ties=("a",))))] == ["a"]


def test_repeated_layers_are_one_row() -> None:
    first = plan(*(entry(f"l.{i}.w") for i in range(80)))
    second = plan(*(entry(f"l.{i}.w", law=Normal(0.25)) for i in range(80)), recipe="he@0")
    text = str(first.diff(second))
    assert "auto@0 → he@0 · 80 of 80 tensors differ" in text
    assert text.count("l.{0..79}.w") == 1


def test_a_third_of_the_variance_is_a_signal_that_shrinks() -> None:
    """U(±1/sqrt(n)) behind ReLU: a third of the variance, half of that behind the activation."""
    model = mlp(20)
    diff = wb.plan(model, seed=0).diff(wb.plan(model, seed=0, recipe="fan_in_uniform"))
    (finding,) = [found for found in diff.findings if "signal" in found.title]
    assert (finding.level, finding.plan) == ("error", "second")
    # 6x for each of 19 layers behind ReLU, 3x for the first
    assert "behind each of 20 weights is 5.8x smaller than aimed at (17% to 33% of it)" in finding.text
    assert "has a third of the variance 1/fan_in" in finding.text
    assert "nothing sets the scale anew, so 20 such factors multiply" in finding.text
    back = wb.plan(model, seed=0, recipe="fan_in_uniform").diff(wb.plan(model, seed=0))
    assert [(found.level, found.title) for found in back.findings] == [
        (found.level, found.title) for found in diff.findings
    ]
    assert back.findings[0].plan == "first"


def test_a_signal_that_grows() -> None:
    model = mlp(6)
    diff = wb.plan(model, seed=0).diff(wb.plan(model, seed=0, recipe="normal(std=1)"))
    assert any("the signal grows from layer to layer" in title and level == "error" for level, _, title in titles(diff))


def test_what_is_wrong_with_a_transformer_of_unit_normals() -> None:
    config = GPT2Config(vocab_size=100, n_embd=32, n_layer=4, n_head=2, n_positions=16, bos_token_id=1, eos_token_id=2)
    model, batch = GPT2LMHeadModel(config), {"input_ids": torch.zeros(1, 8, dtype=torch.int64)}
    diff = wb.plan(model, batch, seed=0).diff(wb.plan(model, batch, seed=0, recipe="normal(std=1)"))
    logits = next(found for found in diff.findings if found.title == "logits too large at step 0")
    assert logits.level == "error"
    assert "second moment 32 where 0.5 is aimed at" in logits.text
    assert any("writes onto the residual stream add up to a second moment of" in found.text for found in diff.findings)
    for width in (100, 150):
        text = plain_text(diff, width)
        assert "error, normal@0: logits too large" in text
        assert max(map(len, text.splitlines())) <= width


def test_residual_writes_without_depth_scaling() -> None:
    norm = entry("n", role="normalisation scale", shape=(4,), law=Constant(1.0))
    more = {"fans": wb.Fans(6, 4), "before": 1.0, "after": 1 / 24}
    first = plan(norm, *(entry(f"l.{i}.w", law=Normal((1 / 144) ** 0.5), **more) for i in range(24)))
    second = plan(norm, *(entry(f"l.{i}.w", law=Normal((1 / 6) ** 0.5)) for i in range(24)), recipe="lecun@0")
    (finding,) = first.diff(second).findings
    assert finding.title == "residual writes are not scaled with depth"
    assert "24 writes onto the residual stream add up to a second moment of 24, where 1 is aimed at" in finding.text


def test_depth_scaling_is_judged_beside_the_other_layers() -> None:
    """All weights at 0.02, as in many models: small in themselves, and the writes too large beside the rest."""
    norm = entry("n", role="normalisation scale", shape=(4,), law=Constant(1.0))
    inside = {"fans": wb.Fans(100, 4), "before": 1.0, "after": 1.0}
    out = {"fans": wb.Fans(100, 4), "before": 1.0, "after": 1 / 12}
    names = [(f"l.{i}.{part}", given) for i in range(12) for part, given in (("in", inside), ("out", out))]
    first = plan(norm, *(entry(name, law=Normal((given["after"] / 100) ** 0.5), **given) for name, given in names))
    flat = plan(norm, *(entry(name, law=Normal(0.02)) for name, _ in names), recipe="llama@1")
    finding = next(found for found in first.diff(flat).findings if "not scaled with depth" in found.title)
    assert "each of 12 writes is 12x its share" in finding.text
    scaled = [(name, 0.02 if given is inside else 0.02 / 12**0.5) for name, given in names]
    good = plan(norm, *(entry(name, law=Normal(std)) for name, std in scaled), recipe="gpt2@1")
    assert not any("depth" in found.title for found in first.diff(good).findings)


def test_zeros_and_other_distributions() -> None:
    more = {"fans": wb.Fans(6, 4), "before": 1.0, "after": 1.0}
    first = plan(entry("a", law=Normal(6**-0.5), **more), entry("b", shape=(6, 6), law=Normal(6**-0.5), **more))
    second = plan(entry("a", law=Constant(0.0)), entry("b", shape=(6, 6), law=Orthogonal()))
    assert titles(first.diff(second)) == [
        ("note", "second", "weights that start at zero"),
        ("note", "second", "another distribution of the same size (Normal and Orthogonal)"),
    ]


def test_a_notebook_shows_differences() -> None:
    html = plan(entry("w")).diff(plan(entry("w", law=Normal(0.25))))._repr_html_()
    assert html.startswith('<div class="wellbegun">')
    assert "std ×0.5" in html
