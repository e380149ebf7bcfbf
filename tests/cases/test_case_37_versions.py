"""Case 37: plans carry versions, and a plan that was saved once gives the same bits for ever.

tests/cases/data/plan_1.json was written by the release that brought plan format 2 and sampler 1, plan_1.sha256.json
by the same release: the SHA-256 of the bytes of every tensor, or, for laws that go through a matrix product of the
machine's BLAS, the first numbers. Neither file is ever written again: a release that cannot replay them has broken its
promise.
"""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import wellbegun as wb
from wellbegun.errors import PlanFileError

DATA = Path(__file__).parent / "data"
KNOWN = json.loads((DATA / "plan_1.sha256.json").read_text("utf-8"))


class Everything(nn.Module):
    """A tensor for every law, in five storage types, with a tie, a padding row and recurrent gates."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(40, 16, padding_idx=3)
        self.head = nn.Linear(16, 40, bias=False)
        self.head.weight = self.table.weight
        self.normal, self.uniform, self.truncated = nn.Linear(16, 16), nn.Linear(16, 16), nn.Linear(16, 16)
        self.sparse, self.identity, self.orthogonal = nn.Linear(16, 16), nn.Linear(16, 16), nn.Linear(16, 16)
        self.mirrored, self.stored = nn.Linear(16, 16), nn.Linear(16, 16)
        self.kernel, self.delta = nn.Conv1d(16, 16, 3, padding=1), nn.Conv1d(16, 16, 3, padding=1)
        self.gates, self.norm = nn.LSTM(16, 16), nn.BatchNorm1d(16)
        self.as_half, self.as_bfloat, self.as_double = (
            nn.Linear(16, 16).half(),
            nn.Linear(16, 16),
            nn.Linear(16, 16).double(),
        )
        self.as_bfloat = self.as_bfloat.bfloat16()

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        x = self.table(tokens)
        for layer in (self.normal, self.uniform, self.truncated, self.sparse, self.identity, self.orthogonal):
            x = torch.tanh(layer(x))
        x = torch.relu(self.stored(self.mirrored(x)))
        x = self.norm(self.delta(self.kernel(x.transpose(1, 2)))).transpose(1, 2)
        x, _ = self.gates(x)
        for layer, dtype in (
            (self.as_half, torch.float16),
            (self.as_bfloat, torch.bfloat16),
            (self.as_double, torch.float64),
        ):
            x = layer(x.to(dtype)).float()
        return self.head(x)


def make_plan() -> wb.Plan:
    """The plan that was saved; kept to say what is in the file, and to fit a model to it."""
    noise = {"uniform.bias": wb.Uniform(-0.5, 0.25), "truncated.bias": wb.TruncatedNormal(0.02, match_std=True)}
    return wb.plan(
        Everything(),
        "tokens:6",
        seed=20261125,
        rules={
            "*": wb.Normal(0.02),
            "*.bias": wb.Zeros(),
            "table.weight": wb.Normal(0.5),
            "uniform.weight": wb.XavierUniform(),
            "truncated.weight": wb.TruncatedNormal(1.0, low=-1.5, high=2.0, mean=0.1),
            "sparse.weight": wb.Sparse(0.8, std=0.3),
            "identity.weight": wb.Identity(0.9),
            "orthogonal.weight": wb.Orthogonal(1.5),
            "mirrored.weight": wb.MirroredOrthogonal(),
            "stored.weight": wb.Stored(np.arange(256, dtype=np.float32).reshape(16, 16) / 7),
            "kernel.weight": wb.Dirac(),
            "delta.weight": wb.DeltaOrthogonal(),
            "gates.weight_hh_l0": wb.Orthogonal(blocks=4),
            "gates.bias_ih_l0": wb.Patched(wb.Zeros().law(), [(((16, 32),), wb.Constant(1.0))]),
            **noise,
        },
        aliases={"normal.weight": "an.older.name"},
    )


def through_blas(entry: object) -> bool:
    """Whether a law's last bits are those of the machine's matrix products."""
    return isinstance(entry.law, wb.Orthogonal | wb.MirroredOrthogonal | wb.DeltaOrthogonal)


def digest(values: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(values).tobytes()).hexdigest()


def test_the_file_carries_its_versions() -> None:
    record = json.loads((DATA / "plan_1.json").read_text("utf-8"))
    assert record["schema"] == "wellbegun.plan/2"
    assert record["sampler"] == 1
    assert record["recipe"] == "auto@0"
    plan = wb.load_plan(DATA / "plan_1.json")
    assert (plan.hash, plan.sampler, plan.seed) == (KNOWN["hash"], 1, 20261125)


def test_every_tensor_is_replayed_bit_for_bit() -> None:
    plan = wb.load_plan(DATA / "plan_1.json")
    assert {entry.name for entry in plan} == set(KNOWN["tensors"]) | set(KNOWN["close"])
    for name, known in KNOWN["tensors"].items():
        assert digest(wb.to_numpy(plan, name)) == known, name
    for name, known in KNOWN["close"].items():
        found = wb.to_numpy(plan, name).reshape(-1)[: len(known)].astype(np.float64)
        assert found == pytest.approx(np.array(known), abs=1e-6), name


def test_a_model_is_filled_with_the_same_bytes() -> None:
    plan, model = wb.load_plan(DATA / "plan_1.json"), Everything()
    wb.apply(plan, model)
    state = model.state_dict()
    for name, known in KNOWN["tensors"].items():
        found = state[name].detach().contiguous().reshape(-1).view(torch.uint8).numpy()
        assert digest(found) == known, name
    assert model.head.weight is model.table.weight
    assert not model.table.weight[3].any()


@pytest.mark.parametrize(("field", "value"), [("schema", "wellbegun.plan/99"), ("sampler", 99)])
def test_versions_that_are_not_known_are_refused(field: str, value: object) -> None:
    record = json.loads((DATA / "plan_1.json").read_text("utf-8")) | {field: value}
    from wellbegun.plans.file import plan_from_record

    with pytest.raises(PlanFileError, match=r"99"):
        plan_from_record(record, DATA)


@pytest.mark.parametrize("make", [
    lambda: nn.Linear(96, 64), lambda: nn.Conv1d(24, 48, 5), lambda: nn.LSTM(24, 36),
], ids=["linear", "convolution", "lstm"])  # fmt: skip
def test_the_policy_torch_has_torchs_statistics(make: object) -> None:
    """The same law as what torch draws: its moments, and its largest value of 40,000."""
    model = make()
    shape = {nn.Linear: (2, 96), nn.Conv1d: (2, 24, 9), nn.LSTM: (4, 2, 24)}[type(model)]
    plan = wb.plan(model, torch.zeros(shape), seed=0, recipe="torch")
    assert plan.recipe == "torch@1"
    torch.manual_seed(0)
    for entry in plan:
        drawn = torch.cat(
            [make().get_parameter(entry.name).detach().flatten() for _ in range(1 + 40_000 // entry.size)]
        )
        mean, std = entry.law.moments(entry.shape)
        count = len(drawn)
        assert abs(float(drawn.mean()) - mean) < 4 * std / count**0.5, entry.name
        assert float(drawn.std()) == pytest.approx(std, rel=4 / count**0.5), entry.name
        assert float(drawn.abs().max()) == pytest.approx(entry.law.reach(), rel=2e-3), entry.name
