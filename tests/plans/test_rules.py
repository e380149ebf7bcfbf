"""The user's rules: what each kind of pattern matches, who wins, and rules without effect."""

import re

import pytest

from wellbegun.errors import ArgumentError, PlanError, ShadowedRuleError, UnusedRuleError
from wellbegun.laws import HeNormal, Initializer, Keep, Normal, Ones, Zeros
from wellbegun.plans import Candidate, assign_rules, make_rules
from wellbegun.plans.rules import parse_initializer

LINEAR = ("torch.nn.modules.linear.Linear", "torch.nn.modules.module.Module")
TABLE = ("torch.nn.modules.sparse.Embedding", "torch.nn.modules.module.Module")
NORM = (
    "torch.nn.modules.batchnorm.BatchNorm1d",
    "torch.nn.modules.batchnorm._BatchNorm",
    "torch.nn.modules.module.Module",
)


def of(name: str, holder: tuple[str, ...] = LINEAR, **more: object) -> Candidate:
    given = {"shape": (4, 4), "role": "linear weight", "attribute": name.rpartition(".")[2], "types": (holder,)}
    return Candidate(name, **(given | more))


MODEL = [
    of("h.0.attn.weight"),
    of("h.0.attn.bias", shape=(4,), role="bias"),
    of("h.1.attn.weight"),
    of("head.weight", ties=("table.weight",), types=(LINEAR, TABLE)),
    of("norm.weight", NORM, shape=(4,), role="normalisation scale"),
    of("norm.bias", NORM, shape=(4,), role="normalisation shift"),
    of("norm.running_var", NORM, kind="buffer", shape=(4,), role="running variance"),
    of("norm.num_batches_tracked", NORM, kind="buffer", shape=(), role="counter"),
    of("rope.inv_freq", ("Rope", "torch.nn.modules.module.Module"), kind="buffer", shape=(2,), role="other"),
]
WEIGHTS = ["h.0.attn.weight", "h.1.attn.weight", "head.weight"]
BUFFERS = ["norm.running_var", "norm.num_batches_tracked", "rope.inv_freq"]


def assigned(rules: dict[object, Initializer | str], model: list[Candidate] = MODEL) -> dict[str, str]:
    return {name: rule.pattern.text for name, rule in assign_rules(make_rules(rules), model).winners.items()}


def test_globs_and_regular_expressions_match_whole_names() -> None:
    assert list(assigned({"*.attn.weight": Ones()})) == WEIGHTS[:2]
    assert assigned({r"re:h\.\d\.attn\.bias": Ones()}) == {"h.0.attn.bias": r"re:h\.\d\.attn\.bias"}
    assert assigned({"h.[1-9].*": Ones()}) == {"h.1.attn.weight": "h.[1-9].*"}
    for pattern in ("attn", "re:attn", "H.0.attn.weight", "re:h"):
        with pytest.raises(UnusedRuleError):
            assigned({pattern: Ones()})


def test_a_leading_star_and_dot_is_any_path_the_empty_one_too() -> None:
    single = [of("weight"), of("bias", shape=(4,), role="bias"), of("mybias", role="bias")]
    assert assigned({"*": Normal(0.02), "*.bias": Zeros()}, single) == {"weight": "*", "bias": "*.bias", "mybias": "*"}
    assert assigned({"*.bias": Zeros()}, [*single, of("a.b.bias", role="bias")]) == dict.fromkeys(
        ["bias", "a.b.bias"], "*.bias"
    )


def test_what_everybody_types_leaves_normalisation_and_buffers_alone() -> None:
    found = assigned({"*": Normal(0.02), "*.bias": Zeros()})
    assert found == dict.fromkeys(WEIGHTS, "*") | {"h.0.attn.bias": "*.bias"}
    assert not set(assigned({"*.weight": Normal(0.02)})) & {"norm.weight"}
    assert "norm.bias" not in assigned({"re:.*bias": Zeros()})


def test_a_pattern_that_matches_nothing_else_means_normalisation_or_buffers() -> None:
    assert list(assigned({"norm.*": Ones()})) == ["norm.weight", "norm.bias"]
    assert list(assigned({"*.running_var": Ones()})) == ["norm.running_var"]
    assert list(assigned({"rope.*": Zeros()})) == ["rope.inv_freq"]
    assert list(assigned({"norm.weight": Zeros()})) == ["norm.weight"]
    assert list(assigned({"norm.running_var": Zeros()})) == ["norm.running_var"]


def test_prefixes_name_the_group() -> None:
    assert list(assigned({"norm:*": Ones()})) == ["norm.weight", "norm.bias"]
    assert list(assigned({"norm:*.weight": Ones()})) == ["norm.weight"]
    assert list(assigned({"buffer:*": Ones()})) == BUFFERS
    assert list(assigned({"buffer:type:BatchNorm1d": Ones()})) == BUFFERS[:2]
    with pytest.raises(UnusedRuleError, match=r"'norm:h\.\*' matches only parameters, and its prefix asks for norm"):
        assigned({"norm:h.*": Ones()})
    with pytest.raises(UnusedRuleError, match=r"'buffer:rope\.inv_frek'.*'rope\.inv_freq'"):
        assigned({"buffer:rope.inv_frek": Ones()})


def test_keep_reaches_everything() -> None:
    assert list(assigned({"*": Keep()})) == [candidate.name for candidate in MODEL]


def test_module_types() -> None:
    for pattern in ("type:Linear", "type:torch.nn.Linear", "type:torch.nn.modules.linear.Linear"):
        assert list(assigned({pattern: Ones()})) == [
            "h.0.attn.weight",
            "h.0.attn.bias",
            "h.1.attn.weight",
            "head.weight",
        ]
    assert list(assigned({"type:Linear.bias": Ones()})) == ["h.0.attn.bias"]
    assert list(assigned({"type:torch.nn.Linear.weight": Ones()})) == WEIGHTS
    assert list(assigned({"type:Embedding": Ones()})) == ["head.weight"]
    assert list(assigned({"type:_BatchNorm": Ones()})) == ["norm.weight", "norm.bias"]
    assert list(assigned({"type:BatchNorm1d.running_*": Ones()})) == ["norm.running_var"]
    for pattern in ("type:linear", "type:nn.Linear", "type:Linear.scale", "type:my.Linear"):
        with pytest.raises(UnusedRuleError):
            assigned({pattern: Ones()})
    with pytest.raises(UnusedRuleError, match=r"type:Linaer.*no module.*'Linear'"):
        assigned({"type:Linaer": Ones()})


def test_a_class_is_a_type() -> None:
    kind = type("Linear", (), {"__module__": "torch.nn.modules.linear"})
    assert assigned({kind: Ones()})["h.0.attn.bias"] == "type:Linear"
    other = type("Linear", (), {"__module__": "mine"})
    with pytest.raises(UnusedRuleError, match="type:Linear"):
        assigned({other: Ones()})


def test_functions_of_a_description_reach_what_they_say() -> None:
    assert list(assigned({lambda tensor: tensor.shape == (4,): Ones()})) == [
        "h.0.attn.bias", "norm.weight", "norm.bias", "norm.running_var",
    ]  # fmt: skip
    assert list(assigned({lambda tensor: tensor.role == "bias": Ones()})) == ["h.0.attn.bias"]

    def never(tensor: Candidate) -> bool:
        return False

    with pytest.raises(UnusedRuleError, match="function never"):
        assigned({never: Ones()})
    with pytest.raises(ArgumentError, match=r"must return True or False, got \(4, 4\)"):
        assigned({lambda tensor: tensor.shape: Ones()})
    with pytest.raises(ArgumentError, match=r"failed for h\.0\.attn\.weight: AttributeError"):
        assigned({lambda tensor: tensor.colour: Ones()})


def test_the_later_of_two_wins() -> None:
    found = assigned({"*": Normal(1.0), "*.weight": HeNormal(), "head.weight": Zeros()})
    assert list(found.values()) == ["*.weight", "*", "*.weight", "head.weight"]


def test_a_rule_that_matches_nothing_offers_the_closest_names() -> None:
    with pytest.raises(UnusedRuleError, match=r"'h\.0\.atn\.weight' matches no.*'h\.0\.attn\.weight'"):
        assigned({"h.0.atn.weight": Zeros()})
    with pytest.raises(UnusedRuleError, match=r"re:tabel\.weight.*'table\.weight'"):
        assigned({"re:tabel.weight": Zeros()})


def test_a_rule_that_is_overridden_everywhere() -> None:
    with pytest.raises(ShadowedRuleError, match=r"'head\.weight' has no effect: later rules \(\*\).*last"):
        assigned({"head.weight": Zeros(), "*": Ones()})
    with pytest.raises(ShadowedRuleError, match=r"\*\.bias, \*\.weight"):
        assigned({"*": Zeros(), "*.weight": Ones(), "*.bias": Ones()})
    same = make_rules({"*.bias": Zeros()})
    with pytest.raises(ShadowedRuleError):
        assign_rules(same + make_rules({"*.bias": Ones()}), MODEL)


def test_ties_match_by_any_name() -> None:
    assert assigned({"table.*": Zeros()}) == {"head.weight": "table.*"}
    assert assigned({"*": Zeros(), "table.weight": Ones()})["head.weight"] == "table.weight"


def test_conflicting_rules_for_the_names_of_one_tensor() -> None:
    more = [*MODEL, of("head.bias"), of("table.scale", TABLE)]
    message = r"one tensor.*'head\.\*' asks for Zeros\(\).*'table\.\*' for Ones\(\)"
    with pytest.raises(PlanError, match=message):
        assigned({"head.*": Zeros(), "table.*": Ones()}, more)
    with pytest.raises(PlanError, match="matches both names"):
        assigned({"type:Linear": Zeros(), "type:Embedding": Ones()}, more)
    assert assigned({"head.*": Zeros(), "table.*": Zeros()}, more)["head.weight"] == "table.*"
    settled = assigned({"head.*": Zeros(), "table.*": Ones(), r"re:(head|table)\.weight": Normal(0.1)}, more)
    assert settled["head.weight"].startswith("re:")


@pytest.mark.parametrize("pattern", ["re:(", "re:*", "re:[a", "norm:re:("])
def test_bad_regular_expressions(pattern: str) -> None:
    with pytest.raises(ArgumentError, match="no valid regular expression"):
        make_rules({pattern: Zeros()})


@pytest.mark.parametrize("value", [0.0, None, Zeros, {"std": 1}])
def test_what_is_no_initializer(value: object) -> None:
    with pytest.raises(ArgumentError, match="must give an initializer"):
        make_rules({"*": value})


def test_initializers_as_text() -> None:
    assert parse_initializer("Keep") == Keep()
    assert parse_initializer("kaiming(mode='fan_out')") == HeNormal(mode="fan_out")
    with pytest.raises(ArgumentError, match=re.escape("rule '*.bias': no method is called 'zeroes'") + ".*'zeros'"):
        make_rules({"*.bias": "zeroes"})


@pytest.mark.parametrize("rules", [[("*", Zeros())], "*", {3: Zeros()}, {None: Zeros()}, Zeros(), (1,)])
def test_what_are_no_rules(rules: object) -> None:
    with pytest.raises(ArgumentError, match=r"rules must be|a rule matches by"):
        make_rules(rules)


def test_no_rules() -> None:
    assert make_rules(None) == make_rules({}) == ()
    assert assign_rules((), MODEL).winners == {}


def test_two_hundred_rules_on_ten_thousand_tensors_take_a_moment() -> None:
    model = [of(f"layers.{i}.weight") for i in range(10_000)]
    rules = {f"layers.{i}.*": Ones() for i in range(40)}
    assert len(assigned(rules, model)) == 40


def test_rules_that_agree_on_the_names_of_one_tensor_are_both_in_force() -> None:
    rules = {"head.weight": Normal(0.1), "table.weight": Normal(0.1)}
    assert assigned(rules) == {"head.weight": "table.weight"}
    with pytest.raises(ShadowedRuleError):  # the same name twice: the first has no effect, whatever it says
        assigned({"head.weight": Normal(0.1), "head.*": Normal(0.1)})


def test_whole_numbers_are_storage() -> None:
    codes = of("layer.qweight", dtype="int32")
    packed = [*MODEL, codes]
    assert (codes.is_packed, codes.group) == (True, "buffers")
    assert "layer.qweight" not in assign_rules(make_rules({"*": Normal(0.1)}), packed).winners
    assert "layer.qweight" in assign_rules(make_rules({"layer.qweight": Zeros()}), packed).winners
