"""Example inputs of a transformers model, made from its forward's parameters and its configuration's fields."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterator
from typing import Any

import torch

from wellbegun.errors import TraceError
from wellbegun.graph.fallback import LIMIT, copied, harmless, real_inputs
from wellbegun.graph.stage import configurations, staged
from wellbegun.graph.whole_numbers import WholeNumbers, on_meta_unless_whole

_TOKENS, _FRAMES, _SIDE, _SAMPLES, _PATCHES = 16, 64, 64, 20, 4
"""Lengths of what no field of a configuration gives: tokens, spectrogram frames, pixels a side, encoded samples,
patches.
"""


def is_pretrained(model: torch.nn.Module) -> bool:
    """Return whether this is a model of transformers with a configuration."""
    import sys

    kind = getattr(sys.modules.get("transformers.modeling_utils"), "PreTrainedModel", None)
    return kind is not None and isinstance(model, kind)


def pretrained_inputs(model: torch.nn.Module) -> Iterator[dict[str, Any]]:
    """Yield keyword arguments for one forward pass of a transformers model: the usual shapes, then other readings.

    Whole numbers are real tensors (masks are made from them), everything else is on meta.

    Raises:
        TraceError: a required argument of the forward that nothing is known about; it is named.
    """
    for variant, names in _VARIANTS.items():
        maker = _Maker(model, variant)
        if names and not any(name in maker.parameters for name in names):
            continue
        made = maker.all_arguments()
        missing = [name for name in maker.required if name not in made]
        if not made or missing:
            usual = getattr(model, "dummy_inputs", None)
            if isinstance(usual, dict) and set(maker.required) <= set(usual) <= set(maker.parameters):
                made, missing = usual, []
        if missing:
            raise TraceError(
                f"the configuration of {type(model).__name__} does not say what {' and '.join(missing)} of its forward "
                f"shall be; pass inputs={{{', '.join(f'{name!r}: ...' for name in maker.required)}}}"
            )
        yield made


_VARIANTS = {
    "": (),
    "several images": ("pixel_values",),
    "large images": ("pixel_values",),
    "channels": ("input_values", "input_features"),
}
"""Other readings of what a configuration says, and the arguments that they are about."""


_MASKS = ("input_features_mask", "feature_attention_mask")
"""Masks of sound that some forwards need: one number for each frame."""


class _Maker:
    """Knows the model's forward and configurations, and makes one argument after the other."""

    def __init__(self, model: torch.nn.Module, variant: str) -> None:
        self.model: Any = model
        self.variant = variant
        self.config: Any = vars(model)["config"]
        signature = inspect.signature(model.forward).parameters.values()
        named = [p for p in signature if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
        self.parameters = [p.name for p in named]
        self.required = [p.name for p in named if p.default is p.empty]
        self.text: Any = self.config.get_text_config()
        inside = [value for value in vars(self.config).values() if hasattr(value, "to_dict")]
        self.all = [self.config, *inside, *configurations(model)]
        self.sees = "pixel_values" in self.parameters and "input_ids" in self.parameters
        no_padding = "input_ids" in self.parameters and getattr(self.text, "pad_token_id", None) is None
        self.batch = 1 if no_padding or self._token("image") is not None else 2

    def all_arguments(self) -> dict[str, Any]:
        """The arguments that the configuration says something about, by name."""
        methods: dict[str, Callable[[], Any]] = {
            name: getattr(self, f"_make_{name}") for name in self.parameters if hasattr(self, f"_make_{name}")
        }
        made = {name: value for name, method in methods.items() if (value := method()) is not None}
        for name in _MASKS:
            frames = next((made[of] for of in ("input_features", "input_values") if of in made), None)
            if name in self.parameters and frames is not None:
                made[name] = torch.ones(len(frames), max(frames.shape[1:]), dtype=torch.long)
        self._add_placeholders(made)
        return made

    def field(self, *names: str, default: Any = None) -> Any:
        """The first field of these names that any configuration has, the model's own first."""
        found = (getattr(config, name, None) for name in names for config in self.all)
        return next((value for value in found if value is not None), default)

    # text

    def tokens(self, length: int, table: Any = None, rows: int | None = None) -> torch.Tensor:
        """Whole numbers within a vocabulary that mean nothing special, but for the end of text at the end."""
        if rows is None:
            rows = len(table.weight) if table is not None and hasattr(table, "weight") else self.field("vocab_size")
        rows = rows or 32
        special = set(self._special_tokens())
        usual = [token for token in range(min(rows, 4 * _TOKENS + len(special))) if token not in special] or [0]
        ids = torch.tensor([usual[i % len(usual)] for i in range(length)])
        end = getattr(self.text, "eos_token_id", None)
        if isinstance(end, int) and 0 <= end < rows:
            ids[-1] = end
        return ids.repeat(self.batch, 1)

    def _special_tokens(self) -> Iterator[int]:
        for config in self.all:
            for name, value in vars(config).items():
                if name.endswith(("token_id", "token_index")) and isinstance(value, int):
                    yield value

    def _length(self) -> int:
        most = self.field("max_position_embeddings", "n_positions", default=_TOKENS)
        return max(2, min(_TOKENS, most if isinstance(most, int) and most > 0 else _TOKENS))

    def _table(self) -> Any:
        try:
            return self.model.get_input_embeddings()
        except (NotImplementedError, AttributeError):
            return None

    def _make_input_ids(self) -> torch.Tensor | None:
        main = self.model.main_input_name
        reads = main == "input_ids" or "input_ids" in self.required or self.sees or hasattr(self.config, "text_config")
        if not reads and main in self.parameters:
            return None
        table = self._table()
        return self.tokens(self._length(), table if isinstance(table, torch.nn.Embedding) else None)

    def _make_decoder_input_ids(self) -> torch.Tensor | None:
        decoder = self.config.get_text_config(decoder=True)
        return self.tokens(_TOKENS // 2, rows=getattr(decoder, "vocab_size", None))

    def _make_qformer_input_ids(self) -> torch.Tensor:
        return self.tokens(_TOKENS // 2, rows=self.config.qformer_config.vocab_size)

    def _make_bbox(self) -> torch.Tensor:
        return torch.arange(4).repeat(self.batch, self._length(), 1)

    def _make_encoder_hidden_states(self) -> torch.Tensor | None:
        if not getattr(self.config, "add_cross_attention", False):
            return None
        return torch.empty(self.batch, _TOKENS, self.config.hidden_size, device="meta")

    # images

    def _make_pixel_values(self) -> torch.Tensor:
        if {"image_grid_thw", "grid_thw"} & set(self.parameters):
            return self._flat_patches()
        height, width = self._image_size()
        channels = self._channels()
        frames = 1 if self.variant == "several images" else self.field("num_frames", "frames_per_clip")
        shape = (frames, channels, height, width) if isinstance(frames, int) else (channels, height, width)
        return torch.empty(self.batch, *shape, device="meta")

    def _make_pixel_values_videos(self) -> torch.Tensor | None:
        if self.model.main_input_name != "pixel_values_videos" and "pixel_values_videos" not in self.required:
            return None
        height, width = self._image_size()
        frames = self.field("num_frames", "frames_per_clip", default=_PATCHES)
        return torch.empty(self.batch, frames, self._channels(), height, width, device="meta")

    def _make_flattened_patches(self) -> torch.Tensor:
        width = self._channels() * self.field("patch_size", default=16) ** 2
        patches = torch.zeros(self.batch, _PATCHES, 2 + width)
        patches[:, :, :2] = 1  # row and column, counted from 1
        return patches

    def _make_image_grid_thw(self) -> torch.Tensor:
        return torch.tensor([[1, *self._grid()]])

    _make_grid_thw = _make_image_grid_thw

    def _make_hidden_states(self) -> torch.Tensor | None:
        return self._flat_patches() if "grid_thw" in self.parameters else None

    def _flat_patches(self) -> torch.Tensor:
        patch = self.field("patch_size", default=14)
        width = self._channels() * self.field("temporal_patch_size", default=1) * patch**2
        return torch.empty(math.prod(self._grid()), width, device="meta")

    def _grid(self) -> tuple[int, int]:
        side = 2 * self.field("spatial_merge_size", "merge_size", default=2)
        return side, side

    def _image_size(self) -> tuple[int, int]:
        side = 4 * _SIDE if self.variant == "large images" else _SIDE
        size = self.field("image_size", default=side)
        if isinstance(size, dict):
            size = [size.get("height", side), size.get("width", side)]
        return (size, size) if isinstance(size, int) else tuple(size)[:2]

    def _channels(self) -> int:
        number: int = self.field("num_channels", "in_channels", "in_chans", default=3)
        return number

    # sound

    def _make_input_features(self) -> torch.Tensor:
        bins = self.field("num_mel_bins", "feature_projection_input_dim", "input_feat_per_channel", default=80)
        frames = self.field("max_source_positions")
        kind, width = self._first_consumer(bins)
        if (kind == "Conv1d") != (self.variant == "channels"):
            return torch.empty(self.batch, width, 2 * frames if frames else _FRAMES, device="meta")
        if kind == "Conv2d" and hasattr(self.config, "audio_config"):
            return torch.empty(self.batch, 1, self.field("spec_size", default=_FRAMES) * 4, bins, device="meta")
        return torch.empty(self.batch, _FRAMES, width, device="meta")

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

    def _make_input_values(self) -> torch.Tensor:
        bins, frames = self.field("num_mel_bins"), self.field("max_length")
        if isinstance(bins, int) and isinstance(frames, int) and frames > bins:
            return torch.empty(self.batch, frames, bins, device="meta")
        strides = self.field("conv_stride", "upsampling_ratios", "downsampling_ratios", default=[320])
        length = _SAMPLES * math.prod(strides)
        channels = self.field("audio_channels", default=1 if self.variant == "channels" else None)
        shape = (length,) if channels is None else (channels, length)
        return torch.empty(self.batch, *shape, device="meta")

    # time series

    def _make_past_values(self) -> torch.Tensor:
        size = self.field("input_size", "num_input_channels", default=1)
        shape = (self._past(),) if size == 1 and hasattr(self.config, "lags_sequence") else (self._past(), size)
        return torch.empty(self.batch, *shape, device="meta")

    def _make_past_time_features(self) -> torch.Tensor:
        return torch.empty(self.batch, self._past(), self.config.num_time_features, device="meta")

    def _make_past_observed_mask(self) -> torch.Tensor | None:
        return torch.ones(self._make_past_values().shape) if hasattr(self.config, "lags_sequence") else None

    def _make_future_values(self) -> torch.Tensor | None:
        if not hasattr(self.config, "lags_sequence"):
            return None
        past = self._make_past_values()
        return torch.empty(self.batch, self.config.prediction_length, *past.shape[2:], device="meta")

    def _make_future_time_features(self) -> torch.Tensor | None:
        if not hasattr(self.config, "lags_sequence"):
            return None
        return torch.empty(self.batch, self.config.prediction_length, self.config.num_time_features, device="meta")

    def _make_static_categorical_features(self) -> torch.Tensor | None:
        number = self.config.num_static_categorical_features
        return torch.zeros(self.batch, number, dtype=torch.long) if number else None

    def _make_static_real_features(self) -> torch.Tensor | None:
        number = self.config.num_static_real_features
        return torch.empty(self.batch, number, device="meta") if number else None

    def _past(self) -> int:
        lags = getattr(self.config, "lags_sequence", None) or [0]
        length: int = self.config.context_length + max(lags)
        return length

    # several kinds in one text

    def _token(self, what: str) -> int | None:
        """Number of the token that stands for an image or a sound in the text."""
        names = (f"{what}_token_id", f"{what}_token_index")
        found = (getattr(self.config, name, None) for name in names)
        return next((value for value in found if isinstance(value, int)), None)

    def _add_placeholders(self, made: dict[str, Any]) -> None:
        """Put as many placeholder tokens into the text as an image or a sound becomes vectors."""
        ids = made.get("input_ids")
        if ids is None:
            return
        for what, present in (("image", "pixel_values"), ("audio", "input_features")):
            token = self._token(what)
            if token is None or present not in made:
                continue
            count = self._vectors(what, made)
            marks = [self._token(f"{prefix}_start") for prefix in ("vision", what)]
            begin = [mark for mark in marks if mark is not None][:1]
            middle = torch.tensor([*begin, *[token] * count]).repeat(len(ids), 1)
            made["input_ids"] = ids = torch.cat([ids[:, :2], middle, ids[:, 2:]], dim=1)
        image = self._token("image")
        for name in ("mm_token_type_ids", "token_type_ids"):
            if name in self.parameters and image is not None:
                made[name] = (ids == image).long()

    def _vectors(self, what: str, made: dict[str, Any]) -> int:
        """How many vectors of the text's width an image or a sound becomes: asked of the model, run on meta."""
        method = getattr(self.model, f"get_{what}_features", None)
        if method is not None:
            taken = {name: made[name] for name in inspect.signature(method).parameters if name in made}
            parameters = dict(self.model.named_parameters(remove_duplicate=False))
            buffers = dict(self.model.named_buffers(remove_duplicate=False))
            metas = {name: on_meta_unless_whole(tensor) for name, tensor in {**parameters, **buffers}.items()}
            metas |= {name: torch.empty_like(tensor, device="meta") for name, tensor in parameters.items()}
            try:
                with staged(self.model, metas, on_meta_unless_whole), WholeNumbers():
                    return _rows(method(**taken))
            except Exception:  # noqa: BLE001 - some of these methods need values
                pass
            if 4 * sum(tensor.numel() for tensor in parameters.values()) <= LIMIT:
                reals = {name: harmless(tensor, keep=False) for name, tensor in parameters.items()}
                reals |= {name: harmless(tensor, keep=True) for name, tensor in buffers.items()}
                taken = {name: real_inputs(value) for name, value in taken.items()}
                try:
                    with staged(self.model, reals, copied):
                        return _rows(method(**taken))
                except Exception:  # noqa: BLE001 - then the configuration has to say it
                    pass
        number = self.field(f"{what}_seq_length", f"mm_tokens_per_{what}", "num_query_tokens")
        if isinstance(number, int):
            return number
        height, _ = self._image_size()
        return int((height // self.field("patch_size", default=height)) ** 2)


def _rows(result: Any) -> int:
    """How many vectors the features are: a tensor, several, or the pooled part of an output of transformers."""
    if hasattr(result, "pooler_output"):
        result = result.pooler_output
    leaves = torch.utils._pytree.tree_leaves(result)
    return sum(leaf.numel() // leaf.shape[-1] for leaf in leaves if isinstance(leaf, torch.Tensor))
