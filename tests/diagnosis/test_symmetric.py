"""Which equal units are a fault, and which are none."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import wellbegun as wb

ROWS = torch.randn(32, 16, generator=torch.Generator().manual_seed(0))
LABELS = torch.arange(32) % 4
TOKENS = torch.randint(1, 12, (32, 6), generator=torch.Generator().manual_seed(1))


def symmetric(found: wb.diagnosis.Diagnosis) -> list[str]:
    return [finding.layer for finding in found.findings if finding.kind == "symmetric"]


class Reader(nn.Module):
    """Tokens, and a row of padding that is looked up by itself, as LED does with inputs that fill no window."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(12, 16, padding_idx=0)
        self.hidden, self.head = nn.Linear(16, 16), nn.Linear(16, 4)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        words, padding = self.table(tokens), self.table(torch.zeros_like(tokens[:, :2]))
        return self.head(torch.tanh(self.hidden(torch.cat([words, padding], 1))).mean(1))


def reader() -> Reader:
    torch.manual_seed(0)
    return Reader()


def test_a_row_of_padding_that_is_looked_up_alone_is_no_copy() -> None:
    assert symmetric(wb.diagnose(reader(), (TOKENS, LABELS))) == []


def test_scales_of_ones_may_be_looked_up() -> None:
    """As WavTokenizer looks up the scale of a normalisation for each band width."""

    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.scale, self.head = nn.Linear(16, 16), nn.Embedding(4, 16), nn.Linear(16, 4)
            nn.init.ones_(self.scale.weight)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            which = torch.zeros(len(x), dtype=torch.long)
            return self.head(F.layer_norm(self.first(x), (16,)) * self.scale(which))

    torch.manual_seed(0)
    assert symmetric(wb.diagnose(Scaled(), (ROWS, LABELS))) == []


def test_a_table_of_equal_numbers_in_front_of_equal_weights_stays_equal() -> None:
    model = reader()
    for weight in (model.table.weight, model.hidden.weight, model.head.weight):
        nn.init.constant_(weight, 0.1)
    nn.init.zeros_(model.hidden.bias)
    nn.init.zeros_(model.head.bias)
    assert symmetric(wb.diagnose(model, (TOKENS, LABELS))) == ["table.weight"]


def test_equal_weights_behind_a_table_are_named_and_not_the_table() -> None:
    model = reader()
    nn.init.constant_(model.table.weight, 0.1)
    nn.init.constant_(model.hidden.weight, 0.1)
    nn.init.zeros_(model.hidden.bias)
    assert symmetric(wb.diagnose(model, (TOKENS, LABELS))) == ["hidden.weight"]


class Boxes(nn.Module):
    """A head of zeros for boxes beside the logits, as the DETR family has."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.boxes, self.head = nn.Linear(16, 16), nn.Linear(16, 4), nn.Linear(16, 4)
        nn.init.zeros_(self.boxes.weight)
        nn.init.zeros_(self.boxes.bias)

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        h = torch.tanh(self.body(x))
        return {"boxes": self.boxes(h).sigmoid(), "logits": self.head(h)}


def _classes(output: dict[str, torch.Tensor], labels: torch.Tensor) -> torch.Tensor:
    return F.cross_entropy(output["logits"], labels)


def test_a_head_that_the_loss_does_not_see_is_unused_and_not_symmetric() -> None:
    torch.manual_seed(0)
    found = wb.diagnose(Boxes(), (ROWS, LABELS), loss=_classes)
    assert symmetric(found) == []
    (unused,) = (finding for finding in found.findings if finding.kind == "unused")
    assert unused.layer == "boxes.weight"


def test_a_frozen_layer_of_equal_numbers_is_still_symmetric() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(16, 16), nn.Tanh(), nn.Linear(16, 16), nn.Tanh(), nn.Linear(16, 4))
    nn.init.constant_(model[2].weight, 0.1)
    nn.init.zeros_(model[2].bias)
    model[2].requires_grad_(False)
    assert symmetric(wb.diagnose(model, (ROWS, LABELS))) == ["2.weight"]


@pytest.mark.parametrize("how", ["padded", "repeated"])
def test_units_that_the_code_pads_or_repeats_are_no_copies(how: str) -> None:
    """As VITS pads the vectors of few relative places to all places with zeros."""

    class Wide(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.places, self.head = nn.Parameter(torch.randn(4, 16)), nn.Linear(20, 4)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            wide = F.pad(self.places, (0, 0, 8, 8)) if how == "padded" else self.places.repeat(5, 1)
            return self.head(torch.tanh(F.linear(x, wide)))

    torch.manual_seed(0)
    assert symmetric(wb.diagnose(Wide(), (ROWS, LABELS))) == []
