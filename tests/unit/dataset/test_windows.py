"""Tests of the stretches of history that train all their prefixes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recattn.dataset.history import HistoryStore
from recattn.dataset.vocabulary import Vocabulary
from recattn.dataset.windows import make_windows


def store(lengths: list[int]) -> HistoryStore:
    users = np.repeat(np.arange(len(lengths)), np.maximum(lengths, 1).astype(int))
    known = [place < length for length in lengths for place in range(max(length, 1))]  # "?" is dropped, its user stays
    frame = pd.DataFrame(
        {"user_id": users, "item_id": ["a" if one else "?" for one in known], "timestamp": np.arange(len(users))}
    )
    return HistoryStore.from_frame(frame, Vocabulary("item_id", ["a"]))


@settings(max_examples=80, deadline=None)
@given(
    lengths=st.lists(st.integers(0, 40), max_size=6),
    max_history=st.integers(1, 12),
    overlap=st.sampled_from([0.0, 0.3, 0.5, 0.8, 0.95]),
)
def test_every_interaction_is_a_target_exactly_once(lengths: list[int], max_history: int, overlap: float) -> None:
    histories = store(lengths)
    windows = make_windows(histories, max_history, overlap=overlap)
    begins, ends = histories.offsets[windows.users], histories.offsets[windows.users + 1]
    assert (begins <= windows.starts).all()
    assert (windows.starts <= windows.loss_from).all()
    assert (windows.loss_from < windows.stops).all()
    assert (windows.stops <= ends).all()
    assert (windows.lengths <= max_history + 1).all()
    targets = [row for w in range(len(windows)) for row in range(windows.loss_from[w], windows.stops[w])]
    assert sorted(targets) == list(range(sum(lengths)))
    history = windows.loss_from - windows.starts
    assert (history >= np.minimum(windows.loss_from - begins, np.ceil(overlap * max_history - 1e-9))).all()


def test_a_long_history_gives_overlapping_windows_that_end_with_it() -> None:
    windows = make_windows(store([3, 11]), 4, overlap=0.5)
    assert windows.users.tolist() == [0, 1, 1, 1, 1]
    assert windows.starts.tolist() == [0, 3, 5, 7, 9]
    assert windows.stops.tolist() == [3, 8, 10, 12, 14]
    assert windows.loss_from.tolist() == [0, 3, 8, 10, 12]
    assert windows.lengths.tolist() == [3, 5, 5, 5, 5]
    assert len(windows) == 5


def test_a_history_that_fits_is_one_window() -> None:
    windows = make_windows(store([5, 6]), 5, overlap=0.0)
    assert windows.starts.tolist() == [0, 5]
    assert windows.stops.tolist() == [5, 11]


def test_users_without_interactions_have_no_window() -> None:
    assert make_windows(store([0, 2, 0]), 3).users.tolist() == [1]
    assert len(make_windows(store([0]), 3)) == 0
    assert len(make_windows(store([]), 3)) == 0


@pytest.mark.parametrize("ties", ["exclude", "order"])
def test_windows_say_how_ties_are_read(ties: Any) -> None:
    assert make_windows(store([2]), 3, ties=ties).ties == ties
