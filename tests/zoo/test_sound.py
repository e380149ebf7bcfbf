"""No false alarm: sound networks, started by `auto` and by their authors' code, have no finding of level error."""

from __future__ import annotations

import functools
from typing import Any

import pytest
import torch
import transformers

import wellbegun as wb

from .architectures import architectures

TORCH = """multilayer perceptron|norms|images|residual images|autoencoder|series|volumes|bilinear|bag|recurrent|
gated recurrent|long short-term memory|projected memory|cells|attention|split attention|translator|shared table"""
TRANSFORMERS = """gpt2 llama gemma2 qwen3_moe mixtral deepseek_v3 mamba mamba2 jamba rwkv falcon_h1 bloom gpt_neox opt
phi gptj bert roberta deberta-v2 modernbert xlnet t5 bart marian whisper vit swin convnext resnet clip siglip wav2vec2
hubert segformer perceiver patchtst distilbert electra albert beit deit dinov2 mobilenet_v2 regnet data2vec-text
led fsmt mt5"""
NAMES = [f"torch.nn: {name.strip()}" for name in TORCH.split("|")] + TRANSFORMERS.split()
ALWAYS = frozenset([*NAMES[:18:3], "gpt2", "llama", "bert", "t5", "vit", "resnet", "mamba", "swin"])

# torch clones the layers of a TransformerEncoder, so that what its constructor makes is no sound start (case 19)
CLONED = frozenset(["torch.nn: translator"])


@functools.cache
def _quiet() -> None:
    transformers.logging.set_verbosity_error()


def _parameters() -> list[Any]:
    return [
        pytest.param(name, how, marks=() if name in ALWAYS else pytest.mark.slow, id=f"{name}, {how}")
        for name in NAMES
        for how in ("auto", "author")
        if not (how == "author" and name in CLONED)
    ]


def test_there_are_more_than_forty() -> None:
    assert len(set(NAMES)) >= 60
    assert set(NAMES) <= set(architectures())


@pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")
@pytest.mark.parametrize(("name", "how"), _parameters())
def test_a_sound_network_raises_no_alarm(name: str, how: str) -> None:
    _quiet()
    made = architectures()[name]
    torch.manual_seed(0)
    model = made.build()
    inputs = made.inputs(model, 0)
    if how == "auto":
        wb.apply(wb.plan(made.build, inputs, seed=0), model, overwrite=True)
    found = wb.diagnose(model, (inputs, None) if isinstance(inputs, tuple) else inputs)
    assert len(found.layers) >= 2
    assert not [finding for finding in found.findings if finding.level == "error"], found
