"""Any tensor that torch.nn.init takes: leaves, views, strides, meta, fake and empty ones; clear errors for others."""

from collections.abc import Callable

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from wellbegun import nn_init
from wellbegun.errors import ArgumentError

WRITERS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "uniform_": nn_init.uniform_,
    "normal_": nn_init.normal_,
    "trunc_normal_": nn_init.trunc_normal_,
    "constant_": lambda t: nn_init.constant_(t, 0.5),
    "ones_": nn_init.ones_,
    "zeros_": nn_init.zeros_,
    "eye_": nn_init.eye_,
    "dirac_": nn_init.dirac_,
    "xavier_uniform_": nn_init.xavier_uniform_,
    "xavier_normal_": nn_init.xavier_normal_,
    "kaiming_uniform_": nn_init.kaiming_uniform_,
    "kaiming_normal_": nn_init.kaiming_normal_,
    "orthogonal_": nn_init.orthogonal_,
    "sparse_": lambda t: nn_init.sparse_(t, 0.5),
    "_no_grad_uniform_": lambda t: nn_init._no_grad_uniform_(t, -1.0, 1.0),
    "_no_grad_normal_": lambda t: nn_init._no_grad_normal_(t, 0.0, 1.0),
    "_no_grad_trunc_normal_": lambda t: nn_init._no_grad_trunc_normal_(t, 0.0, 1.0, -2.0, 2.0),
    "_no_grad_fill_": lambda t: nn_init._no_grad_fill_(t, 0.5),
    "_no_grad_zero_": nn_init._no_grad_zero_,
}
DRAWING = [name for name in WRITERS if name not in ("constant_", "ones_", "zeros_", "eye_", "dirac_")][:-2]


def shape_for(name: str) -> tuple[int, ...]:
    return (4, 3, 3) if name == "dirac_" else (4, 6)


def run(name: str, tensor: torch.Tensor) -> torch.Tensor:
    torch.manual_seed(3)
    return WRITERS[name](tensor)


@pytest.mark.parametrize("name", WRITERS)
def test_a_parameter_is_written_in_place_and_stays_a_leaf(name: str) -> None:
    parameter = torch.nn.Parameter(torch.full(shape_for(name), torch.nan))
    version, address = parameter._version, parameter.data_ptr()
    assert run(name, parameter) is parameter
    assert parameter.isfinite().all()
    assert parameter.requires_grad
    assert parameter.is_leaf
    assert parameter.grad_fn is None
    assert parameter._version > version
    assert parameter.data_ptr() == address


@pytest.mark.parametrize("name", WRITERS)
def test_a_weight_in_use_cannot_be_changed_unnoticed(name: str) -> None:
    """The value that the backward pass would need is gone, and autograd has to know."""
    weight = torch.nn.Parameter(torch.ones(shape_for(name)))
    loss = (weight * weight).sum()
    run(name, weight)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


@pytest.mark.parametrize("name", WRITERS)
def test_views_and_intermediate_results(name: str) -> None:
    leaf = torch.nn.Parameter(torch.full((3, *shape_for(name)), torch.nan))
    run(name, leaf[1])
    assert leaf[1].isfinite().all()
    assert leaf[0].isnan().all()
    assert leaf[2].isnan().all()
    result = torch.ones(shape_for(name), requires_grad=True) * 2
    plain = run(name, torch.empty(shape_for(name)))
    assert torch.equal(run(name, result), plain)


@pytest.mark.parametrize("name", WRITERS)
def test_strides_do_not_change_the_numbers(name: str) -> None:
    shape = shape_for(name)
    plain = run(name, torch.empty(shape))
    transposed = torch.empty(shape[::-1]).permute(*reversed(range(len(shape))))
    gaps = torch.empty(*(2 * size for size in shape))[tuple(slice(1, None, 2) for _ in shape)]
    for other in (transposed, gaps):
        assert torch.equal(run(name, other), plain)


@pytest.mark.parametrize("name", WRITERS)
def test_meta_and_fake_tensors_are_left_alone(name: str) -> None:
    state = torch.get_rng_state()
    meta = torch.empty(shape_for(name), device="meta")
    assert WRITERS[name](meta) is meta
    with FakeTensorMode():
        fake = torch.empty(shape_for(name))
        assert WRITERS[name](fake) is fake
    assert WRITERS[name](fake) is fake
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("shape", [(0, 4), (4, 0), (0, 0)])
@pytest.mark.parametrize("name", WRITERS)
def test_empty_tensors_are_left_alone(name: str, shape: tuple[int, ...]) -> None:
    """torch's xavier_* divides by zero here. kaiming_* warns, as torch does and its own tests ask."""
    state = torch.get_rng_state()
    tensor = torch.empty((*shape, 3) if name == "dirac_" else shape)
    if name.startswith("kaiming"):
        with pytest.warns(UserWarning, match="Initializing zero-element tensors is a no-op") as seen:
            assert WRITERS[name](tensor) is tensor
        assert seen[0].filename == __file__
    else:
        assert WRITERS[name](tensor) is tensor
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("name", WRITERS)
def test_inference_mode(name: str) -> None:
    plain = run(name, torch.empty(shape_for(name)))
    with torch.inference_mode():
        inside = torch.full(shape_for(name), torch.nan)
        assert torch.equal(run(name, inside), plain)
        kept = inside.clone()
    with pytest.raises((RuntimeError, ValueError), match="Inplace update to inference tensor outside InferenceMode"):
        run(name, inside)
    assert torch.equal(inside, kept) or name in ("eye_", "dirac_")  # torch's own zero_ writes before it refuses


@pytest.mark.parametrize("name", DRAWING)
def test_what_cannot_be_written_is_an_error(name: str) -> None:
    for tensor, message in (
        (torch.zeros(1, 6).expand(4, 6), "share memory"),
        (torch.zeros(4, 6).to_sparse(), "layout torch.sparse_coo"),
        (torch.zeros(4, 6, dtype=torch.int64), "whole constants only"),
    ):
        with pytest.raises(ArgumentError, match=message):
            run(name, tensor)


class Wrapped(torch.Tensor):
    """A tensor of another library, which sees the calls that torch hands over."""

    @classmethod
    def __torch_function__(cls, function, types, args=(), kwargs=None):
        if function in (nn_init.uniform_, nn_init.normal_, nn_init.constant_, nn_init.kaiming_uniform_):
            return function.__name__, sorted(kwargs)
        return super().__torch_function__(function, types, args, kwargs or {})


def test_other_libraries_tensors_see_the_calls_that_torch_hands_over() -> None:
    tensor = torch.zeros(3, 4).as_subclass(Wrapped)
    assert nn_init.uniform_(tensor) == ("uniform_", ["a", "b", "generator", "tensor"])
    assert nn_init.normal_(tensor) == ("normal_", ["generator", "mean", "std", "tensor"])
    assert nn_init.constant_(tensor, 1.0) == ("constant_", ["tensor", "val"])
    assert nn_init.kaiming_uniform_(tensor)[0] == "kaiming_uniform_"
    with pytest.raises(ArgumentError, match="cannot fill a Wrapped"):
        nn_init.xavier_normal_(tensor)


def test_torchs_own_layers_can_be_built_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything that they call is there and takes their arguments, and their weights are ours."""
    called: set[str] = set()

    def watched(name: str) -> Callable[..., torch.Tensor]:
        def function(*args: object, **kwargs: object) -> torch.Tensor:
            called.add(name)
            return getattr(nn_init, name)(*args, **kwargs)

        return function

    for place in (torch.nn.init, torch.nn.modules.activation, torch.nn.modules.transformer):
        for name in torch.nn.init.__all__:
            if name in vars(place):
                monkeypatch.setattr(place, name, watched(name))
    torch.manual_seed(1)
    linear = torch.nn.Linear(4, 5)
    for layer in (
        torch.nn.Conv2d(2, 3, 3),
        torch.nn.ConvTranspose3d(2, 3, 3),
        torch.nn.Embedding(5, 4, padding_idx=1),
        torch.nn.LSTM(3, 4),
        torch.nn.MultiheadAttention(4, 2, add_bias_kv=True),
        torch.nn.BatchNorm1d(4),
        torch.nn.Bilinear(2, 3, 4),
    ):
        assert all(parameter.isfinite().all() for parameter in layer.parameters())
    initial = {"kaiming_uniform_", "uniform_", "normal_", "xavier_uniform_", "xavier_normal_"}
    assert called == initial | {"constant_", "ones_", "zeros_"}
    torch.manual_seed(1)
    assert torch.equal(linear.weight, nn_init.kaiming_uniform_(torch.empty(5, 4), a=5**0.5))
    assert torch.equal(linear.bias, nn_init.uniform_(torch.empty(5), -0.5, 0.5))


def test_compiled_code_calls_it_as_it_is() -> None:
    """The compiler would otherwise try to look into the kernels, and fail."""

    def start(weight: torch.Tensor) -> torch.Tensor:
        nn_init.normal_(weight)
        total = weight * 2
        nn_init.trunc_normal_(weight, a=-1.0, b=1.0)
        total += weight
        nn_init.uniform_(weight, -1.0, 1.0)
        total += weight
        nn_init.kaiming_normal_(weight, nonlinearity="softsign")
        total += weight
        nn_init.sparse_(weight, 0.5)
        return total + weight

    torch.manual_seed(1)
    plain = start(torch.empty(5, 6))
    torch.manual_seed(1)
    assert torch.equal(torch.compile(start, backend="eager")(torch.empty(5, 6)), plain)
