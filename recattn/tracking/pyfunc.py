"""What MLflow loads: a Recommender that takes one request a row."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import chain, pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from mlflow.exceptions import MlflowException

from recattn.batching.assemble import Assembler
from recattn.dataset.history import HistoryStore
from recattn.dataset.requests import Requests, search_sorted
from recattn.dataset.tables import UserTable
from recattn.errors import ConfigError, RecattnError
from recattn.inference.explain import explanations
from recattn.inference.predictor import Predictor
from recattn.schema import check_k
from recattn.schema.columns import ITEM, SCORE, TIME, USER
from recattn.tracking.request_rows import RequestRows, flat, read_rows

if TYPE_CHECKING:
    from recattn.dataset import Vocabulary
    from recattn.recommender import Recommender

Answer = tuple[list[str], list[float | None]]
EXPLANATION = "explanation"
DEFAULTS: dict[str, Any] = {"k": 10, "exclude_seen": True, "explain": 0}


class RequestScorer:
    """A model whose rows are requests: `history_items` and, all optional, `history_times`, `history_events`,
    `as_of`, `candidates`. Every id is text at this door, whatever its type in the model.

    What calls have in common is made once, here; the model must not be trained on afterwards.
    """

    def __init__(self, model: Recommender) -> None:
        fitted = model._fitted()
        plan = self._plan = fitted.blueprint
        self.model = model
        self._items, self._names = _codes(plan.table.vocabulary), [""] + [str(i) for i in plan.table.vocabulary.ids]
        self._behaviours = None if plan.behaviours is None else _codes(plan.behaviours)
        self._latest = 0 if plan.table.available_from is None else int(plan.table.available_from.max())
        self._users = UserTable.build(None, plan.users) if plan.users.features else None
        self._context = plan.context if plan.context.features else None
        self._predictor = Predictor(fitted.scorer, plan.table, cascade=model.cascade)

    def predict(self, model_input: pd.DataFrame, params: Mapping[str, Any] | None = None) -> pd.DataFrame:
        """One row a request, in order: `item_id` (list of str), `score` (list of float or None), `explanation`.

        A request with candidates gets them back in their order, with None for the score of one the catalog lacks (JSON
        has no NaN). A request without (None or no such column) gets the best `params["k"]` of the catalog, best first,
        leaving out what its history holds unless `params["exclude_seen"]` is False. Lists may be lists, arrays, or None
        for an empty one. Histories run from old to new; items the catalog lacks are passed over. Without `as_of` the
        moment is just after the last interaction. No row depends on another.

        `explanation` is empty unless `params["explain"]` is n > 0. Then it holds, for each item of the row, the n
        interactions whose masking changes its score most, `{item_id, timestamp, change}`, largest change first
        (`Recommender.explain`).

        Raises:
            DataError: No `history_items` column, or lists of one history that differ in length.
            ConfigError: A parameter out of its range.
        """
        chosen = {**DEFAULTS, **(params or {})}
        k, explain, exclude_seen = check_k(chosen["k"]), _count(chosen["explain"]), _switch(chosen["exclude_seen"])
        rows = read_rows(pd.DataFrame(model_input), self._plan.config.time, self._latest)
        assembler, requests = self._carriers(rows)
        items: list[list[str]] = [[] for _ in range(len(rows))]
        scores: list[list[float | None]] = [[] for _ in range(len(rows))]
        listed = np.array([row is not None for row in rows.candidates], bool)
        asked = [row for row in rows.candidates if row is not None]
        answers = chain(
            self._score(assembler, requests.take(np.flatnonzero(listed)), asked),
            self._recommend(assembler, requests.take(np.flatnonzero(~listed)), k, exclude_seen),
        )
        for row, answer in zip(np.argsort(~listed, kind="stable"), answers, strict=True):
            items[row], scores[row] = answer
        told = self._explain(assembler, requests, items, explain) if explain else [[] for _ in items]
        columns = {ITEM: items, SCORE: scores, EXPLANATION: told}
        return pd.DataFrame({name: pd.Series(values, dtype=object) for name, values in columns.items()})

    def _carriers(self, rows: RequestRows) -> tuple[Assembler, Requests]:
        """The histories as a store of users 0..n-1, and one request of each."""
        names, offsets = flat(rows.items)
        users = np.repeat(np.arange(len(rows)), np.diff(offsets))
        codes = self._encode(names)
        times = np.array(flat(rows.times)[0], np.int64)
        order = np.lexsort((times, users))
        places = np.arange(len(codes)) - np.repeat(offsets[:-1], np.diff(offsets))
        known = codes[order] > 0
        order = order[known]
        events = None
        if rows.events is not None and self._behaviours is not None:
            kinds = [self._behaviours.get(str(name), 0) for name in flat(rows.events)[0]]
            events = np.array(kinds, np.int8)[order]
        kept = np.zeros(len(rows) + 1, np.int64)
        np.cumsum(np.bincount(users[order], minlength=len(rows)), out=kept[1:])
        moments = rows.moments if self._plan.config.time == "timestamp" else None
        store = HistoryStore(
            users=np.arange(len(rows)),
            offsets=kept,
            items=codes[order],
            times=None if moments is None else times[order],
            behaviours=events,
            weights=None,
            positions=places[known].astype(np.int32),
            item_vocabulary=self._plan.table.vocabulary,
            behaviour_vocabulary=self._plan.behaviours,
        )
        starts, stops = kept[:-1], kept[1:]
        if store.times is not None and moments is not None:
            stops = search_sorted(store.times, starts, stops, moments)
        ids = np.arange(len(rows))
        requests = Requests(ids, ids, ids.astype(np.int32), moments, starts, stops)
        return Assembler(store, self._plan.config, self._users, self._context), requests

    def _score(self, assembler: Assembler, requests: Requests, asked: list[list[str]]) -> Iterator[Answer]:
        """For each request the candidates `asked` for, with their scores."""
        if not asked:
            return
        names, offsets = flat(asked)
        scores = self._predictor.score(assembler, replace(requests, offsets=offsets, candidates=self._encode(names)))
        plain = [None if score != score else score for score in scores.tolist()]  # NaN
        yield from zip(asked, _parts(plain, offsets), strict=True)

    def _recommend(self, assembler: Assembler, requests: Requests, k: int, exclude_seen: bool) -> Iterator[Answer]:
        """For each request the best k of the catalog, with their scores."""
        if not len(requests):
            return
        best, scores = self._predictor.top_k(assembler, requests, k, exclude_seen=exclude_seen)
        for codes, values in zip(best, scores, strict=True):
            real = codes > 0
            yield [self._names[code] for code in codes[real].tolist()], values[real].tolist()

    def _explain(self, assembler: Assembler, requests: Requests, items: list[list[str]], top: int) -> list[list[Any]]:
        """For each item of each row what moved its score."""
        names, offsets = flat(items)
        codes = self._encode(names)
        asked = replace(requests, offsets=offsets, candidates=codes, rows=np.arange(len(codes)))
        slate = pd.DataFrame({USER: np.repeat(requests.user_ids, np.diff(offsets)), ITEM: names})
        lines = explanations(self._predictor, assembler, asked, slate, top)
        told: list[list[dict[str, Any]]] = [[] for _ in names]
        columns: dict[str, list[Any]] = {ITEM: [str(item) for item in lines[f"history_{ITEM}"]]}
        if requests.as_of is not None:
            columns[TIME] = lines[f"history_{TIME}"].tolist()
        columns["change"] = lines["change"].astype(float).tolist()
        for row, *values in zip(lines["row"].tolist(), *columns.values(), strict=True):
            told[row].append(dict(zip(columns, values, strict=True)))
        return _parts(told, offsets)

    def _encode(self, names: list[str]) -> np.ndarray:
        """Item codes int32 [names]; -1 for what the catalog lacks."""
        return np.array([self._items.get(name, -1) for name in names], np.int32)


def _codes(vocabulary: Vocabulary) -> dict[str, int]:
    return {str(name): code for code, name in enumerate(vocabulary.ids.tolist(), start=1)}


def _parts(values: list[Any], offsets: np.ndarray) -> list[list[Any]]:
    """The values of each row: what `flat` has joined."""
    return [values[start:stop] for start, stop in pairwise(offsets.tolist())]


def _count(explain: Any) -> int:
    if explain == 0 and explain is not False:
        return 0
    try:
        return check_k(explain, name="explain")
    except ConfigError as error:
        raise ConfigError(f"explain must be 0 or the number of interactions a score, got {explain!r}.") from error


def _switch(exclude_seen: Any) -> bool:
    if not isinstance(exclude_seen, (bool, np.bool_)):
        raise ConfigError(f"exclude_seen must be true or false, got {exclude_seen!r}.")
    return bool(exclude_seen)


class PyFunc(RequestScorer):
    """What MLflow calls: errors are MLflow's, whose text its server hands on; of others it hides it."""

    def predict(self, model_input: pd.DataFrame, params: Mapping[str, Any] | None = None) -> pd.DataFrame:
        """`RequestScorer.predict`."""
        try:
            return super().predict(model_input, params)
        except RecattnError as error:
            raise MlflowException.invalid_parameter_value(str(error)) from error


def _load_pyfunc(path: str) -> PyFunc:
    """Called by MLflow for models logged before there was the flavor, with the folder `Recommender.save` wrote."""
    from recattn.recommender import Recommender

    return PyFunc(Recommender.load(path))
