"""Which model types there are, and the class that is taken for each: the one with the most complete head."""

from __future__ import annotations

import functools

from transformers import CONFIG_MAPPING
from transformers.models.auto import modeling_auto

# the order of preference; a head that trains on what the model is for comes before a general one
HEADS = (
    "SEQ_TO_SEQ_CAUSAL_LM",
    "SPEECH_SEQ_2_SEQ",
    "MULTIMODAL_LM",
    "IMAGE_TEXT_TO_TEXT",
    "MASKED_LM",
    "CAUSAL_LM",
    "CTC",
    "RNNT",
    "TDT",
    "TEXT_TO_SPECTROGRAM",
    "TEXT_TO_WAVEFORM",
    "OBJECT_DETECTION",
    "UNIVERSAL_SEGMENTATION",
    "INSTANCE_SEGMENTATION",
    "SEMANTIC_SEGMENTATION",
    "DEPTH_ESTIMATION",
    "POSE_ESTIMATION",
    "KEYPOINT_DETECTION",
    "KEYPOINT_MATCHING",
    "IMAGE_CLASSIFICATION",
    "VIDEO_CLASSIFICATION",
    "AUDIO_CLASSIFICATION",
    "MASK_GENERATION",
    "IMAGE_TO_IMAGE",
    "ZERO_SHOT_OBJECT_DETECTION",
    "IMAGE_MATTING",
    "TEXT_RECOGNITION",
    "TABLE_RECOGNITION",
    "DECISION",
    "VISUAL_QUESTION_ANSWERING",
    "TIME_SERIES_PREDICTION",
    "RETRIEVAL",
    "PRETRAINING",
    "MASKED_IMAGE_MODELING",
    "SEQUENCE_CLASSIFICATION",
)

# where the class of the most complete head cannot be run by itself
OTHER = {"flava": "FlavaModel"}


@functools.cache
def class_names() -> dict[str, tuple[str, str]]:
    """Return {model type: (class name, head)} for every type that is not a part of another."""
    parts = {
        sub.model_type
        for kind in CONFIG_MAPPING.values()
        for sub in kind.sub_configs.values()
        if hasattr(sub, "model_type")
    }
    tables = [(head, getattr(modeling_auto, _mapping(head))) for head in HEADS]
    tables.append(("BASE", modeling_auto.MODEL_MAPPING_NAMES))
    found = {}
    for model_type in sorted(set().union(*(table for _, table in tables)) - parts):
        head, names = next((head, table[model_type]) for head, table in tables if model_type in table)
        if model_type in OTHER:
            found[model_type] = (OTHER[model_type], "BASE")
            continue
        found[model_type] = (names if isinstance(names, str) else names[0], head)
    return found


def _mapping(head: str) -> str:
    return f"MODEL_FOR_{head}_MAPPING_NAMES"
