"""The critical line, and its points at a given bias variance."""

import pytest

from wellbegun.errors import ArgumentError, NoCriticalPointError
from wellbegun.theory import MeanField, critical, critical_at_bias, critical_line

# sigma_b²: q*, sigma_w²
AT_BIAS = {
    ("tanh", 1e-6): (0.0092503889, 1.01825261851),
    ("tanh", 1e-4): (0.0457090787, 1.08602629250),
    ("tanh", 1e-3): (0.107292356, 1.18918958523),
    ("tanh", 0.0025): (0.153691936, 1.26009381723),
    ("tanh", 0.01): (0.273300913, 1.42420529049),
    ("tanh", 0.05): (0.570047882, 1.76095463961),
    ("tanh", 0.1): (0.805799182, 1.98607264114),
    ("tanh", 0.2): (1.16449629, 2.28515247372),
    ("tanh", 0.5): (1.97103061, 2.84316745972),
    ("tanh", 1.0): (3.03639639, 3.44321091227),
    ("erf", 0.05): (0.517176838, 1.37583900735),
    ("erf", 1.0): (2.74489093, 2.71838135234),
    ("hardtanh", 0.05): (0.463863969, 1.16554468964),
    ("hardtanh", 1.0): (2.38780978, 2.07270860482),
}


@pytest.mark.parametrize(("name", "bias"), AT_BIAS)
def test_table(name: str, bias: float) -> None:
    point = critical_at_bias(name, bias)
    assert (point.q, point.weight_variance) == pytest.approx(AT_BIAS[name, bias], rel=5e-9)
    assert point.bias_variance == pytest.approx(bias, rel=1e-6)


def test_hard_tanh_near_no_bias() -> None:
    """sigma_w² - 1 is exponentially small there."""
    point = critical_at_bias("hardtanh", 1e-8)
    assert point.bias_variance == pytest.approx(1e-8, rel=1e-4)
    assert 0 < point.weight_variance - 1 < 1e-6


def test_line() -> None:
    line = critical_line("tanh", points=7)
    assert len(line) == 7
    assert line[0] == critical("tanh", q=line[0].q)
    assert all(MeanField("tanh", each.weight_variance, each.bias_variance).phase == "critical" for each in line)
    gelu = critical_line("gelu", low=1.0, high=10.0, points=9)
    assert [each.stable for each in gelu] == sorted(each.stable for each in gelu)
    assert not gelu[0].stable
    assert gelu[-1].stable
    assert critical_line("softplus") == ()
    assert {(round(each.weight_variance, 9), each.bias_variance) for each in critical_line("relu", points=5)} == {
        (2.0, 0.0)
    }


def test_refusals() -> None:
    for name in ("relu", "softplus"):
        with pytest.raises(NoCriticalPointError, match=r"no critical point with sigma_b² = 0\.05"):
            critical_at_bias(name, 0.05)
    for bias in (0.0, -1.0, True):
        with pytest.raises(ArgumentError, match="bias_variance has to be"):
            critical_at_bias("tanh", bias)
    with pytest.raises(ArgumentError, match="0 < low < high"):
        critical_line("tanh", low=2.0, high=1.0)
    with pytest.raises(ArgumentError, match="points has to be"):
        critical_line("tanh", points=1)
