"""A plan as safetensors files: layout, content, writing, and going on after an interruption."""

from wellbegun.targets.checkpoint.write import WrittenCheckpoint, write_checkpoint

__all__ = ["WrittenCheckpoint", "write_checkpoint"]
