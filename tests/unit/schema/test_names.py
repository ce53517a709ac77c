"""Tests of finding columns by name."""

from __future__ import annotations

import pandas as pd
import pytest

from recattn.errors import DataError
from recattn.schema import read_interactions

DAY = 1_714_521_600  # 2024-05-01


def log(**columns: object) -> pd.DataFrame:
    values: dict[str, object] = {
        "user_id": ["a", "a", "b"],
        "item_id": [1, 2, 1],
        "timestamp": [DAY, DAY + 1, DAY + 2],
    }
    return pd.DataFrame({**values, **columns})


def test_columns_map_our_names_to_the_frames_own() -> None:
    frame = log().rename(columns={"timestamp": "ts", "user_id": "who"})
    out = read_interactions(frame, columns={"timestamp": "ts", "user_id": "who"})
    pd.testing.assert_frame_equal(out, read_interactions(log()))


def test_a_missing_column_names_what_is_there_and_the_likely_one() -> None:
    expected = (
        r"^interactions has no column 'timestamp'; it has 'user_id', 'item_id', 'ts'\. "
        r"Rename it, or pass columns=\{'timestamp': 'ts'\}\.$"
    )
    with pytest.raises(DataError, match=expected):
        read_interactions(log().rename(columns={"timestamp": "ts"}))


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [("user_id", "userId"), ("user_id", "user_idd"), ("item_id", "movieId"), ("timestamp", "timestmp")],
)
def test_a_misspelt_column_is_guessed(ours: str, theirs: str) -> None:
    with pytest.raises(DataError, match=rf"no column '{ours}'.*pass columns=\{{'{ours}': '{theirs}'\}}"):
        read_interactions(log().rename(columns={ours: theirs}))


def test_a_missing_column_without_a_likely_one_asks_for_its_name() -> None:
    with pytest.raises(DataError, match=r"pass columns=\{'item_id': <its name>\}"):
        read_interactions(log().rename(columns={"item_id": "zzz"}))


def test_a_column_that_hides_in_the_index_is_told() -> None:
    with pytest.raises(DataError, match=r"'user_id' as its index.*reset_index\(\)"):
        read_interactions(log().set_index("user_id"))


def test_a_mapping_to_an_absent_column_names_the_nearest() -> None:
    with pytest.raises(DataError, match=r"no column 'tim'.*Did you mean 'time'\?"):
        read_interactions(log().rename(columns={"timestamp": "time"}), columns={"timestamp": "tim"})


def test_a_mapping_onto_a_taken_name_is_refused() -> None:
    with pytest.raises(DataError, match=r"has a column 'timestamp' already.*take 'ts'"):
        read_interactions(log(ts=[1, 2, 3]), columns={"timestamp": "ts"})


def test_a_column_name_that_stands_twice_is_refused() -> None:
    frame = log()
    frame.columns = ["user_id", "user_id", "timestamp"]
    with pytest.raises(DataError, match="two columns named 'user_id'"):
        read_interactions(frame)


@pytest.mark.parametrize("second", ["", "x"])
def test_columns_in_levels_are_refused(second: str) -> None:
    frame = log()
    frame.columns = pd.MultiIndex.from_tuples([(name, second) for name in frame.columns])
    with pytest.raises(
        DataError, match=r"interactions has columns in 2 levels, such as \('user_id', '.?'\)\. Give it one"
    ):
        read_interactions(frame)
