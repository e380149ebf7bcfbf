"""The source of one tensor's numbers: a (seed, name) pair, hashed into the words that Philox needs."""

from __future__ import annotations

import hashlib
import operator
import struct
from typing import NamedTuple

from wellbegun.errors import ArgumentError

SAMPLER_VERSION = 1
"""Version of the definition in docs/sampler.md: under one version no release changes a bit."""

_HEAD, _WORDS = struct.Struct("<QIQQQ"), struct.Struct("<3I")


class Stream(NamedTuple):
    """The numbers of one tensor: element *i* of a stream is a pure function, there is no state.

    >>> Stream.of(7, "layer.weight") == Stream.of(7, "layer.weight")
    True
    >>> Stream.of(7, "ab.cdef") == Stream.of(7, "abc.def")
    False

    Attributes:
        key: the two 32-bit words of the Philox key.
        word: the 32-bit counter word that also carries the identity of the stream.
    """

    key: tuple[int, int]
    word: int

    @classmethod
    def of(cls, seed: int, name: str) -> Stream:
        """Hash a seed and a tensor's name into a stream.

        Args:
            seed: an integer from 0 to 2**64 - 1.
            name: any text; two different names never share a stream (96 bits of BLAKE2b).

        Raises:
            ArgumentError: the seed is not such an integer, or the name is not text.
        """
        if type(seed) is not int or not 0 <= seed < 2**64:
            check_seed(seed)
        if not isinstance(name, str):
            raise ArgumentError(f"name must be a string, not {name!r}; it is what gives a tensor its own numbers")
        text = name.encode("utf-8", "surrogatepass")
        # each field after its length: no two different pairs give the same message
        message = _HEAD.pack(4, SAMPLER_VERSION, 8, int(seed), len(text)) + text
        first, second, third = _WORDS.unpack(hashlib.blake2b(message, digest_size=12).digest())
        return cls((first, second), third)


def check_seed(seed: object) -> None:
    """Raise ArgumentError unless the seed is an integer from 0 to 2**64 - 1."""
    try:
        # __index__ alone is no proof: a torch tensor or a NumPy array of 2.5 has one, and int() would make it 2
        value = -1 if isinstance(seed, bool) else operator.index(seed)  # type: ignore[arg-type]
    except TypeError:
        value = -1
    if not 0 <= value < 2**64:
        raise ArgumentError(f"seed must be an integer from 0 to 2**64 - 1, not {seed!r}")
