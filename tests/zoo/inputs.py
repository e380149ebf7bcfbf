"""Random inputs for one forward pass of a small transformers model, read from its signature and configuration."""

from __future__ import annotations

import inspect
import math
from typing import Any

import torch

TOKENS, FRAMES, BATCH = 16, 64, 2


def random_inputs(model: Any, seed: int = 0, tokens: int = TOKENS) -> dict[str, Any]:
    """Return keyword arguments for `model(**...)`: token numbers, standard normal pixels and sounds."""
    return Inputs(model, seed, tokens).all()


class Inputs:
    """Makes one argument after the other; `make_<name>` for each that a forward may need."""

    def __init__(self, model: Any, seed: int, tokens: int) -> None:
        self.model, self.config, self.length = model, model.config, tokens
        self.generator = torch.Generator().manual_seed(seed)
        parameters = inspect.signature(model.forward).parameters.values()
        named = [p for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
        self.names = [p.name for p in named]
        self.required = [p.name for p in named if p.default is p.empty]
        self.main = model.main_input_name if isinstance(model.main_input_name, str) else model.main_input_name[0]
        self.configs = list(_configurations(self.config))

    def all(self) -> dict[str, Any]:
        wanted = [name for name in (*dict.fromkeys((*self.required, self.main, *USUAL)),) if name in self.names]
        made: dict[str, Any] = {}
        for name in wanted:
            maker = getattr(self, f"make_{name}", None)
            value = None if maker is None else maker(made) if name in EXTRAS else maker()
            if value is not None:
                made[name] = value
        self.place_in_text(made)
        return made

    def field(self, *names: str, default: Any = None) -> Any:
        for name in names:
            for config in self.configs:
                try:
                    value = getattr(config, name, None)
                except Exception:  # noqa: BLE001  # a field that differs from layer to layer
                    value = None
                if value is not None and not isinstance(value, dict):
                    return value
        return default

    def normal(self, *shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=self.generator)

    def integers(self, high: int, *shape: int, low: int = 0) -> torch.Tensor:
        return torch.randint(low, high, shape, generator=self.generator)

    # text

    def vocabulary(self) -> int:
        try:
            table = self.model.get_input_embeddings()
            if isinstance(table, torch.nn.Embedding):
                return table.num_embeddings
        except (NotImplementedError, AttributeError):
            pass
        return int(self.field("vocab_size", "text_vocab_size", default=99))

    def tokens(self, length: int | None = None, high: int | None = None) -> torch.Tensor:
        """Random token numbers, none of those that stand for an image, a sound or padding."""
        high = high or self.vocabulary()
        special = {
            v for c in self.configs for k, v in vars(c).items() if k.endswith(("_id", "_index")) and type(v) is int
        }
        most = self.field("max_position_embeddings", "n_positions", default=0)
        length = length or (min(self.length, most) if most > 0 else self.length)
        plain = torch.tensor([token for token in range(high) if token not in special] or [0])
        return plain[self.integers(len(plain), BATCH, length)]

    def make_input_ids(self) -> torch.Tensor | None:
        books = self.field("num_codebooks", "n_codebooks", "audio_num_codebooks")
        if self.config.model_type in ("csm", "dia", "higgs_audio_v2") and books:
            return None
        no_text = self.main in ("pixel_values", "input_values", "input_features") and "input_ids" not in self.required
        if no_text and not hasattr(self.config, "text_config"):
            return None
        ids = self.tokens()
        question = self.field("question_token_id")
        if question is not None:
            ids[:, 2] = question
        return ids

    def make_task_inputs(self) -> torch.Tensor:
        return self.integers(50, BATCH, self.config.task_seq_len)

    def make_visual_feats(self) -> torch.Tensor:
        return self.normal(BATCH, 4, self.config.visual_feat_dim)

    def make_visual_pos(self) -> torch.Tensor:
        return self.normal(BATCH, 4, self.config.visual_pos_dim)

    def make_decoder_input_ids(self) -> torch.Tensor | None:
        decoder = self.config.get_text_config(decoder=True)
        return self.tokens(high=getattr(decoder, "vocab_size", None))

    def make_qformer_input_ids(self) -> torch.Tensor:
        return self.tokens(8, self.config.qformer_config.vocab_size)

    def make_bbox(self) -> torch.Tensor:
        corner = self.integers(50, BATCH, self.length, 2)
        return torch.cat([corner, corner + 20], dim=-1)

    # pictures

    def sides(self) -> tuple[int, int]:
        size = self.field("image_size", "img_size", default=64)
        if isinstance(size, dict):
            size = (size["height"], size["width"])
        return (size, size) if isinstance(size, int) else (size[0], size[1])

    def channels(self) -> int:
        found = self.field("num_channels", "in_channels", "in_chans", "num_image_channels", default=3)
        return found if isinstance(found, int) else 3

    def grid(self) -> tuple[int, int]:
        side = 2 * self.field("spatial_merge_size", "merge_size", default=2)
        return side, side

    def flat_patches(self) -> torch.Tensor:
        patch = self.field("patch_size", default=14)
        patch = patch if isinstance(patch, int) else patch[-1]
        width = self.channels() * self.field("temporal_patch_size", default=1) * patch**2
        return self.normal(BATCH * math.prod(self.grid()), width)

    def make_pixel_values(self) -> torch.Tensor | None:
        if "image_grid_thw" in self.names:
            return self.flat_patches()
        frames = self.field("num_frames", "frames_per_clip")
        if isinstance(frames, int) and "VideoClassification" in type(self.model).__name__:
            return self.normal(BATCH, frames, self.channels(), *self.sides())
        if "spatial_shapes" in self.names:
            height, width = self.grid()
            return self.normal(BATCH, height * width, self.channels() * self.field("patch_size", default=16) ** 2)
        if self.config.model_type in SEVERAL:
            return self.normal(BATCH, SEVERAL[self.config.model_type], self.channels(), *self.sides())
        return self.normal(BATCH, self.channels(), *self.sides())

    def make_image_grid_thw(self) -> torch.Tensor:
        return torch.tensor([[1, *self.grid()]] * BATCH)

    make_grid_thw = make_image_grid_thw

    def make_hidden_states(self) -> torch.Tensor | None:
        return self.flat_patches() if "grid_thw" in self.names else None

    def make_pixel_values_videos(self) -> torch.Tensor | None:
        if self.main != "pixel_values_videos":
            return None
        frames = self.field("num_frames", "frames_per_clip", default=4)
        return self.normal(BATCH, frames, self.channels(), *self.sides())

    def make_flattened_patches(self) -> torch.Tensor:
        patches = self.normal(BATCH, 8, 2 + self.channels() * self.field("patch_size", default=16) ** 2)
        patches[:, :, :2] = self.integers(4, BATCH, 8, 2, low=1).float()
        return patches

    def make_image_sizes(self, made: dict[str, Any]) -> torch.Tensor:
        return torch.tensor([self.sides()] * BATCH)

    def make_pixel_attention_mask(self, made: dict[str, Any]) -> torch.Tensor:
        pixels = made["pixel_values"]
        return torch.ones(*pixels.shape[:-3], *pixels.shape[-2:]) if pixels.dim() > 3 else torch.ones(pixels.shape[:2])

    def make_spatial_shapes(self, made: dict[str, Any]) -> torch.Tensor:
        return torch.tensor([self.grid()] * BATCH)

    def make_high_res_pixel_values(self, made: dict[str, Any]) -> torch.Tensor:
        return self.normal(BATCH, self.channels(), *self.sides())

    def make_image_merge_sizes(self, made: dict[str, Any]) -> torch.Tensor:
        return torch.full((BATCH,), self.field("spatial_merge_size", "merge_size", default=2))

    def make_input_features_mask(self, made: dict[str, Any] | None = None) -> torch.Tensor:
        return torch.ones(BATCH, self.frames(), dtype=torch.long)

    # sounds and series

    def frames(self) -> int:
        frames = self.field("max_source_positions")
        return 2 * frames if frames and self.takes_channels() else FRAMES

    def takes_channels(self) -> bool:
        """Whether a convolution over time comes first, so that sounds are [batch, bins, frames]."""
        first = next((m for m in self.model.modules() if isinstance(m, torch.nn.Conv1d)), None)
        if self.config.model_type == "speech_to_text" or first is None:
            return False
        return first.in_channels == self.bins() and first.groups == 1 and first.kernel_size[0] > 1

    def bins(self) -> int:
        names = ("num_mel_bins", "feature_projection_input_dim", "input_feat_per_channel", "input_dim")
        return int(self.field(*names, default=80))

    def make_input_features(self) -> torch.Tensor:
        if self.takes_channels():
            return self.normal(BATCH, self.bins(), self.frames())
        return self.normal(BATCH, self.frames(), self.bins())

    def make_input_values(self) -> torch.Tensor:
        bins, frames = self.field("num_mel_bins"), self.field("max_length")
        if isinstance(bins, int) and isinstance(frames, int) and "Audio" in type(self.model).__name__:
            return self.normal(BATCH, frames, bins)
        strides = self.field("conv_stride", "upsampling_ratios", "downsampling_ratios", default=[320])
        length = 20 * math.prod(strides)
        channels = self.field("audio_channels")
        if channels is None and not hasattr(self.config, "conv_dim") and self.config.model_type != "moonshine":
            first = next((m for m in self.model.modules() if isinstance(m, torch.nn.Conv1d)), None)
            channels = 1 if first is not None and first.in_channels == 1 else None
        return self.normal(BATCH, *((channels,) if isinstance(channels, int) else ()), length)

    def make_past_values(self) -> torch.Tensor:
        size = self.field("input_size", "num_input_channels", default=1)
        if self.config.model_type.startswith("timesfm"):
            return self.normal(BATCH, self.config.context_length)
        length = self.config.context_length + max(getattr(self.config, "lags_sequence", None) or [0])
        return self.normal(BATCH, length, *((size,) if size > 1 or not hasattr(self.config, "lags_sequence") else ()))

    def make_past_time_features(self) -> torch.Tensor:
        return self.normal(BATCH, self.make_past_values().shape[1], self.config.num_time_features)

    def make_past_observed_mask(self) -> torch.Tensor | None:
        return torch.ones(self.make_past_values().shape) if hasattr(self.config, "lags_sequence") else None

    def make_future_values(self) -> torch.Tensor | None:
        if not hasattr(self.config, "lags_sequence"):
            return None
        return self.normal(BATCH, self.config.prediction_length, *self.make_past_values().shape[2:])

    def make_future_time_features(self) -> torch.Tensor | None:
        if not hasattr(self.config, "lags_sequence"):
            return None
        return self.normal(BATCH, self.config.prediction_length, self.config.num_time_features)

    # several kinds in one text

    def place_in_text(self, made: dict[str, Any]) -> None:
        """Put the token of a picture or a sound into the text, as often as the model makes vectors of it."""
        ids = made.get("input_ids")
        if ids is None:
            return
        for what, source in (("image", "pixel_values"), ("audio", "input_features")):
            token = self.field(f"{what}_token_id", f"{what}_token_index")
            if token is None or source not in made:
                continue
            try:
                count = self.vectors(what, made)
            except (RuntimeError, TypeError, ValueError, AttributeError, IndexError, KeyError, ZeroDivisionError):
                count = 0  # what the zoo knows of pictures and sounds is not enough for this model: text alone
            if not count:
                made.pop(source)
                for name in ("image_grid_thw", *EXTRAS):
                    made.pop(name, None)
                continue
            begin = self.field("vision_start_token_id", f"{what}_start_token_id")
            marks = [begin] if isinstance(begin, int) else []
            middle = torch.tensor([*marks, *[token] * (count // BATCH)]).repeat(BATCH, 1)
            made["input_ids"] = ids = torch.cat([ids[:, :2], middle, ids[:, 2:]], dim=1)
            if "mm_token_type_ids" in self.names:
                made["mm_token_type_ids"] = (ids == token).long()
            if "token_type_ids" in self.names and self.config.model_type.startswith(("gemma", "paligemma", "shield")):
                made["token_type_ids"] = (ids == token).long()
        if "attention_mask" in self.names:
            made["attention_mask"] = torch.ones_like(made["input_ids"])

    def vectors(self, what: str, made: dict[str, Any]) -> int:
        """How many vectors of the text's width a batch of pictures or sounds becomes."""
        method = getattr(self.model, f"get_{what}_features", None) or getattr(
            getattr(self.model, "model", None), f"get_{what}_features", None
        )
        if self.field("num_query_tokens") and "qformer_config" in vars(self.config):
            return BATCH * int(self.field("num_query_tokens"))
        if method is None:
            return 0
        parameters = inspect.signature(method).parameters
        if set(parameters) <= {"args", "kwargs"}:
            method = getattr(self.model.model, f"get_{what}_features")
            parameters = inspect.signature(method).parameters
        for name in EXTRAS:
            if name in parameters and name in self.names and name not in made:
                made[name] = getattr(self, f"make_{name}")(made)
        taken = {name: made[name] for name in parameters if name in made}
        with torch.no_grad():
            result = method(**taken)
        result = getattr(result, "pooler_output", None) if hasattr(result, "pooler_output") else result
        leaves = torch.utils._pytree.tree_leaves(result)
        numbers = sum(leaf.numel() for leaf in leaves if isinstance(leaf, torch.Tensor))
        return numbers // self.model.get_input_embeddings().weight.shape[1]


# model types that take several pictures (or tiles of one, or frames) for each text
SEVERAL = (
    dict.fromkeys(("idefics", "idefics2", "idefics3", "smolvlm", "modernvbert", "ultravbert", "granite_docling"), 1)
    | dict.fromkeys(
        ("lightglue", "superglue", "efficientloftr", "instructblipvideo", "llava_next", "llava_next_video"), 2
    )
    | {
        "llava_onevision": 2,
        "xclip": 8,
    }
)
EXTRAS = (
    "image_sizes",
    "pixel_attention_mask",
    "spatial_shapes",
    "high_res_pixel_values",
    "image_merge_sizes",
    "input_features_mask",
)

USUAL = (
    "input_ids",
    "decoder_input_ids",
    "bbox",
    "visual_feats",
    "visual_pos",
    "pixel_values",
    "spatial_shapes",
    "image_grid_thw",
    "pixel_values_videos",
    "input_features",
    "input_values",
    "flattened_patches",
    "past_values",
    "past_time_features",
    "past_observed_mask",
    "future_values",
    "future_time_features",
)


def _configurations(config: Any) -> Any:
    yield config
    for value in vars(config).values():
        if hasattr(value, "to_dict") and hasattr(value, "model_type"):
            yield from _configurations(value)
