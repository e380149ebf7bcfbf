"""Where a method starts: its plan on one network, and what was measured before the first step."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from wellbegun.diagnosis import Finding, LayerFacts, plain
from wellbegun.plans import Plan

if TYPE_CHECKING:
    import torch

    from wellbegun.lab.task import Task


@dataclass(frozen=True)
class Start:
    """A method's plan on one network, and its step 0, both for the first seed.

    Attributes:
        plan: what every tensor holds.
        rule: the initializer of a weight in the middle of the network.
        loss: at step 0.
        layers, findings: of the diagnosis.
    """

    plan: Plan
    rule: str
    loss: float
    layers: tuple[LayerFacts, ...]
    findings: tuple[Finding, ...]

    @staticmethod
    def measured(plan: Plan, build: Callable[[], torch.nn.Module], task: Task) -> Start:
        """Measure where a plan starts.

        Args:
            plan: of the network.
            build: makes the network.
            task: its training examples are the batch.
        """
        from wellbegun.lab.trials.method import step_zero

        found = step_zero(plan, build, task)
        weights = [entry for entry in plan if entry.role.endswith("weight") and entry.kind == "parameter"]
        linear = [entry for entry in weights if entry.role == "linear weight"] or weights or list(plan)
        return Start(plan, linear[len(linear) // 2].initializer, found.loss, found.layers, found.findings)

    def record(self) -> dict[str, Any]:
        """Return everything but the plan as plain data."""
        facts = {"layers": [asdict(layer) for layer in self.layers], "findings": [asdict(f) for f in self.findings]}
        return {"rule": self.rule, "loss": repr(self.loss), "plan_hash": self.plan.hash, **_named(facts)}

    @staticmethod
    def from_record(record: Mapping[str, Any], plan: Plan) -> Start:
        """Make the start that plain data and a plan describe."""
        layers = tuple(LayerFacts(**_numbers(layer)) for layer in record["layers"])
        findings = tuple(Finding(**{**f, "weights": tuple(f["weights"])}) for f in record["findings"])
        return Start(plan, record["rule"], float(record["loss"]), layers, findings)


def _named(value: Any) -> Any:
    """Write the numbers that JSON does not know as words."""
    if isinstance(value, float):
        return value if plain(value) is not None else repr(value)
    if isinstance(value, dict):
        return {key: _named(item) for key, item in value.items()}
    return [_named(item) for item in value] if isinstance(value, (list, tuple)) else value


def _numbers(layer: Mapping[str, Any]) -> dict[str, Any]:
    return {k: float(v) if isinstance(v, str) and v in ("nan", "inf", "-inf") else v for k, v in layer.items()}
