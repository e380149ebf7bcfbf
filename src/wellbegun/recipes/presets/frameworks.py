"""What PyTorch's and Keras's own layers start with."""

from __future__ import annotations

import math

from wellbegun.laws import (
    Constant,
    FanInUniform,
    Fans,
    Initializer,
    Normal,
    Orthogonal,
    Patched,
    Uniform,
    XavierNormal,
    XavierUniform,
    Zeros,
)
from wellbegun.recipes.presets.preset import WEIGHTS, Line, Preset, Site, zero_biases
from wellbegun.recipes.proposal import Proposal

_LINEAR = "torch.nn.modules.linear.Linear"
_BILINEAR = "torch.nn.modules.linear.Bilinear"
_CONV = "torch.nn.modules.conv._ConvNd"
_LOOKUPS = ("torch.nn.modules.sparse.Embedding", "torch.nn.modules.sparse.EmbeddingBag")
_ATTENTION = "torch.nn.modules.activation.MultiheadAttention"
_ATTENTION_OUTPUT = "torch.nn.modules.linear.NonDynamicallyQuantizableLinear"
_RECURRENT = ("torch.nn.modules.rnn.RNNBase", "torch.nn.modules.rnn.RNNCellBase")
_GATES = {"LSTM": 4, "LSTMCell": 4, "GRU": 3, "GRUCell": 3}


class TorchDefault(Preset):
    """What the layers of torch.nn draw by themselves, when nobody says anything else.

    >>> import torch
    >>> from wellbegun import plan
    >>> model = torch.nn.Sequential(torch.nn.Linear(64, 32), torch.nn.ReLU(), torch.nn.Linear(32, 10))
    >>> plan(model, seed=7, recipe="torch")["0.bias"].law
    Uniform(low=-0.125, high=0.125)

    Need: what a framework or a model family starts with
    Formula: Linear, Conv: weights and biases U(±1/sqrt(fan_in)), with fan_in as torch reads it from the weight's shape;
        Bilinear U(±1/sqrt(in1)); Embedding N(0, 1); RNN, LSTM, GRU: all U(±1/sqrt(hidden)); MultiheadAttention:
        U(±sqrt(6/(fan_in + fan_out))) for the (packed) projections, biases 0; normalisation 1 and 0.
    Use it for: comparing with what a network does today; reproducing an experiment that relied on the defaults.
    Not for: deep networks without normalisation, which lose a third to a sixth of the variance in every layer. Modules
        that draw for themselves (nn.Transformer draws its matrices again; a model's own `_init_weights`) are `author`.
    Source: PyTorch 2, `reset_parameters` of torch.nn.modules: kaiming_uniform_(a=sqrt(5)) is U(±1/sqrt(fan_in)).
    """

    name_only = "torch"
    source = "PyTorch 2, reset_parameters of torch.nn.modules"

    def lines(self) -> tuple[Line, ...]:
        """Of parameters that no module of torch.nn holds: as the layer that does the same."""
        return (
            Line((*WEIGHTS, "bias"), FanInUniform(), "no layer of torch.nn: as nn.Linear, U(±1/sqrt(fan_in))"),
            Line(("embedding weight",), Normal(1.0), "no layer of torch.nn: as nn.Embedding, N(0, 1)"),
        )

    def special(self, site: Site) -> Proposal | None:
        """Go by the module's type, as torch does."""
        if site.variable.kind != "parameter":
            return None
        made = self._by_type(site)
        return None if made is None else Proposal(made[0], f"torch's own start of {made[1]}", self.source)

    def _by_type(self, site: Site) -> tuple[Initializer, str] | None:
        variable = site.variable
        attribute, shape, owner = variable.attribute, variable.shape, variable.owner
        if site.is_of(*_RECURRENT):
            bound = 1 / math.sqrt(_hidden(site))
            return Uniform(-bound, bound), f"nn.{owner}: U(±1/sqrt(hidden))"
        if site.is_of(_ATTENTION):
            return _attention(attribute, shape)
        if site.is_of(_ATTENTION_OUTPUT) and attribute == "bias":
            return Zeros(), "nn.MultiheadAttention: output bias 0"
        if site.is_of(*_LOOKUPS) and attribute == "weight":
            return Normal(1.0), f"nn.{owner}: N(0, 1)"
        if site.is_of(_LINEAR, _BILINEAR, _CONV) and attribute in ("weight", "bias"):
            weight = site.sibling("weight")
            if weight is None or len(weight.shape) < 2:
                return None
            inputs = weight.shape[1] * (1 if site.is_of(_BILINEAR) else math.prod(weight.shape[2:]))
            bound = 1 / math.sqrt(inputs) if inputs else 0.0
            what = f"nn.{owner}: U(±1/sqrt({inputs:g}))"
            return (Uniform(-bound, bound), what) if bound else None
        return None


class Keras(Preset):
    """What Keras's layers start with, in a PyTorch model.

    >>> import torch
    >>> from wellbegun import plan
    >>> model = torch.nn.Sequential(torch.nn.Linear(100, 50), torch.nn.ReLU(), torch.nn.Linear(50, 10))
    >>> plan(model, seed=7, recipe="keras")["0.weight"].law
    Uniform(low=-0.2, high=0.2)

    Need: what a framework or a model family starts with
    Formula: kernels U(±sqrt(6/(fan_in + fan_out))), with both fans read from the kernel's shape; recurrent kernels
        orthogonal, input kernels of gates as one matrix for all gates; biases 0, forget bias 1; Embedding U(±0.05);
        normalisation 1 and 0.
    Use it for: carrying a Keras model over to PyTorch, where the same architecture otherwise starts with a third of
        the variance and a closed forget gate.
    Not for: deep ReLU networks without normalisation: half of the second moment is lost in every layer.
    Source: Keras 3, defaults of Dense, Conv, LSTM, GRU and Embedding (glorot_uniform, orthogonal, unit_forget_bias).
    """

    name_only = "keras"
    source = "Keras 3, defaults of its layers"

    def lines(self) -> tuple[Line, ...]:
        """The same for every layer that has a kernel."""
        return (
            Line(("linear weight", "bilinear weight"), XavierUniform(), "Keras's glorot_uniform"),
            Line(("embedding weight",), Uniform(-0.05, 0.05), "Keras's Embedding: U(±0.05)"),
            Line(("activation slope",), Zeros(), "Keras's PReLU: slope 0"),
            zero_biases(),
        )

    def special(self, site: Site) -> Proposal | None:
        """Convolutions by their shape; gates by theirs."""
        made = None
        shape, attribute = site.variable.shape, site.variable.attribute
        if site.is_of(*_RECURRENT):
            made = _keras_gates(site)
        elif site.role in ("convolution weight", "transposed convolution weight") and len(shape) > 2:
            taps = math.prod(
                shape[2:]
            )  # (out, in, *taps); transposed (in, out, *taps), and Keras reads it the same way
            law = XavierUniform().law(Fans(shape[1] * taps, shape[0] * taps))
            made = law, "Keras's glorot_uniform, with the fans of the kernel's shape"
        elif site.is_of(_ATTENTION) and attribute == "in_proj_bias":
            made = Zeros(), "biases start at 0"
        elif site.is_of(_ATTENTION) and attribute in ("in_proj_weight", *_SEPARATE):
            parts = 3 if attribute == "in_proj_weight" else 1
            law = XavierUniform().law(Fans(shape[1], shape[0] / parts))
            made = law, "Keras's glorot_uniform, for each projection"
        return None if made is None else Proposal(*made, self.source)


_SEPARATE = ("q_proj_weight", "k_proj_weight", "v_proj_weight")


def _attention(attribute: str, shape: tuple[int, ...]) -> tuple[Initializer, str] | None:
    if attribute in ("in_proj_weight", *_SEPARATE):
        law = XavierUniform().law(Fans(shape[1], shape[0]))
        return law, f"nn.MultiheadAttention: Xavier's uniform over the whole {shape[0]}×{shape[1]} matrix"
    if attribute == "in_proj_bias":
        return Zeros(), "nn.MultiheadAttention: biases 0"
    if attribute in ("bias_k", "bias_v"):  # torch reads (1, 1, d) as a kernel: fan_in 1·d, fan_out 1·d
        return XavierNormal().law(Fans(shape[-1], shape[-1])), "nn.MultiheadAttention: Xavier's normal"
    return None


def _keras_gates(site: Site) -> tuple[Initializer, str] | None:
    attribute, shape = site.variable.attribute, site.variable.shape
    if attribute.startswith("weight_hh"):
        return Orthogonal(), "Keras's recurrent kernel: orthogonal, one matrix for all gates"
    if attribute.startswith("weight"):
        return XavierUniform().law(Fans(shape[1], shape[0])), "Keras's glorot_uniform, one matrix for all gates"
    hidden = shape[0] // _GATES.get(_kind(site), 1)
    if _kind(site).startswith("LSTM") and attribute.startswith("bias_ih"):
        law = Patched(Constant(0.0), ((((hidden, 2 * hidden),), Constant(1.0)),))
        return law, "Keras's unit_forget_bias: 1 for the forget gate, in the first of torch's two biases; else 0"
    return Zeros(), "biases start at 0"


def _kind(site: Site) -> str:
    """Which of torch's recurrent layers the module is, by the first of its types that is one."""
    names = (full.rpartition(".")[2] for full in site.variable.types[0] if full.startswith("torch.nn.modules.rnn."))
    return next(names, "")


def _hidden(site: Site) -> float:
    """Size of the hidden state: rows of an input weight over the number of gates."""
    attribute = site.variable.attribute
    layer = attribute.removeprefix(attribute[: attribute.find("_l")]) if "_l" in attribute else ""
    weight = site.sibling(f"weight_ih{layer}")
    rows = weight.shape[0] if weight is not None else site.variable.shape[0]
    return rows / _GATES.get(_kind(site), 1)
