"""Results that are made without running the operation again are those that it would have made."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from wellbegun.graph.results import Results

ATEN = torch.ops.aten


def on_meta(*shape: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.empty(shape, dtype=dtype, device="meta")


def layout(value: Any) -> Any:
    if isinstance(value, (tuple, list)):
        return type(value), [layout(one) for one in value]
    return value.shape, value.stride(), value.dtype, value.device.type, type(value)


X, W, B = on_meta(5, 3), on_meta(4, 3), on_meta(4)
IMAGE, KERNEL = on_meta(2, 3, 8, 8).to(memory_format=torch.channels_last), on_meta(6, 3, 3, 3)
NEW = [
    (ATEN.relu.default, (X,), {}),
    (ATEN.addmm.default, (B, X, W.t()), {}),
    (ATEN.add.Tensor, (X, 1), {"alpha": 2}),
    (ATEN.add.Tensor, (X, on_meta(5, 3, dtype=torch.float64)), {}),
    (ATEN.cat.default, ([X, X], 1), {}),
    (ATEN.native_layer_norm.default, (X, [3], None, None, 1e-5), {}),
    (ATEN.convolution.default, (IMAGE, KERNEL, None, [1, 1], [1, 1], [1, 1], False, [0, 0], 1), {}),
    (ATEN._to_copy.default, (X,), {"dtype": torch.bfloat16}),
    (ATEN.unbind_copy.int, (X,), {}),
    (ATEN.clone.default, (IMAGE,), {}),
]


@pytest.mark.parametrize(("function", "args", "kwargs"), NEW, ids=lambda value: str(value)[:30])
def test_the_second_result_is_like_the_first_and_another_tensor(function: Any, args: Any, kwargs: Any) -> None:
    results, asked = Results(), []

    def counted(*given: Any, **named: Any) -> Any:
        asked.append(given)
        return function(*given, **named)

    counted.namespace, counted._schema = function.namespace, function._schema
    first, second = (results.of(counted, args, kwargs) for _ in range(2))
    assert layout(first) == layout(second) == layout(function(*args, **kwargs))
    assert len(asked) == 1
    for one, other in (
        zip([first], [second], strict=True) if torch.is_tensor(first) else zip(first, second, strict=True)
    ):
        assert one.untyped_storage()._cdata != other.untyped_storage()._cdata


@pytest.mark.parametrize(
    ("function", "args"),
    [
        (ATEN.t.default, (X,)),
        (ATEN.relu_.default, (X,)),
        (ATEN._unsafe_view.default, (X, [15])),
        (ATEN.split.Tensor, (X, 2)),
    ],
    ids=lambda value: str(value)[:30],
)
def test_views_and_what_writes_are_made_each_time(function: Any, args: Any) -> None:
    results = Results()
    for _ in range(3):
        made = results.of(function, args, {})
        for one in [made] if torch.is_tensor(made) else made:
            assert one.untyped_storage()._cdata == X.untyped_storage()._cdata


def test_numbers_of_other_types_and_shapes_are_told_apart() -> None:
    results, whole = Results(), on_meta(3, dtype=torch.int64)
    made = [results.of(ATEN.mul.Tensor, (whole, number), {}).dtype for number in (2, 2.0, True, 2, 2.0)]
    assert made == [torch.int64, torch.float32, torch.int64, torch.int64, torch.float32]
    assert [results.of(ATEN.relu.default, (on_meta(n),), {}).shape[0] for n in (3, 4, 3)] == [3, 4, 3]
    spread = on_meta(1, 3).expand(4, 3)
    assert [results.of(ATEN.clone.default, (x,), {}).stride() for x in (spread, on_meta(4, 3))] == [
        ATEN.clone.default(spread).stride(),
        (3, 1),
    ]


def test_an_operation_that_fails_fails_each_time() -> None:
    results = Results()
    for _ in range(2):
        with pytest.raises(RuntimeError):
            results.of(ATEN.mm.default, (X, X), {})


def test_a_result_that_is_no_tensor_is_asked_for_each_time() -> None:
    results = Results()
    assert [results.of(ATEN.is_same_size.default, (X, other), {}) for other in (X, W, X)] == [True, False, True]
