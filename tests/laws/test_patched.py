"""Patched laws: each element follows the last patch that holds it, and no patch changes a number outside of it."""

import numpy as np
import pytest

import wellbegun as wb
from wellbegun.laws import law_from_record, law_to_record

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
    with pytest.raises(wb.errors.ArgumentError, match="does not lie in"):
        filled(wb.Patched(wb.Zeros().law(), [(((2, 7),), wb.Constant(1.0))]))
    with pytest.raises(wb.errors.ArgumentError, match="0 <= start < stop"):
        wb.Patched(wb.Constant(0.0), [(((3, 3),), wb.Constant(1.0))])
    with pytest.raises(wb.errors.ArgumentError, match="law of a patch"):
        wb.Patched(wb.Constant(0.0), [(((0, 3),), wb.Orthogonal())])
    with pytest.raises(wb.errors.ArgumentError, match="base must be a law"):
        wb.Patched(GATES, [])
