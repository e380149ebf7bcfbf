"""Recurrent layers of torch.nn: gates in order, fans of each gate."""

import pytest
import torch
from torch import nn

from wellbegun.graph.recorder import Recorder
from wellbegun.graph.trace import trace
from wellbegun.graph.variable import collect_variables
from wellbegun.laws import Fans

GATES = {
    "LSTM": ("input", "forget", "cell", "output"),
    "GRU": ("reset", "update", "new"),
    "RNN": ("hidden",),
}


@pytest.mark.parametrize("bidirectional", [True, False])
@pytest.mark.parametrize("kind", GATES)
def test_layers(kind: str, bidirectional: bool) -> None:
    model = getattr(nn, kind)(8, 4, num_layers=2, bidirectional=bidirectional)
    graph = trace(model, torch.zeros(3, 2, 8))
    assert set(graph.uses) == {variable.name for variable in graph.variables}
    for name, uses in graph.uses.items():
        layer = int(name.split("_l")[1][0])
        for use in uses:
            assert use.gates == GATES[kind]
            if name.startswith("weight_ih"):
                inputs = 8 if layer == 0 else 8 if bidirectional else 4
                assert (use.role, use.fans, use.axes) == ("input weight of gates", Fans(inputs, 4), "oi")
            elif name.startswith("weight_hh"):
                assert (use.role, use.fans) == ("recurrent weight", Fans(4, 4))
            else:
                assert use.role == "gate bias"


@pytest.mark.parametrize("kind", GATES)
def test_cells(kind: str) -> None:
    graph = trace(getattr(nn, f"{kind}Cell")(8, 4), torch.zeros(2, 8))
    assert {use.gates for uses in graph.uses.values() for use in uses} == {GATES[kind]}
    assert graph.uses["weight_ih"][0].fans == Fans(8, 4)
    assert graph.uses["bias_hh"][0].role == "gate bias"


def test_a_projection_is_a_matrix_without_gates() -> None:
    use = trace(nn.LSTM(8, 4, proj_size=2), torch.zeros(3, 2, 8)).uses["weight_hr_l0"][0]
    assert (use.role, use.fans, use.gates) == ("projection weight", Fans(4, 2), ())


def test_the_gates_counted_on_real_tensors() -> None:
    """Switch on one weight of a cell at a time: each of an LSTM's gates meets every input once."""
    cell = nn.LSTMCell(3, 2)
    graph = trace(cell, torch.zeros(1, 3))
    gates = len(graph.uses["weight_ih"][0].gates)
    met = torch.zeros(4 * 2)
    with torch.no_grad():
        for parameter in cell.parameters():
            parameter.zero_()
        for row in range(8):
            for column in range(3):
                cell.weight_ih[row, column] = 1
                met[row] += float((torch.ones(1, 3) @ cell.weight_ih.T)[0, row] != 0)
                cell.weight_ih[row, column] = 0
    fans = graph.uses["weight_ih"][0].fans
    assert (met == fans.fan_in).all()
    assert fans.fan_out * gates == 8


@pytest.mark.parametrize("kind", GATES)
def test_layers_that_arrive_whole_on_real_tensors(kind: str) -> None:
    model = getattr(nn, kind)(8, 4)
    variables = collect_variables(model)
    recorder = Recorder(variables)
    for name, parameter in model.named_parameters():
        recorder.know_variable(parameter, name)
    x = torch.zeros(3, 2, 8)
    recorder.know_input(x, None)
    with torch.no_grad(), recorder:
        model(x)
    graph = recorder.graph(variables, ())
    assert {name: uses[0].role for name, uses in graph.uses.items()} == {
        "weight_ih_l0": "input weight of gates",
        "weight_hh_l0": "recurrent weight",
        "bias_ih_l0": "gate bias",
        "bias_hh_l0": "gate bias",
    }
    assert {uses[0].gates for uses in graph.uses.values()} == {GATES[kind]}
