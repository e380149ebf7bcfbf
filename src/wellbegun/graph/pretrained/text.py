"""Arguments that are texts, and what goes with each token."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch

from wellbegun.graph.pretrained.configured import Configured

_TOKENS = 16


class Text(Configured):
    """Makes tokens that mean nothing special."""

    def tokens(self, length: int, table: Any = None, rows: int | None = None) -> torch.Tensor:
        """Whole numbers within a vocabulary that mean nothing special, but for the end of text at the end."""
        if rows is None:
            rows = len(table.weight) if table is not None and hasattr(table, "weight") else self.field("vocab_size")
        rows = rows or 32
        special = set(self._special_tokens())
        usual = [token for token in range(min(rows, 4 * _TOKENS + len(special))) if token not in special] or [0]
        ids = torch.tensor([usual[i % len(usual)] for i in range(length)])
        end, question = getattr(self.text, "eos_token_id", None), self.field("question_token_id")
        if isinstance(end, int) and 0 <= end < rows:
            ids[-1] = end
        if isinstance(question, int) and 0 <= question < rows:  # where an answer belongs, without which some fail
            ids[length // 2] = question
        return ids.repeat(self.batch, 1)

    def _special_tokens(self) -> Iterator[int]:
        for config in self.all:
            for name, value in vars(config).items():
                if name.endswith(("token_id", "token_index")) and isinstance(value, int):
                    yield value

    def _length(self) -> int:
        exact = self.field("segment_means_seq_len")  # a length that is built into the layers
        if isinstance(exact, int):
            return exact
        most = self.field("max_position_embeddings", "n_positions", default=_TOKENS)
        return max(2, min(_TOKENS, most if isinstance(most, int) and most > 0 else _TOKENS))

    def _table(self) -> Any:
        try:
            return self.model.get_input_embeddings()
        except (NotImplementedError, AttributeError):
            return None

    def _make_input_ids(self) -> torch.Tensor | None:
        main = self.model.main_input_name
        reads = main == "input_ids" or "input_ids" in self.required or self.sees or hasattr(self.config, "text_config")
        if not reads and main in self.parameters:
            return None
        table = self._table()
        return self.tokens(self._length(), table if isinstance(table, torch.nn.Embedding) else None)

    def _make_decoder_input_ids(self) -> torch.Tensor | None:
        decoder = self.config.get_text_config(decoder=True)
        return self.tokens(_TOKENS // 2, rows=getattr(decoder, "vocab_size", None))

    def _make_qformer_input_ids(self) -> torch.Tensor:
        return self.tokens(_TOKENS // 2, rows=self.config.qformer_config.vocab_size)

    def _make_task_inputs(self) -> torch.Tensor | None:
        length = self.field("task_seq_len")
        return torch.arange(length).repeat(self.batch, 1) if isinstance(length, int) else None

    def _make_bbox(self) -> torch.Tensor:
        return torch.arange(4).repeat(self.batch, self._length(), 1)

    def _make_encoder_hidden_states(self) -> torch.Tensor | None:
        if not getattr(self.config, "add_cross_attention", False):
            return None
        return self.on_meta(_TOKENS, self.config.hidden_size)
