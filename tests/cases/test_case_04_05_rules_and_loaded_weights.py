"""Cases 4 and 5: rules without effect are errors; loaded weights keep every byte, the rest is as in a full start."""

import hashlib

import pytest
import torch
import transformers
from torch import nn
from torch.distributed.algorithms._checkpoint.checkpoint_wrapper import checkpoint_wrapper

import wellbegun as wb
from wellbegun.errors import ApplyError, ShadowedRuleError, UnusedRuleError

TOKENS = {"input_ids": torch.arange(12).reshape(1, 12)}


def gpt2() -> nn.Module:
    return transformers.GPT2LMHeadModel(
        transformers.GPT2Config(vocab_size=64, n_embd=32, n_layer=2, n_head=2, n_positions=16, bos_token_id=0,
                                eos_token_id=0)
    )  # fmt: skip


def llama(vocabulary: int = 64) -> nn.Module:
    return transformers.LlamaForCausalLM(
        transformers.LlamaConfig(
            vocab_size=vocabulary, hidden_size=32, intermediate_size=48, num_hidden_layers=4, num_attention_heads=2,
            num_key_value_heads=1,
        )
    )  # fmt: skip


def planned(**more: object) -> wb.Plan:
    return wb.plan(gpt2(), TOKENS, seed=7, **more)


def test_4a_a_rule_that_matches_nothing() -> None:
    with pytest.raises(
        UnusedRuleError, match=r"'transformer\.h\.0\.attn\.c_prj\.weight' matches no parameter.*attn\.c_proj"
    ):
        planned(rules={"transformer.h.0.attn.c_prj.weight": wb.Zeros()})
    with pytest.raises(UnusedRuleError, match=r"'type:Conv1d'.*Conv1D"):
        planned(rules={"type:Conv1d": wb.Zeros()})


def test_4b_one_plan_for_the_bare_and_the_wrapped_model() -> None:
    bare = planned()
    store = torch.distributed.HashStore()
    torch.distributed.init_process_group("gloo", store=store, rank=0, world_size=1)
    try:
        wrapped = {
            "compile": torch.compile(gpt2(), backend="eager"),
            "checkpoint_wrapper": checkpoint_wrapper(gpt2()),
            "DDP": nn.parallel.DistributedDataParallel(gpt2()),
        }
        for name, model in wrapped.items():
            assert wb.plan(model, TOKENS, seed=7).hash == bare.hash, name
            assert wb.apply(bare, model).written > 0, name
    finally:
        torch.distributed.destroy_process_group()


def test_4c_the_later_rule_wins_and_a_shadowed_one_raises() -> None:
    plan = planned(rules={"*.c_proj.weight": wb.Normal(0.1), "*.attn.c_proj.weight": wb.Normal(0.2)})
    assert plan["transformer.h.0.attn.c_proj.weight"].law == wb.Normal(0.2)
    assert plan["transformer.h.0.mlp.c_proj.weight"].law == wb.Normal(0.1)
    with pytest.raises(ShadowedRuleError, match=r"'\*\.attn\.c_proj\.weight' has no effect.*\*\.c_proj\.weight"):
        planned(rules={"*.attn.c_proj.weight": wb.Normal(0.2), "*.c_proj.weight": wb.Normal(0.1)})


def test_4d_explain() -> None:
    said = str(planned(rules={"*.c_proj.weight": wb.HeNormal()}).explain("transformer.h.0.attn.c_proj.weight"))
    for part in ("your rule '*.c_proj.weight'", "HeNormal", "fan_in 32, fan_out 32", "gain", "std 0.25", "seed 7"):
        assert part in said, (part, said)


def digests(model: nn.Module, names: set[str]) -> dict[str, str]:
    state = model.state_dict()
    return {name: hashlib.sha256(state[name].contiguous().numpy().tobytes()).hexdigest() for name in sorted(names)}


@pytest.mark.parametrize("meta", [False, True], ids=["on the CPU", "from meta"])
def test_5_a_checkpoint_with_nine_keys_of_ten(meta: bool) -> None:
    plan = wb.plan(lambda: llama(), TOKENS, seed=7)
    full = llama()
    wb.apply(plan, full)
    torch.manual_seed(0)
    trained = {name: torch.randn_like(tensor) for name, tensor in full.state_dict().items()}
    every = sorted(trained)
    missing = set(every[::10])
    loaded = {name: tensor for name, tensor in trained.items() if name not in missing}
    if meta:
        with torch.device("meta"):
            model = llama()
        model.model.rotary_emb = llama().model.rotary_emb  # computed by its constructor
    else:
        model = llama()
    found = model.load_state_dict(loaded, strict=False, assign=meta)
    assert set(found.missing_keys) == missing
    before = digests(model, set(loaded))
    done = wb.fill_missing(plan, model, found.missing_keys)
    assert digests(model, set(loaded)) == before
    assert digests(model, missing) == digests(full, missing)
    assert done.written == len(missing)
    assert done.written + done.kept + done.tied + done.skipped == len(plan)


def test_5_a_key_of_another_shape_is_written_too() -> None:
    """The table and the head of a larger vocabulary cannot be loaded; everything else is."""
    plan = wb.plan(lambda: llama(96), TOKENS, seed=7)
    old = llama(64).state_dict()
    model, full = llama(96), llama(96)
    wb.apply(plan, full)
    fits = {name: tensor for name, tensor in old.items() if tensor.shape == model.state_dict()[name].shape}
    model.load_state_dict(fits, strict=False)
    other = set(old) - set(fits)
    assert other == {"model.embed_tokens.weight", "lm_head.weight"}
    wb.fill_missing(plan, model, other)
    assert digests(model, other) == digests(full, other)
    assert all(torch.equal(tensor, model.state_dict()[name]) for name, tensor in fits.items())


def test_5_a_second_application_is_refused() -> None:
    plan, model = wb.plan(lambda: llama(), TOKENS, seed=7), llama()
    wb.apply(plan, model)
    before = digests(model, set(model.state_dict()))
    with pytest.raises(ApplyError, match="overwrite=True"):
        wb.apply(plan, model)
    assert digests(model, set(model.state_dict())) == before
    assert wb.apply(plan, model, overwrite=True).written > 0
