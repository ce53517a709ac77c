"""What MLflow loads: a Recommender that takes one request a row."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from recattn.dataset import HistoryStore
from recattn.schema import columns
from recattn.tracking.request_rows import RequestRows, read_rows

if TYPE_CHECKING:
    from recattn.recommender import Recommender

Answer = tuple[list[str], list[float | None]]
DEFAULTS: dict[str, Any] = {"k": 10, "exclude_seen": True}


class RequestScorer:
    """A model whose rows are requests: `history_items` and, all optional, `history_times`, `history_events`,
    `as_of`, `candidates`. Every id is text at this door, whatever its type in the model.
    """

    def __init__(self, model: Recommender) -> None:
        self.model = model
        table = model.items
        self._ids: dict[str, Any] = {str(item): item for item in table.vocabulary.ids.tolist()}
        self._latest = 0 if table.available_from is None else int(table.available_from.max())

    def predict(self, model_input: pd.DataFrame, params: Mapping[str, Any] | None = None) -> pd.DataFrame:
        """One row a request, in order: `item_id` (list of str) and `score` (list of float or None).

        A request with candidates gets them back in their order, with None for the score of one the catalog lacks (JSON
        has no NaN). A request without (None or no such column) gets the best `params["k"]` of the catalog, best first,
        leaving out what its history holds unless `params["exclude_seen"]` is False. Lists may be lists, arrays, or None
        for an empty one. Histories run from old to new; items the catalog lacks are passed over. Without `as_of` the
        moment is just after the last interaction. No row depends on another.

        Raises:
            DataError: No `history_items` column, or lists of one history that differ in length.
        """
        rows = read_rows(pd.DataFrame(model_input), self.model.config.time, self._latest)
        chosen = {**DEFAULTS, **(params or {})}
        answers: dict[int, Answer] = {}
        if len(rows):
            store = self._store(rows)
            answers |= self._score(rows, store)
            answers |= self._recommend(rows, store, int(chosen["k"]), bool(chosen["exclude_seen"]))
        items, scores = ([answers[row][part] for row in range(len(rows))] for part in (0, 1))
        return pd.DataFrame(
            {columns.ITEM: pd.Series(items, dtype=object), columns.SCORE: pd.Series(scores, dtype=object)}
        )

    def _store(self, rows: RequestRows) -> HistoryStore:
        log = rows.log()
        log[columns.ITEM] = self._native(log[columns.ITEM])
        store = HistoryStore.from_frame(log, self.model.items.vocabulary, time=self.model.config.time)
        return replace(store, dropped=store.dropped - len(rows))

    def _score(self, rows: RequestRows, store: HistoryStore) -> dict[int, Answer]:
        asked = {row: listed for row, listed in enumerate(rows.candidates) if listed is not None}
        places = np.repeat(np.array(list(asked), np.int64), [len(listed) for listed in asked.values()])
        names = [name for listed in asked.values() for name in listed]
        known = np.array([name in self._ids for name in names], dtype=bool)
        scores = np.full(len(names), np.nan)
        if known.any():
            slate = self._asked(places[known], rows.moments)
            slate[columns.ITEM] = self._native(name for name in names if name in self._ids).infer_objects()
            scores[known] = self.model.score(slate, history=store)[columns.SCORE].to_numpy(np.float64)
        ends = np.cumsum([len(listed) for listed in asked.values()], dtype=np.int64)
        parts = np.split(scores, ends[:-1]) if asked else []
        plain = [[None if np.isnan(score) else float(score) for score in part] for part in parts]
        return {row: (listed, part) for (row, listed), part in zip(asked.items(), plain, strict=True)}

    def _recommend(self, rows: RequestRows, store: HistoryStore, k: int, exclude_seen: bool) -> dict[int, Answer]:
        free = [row for row, listed in enumerate(rows.candidates) if listed is None]
        answers: dict[int, Answer] = {row: ([], []) for row in free}
        if free:
            requests = self._asked(np.array(free, np.int64), rows.moments)
            best = self.model.recommend(requests, history=store, k=k, exclude_seen=exclude_seen)
            parts = (best[name].tolist() for name in (columns.REQUEST, columns.ITEM, columns.SCORE))
            for row, item, score in zip(*parts, strict=True):
                answers[row][0].append(str(item))
                answers[row][1].append(float(score))
        return answers

    def _asked(self, rows: np.ndarray, moments: np.ndarray) -> pd.DataFrame:
        frame = pd.DataFrame({columns.REQUEST: rows, columns.USER: rows})
        if self.model.config.time == "timestamp":
            frame[columns.TIME] = moments[rows]
        return frame

    def _native(self, names: Iterable[Any]) -> pd.Series:
        """Ids in the model's own type; None for what the catalog lacks."""
        return pd.Series([self._ids.get(name) for name in names], dtype=object)


def _load_pyfunc(path: str) -> RequestScorer:
    """Called by MLflow with the folder that `Recommender.save` wrote."""
    from recattn.recommender import Recommender

    return RequestScorer(Recommender.load(path))
