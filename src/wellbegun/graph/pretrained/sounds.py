"""Arguments that are sounds: samples, spectrograms, and the masks of their frames; and time series."""

from __future__ import annotations

import math
from typing import Any

import torch

from wellbegun.graph.pretrained.configured import Configured

_FRAMES, _SAMPLES = 64, 20
"""Frames of a spectrogram, and samples behind the strides, that no field of a configuration gives."""


class Sounds(Configured):
    """Makes sounds as the first layer that takes them has them."""

    def _make_input_features(self) -> torch.Tensor | None:
        if self.lacks("audio"):
            return None
        bins, frames = self._bins(), self.field("max_source_positions")
        kind, width = self._first_consumer(bins)
        if self._channels_first():
            return self.on_meta(width, 2 * frames if frames else _FRAMES)
        if kind == "Conv2d" and hasattr(self.config, "audio_config") and not self._masks():
            return self.on_meta(1, self.field("spec_size", default=_FRAMES) * 4, bins)
        return self.on_meta(_FRAMES, bins if self.reading == "plain bins" else width)

    def frame_masks(self, made: dict[str, Any]) -> dict[str, torch.Tensor]:
        """Masks with one number for each frame of a spectrogram, of which all count."""
        features = made.get("input_features")
        if features is None or self.reading == "no masks of frames":
            return {}
        frames = features.shape[-1] if self._channels_first() else features.shape[-2]
        return {name: torch.ones(len(features), frames, dtype=torch.long) for name in self._masks()}

    def _masks(self) -> list[str]:
        return [name for name in ("input_features_mask", "feature_attention_mask") if name in self.parameters]

    def _bins(self) -> int:
        bins: int = self.field("num_mel_bins", "feature_projection_input_dim", "input_feat_per_channel", default=80)
        return bins

    def _channels_first(self) -> bool:
        """Whether the bins of a spectrogram come before its frames."""
        return (self._first_consumer(self._bins())[0] == "Conv1d") != (self.reading == "channels")

    def _first_consumer(self, width: int) -> tuple[str, int]:
        """The first layer that takes channels, and how many it takes."""
        for module in self.model.modules():
            if isinstance(module, torch.nn.Conv1d) and module.in_channels == width:
                return "Conv1d", width
            if isinstance(module, torch.nn.Conv2d):
                return "Conv2d", width
            if isinstance(module, (torch.nn.Linear, torch.nn.LayerNorm)):
                size = module.in_features if isinstance(module, torch.nn.Linear) else module.normalized_shape[0]
                return "Linear", size if size % width == 0 else width
        return "", width

    def _make_input_values(self) -> torch.Tensor | None:
        if self.lacks("audio"):
            return None
        bins, frames = self.field("num_mel_bins"), self.field("max_length")
        if isinstance(bins, int) and isinstance(frames, int) and frames > bins:
            return self.on_meta(frames, bins)
        strides = self.field("conv_stride", "upsampling_ratios", "downsampling_ratios", default=[320])
        length = _SAMPLES * math.prod(strides)
        channels = self.field("audio_channels", default=1 if self.reading == "channels" else None)
        return self.on_meta(*((length,) if channels is None else (channels, length)))

    # time series

    def _make_past_values(self) -> torch.Tensor:
        size = self.field("input_size", "num_input_channels", default=1)
        alone = self.reading == "one series" or (size == 1 and hasattr(self.config, "lags_sequence"))
        return self.on_meta(*((self._past(),) if alone else (self._past(), size)))

    def _make_past_time_features(self) -> torch.Tensor:
        return self.on_meta(self._past(), self.config.num_time_features)

    def _make_past_observed_mask(self) -> torch.Tensor | None:
        return torch.ones(self._make_past_values().shape) if hasattr(self.config, "lags_sequence") else None

    def _make_future_values(self) -> torch.Tensor | None:
        if not hasattr(self.config, "lags_sequence"):
            return None
        return self.on_meta(self.config.prediction_length, *self._make_past_values().shape[2:])

    def _make_future_time_features(self) -> torch.Tensor | None:
        if not hasattr(self.config, "lags_sequence"):
            return None
        return self.on_meta(self.config.prediction_length, self.config.num_time_features)

    def _make_static_categorical_features(self) -> torch.Tensor | None:
        number = self.config.num_static_categorical_features
        return torch.zeros(self.batch, number, dtype=torch.long) if number else None

    def _make_static_real_features(self) -> torch.Tensor | None:
        number = self.config.num_static_real_features
        return self.on_meta(number) if number else None

    def _past(self) -> int:
        lags = getattr(self.config, "lags_sequence", None) or [0]
        length: int = self.config.context_length + max(lags)
        return length
