"""Patched laws: each element follows the last patch that holds it, and no patch changes a number outside of it."""

import numpy as np
import pytest

import wellbegun as wb
from wellbegun.errors import ArgumentError
from wellbegun.laws import law_from_record, law_to_record
from wellbegun.sampler import Stream

GATES = wb.Patched(wb.Normal(0.1), [(((2, 4),), wb.Constant(1.0)), (((3, 5), (1, 2)), wb.Uniform(2.0, 3.0))])


def filled(law: wb.Patched, shape: tuple[int, ...] = (6, 3), name: str = "w") -> np.ndarray:
    out = np.empty(shape, np.float32)
    wb.fill(out, law, seed=7, name=name)
    return out


def test_each_element_follows_the_last_patch_that_holds_it() -> None:
    found, base, late = filled(GATES), filled(wb.Normal(0.1)), filled(wb.Uniform(2.0, 3.0))
    expected = base.copy()
    expected[2:4] = 1
    expected[3:5, 1:2] = late[3:5, 1:2]
    assert (found == expected).all()


def test_a_part_is_the_part_of_the_whole() -> None:
    part = np.empty((2, 2), np.float32)
    wb.fill(part, GATES, seed=7, name="w", shape=(6, 3), offset=(2, 1))
    assert (part == filled(GATES)[2:4, 1:3]).all()
    flat = np.empty(7, np.float32)
    wb.fill(flat, GATES, seed=7, name="w", shape=(6, 3), offset=5)
    assert (flat == filled(GATES).reshape(-1)[5:12]).all()


def test_an_orthogonal_base() -> None:
    found = filled(wb.Patched(wb.Orthogonal(), [(((0, 1),), wb.Constant(0.0))]), (4, 4))
    assert (found[0] == 0).all()
    assert np.allclose(found[1:] @ found[1:].T, np.eye(3), atol=1e-6)


def test_moments_are_those_of_the_numbers() -> None:
    shape = (60, 300)
    law = wb.Patched(wb.Normal(0.1), [(((20, 40),), wb.Constant(1.0)), (((30, 50), (10, 200)), wb.Uniform(2.0, 3.0))])
    mean, std = law.moments(shape)
    numbers = filled(law, shape).astype(np.float64)
    assert mean == pytest.approx(numbers.mean(), rel=1e-2)
    assert std == pytest.approx(numbers.std(), rel=1e-2)


def test_records_come_back() -> None:
    assert law_from_record(law_to_record(GATES)) == GATES
    assert eval(repr(GATES), {name: getattr(wb, name) for name in wb.__all__}) == GATES


def test_bad_patches_are_refused() -> None:
    with pytest.raises(ArgumentError, match="does not lie in"):
        filled(wb.Patched(wb.Zeros().law(), [(((2, 7),), wb.Constant(1.0))]))
    with pytest.raises(ArgumentError, match="0 <= start < stop"):
        wb.Patched(wb.Constant(0.0), [(((3, 3),), wb.Constant(1.0))])
    with pytest.raises(ArgumentError, match="law of a patch"):
        wb.Patched(wb.Constant(0.0), [(((0, 3),), wb.Orthogonal())])
    with pytest.raises(ArgumentError, match="base must be a law"):
        wb.Patched(GATES, [])


def reference(law: wb.Patched, shape: tuple[int, ...], dtype: str = "float32") -> np.ndarray:
    """Whole tensors of every law, put together element by element."""
    expected = np.empty(shape, dtype)
    wb.fill(expected, law.base, seed=7, name="w")
    for region, patch in law.patches:
        whole = np.empty(shape, dtype)
        wb.fill(whole, patch, seed=7, name="w")
        place = tuple(slice(*pair) for pair in region)
        expected[place] = whole[place]
    return expected


LAWS = {
    "gates": GATES,
    "zero rows": wb.Patched(wb.Orthogonal(), [(((0, 1),), wb.Constant(0.0))]),
    "points": wb.Patched(wb.Identity(), [(((1, 3), (0, 2)), wb.Normal(0.5))]),
    "truncated": wb.Patched(wb.Uniform(-1, 1), [(((5, 6),), wb.TruncatedNormal(std=0.1).law())]),
    "nothing": wb.Patched(wb.Normal(1.0), []),
}


@pytest.mark.parametrize("law", LAWS.values(), ids=LAWS)
@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
def test_every_part_is_put_together_from_whole_tensors(law: wb.Patched, dtype: str) -> None:
    shape = (6, 3)
    expected = reference(law, shape, dtype)
    whole = np.empty(shape, dtype)
    wb.fill(whole, law, seed=7, name="w")
    assert (whole == expected).all()
    strided = np.empty((12, 6), dtype)[::2, ::2]
    wb.fill(strided, law, seed=7, name="w")
    assert (strided == expected).all()
    for rows in range(7):
        part = np.empty((6 - rows, 2), dtype)
        wb.fill(part, law, seed=7, name="w", shape=shape, offset=(rows, 1))
        assert (part == expected[rows:, 1:]).all()
    for start in range(18):
        flat = np.empty((18 - start) * 2, dtype)[::2]
        wb.fill(flat, law, seed=7, name="w", shape=shape, offset=start)
        assert (flat == expected.reshape(-1)[start:]).all()


def test_flat_parts_of_many_elements_go_piece_by_piece() -> None:
    law = wb.Patched(wb.Normal(0.1), [(((300, 800), (7, 900)), wb.Uniform(2, 3)), (((0, 1),), wb.Constant(9.0))])
    expected = reference(law, (1000, 1000)).reshape(-1)
    part = np.empty((3, 300_000), np.float32)
    wb.fill(part, law, seed=7, name="w", shape=(1000, 1000), offset=777)
    assert (part.reshape(-1) == expected[777 : 777 + part.size]).all()


def test_master_values_are_those_that_the_storage_rounds() -> None:
    out = np.empty((6, 3), np.float16)
    master = wb.fill(out, GATES, seed=7, name="w", with_master=True)
    assert (out == master.astype(np.float16)).all()
    assert np.allclose(master, filled(GATES), rtol=1e-3)  # the bounds of a uniform law are float16's here


def test_moments_of_a_large_tensor_need_no_memory() -> None:
    law = wb.Patched(wb.Normal(1.0), [(((0, 1),), wb.Constant(0.0)), (((5, 10), (2, 4)), wb.Constant(3.0))])
    mean, std = law.moments((1 << 20, 1 << 14))
    assert mean == pytest.approx(30 / 2**34)
    assert std == pytest.approx((1 - 2**-20) ** 0.5)
    assert wb.Patched(wb.Normal(1.0), []).moments((3, 4)) == (0.0, 1.0)


STORED = wb.Patched(wb.Normal(0.1), [(((1, 3), (0, 2)), wb.Stored([[1.0, 2.0], [3.0, 4.0]]))])


def test_stored_numbers_lie_in_their_region() -> None:
    expected = filled(wb.Normal(0.1))
    expected[1:3, 0:2] = [[1, 2], [3, 4]]
    assert (filled(STORED) == expected).all()
    assert (STORED.block(Stream.of(7, "w"), (6, 3)) == expected).all()
    part = np.empty((2, 2), np.float32)
    wb.fill(part, STORED, seed=7, name="w", shape=(6, 3), offset=(2, 1))
    assert (part == expected[2:4, 1:3]).all()
    flat = np.empty(7, np.float32)
    wb.fill(flat, STORED, seed=7, name="w", shape=(6, 3), offset=4)
    assert (flat == expected.reshape(-1)[4:11]).all()


def test_stored_numbers_of_another_shape_are_refused() -> None:
    law = wb.Patched(wb.Normal(0.1), [(((1, 3),), wb.Stored([1.0, 2.0]))])
    with pytest.raises(ArgumentError, match=r"numbers of shape \(2,\), the tensor has \(2, 3\)"):
        filled(law)
