"""One changed import is enough: every name of torch.nn.init, with its signature."""

import inspect
import subprocess
import sys

import pytest
import torch

import wellbegun as wb
import wellbegun.nn_init as init
from wellbegun import nn_init

PRIVATE = [
    "_calculate_correct_fan",
    "_calculate_fan_in_and_fan_out",
    "_no_grad_fill_",
    "_no_grad_normal_",
    "_no_grad_trunc_normal_",
    "_no_grad_uniform_",
    "_no_grad_zero_",
]
OLD = [name for name in torch.nn.init.__all__ if hasattr(torch.nn.init, name + "_")]
NEW = [name for name in torch.nn.init.__all__ if name not in OLD]


def parameters(function: object) -> list[tuple[str, object, object]]:
    return [(p.name, p.kind, p.default) for p in inspect.signature(function).parameters.values()]


def test_one_module_by_every_way_of_importing() -> None:
    assert init is nn_init is wb.nn_init
    assert "nn_init" in dir(wb)


def test_the_public_names_are_torchs() -> None:
    assert sorted(nn_init.__all__) == sorted(torch.nn.init.__all__)
    assert len(NEW) >= 15
    assert len(OLD) >= 11


@pytest.mark.parametrize("name", [*torch.nn.init.__all__, *PRIVATE])
def test_signatures_and_defaults_are_torchs(name: str) -> None:
    assert parameters(getattr(nn_init, name)) == parameters(getattr(torch.nn.init, name))


@pytest.mark.parametrize("name", NEW)
def test_every_function_is_documented_with_an_example(name: str) -> None:
    text = inspect.getdoc(getattr(nn_init, name)) or ""
    assert text.splitlines()[0].endswith(".")
    assert ">>> " in text


@pytest.mark.parametrize("name", OLD)
def test_deprecated_names_warn_and_work(name: str) -> None:
    shape, rest = ((3, 3, 3), ()) if name == "dirac" else ((3, 3), (0.5,) if name in ("constant", "sparse") else ())
    by_old, by_new = torch.full(shape, torch.nan), torch.full(shape, torch.nan)
    torch.manual_seed(1)
    with pytest.warns(
        FutureWarning, match=f"`nn.init.{name}` is now deprecated in favor of `nn.init.{name}_`."
    ) as seen:
        assert getattr(nn_init, name)(by_old, *rest) is by_old
    assert seen[0].filename == __file__
    assert getattr(nn_init, name).__name__ == name
    torch.manual_seed(1)
    getattr(nn_init, name + "_")(by_new, *rest)
    assert torch.equal(by_old, by_new)


def test_without_torch_it_says_what_to_install() -> None:
    script = (
        "import sys; sys.modules['torch'] = None\n"
        "import wellbegun as wb\n"
        "try: wb.nn_init\n"
        "except ImportError as error: assert 'wellbegun[torch]' in str(error), error\n"
        "else: raise SystemExit('no error')\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
