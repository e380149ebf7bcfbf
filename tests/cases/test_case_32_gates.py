"""Case 32: per-gate orthogonal memory, an effective forget bias of exactly 1, the other gates 0."""

import itertools

import pytest
import torch
from torch import nn

import wellbegun as wb

HIDDEN, INPUTS = 12, 7
GATES = {"LSTM": 4, "GRU": 3, "RNN": 1, "LSTMCell": 4, "GRUCell": 3, "RNNCell": 1}
FORGET = 1
"""PyTorch's order of the gates of an LSTM: input, forget, cell, output."""


def layers(kind: str) -> dict[str, nn.Module]:
    if kind.endswith("Cell"):
        return {"cell": getattr(nn, kind)(INPUTS, HIDDEN)}
    make = getattr(nn, kind)
    made = {
        "one": make(INPUTS, HIDDEN),
        "two, both ways": make(INPUTS, HIDDEN, num_layers=2, bidirectional=True),
        "batch first": make(INPUTS, HIDDEN, batch_first=True),
    }
    if kind == "LSTM":
        made["projected"] = make(INPUTS, HIDDEN, proj_size=5)
    return made


def inputs(kind: str) -> torch.Tensor:
    shape = (2, INPUTS) if kind.endswith("Cell") else (3, 2, INPUTS)
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("kind", GATES)
def test_each_gate_has_an_orthogonal_matrix_of_its_own(kind: str) -> None:
    for name, layer in layers(kind).items():
        wb.initialize(layer, inputs(kind), seed=1)
        for weight, value in layer.named_parameters():
            if not weight.startswith("weight_hh"):
                continue
            blocks = value.detach().double().chunk(GATES[kind])
            assert all(block.shape[0] == HIDDEN for block in blocks)
            for block in blocks:
                gram = block @ block.T if block.shape[0] <= block.shape[1] else block.T @ block
                assert (gram - torch.eye(len(gram))).abs().max() < 1e-5, (name, weight)
            for first, second in itertools.pairwise(blocks):
                assert (first - second).abs().max() > 0.1


@pytest.mark.parametrize("kind", GATES)
def test_the_biases_that_act_are_1_for_the_forget_gate_and_0_for_the_others(kind: str) -> None:
    for name, layer in layers(kind).items():
        wb.initialize(layer, inputs(kind), seed=1)
        biases = dict(layer.named_parameters())
        found = 0
        for bias, value in biases.items():
            if not bias.startswith("bias_ih"):
                continue
            found += 1
            acting = (value + biases[bias.replace("_ih", "_hh")]).detach().reshape(GATES[kind], HIDDEN)
            expected = torch.zeros(GATES[kind], HIDDEN)
            if kind.startswith("LSTM"):
                expected[FORGET] = 1
            assert torch.equal(acting, expected), (name, bias)
        assert found == sum(bias.startswith("bias_hh") for bias in biases) > 0


def test_the_gate_that_holds_the_1_is_the_one_that_forgets() -> None:
    """By the numbers of a cell and not by its documentation: only this block's bias keeps what the cell remembers."""
    cell = nn.LSTMCell(INPUTS, HIDDEN)
    with torch.no_grad():
        for parameter in cell.parameters():
            parameter.zero_()
    kept = []
    for gate in range(4):
        with torch.no_grad():
            cell.bias_ih.zero_()
            cell.bias_ih[gate * HIDDEN : (gate + 1) * HIDDEN] = 50
            kept.append(float(cell(torch.zeros(1, INPUTS), (torch.zeros(1, HIDDEN), torch.ones(1, HIDDEN)))[1].mean()))
    # the memory of 1, times sigmoid of the forget gate, plus sigmoid(input gate) · tanh(cell gate)
    assert kept[FORGET] == pytest.approx(1)
    assert kept[0] == kept[3] == pytest.approx(0.5)
    assert kept[2] == pytest.approx(1)  # the cell gate adds a half of its own
    wb.initialize(cell, inputs("LSTMCell"), seed=0)
    assert (cell.bias_ih[FORGET * HIDDEN : (FORGET + 1) * HIDDEN] == 1).all()


@pytest.mark.parametrize("kind", ["LSTM", "GRU", "RNN"])
def test_each_gate_gets_the_second_moment_of_one_matrix(kind: str) -> None:
    layer = getattr(nn, kind)(64, 128)
    x = torch.randn(4, 16, 64, generator=torch.Generator().manual_seed(0))
    wb.initialize(layer, x, seed=0)
    with torch.no_grad():
        for part in (x @ layer.weight_ih_l0.T).chunk(GATES[kind], -1):
            assert float(part.square().mean()) == pytest.approx(1, rel=0.1)
