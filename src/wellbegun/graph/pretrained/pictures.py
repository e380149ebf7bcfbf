"""Arguments that are pictures, whole or cut into patches, and what says how large they are."""

from __future__ import annotations

import math

import torch

from wellbegun.graph.pretrained.configured import Configured

_SIDE, _PATCHES = 64, 4
"""Pixels a side, and patches, that no field of a configuration gives."""


class Pictures(Configured):
    """Makes pictures as the first layer of the vision part takes them."""

    def _make_pixel_values(self) -> torch.Tensor | None:
        if self.lacks("vision"):
            return None
        if {"image_grid_thw", "grid_thw"} & set(self.parameters):
            return self._flat_patches()
        if "spatial_shapes" in self.parameters or (self.reading == "pictures as patches" and self._takes_patches()):
            return self.on_meta(math.prod(self._grid()), self._patch_width())
        height, width = self._image_size()
        shape: tuple[int, ...] = (self._channels(), height, width)
        frames = self._images()
        return self.on_meta(*((frames, *shape) if isinstance(frames, int) else shape))

    def _make_high_res_pixel_values(self) -> torch.Tensor | None:
        if "pixel_values" not in self.parameters:
            return None
        return self.on_meta(self._channels(), *self._image_size())

    def _make_pixel_values_videos(self) -> torch.Tensor | None:
        if self.model.main_input_name != "pixel_values_videos" and "pixel_values_videos" not in self.required:
            return None
        height, width = self._image_size()
        frames = self.field("num_frames", "frames_per_clip", default=_PATCHES)
        return self.on_meta(frames, self._channels(), height, width)

    def _make_flattened_patches(self) -> torch.Tensor:
        width = self._channels() * self.field("patch_size", default=16) ** 2
        patches = torch.zeros(self.batch, _PATCHES, 2 + width)
        patches[:, :, :2] = 1  # row and column, counted from 1
        return patches

    def _make_image_grid_thw(self) -> torch.Tensor | None:
        return None if self.lacks("vision") else torch.tensor([[1, *self._grid()]])

    _make_grid_thw = _make_image_grid_thw

    def _make_spatial_shapes(self) -> torch.Tensor:
        return torch.tensor([self._grid()] * self.batch)

    def _make_image_sizes(self) -> torch.Tensor | None:
        if "pixel_values" not in self.parameters or self.lacks("vision"):
            return None
        tiled = self._tiles()
        if tiled is None and self.reading != "sizes of images":  # some that could take them would fail
            return None
        return torch.tensor([tiled[1] if tiled else self._image_size()] * self.batch)

    def _make_image_merge_sizes(self) -> torch.Tensor:
        return torch.tensor([self.field_of("vision", "spatial_merge_size", "merge_size", default=2)])

    def _make_pixel_attention_mask(self) -> torch.Tensor | None:
        pixels = self._make_pixel_values()
        if pixels is None:
            return None
        if pixels.ndim > 3:
            return torch.ones(*pixels.shape[:-3], *pixels.shape[-2:], dtype=torch.bool)
        return torch.ones(pixels.shape[:2], dtype=torch.long)

    def _make_visual_feats(self) -> torch.Tensor | None:
        width = self.field("visual_feat_dim")
        return self.on_meta(_PATCHES, width) if isinstance(width, int) else None

    def _make_visual_pos(self) -> torch.Tensor | None:
        width = self.field("visual_pos_dim")
        return self.on_meta(_PATCHES, width) if isinstance(width, int) else None

    def _make_hidden_states(self) -> torch.Tensor | None:
        return self._flat_patches() if "grid_thw" in self.parameters else None

    def _flat_patches(self) -> torch.Tensor:
        """All patches of a picture, in the form that the reading says."""
        number, side = math.prod(self._grid()), self._patch_side()
        forms = {
            "square patches": (number, self._channels(), side, side),
            "batch of square patches": (1, number, self._channels(), side, side),
            "batch of patches": (1, number, self._patch_width()),
        }
        return torch.empty(forms.get(self.reading, (number, self._patch_width())), device="meta")

    def _patch_side(self) -> int:
        side = self.field_of("vision", "patch_size", default=14)
        return int(side[-1] if isinstance(side, (list, tuple)) else side)

    def _patch_width(self) -> int:
        """Numbers in a patch, which a linear layer may take as they are."""
        square = self._channels() * self._patch_side() ** 2
        first = self._first_layer()
        if isinstance(first, torch.nn.Linear) and first.in_features % square == 0:
            return first.in_features
        times = self.field_of("vision", "temporal_patch_size", default=1)
        return square * int(times)

    def _takes_patches(self) -> bool:
        """Whether a linear layer, and no convolution, takes the numbers of a patch."""
        if not isinstance(self.field_of("vision", "patch_size"), int):
            return False
        width, convolutions = self._channels() * self._patch_side() ** 2, (torch.nn.Conv2d, torch.nn.Conv3d)
        layers = list(self.layers_of("vision"))
        linear = any(isinstance(layer, torch.nn.Linear) and layer.in_features == width for layer in layers)
        return linear and not any(isinstance(layer, convolutions) for layer in layers)

    def _first_layer(self) -> torch.nn.Module | None:
        """The first layer of the vision part that multiplies."""
        kinds = (torch.nn.Linear, torch.nn.Conv2d, torch.nn.Conv3d)
        return next((layer for layer in self.layers_of("vision") if isinstance(layer, kinds)), None)

    def _grid(self) -> tuple[int, int]:
        side = 2 * self.field_of("vision", "spatial_merge_size", "merge_size", default=2)
        return side, side

    def _images(self) -> int | None:
        """Pictures (or tiles of one, or frames) that go with one text, if that is a dimension of its own."""
        if self.reading in ("one image each", "two images each"):
            return 1 if self.reading == "one image each" else 2
        tiled = self._tiles()
        if tiled is not None:
            return tiled[0]
        frames = self.field("num_frames", "frames_per_clip")
        return frames if isinstance(frames, int) else None

    def _tiles(self) -> tuple[int, list[int]] | None:
        """Tiles of the first of the sizes that pictures are cut to, one more for the whole, and that size."""
        sizes = self.field("image_grid_pinpoints")
        if not isinstance(sizes, (list, tuple)) or not sizes:
            return None
        height, width = self._image_size()
        return 1 + (sizes[0][0] // height) * (sizes[0][1] // width), list(sizes[0])

    def _image_size(self) -> tuple[int, int]:
        side = 4 * _SIDE if self.reading == "large images" else _SIDE
        size = self.field("image_size", default=side)
        if isinstance(size, dict):
            size = [size.get("height", side), size.get("width", side)]
        return (size, size) if isinstance(size, int) else tuple(size)[:2]

    def _channels(self) -> int:
        number: int = self.field("num_channels", "in_channels", "in_chans", default=3)
        return number
