"""Fans come from the operation: compared with products counted one by one, and with the layers shapes get wrong."""

import itertools
import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import wellbegun as wb
from wellbegun.graph.graph import Use
from wellbegun.graph.trace import trace
from wellbegun.laws import Fans


def weight_use(model: nn.Module, inputs: object, name: str = "weight") -> Use:
    return next(use for use in trace(model, inputs).uses[name] if use.fans is not None)


def fans_of(model: nn.Module, inputs: object, name: str = "weight") -> Fans:
    fans = weight_use(model, inputs, name).fans
    assert fans is not None
    return fans


def contracted_fans(model: nn.Module, name: str, *inputs: torch.Tensor) -> tuple[float, float]:
    """Count products with everything 1: one weight switched on at a time, then one input on top of it.

    Returns the averages over the outputs that any weight reaches, and over the numbers of the first input.
    """
    weight = dict(model.named_parameters())[name]
    ones = [torch.ones_like(x) for x in inputs]
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
        size = ones[0].numel()
        met_in, met_out = torch.zeros(()), torch.zeros(size)
        for index in itertools.product(*map(range, weight.shape)):
            weight[index] = 1
            met_in = met_in + (model(*ones) != 0)
            for place in range(size):
                single = torch.eye(size)[place].reshape(ones[0].shape)
                met_out[place] += (model(single, *ones[1:]) != 0).sum()
            weight[index] = 0
    return float(met_in[met_in > 0].mean()), float(met_out.mean())


def counted_fans(model: nn.Module, shape: tuple[int, ...], stride: int) -> tuple[float, float]:
    """Count products with everything 1: one weight switched on at a time, then one input on top of it.

    Returns the averages over the outputs (and inputs) of one stride period in the middle, away from the borders.
    """
    weight, size = model.weight, math.prod(shape)
    with torch.no_grad():
        model.bias = None
        weight.zero_()
        met_in, met_out = torch.zeros(model(torch.ones(1, *shape)).shape[1:]), torch.zeros(shape)
        for index in itertools.product(*map(range, weight.shape)):
            weight[index] = 1
            met_in += model(torch.ones(1, *shape))[0] != 0  # this weight meets an input in these outputs
            single = torch.eye(size).reshape(size, *shape)
            met_out += (model(single) != 0).reshape(size, -1).sum(1).reshape(shape)
            weight[index] = 0
    return _middle(met_in, stride), _middle(met_out, stride)


def _middle(counts: torch.Tensor, period: int) -> float:
    for axis in range(1, counts.ndim):
        start = (counts.shape[axis] - period) // 2
        counts = counts.narrow(axis, start, period)
    return float(counts.mean())


COUNTED = {
    "linear": (lambda: nn.Linear(5, 3), (5,), 1),
    "conv1d": (lambda: nn.Conv1d(2, 3, 3), (2, 11), 1),
    "conv1d stride": (lambda: nn.Conv1d(2, 3, 4, stride=2), (2, 20), 2),
    "conv1d dilated": (lambda: nn.Conv1d(2, 3, 3, dilation=2), (2, 15), 1),
    "conv2d": (lambda: nn.Conv2d(2, 3, 3), (2, 7, 7), 1),
    "conv2d groups": (lambda: nn.Conv2d(4, 6, 3, groups=2), (4, 7, 7), 1),
    "conv2d depthwise": (lambda: nn.Conv2d(4, 4, 3, groups=4), (4, 7, 7), 1),
    "conv2d stride": (lambda: nn.Conv2d(2, 3, 2, stride=2), (2, 8, 8), 2),
    "conv3d": (lambda: nn.Conv3d(1, 2, 2), (1, 4, 4, 4), 1),
    "transposed 1d": (lambda: nn.ConvTranspose1d(3, 2, 4, stride=2), (3, 8), 2),
    "transposed 2d": (lambda: nn.ConvTranspose2d(2, 3, 2, stride=2), (2, 4, 4), 2),
    "transposed groups": (lambda: nn.ConvTranspose1d(4, 6, 4, stride=2, groups=2), (4, 8), 2),
    "conv2d everything": (lambda: nn.Conv2d(4, 2, 2, stride=2, dilation=3, groups=2), (4, 14, 14), 2),
    "transposed 3d": (lambda: nn.ConvTranspose3d(2, 1, 2, stride=2), (2, 2, 2, 2), 2),
    "transposed with output padding": (lambda: nn.ConvTranspose1d(2, 3, 4, 2, output_padding=1), (2, 10), 2),
    "transposed odd": (lambda: nn.ConvTranspose1d(2, 2, 3, stride=2), (2, 10), 2),
}


@pytest.mark.parametrize("case", COUNTED)
def test_fans_are_the_products_counted_on_real_tensors(case: str) -> None:
    make, shape, period = COUNTED[case]
    found = fans_of(make(), torch.zeros(2, *shape))
    assert (found.fan_in, found.fan_out) == pytest.approx(counted_fans(make(), shape, period))


@pytest.mark.parametrize("groups", [1, 8, 64])
def test_groups(groups: int) -> None:
    found = fans_of(nn.Conv2d(64, 64, 3, groups=groups), "image:64x8x8")
    assert found == Fans(64 // groups * 9, 64 // groups * 9)


def test_transposed_convolution_of_the_case_table() -> None:
    layer = nn.ConvTranspose2d(64, 128, 4, 2, 1)
    assert fans_of(layer, "image:64x8x8").fan_in == 256
    wb.initialize(layer, "image:64x8x8", seed=0, recipe="he")
    torch.manual_seed(0)
    with torch.no_grad():
        # 8 · 128 · 28² interior outputs of 256 terms; inputs relu(z) of second moment 1/2
        out = layer(torch.relu(torch.randn(8, 64, 16, 16)))[..., 2:-2, 2:-2]
    assert float(out.square().mean()) == pytest.approx(1, rel=0.05)


def test_depthwise_he_fan_out_of_the_case_table() -> None:
    layer = nn.Conv2d(64, 64, 3, groups=64, bias=False)
    made = wb.plan(layer, "image:64x8x8", seed=0, recipe="he(mode='fan_out')")
    assert made["weight"].std == pytest.approx(math.sqrt(2 / 9), rel=1e-6)


class Product(nn.Module):
    """A parameter and what the forward pass does with it."""

    def __init__(self, shape: tuple[int, ...], forward: object) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(shape))
        self.act = forward

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.act(x, self.weight)


PRODUCTS = {
    "F.linear": ((4, 8), lambda x, w: F.linear(x, w), (8, 4), False),
    "x @ W": ((8, 4), lambda x, w: x @ w, (8, 4), True),
    "x @ W.T": ((4, 8), lambda x, w: x @ w.T, (8, 4), False),
    "W @ x.T": ((4, 8), lambda x, w: (w @ x.T).T, (8, 4), False),
    "W.T @ x.T": ((8, 4), lambda x, w: (w.T @ x.T).T, (8, 4), True),
    "batched": ((8, 4), lambda x, w: x[:, None].expand(2, 3, 8) @ w, (8, 4), True),
    "square x @ W": ((8, 8), lambda x, w: x @ w, (8, 8), True),
    "square F.linear": ((8, 8), lambda x, w: F.linear(x, w), (8, 8), False),
    "one output": ((1, 8), lambda x, w: F.linear(x, w), (8, 1), False),
    "one input": ((8, 1), lambda x, w: F.linear(x[:, :1], w), (1, 8), False),
    "one input, x @ W": ((1, 8), lambda x, w: x[:, :1] @ w, (1, 8), True),
    "vector": ((8,), lambda x, w: x @ w, (8, 1), True),
    "cast": ((4, 8), lambda x, w: F.linear(x.double(), w.double()), (8, 4), False),
    "addmm": ((8, 4), lambda x, w: torch.addmm(torch.zeros(4, device=x.device), x, w), (8, 4), True),
    "experts": ((3, 8, 4), lambda x, w: torch.bmm(x.expand(3, 2, 8), w), (8, 4), True),
    "slices": ((24, 8), lambda x, w: F.linear(x, w[:8]) + F.linear(x, w[8:16]) + F.linear(x, w[16:]), (8, 8), False),
    "packed qkv": ((24, 8), lambda x, w: sum(F.linear(x, w).chunk(3, -1)), (8, 8), False),
    "packed qkv by size": ((8, 24), lambda x, w: sum((x @ w).split(8, -1)), (8, 8), True),
}


@pytest.mark.parametrize("case", PRODUCTS)
def test_products(case: str) -> None:
    shape, forward, (fan_in, fan_out), inputs_first = PRODUCTS[case]
    found = weight_use(Product(shape, forward), "vector:8")
    assert found.role == "linear weight"
    assert found.fans == Fans(fan_in, fan_out)
    assert found.inputs_first == inputs_first


CONTRACTED = {
    "einsum btd,dhk->bthk": ((4, 2, 3), lambda x, w: torch.einsum("btd,dhk->bthk", x, w), (1, 2, 4), "ioo"),
    "einsum btd,hdk->bhtk": ((2, 4, 3), lambda x, w: torch.einsum("btd,hdk->bhtk", x, w), (1, 2, 4), "oio"),
    "einsum bthk,hkd->btd": ((2, 3, 4), lambda x, w: torch.einsum("bthk,hkd->btd", x, w), (1, 2, 2, 3), "iio"),
    "einsum bthk,dhk->btd": ((4, 2, 3), lambda x, w: torch.einsum("bthk,dhk->btd", x, w), (1, 2, 2, 3), "oii"),
    "einsum weight first": ((3, 4, 2), lambda x, w: torch.einsum("dkh,bd->bhk", w, x), (2, 3), "ioo"),
    "einsum experts": ((3, 4, 2), lambda x, w: torch.einsum("ebd,edf->ebf", x, w), (3, 2, 4), "bio"),
    "einsum experts out first": ((3, 2, 4), lambda x, w: torch.einsum("ebd,efd->ebf", x, w), (3, 2, 4), "boi"),
    "tensordot": ((4, 2, 3), lambda x, w: torch.tensordot(x, w, dims=1), (2, 4), "ioo"),
    "tensordot over two": ((2, 3, 4), lambda x, w: torch.tensordot(x, w, dims=2), (2, 2, 3), "iio"),
    "matrix times vector": ((3, 4), lambda x, w: w @ x, (4,), "oi"),
    "vector times matrix": ((4, 3), lambda x, w: x @ w, (4,), "io"),
    "dot": ((4,), lambda x, w: torch.dot(x, w).reshape(1), (4,), "i"),
    "bmm": ((3, 4, 2), lambda x, w: torch.bmm(x, w), (3, 2, 4), "bio"),
    "baddbmm": ((3, 4, 2), lambda x, w: torch.baddbmm(torch.zeros(3, 1, 2, device=x.device), x, w), (3, 2, 4), "bio"),
    "addbmm": ((3, 4, 2), lambda x, w: torch.addbmm(torch.zeros(2, 2, device=x.device), x, w), (3, 2, 4), "iio"),
    "one of a stack, summed with every input": (
        (2, 3, 4),
        lambda x, w: torch.einsum("bnd,nd->bn", x, w[1]),
        (2, 3, 4),
        "bbi",
    ),
    "one expert": ((3, 4, 2), lambda x, w: x @ w[1], (2, 4), "bio"),
    "experts by index": ((3, 2, 4), lambda x, w: torch.bmm(w[[2, 0]], x[..., None]), (2, 4), "boi"),
    "reshaped": ((2, 3, 4), lambda x, w: F.linear(x, w.reshape(6, 4)), (2, 4), "ooi"),
    "transposed and reshaped": ((2, 4, 3), lambda x, w: x @ w.transpose(0, 1).reshape(4, 6), (2, 4), "oio"),
    "cast and scaled": ((3, 4), lambda x, w: F.linear(x.double(), w.double() * 0.5), (2, 4), "oi"),
}


@pytest.mark.parametrize("case", CONTRACTED)
def test_contractions_are_the_products_counted_on_real_tensors(case: str) -> None:
    shape, forward, inputs, axes = CONTRACTED[case]
    found = weight_use(Product(shape, forward), torch.zeros(inputs))
    assert found.role == "linear weight"
    assert found.axes == axes
    assert found.inputs_first == (axes.find("i") < axes.find("o") or "o" not in axes)
    assert (found.fans.fan_in, found.fans.fan_out) == pytest.approx(
        contracted_fans(Product(shape, forward), "weight", torch.zeros(inputs))
    )


def test_experts_by_grouped_product() -> None:
    def forward(x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
        ends = torch.tensor([8, 16], dtype=torch.int32, device=x.device)
        return torch._grouped_mm(x.bfloat16(), w.bfloat16().transpose(1, 2), offs=ends)

    found = weight_use(Product((2, 16, 8), forward), torch.zeros(16, 8))
    assert (found.fans, found.axes, found.inputs_first) == (Fans(8, 16), "boi", False)


def test_bilinear() -> None:
    found = weight_use(nn.Bilinear(3, 4, 2), (torch.zeros(1, 3), torch.zeros(1, 4)))
    fan_in, met_by_first = contracted_fans(
        nn.Bilinear(3, 4, 2, bias=False), "weight", torch.zeros(1, 3), torch.zeros(1, 4)
    )
    assert (found.role, found.axes) == ("bilinear weight", "oii")
    assert found.fans == Fans(fan_in, (met_by_first + 2 * 3) / 2)  # the second input meets 2 outputs with 3 others


def test_a_matrix_whose_rows_are_outputs_in_stacks_is_not_guessed() -> None:
    class Mixed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.zeros(2, 6, 4))

        def forward(self, x: torch.Tensor) -> torch.Tensor:  # half of the rows are a stack, half outputs
            return torch.bmm(x.expand(4, 2, 4), self.weight.view(4, 3, 4).mT)

    found = trace(Mixed(), torch.zeros(2, 4)).uses["weight"][0]
    assert found.role.startswith("ambiguous")
    assert found.fans is None


def test_packed_qkv_has_the_bound_of_one_matrix() -> None:
    model = Product((3 * 512, 512), lambda x, w: sum(F.linear(x, w).chunk(3, -1)))
    made = wb.plan(model, "vector:512", seed=0, recipe="xavier")
    assert made["weight"].law.high == pytest.approx(math.sqrt(6 / 1024), rel=1e-6)  # 0.0765, not 0.0541


def test_an_embedding_has_its_width() -> None:
    assert fans_of(nn.Embedding(1000, 16), "tokens:4") == Fans(16, 16)


@pytest.mark.parametrize("batch", [None, 1, 5])
def test_fans_do_not_depend_on_the_batch(batch: int | None) -> None:
    inputs = torch.zeros(8) if batch is None else torch.zeros(batch, 8)
    assert fans_of(nn.Linear(8, 4), inputs) == Fans(8, 4)
