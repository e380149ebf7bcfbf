"""Every planted fault is named, with the module that holds it; and what starting values can mend is mended."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import wellbegun as wb
from wellbegun.diagnosis import Diagnosis, Finding

from .faults import FAULTS, Fault


def started(fault: Fault) -> tuple[torch.nn.Module, Any, wb.Plan]:
    torch.manual_seed(0)
    model, batch = fault.build()
    plan = wb.initialize(model, batch[0], seed=0)
    return model, batch, plan


def diagnosed(fault: Fault, model: torch.nn.Module, batch: Any, plan: wb.Plan) -> Diagnosis:
    return wb.diagnose(model, batch, **fault.options | ({"plan": plan} if "plan" in fault.options else {}))


def blamed(fault: Fault, found: Diagnosis) -> list[Finding]:
    return [f for f in found.findings if f.kind in fault.kinds and f.level in ("error", "warning")]


def test_there_are_enough_of_them_and_each_has_a_name_of_its_own() -> None:
    assert len({fault.name for fault in FAULTS}) == len(FAULTS) >= 40


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_planted_fault_is_named_and_mended(fault: Fault) -> None:
    model, batch, plan = started(fault)
    before = diagnosed(fault, model, batch, plan)
    assert before.healthy, before
    assert not blamed(fault, before), before
    fault.plant(model)
    found = diagnosed(fault, model, batch, plan)
    named = blamed(fault, found)
    assert named, found
    assert named[0].layer.startswith(fault.where), found
    assert fault.level in ("", named[0].level), found
    if not fault.mends:
        return
    change = found.repair(seed=1)
    wb.apply(change, model, overwrite=True)
    after = diagnosed(fault, model, batch, change if "plan" in fault.options else plan)
    assert after.healthy, after
    assert not blamed(fault, after), after
