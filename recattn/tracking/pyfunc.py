"""What MLflow loads: a Recommender that takes one request a row."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from recattn.errors import DataError
from recattn.schema import columns

if TYPE_CHECKING:
    from recattn.recommender import Recommender

ITEMS, TIMES, EVENTS = "history_items", "history_times", "history_events"
AS_OF, CANDIDATES = "as_of", "candidates"
DEFAULTS: dict[str, Any] = {"k": 10, "exclude_seen": True}


class RequestScorer:
    """A model whose rows are requests: `history_items` [`history_times`, `history_events`, `as_of`,
    `candidates`].

    Every id is text at this door, whatever its type in the model.
    """

    def __init__(self, model: Recommender) -> None:
        self.model = model
        self._known: dict[str, Any] = {str(item): item for item in model.items.vocabulary.ids}

    def predict(self, model_input: pd.DataFrame, params: Mapping[str, Any] | None = None) -> pd.DataFrame:
        """One row a request, in order: `item_id` (list of str) and `score` (list of float).

        A request with candidates gets them back in their order, NaN for one the catalog lacks. A request
        without (None or no such column) gets the best `params["k"]` of the catalog, best first, leaving out
        what its history holds unless `params["exclude_seen"]` is False. Lists may be lists, arrays, or None
        for an empty one. Histories run from old to new; items the catalog lacks are passed over. Without
        `as_of` the moment is just after the last interaction. Rows do not depend on each other.

        Raises:
            DataError: No `history_items` column, or lists of one history that differ in length.
        """
        frame = pd.DataFrame(model_input).reset_index(drop=True)
        if ITEMS not in frame:
            raise DataError(f"model input has no column {ITEMS!r}; it has {list(frame.columns)}.")
        chosen = {**DEFAULTS, **(params or {})}
        history, moments = self._history(frame)
        asked = _lists(frame, CANDIDATES)
        scored = [row for row, candidates in enumerate(asked) if candidates is not None]
        free = [row for row, candidates in enumerate(asked) if candidates is None]
        items: list[list[str]] = [[] for _ in asked]
        scores: list[list[float]] = [[] for _ in asked]
        if scored:
            self._score(history, moments, {row: asked[row] or [] for row in scored}, items, scores)
        if free:
            self._recommend(history, moments, free, chosen, items, scores)
        return pd.DataFrame(
            {columns.ITEM: pd.Series(items, dtype=object), columns.SCORE: pd.Series(scores, dtype=object)}
        )

    def _history(self, frame: pd.DataFrame) -> tuple[pd.DataFrame, np.ndarray]:
        """Interactions of synthetic users 0..n-1, and the moment of each request, int64 [n]."""
        histories = [items or [] for items in _lists(frame, ITEMS)]
        lengths = np.array([len(items) for items in histories], dtype=np.int64)
        moments = [None if pd.isna(moment) else int(moment) for moment in _column(frame, AS_OF)]
        times = self._times(frame, histories, moments)
        log = pd.DataFrame(
            {
                columns.USER: np.repeat(np.arange(len(frame)), lengths),
                columns.ITEM: pd.Series([str(item) for items in histories for item in items], dtype=object),
                columns.TIME: np.array([time for row in times for time in row], dtype=np.int64),
            }
        )
        if EVENTS in frame:
            events = [row or [None] * n for row, n in zip(_lists(frame, EVENTS), lengths, strict=True)]
            _same_lengths(EVENTS, events, histories)
            log[columns.EVENT] = pd.Series([event for row in events for event in row], dtype=object)
        known = log[columns.ITEM].isin(self._known.keys())
        log = log[known].reset_index(drop=True)
        log[columns.ITEM] = self._native(log[columns.ITEM])
        after = [max(row) + 1 if row else 0 for row in times]
        return log, np.array([a if m is None else m for m, a in zip(moments, after, strict=True)], dtype=np.int64)

    def _times(self, frame: pd.DataFrame, histories: list[list[Any]], moments: list[int | None]) -> list[list[int]]:
        given = _lists(frame, TIMES)
        if self.model.config.time == "order":
            return [list(range(len(items))) for items in histories]
        result: list[list[int]] = []
        for items, times, moment in zip(histories, given, moments, strict=True):
            start = 0 if moment is None else moment - len(items)
            result.append(list(range(start, start + len(items))) if times is None else [int(t) for t in times])
        if any(items and times is None for items, times in zip(histories, given, strict=True)):
            warnings.warn(
                f"{TIMES} is missing, but the model was trained on times: interactions count as a second "
                "apart. Give times for scores that reflect them.",
                stacklevel=4,
            )
        _same_lengths(TIMES, result, histories)
        return result

    def _score(
        self,
        history: pd.DataFrame,
        moments: np.ndarray,
        asked: Mapping[int, list[Any]],
        items: list[list[str]],
        scores: list[list[float]],
    ) -> None:
        rows = np.repeat(np.array(list(asked), dtype=np.int64), [len(listed) for listed in asked.values()])
        names = pd.Series([str(item) for listed in asked.values() for item in listed], dtype=object)
        known = names.isin(self._known.keys()).to_numpy()
        values = np.full(len(names), np.nan)
        if known.any():
            slate = self._requests(rows[known], moments)
            slate[columns.ITEM] = self._native(names[known])
            values[known] = self.model.score(slate, history=history)[columns.SCORE].to_numpy(np.float64)
        for row, name, value in zip(rows, names, values, strict=True):
            items[row].append(name)
            scores[row].append(float(value))

    def _recommend(
        self,
        history: pd.DataFrame,
        moments: np.ndarray,
        rows: list[int],
        params: Mapping[str, Any],
        items: list[list[str]],
        scores: list[list[float]],
    ) -> None:
        best = self.model.recommend(
            self._requests(np.array(rows, dtype=np.int64), moments),
            history=history,
            k=int(params["k"]),
            exclude_seen=bool(params["exclude_seen"]),
        )
        for row, item, score in zip(best[columns.REQUEST], best[columns.ITEM], best[columns.SCORE], strict=True):
            items[row].append(str(item))
            scores[row].append(float(score))

    def _requests(self, rows: np.ndarray, moments: np.ndarray) -> pd.DataFrame:
        frame = pd.DataFrame({columns.REQUEST: rows, columns.USER: rows})
        if self.model.config.time == "timestamp":
            frame[columns.TIME] = moments[rows]
        return frame

    def _native(self, names: pd.Series) -> pd.Series:
        """Known ids as text, in the model's own type."""
        values = [self._known[name] for name in names]
        return pd.Series(values, dtype=self.model.items.vocabulary.ids.dtype if values else object)


def _load_pyfunc(path: str) -> RequestScorer:
    """Called by MLflow with the folder that `Recommender.save` wrote."""
    from recattn.recommender import Recommender

    return RequestScorer(Recommender.load(path))


def _column(frame: pd.DataFrame, name: str) -> list[Any]:
    return frame[name].tolist() if name in frame else [None] * len(frame)


def _lists(frame: pd.DataFrame, name: str) -> list[list[Any] | None]:
    """A column of lists, arrays or nulls as lists; None where there is none."""
    values = _column(frame, name)
    return [list(value) if isinstance(value, (list, tuple, np.ndarray, pd.Series)) else None for value in values]


def _same_lengths(name: str, values: list[list[Any]], histories: list[list[Any]]) -> None:
    for row, (one, items) in enumerate(zip(values, histories, strict=True)):
        if len(one) != len(items):
            raise DataError(f"row {row} has {len(items)} {ITEMS} but {len(one)} {name}; they must go in pairs.")
