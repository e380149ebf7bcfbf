"""Breadth: the model types of transformers and the layers of torch.nn, each through plan, apply and a forward pass."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
import torch
import transformers

from . import report
from .architectures import architectures
from .unbuilt import UNBUILT
from .walk import Result, walk

# walked on every run: each family, each kind of layer; the rest are slow tests, a part of them a day
ALWAYS = frozenset(
    """gpt2 llama gemma2 qwen3_moe mixtral deepseek_v3 mamba mamba2 jamba rwkv falcon_h1 qwen3_next bloom gpt_neox
    bert deberta-v2 modernbert xlnet t5 bart marian whisper moonshine vit swin convnext resnet clip siglip blip-2
    qwen2_vl llava wav2vec2 hubert encodec detr segformer vits perceiver patchtst""".split()
)
SHARE = 0.95
"""Least share of architectures that are planned without a rule."""


def _parameters() -> list[object]:
    marks = {
        name: () if name in ALWAYS or name.startswith("torch.nn") else pytest.mark.slow for name in architectures()
    }
    return [pytest.param(name, marks=mark, id=name) for name, mark in marks.items()]


@pytest.fixture(scope="module")
def results() -> Iterator[list[Result]]:
    """What this run found; with WELLBEGUN_WRITE_COVERAGE=1 it is written into docs/coverage.md."""
    found: list[Result] = []
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    yield found
    torch.set_num_threads(threads)
    if found and _writing():
        report.write(found, architectures(), UNBUILT)


def _writing() -> bool:
    return os.environ.get("WELLBEGUN_WRITE_COVERAGE") == "1"


@pytest.mark.parametrize("name", _parameters())
def test_architecture(name: str, results: list[Result]) -> None:
    result = walk(architectures()[name])
    results.append(result)
    assert result.missing == [], "tensors that are not in exactly one entry"
    assert result.nan == [], "tensors that hold NaN after apply"
    assert result.differs == [], "tensors that hold other values if the model was built without memory"
    if result.planned:
        assert result.finite
    else:
        assert result.error
    if _writing():
        return
    listed = report.read()[name]
    assert result.planned or not listed.planned, f"docs/coverage.md says that it is planned: {result.error}"
    if result.excess is not None and listed.excess is not None and abs(listed.excess) <= report.BAND:
        assert abs(result.excess) <= report.BAND


def test_what_is_always_walked_exists() -> None:
    assert set(architectures()) >= ALWAYS


def test_share() -> None:
    rows = report.read().values()
    assert sum(row.planned for row in rows) >= SHARE * len(rows)


def test_at_least_120_architectures_of_transformers() -> None:
    assert len(report.read()) >= 120
    assert len(architectures()) >= 120


@pytest.mark.skipif(transformers.__version__ != "5.24.0", reason="the page is about transformers 5.24.0")
def test_every_type_is_listed() -> None:
    assert set(report.read()) == set(architectures())
    assert set(UNBUILT).isdisjoint(architectures())


def test_page_says_what_its_rows_say() -> None:
    rows = report.read()
    assert report.PAGE.read_text() == report.page(list(rows.values()), UNBUILT)
