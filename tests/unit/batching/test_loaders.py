"""Tests of the order in which windows and requests are batched."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor

from recattn.batching.assemble import Assembler
from recattn.batching.batch import TruthBatch, WindowBatch
from recattn.batching.loaders import TruthBatches, WindowBatches, bucketed_batches, share, whole_batches
from recattn.config import ModelConfig, TrainConfig
from recattn.dataset.history import HistoryStore
from recattn.dataset.negatives import NegativeSampler
from recattn.dataset.requests import make_requests
from recattn.dataset.vocabulary import Vocabulary
from recattn.dataset.windows import make_windows

CONFIG = ModelConfig(max_history=4, use_weights=True)


@pytest.fixture
def build(scene: Any) -> Callable[..., WindowBatches]:
    def make(seed: int = 1, batch_size: int = 2, **share: int) -> WindowBatches:
        train = TrainConfig(batch_size=batch_size, seed=seed, num_negatives=5, head_positions=2)
        windows = make_windows(scene.store, 4)
        return WindowBatches(scene.assembler(CONFIG), windows, train, NegativeSampler(np.ones(15), 0), **share)

    return make


@pytest.fixture
def truths(scene: Any) -> Callable[..., TruthBatches]:
    def make(**how: Any) -> TruthBatches:
        requests = make_requests(scene.store, as_of=1_701_000_000)
        truth, offsets = np.arange(1, 10), np.array([0, 1, 1, 4, 6, 8, 9])
        return TruthBatches(scene.assembler(CONFIG), requests, truth, offsets, 2, **how)

    return make


def flat(batch: Any) -> list[Tensor]:
    if isinstance(batch, Tensor):
        return [batch.nan_to_num(nan=-7.0)]
    return [tensor for part in batch for tensor in flat(part)] if isinstance(batch, tuple) else []


def same(one: Any, other: Any) -> bool:
    return len(flat(one)) == len(flat(other)) and all(map(torch.equal, flat(one), flat(other)))


def targets(batches: list[WindowBatch]) -> list[tuple[int, ...]]:
    """The targets of every window, sorted."""
    return sorted(tuple(row[row > 0].tolist()) for batch in batches for row in batch.targets)


def test_bucketed_batches_hold_every_row_once_in_batches_of_the_size() -> None:
    lengths = np.random.default_rng(0).integers(1, 200, size=1003)
    batches = bucketed_batches(lengths, 8, seed=3, epoch=2)
    assert sorted(np.concatenate(batches)) == list(range(1003))
    assert sorted({len(batch) for batch in batches}) == [3, 8]


def test_bucketed_batches_hold_rows_of_similar_length_in_random_order() -> None:
    lengths = np.random.default_rng(0).integers(1, 200, size=4000)
    batches = bucketed_batches(lengths, 8, seed=3, epoch=2)
    spread = np.mean([np.ptp(lengths[batch]) for batch in batches])
    assert spread < 10
    means = np.array([lengths[batch].mean() for batch in batches])
    assert abs(np.corrcoef(means, np.arange(len(means)))[0, 1]) < 0.15


def test_bucketed_batches_are_a_pure_function_of_seed_and_epoch() -> None:
    lengths = np.arange(40) % 7

    def order(seed: int, epoch: int) -> list[list[int]]:
        return [batch.tolist() for batch in bucketed_batches(lengths, 4, seed=seed, epoch=epoch)]

    assert order(1, 1) == order(1, 1)
    assert order(1, 1) != order(1, 2)
    assert order(1, 1) != order(2, 1)


def test_no_rows_are_no_batches() -> None:
    assert bucketed_batches(np.empty(0, np.int64), 4, seed=0, epoch=0) == []


def test_a_window_batch_is_a_pure_function_of_seed_epoch_step_and_rank(build: Callable[..., WindowBatches]) -> None:
    one, other = build(), build()
    assert [same(one[step], other[step]) for step in range(len(one))] == [True] * len(one)
    assert same(one[2], one[2])
    other.set_epoch(5)
    assert not all(same(one[step], other[step]) for step in range(len(one)))
    other.set_epoch(0)  # back to it: nothing was used up
    assert same(one[1], other[1])
    assert not same(one[1], build(seed=2)[1])


def test_epochs_draw_other_negatives_for_the_same_windows(build: Callable[..., WindowBatches]) -> None:
    batches = build(batch_size=99)
    first = batches[0]
    batches.set_epoch(1)
    second = batches[0]
    assert targets([first]) == targets([second])
    assert not torch.equal(first.candidates, second.candidates)


def test_an_epoch_trains_every_window_once(build: Callable[..., WindowBatches], scene: Any) -> None:
    batches = build()
    assert len(batches) == 7
    every = list(batches)
    assert sum(int((batch.targets > 0).sum()) for batch in every) == len(scene.store)
    assert targets(every) == targets([build(batch_size=99)[0]])


@pytest.mark.parametrize("world_size", [2, 3, 7, 40])
def test_ranks_train_every_window_once_and_all_the_same_number_of_steps(
    world_size: int, build: Callable[..., WindowBatches]
) -> None:
    ranks = [build(rank=rank, world_size=world_size) for rank in range(world_size)]
    (steps,) = {len(batches) for batches in ranks}
    shared = [rank[step] for rank in ranks for step in range(steps) if not rank.spare(step)]
    assert targets(shared) == targets([build(batch_size=99)[0]])
    assert all(len(rank[step].targets) for rank in ranks for step in range(steps))


def test_a_rank_reads_one_part_of_the_store(build: Callable[..., WindowBatches], scene: Any) -> None:
    """What the others read is spoilt for each: its batches stay as they are."""
    for rank in range(3):
        batches = build(rank=rank, world_size=3)
        mine = share(len(batches.windows), rank, 3)
        begin, end = batches.windows.starts[mine.start], batches.windows.stops[mine.stop - 1]
        others = np.ones(len(scene.store), bool)
        others[begin:end] = False
        assert others.sum() >= len(scene.store) // 3
        spoilt = build(rank=rank, world_size=3)
        store = replace(scene.store, items=np.where(others, 1, scene.store.items).astype(np.int32))
        spoilt.assembler = replace(spoilt.assembler, store=store)
        for epoch in range(3):
            batches.set_epoch(epoch)
            spoilt.set_epoch(epoch)
            assert all(batches.spare(s) or same(batches[s], spoilt[s]) for s in range(len(batches)))


def test_shares_are_contiguous_and_all_but_even() -> None:
    for count in (0, 1, 5, 64, 101):
        shares = [share(count, rank, 7) for rank in range(7)]
        assert [row for part in shares for row in part] == list(range(count))
        assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_ranks_draw_their_own_negatives(build: Callable[..., WindowBatches]) -> None:
    first, second = (build(rank=rank, world_size=2)[0] for rank in range(2))
    assert not torch.equal(first.candidates, second.candidates)


@pytest.mark.parametrize("num_workers", [1, 2])
def test_workers_give_the_batches_in_the_same_order(num_workers: int, build: Callable[..., WindowBatches]) -> None:
    batches = build()
    batches.set_epoch(3)
    loaded = list(whole_batches(batches, num_workers=num_workers))
    assert len(loaded) == len(batches)
    assert all(same(one, batches[step]) for step, one in enumerate(loaded))
    assert type(loaded[0]) is WindowBatch


def test_truth_batches_hold_every_request_with_its_answers(truths: Callable[..., TruthBatches], scene: Any) -> None:
    batches = list(truths())
    assert [len(batch.truth) for batch in batches] == [2, 2, 2]
    lengths = torch.cat([batch.requests.history.mask.sum(dim=1) for batch in batches])
    assert lengths.tolist() == sorted(lengths.tolist())
    answers = sorted(tuple(row[row > 0].tolist()) for batch in batches for row in batch.truth)
    assert answers == [(), (1,), (2, 3, 4), (5, 6), (7, 8), (9,)]
    requests = make_requests(scene.store, as_of=1_701_000_000)
    whole = scene.assembler(CONFIG).truths(
        requests, np.arange(1, 10), np.array([0, 1, 1, 4, 6, 8, 9]), exclude_seen=True
    )
    pairs = {tuple(row[row > 0].tolist()): set(seen[seen > 0].tolist()) for row, seen in rows(whole)}
    assert {
        tuple(row[row > 0].tolist()): set(seen[seen > 0].tolist()) for b in batches for row, seen in rows(b)
    } == pairs


def rows(batch: TruthBatch) -> list[tuple[Tensor, Tensor]]:
    return list(zip(batch.truth, batch.seen, strict=True))


def test_truth_batches_may_leave_seen_items_in(truths: Callable[..., TruthBatches]) -> None:
    assert all(batch.seen.shape[1] == 0 for batch in truths(exclude_seen=False))


@pytest.mark.parametrize("world_size", [2, 4])
def test_ranks_partition_the_truth_batches(world_size: int, truths: Callable[..., TruthBatches]) -> None:
    ranks = [truths(rank=rank, world_size=world_size) for rank in range(world_size)]
    alone = truths()
    assert [rank.spare for rank in ranks] == [rank >= len(alone) for rank in range(world_size)]
    assert all(len(rank) > 0 for rank in ranks)
    every = [(rank, step) for rank in ranks for step in range(len(rank)) if not rank.spare]
    assert sorted(rank.place(step) for rank, step in every) == [0, 2, 4]
    assert all(same(rank[step], alone[rank.place(step) // 2]) for rank, step in every)


def test_truth_batches_come_in_order_from_workers(truths: Callable[..., TruthBatches]) -> None:
    batches = truths()
    loaded = list(whole_batches(batches, num_workers=2))
    assert [same(one, batches[step]) for step, one in enumerate(loaded)] == [True, True, True]


def test_an_empty_store_has_no_batches() -> None:
    frame = pd.DataFrame({"user_id": [], "item_id": [], "timestamp": []})
    store = HistoryStore.from_frame(frame, Vocabulary("item_id", ["a"]))
    assembler = Assembler(store, CONFIG)
    batches = WindowBatches(assembler, make_windows(store, 4), TrainConfig(), NegativeSampler(np.ones(2), 0))
    assert (len(batches), list(batches)) == (0, [])
    assert list(TruthBatches(assembler, make_requests(store), np.empty(0, int), np.zeros(1, int), 4)) == []
