"""Filling in what a checkpoint did not have: loaded tensors keep every byte, the others get what a full start gives."""

import hashlib
from collections.abc import Iterable
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.distributed.algorithms._checkpoint.checkpoint_wrapper import checkpoint_wrapper

import wellbegun as wb
from wellbegun.errors import ApplyError, ArgumentError
from wellbegun.targets import Applied


class Net(nn.Module):
    """A table that may be tied to the head, a block, statistics, a computed buffer that no checkpoint holds."""

    def __init__(self, tied: bool = False, classes: int = 12) -> None:
        super().__init__()
        self.table = nn.Embedding(12, 8)
        self.block = nn.Sequential(nn.Linear(8, 16), nn.GELU(), nn.Linear(16, 8))
        self.norm = nn.BatchNorm1d(8)
        self.head = nn.Linear(8, classes)
        if tied:
            self.head.weight = self.table.weight
        self.register_buffer("positions", torch.arange(8.0), persistent=False)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        x = self.table(tokens) + self.positions
        return self.head(self.norm((x + self.block(x)).mean(1)))


RULES = {"positions": wb.Keep()}


def planned(**more: bool | int) -> wb.Plan:
    return wb.plan(Net(**more), "tokens:4", seed=5, rules=RULES)


def tensors(model: nn.Module) -> dict[str, torch.Tensor]:
    return dict((*model.named_parameters(remove_duplicate=False), *model.named_buffers(remove_duplicate=False)))


def digests(model: nn.Module, names: Iterable[str]) -> dict[str, str]:
    found = tensors(model)
    return {name: hashlib.sha256(found[name].detach().numpy().tobytes()).hexdigest() for name in names}


def load(model: nn.Module, leave: tuple[str, ...], tied: bool = False, **more: bool) -> list[str]:
    """Load random values but for names that begin with one of `leave`."""
    torch.manual_seed(1)
    state = {name: t for name, t in Net(tied).state_dict().items() if not name.startswith(leave)}
    missing, unexpected = model.load_state_dict(state, strict=False, **more)
    assert not unexpected
    return missing


def test_loaded_tensors_keep_their_bytes_and_the_rest_is_that_of_a_full_start() -> None:
    plan, model, full = planned(), Net(), Net()
    wb.apply(plan, full)
    missing = load(model, ("head", "block.2.weight"))
    assert missing == ["block.2.weight", "head.weight", "head.bias"]
    loaded = [name for name in tensors(model) if name not in missing]
    before = digests(model, loaded)
    done = wb.fill_missing(plan, model, missing)
    assert digests(model, loaded) == before
    assert digests(model, missing) == digests(full, missing)
    assert done == Applied(3, len(plan) - 3, 0, elements=128 + 96 + 12)
    assert done.written + done.kept + done.tied + done.skipped == len(tensors(model))


def test_a_head_of_another_shape() -> None:
    plan, model = planned(classes=3), Net(classes=3)
    state = {name: t for name, t in Net().state_dict().items() if not name.startswith("head")}
    model.load_state_dict(state, strict=False)
    done = wb.fill_missing(plan, model, {"head.weight", "head.bias"})
    assert (done.written, done.elements) == (2, 27)
    assert torch.equal(model.head.weight, torch.from_numpy(wb.to_numpy(plan, "head.weight")))


def test_missing_tensors_on_meta_get_memory() -> None:
    with wb_meta():
        model = Net()
    model.positions = torch.arange(8.0)
    missing = load(model, ("head",), assign=True)
    before = digests(model, [name for name in tensors(model) if name not in missing])
    wb.fill_missing(planned(), model, missing)
    assert digests(model, before) == before
    assert not any(t.is_meta for t in tensors(model).values())
    assert isinstance(model.head.weight, nn.Parameter)


def wb_meta() -> torch.device:
    return torch.device("meta")


def test_meta_tensors_that_are_not_missing_are_an_error() -> None:
    with wb_meta():
        model = Net()
    model.positions = torch.arange(8.0)
    missing = load(model, ("head", "block.0"), assign=True)
    with pytest.raises(ApplyError, match=r"block\.0\.weight: is not among the missing, but it is on meta") as error:
        wb.fill_missing(planned(), model, [name for name in missing if not name.startswith("block")])
    assert "block.0.bias" in str(error.value)
    assert model.head.weight.is_meta


def test_nothing_missing_writes_nothing() -> None:
    model = Net()
    before = digests(model, tensors(model))
    assert wb.fill_missing(planned(), model, []).elements == 0
    assert digests(model, before) == before


def test_tied_tensors() -> None:
    plan, model = planned(tied=True), Net(tied=True)
    missing = load(model, ("table", "head"), tied=True)
    assert set(missing) == {"table.weight", "head.weight", "head.bias"}
    done = wb.fill_missing(plan, model, missing)
    assert (done.written, done.tied, done.elements) == (2, 1, 96 + 12)
    assert torch.equal(model.table.weight, torch.from_numpy(wb.to_numpy(plan, "table.weight")))


def test_a_tied_tensor_that_was_loaded_under_its_other_name_is_not_overwritten() -> None:
    plan, model = planned(tied=True), Net(tied=True)
    missing = load(model, ("head",), tied=True)
    before = digests(model, ["table.weight"])
    with pytest.raises(
        ApplyError, match=r"one tensor whose name head\.weight is missing and whose name table\.weight is not"
    ):
        wb.fill_missing(plan, model, missing)
    done = wb.fill_missing(plan, model, ["head.bias"])
    assert (done.written, done.tied) == (1, 1)
    assert digests(model, before) == before


def test_a_tie_that_loading_tore_is_tied_to_the_loaded_tensor() -> None:
    with wb_meta():
        model = Net(tied=True)
    model.positions = torch.arange(8.0)
    missing = load(model, ("head",), tied=True, assign=True)
    assert model.head.weight.is_meta
    before = digests(model, ["table.weight"])
    done = wb.fill_missing(planned(tied=True), model, missing)
    assert model.head.weight is model.table.weight
    assert digests(model, before) == before
    assert (done.written, done.tied) == (1, 1)


def test_a_torn_tie_with_two_loaded_values_is_an_error() -> None:
    plan, model = planned(tied=True), Net()
    missing = load(model, ("block",))
    with pytest.raises(
        ApplyError, match=r"one tensor with head\.weight in the plan, and they were loaded with different"
    ):
        wb.fill_missing(plan, model, missing)
    with torch.no_grad():
        model.head.weight.copy_(model.table.weight)
    wb.fill_missing(plan, model, missing)
    assert model.head.weight is model.table.weight


def test_unknown_names_and_one_text() -> None:
    model = Net()
    before = digests(model, tensors(model))
    with pytest.raises(ArgumentError, match=r"'head\.wieght': did you mean 'head\.weight'") as error:
        wb.fill_missing(planned(), model, ["head.wieght", "head.bias", "tabel.weight"])
    assert "table.weight" in str(error.value)
    with pytest.raises(ArgumentError, match="a list or set of names, got one text"):
        wb.fill_missing(planned(), model, "head.weight")
    assert digests(model, before) == before


def test_names_of_wrapped_models() -> None:
    plan, full = planned(), Net()
    wb.apply(plan, full)
    inner = Net()
    missing = load(inner, ("head", "block.2.weight"))
    inner.block[2] = checkpoint_wrapper(inner.block[2])
    model = nn.DataParallel(torch.compile(inner, backend="eager"))
    wrapped = [
        "module._orig_mod.head.weight",
        "module._orig_mod.head.bias",
        "module._orig_mod.block.2._checkpoint_wrapped_module.weight",
    ]
    assert set(wrapped) <= set(dict(model.named_parameters())) | {wrapped[2]}
    done = wb.fill_missing(plan, model, wrapped)
    assert done.written == len(missing)
    assert torch.equal(inner.block[2].weight, full.block[2].weight)
    with pytest.raises(ApplyError, match="already applied"):
        wb.fill_missing(plan, inner, missing)
    wb.fill_missing(plan, inner, missing, overwrite=True)


def test_a_bias_that_follows_a_loaded_weight_is_an_error() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.Sigmoid(), nn.Linear(4, 4))
    rules = {"2.bias": wb.MeanCompensation("2.weight", mean=0.5)}
    plan = wb.plan(model, "vector:4", seed=1, rules=rules)
    with pytest.raises(ApplyError, match=r"2\.bias: MeanCompensation.*planned values of 2\.weight, which was loaded"):
        wb.fill_missing(plan, model, ["2.bias"])
    wb.fill_missing(plan, model, ["2.bias", "2.weight"])
    assert torch.allclose(model[2].bias, -0.5 * model[2].weight.sum(1), atol=1e-6)


def test_a_pretrained_transformer_with_a_new_head(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    config = transformers.BertConfig(
        vocab_size=32, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32, num_labels=3
    )
    torch.manual_seed(0)
    transformers.BertModel(config).save_pretrained(tmp_path)
    model, info = transformers.AutoModelForSequenceClassification.from_pretrained(
        tmp_path, num_labels=3, output_loading_info=True
    )
    missing = info["missing_keys"]
    assert set(missing) == {"classifier.weight", "classifier.bias"}
    rules = {"bert.*": wb.Keep()}
    tokens = torch.zeros(2, 8, dtype=torch.long)
    plan = wb.plan(model, {"input_ids": tokens}, seed=1, rules=rules)
    before = digests(model, [name for name in tensors(model) if name.startswith("bert")])
    done = wb.fill_missing(plan, model, missing)
    assert digests(model, before) == before
    assert done.written == 2
    assert torch.equal(model.classifier.weight, torch.from_numpy(wb.to_numpy(plan, "classifier.weight")))
