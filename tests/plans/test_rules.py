"""The user's rules: globs, regular expressions, who wins, and rules without effect."""

import pytest

from wellbegun.errors import ArgumentError, PlanError, ShadowedRuleError, UnusedRuleError
from wellbegun.laws import HeNormal, Initializer, Normal, Ones, Zeros
from wellbegun.plans import assign_rules, make_rules

NAMES = [("h.0.attn.weight",), ("h.0.attn.bias",), ("h.1.attn.weight",), ("head.weight", "table.weight")]


def assigned(rules: dict[str, Initializer], names: list[tuple[str, ...]] = NAMES) -> dict[str, str]:
    return {name: rule.pattern for name, rule in assign_rules(make_rules(rules), names).items()}


def test_globs_and_regular_expressions_match_whole_names() -> None:
    assert assigned({"*.attn.weight": Ones()}) == dict.fromkeys(["h.0.attn.weight", "h.1.attn.weight"], "*.attn.weight")
    assert assigned({r"re:h\.\d\.attn\.bias": Ones()}) == {"h.0.attn.bias": r"re:h\.\d\.attn\.bias"}
    assert assigned({"h.[1-9].*": Ones()}) == {"h.1.attn.weight": "h.[1-9].*"}
    for pattern in ("attn", "re:attn", "H.0.attn.weight", "re:h"):
        with pytest.raises(UnusedRuleError):
            assigned({pattern: Ones()})


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


def test_ties_match_by_any_name() -> None:
    assert assigned({"table.*": Zeros()}) == {"head.weight": "table.*"}
    assert assigned({"*": Zeros(), "table.weight": Ones()})["head.weight"] == "table.weight"


def test_conflicting_rules_for_the_names_of_one_tensor() -> None:
    more = [*NAMES, ("head.bias",)]
    with pytest.raises(PlanError, match=r"one tensor.*'head\.\*' asks for Zeros\(\).*'table\.\*' for Ones\(\)"):
        assigned({"head.*": Zeros(), "table.*": Ones()}, more)
    with pytest.raises(PlanError):
        assigned({"head.weight": Zeros(), "table.weight": Ones()})
    same = assigned({"head.*": Zeros(), "table.*": Zeros()}, more)
    assert same == {"head.weight": "table.*", "head.bias": "head.*"}


@pytest.mark.parametrize("pattern", ["re:(", "re:*", "re:[a"])
def test_bad_regular_expressions(pattern: str) -> None:
    with pytest.raises(ArgumentError, match="no valid regular expression"):
        make_rules({pattern: Zeros()})


@pytest.mark.parametrize("value", [0.0, "he", None, Zeros, {"std": 1}])
def test_what_is_no_initializer(value: object) -> None:
    with pytest.raises(ArgumentError, match="must give an initializer"):
        make_rules({"*": value})


@pytest.mark.parametrize("rules", [[("*", Zeros())], "*", {3: Zeros()}, {None: Zeros()}, Zeros()])
def test_what_is_no_mapping_of_patterns(rules: object) -> None:
    with pytest.raises(ArgumentError, match="rules must be a dictionary"):
        make_rules(rules)


def test_no_rules() -> None:
    assert make_rules(None) == make_rules({}) == ()
    assert assign_rules((), NAMES) == {}
