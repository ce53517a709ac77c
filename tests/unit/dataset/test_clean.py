"""Tests of the filters for a training log."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from recattn.dataset.clean import CleanConfig, add_sessions, clean, drop_duplicates, drop_repeats, k_core
from recattn.errors import ConfigError, DataError

START = 1_700_000_000


def log(pairs: str, times: list[int] | None = None, **columns: object) -> pd.DataFrame:
    """`"aX bY"`: user a meets item X, then user b meets item Y, a minute apart."""
    users, items = zip(*pairs.split(), strict=True)
    at = [START + 60 * n for n in range(len(users))] if times is None else [START + t for t in times]
    return pd.DataFrame({"user_id": users, "item_id": items, "timestamp": at, **columns})


def pairs(frame: pd.DataFrame) -> str:
    return " ".join(frame["user_id"] + frame["item_id"])


def test_k_core_goes_on_until_both_minima_hold() -> None:
    # Z falls first, then c (who had one other row), then Y, which c held up
    given = log("aX aW bX bW cZ cY bY dX dW")
    assert pairs(k_core(given, user_min=2, item_min=2)) == "aX aW bX bW dX dW"


def test_k_core_agrees_with_a_plain_loop_on_random_logs() -> None:
    rng = np.random.default_rng(3)
    given = pd.DataFrame({"user_id": rng.integers(0, 40, 200), "item_id": rng.integers(0, 40, 200), "timestamp": START})
    expected = given
    while True:
        users, items = expected["user_id"].value_counts(), expected["item_id"].value_counts()
        kept = expected[
            (expected["user_id"].map(users) >= 3).to_numpy() & (expected["item_id"].map(items) >= 4).to_numpy()
        ]
        if len(kept) == len(expected):
            break
        expected = kept
    assert 0 < len(expected) < 200
    pd.testing.assert_frame_equal(k_core(given, user_min=3, item_min=4), expected.reset_index(drop=True))


def test_k_core_of_zero_or_one_keeps_all() -> None:
    given = log("aX bY")
    assert pairs(k_core(given)) == pairs(k_core(given, user_min=1, item_min=1)) == "aX bY"


def test_nobody_left_says_which_minimum_removed_how_many() -> None:
    message = (
        r"of 3 rows, these were removed: user_min=2 1, item_min=2 2\. The longest history has 2 rows, "
        r"the most frequent item 2"
    )
    with pytest.raises(DataError, match=message):
        k_core(log("aX aY bX"), user_min=2, item_min=2)


def test_nobody_left_after_several_filters_names_them_all() -> None:
    given = log("aX aX bY", [0, 0, 5])
    with pytest.raises(DataError, match=r"of 3 rows, these were removed: drop_duplicates 1, user_min=3 2\."):
        clean(given, drop_duplicates=True, user_min=3)


def test_duplicates_are_equal_in_user_item_moment_with_the_event() -> None:
    given = log("aX aX aX bX", [0, 0, 60, 0], n=[1, 2, 3, 4])
    assert drop_duplicates(given)["n"].tolist() == [1, 3, 4]
    events = given.assign(event_type=["view", "like", "view", "view"])
    assert drop_duplicates(events)["n"].tolist() == [1, 2, 3, 4]


def test_repeats_are_one_item_running_in_the_users_own_order() -> None:
    # in time: a meets X X Y X; b meets X between
    given = log("aX bX aY aX aX", [0, 1, 20, 10, 30], n=[0, 1, 2, 3, 4])
    assert drop_repeats(given)["n"].tolist() == [0, 1, 2, 4]


def test_another_event_on_the_same_item_is_no_repeat() -> None:
    given = log("aX aX aX", event_type=["view", "like", "like"])
    assert drop_repeats(given)["event_type"].tolist() == ["view", "like"]


def test_sessions_end_where_the_pause_is_longer_than_the_gap() -> None:
    given = log("bX aX bY aY bZ bX", [0, 50, 1800, 60, 3601, 9000])
    out = add_sessions(given, gap="30min")
    assert out["session_id"].tolist() == [0, 3, 0, 3, 1, 2]
    assert out["session_id"].dtype == np.int64
    assert out["timestamp"].tolist() == given["timestamp"].tolist()


def test_sessions_need_times_while_their_column_is_free() -> None:
    with pytest.raises(DataError, match="has a column 'session_id' already"):
        add_sessions(log("aX", session_id=[1]))
    with pytest.raises(DataError, match="order-only data has no sessions"):
        add_sessions(pd.DataFrame({"user_id": ["a", "a", "b"], "item_id": 1, "timestamp": [0, 1, 0]}))
    with pytest.raises(DataError, match="order-only data has no sessions"):
        clean(pd.DataFrame({"user_id": ["a", "a", "b"], "item_id": 1, "timestamp": [0, 1, 0]}), session_gap="1h")
    with pytest.raises(ConfigError, match="gap must be a span of time"):
        add_sessions(log("aX"), gap="30")


def test_clean_runs_all_filters_with_a_count_of_each() -> None:
    given = log("aX aX aX aY bX bY cX dZ", [0, 0, 60, 90, 0, 9000, 0, 0])
    config = CleanConfig(drop_duplicates=True, drop_repeats=True, user_min=2, session_gap="1h")
    frame, counts = clean(given, config)
    assert pairs(frame) == "aX aY bX bY"
    assert frame["session_id"].tolist() == [0, 0, 1, 2]
    assert counts == {"drop_duplicates": 1, "drop_repeats": 1, "user_min": 2, "item_min": 0}


def test_clean_without_settings_only_reads() -> None:
    frame, counts = clean(log("aX bY"))
    assert pairs(frame) == "aX bY"
    assert set(counts.values()) == {0}


def test_settings_go_over_the_config() -> None:
    assert pairs(clean(log("aX aY bX"), CleanConfig(user_min=3), user_min=2)[0]) == "aX aY"


def test_an_unknown_setting_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"clean has no setting 'user_mn'\. Did you mean 'user_min'\?"):
        clean(log("aX"), user_mn=2)


@pytest.mark.parametrize("value", [-1, 2.5, "5", True])
def test_minima_are_whole_numbers(value: object) -> None:
    with pytest.raises(ConfigError, match="user_min must be a whole number of at least 0"):
        k_core(log("aX"), user_min=value)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="item_min must be a whole number of at least 0"):
        CleanConfig(item_min=value)  # type: ignore[arg-type]


def test_a_session_gap_is_checked_with_the_config() -> None:
    with pytest.raises(ConfigError, match="session_gap must be a span of time"):
        CleanConfig(session_gap="soon")


def test_the_frame_given_is_never_changed() -> None:
    given = log("aX aX bY", [0, 0, 5])
    before = given.copy(deep=True)
    clean(given, drop_duplicates=True, drop_repeats=True, session_gap="1h")
    pd.testing.assert_frame_equal(given, before)
