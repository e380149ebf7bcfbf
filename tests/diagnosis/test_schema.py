"""The JSON of diagnoses, sound and faulty, measured and predicted, against the schema that is shipped."""

from __future__ import annotations

import json
import math
from typing import Any

import jsonschema
import pytest
import torch
from torch import nn

import wellbegun as wb
from wellbegun.diagnosis import Diagnosis, json_schema

from .faults.networks import gpt2

ROWS = torch.randn(32, 16, generator=torch.Generator().manual_seed(3))
TARGETS = torch.randint(4, (32,), generator=torch.Generator().manual_seed(4))


def chain(activation: type[nn.Module], depth: int) -> nn.Sequential:
    torch.manual_seed(0)
    hidden = [layer for _ in range(depth) for layer in (nn.Linear(16, 16), activation())]
    return nn.Sequential(*hidden, nn.Linear(16, 4))


def strict(schema: Any) -> Any:
    """The same schema, that knows no other names: what is written has to be described."""
    if isinstance(schema, list):
        return [strict(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    made = {key: strict(value) for key, value in schema.items()}
    return made | {"additionalProperties": False} if schema.get("type") == "object" else made


SCHEMA = strict(json_schema())


def sound() -> Diagnosis:
    model = chain(nn.Tanh, 4)
    wb.initialize(model, ROWS, seed=1)
    return wb.diagnose(model, (ROWS, TARGETS), theory=True, jacobian=True)


def faulty() -> Diagnosis:
    model = chain(nn.Sigmoid, 12)
    return wb.diagnose(model, (ROWS, TARGETS), theory=True, plan=wb.plan(model, ROWS, seed=1))


def skeleton() -> Diagnosis:
    with wb.skeleton():
        empty = chain(nn.ReLU, 20)
    return wb.diagnose(empty, "vector:16")


def broken(value: float) -> Diagnosis:
    model = chain(nn.ReLU, 3)
    with torch.no_grad():
        model[2].weight[0, 0] = value
    return wb.diagnose(model, ROWS)


def copied() -> Diagnosis:
    model = chain(nn.Tanh, 3)
    with torch.no_grad():
        model[4].weight.copy_(model[2].weight)
    return wb.diagnose(model, ROWS)


def transformer() -> Diagnosis:
    torch.manual_seed(0)
    return wb.diagnose(*gpt2(), theory=True)


CASES = {
    "sound": sound,
    "faulty": faulty,
    "skeleton": skeleton,
    "nan": lambda: broken(math.nan),
    "infinite": lambda: broken(math.inf),
    "copies": copied,
    "transformer": transformer,
    "one input": lambda: wb.diagnose(chain(nn.ReLU, 2), ROWS[:1]),
}


def refuse(name: str) -> Any:
    raise AssertionError(f"{name} is no JSON")


@pytest.mark.parametrize("case", CASES)
def test_json_follows_the_schema_and_all_of_it_is_described(case: str) -> None:
    found = CASES[case]()
    told = json.loads(found.to_json(), parse_constant=refuse)
    jsonschema.Draft202012Validator(SCHEMA).validate(told)
    assert len(told["layers"]) == len(found.layers)
    assert len(told["spreads"]) in (0, len(found.layers))
    assert told["healthy"] is found.healthy
    expected = {"faulty", "skeleton", "nan", "infinite", "copies"}
    if case in expected | {"sound"}:
        assert bool(told["findings"]) == (case in expected)
    assert bool(told["streams"]) == bool(told["attentions"]) == (case == "transformer")


def test_the_schema_is_one_and_refers_to_nothing_outside() -> None:
    schema = json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["properties"]["schema"]["const"] == sound().to_record()["schema"]
    assert schema["$id"].endswith(":1")
    references = {part.split('"')[1] for part in json.dumps(schema).split('"$ref": ')[1:]}
    assert references == {f"#/$defs/{name}" for name in schema["$defs"]}


def test_what_is_wrong_is_refused() -> None:
    told = json.loads(sound().to_json())
    wrong = {
        "another version": told | {"schema": "wellbegun.diagnosis/2"},
        "a name is missing": {key: value for key, value in told.items() if key != "layers"},
        "a number as text": told | {"loss": "nan"},
        "a share above one": told | {"layers": [told["layers"][0] | {"dead": 1.5}]},
        "a level": told | {"findings": [{"kind": "x", "level": "fatal", "layer": "", "message": "m", "remedy": "r"}]},
        "an unknown name": told | {"more": 1},
    }
    validator = jsonschema.Draft202012Validator(SCHEMA)
    assert {name for name, record in wrong.items() if validator.is_valid(record)} == set()
    assert jsonschema.Draft202012Validator(json_schema()).is_valid(wrong["an unknown name"])  # names may come
