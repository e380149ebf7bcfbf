"""Plan and Entry: pure data, saved, loaded, compared and explained."""

from wellbegun.plans.candidate import Candidate
from wellbegun.plans.diff import Change, PlanDiff
from wellbegun.plans.entry import Entry
from wellbegun.plans.explanation import Finding
from wellbegun.plans.file import (
    check_writable,
    load_plan,
    plan_from_record,
    plan_to_record,
    save_plan,
    write_text_atomically,
)
from wellbegun.plans.multiplier import Multiplier, multiplier_lines
from wellbegun.plans.plan import Plan
from wellbegun.plans.rules import Assignment, Rule, assign_rules, make_rules
from wellbegun.plans.rules_file import load_rules
from wellbegun.plans.table import PlanView, plan_text

__all__ = [
    "Assignment",
    "Candidate",
    "Change",
    "Entry",
    "Finding",
    "Multiplier",
    "Plan",
    "PlanDiff",
    "PlanView",
    "Rule",
    "assign_rules",
    "check_writable",
    "load_plan",
    "load_rules",
    "make_rules",
    "multiplier_lines",
    "plan_from_record",
    "plan_text",
    "plan_to_record",
    "save_plan",
    "write_text_atomically",
]
