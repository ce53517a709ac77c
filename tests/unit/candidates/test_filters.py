"""Tests of allow and deny lists, of availability, and of what was seen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from recattn.candidates import Allow, Availability, Deny, Popular, Seen, filtered
from recattn.dataset import HistoryStore, Vocabulary
from recattn.errors import ConfigError, DataError

DAY = 86_400
START = 1_700_000_000
ASKED = pd.DataFrame({"user_id": ["u1", "u2", "u9"]})
CATALOG = Vocabulary("item_id", list("abcde"))


@pytest.fixture
def everything() -> pd.DataFrame:
    """All of a, b, c, d, e for everybody."""
    return ASKED.merge(pd.DataFrame({"item_id": list("abcde")}), how="cross")


def left(frame: pd.DataFrame) -> dict[str, str]:
    return {user: "".join(group["item_id"]) for user, group in frame.groupby("user_id")}


def test_a_list_without_users_is_for_everybody(diary: pd.DataFrame, everything: pd.DataFrame) -> None:
    assert left(filtered(everything, [Deny(["b", "e"])], ASKED, history=diary)) == dict.fromkeys(
        ASKED["user_id"], "acd"
    )
    allowed = filtered(everything, [Allow(pd.DataFrame({"item_id": ["b"]}))], ASKED, history=diary)
    assert left(allowed) == dict.fromkeys(ASKED["user_id"], "b")


def test_a_list_of_users_is_for_them(diary: pd.DataFrame, everything: pd.DataFrame, tmp_path: Path) -> None:
    frame = pd.DataFrame({"user_id": ["u1", "u1", "u2", "other"], "item_id": ["a", "c", "a", "b"]})
    path = tmp_path / "lists.parquet"
    frame.to_parquet(path)
    assert left(filtered(everything, [Deny(path)], ASKED, history=diary)) == {"u1": "bde", "u2": "bcde", "u9": "abcde"}
    assert left(filtered(everything, [Allow(frame)], ASKED, history=diary)) == {"u1": "ac", "u2": "a"}
    some = filtered(everything, [Allow(frame, unlisted="all")], ASKED, history=diary)
    assert left(some) == {"u1": "ac", "u2": "a", "u9": "abcde"}


def test_a_list_of_requests_is_for_them(diary: pd.DataFrame) -> None:
    asked = pd.DataFrame({"request_id": [1, 2], "user_id": ["u1", "u1"]})
    both = asked.merge(pd.DataFrame({"item_id": ["a", "b"]}), how="cross")
    kept = filtered(both, [Deny(pd.DataFrame({"request_id": [2], "item_id": ["a"]}))], asked, history=diary)
    assert kept[["request_id", "item_id"]].to_numpy().tolist() == [[1, "a"], [1, "b"], [2, "b"]]
    with pytest.raises(DataError, match="deny names requests by request_id, but the requests have none"):
        filtered(both[:2], [Deny(pd.DataFrame({"request_id": [2], "item_id": ["a"]}))], ASKED, history=diary)


def test_lists_keep_what_a_loop_keeps(diary: pd.DataFrame) -> None:
    rng = np.random.default_rng(0)
    asked = pd.DataFrame({"request_id": np.arange(40), "user_id": rng.integers(0, 15, 40)})
    some = pd.DataFrame({"request_id": rng.integers(0, 40, 400), "item_id": rng.integers(0, 30, 400)})
    some["user_id"] = asked["user_id"].to_numpy()[some["request_id"]]
    listed = pd.DataFrame({"user_id": rng.integers(0, 12, 90), "item_id": rng.integers(0, 40, 90)})
    log = diary.assign(user_id=1, item_id=2)
    pairs = set(zip(listed["user_id"], listed["item_id"], strict=True))
    mask = np.array([pair in pairs for pair in zip(some["user_id"], some["item_id"], strict=True)])
    for part, expected in ((Allow(listed), mask), (Deny(listed), ~mask)):
        kept = filtered(some, [part], asked, history=log)
        pd.testing.assert_frame_equal(kept, some[expected].reset_index(drop=True))


def test_unknown_items_of_a_list_are_counted(diary: pd.DataFrame, everything: pd.DataFrame) -> None:
    options: dict[str, Any] = {"history": diary, "catalog": CATALOG}
    with pytest.warns(UserWarning, match=r"allow: 2 of its 3 items are not in the model's catalog .*'x', 'y'"):
        filtered(everything, [Allow(["a", "x", "y", "x"])], ASKED, **options)
    with pytest.warns(UserWarning, match=r"deny: none of its 1 items is in the model's catalog \('x'\)"):
        filtered(everything, [Deny(["x"])], ASKED, **options)


@pytest.mark.parametrize(
    ("items", "says"),
    [
        ("no.csv", "allow: no file or folder 'no.csv'"),
        (pd.DataFrame({"sku": ["a"]}), "allow has no column 'item_id'"),
        (pd.DataFrame({"item_id": []}), "allow is empty: it has no row"),
        ([1, 2], "item_id is int in allow .* but str in candidates"),
        (["a", None], "allow has 1 of 2 rows that cannot be used: 1 with a null item_id"),
        (7, r"allow.items must be a list of ids, got 7. Pass \[7\]"),
    ],
)
def test_lists_that_cannot_be_used_say_why(
    items: Any, says: str, diary: pd.DataFrame, everything: pd.DataFrame
) -> None:
    with pytest.raises(DataError, match=says):
        filtered(everything, [Allow(items)], ASKED, history=diary)


def test_an_unknown_answer_for_the_unlisted_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"Allow.unlisted must be 'none' or 'all', got 'some'"):
        Allow(["a"], unlisted="some")


def test_items_are_there_from_their_first_to_before_their_last_moment(
    diary: pd.DataFrame, everything: pd.DataFrame
) -> None:
    items = pd.DataFrame(
        {
            "item_id": list("abcd"),
            "available_from": [None, START + 5 * DAY, START + 5 * DAY + 1, None],
            "available_to": pd.to_datetime([START + 5 * DAY, START + 9 * DAY, None, START + 5 * DAY + 1], unit="s"),
        }
    )
    kept = filtered(everything, [Availability(items)], ASKED, history=diary, as_of=START + 5 * DAY)
    assert left(kept)["u1"] == "bde"
    moments = ASKED.assign(timestamp=[START, START + 9 * DAY, START + 6 * DAY])
    kept = filtered(everything, [Availability(items.drop(columns="available_from"))], moments, history=diary)
    assert left(kept) == {"u1": "abcde", "u2": "ce", "u9": "bce"}


def test_availability_without_moments_is_refused(diary: pd.DataFrame, everything: pd.DataFrame) -> None:
    items = pd.DataFrame({"item_id": ["a"]})
    with pytest.raises(DataError, match="items has no column 'available_from'"):
        filtered(everything, [Availability(items)], ASKED, history=diary)
    turned = items.assign(available_from=START + 5, available_to=START)
    with pytest.raises(DataError, match=r"1 rows whose available_to is before their available_from \(row 0: 'a'\)"):
        filtered(everything, [Availability(turned)], ASKED, history=diary)
    log = diary.assign(timestamp=diary.groupby("user_id").cumcount())
    store = HistoryStore.from_frame(log, CATALOG, time="order")
    with pytest.raises(ConfigError, match="Availability needs times"):
        filtered(everything, [Availability(turned)], ASKED, history=store)


def test_seen_is_what_lies_before_the_moment(diary: pd.DataFrame, everything: pd.DataFrame) -> None:
    assert left(filtered(everything, [Seen()], ASKED, history=diary)) == {"u1": "de", "u2": "ce", "u9": "abcde"}
    early = filtered(everything, [Seen()], ASKED, history=diary, as_of=START + 2 * DAY)
    assert left(early) == {"u1": "bcde", "u2": "bcde", "u9": "abcde"}


def test_popular_without_seen_is_popular_through_the_filter(diary: pd.DataFrame) -> None:
    all_of_it = Popular(exclude_seen=False).candidates(ASKED, history=diary, k=9)
    kept = filtered(all_of_it, [Seen()], ASKED, history=diary)
    columns = ["user_id", "item_id"]
    pd.testing.assert_frame_equal(kept[columns], Popular().candidates(ASKED, history=diary, k=9)[columns])


class Half:
    """Answers for fewer rows than it was asked about."""

    def keep(self, candidates: pd.DataFrame, asked: Any) -> np.ndarray:
        return np.ones(len(candidates) // 2, dtype=bool)


def test_filters_that_answer_wrongly_are_told(diary: pd.DataFrame, everything: pd.DataFrame) -> None:
    with pytest.raises(DataError, match=r"True or False for each of 15 candidates, got bool \(7,\)"):
        filtered(everything, [Half()], ASKED, history=diary)
    with pytest.raises(ConfigError, match=r"filters\[0\] must be an object with a method 'keep'"):
        filtered(everything, [Popular()], ASKED, history=diary)  # type: ignore[list-item]
    with pytest.raises(DataError, match="5 rows of a user_id that is not in requests"):
        filtered(everything, [], ASKED.head(2), history=diary)
