"""Which methods suit one model: its traits, the methods whose cards name them, and how each starts it."""

from wellbegun.advice.advice import Advice, Choice, Refusal
from wellbegun.advice.advise import advise

__all__ = ["Advice", "Choice", "Refusal", "advise"]
