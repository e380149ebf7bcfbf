"""What an author's code gives each parameter and buffer: a law, and a note that says where it comes from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from wellbegun.laws import Law


@dataclass(frozen=True)
class Authorship:
    """What the author's code makes of one tensor.

    Attributes:
        law: None if no code was seen that gives it a value.
        note: one sentence for a person: by which function, how, and from which line.
        stands: whether it was read off the tensor itself, and not from code.
        replayed: whether the law holds numbers of one seed, because no law describes what the code does.
    """

    law: Law | None
    note: str
    replayed: bool = False
    stands: bool = False


class Authored(Mapping[str, Authorship]):
    """What was recorded, by the tensor's name; every name of a tied tensor leads to the same."""

    def __init__(self, found: Mapping[str, Authorship]) -> None:
        self._found = dict(found)

    def __getitem__(self, name: str) -> Authorship:
        return self._found[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._found)

    def __len__(self) -> int:
        return len(self._found)

    def __repr__(self) -> str:
        missing = sum(authorship.law is None for authorship in self.values())
        return f"<Authored: {len(self)} names, {missing} without a value>"

    def __deepcopy__(self, memo: dict[int, Any]) -> Authored:
        return self
