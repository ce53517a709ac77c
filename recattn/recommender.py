"""The model as its users meet it: frames in, frames out."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from recattn.batching.assemble import Assembler
from recattn.config import STAGES, FeatureSpec, ModelConfig, Stage, TrainConfig, to_dict
from recattn.dataset.doors import (
    candidate_codes,
    catalog_requests,
    check_items,
    check_known,
    ids_given,
    moment_asked,
    open_log,
    tell_empty,
    tell_short,
)
from recattn.dataset.features import check_specs
from recattn.dataset.frames import recommendations_frame, scores_frame
from recattn.dataset.history import HistoryStore
from recattn.dataset.requests import Requests, make_slate_requests
from recattn.dataset.tables import ItemTable
from recattn.errors import ConfigError, DataError, NotFittedError, listed
from recattn.inference.artifact import load_model, save_model
from recattn.inference.calibration import Calibration
from recattn.inference.cascade import Cascade, by_pairs
from recattn.inference.doors import make_assembler, open_history, tell_without_context
from recattn.inference.explain import explanations
from recattn.inference.explain_parts import parts_frame
from recattn.inference.model import FittedModel
from recattn.inference.predictor import Predictor
from recattn.inference.similar import similar
from recattn.observer import Observer
from recattn.schema import check_k, read_items, read_slate, read_users
from recattn.schema.columns import ITEM, LABEL

Data = pd.DataFrame | str | Path
Log = Data | HistoryStore
log = logging.getLogger("recattn")


class Recommender:
    """Multi-head target attention over interaction histories.

    The model holds no users: histories are always an argument, and the same call with the same inputs gives the same
    answer.

    Args:
        model: The scorer's settings.
        train: How it is trained.
        item_features: Columns of the items frame to use.
        user_features: Columns of the users frame to use.
        context_features: Columns of the interactions (and of requests and slates) that describe a request.
        cascade: When a catalog is scored in stages, and what each stage passes on.
    """

    def __init__(
        self,
        model: ModelConfig | None = None,
        train: TrainConfig | None = None,
        *,
        item_features: Sequence[FeatureSpec] = (),
        user_features: Sequence[FeatureSpec] = (),
        context_features: Sequence[FeatureSpec] = (),
        cascade: Cascade | None = None,
    ) -> None:
        for name, given, kind in (("model", model, ModelConfig), ("train", train, TrainConfig)):
            if given is not None and not isinstance(given, kind):
                raise ConfigError(f"{name} must be a {kind.__name__}, got {given!r}.")
        for what, specs in (("items", item_features), ("users", user_features), ("context", context_features)):
            check_specs(specs, what)
        self.config, self.train_config = model or ModelConfig(), train or TrainConfig()
        self.item_features, self.user_features = tuple(item_features), tuple(user_features)
        self.context_features = tuple(context_features)
        self.cascade = cascade or Cascade()
        self.curve: list[dict[str, float]] = []
        self.best_epoch: int | None = None
        self._model: FittedModel | None = None

    def fit(
        self,
        train: Log,
        *,
        items: Data | None = None,
        users: Data | None = None,
        valid: Log | None = None,
        trainer: Any = None,
        observers: Sequence[Observer] = (),
        checkpoint_dir: str | Path | None = None,
        resume: bool = False,
        warm_start: bool = False,
        refit: bool = False,
    ) -> Recommender:
        """Train; starts anew each time, unless `warm_start`.

        Args:
            train: Interactions to learn from.
            items: Attributes of items; its items join the catalog, those without training events as cold ones.
            users: Attributes of users.
            valid: Later interactions; early stopping and the best weights go by NDCG@10 on them.
            trainer: Any `lightning.Trainer`; its epochs count then, not `max_epochs`.
            observers: Told of settings, epochs and failures, e.g. the run of `recattn.track`.
            checkpoint_dir: Folder for checkpoints. Needed to resume.
            resume: Go on from the last checkpoint in `checkpoint_dir`, if it has one.
            warm_start: Start from the weights this model has; items it does not know start fresh.
            refit: Afterwards train anew on train + valid for the best number of epochs.

        Raises:
            DataError: The data breaks a rule of the door, or there is too little of it.
            ConfigError: Settings that do not fit together, or a checkpoint folder of another fit.
            TrainingError: The loss is not a number.
        """
        from recattn.training.session import Session

        session = Session(
            self.config,
            self.train_config,
            (self.item_features, self.user_features, self.context_features),
            trainer=trainer,
            observers=observers,
            checkpoint_dir=checkpoint_dir,
            resume=resume,
            warm_start=self._fitted() if warm_start else None,
        )
        result = session.run(
            self._log(train),
            valid=None if valid is None else self._log(valid),
            items=None if items is None else read_items(items),
            users=None if users is None else read_users(users),
            refit=refit,
        )
        self._model, self.curve, self.best_epoch = result.model, result.curve, result.best_epoch
        return self

    @property
    def items(self) -> ItemTable:
        """The catalog with its attributes."""
        return self._fitted().blueprint.table

    @property
    def scorer(self) -> Any:
        """The trained `recattn.nn.Scorer`."""
        return self._fitted().scorer

    def score(
        self,
        slate: Data,
        *,
        history: Log,
        users: Data | None = None,
        as_of: Any = None,
        stage: Stage | None = None,
        device: str | None = None,
        threads: int | None = None,
    ) -> pd.DataFrame:
        """The slate's rows, in order, with `score`, and `reason` where there is something to say.

        Args:
            slate: `user_id`, `item_id`, where known `request_id`, `timestamp` (the moment) and context columns.
            history: Interactions; a request sees those before its moment.
            users: Attributes of users, for models that use them.
            as_of: The moment of rows that name none; just after the end of the history by default.
            stage: Use a cheaper score: `retrieval` or `attention`.
            device: Where to score (`cpu`, `cuda`); the best weights stay where they are.
            threads: Torch threads on the CPU.

        Returns:
            `reason` is `unknown_item` beside a NaN score, `no_history` beside a score without any visible interaction.
            A calibrated model adds `probability` to its own (not to a cheaper) score.
        """
        frame = read_slate(slate, time=self.config.time)
        assembler, requests = self._slate_requests(frame, history, users, as_of)
        predictor = self._predictor(device, threads)
        scores = predictor.score(assembler, requests, stage=self._stage(stage))
        calibration = self._fitted().calibration if self._stage(stage) == self.config.score else None
        probabilities = None if calibration is None else calibration.probabilities(scores)
        return scores_frame(slate if isinstance(slate, pd.DataFrame) else frame, requests, scores, probabilities)

    def calibrate(self, slate: Data, *, history: Log, users: Data | None = None, as_of: Any = None) -> Recommender:
        """Learn how scores become probabilities (Platt scaling), from a slate with a `label` of 0 or 1.

        The labelled rows must not be what the model was trained on. From then on `score` adds `probability`; it is
        saved with the model, and a new `fit` forgets it.

        Raises:
            DataError: No `label`, labels other than 0 and 1, one kind of label only, or scores that contradict them.
        """
        frame = read_slate(slate, time=self.config.time)
        if LABEL not in frame:
            raise DataError(
                f"slate has no column 'label'; it has {listed(frame.columns, 20)}. Add 0 or 1 for each row."
            )
        assembler, requests = self._slate_requests(frame, history, users, as_of)
        scores = self._predictor(None, None).score(assembler, requests)
        assert requests.labels is not None
        self._model = replace(self._fitted(), calibration=Calibration.fit(scores, requests.labels))
        return self

    def recommend(
        self,
        users: Iterable[Any] | Data | None = None,
        *,
        history: Log,
        user_features: Data | None = None,
        k: int = 10,
        as_of: Any = None,
        exclude_seen: bool = True,
        candidates: Iterable[Any] | None = None,
        stage: Stage | None = None,
        device: str | None = None,
        threads: int | None = None,
    ) -> pd.DataFrame:
        """The best k items a request: `[request_id,] user_id, item_id, score, rank`.

        Args:
            users: User ids, or a frame of requests (`user_id`, where known `request_id`, `timestamp`, `position` and
                context columns, as `Split.requests` makes). None: every user of the history.
            history: Interactions; a request sees those before its moment.
            user_features: Attributes of users, for models that use them.
            k: Items a request; fewer where fewer may be recommended.
            as_of: The moment of requests that name none; just after the end of the history by default.
            exclude_seen: Whether items anywhere in the visible history are left out.
            candidates: Item ids to choose from; None: all recommendable items of the catalog.
            stage: Use a cheaper score.
            device: Where to score.
            threads: Torch threads on the CPU.

        Raises:
            DataError: No history, nobody in it of those asked about, or no candidate in the catalog.
            ConfigError: `k` below 1, a `stage` the model does not have, or an `as_of` where there are no times.

        Warns:
            DataWarning: `k` is more than there are items, or requests end up without any.
        """
        plan = self._fitted().blueprint
        check_k(k)
        codes = candidate_codes(candidates, plan.table)
        store = open_history(plan, history)
        requests, named = catalog_requests(store, users, as_of=moment_asked(as_of, store, users), ties=self.config.ties)
        tell_without_context(plan, requests)
        tell_short(k, len(codes))
        predictor, stage = self._predictor(device, threads), self._stage(stage)
        if by_pairs(self.scorer, stage) and self.cascade.used_for(len(self.items) - 1, stage):
            log.info(
                "the catalog has %s items: retrieval keeps %s, attention %s of them for the %s score",
                *(f"{n:,}" for n in (len(self.items) - 1, self.cascade.retrieval, self.cascade.attention)),
                stage,
            )
        best, scores = predictor.top_k(
            make_assembler(plan, store, user_features),
            requests,
            k,
            exclude_seen=exclude_seen,
            candidates=codes,
            stage=stage,
        )
        tell_empty(best)
        return recommendations_frame(requests, best, scores, plan.table.vocabulary, with_request_id=named)

    def explain(
        self, slate: Data, *, history: Log, users: Data | None = None, top: int = 3, as_of: Any = None
    ) -> pd.DataFrame:
        """What moved each score: for every slate row the `top` interactions whose masking changes it most.

        Returns:
            Columns `row` (place in the slate), `user_id`, `item_id`, `score`, `rank` (1 = largest change),
            `history_item_id`, `history_timestamp` (absent for an order-only model), `history_position` (visible
            interactions before it), `change`: the score minus the score with that interaction masked; positive where
            it helped. Rows without a score or history have none.
        """
        check_k(top, name="top")
        frame = read_slate(slate, time=self.config.time)
        assembler, requests = self._slate_requests(frame, history, users, as_of)
        return explanations(self._predictor(None, None), assembler, requests, frame, top)

    def parts(self, slate: Data, *, history: Log, users: Data | None = None, as_of: Any = None) -> pd.DataFrame:
        """What each score is the sum of, exactly: the `value`s of a slate row add up to its score.

        score = s_t . e_c (`state`) + (user + context) . e_c (`features`) + b_c (`bias`)
        + sum over heads h and interactions i of weight_hi (v_hi . U_h Norm e_c) (`attention`)
        + sum over tables of the transition memory of w log(1 + 1000 found_c) (`transitions`)
        + w . r^m (`deep`, which is not taken apart), each where the model has it.

        An interaction speaks through its state and may have shaped later states, and s_t: these parts say how the sum
        is made up, `explain` what would be missing without an interaction.

        Returns:
            Columns `row` (place in the slate), `user_id`, `item_id`, `score`, `term`, `head` and `table` (from 1),
            `history_item_id`, `history_timestamp` (absent for an order-only model), `weight` (of attention), `value`.
            The null pair of a head is an `attention` line without an item. Rows without a score have no line.
        """
        frame = read_slate(slate, time=self.config.time)
        assembler, requests = self._slate_requests(frame, history, users, as_of)
        return parts_frame(self._predictor(None, None), assembler, requests, frame)

    def similar_items(self, item_ids: Iterable[Any], k: int = 10) -> pd.DataFrame:
        """The k items whose embeddings point most the same way: `item_id, similar_item_id, score (cosine), rank`."""
        check_k(k)
        return similar(self._fitted(), ids_given(item_ids, "item_ids"), k)

    def save(self, path: str | Path, *, overwrite: bool = False) -> None:
        """Write the model as a folder (`recattn.inference.artifact`); users and histories are not in it."""
        save_model(self._fitted(), path, overwrite=overwrite)

    @classmethod
    def load(cls, path: str | Path) -> Recommender:
        """Read what `save` wrote.

        Raises:
            ArtifactError: No model there, a damaged one, or one of a newer format.
        """
        model = load_model(path)
        plan = model.blueprint
        recommender = cls(
            plan.config,
            plan.train,
            item_features=plan.table.fitted.specs,
            user_features=plan.users.specs,
            context_features=plan.context.specs,
        )
        recommender._model = model
        return recommender

    def settings(self) -> dict[str, Mapping[str, Any]]:
        """The configuration as plain values."""
        return {"model": to_dict(self.config), "train": to_dict(self.train_config)}

    def _fitted(self) -> FittedModel:
        if self._model is None:
            raise NotFittedError("this Recommender is not fitted yet. Call fit(train) or Recommender.load(path) first.")
        return self._model

    def _log(self, data: Log) -> pd.DataFrame | HistoryStore:
        return open_log(data, self.config.time)

    def _stage(self, stage: Stage | None) -> Stage:
        has = STAGES[: STAGES.index(self.config.score) + 1]
        if stage is not None and stage not in has:
            raise ConfigError(f"stage must be one of {', '.join(has)}, the scores this model has, got {stage!r}.")
        return stage or self.config.score

    def _slate_requests(
        self, frame: pd.DataFrame, history: Log, users: Data | None, as_of: Any
    ) -> tuple[Assembler, Requests]:
        plan = self._fitted().blueprint
        check_items(frame[ITEM], "slate", plan.table.vocabulary)
        store = open_history(plan, history)
        requests = make_slate_requests(
            store,
            frame,
            as_of=moment_asked(as_of, store, frame),
            ties=self.config.ties,
            context=[spec.column for spec in plan.context.specs],
        )
        check_known(requests, store)
        tell_without_context(plan, requests)
        return make_assembler(plan, store, users), requests

    def _predictor(self, device: str | None, threads: int | None) -> Predictor:
        model = self._fitted()
        return Predictor(model.scorer, model.blueprint.table, device=device, threads=threads, cascade=self.cascade)
