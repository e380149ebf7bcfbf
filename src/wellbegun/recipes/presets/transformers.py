"""How published transformers start: GPT-2, Llama, BERT, ViT."""

from __future__ import annotations

import math

from wellbegun.errors import ArgumentError
from wellbegun.graph.graph import Graph
from wellbegun.laws import Normal, TruncatedNormal
from wellbegun.recipes.presets.preset import GATES, TABLES, WEIGHTS, Line, Preset, Site, zero_biases
from wellbegun.recipes.proposal import Proposal
from wellbegun.recipes.streams import residual_writers


class OneScale(Preset):
    """A preset with one standard deviation."""

    def __init__(self, std: float = 0.02) -> None:
        super().__init__()
        if isinstance(std, bool) or not isinstance(std, (int, float)) or not 0 < std < math.inf:
            raise ArgumentError(f"{self.name_only}@{self.version}: std must be a number above 0, got {std!r}")
        self.std = float(std)


class Gpt2(OneScale):
    """GPT-2's starting weights: N(0, 0.02²), and less for what writes into the residual stream.

    >>> import torch
    >>> from wellbegun import plan
    >>> class Block(torch.nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.inside, self.out = torch.nn.Linear(16, 64), torch.nn.Linear(64, 16)
    ...     def forward(self, x):
    ...         return x + self.out(torch.relu(self.inside(x)))
    >>> made = plan(torch.nn.Sequential(Block(), Block(), Block(), Block()), "vector:16", seed=7, recipe="gpt2")
    >>> made["0.inside.weight"].law, made["0.out.weight"].law
    (Normal(std=0.02), Normal(std=0.01))

    Need: transformers
    Formula: matrices, token and position tables N(0, std²); weights that write into a residual stream of n writes
        N(0, std²/n), with n = 2·layers in GPT-2; biases 0; normalisation 1 and 0.
    Use it for: reproducing GPT-2 and the many models that follow it; pre-norm transformers of width near 768.
    Not for: other widths without thought: 0.02 does not know the width. Which weights write is read from the forward
        pass and not from their names.
    Args:
        std: standard deviation, 0.02 as published.
    Source: Radford et al. (2019), "Language Models are Unsupervised Multitask Learners", section 2.3 (1/sqrt(N) at the
        residual layers), and its published code (0.02).
    """

    name_only = "gpt2"
    source = "Radford et al. (2019), section 2.3, and the published code"

    def prepare(self, graph: Graph) -> None:
        """Find the weights that write into residual streams."""
        self._writers = residual_writers(graph)

    def lines(self) -> tuple[Line, ...]:
        """One scale for all that does not write."""
        said = f"GPT-2's N(0, {self.std:g}²)"
        return (Line((*WEIGHTS, *TABLES, *GATES), Normal(self.std), said), zero_biases())

    def special(self, site: Site) -> Proposal | None:
        """Scale what writes by the number of writes."""
        writes = self._writers.get(site.variable.name)
        if not writes or writes == 1 or site.role not in WEIGHTS:
            return None
        std = self.std / math.sqrt(writes)
        reason = f"GPT-2's {self.std:g}/sqrt({writes}): one of {writes} writes into its residual stream"
        return Proposal(Normal(std), reason, self.source)


class Llama(OneScale):
    """What Llama-like models start with in transformers: N(0, 0.02²) for every matrix and table.

    >>> import torch
    >>> from wellbegun import plan
    >>> plan(torch.nn.Linear(64, 64), seed=7, recipe="llama")["weight"].law
    Normal(std=0.02)

    Need: transformers
    Formula: matrices and token tables N(0, std²), the residual writers too; biases 0; normalisation 1.
    Use it for: reproducing runs that started from transformers' LlamaForCausalLM, Mistral, Qwen and their kin.
    Not for: deep models: nothing is scaled with depth, see `gpt2`. Meta has not published what Llama itself used.
    Args:
        std: standard deviation, `initializer_range` of a transformers config.
    Source: transformers 5, LlamaConfig.initializer_range and PreTrainedModel._init_weights.
    """

    name_only = "llama"
    source = "transformers 5, LlamaConfig.initializer_range"

    def lines(self) -> tuple[Line, ...]:
        """One scale."""
        said = f"N(0, {self.std:g}²) for every matrix, as transformers starts Llama"
        return (Line((*WEIGHTS, *TABLES, *GATES), Normal(self.std), said), zero_biases())


class Bert(OneScale):
    """BERT's starting weights: a normal law of 0.02 that is cut at two sigma.

    >>> import torch
    >>> from wellbegun import plan
    >>> plan(torch.nn.Linear(64, 64), seed=7, recipe="bert")["weight"].law
    TruncatedNormal(std=0.02, match_std=False)

    Need: transformers
    Formula: matrices and tables N(0, std²) cut at ±2·std, so that their standard deviation is 0.88·std = 0.0176;
        biases 0; normalisation 1 and 0.
    Use it for: reproducing BERT and post-norm encoders like it.
    Not for: reproducing transformers' BertModel, which does not cut: that is `llama`, N(0, 0.02²) for all.
    Args:
        std: standard deviation before the cut, 0.02 as published.
    Source: Devlin et al. (2019) and its published code: truncated_normal_initializer(0.02) of TensorFlow, ±2 sigma.
    """

    name_only = "bert"
    source = "Devlin et al. (2019), the published code"

    def lines(self) -> tuple[Line, ...]:
        """One law."""
        law = TruncatedNormal(self.std, match_std=False)
        said = f"BERT's N(0, {self.std:g}²) cut at two sigma"
        return (Line((*WEIGHTS, *TABLES, *GATES), law, said), zero_biases())


class Vit(OneScale):
    """What vision transformers start with in timm and transformers: a truncated normal law of 0.02.

    >>> import torch
    >>> from wellbegun import plan
    >>> plan(torch.nn.Linear(64, 64), seed=7, recipe="vit")["weight"].law
    TruncatedNormal(std=0.02, low=-100.0, high=100.0, match_std=False)

    Need: transformers
    Formula: matrices, patch convolution, class token and positions N(0, std²) cut at ±2 in absolute terms, which at
        0.02 is 100 sigma and cuts nothing; biases 0; normalisation 1 and 0.
    Use it for: reproducing ViT and DeiT as transformers starts them.
    Not for: reproducing DeiT to the letter: there the patch convolution keeps torch's default.
    Args:
        std: standard deviation, 0.02 as published.
    Source: Touvron et al. (2021), DeiT, and timm's trunc_normal_(std=0.02); transformers 5, ViTPreTrainedModel.
    """

    name_only = "vit"
    source = "Touvron et al. (2021), timm; transformers 5, ViTPreTrainedModel"

    def lines(self) -> tuple[Line, ...]:
        """One law."""
        bound = 2.0 / self.std
        law = TruncatedNormal(self.std, -bound, bound, match_std=False)
        said = f"trunc_normal_ of std {self.std:g}; its bounds ±2 are {bound:g} sigma away"
        return (Line((*WEIGHTS, *TABLES, *GATES), law, said), zero_biases())
