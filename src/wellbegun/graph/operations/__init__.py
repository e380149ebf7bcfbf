"""What each PyTorch operation means: its kind, the roles of the parameters it takes, and their fans."""

from wellbegun.graph.operations.describe import describe

__all__ = ["describe"]
