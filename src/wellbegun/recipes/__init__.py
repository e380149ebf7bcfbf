"""Policies that turn a graph into a plan."""

from wellbegun.recipes.plan import plan

__all__ = ["plan"]
