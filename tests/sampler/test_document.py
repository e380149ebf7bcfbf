"""docs/sampler.md and the code cannot part: every table, worked example and constant of the document is recomputed."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

import numpy as np
import pytest

from wellbegun.laws import Sparse, TruncatedNormal, Uniform
from wellbegun.sampler import (
    SAMPLER_VERSION,
    Draw,
    Stream,
    Window,
    coefficients,
    definition,
    orthogonal,
    reference,
    reference64,
    storage_type,
)

TEXT = (Path(__file__).parents[2] / "docs" / "sampler.md").read_text(encoding="utf-8")


def table(marker):
    """Rows of the markdown table that follows a marker comment, each a list of cells without backticks."""
    lines = TEXT.split(f"<!-- {marker} -->", 1)[1].strip().splitlines()
    rows = []
    for line in lines:
        if not line.startswith("|"):
            break
        rows.append([cell.strip().strip("`") for cell in line.strip("|").split("|")])
    return rows[2:]


def hex32(value):
    return f"{int(np.float32(value).view(np.uint32)):08x}"


def double_hex(value):
    return f"{int(np.float64(value).view(np.uint64)):016x}"


DRAWS = (
    Draw.uniform(-1.0, 1.0),
    Draw.normal(0.0, 1.0),
    Draw.truncated(0.0, 1.0, Window.of(-2, 2)),
    Draw.truncated(0.0, 1.0, Window.of(3, 4)),
)


def vector_row(seed, name, index):
    stream, at = Stream.of(seed, name), np.array([index], np.uint64)
    return [
        str(seed),
        json.dumps(name, ensure_ascii=False),
        str(index),
        f"{reference.own_words(stream, at)[0]:08x}",
        *(hex32(definition.values(stream, at, draw)[0]) for draw in DRAWS),
    ]


def double_row(seed, name, index):
    stream, at = Stream.of(seed, name), np.array([index], np.uint64)
    words, own = reference64.blocks64(stream, at)
    return [
        str(seed),
        json.dumps(name, ensure_ascii=False),
        str(index),
        f"{words[own[0], 0]:016x}",
        *(double_hex(definition.values(stream, at, draw, np.float64)[0]) for draw in DRAWS),
    ]


def complex_row(seed, name, index):
    stream, at = Stream.of(seed, name), np.array([index], np.uint64)
    cells = []
    for draw in DRAWS[:2]:
        value = definition.values(stream, at, draw, np.complex64)[0]
        cells += [hex32(value.real), hex32(value.imag)]
    return [str(seed), json.dumps(name, ensure_ascii=False), str(index), *cells]


def storage_row(value):
    number = np.float32(float(value))
    codes = []
    for name in ("bfloat16", "float16", "float8_e5m2", "float8_e4m3fn"):
        stored = np.array([number]).astype(storage_type(name))
        codes.append(stored.tobytes()[::-1].hex())
    return [value, hex32(number), *codes]


def stream_row(seed, name):
    stream = Stream.of(seed, name)
    words = reference.philox((0, 0, 0, stream.word), stream.key)
    cells = [*stream.key, stream.word, *(int(word) for word in words)]
    return [str(seed), json.dumps(name, ensure_ascii=False), *(f"{cell:08x}" for cell in cells)]


def layout_row(index):
    tile, place = divmod(index, 256)
    block = tile * 64 + place % 64
    return [str(x) for x in (index, tile, place, block)] + [
        f"{block % 2**32:08x}",
        f"{block // 2**32:08x}",
        str(place // 64),
    ]


def window_row(low, high):
    w = Window.of(float(low), float(high))
    method = "quantile" if w.inverse else "redraw"
    return [low, high, method, "yes" if w.reflected else "no", w.upper_tail.hex(), w.mass.hex()]


def test_the_version():
    assert f"sampler = {SAMPLER_VERSION}" in TEXT


@pytest.mark.parametrize("row", table("streams"), ids=lambda row: f"{row[0]}-{row[1]}")
def test_streams(row):
    assert row == stream_row(int(row[0]), json.loads(row[1]))


@pytest.mark.parametrize("row", table("vectors"), ids=lambda row: "-".join(row[:3]))
def test_vectors(row):
    assert row == vector_row(int(row[0]), json.loads(row[1]), int(row[2]))


CORNERS = {
    "TruncatedNormal(0.02, low=1, high=3, mean=0.1, match_std=False)": TruncatedNormal(
        0.02, low=1, high=3, mean=0.1, match_std=False
    ),
    "Uniform(0.1, 0.7)": Uniform(0.1, 0.7),
    "Uniform(-0.0005, -0.0001)": Uniform(-0.0005, -0.0001),
}


@pytest.mark.parametrize("row", table("corners"), ids=lambda row: "-".join(row[:2]))
def test_corners(row):
    name, _, part = row[1].partition(", ")
    stream, at = Stream.of(int(row[2]), json.loads(row[3])), np.array([int(row[4])], np.uint64)
    value = definition.values(stream, at, CORNERS[row[0]].element_draw(), storage_type(name))
    value = {"real": value.real, "imaginary": value.imag, "": value}[part]
    assert np.ascontiguousarray(value).tobytes()[::-1].hex() == row[5]


@pytest.mark.parametrize("row", table("doubles"), ids=lambda row: "-".join(row[:3]))
def test_doubles(row):
    assert row == double_row(int(row[0]), json.loads(row[1]), int(row[2]))


@pytest.mark.parametrize("row", table("complex"), ids=lambda row: "-".join(row[:3]))
def test_complex(row):
    assert row == complex_row(int(row[0]), json.loads(row[1]), int(row[2]))


@pytest.mark.parametrize("row", table("storage"), ids=lambda row: row[0])
def test_storage(row):
    assert row == storage_row(row[0])


@pytest.mark.parametrize("row", table("layout"), ids=lambda row: row[0])
def test_layout(row):
    assert row == layout_row(int(row[0]))
    stream = Stream.of(7, "w")
    words = reference.philox((int(row[4], 16), int(row[5], 16), 0, stream.word), stream.key)
    assert int(reference.own_words(stream, np.array([int(row[0])], np.uint64))[0]) == int(words[int(row[6])])


@pytest.mark.parametrize("row", table("windows"), ids=lambda row: f"{row[0]}..{row[1]}")
def test_windows(row):
    assert row == window_row(row[0], row[1])


@pytest.mark.parametrize("row", table("sigmas"), ids="-".join)
def test_sigmas(row):
    law = TruncatedNormal(float(row[0]), float(row[1]), float(row[2])).law()
    assert float.fromhex(row[3]) == law.std


def test_orthogonal():
    """To 1e-6, since the last bits belong to the BLAS."""
    rows = table("orthogonal")
    shown = [[float(cell) for cell in row[1:]] for row in rows]
    np.testing.assert_allclose(shown, orthogonal(Stream.of(7, "w"), 3, 2), atol=1e-6)


def test_sparse():
    """The rows with the smallest (word, row) of purpose 7, here by sorting."""
    stream, rows, columns = Stream.of(7, "w"), 10, 3
    words = reference.own_words(stream, np.arange(rows * columns, dtype=np.uint64), purpose=7).reshape(rows, columns)
    drawn = Sparse(0.35).block(stream, (rows, columns))
    assert [row[0] for row in table("sparse")] == ["0", "1", "2"]
    for column, shown in table("sparse"):
        zeros = sorted(sorted(range(rows), key=lambda row: (words[row, int(column)], row))[:4])
        assert shown == ", ".join(map(str, zeros))
        assert np.flatnonzero(drawn[:, int(column)] == 0).tolist() == zeros


@pytest.mark.parametrize("row", table("philox"), ids=lambda row: row[0])
def test_philox(row):
    counter, key, output = ([int(word, 16) for word in cell.split()] for cell in row)
    assert [int(word) for word in reference.philox(counter, tuple(key))] == output


@pytest.mark.parametrize("row", table("functions"), ids=lambda row: row[0])
def test_functions(row):
    word = np.array([int(row[0], 16)], np.uint32)
    parts = (reference.symmetric_uniform(word), reference.radius(word), *reference.direction(word))
    assert row[1:] == [hex32(part[0]) for part in parts]


def test_tables_are_all_there():
    sizes = {
        name: len(table(name))
        for name in ("streams", "vectors", "doubles", "complex", "storage", "layout", "windows", "philox", "functions")
    }
    assert sizes["philox"] == 3
    assert sizes["streams"] >= 3
    assert sizes["vectors"] >= 20
    assert min(sizes.values()) >= 3
    indices = [int(row[2]) for row in table("vectors")]
    assert max(indices) > 2**34
    # some vectors show a redraw: the truncated value is not the normal one
    assert sum(row[5] != row[6] for row in table("vectors")) >= 2


def test_the_worked_example():
    message = bytes.fromhex("".join(re.findall(r"^    ((?:[0-9a-f]{2} ?)+?) {2,}", TEXT, re.M)))
    digest = re.search(r"^    digest  ([0-9a-f ]+)$", TEXT, re.M)[1].replace(" ", "")
    assert hashlib.blake2b(message, digest_size=12).hexdigest() == digest
    stream = Stream.of(7, "w")
    words = [int.from_bytes(bytes.fromhex(digest)[i : i + 4], "little") for i in (0, 4, 8)]
    assert words == [*stream.key, stream.word]


@pytest.mark.parametrize("name", [name for name in vars(coefficients) if name.isupper()])
def test_every_constant_is_in_the_document(name):
    """Each tuple of coefficients, complete and in order, on the line that starts with its name."""
    block = re.search(rf"^    {name} +=((?:.|\n(?=     ))+)", TEXT, re.M)[1]
    numbers = [
        float.fromhex(t) if "0x" in t else float(t)
        for t in re.findall(r"-?0x[\w.]+p[+-]?\d+|-?[\d.]+e?[+-]?\d+", block)
    ]
    value = getattr(coefficients, name)
    if isinstance(value, (int, np.int32)):
        assert int(re.search(r"0x([0-9a-f]+)", block)[1], 16) == int(value)
    else:
        assert numbers == [float(x) for x in np.atleast_1d(value)]
