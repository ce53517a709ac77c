"""Tests of the one builder of batches."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor

from recattn.batching.assemble import Assembler
from recattn.batching.batch import HistoryBatch, RequestBatch, WindowBatch
from recattn.config import ModelConfig, TrainConfig
from recattn.dataset.history import HistoryStore
from recattn.dataset.negatives import NegativeSampler
from recattn.dataset.requests import make_requests, make_slate_requests
from recattn.dataset.vocabulary import Vocabulary
from recattn.dataset.windows import Windows, make_windows

CONFIG = ModelConfig(dim=4, max_history=5, use_weights=True)
TRAIN = TrainConfig(num_negatives=6, head_positions=3)
SAMPLER = NegativeSampler(np.arange(15), 0.5)
USERS = [f"u{number}" for number in range(6)]


def tensors(batch: Any) -> list[Tensor]:
    """All tensors of a batch, in a fixed order."""
    if isinstance(batch, Tensor):
        return [batch]
    return [tensor for part in batch or () for tensor in tensors(part)] if isinstance(batch, tuple) else []


def assert_same(one: Any, other: Any) -> None:
    """Equal bit for bit, NaN counted as equal."""
    assert len(tensors(one)) == len(tensors(other))
    for left, right in zip(tensors(one), tensors(other), strict=True):
        assert left.dtype == right.dtype
        assert torch.equal(left.nan_to_num(nan=-7.0), right.nan_to_num(nan=-7.0))


def windows_batch(assembler: Assembler, windows: Windows, train: TrainConfig = TRAIN, seed: int = 0) -> WindowBatch:
    return assembler.windows(windows, np.arange(len(windows)), train, SAMPLER, np.random.default_rng(seed))


def tiny(
    users: str = "xxxxyy", items: str = "abcdeb", times: tuple[int, ...] = (10, 20, 20, 30, 20, 50)
) -> HistoryStore:
    frame = pd.DataFrame({"user_id": list(users), "item_id": list(items), "timestamp": times})
    return HistoryStore.from_frame(frame, Vocabulary("item_id", list("abcdef")))


def test_a_request_holds_the_most_recent_of_what_it_may_see_padded_right() -> None:
    store = tiny()
    batch = Assembler(store, ModelConfig(max_history=2)).requests(make_requests(store, ["x", "y", "none"], as_of=30))
    assert batch.history.items.tolist() == [[2, 3], [5, 0], [0, 0]]
    assert batch.history.mask.tolist() == [[True, True], [True, False], [False, False]]
    assert batch.history.times is not None
    assert batch.history.times.tolist() == [[20, 20], [20, 0], [0, 0]]
    assert batch.history.items.dtype == batch.history.times.dtype == torch.int64
    assert (batch.history.behaviours, batch.history.weights, batch.user, batch.context) == (None, None, None, None)
    assert (batch.candidates, batch.candidate_mask) == (None, None)


def test_events_and_weights_come_with_their_interactions_where_the_model_uses_them(scene: Any) -> None:
    requests = make_requests(scene.store, USERS)
    history = scene.assembler(CONFIG).requests(requests).history
    assert history.behaviours is not None
    assert history.weights is not None
    for row, (start, stop) in enumerate(zip(requests.starts, requests.stops, strict=True)):
        rows = np.arange(max(start, stop - 5), stop)
        real = history.mask[row]
        assert int(real.sum()) == len(rows)
        assert history.items[row, real].tolist() == scene.store.items[rows].tolist()
        assert history.behaviours[row, real].tolist() == scene.store.behaviours[rows].tolist()
        np.testing.assert_array_equal(history.weights[row, real], scene.store.weights[rows])
        assert not history.behaviours[row, ~real].any()
        assert history.weights[row, ~real].isnan().all()
    plain = scene.assembler(ModelConfig(use_events=False)).requests(requests).history
    assert (plain.behaviours, plain.weights) == (None, None)


def test_ages_count_from_the_last_event_seen_when_the_moment_is_hidden_else_from_the_moment() -> None:
    store = tiny()
    requests = make_requests(store, ["x", "y", "none"], as_of=45)
    hidden = Assembler(store, ModelConfig()).requests(requests).query_times
    assert hidden is not None
    assert hidden.tolist() == [30, 20, 0]
    given = Assembler(store, ModelConfig(request_time="given")).requests(requests).query_times
    assert given is not None
    assert given.tolist() == [45, 45, 45]
    given += 1
    assert requests.as_of is not None
    assert requests.as_of.tolist() == [45, 45, 45]


def test_an_order_only_batch_has_no_times() -> None:
    frame = pd.DataFrame({"user_id": list("xxx"), "item_id": list("abc"), "timestamp": range(3)})
    store = HistoryStore.from_frame(frame, Vocabulary("item_id", list("abc")), time="order")
    assembler = Assembler(store, ModelConfig(time="order"))
    batch = assembler.requests(make_requests(store))
    assert (batch.history.times, batch.query_times) == (None, None)
    window = windows_batch(assembler, make_windows(store, 5))
    assert (window.history.times, window.query_times) == (None, None)
    assert window.prefix_ends.tolist() == [[0, 1, 2]]


def test_candidates_are_padded_and_masked_and_unknown_ones_are_padding() -> None:
    store = tiny()
    slate = pd.DataFrame({"user_id": list("zxxxy"), "item_id": ["??", "f", "??", "a", "b"]})
    batch = Assembler(store, ModelConfig()).requests(make_slate_requests(store, slate))
    assert batch.candidates is not None
    assert batch.candidates.tolist() == [[0, 0, 0], [6, 0, 1], [2, 0, 0]]
    assert batch.candidate_mask is not None
    assert batch.candidate_mask.tolist() == [[False, False, False], [True, False, True], [True, False, False]]
    without = Assembler(store, ModelConfig()).requests(make_slate_requests(store, slate), with_candidates=False)
    assert (without.candidates, without.candidate_mask) == (None, None)


def test_user_features_are_missing_for_users_without_attributes(scene: Any) -> None:
    user = scene.assembler(CONFIG).requests(make_requests(scene.store, ["u1", "u5", "nobody", "u3"])).user
    assert user is not None
    assert user.numeric[:, 1].tolist() == [0, 1, 1, 1]
    assert user.numeric[0, 0] != 0
    assert not user.numeric[1:, 0].any()


def test_context_comes_from_the_request_and_is_missing_where_it_has_none(scene: Any) -> None:
    frame = pd.DataFrame({"user_id": ["u1", "u0"], "device": ["desk", "fridge"], "hour": [5.0, np.nan]})
    context = scene.assembler(CONFIG).requests(make_requests(scene.store, frame)).context
    assert context is not None
    assert context.categorical[:, 0].tolist() == [2 + scene.context.features[0].values.index("desk"), 1]
    assert context.numeric[:, 1].tolist() == [0, 1]
    missing = scene.assembler(CONFIG).requests(make_requests(scene.store, ["u1"])).context
    assert missing is not None
    assert (missing.categorical.tolist(), missing.numeric.tolist()) == ([[0]], [[0, 1]])


def test_a_batch_over_an_empty_store_is_all_padding() -> None:
    store = tiny("", "", ())
    batch = Assembler(store, ModelConfig()).requests(make_requests(store, ["x", "y"]))
    assert batch.history.items.tolist() == [[0], [0]]
    assert not batch.history.mask.any()
    assert batch.query_times is not None
    assert batch.query_times.tolist() == [0, 0]


def test_a_batch_without_requests_is_empty(scene: Any) -> None:
    batch = scene.assembler(CONFIG).requests(make_requests(scene.store, []))
    assert len(batch.history.items) == 0


def test_other_requests_in_the_batch_change_only_the_padding(scene: Any) -> None:
    assembler, requests = scene.assembler(CONFIG), make_requests(scene.store, USERS, as_of=1_701_000_000)
    whole = assembler.requests(requests)
    for row in range(len(requests)):
        alone = assembler.requests(requests.take(np.array([row])))
        width = alone.history.items.shape[1]
        for one, many in zip(alone.history, whole.history, strict=True):
            assert torch.equal(one[0].nan_to_num(nan=-7.0), many[row, :width].nan_to_num(nan=-7.0))
        assert not whole.history.mask[row, width:].any()
        assert alone.query_times is not None
        assert whole.query_times is not None
        assert alone.query_times[0] == whole.query_times[row]


def changed_from(log: pd.DataFrame, moment: int) -> list[pd.DataFrame]:
    """The log with everything at or after the moment changed: other values, other order, gone, more."""
    later = log["timestamp"] >= moment
    other = log.assign(
        item_id=log["item_id"].where(~later, "i13"),
        event_type=log["event_type"].where(~later, "view"),
        weight=log["weight"].where(~later, 9).astype(np.float32),
        device=log["device"].where(~later, "phone"),
        hour=log["hour"].where(~later, 3.0),
        timestamp=log["timestamp"].where(~later, moment),
    )
    return [other, pd.concat([log[~later], log[later][::-1]]), log[~later], pd.concat([log, log[later]])]


@pytest.mark.parametrize("request_time", ["hidden", "given"])
@pytest.mark.parametrize("moment", [5, 12, 20, 30])
def test_whatever_happens_at_or_after_the_moment_a_request_batch_is_equal_bit_for_bit(
    moment: int, request_time: Any, build_log: Callable[..., pd.DataFrame], build_scene: Callable[..., Any]
) -> None:
    log, config = build_log(seed=4), ModelConfig(max_history=5, use_weights=True, request_time=request_time)
    as_of = int(log["timestamp"].sort_values().iloc[moment])

    def batch(frame: pd.DataFrame) -> RequestBatch:
        store = build_scene(frame).store
        slate = pd.DataFrame(
            {"user_id": np.repeat(USERS, 2), "item_id": ["i1", "i13"] * 6, "hour": 4.0, "device": "desk"}
        )
        requests = make_slate_requests(store, slate, as_of=as_of)
        scene = build_scene(log)  # tables were made once, on training rows
        return Assembler(store, config, scene.users, scene.context).requests(requests)

    expected = batch(log)
    assert expected.history.mask.any()
    for other in changed_from(log, as_of):
        assert_same(batch(other.reset_index(drop=True)), expected)


def test_a_seen_item_is_seen_however_long_ago_but_not_at_the_moment() -> None:
    store = tiny("xxxxxy", "abcadf", (1, 2, 3, 4, 5, 9))
    seen = Assembler(store, ModelConfig(max_history=1)).seen(make_requests(store, ["x", "y", "none"], as_of=5))
    assert seen.tolist() == [[1, 2, 3, 1], [0, 0, 0, 0], [0, 0, 0, 0]]


def test_truths_hold_padded_answers_unknown_ones_among_them_and_what_was_seen() -> None:
    store = tiny()
    requests = make_requests(store, ["x", "y"], as_of=25)
    truth, offsets = np.array([4, -1, 6]), np.array([0, 1, 3])
    batch = Assembler(store, ModelConfig()).truths(requests, truth, offsets, exclude_seen=True)
    assert batch.truth.tolist() == [[4, 0], [-1, 6]]
    assert batch.seen.tolist() == [[1, 2, 3], [5, 0, 0]]
    assert batch.requests.candidates is None
    kept = Assembler(store, ModelConfig()).truths(requests, truth, offsets, exclude_seen=False)
    assert kept.seen.shape == (2, 0)


def test_window_excludes_interactions_at_the_request_moment() -> None:
    store = tiny()
    batch = windows_batch(Assembler(store, ModelConfig()), make_windows(store, 5))
    assert batch.targets.tolist() == [[1, 2, 3, 4], [5, 2, 0, 0]]
    assert batch.history.items.tolist() == [[1, 2, 3], [5, 0, 0]]
    assert batch.prefix_ends.tolist()[0] == [0, 1, 1, 3]
    assert batch.prefix_ends.tolist()[1][:2] == [0, 1]
    assert batch.query_times is not None
    assert batch.query_times[0].tolist() == [0, 10, 10, 20]


def test_window_lets_simultaneous_interactions_see_each_other_in_order_when_told() -> None:
    store = tiny()
    batch = windows_batch(Assembler(store, ModelConfig()), make_windows(store, 5, ties="order"))
    assert batch.prefix_ends.tolist()[0] == [0, 1, 2, 3]
    assert batch.query_times is not None
    assert batch.query_times[0].tolist() == [0, 10, 20, 20]


def test_given_moments_of_a_window_are_those_of_its_targets() -> None:
    store = tiny()
    batch = windows_batch(Assembler(store, ModelConfig(request_time="given")), make_windows(store, 5))
    assert batch.query_times is not None
    assert batch.query_times[0].tolist() == [10, 20, 20, 30]
    assert batch.query_times[1, :2].tolist() == [20, 50]


@pytest.mark.parametrize("request_time", ["hidden", "given"])
@pytest.mark.parametrize("ties", ["exclude", "order"])
def test_every_position_of_a_window_sees_what_a_request_at_that_moment_sees(
    ties: Any, request_time: Any, scene: Any
) -> None:
    config = ModelConfig(max_history=20, use_weights=True, request_time=request_time)
    assembler, store = scene.assembler(config), scene.store
    windows = make_windows(store, 20, ties=ties)
    batch = windows_batch(assembler, windows)
    for row, position in torch.nonzero(batch.targets).tolist():
        target = windows.starts[row] + position
        user = store.users[windows.users[row]]
        frame = pd.DataFrame({"user_id": [user], "timestamp": [store.times[target]], "position": [position]})
        frame = frame.assign(**{name: values[[target]] for name, values in store.extras.items()})
        alone = assembler.requests(make_requests(store, frame, ties=ties))
        end = int(batch.prefix_ends[row, position])
        assert int(alone.history.mask.sum()) == end
        assert alone.history.items[0][alone.history.mask[0]].tolist() == batch.history.items[row, :end].tolist()
        assert alone.query_times is not None
        assert batch.query_times is not None
        assert alone.query_times[0] == batch.query_times[row, position]
        assert alone.context is not None
        assert batch.context is not None
        cell = row * batch.targets.shape[1] + position
        assert torch.equal(alone.context.categorical[0], batch.context.categorical[cell])
        assert torch.equal(alone.context.numeric[0], batch.context.numeric[cell])
        assert int(batch.targets[row, position]) == store.items[target]


def test_rows_before_loss_from_and_padding_are_no_targets(scene: Any) -> None:
    windows = make_windows(scene.store, 4, overlap=0.5)
    batch = windows_batch(scene.assembler(CONFIG), windows)
    for row in range(len(windows)):
        context, length = windows.loss_from[row] - windows.starts[row], windows.lengths[row]
        assert not batch.targets[row, :context].any()
        assert (batch.targets[row, context:length] > 0).all()
        assert not batch.targets[row, length:].any()
    assert int((batch.targets > 0).sum()) == len(scene.store)
    assert (batch.prefix_ends <= batch.history.items.shape[1]).all()


def test_a_window_of_one_interaction_has_a_target_without_history() -> None:
    store = tiny("x", "a", (10,))
    batch = windows_batch(Assembler(store, ModelConfig()), make_windows(store, 5))
    assert (batch.targets.tolist(), batch.prefix_ends.tolist()) == ([[1]], [[0]])
    assert (batch.history.items.tolist(), batch.history.mask.tolist()) == ([[0]], [[False]])


def test_the_context_of_places_without_an_interaction_is_missing(scene: Any) -> None:
    windows = make_windows(scene.store, 4)
    batch = windows_batch(scene.assembler(CONFIG), windows)
    real = (torch.arange(batch.targets.shape[1]) < torch.from_numpy(windows.lengths)[:, None]).flatten()
    assert batch.context is not None
    assert not batch.context.categorical[~real].any()
    assert (batch.context.categorical[real] > 0).all()
    assert (batch.context.numeric[~real] == torch.tensor([0.0, 1])).all()


def test_user_attributes_of_a_window_are_those_of_its_user(scene: Any) -> None:
    windows = make_windows(scene.store, 4)
    batch = windows_batch(scene.assembler(CONFIG), windows)
    alone = scene.assembler(CONFIG).requests(make_requests(scene.store, scene.store.users[windows.users]))
    assert_same(batch.user, alone.user)


def test_head_positions_are_distinct_targets_at_most_as_many_as_asked(scene: Any) -> None:
    assembler, windows = scene.assembler(CONFIG), make_windows(scene.store, 4)
    batch = windows_batch(assembler, windows)
    pairs = list(zip(batch.head_rows.tolist(), batch.head_positions.tolist(), strict=True))
    assert len(set(pairs)) == len(pairs)
    assert all(batch.targets[row, position] > 0 for row, position in pairs)
    counts = np.bincount(batch.head_rows, minlength=len(windows))
    assert counts.tolist() == torch.clamp((batch.targets > 0).sum(dim=1), max=3).tolist()
    everything = windows_batch(assembler, windows, TrainConfig(head_positions=99, num_negatives=1))
    assert len(everything.head_rows) == int((batch.targets > 0).sum())


def test_head_positions_reach_every_target_in_time(scene: Any) -> None:
    assembler, windows = scene.assembler(CONFIG), make_windows(scene.store, 4)
    one = TrainConfig(head_positions=1, num_negatives=1)
    drawn: set[tuple[int, int]] = set()
    for seed in range(60):
        batch = windows_batch(assembler, windows, one, seed)
        drawn |= set(zip(batch.head_rows.tolist(), batch.head_positions.tolist(), strict=True))
    assert drawn == set(map(tuple, torch.nonzero(batch.targets).tolist()))


def test_negatives_are_shared_distinct_and_come_with_the_log_of_their_chance(scene: Any) -> None:
    batch = windows_batch(scene.assembler(CONFIG), make_windows(scene.store, 4))
    codes = batch.candidates.tolist()
    assert 1 < len(codes) <= 6
    assert codes == sorted(set(codes))
    assert codes[0] > 0
    share = np.exp(SAMPLER.log_prob(batch.candidates.numpy()).astype(np.float64))
    np.testing.assert_allclose(np.exp(batch.candidate_log_counts.numpy()), 1 - (1 - share) ** 6, rtol=1e-5)
    assert batch.candidates.dtype == torch.int64
    assert batch.candidate_log_counts.dtype == torch.float32


def test_a_small_catalog_is_its_own_sample(scene: Any) -> None:
    train = TrainConfig(num_negatives=14)
    batch = windows_batch(scene.assembler(CONFIG), make_windows(scene.store, 4), train)
    assert batch.candidates.tolist() == np.flatnonzero(np.isfinite(SAMPLER.log_prob(np.arange(15)))).tolist()
    assert not batch.candidate_log_counts.any()


def test_a_window_batch_is_a_pure_function_of_rows_and_generator(scene: Any) -> None:
    assembler, windows = scene.assembler(CONFIG), make_windows(scene.store, 4)
    assert_same(windows_batch(assembler, windows, seed=3), windows_batch(assembler, windows, seed=3))
    assert not torch.equal(
        windows_batch(assembler, windows, seed=3).candidates, windows_batch(assembler, windows, seed=4).candidates
    )


@pytest.mark.parametrize("request_time", ["hidden", "given"])
def test_whatever_follows_a_position_of_a_window_is_equal_bit_for_bit(
    request_time: Any, build_log: Callable[..., pd.DataFrame], build_scene: Callable[..., Any]
) -> None:
    log, config = (
        build_log(seed=4, lengths=(12,)),
        ModelConfig(max_history=20, use_weights=True, request_time=request_time),
    )
    scene = build_scene(log)
    moments = np.sort(log["timestamp"])

    def seen(frame: pd.DataFrame, position: int) -> list[Tensor]:
        store = build_scene(frame).store
        batch = windows_batch(Assembler(store, config, scene.users), make_windows(store, 20))
        end = int(batch.prefix_ends[0, position])
        history = HistoryBatch(*(None if part is None else part[0, :end] for part in batch.history))
        assert batch.query_times is not None
        return tensors((history, batch.prefix_ends[0, position], batch.query_times[0, position], batch.user))

    for position in (0, 3, 6, 11):
        expected = seen(log, position)
        other = changed_from(log, int(moments[position]))[0]
        assert_same(tuple(seen(other, position)), tuple(expected))
