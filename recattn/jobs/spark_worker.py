"""What a Python process of a Spark executor does with the rows of a partition."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from recattn.batching.assemble import Assembler
from recattn.config import Stage
from recattn.dataset.frames import scores_frame
from recattn.dataset.history import HistoryStore
from recattn.dataset.requests import make_requests, make_slate_requests
from recattn.dataset.tables import UserTable
from recattn.inference.model import FittedModel
from recattn.inference.predictor import Predictor
from recattn.jobs.spark_blocks import whole_users
from recattn.jobs.spark_model import ShippedModel
from recattn.schema import read_interactions, read_requests, read_slate
from recattn.schema.columns import EVENT, ITEM, RANK, REASON, REQUEST, SCORE, TIME, USER, WEIGHT

ASKED, ROW, WHO = "asked", "row", "who"  # beside the columns of a log: is it a row asked about; it as given; its user


@dataclass(frozen=True, eq=False)
class Task:
    """All that a process needs beside its rows."""

    model: ShippedModel
    stage: Stage | None
    as_of: int | None  # the moment of rows that name none
    timed: bool  # whether rows name a moment
    columns: tuple[str, ...]  # of the rows asked about, those a score depends on
    block_rows: int
    threads: int
    k: int | None = None  # None: the rows are candidates
    exclude_seen: bool = True
    candidates: np.ndarray | None = None  # item codes to choose from


def run_task(task: Task, batches: Iterable[Any]) -> Iterator[Any]:
    """Record batches of results, one or more a block of users.

    Args:
        task: What to do.
        batches: Rows sorted by `user_id`, then log before what is asked, then time: `user_id`, `item_id`, `timestamp`
            in seconds, `event_type` and `weight` where the model uses them, `asked`, `row`, `who`.
    """
    worker = None
    for block in whole_users(batches, task.block_rows):
        worker = worker or Worker.of(task)
        asked = block.filter(block[ASKED])
        if len(asked):
            store = worker.store(block.filter(pc.invert(block[ASKED])))
            yield from (worker.score(store, asked) if task.k is None else worker.recommend(store, asked)).to_batches()


@dataclass(frozen=True, eq=False)
class Worker:
    """A task with its model, for one block of users after another."""

    task: Task
    model: FittedModel
    predictor: Predictor

    @classmethod
    def of(cls, task: Task) -> Worker:
        """The worker, with the model this process holds."""
        model = task.model.load(task.threads)
        return cls(task, model, Predictor(model.scorer, model.blueprint.table, device="cpu", threads=task.threads))

    def store(self, rows: Any) -> HistoryStore:
        """The histories of a block."""
        plan = self.model.blueprint
        names = [USER, ITEM, TIME, *(name for name in (EVENT, WEIGHT) if name in rows.column_names)]
        frame = rows.select(names).to_pandas()
        time = plan.config.time
        if frame.empty:
            frame[TIME] = np.empty(0, np.int64)
        else:  # a model without times goes by the order of the rows, which is that of the log
            frame = read_interactions(frame if time == "timestamp" else frame.drop(columns=TIME), time=time)
        return HistoryStore.from_frame(frame, plan.table.vocabulary, behaviours=plan.behaviours, time=time)

    def score(self, store: HistoryStore, asked: Any) -> Any:
        """The rows as given, with their scores."""
        plan, task = self.model.blueprint, self.task
        requests = make_slate_requests(
            store,
            read_slate(self._frame(asked, [USER, ITEM]), time=plan.config.time),
            as_of=task.as_of,
            ties=plan.config.ties,
            context=[spec.column for spec in plan.context.specs],
        )
        scores = self.predictor.score(self._assembler(store, asked), requests, stage=task.stage)
        calibration = self.model.calibration if task.stage in (None, plan.config.score) else None
        probabilities = None if calibration is None else calibration.probabilities(scores)
        found = scores_frame(pd.DataFrame(index=range(len(asked))), requests, scores, probabilities)
        columns = dict(zip(_names(asked), asked[ROW].flatten(), strict=True))
        for name in found.columns:
            kind = pa.string() if name == REASON else pa.float32()
            columns[name] = pa.array(found[name], kind, from_pandas=True)
        return pa.table(columns)

    def recommend(self, store: HistoryStore, asked: Any) -> Any:
        """The best k items of each request."""
        plan, task = self.model.blueprint, self.task
        assert task.k is not None
        frame = read_requests(self._frame(asked, [USER]), time=plan.config.time)
        requests = make_requests(store, frame, as_of=task.as_of, ties=plan.config.ties)
        codes, scores = self.predictor.top_k(
            self._assembler(store, asked),
            requests,
            task.k,
            exclude_seen=task.exclude_seen,
            candidates=task.candidates,
            stage=task.stage,
        )
        rows, places = np.nonzero(codes > 0)
        given = dict(zip(_names(asked), asked[ROW].take(pa.array(rows)).flatten(), strict=True))
        ids = plan.table.vocabulary.decode(codes[rows, places])
        return pa.table(
            {name: given[name] for name in (REQUEST, USER) if name in given}
            | {
                ITEM: pa.array(ids, asked.schema.field(ITEM).type),
                SCORE: pa.array(scores[rows, places], pa.float32()),
                RANK: pa.array(places + 1, pa.int64()),
            }
        )

    def _frame(self, asked: Any, names: list[str]) -> pd.DataFrame:
        """What the doors of slates and requests take."""
        fields = dict(zip(_names(asked), asked[ROW].flatten(), strict=True))
        columns = {name: asked[name] for name in [*names, *([TIME] if self.task.timed else [])]}
        return pa.table(columns | {name: fields[name] for name in self.task.columns}).to_pandas()

    def _assembler(self, store: HistoryStore, asked: Any) -> Assembler:
        plan = self.model.blueprint
        users = None
        if plan.users.features:
            frame = None
            if WHO in asked.column_names:
                known = asked.filter(pc.is_valid(asked[WHO]))
                names = [field.name for field in known.schema.field(WHO).type]
                columns = dict(zip(names, known[WHO].flatten(), strict=True))
                frame = pa.table({USER: known[USER]} | columns).to_pandas().drop_duplicates(USER)
            users = UserTable.build(frame, plan.users)
        return Assembler(store, plan.config, users, plan.context if plan.context.features else None)


def _names(asked: Any) -> list[str]:
    return [field.name for field in asked.schema.field(ROW).type]
