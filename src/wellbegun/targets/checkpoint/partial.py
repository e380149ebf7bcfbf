"""A file that is being written: under a temporary name until it is whole, and on the disk."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import numpy as np

from wellbegun.errors import OutputError
from wellbegun.targets.checkpoint.content import Bytes

PAGE = 4096
"""Direct writes begin and end at multiples of this, in the file and in memory."""

_DIRECT = getattr(os, "O_DIRECT", 0)
_REFUSED = (errno.EINVAL, errno.ENOTSUP)


class PartialFile:
    """A file under a temporary name, written from the front.

    What an earlier, interrupted run left there is trusted in no byte: it is read and compared with what is drawn, and
    written only where it differs. Bytes go past the system's cache where the file system lets them (O_DIRECT): that is
    two to three times as fast, and other programs keep what they have in the cache.

    Args:
        target: the final name.
        chunk: bytes of each piece but the last; earlier bytes are compared by whole pieces.
    """

    def __init__(self, target: Path, chunk: int) -> None:
        self.target, self.path = target, partial_path(target)
        self._file = self._open()
        self._kept = 0
        try:
            self._lock()
            self._kept = os.fstat(self._file).st_size // chunk * chunk
        except BaseException:
            self.close()
            raise

    def put(self, data: Bytes, position: int) -> int:
        """Write bytes at a position, unless they are there already; return how many bytes these are."""
        if position < self._kept:
            if np.array_equal(self._read(data.size, position), data):
                return data.size
            self._kept = 0
        if data.size % PAGE:
            self._write_plainly()
        rest = data.data
        while rest:
            try:
                done = os.pwrite(self._file, rest, position)
            except OSError as error:
                if error.errno not in _REFUSED or not self._write_plainly():
                    raise
                continue
            position, rest = position + done, rest[done:]
        return data.size

    def publish(self, size: int) -> None:
        """Give the file its length and its final name; it is on the disk before that, and its name after it."""
        os.ftruncate(self._file, size)
        os.fsync(self._file)
        os.replace(self.path, self.target)
        self.close()
        sync_folder(self.target.parent)

    def close(self) -> None:
        """Let go of the file, which stays; a later run can go on with it."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _open(self) -> int:
        flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0)
        try:
            return os.open(self.path, flags | _DIRECT, 0o666)
        except OSError as error:
            if error.errno not in _REFUSED:
                raise
            return os.open(self.path, flags, 0o666)

    def _lock(self) -> None:
        import fcntl

        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise OutputError(
                f"another process is writing {str(self.target)!r}; let it end, or give each writer a part of its own"
            ) from None
        except OSError as error:
            if error.errno not in (errno.ENOTSUP, errno.ENOLCK, errno.ENOSYS):  # some network folders know no locks
                raise

    def _read(self, size: int, position: int) -> Bytes:
        # through the system's cache and a file of its own: direct reads would need memory at page borders
        with open(self.path, "rb") as file:
            file.seek(position)
            return np.frombuffer(file.read(size), np.uint8)

    def _write_plainly(self) -> bool:
        """Write through the system's cache from now on; False if that is so already."""
        import fcntl

        flags = fcntl.fcntl(self._file, fcntl.F_GETFL)
        if not _DIRECT or not flags & _DIRECT:
            return False
        fcntl.fcntl(self._file, fcntl.F_SETFL, flags & ~_DIRECT)
        return True


def partial_path(target: Path) -> Path:
    """Return the name of a file while it is written."""
    return target.with_name(f".{target.name}.part")


def sync_folder(folder: Path) -> None:
    """Bring a folder's list of names to the disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def page_memory(size: int) -> Bytes:
    """Return memory that begins at a page border, of at least so many bytes, rounded up to whole pages."""
    import mmap

    return np.frombuffer(mmap.mmap(-1, max(-(-size // PAGE), 1) * PAGE), np.uint8)
