"""The planted faults. A new one is one line: a network, what is done to it, and what has to be said about it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from .networks import (
    Encoder,
    Experts,
    Images,
    Layer,
    LowRank,
    Made,
    Narrow,
    Normed,
    Recurrent,
    Residual,
    Spare,
    gpt2,
    images,
    llama,
    mlp,
    rows,
    series,
)
from .plant import Plant, attribute, both, changed, constant, copied, element, normal, part, scaled


@dataclass(frozen=True)
class Fault:
    """One planted fault.

    Attributes:
        name: for a person.
        build: makes the network and its batch.
        plant: does the damage to the soundly started network.
        kinds: of findings that would be right, one of which has to be there with level error or warning.
        where: beginnings of the layer that it may name.
        mends: whether other starting values mend it, so that `repair` has to.
        level: "error" if the finding has to be one.
        options: further arguments of `wb.diagnose`; "plan" stands for the plan that started the network.
    """

    name: str
    build: Callable[[], Made]
    plant: Plant
    kinds: tuple[str, ...]
    where: tuple[str, ...]
    mends: bool = True
    level: str = ""
    options: dict[str, Any] = field(default_factory=dict)


def network(make: Callable[..., nn.Module], batch: Callable[[], Any], *args: Any) -> Callable[[], Made]:
    return lambda: (make(*args), batch())


TANH, RELU, GELU, DEEP = mlp(nn.Tanh), mlp(nn.ReLU), mlp(nn.GELU), mlp(nn.ReLU, 20)
SIGMOID = mlp(nn.Sigmoid, 12)
LINEAR = mlp(nn.Identity, 8)
CONVS, NORMED = network(Images, images, False), network(Images, images, True)
BARE, STREAM = network(Residual, rows, 8), network(Residual, rows, 8, True)
ENCODER, EAGER = network(Encoder, series), network(Encoder, series, 4, False)
LSTM, GRU = network(Recurrent, series, nn.LSTM), network(Recurrent, series, nn.GRU)
HALF, EIGHT = network(Narrow, rows, torch.float16), network(Narrow, rows, torch.float8_e4m3fn)


def torchs_own(model: nn.Module) -> None:
    """What the layers of torch do by themselves."""
    torch.manual_seed(0)
    for module in model.modules():
        if isinstance(module, (nn.Linear, nn.Conv2d)):
            module.reset_parameters()


def without_sums(model: nn.Module) -> None:
    """Attention and nothing beside it (Dong, Cordonnier and Loukas 2021)."""
    for module in model.modules():
        if isinstance(module, Layer):
            module.skips = False


def he(model: nn.Module) -> None:
    """He's weights in every layer, also where the signal passes beside them."""
    made = torch.Generator().manual_seed(1)
    for module in model.modules():
        if isinstance(module, nn.Linear):
            with torch.no_grad():
                module.weight.copy_(torch.randn(module.weight.shape, generator=made) * (2 / module.in_features) ** 0.5)


FAULTS: tuple[Fault, ...] = (
    # scale: all layers, or one of them
    Fault("relu, all too small", RELU, scaled(0.1, "layers.*"), ("vanishing",), ("layers.",), level="error"),
    Fault("relu, all too large", RELU, scaled(10, "layers.*"), ("exploding",), ("layers.",), level="error"),
    Fault("relu, torch's own, deep", DEEP, torchs_own, ("vanishing",), ("layers.",), level="error"),
    Fault("relu, one too small", RELU, scaled(1e-3, "layers.3.weight"), ("vanishing",), ("layers.3.",), level="error"),
    Fault("relu, one too large", RELU, scaled(1e3, "layers.3.weight"), ("exploding",), ("layers.3.",), level="error"),
    Fault("relu, first too small", RELU, scaled(1e-3, "layers.0.weight"), ("vanishing",), ("layers.0.",)),
    Fault("relu, first too large", RELU, scaled(1e3, "layers.0.weight"), ("exploding",), ("layers.0.",)),
    Fault("relu, last hidden too small", RELU, scaled(1e-3, "layers.5.weight"), ("vanishing",), ("layers.5.",)),
    Fault("gelu, one too large", GELU, scaled(100, "layers.2.weight"), ("exploding",), ("layers.2.",)),
    Fault("sigmoid, torch's own", SIGMOID, torchs_own, ("vanishing",), ("layers.",), level="error"),
    Fault("sigmoid, too small", SIGMOID, scaled(0.02, "layers.*"), ("vanishing",), ("layers.",), level="error"),
    Fault("linear chain, too large", LINEAR, scaled(8, "layers.*"), ("exploding",), ("layers.",), level="error"),
    Fault("linear chain, one too small", LINEAR, scaled(1e-3, "layers.4.weight"), ("vanishing",), ("layers.4.",)),
    Fault("convolutions, all too small", CONVS, scaled(0.03, "convs.*"), ("vanishing",), ("convs.",), level="error"),
    Fault("convolutions, one too large", CONVS, scaled(300, "convs.2.weight"), ("exploding",), ("convs.2.",)),
    Fault("encoder, one up too large", ENCODER, scaled(1e3, "layers.1.up.weight"), ("exploding",), ("layers.1.up",)),
    # units
    Fault("relu, equal weights", RELU, constant(0.1, "layers.*"), ("symmetric",), ("layers.0.",), level="error"),
    Fault("tanh, one layer equal", TANH, constant(0.1, "layers.2.weight", "layers.2.bias"), ("symmetric",),
          ("layers.2.",)),
    Fault("convolution, equal", CONVS, constant(0.05, "convs.1.weight"), ("symmetric",), ("convs.1.",)),
    Fault("normalised convolution, equal", NORMED, constant(0.05, "convs.1.weight"), ("symmetric",), ("convs.1.",)),
    Fault("encoder, equal up", ENCODER, constant(0.1, "layers.2.up.weight"), ("symmetric",), ("layers.2.up",)),
    Fault("lstm, equal", LSTM, constant(0.1, "body.*"), ("symmetric",), ("body.",), level="error"),
    Fault("zeros everywhere", TANH, constant(0.0, "layers.*", "head.weight"), ("no gradient",), ("layers.",)),
    Fault("relu, dead by a bias", RELU, constant(-50.0, "layers.3.bias"), ("dead",), ("layers.3.",), level="error"),
    Fault("convolution, dead", CONVS, constant(-50.0, "convs.2.bias"), ("dead",), ("convs.2.",), level="error"),
    Fault("tanh, all saturated", TANH, normal(1.0, "layers.*"), ("saturated",), ("layers.0.",), level="error"),
    Fault("tanh, one saturated", TANH, scaled(30, "layers.3.weight"), ("saturated",), ("layers.3.",), level="error"),
    Fault("sigmoid, saturated by biases", SIGMOID, constant(9.0, "layers.4.bias"), ("saturated",), ("layers.4.",)),
    Fault("a normalisation that scales too high", network(Normed, rows), constant(60.0, "norm.weight"), ("saturated",),
          ("first",), level="error"),
    Fault("lstm, exploding state", LSTM, element(float("inf"), "body.bias_ih_l0"), ("non-finite",),
          ("body.",)),
    # inputs and tokens
    Fault("relu, He, deep", mlp(nn.ReLU, 40), he, ("collapsed",), ("layers.",)),
    Fault("gelu, drowned by a bias", GELU, normal(30.0, "layers.1.bias"), ("collapsed",), ("layers.1.",)),
    Fault("no sums beside attention", ENCODER, without_sums, ("rank collapse",), ("layers.",), mends=False),
    Fault("queries too large", ENCODER, scaled(60, "layers.2.attention.q.weight"), ("sharp attention",),
          ("layers.2.attention.q",), level="error"),
    Fault("keys too large, written out", EAGER, scaled(60, "layers.1.attention.k.weight"), ("sharp attention",),
          ("layers.1.attention.k",), level="error"),
    Fault("queries of zero", EAGER, constant(0.0, "layers.1.attention.q.weight"), ("uniform attention",),
          ("layers.1.attention.",)),
    # residual streams
    Fault("branches without normalisation, He", BARE, he, ("residual growth",), ("blocks.",)),
    Fault("one branch drowns the stream", STREAM, scaled(300, "blocks.3.down.weight"), ("residual growth",),
          ("blocks.3.down",), level="error"),
    Fault("encoder, one write too large", ENCODER, scaled(300, "layers.2.down.weight"), ("residual growth",),
          ("layers.2.down",)),
    # zeros
    Fault("branch zero twice", BARE, constant(0.0, "blocks.2.up.weight", "blocks.2.up.bias", "blocks.2.down.weight"),
          ("no gradient",), ("blocks.2.",), level="error"),
    Fault("adapter zero twice", network(LowRank, rows), constant(0.0, "a.weight"), ("no gradient",), ("a.",),
          level="error"),
    # outputs
    Fault("head too large", RELU, scaled(60, "head.weight"), ("overconfident",), ("head",)),
    Fault("gpt2, tied embedding of size 1", gpt2, normal(1.0, "model.transformer.wte.weight"), ("overconfident",),
          ("model.transformer.wte",)),
    Fault("llama, head too large", llama, scaled(60, "model.lm_head.weight"), ("overconfident",), ("model.lm_head",)),
    # copies
    Fault("two equal layers", TANH, copied("layers.1.weight", "layers.3.weight"), ("copies",), ("layers.1",),
          level="error"),
    Fault("equal experts", network(Experts, rows), copied("experts.0.weight", "experts.2.weight"), ("copies",),
          ("experts.0",), level="error"),
    Fault("a shard twice in one tensor", RELU,
          part(("layers.2.weight", slice(0, 16)), ("layers.2.weight", slice(32, 48))), ("copies",),
          ("layers.2.weight",), level="error"),
    Fault("a shard of another tensor", RELU,
          part(("layers.1.weight", slice(0, 32)), ("layers.4.weight", slice(32, 64))), ("copies",),
          ("layers.1.weight",), level="error"),
    Fault("cloned encoder layers", ENCODER, both(*(
        copied(f"layers.0.{name}.weight", *(f"layers.{i}.{name}.weight" for i in (1, 2, 3)))
        for name in ("attention.q", "attention.k", "attention.v", "attention.out", "up", "down"))),
          ("copies",), ("layers.0",), level="error"),
    # numbers
    Fault("not a number in a weight", RELU, element(float("nan"), "layers.2.weight"), ("non-finite",), ("layers.2.",),
          level="error"),
    Fault("infinity in an embedding", gpt2, element(float("inf"), "model.transformer.wpe.weight"), ("non-finite",),
          ("model.transformer.wpe",), level="error"),
    Fault("half precision, overflow", HALF, constant(65504.0, "layers.1.weight"), ("overflow",), ("layers.1",),
          level="error"),
    Fault("half precision, underflow", HALF, changed(lambda t: t.mul_(3e-7), "layers.1.weight"), ("underflow",),
          ("layers.1",), level="error"),
    Fault("fp8, underflow", EIGHT, changed(lambda t: t.copy_((t.float() * 5e-3).to(t.dtype)), "layers.1.weight"),
          ("underflow",), ("layers.1",), level="error"),
    Fault("fp8, overflow", EIGHT, changed(lambda t: t.copy_((t.float() * 1e4).clamp(-448, 448).to(t.dtype)),
          "layers.1.weight"), ("overflow",), ("layers.1",), level="error"),
    # the plan, and what is not about numbers
    Fault("not what was planned", RELU, scaled(3, "layers.2.weight"), ("off plan",), ("layers.2.",), level="error",
          options={"plan": True}),
    Fault("a layer that nobody calls", network(Spare, rows), attribute("uses_spare", False), ("unused",), ("spare",),
          mends=False),
    Fault("a layer whose result is lost", network(Spare, rows), attribute("uses_aside", False), ("unused",), ("aside",),
          mends=False),
    Fault("one direction in a hundred", LINEAR, changed(
        lambda t: t.copy_(t.mean(0) * torch.ones(len(t), 1) + 1e-5 * t), "layers.3.weight"), ("ill-conditioned",),
          ("layers.",), options={"jacobian": True}),
)  # fmt: skip
