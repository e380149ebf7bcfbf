"""Published policies by name and version: recipes whose numbers never change."""

from wellbegun.recipes.presets.catalogue import PRESETS, find_preset, preset_cards

__all__ = ["PRESETS", "find_preset", "preset_cards"]
