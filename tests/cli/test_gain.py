"""wellbegun gain: numbers, expressions and the phase diagram."""

import json

import pytest
from typer.testing import CliRunner

from wellbegun.cli.main import build


def invoke(*arguments: str) -> str:
    result = CliRunner().invoke(build(), ["gain", *arguments])
    assert result.exit_code == 0, result.output
    return result.stdout


def test_critical_point() -> None:
    numbers = json.loads(invoke("gelu", "--json"))
    assert numbers["critical q"] == pytest.approx(1.1 * 3.5615528, rel=1e-6)
    assert numbers["critical length slope"] < 1
    assert json.loads(invoke("softplus", "--json"))["critical q"] is None
    assert "critical weight variance" in invoke("tanh")


def test_expression() -> None:
    numbers = json.loads(invoke("x * tanh(log1p(exp(x)))", "--json"))
    assert numbers["gain forward"] == pytest.approx(1.486847581, rel=1e-9)
    assert numbers["activation"] == "x * tanh(log1p(exp(x)))"


def test_figure(tmp_path) -> None:
    pytest.importorskip("matplotlib")
    invoke("tanh", "--figure", str(tmp_path / "phase.svg"), "--dark")
    assert "<svg" in (tmp_path / "phase.svg").read_text("utf-8")
