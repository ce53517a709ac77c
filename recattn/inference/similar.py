"""Items whose embeddings point the same way."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch

from recattn.errors import DataError, listed, nearest
from recattn.inference.model import FittedModel
from recattn.inference.top_k import top_k
from recattn.schema.columns import ITEM, RANK, SCORE


def similar(model: FittedModel, item_ids: Sequence[Any], k: int) -> pd.DataFrame:
    """`item_id, similar_item_id, score, rank`: the k other recommendable items of highest cosine, best first.

    Raises:
        DataError: An item is not in the catalog.
    """
    table, vocabulary = model.blueprint.table, model.blueprint.table.vocabulary
    codes = vocabulary.encode(item_ids)
    unknown = [item for item, code in zip(item_ids, codes, strict=True) if code < 1]
    if unknown:
        texts = [one for one in vocabulary.ids[:100_000] if isinstance(one, str)]
        hint = nearest(unknown[0], texts) if isinstance(unknown[0], str) else ""
        raise DataError(f"{len(unknown)} items are not in the model's catalog: {listed(unknown)}.{hint}")
    with torch.inference_mode():
        catalog = np.flatnonzero(table.recommendable)
        device = model.scorer.start.device
        others = torch.nn.functional.normalize(model.scorer.items(torch.from_numpy(catalog).to(device)), dim=1)
        asked = torch.from_numpy(codes.astype(np.int64)).to(device)
        scores = torch.nn.functional.normalize(model.scorer.items(asked), dim=1) @ others.T
        scores = scores.masked_fill(asked[:, None] == torch.from_numpy(catalog).to(device), -torch.inf)
        columns, values = (x.cpu().numpy() for x in top_k(scores, k))
    rows, ranks = np.nonzero(values > -np.inf)
    return pd.DataFrame(
        {
            ITEM: np.asarray(vocabulary.decode(codes))[rows],
            f"similar_{ITEM}": vocabulary.decode(catalog[columns[rows, ranks]]),
            SCORE: values[rows, ranks],
            RANK: ranks + 1,
        }
    )
