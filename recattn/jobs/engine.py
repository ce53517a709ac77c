"""A model with its histories: from the rows of a part to the columns of its result."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from recattn.batching.assemble import Assembler
from recattn.config import STAGES, Stage
from recattn.dataset.doors import check_items, history_store, log, moment_asked, open_log
from recattn.dataset.frames import NO_HISTORY, UNKNOWN_ITEM
from recattn.dataset.history import HistoryStore
from recattn.dataset.requests import Requests, make_requests, make_slate_requests
from recattn.dataset.store_files import is_store
from recattn.errors import ConfigError
from recattn.inference.artifact import load_model
from recattn.inference.cascade import Cascade
from recattn.inference.doors import make_assembler, tell_without_context
from recattn.inference.explain import explanations
from recattn.inference.model import FittedModel
from recattn.inference.predictor import Predictor
from recattn.jobs.facts import facts_of_part
from recattn.jobs.job import ScoreJob
from recattn.jobs.remote import near
from recattn.schema import check_same_kind, read_frame, read_interactions, read_requests, read_slate
from recattn.schema.columns import ITEM, POSITION, PROBABILITY, RANK, REASON, REQUEST, SCORE, TIME, USER
from recattn.schema.names import rename

FALLBACK, NO_CANDIDATES = "fallback", "no_candidates"
EXPLANATION = "explanation"
WATCHED = ("__length__", "__best__")


@dataclass(frozen=True, eq=False)
class Engine:
    """What scores parts; everything a part needs beside its rows."""

    job: ScoreJob
    model: FittedModel
    store: HistoryStore
    assembler: Assembler
    predictor: Predictor
    stage: Stage
    as_of: int | None
    history_digest: str | None  # of a store; files have theirs
    high_water: int | None  # the latest time of the log
    candidates: np.ndarray | None = None
    fallback: Any = None  # pa.Array of item ids

    @classmethod
    def open(cls, job: ScoreJob) -> Engine:
        """Load the model and open the histories.

        Raises:
            ArtifactError: No model or store there, or a damaged one.
            DataError: A history the model cannot read.
            ConfigError: A stage or device that is not there.
        """
        model = load_model(job.model)
        plan = model.blueprint
        predictor = Predictor(model.scorer, plan.table, device=job.device, threads=job.threads, cascade=Cascade())
        model.scorer.to(predictor.device)  # once, rather than there and back for every part
        stage = _stage(job.stage, plan.config.score)
        if is_store(job.history):
            found = open_log(job.history, plan.config.time)
        else:
            columns = {ours: theirs for ours, theirs in job.columns.items() if ours != REQUEST}  # a log has none
            found = read_interactions(
                near(job.history, "history"), columns=columns, unit=job.unit, time=plan.config.time
            )
        latest = None
        if plan.config.time == "timestamp":
            latest = (found.end or 1) - 1 if isinstance(found, HistoryStore) else int(found[TIME].max())
        store = history_store(found, plan.table.vocabulary, plan.config.time, behaviours=plan.behaviours)
        if store.dropped:
            log.info("%s interactions with items the model does not know are left out", f"{store.dropped:,}")
        return cls(
            job=job,
            model=model,
            store=store,
            assembler=make_assembler(plan, store, _users(job)),
            predictor=predictor,
            stage=stage,
            as_of=moment_asked(job.as_of, store),
            history_digest=found.digest if isinstance(found, HistoryStore) else None,
            high_water=latest,
        )

    @property
    def context(self) -> list[str]:
        """Columns that describe a request."""
        return [spec.column for spec in self.model.blueprint.context.specs]

    def slate_columns(self, names: list[str]) -> list[str]:
        """Of a slate's columns, those that scores depend on."""
        used = [USER, ITEM, REQUEST, *([TIME] if self.store.times is not None else []), *self.context]
        return [name for name in dict.fromkeys(used) if name in names]

    def slate(self, table: Any) -> tuple[pd.DataFrame, Requests]:
        """The canonical frame of a part of the slate, with its requests."""
        plan = self.model.blueprint
        frame = _read(table.select(self.slate_columns(table.column_names)), self)
        check_items(frame[ITEM], "slate", plan.table.vocabulary)
        check_same_kind(frame[USER], "slate", pd.Series(self.store.users[:1]), "history", USER)
        requests = make_slate_requests(self.store, frame, as_of=self.as_of, ties=plan.config.ties, context=self.context)
        return frame, requests

    def score(self, frame: pd.DataFrame, requests: Requests) -> dict[str, Any]:
        """Columns, as Arrow arrays in the order of the frame: `score`, `reason` and what else was asked for.

        Beside them `WATCHED`, which are not for the result: at the first row of each request the length of its history
        and its best score; -1 and null at the others.
        """
        assert requests.offsets is not None
        assert requests.candidates is not None
        assert requests.rows is not None
        scores = self.predictor.score(self.assembler, requests, stage=self.stage)
        empty = np.repeat(requests.lengths == 0, np.diff(requests.offsets))
        known = requests.candidates > 0
        kinds = np.select([~known, empty], [0, 1], default=-1)
        columns = {SCORE: scores}
        calibration = self.model.calibration
        if calibration is not None and self.stage == self.model.blueprint.config.score:
            columns[PROBABILITY] = calibration.probabilities(scores)
        place = np.empty(len(scores), np.int64)
        place[requests.rows] = np.arange(len(scores))
        found = {name: pa.array(values[place], pa.float32(), from_pandas=True) for name, values in columns.items()}
        found[REASON] = _reasons(kinds[place], [UNKNOWN_ITEM, NO_HISTORY])
        lengths, best = np.full(len(scores), -1), np.full(len(scores), np.nan, np.float32)
        if len(requests):
            firsts = requests.rows[requests.offsets[:-1]]
            lengths[firsts] = requests.lengths
            best[firsts] = np.fmax.reduceat(scores, requests.offsets[:-1])
        found |= dict(zip(WATCHED, (pa.array(lengths), pa.array(best)), strict=True))
        if self.job.explain:
            lines = explanations(self.predictor, self.assembler, requests, frame, self.job.explain)
            found[EXPLANATION] = self._lists(lines, len(frame))
        return found

    def users(self, start: int, stop: int, table: Any | None) -> tuple[Requests, bool]:
        """Requests for the catalog: of the rows of a users file, or of a stretch of the history's users."""
        ties = self.model.blueprint.config.ties
        if table is None:
            return make_requests(self.store, self.store.users[start:stop], as_of=self.as_of, ties=ties), False
        used = [USER, REQUEST, POSITION, *([TIME] if self.store.times is not None else []), *self.context]
        frame = table.select([name for name in dict.fromkeys(used) if name in table.column_names]).to_pandas()
        asked = read_requests(frame, unit=self.job.unit, time=self.store.time)
        check_same_kind(asked[USER], "users", pd.Series(self.store.users[:1]), "history", USER)
        return make_requests(self.store, asked, as_of=self.as_of, ties=ties), REQUEST in frame

    def recommend(self, requests: Requests, types: dict[str, Any]) -> tuple[Any, dict[str, int], dict[str, Any]]:
        """The best k of each request as a table, `types` being those of ids; requests of each reason; facts."""
        k, empty = self.job.k, requests.lengths == 0
        assert k is not None
        asked = requests if self.fallback is None else requests.take(np.flatnonzero(~empty))
        codes, scores = self.predictor.top_k(
            self.assembler,
            asked,
            k,
            exclude_seen=self.job.exclude_seen,
            candidates=self.candidates,
            stage=self.stage,
        )
        rows, places = np.nonzero(codes > 0)
        owner = rows if self.fallback is None else np.flatnonzero(~empty)[rows]
        vocabulary = self.model.blueprint.table.vocabulary
        items = pa.array(vocabulary.decode(codes[rows, places]), types[ITEM])
        scored = scores[rows, places]
        values, ranks, kinds = scored, places + 1, np.where(empty[owner], 0, -1)
        counts = {NO_HISTORY: int(empty.sum()), NO_CANDIDATES: int((~(codes > 0).any(axis=1)).sum())}
        if self.fallback is not None and empty.any():
            given = np.arange(min(k, len(self.fallback)))
            lost = np.flatnonzero(empty)
            owner = np.concatenate([owner, np.repeat(lost, len(given))])
            items = pa.concat_arrays([items, self.fallback.take(pa.array(np.tile(given, len(lost))))])
            values = np.concatenate([values, np.full(len(given) * len(lost), np.nan, np.float32)])
            ranks = np.concatenate([ranks, np.tile(given + 1, len(lost))])
            kinds = np.concatenate([kinds, np.full(len(given) * len(lost), 1)])
        order = np.lexsort((ranks, owner))
        owner = owner[order]
        columns = {name: pa.array(ids[owner], types[name]) for name, ids in _ids(requests, types).items()} | {
            ITEM: items.take(pa.array(order)),
            SCORE: pa.array(values[order], pa.float32(), from_pandas=True),
            RANK: pa.array(ranks[order], pa.int64()),
            REASON: _reasons(kinds[order], [NO_HISTORY, FALLBACK]),
        }
        if self.job.explain:
            columns[EXPLANATION] = self._explained(requests, owner, columns[ITEM])
        best = scores[:, 0] if scores.shape[1] else np.empty(0)
        facts = facts_of_part(requests.lengths, np.where(best > -np.inf, best, np.nan), scored, self.model.profile)
        return pa.table(columns), {reason: count for reason, count in counts.items() if count}, facts

    def tell(self, requests: Requests) -> None:
        """Warn of what all parts have in common."""
        tell_without_context(self.model.blueprint, requests)

    def _explained(self, requests: Requests, owner: np.ndarray, items: Any) -> Any:
        """Explanations of recommendations: rows of an item for the request `owner`."""
        counts = np.bincount(owner, minlength=len(requests))
        ids = items.to_pandas()
        listed = replace(
            requests,
            offsets=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
            candidates=self.store.item_vocabulary.encode(ids),
            rows=np.arange(len(owner), dtype=np.int64),
        )
        frame = pd.DataFrame({USER: requests.user_ids[owner], ITEM: ids})
        return self._lists(explanations(self.predictor, self.assembler, listed, frame, self.job.explain), len(owner))

    def _lists(self, lines: pd.DataFrame, rows: int) -> Any:
        """Lines of explanations as one list a row: `[{item_id, timestamp, change}, ...]`, largest change first."""
        lines = lines.sort_values(["row", RANK], kind="stable")
        counts = np.bincount(lines["row"].to_numpy(np.int64), minlength=rows)
        ids = self.model.blueprint.table.vocabulary.ids
        fields = [pa.array(lines[f"history_{ITEM}"].to_numpy(), pa.array(ids[:1]).type)]
        names = [ITEM]
        if self.store.times is not None:
            fields.append(pa.array(lines[f"history_{TIME}"].to_numpy(), pa.int64()))
            names.append(TIME)
        fields.append(pa.array(lines["change"].to_numpy(np.float32)))
        values = pa.StructArray.from_arrays(fields, [*names, "change"])
        offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
        return pa.ListArray.from_arrays(pa.array(offsets), values)


def _stage(asked: Stage | None, own: Stage) -> Stage:
    has = STAGES[: STAGES.index(own) + 1]
    if asked is not None and asked not in has:
        raise ConfigError(f"stage must be one of {', '.join(has)}, the scores this model has, got {asked!r}.")
    return asked or own


def _users(job: ScoreJob) -> pd.DataFrame | None:
    """The attributes of users, under our name of their ids."""
    if job.user_features is None:
        return None
    frame, theirs = read_frame(near(job.user_features, "users"), "users"), job.columns.get(USER)
    return rename(frame, {USER: theirs}, "users") if theirs is not None and theirs in frame else frame


def _read(table: Any, engine: Engine) -> pd.DataFrame:
    return read_slate(table.to_pandas(), unit=engine.job.unit, time=engine.store.time)


def _reasons(kinds: np.ndarray, names: list[str]) -> Any:
    """Texts by number as an Arrow column; null for -1."""
    texts = pa.array(names, pa.string())
    return texts.take(pa.array(kinds, mask=kinds < 0))


def _ids(requests: Requests, types: dict[str, Any]) -> dict[str, np.ndarray]:
    both = {REQUEST: requests.request_ids, USER: requests.user_ids}
    return {name: ids for name, ids in both.items() if name in types}
