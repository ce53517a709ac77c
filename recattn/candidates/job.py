"""Candidates, filters, scores, lists: a whole two-stage job."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from recattn.batching.assemble import Assembler
from recattn.candidates.asked import Asked, Users
from recattn.candidates.base import (
    CandidateFilter,
    CandidateGenerator,
    Job,
    PostProcessor,
    bound,
    check_part,
    check_parts,
)
from recattn.candidates.filters import mask_of
from recattn.candidates.frames import SOURCE, positions, read_candidates
from recattn.candidates.policies import Availability, Seen
from recattn.config import Stage
from recattn.dataset.doors import History, check_known
from recattn.errors import ConfigError, DataError
from recattn.inference.doors import make_assembler, open_history, tell_without_context
from recattn.inference.predictor import Predictor
from recattn.recommender import Recommender
from recattn.schema import DataWarning, check_k, check_same_kind
from recattn.schema.columns import ITEM, RANK, SCORE

log = logging.getLogger("recattn")

_PAIRS = 1_000_000  # candidates at a time


def two_stage(
    model: Recommender,
    generator: CandidateGenerator,
    requests: Users = None,
    *,
    history: History,
    k: int = 10,
    candidates: int = 500,
    filters: Sequence[CandidateFilter] = (),
    post: Sequence[PostProcessor] = (),
    exclude_seen: bool = True,
    stage: Stage | None = None,
    user_features: Any = None,
    as_of: Any = None,
    device: str | None = None,
    threads: int | None = None,
) -> pd.DataFrame:
    """The best `k` of what a generator finds: `[request_id,] user_id, item_id, score, rank, source`.

    Candidates pass the filters, are scored by the model, ranked (equal scores in catalog order), and go through the
    post-processors in their order; the last of these, or the ranking, is cut to `k`. Items that are not yet available
    by the model's own catalog are left out as in `recommend`. Requests are worked on some at a time, so that memory
    follows `candidates`, not the number of requests; the result does not depend on it.

    Args:
        model: A fitted Recommender: it ranks, and lends its retrieval score and its item embeddings to parts that have
            no model of their own.
        generator: Finds candidates.
        requests: User ids, or a frame of requests, as for `recommend`. None: every user of the history.
        history: Interactions; a request sees those before its moment.
        k: Items a request; fewer where fewer are left.
        candidates: What the generator is asked for, a request.
        filters: Which candidates may be scored.
        post: What becomes of the ranked lists.
        exclude_seen: Whether items anywhere in the visible history are left out, whoever finds them.
        stage: Rank by a cheaper score than the model's own.
        user_features: Attributes of users, for models that use them.
        as_of: The moment of requests that name none; just after the end of the history by default.
        device: Where to score.
        threads: Torch threads on the CPU.

    Raises:
        ConfigError: A part without the method it needs, `k` or `candidates` below 1, a stage the model does not have.
        DataError: No history, nobody in it of those asked about, a generator's frame without a column it needs, or no
            candidate for anybody.

    Warns:
        DataWarning: Candidates the model does not know, or requests that end up without any.
    """
    if not isinstance(model, Recommender):
        raise ConfigError(f"model must be a fitted Recommender, got {model!r}.")
    check_part(generator, CandidateGenerator, "generator")
    for name, parts, face in (("filters", filters, CandidateFilter), ("post", post, PostProcessor)):
        check_parts(parts, face, name)
    check_k(k)
    check_k(candidates, name="candidates")
    plan = model._fitted().blueprint
    stage = model._stage(stage)
    store = open_history(plan, history)
    asked = Asked.of(requests, history=store, as_of=as_of, ties=plan.config.ties)
    check_known(asked.requests, store)
    tell_without_context(plan, asked.requests)
    job = Job(asked, plan.table.vocabulary, model, exclude_seen)
    available = Availability.of(plan.table) if asked.requests.as_of is not None else None
    rules = [*([Seen()] if exclude_seen else []), *([available] if available else []), *filters]
    first = _First(
        bound(generator, job),
        [bound(rule, job) for rule in rules],
        make_assembler(plan, store, user_features),
        candidates,
    )
    predictor = model._predictor(device, threads)
    steps = [bound(part, job) for part in post]
    if not len(asked):
        return first.scored(asked, predictor, stage)
    found = []
    for part in _chunks(asked, candidates):
        frame = first.scored(part, predictor, stage)
        for place, step in enumerate(steps):
            frame = step.apply(frame, k if place == len(steps) - 1 else None) if len(frame) else frame
        found.append(frame[frame[RANK] <= k])
    first.tell()
    result = pd.concat([part for part in found if len(part)] or found[:1], ignore_index=True)
    _tell_empty(asked, result)
    return result


class _First:
    """The way from requests to scored candidates, with a count of what was lost on it."""

    def __init__(
        self, generator: CandidateGenerator, filters: Sequence[CandidateFilter], assembler: Assembler, candidates: int
    ) -> None:
        self.generator, self.filters, self.assembler, self.size = generator, filters, assembler, candidates
        self.found = self.unknown = 0
        self.dropped = [0] * len(filters)

    def scored(self, asked: Asked, predictor: Predictor, stage: Stage) -> pd.DataFrame:
        """All candidates that may stay, by request, then rank."""
        frame, places, codes = self._candidates(asked)
        requests = replace(
            asked.requests,
            offsets=np.concatenate([[0], np.cumsum(np.bincount(places, minlength=len(asked)))]).astype(np.int64),
            candidates=codes.astype(np.int32),
            rows=np.arange(len(codes), dtype=np.int64),
        )
        scores = predictor.score(self.assembler, requests, stage=stage)
        order = np.lexsort((codes, -scores, places))
        columns = {SCORE: scores[order], RANK: positions(places[order]) + 1}
        frame = frame[[*asked.names, ITEM, SOURCE]].take(order).reset_index(drop=True)
        return frame.assign(**columns)[[*asked.names, ITEM, SCORE, RANK, SOURCE]]

    def _candidates(self, asked: Asked) -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
        """Candidates by request, the request and the item code of each, int64 [n]."""
        found = self.generator.candidates(asked.frame, history=asked.store, k=self.size)
        frame, places = read_candidates(found, asked, repr(self.generator))
        known = asked.store.item_vocabulary
        check_same_kind(
            frame[ITEM].head(1), f"the frame of {self.generator!r}", pd.Series(known.ids[:1]), "the model", ITEM
        )
        self.found += len(frame)
        codes = known.encode(frame[ITEM]).astype(np.int64)
        self.unknown += int((codes < 0).sum())
        frame, places, codes = frame[codes > 0], places[codes > 0], codes[codes > 0]
        for number, part in enumerate(self.filters):
            mask = mask_of(part, frame, asked)
            self.dropped[number] += int((~mask).sum())
            frame, places, codes = frame[mask], places[mask], codes[mask]
        return frame, places, codes

    def tell(self) -> None:
        """What became of the candidates: an error where there are none, a warning where the model does not know some,
        and in the log what each filter took.
        """
        if not self.found:
            raise DataError(
                f"{self.generator!r} found no candidate for anybody who was asked about. Look at its settings and at "
                "the history, or add another generator in a Union."
            )
        for part, dropped in zip(self.filters, self.dropped, strict=True):
            if dropped:
                log.info("%s leaves out %s of %s candidates", type(part).__name__, f"{dropped:,}", f"{self.found:,}")
        if self.unknown:
            warnings.warn(
                f"{self.unknown:,} of {self.found:,} candidates are items the model does not know, left out.",
                DataWarning,
                stacklevel=4,
            )


def _chunks(asked: Asked, candidates: int) -> Iterator[Asked]:
    step = max(1, _PAIRS // candidates)
    for start in range(0, len(asked), step):
        yield asked.take(np.arange(start, min(start + step, len(asked))))


def _tell_empty(asked: Asked, result: pd.DataFrame) -> None:
    served = np.unique(asked.places(result)) if len(result) else np.empty(0)
    empty = len(asked) - len(served)
    if empty:
        warnings.warn(
            f"{empty:,} of {len(asked):,} requests have no recommendation: nothing was found for them, or the filters "
            "left nothing. A Union with another generator, such as Popular(), finds more.",
            DataWarning,
            stacklevel=3,
        )
