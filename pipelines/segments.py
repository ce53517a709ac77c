"""Results by part of the requests: long or short histories, known or cold targets."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

import recattn as ra
from recattn.dataset import make_requests
from recattn.dataset.split import Part
from recattn.dataset.targets import Target
from recattn.schema.columns import ITEM, REQUEST

LENGTHS = {"0": 0, "1": 1, "2-4": 2, "5-9": 5, "10-19": 10, "20-49": 20, "50-99": 50, "100+": 100}  # name: from


def by_segment(
    reports: Mapping[str, ra.Report], split: ra.Split, part: Part, target: Target, metric: str
) -> pd.DataFrame:
    """One row a segment that has requests: `by`, `segment`, `requests`, then the metric's mean by recommender.

    `history`: interactions the request could see, whether the model knows their items or not. `target`: `cold` where
    none of the judged items has training interactions, `known` where all have, else `mixed`.
    """
    found = segments(split, part, target)
    tables = []
    for by in found:
        values = pd.DataFrame({name: report.values(metric) for name, report in reports.items()})
        groups = values.groupby(found[by].reindex(values.index), observed=True)
        tables.append(groups.mean().assign(requests=groups.size(), by=by).rename_axis("segment").reset_index())
    table = pd.concat(tables, ignore_index=True)
    return table[["by", "segment", "requests", *reports]].astype({"segment": str})


def segments(split: ra.Split, part: Part, target: Target) -> pd.DataFrame:
    """The `history` and `target` segment of every request of `part` that has unseen truth, by `request_id`."""
    requests, history = split.requests(part, target), split.history(part)
    store = ra.HistoryStore.from_frame(history, ra.Vocabulary.from_values(ITEM, history[ITEM]), time=split.time)
    lengths = make_requests(store, requests, ties=split.ties).lengths
    place = np.searchsorted(list(LENGTHS.values()), lengths, side="right") - 1
    truth = split.truth(part, target).query("~seen")
    cold = (~truth[ITEM].isin(split.train[ITEM])).groupby(truth[REQUEST]).mean()
    kinds = np.select([cold == 0, cold == 1], ["known", "cold"], "mixed")
    return pd.DataFrame(
        {
            "history": pd.Series(pd.Categorical.from_codes(place, list(LENGTHS), ordered=True), requests[REQUEST]),
            "target": pd.Series(pd.Categorical(kinds, ["known", "mixed", "cold"]), cold.index),
        }
    ).loc[cold.index]
