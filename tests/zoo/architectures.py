"""The architectures that are walked: one for each model type of transformers that can be built here, and torch.nn."""

from __future__ import annotations

import functools
from typing import Any

import torch
import transformers

from .inputs import random_inputs
from .kinds import class_names
from .shrink import small_config
from .torch_models import TORCH
from .unbuilt import UNBUILT
from .walk import Architecture

LANGUAGE = ("SEQ_TO_SEQ_CAUSAL_LM", "SPEECH_SEQ_2_SEQ", "MULTIMODAL_LM", "IMAGE_TEXT_TO_TEXT", "MASKED_LM", "CAUSAL_LM")
FAMILIES = {
    "SEQ_TO_SEQ_CAUSAL_LM": "text, encoder and decoder",
    "MASKED_LM": "text, encoder",
    "CAUSAL_LM": "text, decoder",
    "SPEECH_SEQ_2_SEQ": "sound to text",
    "MULTIMODAL_LM": "several kinds",
    "IMAGE_TEXT_TO_TEXT": "several kinds",
    "BASE": "model without a head",
}
TOKENS = 24


@functools.cache
def architectures() -> dict[str, Architecture]:
    """Return {name: architecture}; nothing is built yet."""
    found = {name: _of_transformers(name, *kind) for name, kind in class_names().items() if name not in UNBUILT}
    return found | {architecture.name: architecture for architecture in TORCH}


def _of_transformers(name: str, class_name: str, head: str) -> Architecture:
    def build() -> torch.nn.Module:
        model: torch.nn.Module = getattr(transformers, class_name)(small_config(name))
        return model

    def inputs(model: torch.nn.Module, seed: int) -> dict[str, Any]:
        return random_inputs(model, seed, TOKENS)

    family = FAMILIES.get(head, head.lower().replace("_", " "))
    return Architecture(name, class_name, family, build, inputs, head in LANGUAGE)
