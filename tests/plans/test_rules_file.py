"""Rules as TOML: order, and errors that name the rule and the line."""

from pathlib import Path

import pytest

from wellbegun.errors import ArgumentError, ShadowedRuleError
from wellbegun.laws import Keep, Normal, Zeros
from wellbegun.plans import Candidate, assign_rules, load_rules

GOOD = """\
# mine
[[rule]]
match = "*"
init = "normal(std=0.02)"
reason = "as in the paper"

[[rule]]
match = "re:.*bias"
init = "zeros"

[[rule]]
match = "type:Embedding"
init = "keep"
"""


def test_rules_in_order(tmp_path: Path) -> None:
    (tmp_path / "rules.toml").write_text(GOOD)
    rules = load_rules(tmp_path / "rules.toml")
    assert [rule.initializer for rule in rules] == [Normal(0.02), Zeros(), Keep()]
    assert str(rules[1]) == "rule 're:.*bias' (rules.toml, rule 2, line 7)"
    assert rules[0].reason == "as in the paper"


def test_the_place_is_named_when_a_rule_has_no_effect(tmp_path: Path) -> None:
    (tmp_path / "r.toml").write_text('rule = [{match = "*.bias", init = "zeros"}, {match = "*", init = "ones"}]')
    with pytest.raises(ShadowedRuleError, match=r"\(r\.toml, rule 1\) has no effect"):
        assign_rules(load_rules(tmp_path / "r.toml"), [Candidate("a.bias")])


BAD = {
    '[[rule]]\nmatch = "*"\ninti = "zeros"': r"r\.toml, rule 1, line 1: unknown key 'inti' \(did you mean 'init'\?\)",
    '\n\n[[rule]]\nmatch = "*"': r"rule 1, line 3: init missing",
    '[[rule]]\ninit = "zeros"\n[[rule]]\nmatch="*"\ninit="zeros"': r"rule 1, line 1: match missing",
    '[[rule]]\nmatch="*"\ninit="zeros"\n[[rule]]\nmatch = "*"\ninit = "zeroes"': r"rule 2, line 4: .*'zeros'",
    '[[rule]]\nmatch = "*"\ninit = "normal(std=-1)"': r"line 1: .*must not be negative",
    '[[rule]]\nmatch = "*"\ninit = 0': r"line 1: init must be text, got 0",
    '[[rule]]\nmatch = "re:("\ninit = "zeros"': r"line 1: .*regular expression",
    '[[rules]]\nmatch = "*"\ninit = "zeros"': r"unknown key 'rules' \(did you mean 'rule'",
    "[[rule]\n": r"is not TOML: .*line 1",
    "": r"has no list of rules",
    "rule = 3": r"has no list of rules",
    "rule = [3]": r"a rule is a table",
}


@pytest.mark.parametrize("text", BAD)
def test_what_is_wrong_is_named_with_its_place(text: str, tmp_path: Path) -> None:
    (tmp_path / "r.toml").write_text(text)
    with pytest.raises(ArgumentError, match=BAD[text]):
        load_rules(tmp_path / "r.toml")


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match="cannot read the rules"):
        load_rules(tmp_path / "none.toml")
    (tmp_path / "r.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(ArgumentError, match="no text in UTF-8"):
        load_rules(tmp_path / "r.toml")
