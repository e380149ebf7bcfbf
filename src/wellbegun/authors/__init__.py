"""What a model's author wrote: initialisation code, recorded while it runs, as laws."""

from wellbegun.authors.authored import Authored, Authorship
from wellbegun.authors.construction import record_construction, recorded, skeleton
from wellbegun.authors.initialisation import initialises_itself, record_initialisation

__all__ = [
    "Authored",
    "Authorship",
    "initialises_itself",
    "record_construction",
    "record_initialisation",
    "recorded",
    "skeleton",
]
