"""What an item looks like to the scorer.

Shape letters of this folder: B histories, T interactions, R requests, S candidates, D dim, H heads, K dim a head,
P positions of a window, N catalog items. A name ends in its axes: `keys_BHTK`.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from recattn.batching.batch import FeatureBatch

COLD_ROW = 1
UNSEEN = 1  # code of a value that was not there when the features were fitted


class FeatureEncoder(nn.Module):
    """Sum of the embeddings of a row's attributes: [n, columns ...] -> [n, D].

    A categorical value has an embedding; the known values of a multi-valued column are averaged (none: zero); numbers
    and their missing flags go through one linear map. Values unseen in training count as zero, also while items that
    have them stand as negatives in a softmax over the catalog.

    Args:
        categorical: Size of each categorical column's code space (0 = missing, 1 = unseen).
        multi: Likewise for multi-valued columns.
        num_numeric: Numbers a row, missing flags included.
        dim: D.
    """

    def __init__(self, categorical: tuple[int, ...], multi: tuple[int, ...], num_numeric: int, dim: int) -> None:
        super().__init__()
        self.categorical = nn.ModuleList(_embedding(size, dim) for size in categorical)
        self.multi = nn.ModuleList(_embedding(size, dim) for size in multi)
        self.numeric = nn.Linear(num_numeric, dim, bias=False) if num_numeric else None
        if self.numeric is not None:
            nn.init.normal_(self.numeric.weight, std=0.02)
        self.dim = dim

    def forward(self, features: FeatureBatch) -> Tensor:
        total = features.numeric.new_zeros(len(features.numeric), self.dim)
        for column, embedding in enumerate(self.categorical):
            total = total + embedding(features.categorical[:, column])
        for embedding, values, offsets in zip(self.multi, features.multi_values, features.multi_offsets, strict=True):
            total = total + nn.functional.embedding_bag(
                values,
                embedding.get_parameter("weight"),
                offsets,
                mode="mean",
                include_last_offset=True,
                padding_idx=UNSEEN,
            )
        if self.numeric is not None:
            total = total + self.numeric(features.numeric)
        return total


class ItemEncoder(nn.Module):
    """e_c = id embedding + attributes. Items without training events share the *cold* id row.

    While training, an item's id row (or its bias, or its row for attention) is replaced by the cold one at the rate
    `id_dropout`, so that attributes alone learn to say something (cf. DropoutNet, Volkovs et al. 2017).

    Args:
        id_rows: int64 [N + 1], the id row of each item code; 0 is padding, 1 is cold.
        features: Attributes of the N + 1 codes, or None.
        encoder: Their encoder, or None.
        dim: D.
        id_dropout: Rate of the replacement.
        trainable: bool [N + 1], the items that may be ranked; all but padding by default.
        separate: Whether there is a second table of id embeddings, which decides attention weights alone.
    """

    id_rows: Tensor
    trainable: Tensor
    categorical: Tensor
    numeric: Tensor

    def __init__(
        self,
        id_rows: Tensor,
        features: FeatureBatch | None,
        encoder: FeatureEncoder | None,
        dim: int,
        *,
        id_dropout: float = 0.0,
        trainable: Tensor | None = None,
        separate: bool = False,
    ) -> None:
        super().__init__()
        num_rows = max(int(id_rows.max()) + 1 if len(id_rows) else 0, 2)
        self.register_buffer("id_rows", id_rows, persistent=False)
        whole = torch.arange(len(id_rows)) > 0
        self.register_buffer("trainable", whole if trainable is None else trainable, persistent=False)
        self.ids = _embedding(num_rows, dim, zero=0)
        self.bias = nn.Embedding(num_rows, 1)
        nn.init.zeros_(self.bias.weight)
        self.attention_ids = _embedding(num_rows, dim, zero=0) if separate else None
        self.encoder = encoder
        self.id_dropout = id_dropout
        self.num_columns = len(features.multi_values) if features is not None else 0
        if features is not None:
            self.register_buffer("categorical", features.categorical, persistent=False)
            self.register_buffer("numeric", features.numeric, persistent=False)
            for i, (values, offsets) in enumerate(zip(features.multi_values, features.multi_offsets, strict=True)):
                self.register_buffer(f"multi_values_{i}", values, persistent=False)
                self.register_buffer(f"multi_offsets_{i}", offsets, persistent=False)

    @property
    def num_codes(self) -> int:
        """N + 1."""
        return len(self.id_rows)

    def forward(self, codes: Tensor) -> Tensor:
        """Embeddings [..., D] of item codes [...] in 0..N."""
        embedded = self.ids(self._rows(codes))
        if self.encoder is None:
            return embedded
        distinct, places = torch.unique(codes, return_inverse=True)
        attributes = self.encoder(self._features(distinct))
        return embedded + attributes[places] * (codes > 0).unsqueeze(-1)

    def attention(self, codes: Tensor) -> Tensor:
        """Embeddings [..., D] of item codes [...] for attention weights alone: of ids, cold items share one."""
        assert self.attention_ids is not None
        return self.attention_ids(self._rows(codes))

    def biases(self, codes: Tensor) -> Tensor:
        """b_c [...] of item codes [...]; cold items share one."""
        return self.bias(self._rows(codes)).squeeze(-1)

    @property
    def targets(self) -> Tensor:
        """bool [N + 1]: what a softmax over the catalog is about: trainable items that can be a target.

        Cold items never are. As negatives in every step they would teach the cold row that nobody takes such an item.
        """
        return self.trainable & (self.id_rows > COLD_ROW)

    def _rows(self, codes: Tensor) -> Tensor:
        """Id rows of item codes; while training, some are replaced by the cold row."""
        rows = self.id_rows[codes]
        if self.training and self.id_dropout:
            dropped = (torch.rand(rows.shape, device=rows.device) < self.id_dropout) & (rows > COLD_ROW)
            rows = torch.where(dropped, COLD_ROW, rows)
        return rows

    def catalog(self) -> Tensor:
        """Codes of all items but padding, int64 [N]."""
        return torch.arange(1, self.num_codes, device=self.id_rows.device)

    def _features(self, codes: Tensor) -> FeatureBatch:
        values, offsets = [], []
        for i in range(self.num_columns):
            chosen, starts = _gather(getattr(self, f"multi_values_{i}"), getattr(self, f"multi_offsets_{i}"), codes)
            values.append(chosen)
            offsets.append(starts)
        return FeatureBatch(self.categorical[codes], tuple(values), tuple(offsets), self.numeric[codes])


def _gather(values: Tensor, offsets: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
    """The ragged rows `values[offsets[r]:offsets[r + 1]]` for r in rows, with their own offsets."""
    starts, lengths = offsets[rows], offsets[rows + 1] - offsets[rows]
    ends = torch.cumsum(lengths, 0)
    new_offsets = torch.cat([ends.new_zeros(1), ends])
    shift = torch.repeat_interleave(starts - new_offsets[:-1], lengths)
    return values[torch.arange(len(shift), device=rows.device) + shift], new_offsets


def _embedding(size: int, dim: int, zero: int = UNSEEN) -> nn.Embedding:
    embedding = nn.Embedding(size, dim, padding_idx=zero)
    nn.init.normal_(embedding.weight, std=0.02)
    with torch.no_grad():
        embedding.weight[zero].zero_()
    return embedding
