"""Case 6: language models start near ln V, tied or not; a tie is one entry; two rules for one tensor are refused."""

import math

import pytest
import torch
import transformers
from torch import nn
from torch.nn import functional as F

import wellbegun as wb
from wellbegun.errors import PlanError

VOCABULARY = 512
FAMILIES = {
    "gpt2": lambda width, tied: transformers.GPT2LMHeadModel(
        transformers.GPT2Config(
            vocab_size=VOCABULARY, n_embd=width, n_layer=2, n_head=width // 32, n_positions=32, tie_word_embeddings=tied
        )
    ),
    "llama": lambda width, tied: transformers.LlamaForCausalLM(
        transformers.LlamaConfig(
            vocab_size=VOCABULARY, hidden_size=width, intermediate_size=2 * width, num_hidden_layers=2,
            num_attention_heads=width // 32, num_key_value_heads=max(width // 64, 1), max_position_embeddings=32,
            tie_word_embeddings=tied,
        )
    ),
    "t5": lambda width, tied: transformers.T5ForConditionalGeneration(
        transformers.T5Config(
            vocab_size=VOCABULARY, d_model=width, d_kv=32, d_ff=2 * width, num_layers=2, num_heads=width // 32,
            tie_word_embeddings=tied, decoder_start_token_id=0, dropout_rate=0.0,
        )
    ),
}  # fmt: skip
TIED_NAMES = {"gpt2": "lm_head.weight", "llama": "lm_head.weight", "t5": "lm_head.weight"}


def batch(seed: int = 0) -> dict[str, torch.Tensor]:
    made = torch.Generator().manual_seed(seed)
    tokens = torch.randint(1, VOCABULARY, (16, 32), generator=made)
    labels = torch.randint(1, VOCABULARY, (16, 32), generator=made)
    return {"input_ids": tokens, "labels": labels}


def start(family: str, width: int, tied: bool, seeds: int) -> tuple[list[float], list[float]]:
    """Cross-entropy on random tokens, and variance of the logits over the vocabulary, by seed."""
    plan = wb.plan(lambda: FAMILIES[family](width, tied), batch(), seed=0)
    model = FAMILIES[family](width, tied).eval()
    losses, spreads = [], []
    for seed in range(seeds):
        wb.apply(plan.with_seed(seed), model, overwrite=True)
        inputs = batch(seed)
        with torch.no_grad():
            logits = model(**inputs).logits
        losses.append(float(F.cross_entropy(logits.flatten(0, 1), inputs["labels"].flatten())))
        spreads.append(float(logits.var(-1).mean()))
    return losses, spreads


def check(family: str, width: int, tied: bool, seeds: int) -> None:
    losses, spreads = start(family, width, tied, seeds)
    assert abs(sum(losses) / seeds - math.log(VOCABULARY)) < 0.3, losses
    assert sum(spreads) / seeds <= 0.6, spreads


@pytest.mark.parametrize("tied", [False, True], ids=["untied", "tied"])
@pytest.mark.parametrize("width", [64, 256])
@pytest.mark.parametrize("family", FAMILIES)
def test_the_loss_starts_near_ln_v(family: str, width: int, tied: bool) -> None:
    check(family, width, tied, seeds=3)


@pytest.mark.slow
@pytest.mark.parametrize("tied", [False, True], ids=["untied", "tied"])
@pytest.mark.parametrize("width", [64, 128, 256, 512, 1024])
@pytest.mark.parametrize("family", FAMILIES)
def test_the_loss_starts_near_ln_v_at_every_width(family: str, width: int, tied: bool) -> None:
    check(family, width, tied, seeds=8)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_tied_table_is_one_entry_with_both_roles_and_one_law(family: str) -> None:
    plan = wb.plan(FAMILIES[family](64, True), batch(), seed=0)
    entry = next(entry for entry in plan if TIED_NAMES[family] in (entry.name, *entry.ties))
    names = (entry.name, *entry.ties)
    assert len(names) >= 2
    assert sum(bool({e.name, *e.ties} & set(names)) for e in plan) == 1
    assert "embedding weight" in entry.role
    assert "linear weight" in entry.role
    assert isinstance(entry.law, wb.Normal)
    assert entry.std > 0


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.table, self.head = nn.Embedding(16, 8), nn.Linear(8, 16, bias=False)
        self.head.weight = self.table.weight

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return self.head(self.table(tokens))


def test_rules_that_disagree_on_the_two_names_are_refused() -> None:
    rules = {"table.weight": wb.Normal(0.02), "head.weight": wb.Normal(0.5)}
    with pytest.raises(PlanError, match=r"table\.weight and head\.weight are one tensor.*std=0\.02.*std=0\.5"):
        wb.plan(Tied(), "tokens:4", seed=0, rules=rules)
    agreed = wb.plan(Tied(), "tokens:4", seed=0, rules=dict.fromkeys(rules, wb.Normal(0.02)))
    assert [(entry.name, entry.ties, entry.law) for entry in agreed] == [
        ("table.weight", ("head.weight",), wb.Normal(0.02))
    ]
