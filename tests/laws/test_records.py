"""Laws as JSON: every law survives the way out and back, every malformed record is refused by name."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

import wellbegun as wb
from wellbegun.errors import PlanFileError
from wellbegun.laws import LAWS, Computed, law_from_record, law_to_record

INF = float("inf")
EVERY = [
    wb.Constant(0.1),
    wb.Normal(0.02, mean=-0.5),
    wb.Uniform(-0.1, 0.3),
    wb.TruncatedNormal(0.02),
    wb.TruncatedNormal(0.02, low=0, high=INF, match_std=False),
    wb.TruncatedNormal(0.02, low=-INF, high=INF, mean=1),
    wb.Orthogonal(1.5),
    wb.Orthogonal(1.5, blocks=3, batch=1),
    wb.MirroredOrthogonal(1.5, rows=False),
    wb.DeltaOrthogonal(1.5),
    wb.Identity(0.1),
    wb.Dirac(2, gain=0.1),
    wb.Sparse(1 / 3, std=0.1),
    wb.Hadamard(1.5, inputs_first=True),
    wb.PaddedIdentity(1e-6),
    wb.NoisyIdentity(0.01, gain=0.5, inputs_first=True),
    wb.Sinusoidal(0.5),
    wb.FixedLengthRows(0.7),
    wb.S4DReal(),
    wb.S4DLin(),
    wb.HippoLegS(),
    wb.ChronoBias(50, gates=3, forget=2, input=1),
    wb.Stored([[0.1, -2.0]]),
    Computed((("uniform", 0.1, 1.0), ("log", "%0"))),
    wb.Patched(wb.Normal(0.1), [(((0, 2), (1, 3)), wb.Constant(1.0))]),
    wb.MeanCompensation("h.1.weight", mean=0.5, std=0.1, inputs_first=True),
    wb.Patched(wb.Normal(0.02), [(((0, 2), (1, 3)), wb.Constant(1.0)), (((3, 4),), wb.Uniform(-1.0, 1.0))]),
    wb.Computed((("uniform", -6.9, -2.3), ("exp", "%0"), ("maximum", "%1", 1e-4))),
    wb.PerChannel(wb.Orthogonal(), wb.Stored([0.5, 2.0]), axis=1),
    wb.Patched(wb.Keep(), [(((0, 2),), wb.Stored([[0.5], [2.0]]))]),
    wb.Keep(),
]


def test_every_law_is_here():
    assert {type(law) for law in EVERY} == set(LAWS)


@pytest.mark.parametrize("law", EVERY, ids=repr)
def test_there_and_back_through_json(law):
    text = json.dumps(law_to_record(law), allow_nan=False)
    back = law_from_record(json.loads(text))
    assert back == law
    assert type(back) is type(law)
    assert repr(back) == repr(law)


number = st.floats(width=32, allow_nan=False, allow_infinity=False)


@given(mean=number, std=number.map(abs))
def test_numbers_keep_every_bit(mean, std):
    law = wb.Normal(std, mean=mean)
    assert law_from_record(json.loads(json.dumps(law_to_record(law)))) == law
    assert (law.std, law.mean) == (std, mean)


NORMAL = {"kind": "Normal", "std": 1.0, "mean": 0.0}
ORTHOGONAL = {"kind": "Orthogonal", "gain": 1.0, "blocks": 1, "batch": 0}
TRUNCATED = {"kind": "TruncatedNormal", "std": 1.0, "low": -2.0, "high": 2.0, "mean": 0.0, "match_std": False}


@pytest.mark.parametrize(
    ("record", "shown"),
    [
        (None, "None"),
        ([], r"\[\]"),
        ("Normal", "'Normal'"),
        ({}, "kind"),
        ({"kind": None}, "None"),
        ({"kind": ["Normal"]}, "Normal"),
        ({"kind": "normal", "std": 1.0}, "'normal'"),
        ({"kind": "__import__"}, "__import__"),
        ({"kind": "HeNormal"}, "HeNormal"),
        ({"kind": "Normal", "std": 1.0}, "mean"),
        (NORMAL | {"extra": 1}, "extra"),
        (NORMAL | {"std": -1.0}, "-1.0"),
        (NORMAL | {"std": "1"}, "'1'"),
        (NORMAL | {"std": None}, "None"),
        (NORMAL | {"std": True}, "True"),
        (NORMAL | {"std": [1]}, r"\[1\]"),
        (NORMAL | {"std": 1e39}, "1e[+]39"),
        (NORMAL | {"std": 10**400}, "std"),
        (NORMAL | {"mean": float("nan")}, "nan"),
        (NORMAL | {"mean": INF}, "inf"),
        (TRUNCATED | {"low": 2.0, "high": -2.0}, "low=2.0"),
        (TRUNCATED | {"low": -(10**400)}, "low"),
        (TRUNCATED | {"low": 40.0, "high": None}, "40"),
        (TRUNCATED | {"low": float("nan")}, "nan"),
        (TRUNCATED | {"match_std": 1}, "match_std"),
        (TRUNCATED | {"match_std": None}, "match_std"),
        (TRUNCATED | {"std": None}, "std"),
        ({"kind": "Uniform", "low": 1.0, "high": 0.0}, "low=1.0"),
        ({"kind": "Uniform", "low": None, "high": 0.0}, "None"),
        (ORTHOGONAL | {"gain": 0.0}, "0.0"),
        (ORTHOGONAL | {"blocks": 1.5}, "blocks .* 1.5"),
        (ORTHOGONAL | {"blocks": 0}, "blocks .* 0"),
        (ORTHOGONAL | {"batch": True}, "batch .* True"),
        ({"kind": "Orthogonal", "gain": 1.0}, "blocks"),
        ({"kind": "DeltaOrthogonal", "gain": -1.0}, "-1.0"),
        ({"kind": "Identity", "gain": None}, "None"),
        ({"kind": "Dirac", "groups": 0, "gain": 1.0}, "groups .* 0"),
        ({"kind": "Sparse", "sparsity": 1.5, "std": 1.0}, "1.5"),
        ({"kind": "Sparse", "sparsity": 0.5, "std": -1.0}, "-1.0"),
        ({"kind": "MirroredOrthogonal", "gain": 1.0, "rows": False, "columns": False}, "rows and columns"),
        ({"kind": "MirroredOrthogonal", "gain": 1.0, "rows": 1, "columns": True}, "rows"),
        ({"kind": "Keep", "value": 1.0}, "value"),
    ],
    ids=repr,
)
def test_malformed_records_are_refused(record, shown):
    with pytest.raises(PlanFileError, match=shown):
        law_from_record(record)
