"""The recorder keeps no tensor alive and asks for each tensor by what it is, not by where it lies."""

import gc
import weakref

import torch
from torch import nn

from wellbegun.graph.recorder import Recorder
from wellbegun.graph.shadow import Shadow
from wellbegun.graph.variable import collect_variables


def test_results_are_freed_while_the_model_runs() -> None:
    freed = []

    class Watch(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            weakref.finalize(x, freed.append, True)
            return x + 1

    model = nn.Sequential(*(Watch() for _ in range(5)))
    recorder, x = Recorder(), torch.zeros(2)
    recorder.know_input(x, None)
    with torch.no_grad(), recorder:
        result = model(x)
    gc.collect()
    assert len(freed) == 4  # all but the input, which the test holds
    assert recorder.result_of(result) == 5
    assert [operation.inputs for operation in recorder.operations] == [(), (0,), (1,), (2,), (3,), (4,)]


def test_a_tensor_in_the_place_of_a_dead_one_is_not_taken_for_it() -> None:
    recorder = Recorder()
    for _ in range(100):
        tensor = torch.zeros(1)
        assert recorder.result_of(tensor) is None
        recorder.know_input(tensor, None)
        del tensor


def test_real_tensors_give_the_uses_that_meta_tensors_give() -> None:
    uses = []
    for device in ("cpu", "meta"):
        model = nn.Sequential(
            nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(64, 6), nn.GLU()
        )
        model = model.to(device)
        variables = collect_variables(model)
        recorder = Recorder(variables)
        for name, tensor in (*model.named_parameters(), *model.named_buffers()):
            recorder.know_variable(tensor, name)
        x = torch.zeros(2, 3, 6, 6, device=device)
        recorder.know_input(x, None)
        with torch.no_grad(), recorder:
            model(x)
        found = recorder.graph(variables, ()).uses
        uses.append({name: [(use.role, use.fans, use.region) for use in found[name]] for name in sorted(found)})
    assert uses[0] == uses[1]
    assert len(uses[0]["4.weight"]) == 2


def test_a_shadow_follows_axes_through_copies() -> None:
    whole = Shadow.of((2, 8, 4))
    turned = whole.view(torch.Tensor.permute, (1, 0, 2))
    merged = turned.view(
        torch.Tensor.view, (8, 8)
    )  # possible for a copy only: the strides of the origin do not allow it
    reading = merged.read("io")
    assert reading is not None
    assert reading.letters == ("o", "i", "o")
    assert reading.region == ((0, 2), (0, 8), (0, 4))
    part = merged.view(torch.Tensor.narrow, 1, 4, 4)
    assert part.along(0) == ((1, 2),)
    across = merged.view(torch.Tensor.narrow, 1, 2, 3).read("io")  # starts and ends in the middle of the last dimension
    assert across is None or across.region is None


def test_a_shadow_of_dimensions_of_size_1() -> None:
    for shape in ((8, 1), (1, 8), (1, 1), (1, 8, 1)):
        letters = "abc"[: len(shape)]
        turned = Shadow.of(shape).view(torch.Tensor.permute, tuple(reversed(range(len(shape)))))
        reading = turned.read(letters[::-1])
        assert reading is not None
        assert "".join(reading.letters) == letters
