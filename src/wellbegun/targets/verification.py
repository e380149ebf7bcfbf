"""What a check of a model against its plan has found."""

from __future__ import annotations

from dataclasses import dataclass

SHOWN = 20
"""Faults that are printed one by one."""


@dataclass(frozen=True)
class Fault:
    """One tensor that is not as it should be.

    Attributes:
        kind: "values" (not the planned ones), "non-finite", "tie" (torn), "replicas" (processes that should hold the
            same do not), "copies" (numbers of one tensor, or of one process's part, found in another), "layout" (a
            tensor of another shape, or a part whose place is not known), "missing" (from the plan or from the model),
            "multiplier" (a number that the plan wants in the forward pass, and that is not there).
        name: the tensor.
        message: what is wrong, with numbers.
        ranks: processes where it is; empty if there is only one.
    """

    kind: str
    name: str
    message: str
    ranks: tuple[int, ...] = ()

    def __str__(self) -> str:
        where = f" (process {', '.join(map(str, self.ranks))})" if self.ranks else ""
        return f"{self.name}: {self.message}{where}"


@dataclass(frozen=True)
class Verification:
    """Whether a model holds what was planned. It is true where no fault was found: `assert wb.verify(plan, model)`.

    Attributes:
        tensors: that were looked at by this process.
        elements: that were looked at by this process.
        faults: found on any process; the same on every one.
        unchecked: tensors that could not be looked at: sharded weights that are computed from others (weight_norm).
    """

    tensors: int
    elements: int
    faults: tuple[Fault, ...]
    unchecked: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return not self.faults

    def __str__(self) -> str:
        looked = f"{self.tensors:,} tensors, {self.elements:,} numbers"
        if self.unchecked:
            looked += f" (not looked at: {', '.join(self.unchecked)})"
        if not self.faults:
            return f"verified: {looked}, all as they should be"
        lines = [f"{len(self.faults)} faults in {looked}:"] if len(self.faults) > 1 else [f"1 fault in {looked}:"]
        lines += [f"  {fault}" for fault in self.faults[:SHOWN]]
        if len(self.faults) > SHOWN:
            lines.append(f"  and {len(self.faults) - SHOWN} more, in .faults")
        return "\n".join(lines)
