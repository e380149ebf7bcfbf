"""Reading a package as the archive that it is: a wheel (zip), a tarball, or a Debian package."""

from __future__ import annotations

import io
import tarfile
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

from wellbegun.errors import DataError

_AR_MAGIC, _AR_HEADER = b"!<arch>\n", 60


class Archive:
    """The files in a package; nothing of it is unpacked to the disk and nothing of it is run.

    Args:
        path: ends in .whl, .tgz, .tar.gz or .deb.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def names(self) -> list[str]:
        """Return the names of all files in it."""
        return [name for name, _ in self._files(None)]

    def read(self, names: Sequence[str]) -> list[bytes]:
        """Return the content of some files, in the order of their names here.

        Raises:
            DataError: a file is not there.
        """
        found = dict(self._files(set(names)))
        missing = [name for name in names if name not in found]
        if missing:
            raise DataError(f"{str(self.path)!r} has no file {', '.join(missing)}")
        return [found[name] for name in names]

    def _files(self, wanted: set[str] | None) -> Iterator[tuple[str, bytes]]:
        """Yield the files that are wanted, or the names alone of all."""
        if self.path.suffix == ".whl":
            with zipfile.ZipFile(self.path) as archive:
                for name in archive.namelist():
                    if wanted is None or name in wanted:
                        yield name, b"" if wanted is None else archive.read(name)
            return
        with self.path.open("rb") as file:
            inner = _debian_data(file, self.path) if self.path.suffix == ".deb" else file
            with tarfile.open(fileobj=inner, mode="r|*") as tar:
                for member in tar:
                    name = member.name.removeprefix("./")
                    if member.isfile() and (wanted is None or name in wanted):
                        content = None if wanted is None else tar.extractfile(member)
                        yield name, b"" if content is None else content.read()


def _debian_data(file: IO[bytes], path: Path) -> IO[bytes]:
    """Return the tarball with the files in a Debian package, which is an `ar` archive of three members."""
    if file.read(len(_AR_MAGIC)) != _AR_MAGIC:
        raise DataError(f"{str(path)!r} is no Debian package")
    while len(header := file.read(_AR_HEADER)) == _AR_HEADER:
        name, size = header[:16].decode("ascii").strip().rstrip("/"), int(header[48:58])
        if name.startswith("data.tar"):
            return io.BytesIO(file.read(size))
        file.seek(size + size % 2, io.SEEK_CUR)
    raise DataError(f"the Debian package {str(path)!r} has no data.tar")
