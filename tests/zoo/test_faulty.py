"""Starts that transformers gives by itself and that are not sound: their findings are kept."""

from __future__ import annotations

import math

import pytest
import torch
import transformers

import wellbegun as wb

from .architectures import architectures
from .test_sound import _quiet


def _large_logits(kind: str, width: int) -> tuple[float, list[str]]:
    """Standard deviation of the logits of a T5 model with two layers, and the levels of what is said of it."""
    _quiet()
    config = getattr(transformers, f"{kind}Config")(
        vocab_size=200, d_model=width, d_ff=2 * width, d_kv=16, num_heads=4, num_layers=2, num_decoder_layers=2
    )
    torch.manual_seed(0)
    model = getattr(transformers, f"{kind}ForConditionalGeneration")(config)
    tokens = torch.randint(2, 200, (8, 16), generator=torch.Generator().manual_seed(0))
    found = wb.diagnose(model, {"input_ids": tokens, "decoder_input_ids": tokens})
    return math.sqrt(found.facts.logits), [f.level for f in found.findings if f.kind == "large logits"]


@pytest.mark.parametrize(("width", "level"), [(64, "warning"), (256, "error")])
def test_mt5_ties_its_head_and_does_not_scale_it(width: int, level: str) -> None:
    """Its table has a standard deviation of 1, and the logits one of about sqrt(width); T5 divides by that."""
    scale, levels = _large_logits("MT5", width)
    assert 0.8 < scale / math.sqrt(width) < 1.3
    assert levels == [level]


@pytest.mark.parametrize("kind", ["T5", "UMT5"])
def test_those_that_scale_it_have_no_such_finding(kind: str) -> None:
    scale, levels = _large_logits(kind, 256)
    assert 0.7 < scale < 1.5
    assert levels == []


@pytest.mark.slow
def test_a_vision_encoder_of_numbers_near_zero_vanishes() -> None:
    """The default `initializer_range` of SAM's picture encoder, and of twelve others, is 1e-10."""
    _quiet()
    assert transformers.SamVisionConfig().initializer_range == 1e-10
    torch.manual_seed(0)
    made = architectures()["got_ocr2"]
    model = made.build()
    found = wb.diagnose(model, made.inputs(model, 0))
    (vanishing,) = (f for f in found.findings if f.kind == "vanishing" and f.level == "error")
    assert vanishing.layer.startswith("model.vision_tower.")


def test_a_weight_in_front_of_a_softmax_over_one_number_never_learns() -> None:
    """SwiftFormer's queries are weighed by a softmax over an axis of size 1: always 1, whatever w_g holds."""
    _quiet()
    torch.manual_seed(0)
    made = architectures()["swiftformer"]
    model = made.build()
    found = wb.diagnose(model, made.inputs(model, 0))
    (lost,) = (f for f in found.findings if f.kind == "no gradient" and f.level == "error")
    assert all(name.endswith(".attn.w_g") for name in lost.weights)
